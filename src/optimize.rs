//! Optimize: expires items, cleans pages with dead bytes, and empties sparse pages of the index.
//!
//! A pass may be cut into slices of any number of steps. Each slice continues where the last one stopped.

#![forbid(unsafe_code)]

use crate::clean::SAMPLE;
use crate::progress::Work;
use crate::store::Store;

/// A pass stops cleaning when at most one in `DEAD_SHARE` granules is dead.
const DEAD_SHARE: u32 = 64;

/// The work of a pass, or of a slice of a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OptimizeReport {
    /// Bytes by which usage decreased.
    pub bytes_freed: u64,
    /// Expired items that were removed.
    pub items_expired: u64,
    /// Items copied to other pages.
    pub items_moved: u64,
    /// Pages released.
    pub pages_freed: u64,
    /// Items and pages looked at.
    pub steps: u32,
    /// Whether the pass is complete.
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

/// The phase of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// A lap of the sweep: `left` pages are not swept yet.
    Expire { left: u32 },
    /// Cleaning, and releasing pages above a lowered limit. At most `left` more granules are looked at or copied.
    Clean { left: u32 },
    /// Emptying sparse pages of the index.
    Index,
    /// Complete: waits until every shard's pass is complete.
    Through,
}

impl Default for Pass {
    fn default() -> Self {
        Self::Expire { left: u32::MAX }
    }
}

impl Store {
    /// Makes at most `steps` steps of a pass. Returns the steps made, and whether the pass is complete.
    pub(crate) fn optimize(&mut self, pass: &mut Pass, steps: u32) -> (u32, bool) {
        let mut left = steps;
        while left > 0 {
            match *pass {
                Pass::Expire { left: mut pages } => {
                    if pages == u32::MAX {
                        // The lap starts at the first item of the hand's page.
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

    /// The phase `Clean` with its bound: copy every granule in use once, and sample every page.
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
            // After the bound on copies only evictions release pages.
            let made = self.shrink(left, granules > 0);
            let left = granules.saturating_sub(self.room.work.copied.saturating_add(made));
            // No step was possible: the rest is pinned and stays above the limit.
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
