//! Optimize: takes out what has expired, and empties sparse pages into fuller ones.
//!
//! A pass visits every page once for expired items, then each class: while the free slots of a class
//! would fill a page, its sparsest page is emptied into the others and goes back to the free pages.
//! A pass may be cut into slices of any number of steps; it goes on where the last one stopped.

#![forbid(unsafe_code)]

use crate::reclaim::Drained;
use crate::shard::Shard;
use crate::slab::Class;

/// What a pass, or a slice of one, did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptimizeReport {
    /// Bytes by which usage went down.
    pub bytes_freed: u64,
    /// Items taken out because their time had come.
    pub items_expired: u64,
    /// Slots moved to other pages.
    pub items_moved: u64,
    /// Pages given back.
    pub pages_freed: u64,
    /// Slots looked at or moved.
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
    /// Classes still to compact, the largest first: so what moves up moves once.
    Compact { left: u8 },
}

impl Default for Pass {
    fn default() -> Self {
        Self::Expire { left: u32::MAX }
    }
}

impl Shard {
    /// The next slice begins a pass anew: what has expired since the last one began is found too.
    pub(crate) fn restart_pass(&mut self) {
        self.optimizing = Pass::default();
    }

    /// At most `steps` steps of the pass under way.
    pub(crate) fn optimize(&mut self, steps: u32) -> OptimizeReport {
        let usage = self.slab.usage() as u64;
        let pages = self.slab.pages_free();
        let (expired, moved) = (self.counters.expirations, self.counters.items_moved);
        let mut left = steps;
        let mut done = false;
        // What moves to larger slots takes none of what a lowered limit has gained.
        self.shrink(0);
        while left > 0 && !done {
            left = left.saturating_sub(match self.optimizing {
                Pass::Expire { left: pages } => self.expire_some(pages, left),
                Pass::Compact {
                    left: classes @ 1..,
                } => self.compact_some(Class(classes - 1), left),
                Pass::Compact { left: 0 } => {
                    done = self.finish_pass(left);
                    if done {
                        0
                    } else {
                        left.min(crate::reclaim::SHRINK_STEPS)
                    }
                }
            });
        }
        OptimizeReport {
            bytes_freed: usage.saturating_sub(self.slab.usage() as u64),
            items_expired: self.counters.expirations - expired,
            items_moved: self.counters.items_moved - moved,
            pages_freed: u64::from(self.slab.pages_free().saturating_sub(pages)),
            steps: steps - left,
            done,
        }
    }

    /// The end of a pass, unless a lowered limit is still to be reached.
    fn finish_pass(&mut self, left: u32) -> bool {
        if self.slab.ceiling() > self.limit {
            let usage = self.slab.usage();
            self.shrink(left.min(crate::reclaim::SHRINK_STEPS));
            // What is held outside the lock stays, whatever the limit.
            if self.slab.ceiling() > self.limit && self.slab.usage() < usage {
                return false;
            }
        }
        self.optimizing = Pass::default();
        self.counters.reclaim_passes += 1;
        true
    }

    /// Up to `left` steps of the sweep, of which `pages` pages are left; returns the steps made.
    fn expire_some(&mut self, mut pages: u32, left: u32) -> u32 {
        let steps = self.sweep_lap(&mut pages, left);
        self.optimizing = if pages > 0 {
            Pass::Expire { left: pages }
        } else {
            Pass::Compact {
                left: self.slab.class_count(),
            }
        };
        steps
    }

    /// Up to `left` steps of compacting one class; returns the steps taken.
    fn compact_some(&mut self, class: Class, left: u32) -> u32 {
        let mut through = false;
        let mut steps = 1;
        if self.drain.is_some() {
            steps = left.min(self.slab.page_size() as u32);
            through = self.drain_some(steps) == Drained::Refused;
        } else {
            through |= !self.start_compacting(class);
        }
        if through {
            self.optimizing = Pass::Compact { left: class.0 };
        }
        steps
    }

    /// Starts emptying the class's sparsest page, if there is room for all of it elsewhere: in the
    /// class's other pages, or in slots of the next larger classes.
    fn start_compacting(&mut self, class: Class) -> bool {
        let Some(page) = self.slab.sparsest_page(class) else {
            return false;
        };
        let used = self.slab.page_used(page);
        let slots = self.slab.slots_per_page(class);
        let mut room = self.slab.free_slots(class).saturating_sub(slots - used);
        let mut above = 0;
        while room < used && self.may_lodge(class, above + 1) {
            above += 1;
            room += self.slab.free_slots(Class(class.0 + above));
        }
        if room < used {
            return false;
        }
        self.start_drain_into(page, above);
        true
    }

    /// Whether items may move to slots of the class so many above theirs: at most a fifth larger,
    /// and only where the policy keeps no order within a class.
    fn may_lodge(&self, class: Class, above: u8) -> bool {
        let larger = Class(class.0.saturating_add(above));
        self.holds_items(class)
            && self.holds_items(larger)
            && !self.policy.keeps_order()
            && self.slab.slot_size(larger) * 5 <= self.slab.slot_size(class) * 6
    }
}
