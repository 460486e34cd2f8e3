//! The stamp of a region: whether the region holds a cache, and which configurations can attach to it.
//!
//! # Layout
//! ```text
//! | magic 4 | version 4 | layout 4 | seed 4 |     the first bytes of a cache's region
//! ```
//! The magic is written last when a cache is made. So a region has no magic if making its cache was interrupted.
//!
//! # Invariants
//! 1. `layout` covers every number that positions and formats depend on. Two caches with equal stamps find each
//!    other's pages and items.

#![forbid(unsafe_code)]

use crate::hash::{KeyHasher, wide};
#[cfg(feature = "hosted")]
use crate::limits::PROCESS_BITS;

/// Also tells the byte order: with the other order its bytes are swapped.
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"LRDR");
/// What stands in the magic's place while a process makes a cache that others see, above the process's number.
#[cfg(feature = "hosted")]
const MAKING: u32 = b'M' as u32;
/// Counts the changes of what lies where.
pub(crate) const VERSION: u32 = 4;

/// What an attach found in a region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[repr(u32)]
pub enum Found {
    /// A cache that fits the configuration.
    #[default]
    Cache = 0,
    /// No cache, or one whose making was interrupted.
    Nothing = 1,
    /// A cache of another version of the library, or of another kind of machine.
    OtherVersion = 2,
    /// A cache of another size, number of shards, policy, or kind of items.
    OtherLayout = 3,
    /// A cache with another seed.
    OtherSeed = 4,
}

/// The first bytes of a cache's region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Stamp {
    pub(crate) magic: u32,
    version: u32,
    layout: u32,
    seed: u32,
}

const _: () = assert!(size_of::<Stamp>() == 16);

impl Stamp {
    /// `build`: the numbers that depend on the build of the library alone. `layout`: the other numbers that
    /// positions and formats depend on.
    pub(crate) fn new(build: &[u64], layout: &[u64], hasher: &KeyHasher) -> Self {
        Self {
            magic: MAGIC,
            version: VERSION << 16 | fold(build) >> 16,
            layout: fold(layout),
            seed: fold(&[wide(hasher.hash(b"the seed of this cache"))]),
        }
    }

    /// The same stamp without the magic, for a cache that is still being made.
    pub(crate) fn unfinished(self) -> Self {
        Self { magic: 0, ..self }
    }

    /// The same, of one that a process makes which others see.
    #[cfg(feature = "hosted")]
    pub(crate) fn made_by(self, process: u32) -> Self {
        let magic = MAKING << PROCESS_BITS | process;
        Self { magic, ..self }
    }

    /// Which process makes the cache, where one does.
    #[cfg(feature = "hosted")]
    pub(crate) fn maker(magic: u32) -> Option<u32> {
        (magic >> PROCESS_BITS == MAKING).then_some(magic & !(MAKING << PROCESS_BITS))
    }

    /// One that depends on more numbers, of which those of the build come first.
    #[cfg(feature = "hosted")]
    pub(crate) fn further(self, build: &[u64], layout: &[u64]) -> Self {
        let build = fold(build).wrapping_mul(self.version | 1);
        Self {
            version: VERSION << 16 | build >> 16,
            layout: fold(layout) ^ self.layout.rotate_left(7),
            ..self
        }
    }

    /// The stamp that lies in the first bytes of a region.
    pub(crate) fn of_words([magic, version, layout, seed]: [u32; 4]) -> Self {
        Self {
            magic,
            version,
            layout,
            seed,
        }
    }

    /// What a region with the stamp `other` holds, for a cache with the stamp `self`.
    pub(crate) fn compare(&self, other: &Self) -> Found {
        if other.magic == MAGIC.swap_bytes() {
            Found::OtherVersion
        } else if other.magic != MAGIC {
            Found::Nothing
        } else if other.version != self.version {
            Found::OtherVersion
        } else if other.layout != self.layout {
            Found::OtherLayout
        } else if other.seed != self.seed {
            Found::OtherSeed
        } else {
            Found::Cache
        }
    }
}

/// A hash of numbers, the same in every build.
fn fold(numbers: &[u64]) -> u32 {
    let fold = |sum: u32, half: u32| (sum.rotate_left(5) ^ half).wrapping_mul(0x9e37_79b1);
    numbers.iter().fold(0x811c_9dc5, |sum, &n| {
        fold(fold(sum, n as u32), (n >> 32) as u32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_has_its_own_answer() {
        let hasher = KeyHasher::new(1);
        let mine = Stamp::new(&[8, 1], &[65536, 2], &hasher);
        let other = |build: &[u64], layout: &[u64], seed| {
            mine.compare(&Stamp::new(build, layout, &KeyHasher::new(seed)))
        };
        assert_eq!(other(&[8, 1], &[65536, 2], 1), Found::Cache);
        assert_eq!(other(&[4, 1], &[65536, 2], 1), Found::OtherVersion);
        assert_eq!(other(&[8, 1], &[65536, 3], 1), Found::OtherLayout);
        assert_eq!(other(&[8, 1], &[65536, 2], 2), Found::OtherSeed);
        assert_eq!(mine.compare(&mine.unfinished()), Found::Nothing);
        let magic = MAGIC.swap_bytes();
        assert_eq!(mine.compare(&Stamp { magic, ..mine }), Found::OtherVersion);
    }
}
