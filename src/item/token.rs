//! What a lease has in place of a value: a number, and the process that has the lease.

use super::Items;
#[cfg(feature = "hosted")]
use crate::hosted::lives;
use crate::limits::PROCESS_BITS;
use crate::page::{Id, Pages};

/// What tells a lease from the other leases of its shard.
///
/// # Layout
/// ```text
/// | process 24 | number 40 |     process 0: the cache's only one
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(pub(crate) u64);

const NUMBER_BITS: u32 = u64::BITS - PROCESS_BITS;

impl Token {
    /// Bytes of one.
    pub(crate) const LEN: usize = 8;

    pub(crate) fn new(process: u32, number: u64) -> Self {
        debug_assert!(process >> PROCESS_BITS == 0);
        let number = number & ((1 << NUMBER_BITS) - 1);
        Self(u64::from(process) << NUMBER_BITS | number)
    }

    /// Whether it is of a process, of those that share the cache, that lives.
    pub(crate) fn is_held(self) -> bool {
        lives(self.process())
    }

    /// Whether it is of one that has ended.
    pub(crate) fn is_left(self) -> bool {
        self.process() != 0 && !self.is_held()
    }

    /// 0 where one process alone uses the cache.
    pub(crate) fn process(self) -> u32 {
        (self.0 >> NUMBER_BITS) as u32
    }
}

/// Without `hosted`, one alone uses the cache.
#[cfg(not(feature = "hosted"))]
fn lives(_: u32) -> bool {
    false
}

impl Items {
    /// A lease's.
    pub(crate) fn token(self, pages: &Pages, id: Id) -> Token {
        let mut token = [0; Token::LEN];
        self.read(pages, id, 0, &mut token);
        Token(u64::from_ne_bytes(token))
    }
}
