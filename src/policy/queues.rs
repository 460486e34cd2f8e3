//! The default policy: a window of newcomers and a main log of proven items, with a gate between them.
//!
//! A new item comes into the *window*, a share of the live bytes. Used there, it passes to *main*; unused, it goes.
//! Main is a clock. A fingerprint of an item that went (its *ghost*, kept in the index) is remembered for a while;
//! an item that comes back goes to main at once. Who passes to a full main needs bytes that give way: the *gate*
//! looks at main's next items only, so a newcomer enters where one of them went unused for a whole lap.
//!
//! Shares, thresholds and gate are a [`Rule`]; miniature simulations choose it (`shadow`). Sizes count (`size`).
//!
//! # Not here
//! The logs, and who moves in them: `room`.
//!
//! # Source
//! Two queues with ghosts: 2Q, T. Johnson and D. Shasha, VLDB 1994, and S3-FIFO, J. Yang et al., SOSP
//! 2023; the comparison of reuse distances: LIRS, S. Jiang and X. Zhang, SIGMETRICS 2002.

#![forbid(unsafe_code)]

use super::PolicyKind;
use super::advice::{Moment, Sums};
use super::rule::{Dice, MAIN_STEPS, RULES, Rule};
use super::shadow::{Advisor, Shadows};
use super::size;
use crate::hash::Hash;
use crate::region::Cutter;

/// Inserts after which the mean size, and what the shadows scale by, are measured anew.
const MEASURE_EVERY: u32 = 16;
/// Inserts without a read from which on no key seems to be asked for.
const UNREAD_MAX: u32 = 256;
/// The most looks at main, beyond [`MAIN_STEPS`], for a large item.
const MORE_LOOKS: u32 = 48;

/// What the policy knows of the cache besides single items.
#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) rule: Rule,
    shadows: Shadows,
    advisor: Advisor,
    pub(crate) dice: Dice,
    /// Half octaves of the mean size.
    mean: i32,
    inserts: u32,
    /// Keys read by the last insert, modulo 2^32, and the insert by which there was one more.
    reads: u32,
    last_read: u32,
}

/// Bytes that simulations are sized by; 0 for none.
struct Areas {
    /// Those of the rules, of other limits, and of other limits with exact LRU.
    rules: usize,
    caches: usize,
    list: usize,
}

impl Areas {
    fn of(kind: PolicyKind, area: usize, advises: bool) -> Self {
        let only = |wanted: bool| if wanted { area } else { 0 };
        Self {
            rules: only(kind.remembers()),
            caches: only(advises && kind.remembers()),
            list: only(advises && !kind.remembers()),
        }
    }
}

impl Queues {
    /// The tables are at another address now.
    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, by: &crate::region::Shift) {
        self.shadows.shift(by);
        self.advisor.shift(by);
    }

    pub(crate) fn table_size(kind: PolicyKind, area: usize, advises: bool) -> Option<usize> {
        let Areas {
            rules,
            caches,
            list,
        } = Areas::of(kind, area, advises);
        let advisor = Advisor::table_size(caches.max(list))?;
        Shadows::table_size(rules, caches, Advisor::listed(list))?.checked_add(advisor)
    }

    pub(crate) fn new(
        cutter: &mut Cutter,
        kind: PolicyKind,
        area: usize,
        advises: bool,
    ) -> Option<Self> {
        let Areas {
            rules,
            caches,
            list,
        } = Areas::of(kind, area, advises);
        Some(Self {
            rule: RULES[0],
            shadows: Shadows::new(cutter, rules, caches, Advisor::listed(list))?,
            advisor: Advisor::new(cutter, caches.max(list))?,
            dice: Dice::new(),
            mean: 0,
            inserts: 0,
            reads: 0,
            last_read: 0,
        })
    }

    /// A request for an item of so many granules, there or not. `counts`: it is a get, or the set that fills it.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn requested(&mut self, hash: Hash, counts: bool, granules: impl FnOnce() -> u32) {
        if self.shadows.samples(hash) {
            let above = size::half_octaves(granules()) - self.mean;
            self.shadows
                .simulate(hash, above, counts, &mut self.advisor);
        }
    }

    /// The same, with exact LRU.
    #[inline]
    pub(crate) fn listed(&mut self, hash: Hash, counts: bool, granules: impl FnOnce() -> u32) {
        if self.advisor.samples(hash) {
            let above = size::half_octaves(granules()) - self.mean;
            self.shadows.list(hash, above, counts, &mut self.advisor);
        }
    }

    /// What was simulated until a moment.
    pub(crate) fn sums(&self, until: Moment) -> Option<Sums> {
        self.advisor.sums(until)
    }

    /// What was simulated was under another limit.
    pub(crate) fn limit_moved(&mut self, moment: Moment) {
        self.advisor.limit_moved(moment);
    }

    /// An item comes, by which so many keys were ever read. Returns whether [`Queues::measure`] is due.
    #[inline]
    pub(crate) fn inserting(&mut self, reads: u64) -> bool {
        self.inserts = self.inserts.wrapping_add(1);
        if reads as u32 != self.reads {
            (self.reads, self.last_read) = (reads as u32, self.inserts);
        }
        self.inserts.is_multiple_of(MEASURE_EVERY) || self.inserts <= MEASURE_EVERY
    }

    /// There are so many items, of `live` granules, and `most` could be.
    pub(crate) fn measure(&mut self, items: u32, live: u32, most: u32, moment: Moment) {
        self.mean = size::half_octaves(live / items.max(1));
        if self.inserts.is_multiple_of(MEASURE_EVERY) {
            let full = self.shadows.measure(items, live, most);
            self.shadows.scale_advisor(&mut self.advisor, full, moment);
            let unread = self.inserts.wrapping_sub(self.last_read);
            self.rule = if unread > UNREAD_MAX {
                Rule::IDLE
            } else {
                self.shadows.rule()
            };
        }
    }

    pub(crate) fn credit(&self, granules: u32) -> i32 {
        size::credit(self.mean, size::half_octaves(granules))
    }

    /// Looks at main for so many granules that have to come.
    pub(crate) fn looks(&self, granules: u32) -> u32 {
        MAIN_STEPS + self.items_of(granules).min(MORE_LOOKS)
    }

    /// Items of about the mean's size in so many granules.
    pub(crate) fn items_of(&self, granules: u32) -> u32 {
        granules >> (self.mean / 2).max(0)
    }

    /// Whether a loser of the window passes by chance.
    #[inline]
    pub(crate) fn is_lucky(&self, hash: Hash) -> bool {
        let mask = u32::from(self.rule.lucky).wrapping_sub(1);
        (hash as u32 ^ self.inserts) & mask == 0
    }
}
