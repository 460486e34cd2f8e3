//! Simulations of the two queues, one for each rule: the rule with the most hits is adopted.
//!
//! A period is a number of sampled requests. At its end the best rule is adopted if it has 2% more hits than the
//! present one; hits of older periods count less and less.

#![forbid(unsafe_code)]

use super::advice::{Moment, QUARTERS};
pub(crate) use super::advisor::Advisor;
use super::rule::{RULES, Rule};
use super::simulation::{Sampled, Simulation};
use crate::hash::{Hash, mixed, upper};
use crate::planted;
use crate::region::Cutter;

/// Simulated caches of a shard, at most.
const CACHES: usize = RULES.len() + QUARTERS.len();
const SLOTS_MIN: usize = 8;
const SLOTS_MAX: usize = 128;
/// A period is so many sampled requests, and so many for each slot.
const PERIOD_MIN: u32 = 64;
const PERIOD_PER_SLOT: u32 = 2;
/// At most one key in so many is sampled: of few items, and of more than [`SLOTS_FEW`] times as many.
const SAMPLE_MAX: u32 = 4;
const SAMPLE: u32 = 16;
/// Slots that are enough to tell one rule from another, where more would cost each request too much.
const SLOTS_FEW: u32 = 24;
/// Parts of fewer bytes have no shadows: they would cost more than they bring.
const AREA_MIN: usize = 4 << 10;
/// Bytes of a part that give no slot, and for each slot of a shadow: of the first [`SLOTS_CHEAP`], and of any more.
const AREA_WITHOUT: usize = 2400;
const AREA_PER_SLOT: usize = 300;
const SLOTS_CHEAP: usize = 64;
const AREA_PER_FURTHER: usize = 16 << 10;

/// A sampled request that some of the shadows have seen.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    /// Its name is 0 where there is none.
    sampled: Sampled,
    /// Shadows that have seen it; steps of the advisor count on from there.
    step: u8,
    /// Whether the advisor is to see it, and to count it.
    advises: bool,
    counts: bool,
}

/// All of them, and the rule adopted.
#[derive(Debug)]
pub(crate) struct Shadows {
    /// Slots of each, and those in use.
    slots: u16,
    used: u16,
    /// Keys whose hash's upper half lies below are sampled: one in (items of the cache / `used`).
    below: u32,
    /// What `below` is while a request is pending, which lets every request through.
    sampled_below: u32,
    pending: Pending,
    requests: u16,
    current: u8,
    rules: u8,
    /// Items that the shadows scale by.
    scaled: u32,
    /// One for each rule, then the advisor's.
    caches: Simulation,
}

/// Slots of each rule's shadow, for a part of so many bytes.
fn extent(area: usize) -> usize {
    if area < AREA_MIN {
        return 0;
    }
    let cheap = (area.saturating_sub(AREA_WITHOUT) / AREA_PER_SLOT).min(SLOTS_CHEAP);
    let slots = cheap.max(area / AREA_PER_FURTHER).min(SLOTS_MAX);
    slots.max(SLOTS_MIN) & !3
}

/// Rules that are simulated.
fn rules_for(area: usize) -> usize {
    if area < AREA_MIN { 0 } else { RULES.len() }
}

impl Shadows {
    /// `advised`: the area that the advisor's caches are for. `listed`: numbers in its list.
    pub(crate) fn table_size(area: usize, advised: usize, listed: usize) -> Option<usize> {
        let (each, count) = Self::each(area, advised);
        let slots = each.iter().map(|&slots| usize::from(slots)).sum();
        Simulation::size(count, slots, listed)
    }

    /// Slots of each cache, and how many there are.
    fn each(area: usize, advised: usize) -> ([u16; CACHES], usize) {
        let mut each = [0; CACHES];
        let (rules, advice) = (rules_for(area), Advisor::slots(advised));
        let all = [extent(area) as u16; RULES.len()].into_iter().take(rules);
        let mut count = 0;
        for (each, slots) in each.iter_mut().zip(all.chain(advice)) {
            *each = slots;
            count += usize::from(slots > 0);
        }
        (each, count)
    }

