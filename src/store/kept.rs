//! What outlives the owner of a region.

#![forbid(unsafe_code)]

use crate::expiry::Time;
use crate::page::Id;
use crate::policy::Lru;
use crate::region::barrier;

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
    /// [`BY_HAND`] where the host sets the shard's time by hand.
    by_hand: u32,
}

/// No damage to a word is likely to make this of another: a cache that waits for a time that is never set would return
/// what has expired.
const BY_HAND: u32 = u32::from_le_bytes(*b"hand");
/// While one takes over from the other: what the time says of a clock is not to be believed.
const SWITCHING: u32 = u32::from_le_bytes(*b"turn");

const _: () = assert!(size_of::<Kept>() == 72);

impl Kept {
    pub(crate) fn new(time: Time) -> Self {
        Self {
            time,
            replaced: Id::NONE,
            lru: Lru::EMPTY,
            version: 0,
            by_hand: 0,
        }
    }

    /// Whether the host sets the time by hand, and no clock is looked at.
    #[inline]
    pub(crate) fn is_by_hand(&self) -> bool {
        self.by_hand == BY_HAND
    }

    /// The clock shows `now`.
    #[inline]
    pub(crate) fn observe(&mut self, now: u64) {
        if self.by_hand == SWITCHING {
            self.time.restart(now);
            self.by_hand = 0;
        }
        self.time.observe(now);
    }

    /// The host says what time it is, in place of a clock that shows `clock`.
    pub(crate) fn set_time(&mut self, clock: Option<u64>, now_ms: u64, is_empty: bool) {
        if let Some(clock) = clock.filter(|_| !self.is_by_hand()) {
            self.observe(clock);
            self.by_hand = SWITCHING;
            barrier();
            self.time.restart(now_ms);
            barrier();
        } else if self.time.is_unset() {
            // TTLs of an empty cache reach as far from any time on.
            self.time.restart(if is_empty { now_ms } else { 0 });
        }
        self.by_hand = BY_HAND;
        self.time.observe(now_ms);
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
        let ((replaced, newest), (oldest, by_hand)) = (halves(g), halves(h));
        Some(Self {
            version,
            replaced: Id(replaced),
            lru: Lru {
                newest: Id(newest),
                oldest: Id(oldest),
            },
            by_hand,
            ..Self::new(Time::left_behind([a, b, c, d, e, f])?)
        })
    }
}
