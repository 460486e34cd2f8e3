//! What outlives the owner of a region.

#![forbid(unsafe_code)]

use crate::expiry::Time;
use crate::page::Id;
use crate::policy::Lru;

/// What outlives the owner of a region: see `attach`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Kept {
    pub(crate) time: Time,
    /// The last version that an item was given.
    pub(crate) version: u64,
    /// The item that was replaced last: of two items with one key, the other one is right.
    pub(crate) replaced: Id,
    pub(crate) lru: Lru,
    /// No bytes of the stack are to lie here.
    spare: u32,
}

const _: () = assert!(size_of::<Kept>() == 72);

impl Kept {
    pub(crate) fn new(time: Time) -> Self {
        Self {
            time,
            replaced: Id::NONE,
            lru: Lru::EMPTY,
            version: 0,
            spare: 0,
        }
    }

    /// What an earlier owner left, wherever it was stopped; `None` where its time cannot be one.
    pub(crate) fn left_behind(words: [u64; 9]) -> Option<Self> {
        let [a, b, c, d, e, f, version, g, h] = words;
        let halves = |word: u64| {
            let bytes = word.to_ne_bytes();
            let half = |at: usize| bytes.get(at..at + 4).and_then(|b| b.first_chunk()).copied();
            (
                u32::from_ne_bytes(half(0).unwrap_or([0; 4])),
                u32::from_ne_bytes(half(4).unwrap_or([0; 4])),
            )
        };
        let ((replaced, newest), (oldest, _)) = (halves(g), halves(h));
        Some(Self {
            version,
            replaced: Id(replaced),
            lru: Lru {
                newest: Id(newest),
                oldest: Id(oldest),
            },
            ..Self::new(Time::left_behind([a, b, c, d, e, f])?)
        })
    }
}