    pub(crate) fn new(
        cutter: &mut Cutter,
        area: usize,
        advised: usize,
        listed: usize,
    ) -> Option<Self> {
        let slots = extent(area) as u16;
        let (each, count) = Self::each(area, advised);
        Some(Self {
            slots,
            used: slots,
            below: if slots > 0 { u32::MAX / SAMPLE_MAX } else { 0 },
            sampled_below: 0,
            pending: Pending::default(),
            requests: 0,
            current: 0,
            scaled: 0,
            rules: rules_for(area) as u8,
            caches: Simulation::new(cutter, each.get(..count)?, listed)?,
        })
    }

    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, by: &crate::region::Shift) {
        self.caches.shift(by);
    }

    pub(crate) fn rule(&self) -> Rule {
        RULES
            .get(usize::from(self.current))
            .copied()
            .unwrap_or(RULES[0])
    }

    /// There are so many items, of `live` granules, and `most` could be. Returns the items of a full cache.
    pub(crate) fn measure(&mut self, items: u32, live: u32, most: u32) -> u32 {
        let full = u64::from(items) * u64::from(most.max(live)) / u64::from(live.max(1));
        let full = u32::try_from(full).unwrap_or(u32::MAX);
        // Small changes would empty the shadows for nothing.
        if full.abs_diff(self.scaled) * 6 > self.scaled {
            self.scaled = full;
        }
        if self.slots > 0 {
            self.scale(self.scaled);
        }
        self.scaled
    }

    /// The cache holds about so many items when it is full: the sample is to be as small a part of
    /// all keys as a shadow is of those.
    fn scale(&mut self, items: u32) {
        let (slots, before) = (u32::from(self.slots), u32::from(self.used));
        let few = (items / SAMPLE_MAX).min(SLOTS_FEW);
        let used = ((items / SAMPLE).max(few) & !3).max(4).min(slots.max(4));
        if used.abs_diff(before) * 8 > before {
            self.used = used.min(slots) as u16;
            for i in 0..self.rules.into() {
                self.caches.restart(i, used);
            }
        }
        let used = u32::from(self.used);
        self.below = threshold(used, items.max(SAMPLE_MAX * used));
        if self.is_pending() {
            self.sampled_below = core::mem::replace(&mut self.below, u32::MAX);
        }
    }

    fn is_pending(&self) -> bool {
        self.pending.sampled.name != 0
    }

    /// Whether a request is of the sample.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn samples(&self, hash: Hash) -> bool {
        upper(hash) < self.below
    }

    /// A request of the sample, for an item so many half octaves above the mean's size. A few shadows see it at
    /// once, the others with the next requests: no request waits for all of them. `counts`: it is a get.
    #[cold]
    pub(crate) fn simulate(&mut self, hash: Hash, above: i32, counts: bool, advisor: &mut Advisor) {
        if !self.is_pending() {
            self.pending = Pending {
                sampled: Sampled::new(mixed(hash) as u16 | 1, above),
                step: 0,
                advises: advisor.samples(hash),
                counts,
            };
            self.sampled_below = core::mem::replace(&mut self.below, u32::MAX);
        } else {
            advisor.lose(hash, counts);
        }
        if !self.take_step(advisor) {
            self.settle();
        }
    }

    /// Some of the simulated caches see the pending request. Returns whether others are still to see it.
    fn take_step(&mut self, advisor: &mut Advisor) -> bool {
        let Pending {
            sampled,
            step,
            advises,
            counts,
        } = self.pending;
        let rules = self.rules;
        if step >= rules {
            self.pending.step += 1;
            let (rule, step) = (self.rule(), step - rules);
            return advisor.see(&mut self.caches, (rules, step), sampled, &rule, counts);
        }
        let turn = if usize::from(self.used) > SLOTS_CHEAP {
            1
        } else {
            2
        };
        let end = (step + turn).min(rules);
        for (i, rule) in (u32::from(step)..end.into()).zip(RULES.iter().skip(step.into())) {
            let hit = self.caches.access(i, rule, sampled);
            self.caches
                .set_hits(i, self.caches.hits(i) + u32::from(hit));
        }
        self.pending.step = end;
        end < rules || advises
    }

    /// All have seen the pending request.
    fn settle(&mut self) {
        (self.pending, self.below) = (Pending::default(), self.sampled_below);
        self.requests += 1;
        if u32::from(self.requests) >= PERIOD_MIN + PERIOD_PER_SLOT * u32::from(self.used) {
            self.requests = 0;
            self.choose();
        }
    }

    fn choose(&mut self) {
        let rules = 0..u32::from(self.rules);
        let hits = |i: u32| self.caches.hits(i);
        let best = rules.clone().rev().max_by_key(|&i| hits(i)).unwrap_or(0);
        if hits(best) * 100 > hits(self.current.into()) * 102 && !planted::is("rule never switched")
        {
            self.current = best as u8;
        }
        for i in rules {
            let hits = self.caches.hits(i);
            self.caches.set_hits(i, hits - hits / 4);
        }
    }

    /// As [`Advisor::list`].
    pub(crate) fn list(&mut self, hash: Hash, above: i32, is_get: bool, advisor: &mut Advisor) {
        advisor.list(self.caches.list(), hash, above, is_get);
    }

    /// As [`Advisor::scale`], with the caches that are the advisor's.
    pub(crate) fn scale_advisor(&mut self, advisor: &mut Advisor, items: u32, moment: Moment) {
        if let Some(slots) = advisor.scale(items, self.rules == 0, moment) {
            for (i, quarters) in (self.rules.into()..self.caches.len()).zip(QUARTERS) {
                self.caches.restart(i, slots * quarters / 4);
            }
            if self.rules == 0 {
                Advisor::empty(self.caches.list());
            }
        }
    }
}

/// What the upper halves of hashes lie below, of as many of the keys as `part` is of `whole`.
pub(super) fn threshold(part: u32, whole: u32) -> u32 {
    (u64::from(part) << 32)
        .checked_div(whole.into())
        .unwrap_or(0) as u32
}
