//! Optimize: takes out what has expired, gives dead bytes back, and empties sparse pages of the index.
//!
//! A pass may be cut into slices of any number of steps; it goes on where the last one stopped.

#![forbid(unsafe_code)]

use crate::clean::SAMPLE;
use crate::progress::Work;
use crate::store::Store;

/// A pass is through once fewer than one in so many granules are dead.
const DEAD_SHARE: u32 = 64;

/// What a pass, or a slice of one, did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OptimizeReport {
    /// Bytes by which usage went down.
    pub bytes_freed: u64,
    /// Items taken out because their time had come.
    pub items_expired: u64,
    /// Items copied to other pages.
    pub items_moved: u64,
    /// Pages given back.
    pub pages_freed: u64,
    /// Items and pages looked at.
    pub steps: u32,
    /// Whether the pass is through.
    pub done: bool,
}

impl OptimizeReport {
    /// Adds another shard's report.
    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes_freed += other.bytes_freed;
        self.items_expired += other.items_expired;
        self.items_moved += other.items_moved;
        self.pages_freed += other.pages_freed;
        self.steps = self.steps.saturating_add(other.steps);
    }
}

/// How far the pass has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The sweep's lap: pages that the hand has still to pass.
    Expire { left: u32 },
    /// Dead bytes, and what lies above a lowered limit: so many granules may still be looked at or copied.
    Clean { left: u32 },
    /// Sparse pages of the index.
    Index,
    /// Nothing more, until every shard's pass is through.
    Through,
}

impl Default for Pass {
    fn default() -> Self {
        Self::Expire { left: u32::MAX }
    }
}

impl Store {
    /// At most `steps` steps of a pass; the steps made, and whether the pass is through.
    pub(crate) fn optimize(&mut self, pass: &mut Pass, steps: u32) -> (u32, bool) {
        let mut left = steps;
        while left > 0 {
            match *pass {
                Pass::Expire { left: mut pages } => {
                    if pages == u32::MAX {
                        // The hand's page is walked from its start.
                        let sweep = &mut self.room.sweep;
                        (sweep.at, sweep.page_due) = (None, u64::MAX);
                    }
                    left -= self.sweep(&mut pages, left);
                    *pass = match pages {
                        0 => self.clean_all(),
                        left => Pass::Expire { left },
                    };
                }
                Pass::Clean { left: granules } => {
                    let (made, next) = self.clean_some(granules, left);
                    left = left.saturating_sub(made);
                    *pass = next;
                }
                Pass::Index => {
                    let moved =
                        self.with_index(|index, pages, rehash| index.compact(pages, rehash));
                    left = left.saturating_sub(moved.max(1));
                    if moved == 0 {
                        *pass = Pass::Through;
                    }
                }
                Pass::Through => return (steps - left, true),
            }
        }
        (steps - left, *pass == Pass::Through)
    }

    /// A pass copies no more than all that is in use, and samples every page.
    fn clean_all(&self) -> Pass {
        Pass::Clean {
            left: self
                .pages
                .granules_of(self.pages.in_use())
                .saturating_add(self.pages.count()),
        }
    }

    fn clean_some(&mut self, granules: u32, left: u32) -> (u32, Pass) {
        if self.pages.excess() > 0 {
            // Pages that were copied enough give back no more: items go then.
            let made = self.shrink(left, granules > 0);
            let left = granules.saturating_sub(self.room.work.copied.saturating_add(made));
            // What is held stays, whatever the limit.
            let next = if made == 0 {
                Pass::Index
            } else {
                Pass::Clean { left }
            };
            return (made, next);
        }
        let all = self.pages.granules_of(self.pages.in_use());
        if granules == 0 || self.dead() <= all / DEAD_SHARE {
            return (0, Pass::Index);
        }
        self.room.work = Work::default();
        let found = self.clean_step();
        let looked = if found { 1 } else { SAMPLE };
        let left = granules.saturating_sub(self.room.work.copied.saturating_add(looked));
        (1, Pass::Clean { left })
    }
}
