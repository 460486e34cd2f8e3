//! Simulations of other limits, for advice.
//!
//! Beside the shadows that choose the rule, five simulated caches follow the adopted rule: of 1/4, 1/2, 1, 2 and 4
//! times the size. With exact LRU, one list of sampled keys in the order of their use says the same for all sizes.
//! The difference between a simulated cache and that of size 1 is added to what the cache itself hits.
//!
//! # Source
//! Stack distances: R. Mattson et al., IBM Systems Journal 1970. Miniature simulations: C. Waldspurger et al., USENIX
//! ATC 2017.

#![forbid(unsafe_code)]

use super::advice::{Moment, QUARTERS, Sums};
use super::rule::Rule;
use super::shadow::threshold;
use super::simulation::{Sampled, Simulation, UNIT, find};
use crate::hash::{Hash, mixed, upper};
use crate::region::{Cutter, Table};

/// The place of the present limit among [`QUARTERS`].
const PRESENT: usize = 2;
/// Slots of the simulated cache of size 1, at most; a multiple of [`SLOTS_STEP`].
const SLOTS: u32 = 64;
/// Fewer slots say too little of a quarter of them.
const SLOTS_MIN: u32 = 32;
/// Slots are a multiple of this, so that those of a quarter form buckets of four ghosts.
const SLOTS_STEP: u32 = 16;
/// Keys that stand for the cache itself in the list of exact LRU, at most.
const LISTED: u32 = 128;
/// At most one key in so many is sampled.
const SAMPLE: u32 = 64;
/// Parts of fewer bytes have no advice. A step of the page size, so that required sizes rise with the items.
const AREA_MIN: usize = 256 << 10;
/// Sampled gets after which they count half.
const GETS_MAX: u32 = 1 << 16;

/// What is counted beside the simulations.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Slots of the simulated cache of size 1; 0 where so few items fit that there is none.
    slots: u32,
    /// Whether the items of a full cache are known.
    is_scaled: bool,
    sampled: u32,
    /// Gets that were to be sampled and were not, since another one was pending.
    lost: u32,
    hits: [u32; QUARTERS.len()],
    /// When the counts began, and when the limit was set.
    since: Moment,
    limit_set: Moment,
    /// Gets until the last [`Advisor::scale`], and how many of them were to be sampled, in 2^-32 of one.
    gets: u64,
    expected: u64,
}

/// The simulations of one shard.
#[derive(Debug)]
pub(crate) struct Advisor {
    /// Keys whose hash's upper half lies below are sampled.
    below: u32,
    /// One, or none where there is no advice: in the region, for small shards have none.
    counts: Option<Table<Counts>>,
}

impl Advisor {
    /// Slots of the simulated caches of a part of so many bytes, with the default policy.
    pub(super) fn slots(area: usize) -> [u16; QUARTERS.len()] {
        let slots = if area < AREA_MIN { 0 } else { SLOTS };
        QUARTERS.map(|quarters| (slots * quarters / 4) as u16)
    }

    /// Numbers in the list of exact LRU.
    pub(crate) fn listed(area: usize) -> usize {
        if area < AREA_MIN {
            0
        } else {
            2 * 4 * LISTED as usize
        }
    }

    pub(crate) fn table_size(area: usize) -> Option<usize> {
        // An empty table would take an element.
        if area < AREA_MIN {
            return Some(0);
        }
        Table::<Counts>::size(1)
    }

