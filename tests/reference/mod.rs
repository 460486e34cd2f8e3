//! Published policies, for comparison: exact, with items of one size, O(1) for each request.
//!
//! Keys are numbered from 0 without gaps, so the facts of a key are in an array.
//!
//! | file | what it owns |
//! |---|---|
//! | `lists` | linked lists of keys, which most policies are made of |
//! | `lru`, `clock`, `sieve`, `s3_fifo`, `arc`, `w_tiny_lfu` | one policy each; FIFO is a clock without marks |
//! | `sketch` | an estimate of the requests for a key |
//! | `optimum` | the upper bound of all policies |
//! | `byte_lru`, `byte_optimum` | LRU and Belady's rule, of items that differ in size and expire |

// Every test is a separate crate and uses a part of this module.
#![allow(dead_code, unused_imports)]

mod arc;
mod byte_lru;
mod byte_optimum;
mod clock;
mod lists;
mod lru;
mod optimum;
mod s3_fifo;
mod sieve;
mod sketch;
mod w_tiny_lfu;

pub(crate) use byte_lru::{ByteLru, Entry};
pub(crate) use byte_optimum::{Use, UseKind, byte_optimum_hits};
pub(crate) use optimum::optimum_hits;

/// A cache of a fixed number of items.
pub(crate) trait Policy {
    /// Requests a key. Returns true on a hit; a miss offers the key to the cache.
    fn access(&mut self, id: u32) -> bool;

    /// Number of items.
    fn held(&self) -> usize;
}

/// The policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Lru,
    Fifo,
    Clock,
    Sieve,
    S3Fifo,
    Arc,
    WTinyLfu,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Lru,
        Self::Fifo,
        Self::Clock,
        Self::Sieve,
        Self::S3Fifo,
        Self::Arc,
        Self::WTinyLfu,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::Fifo => "fifo",
            Self::Clock => "clock",
            Self::Sieve => "sieve",
            Self::S3Fifo => "s3-fifo",
            Self::Arc => "arc",
            Self::WTinyLfu => "w-tinylfu",
        }
    }

    /// Hits of a cache of `capacity` items, empty at the start; `ids` are below `keys`.
    pub(crate) fn hits(self, ids: &[u32], keys: usize, capacity: usize) -> u64 {
        let mut cache = self.cache(capacity, keys);
        ids.iter().map(|&id| u64::from(cache.access(id))).sum()
    }

    /// An empty cache of `capacity` items, for keys below `keys`.
    pub(crate) fn cache(self, capacity: usize, keys: usize) -> Box<dyn Policy> {
        match self {
            Self::Lru => Box::new(lru::Lru::new(capacity, keys)),
            Self::Fifo => Box::new(clock::Clock::new(capacity, keys, 0)),
            Self::Clock => Box::new(clock::Clock::new(capacity, keys, 3)),
            Self::Sieve => Box::new(sieve::Sieve::new(capacity, keys)),
            Self::S3Fifo => Box::new(s3_fifo::S3Fifo::new(capacity, keys)),
            Self::Arc => Box::new(arc::Arc::new(capacity, keys)),
            Self::WTinyLfu => Box::new(w_tiny_lfu::WTinyLfu::new(capacity, keys)),
        }
    }
}
