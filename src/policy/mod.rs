//! Whom to evict. A policy sees ids, uses and sizes, never keys or values.
//!
//! # Not here
//! Making room by the policy's choices: `room`.

#![forbid(unsafe_code)]

mod advice;
#[cfg(not(feature = "one-rule"))]
mod advisor;
mod lru;
mod queues;
mod rule;
#[cfg_attr(feature = "one-rule", path = "no_shadow.rs")]
mod shadow;
#[cfg(not(feature = "one-rule"))]
mod simulation;
mod size;

pub use advice::Advice;
pub(crate) use advice::{Moment, Sums};
pub(crate) use lru::Lru;
pub(crate) use queues::Queues;
pub(crate) use rule::WINDOW_STEPS;
pub(crate) use size::{aged, first_uses, passes};

/// Whether exact LRU is there: a build for small code leaves it out unless the feature `lru` adds it.
const HAS_LRU: bool = !cfg!(feature = "small") || cfg!(feature = "lru");

/// Which policy a cache evicts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[repr(u32)]
pub enum PolicyKind {
    /// The library's choice.
    #[default]
    Default = 0,
    /// Exactly the least recently used item, of whatever size. With the feature `small`, the feature `lru` adds it.
    Lru = 1,
}

impl PolicyKind {
    /// Whether this build has the policy.
    pub(crate) fn is_built(self) -> bool {
        HAS_LRU || self != Self::Lru
    }

    /// Whether evicted items are to be remembered.
    pub(crate) fn remembers(self) -> bool {
        self == Self::Default
    }
}

/// The policy of one shard. The order of exact LRU is kept with what outlives an owner: `store::Kept`.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) kind: PolicyKind,
    pub(crate) queues: Queues,
}

impl Policy {
    /// Bytes of tables for a part of so many bytes.
    pub(crate) fn table_size(kind: PolicyKind, area: usize, advises: bool) -> Option<usize> {
        Queues::table_size(kind, area, advises)
    }

    pub(crate) fn new(
        kind: PolicyKind,
        cutter: &mut crate::region::Cutter,
        area: usize,
        advises: bool,
    ) -> Option<Self> {
        Some(Self {
            kind,
            queues: Queues::new(cutter, kind, area, advises)?,
        })
    }

    #[inline(always)]
    pub(crate) fn is_lru(&self) -> bool {
        HAS_LRU && self.kind == PolicyKind::Lru
    }
}