    pub(crate) fn new(cutter: &mut Cutter, area: usize) -> Option<Self> {
        Some(Self {
            below: 0,
            counts: if area < AREA_MIN {
                None
            } else {
                Some(cutter.table(1, Counts::default())?)
            },
        })
    }

    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, by: &crate::region::Shift) {
        if let Some(counts) = &mut self.counts {
            counts.shift(by);
        }
    }

    /// `None` where there is no advice.
    fn counts(&self) -> Option<&Counts> {
        self.counts.as_ref().map(|counts| counts.at(0))
    }

    fn counts_mut(&mut self) -> Option<&mut Counts> {
        self.counts.as_mut().map(|counts| counts.at_mut(0))
    }

    /// A full cache holds about so many items. Returns how many slots stand for it, where those are others than before:
    /// the simulated caches begin anew.
    pub(super) fn scale(&mut self, items: u32, listed: bool, moment: Moment) -> Option<u32> {
        let below = self.below;
        let most = if listed { LISTED } else { SLOTS };
        let slots = (items / SAMPLE).min(most) & !(SLOTS_STEP - 1);
        let slots = if slots < SLOTS_MIN { 0 } else { slots };
        let counts = self.counts_mut()?;
        counts.expected = counts.expected_until(moment, below);
        counts.gets = moment.gets();
        counts.is_scaled = true;
        if counts.sampled >= GETS_MAX {
            counts.halve(moment);
        }
        let changed = slots != counts.slots;
        if changed {
            counts.slots = slots;
            counts.forget(moment);
        }
        self.below = threshold(slots, items);
        changed.then_some(slots)
    }

    /// The limit is another one.
    pub(crate) fn limit_moved(&mut self, moment: Moment) {
        if let Some(counts) = self.counts_mut() {
            counts.limit_set = moment;
            counts.forget(moment);
        }
    }

    /// A request is passed over.
    pub(super) fn lose(&mut self, hash: Hash, counts: bool) {
        let lost = u32::from(counts && self.samples(hash));
        if let Some(counts) = self.counts_mut() {
            counts.lost += lost;
        }
    }

    #[inline(always)]
    pub(crate) fn samples(&self, hash: Hash) -> bool {
        upper(hash) < self.below
    }

    /// The simulated caches of one step, from the `first` on, see a request; the largest see it alone. Returns whether
    /// others are still to see it. `is_get`: it counts.
    pub(super) fn see(
        &mut self,
        caches: &mut Simulation,
        (first, step): (u8, u8),
        sampled: Sampled,
        rule: &Rule,
        is_get: bool,
    ) -> bool {
        let steps = PRESENT + usize::from(step);
        let from = if step == 0 { 0 } else { steps };
        let mut hits = [false; QUARTERS.len()];
        for (i, hit) in hits.iter_mut().enumerate().take(steps + 1).skip(from) {
            *hit = caches.access(u32::from(first) + i as u32, rule, sampled);
        }
        if let Some(counts) = self.counts_mut().filter(|_| is_get) {
            counts.sampled += u32::from(step == 0);
            counts.count(hits);
        }
        steps + 1 < QUARTERS.len()
    }

    /// The list begins anew.
    pub(super) fn empty(list: &mut Table<u16>) {
        list.slice_mut(0, list.len()).fill(0);
    }

    /// As [`Advisor::see`], for exact LRU, all at once. `list`: the keys, the newest first, then their weights.
    #[cold]
    pub(super) fn list(&mut self, list: &mut Table<u16>, hash: Hash, above: i32, is_get: bool) {
        let sampled = Sampled::new(mixed(hash) as u16, above);
        let listed = list.len() / 2;
        let found = find(list.slice(0, listed), sampled.name);
        let depth = found.map(|at| {
            let weights = list.slice(listed, at as u32 + 1);
            weights.iter().map(|&weight| u32::from(weight)).sum::<u32>()
        });
        if let Some(counts) = self.counts_mut().filter(|_| is_get) {
            counts.sampled += 1;
            let quarter = counts.slots * UNIT / 4;
            counts.count(QUARTERS.map(|n| depth.is_some_and(|depth| depth <= quarter * n)));
        }
        let at = found.unwrap_or((listed as usize).saturating_sub(1));
        let weight = sampled.weight().min(u16::MAX.into()) as u16;
        let count = at as u32 + 1;
        push_front(list.slice_mut(0, count), sampled.name);
        push_front(list.slice_mut(listed, count), weight);
    }

    /// What was counted until a moment; `None` where there is no advice.
    pub(crate) fn sums(&self, until: Moment) -> Option<Sums> {
        let counts = self.counts()?;
        let seen = u64::from(counts.sampled);
        let own_hits = until.hits.saturating_sub(counts.since.hits);
        (counts.slots > 0 || !counts.is_scaled).then(|| Sums {
            sampled: seen,
            // What was lost counts as what was seen.
            expected: (counts.expected_until(until, self.below) >> 32) * seen
                / (seen + u64::from(counts.lost)).max(1),
            hits: counts.hits.map(u64::from),
            gets: own_hits + until.misses.saturating_sub(counts.since.misses),
            own_hits,
            all_gets: until.gets().saturating_sub(counts.limit_set.gets()),
            elapsed_ms: until.now_ms.saturating_sub(counts.limit_set.now_ms),
        })
    }
}

impl Counts {
    /// The counts begin anew.
    fn forget(&mut self, moment: Moment) {
        *self = Self {
            slots: self.slots,
            is_scaled: self.is_scaled,
            limit_set: self.limit_set,
            since: moment,
            gets: moment.gets(),
            ..Self::default()
        };
    }

    /// What was counted counts half.
    fn halve(&mut self, moment: Moment) {
        self.sampled /= 2;
        self.lost /= 2;
        self.expected /= 2;
        self.hits = self.hits.map(|hits| hits / 2);
        let half = |from: u64, to: u64| to - to.saturating_sub(from) / 2;
        self.since.hits = half(self.since.hits, moment.hits);
        self.since.misses = half(self.since.misses, moment.misses);
    }

    fn count(&mut self, hits: [bool; QUARTERS.len()]) {
        for (count, hit) in self.hits.iter_mut().zip(hits) {
            *count += u32::from(hit);
        }
    }

    /// Gets until a moment that were to be sampled, in 2^-32 of one.
    fn expected_until(&self, moment: Moment, below: u32) -> u64 {
        let gets = moment.gets().saturating_sub(self.gets);
        self.expected
            .saturating_add(gets.saturating_mul(below.into()))
    }
}

/// The first of some values is another one, the others move on, and the last is gone.
fn push_front(values: &mut [u16], first: u16) {
    if let Some(rest) = values.len().checked_sub(1) {
        values.copy_within(..rest, 1);
    }
    if let Some(place) = values.first_mut() {
        *place = first;
    }
}
