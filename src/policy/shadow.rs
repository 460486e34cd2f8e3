//! Miniature simulations of the two queues, one for each rule: they tell which rule suits.
//!
//! A sample of the keys, by hash, also runs through a small cache of fingerprints for each rule, so
//! small that its items are to all items as the sampled keys are to all keys. After a period of some
//! times as many sampled requests as a shadow has slots, the rule with the most hits is adopted, if it
//! has 2% more than the present one; the hits of older periods count less and less.
//!
//! # Layout
//! ```text
//! keys    | fingerprints of shadow 0, 16 bits each | of shadow 1 | ...      0 = an empty slot
//! slots   | of shadow 0 | of shadow 1 | ...
//! a slot  | main 1, uses 2 | ghost 8 |
//! ```
//! The ghosts form buckets of four of their own, first in first out; 0 = none.

#![forbid(unsafe_code)]

use super::rule::{Dice, FREQ_MAX, MAIN_STEPS, RULES, Rule, WINDOW_STEPS};
use crate::hash::{Hash, mixed, upper};
use crate::region::{Cutter, Table};

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
/// Parts of fewer bytes have the smallest shadows, and those of the first [`RULES_FEW`] rules only.
const AREA_FEW: usize = 6 << 10;
const RULES_FEW: usize = 3;
/// Bytes of a part for each slot of a shadow: of the first [`SLOTS_CHEAP`], and of any more.
const AREA_PER_SLOT: usize = 300;
const SLOTS_CHEAP: usize = 64;
const AREA_PER_FURTHER: usize = 16 << 10;

const MAIN: u8 = 4;
const USES: u8 = 3;

/// One simulated cache. Its numbers are numbers of slots, but for the hits.
#[derive(Clone, Copy, Debug, Default)]
struct Shadow {
    count: u16,
    window_count: u16,
    main_hand: u16,
    window_hand: u16,
    hits: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    state: u8,
    ghost: u8,
}

/// Keys that are compared at once.
const LANES: usize = 16;

/// Where a key is among many: all of [`LANES`] are compared before the first is asked for, which
/// compilers turn into a few wide instructions, where there are any.
fn find(keys: &[u16], key: u16) -> Option<usize> {
    if cfg!(feature = "small") {
        return keys.iter().position(|&k| k == key);
    }
    let (lanes, rest) = keys.as_chunks::<LANES>();
    let mut from = 0;
    for lane in lanes {
        if lane.iter().fold(false, |found, &k| found | (k == key)) {
            return lane.iter().position(|&k| k == key).map(|i| from + i);
        }
        from += LANES;
    }
    rest.iter().position(|&k| k == key).map(|i| from + i)
}

/// All of them, and the rule adopted.
#[derive(Debug)]
pub(crate) struct Shadows {
    /// Slots of each in use.
    used: u16,
    /// Keys whose hash's upper half lies below are sampled: one in (items of the cache / `used`).
    below: u32,
    /// What `below` is while a key is pending, which lets every request through.
    sampled_below: u32,
    /// A key that some of the shadows have seen, and how many; 0 = none.
    pending: u16,
    seen_by: u8,
    /// Slots of each.
    slots: u16,
    each: Table<Shadow>,
    keys: Table<u16>,
    table: Table<Slot>,
    current: u8,
    requests: u16,
    dice: Dice,
}

/// Rules, and slots of each one's shadow, for a part of so many bytes.
fn extent(area: usize) -> (usize, usize) {
    match area {
        ..AREA_MIN => (0, 0),
        AREA_MIN..AREA_FEW => (RULES_FEW, SLOTS_MIN),
        _ => {
            let cheap = (area / AREA_PER_SLOT).min(SLOTS_CHEAP);
            let slots = cheap.max(area / AREA_PER_FURTHER).min(SLOTS_MAX);
            (RULES.len(), slots & !3)
        }
    }
}

impl Shadows {
    pub(crate) fn table_size(area: usize) -> Option<usize> {
        let (rules, slots) = extent(area);
        if rules == 0 {
            return Some(0);
        }
        Table::<Shadow>::size(rules)?
            .checked_add(Table::<u16>::size(slots * rules)?)?
            .checked_add(Table::<Slot>::size(slots * rules)?)
    }

    pub(crate) fn new(cutter: &mut Cutter, area: usize) -> Option<Self> {
        let (rules, slots) = extent(area);
        Some(Self {
            used: slots as u16,
            below: u32::MAX / SAMPLE_MAX,
            sampled_below: 0,
            pending: 0,
            seen_by: 0,
            slots: slots as u16,
            each: cutter.table(rules as u32, Shadow::default())?,
            keys: cutter.table((rules * slots) as u32, 0)?,
            table: cutter.table((rules * slots) as u32, Slot::default())?,
            current: 0,
            requests: 0,
            dice: Dice::new(),
        })
    }

    #[inline]
    pub(crate) fn rule(&self) -> &'static Rule {
        RULES.get(usize::from(self.current)).unwrap_or(&RULES[0])
    }

    /// The cache holds about so many items when it is full: the sample is to be as small a part of
    /// all keys as a shadow is of those.
    pub(crate) fn scale(&mut self, items: u32) {
        let few = (items / SAMPLE_MAX).min(SLOTS_FEW);
        let used = ((items / SAMPLE).max(few) & !3)
            .max(4)
            .min(self.slots().max(4));
        if used.abs_diff(self.used()) * 8 > self.used() {
            self.used = used.min(self.slots()) as u16;
            for i in 0..self.each.len() {
                self.empty(i);
            }
        }
        let among = u64::from(items.max(SAMPLE_MAX * self.used()));
        self.below = (u64::from(self.used()) << 32)
            .checked_div(among)
            .unwrap_or(0) as u32;
    }

    /// A shadow begins anew; its hits stay.
    fn empty(&mut self, i: u32) {
        for number in 0..self.slots() {
            *self.slot(i, number) = Slot::default();
            *self.key(i, number) = 0;
        }
        let shadow = self.shadow(i);
        *shadow = Shadow {
            hits: shadow.hits,
            ..Shadow::default()
        };
    }

    /// A request: sampled or not.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn requested(&mut self, hash: Hash) {
        if upper(hash) < self.below {
            self.simulate(hash);
        }
    }

    /// A few shadows see a sampled key at once, the others with the next requests, whichever they are: no
    /// request waits for all of them.
    #[cold]
    fn simulate(&mut self, hash: Hash) {
        if self.pending == 0 {
            self.pending = mixed(hash) as u16 | 1;
            self.seen_by = 0;
            self.sampled_below = core::mem::replace(&mut self.below, u32::MAX);
        }
        let turn = if self.used() > SLOTS_CHEAP as u32 {
            1
        } else {
            2
        };
        let first = u32::from(self.seen_by);
        self.see(first, (first + turn).min(self.each.len()));
        self.seen_by += turn as u8;
        if u32::from(self.seen_by) < self.each.len() {
            return;
        }
        (self.pending, self.below) = (0, self.sampled_below);
        self.requests += 1;
        if u32::from(self.requests) >= PERIOD_MIN + PERIOD_PER_SLOT * self.used() {
            self.requests = 0;
            self.choose();
        }
    }

    /// Some of the shadows see the pending key.
    fn see(&mut self, first: u32, end: u32) {
        for (i, rule) in (first..end).zip(RULES.iter().skip(first as usize)) {
            let hit = self.access(i, rule, self.pending);
            self.shadow(i).hits += u32::from(hit);
        }
    }

    fn hits(&self, i: usize) -> u64 {
        u64::from(self.each.at(i as u32).hits)
    }

    fn choose(&mut self) {
        let best = (0..self.each.len() as usize)
            .rev()
            .max_by_key(|&i| self.hits(i))
            .unwrap_or(0);
        if self.hits(best) * 100 > self.hits(usize::from(self.current)) * 102 {
            self.current = best as u8;
        }
        for i in 0..self.each.len() {
            self.shadow(i).hits -= self.shadow(i).hits / 4;
        }
    }

    // ---- one simulated cache -------------------------------------------------------------------

    /// Slots of each in use.
    #[inline]
    fn used(&self) -> u32 {
        u32::from(self.used)
    }

    /// Slots of each that there are.
    fn slots(&self) -> u32 {
        u32::from(self.slots)
    }

    fn slot(&mut self, i: u32, slot: u32) -> &mut Slot {
        self.table.at_mut(i * self.slots() + slot)
    }

    fn key(&mut self, i: u32, slot: u32) -> &mut u16 {
        self.keys.at_mut(i * self.slots() + slot)
    }

    fn shadow(&mut self, i: u32) -> &mut Shadow {
        self.each.at_mut(i)
    }

    /// A request for a sampled key; whether it hits.
    fn access(&mut self, i: u32, rule: &Rule, name: u16) -> bool {
        let keys = self.keys.slice(i * self.slots(), self.used());
        let Some(number) = find(keys, name) else {
            self.miss(i, rule, name);
            return false;
        };
        let state = &mut self.slot(i, number as u32).state;
        if u32::from(*state & USES) < FREQ_MAX {
            *state += 1;
        }
        true
    }

    fn miss(&mut self, i: u32, rule: &Rule, name: u16) {
        let remembered = self.take_ghost(i, name);
        let shadow = *self.shadow(i);
        let mut uses = 0;
        let (number, main) = if u32::from(shadow.count) < self.used() {
            self.shadow(i).count += 1;
            let full = u32::from(shadow.window_count) >= rule.window_of(self.used());
            (u32::from(shadow.count), remembered || full)
        } else if remembered && self.main_is_full(i, rule) {
            match self.gate(i, rule) {
                Some(number) => {
                    self.drop_slot(i, number);
                    (number, true)
                }
                None => {
                    uses = if rule.again { rule.uses as u8 } else { 0 };
                    (self.evict(i, rule), false)
                }
            }
        } else {
            (self.evict(i, rule), remembered)
        };
        self.shadow(i).window_count += u16::from(!main);
        *self.key(i, number) = name;
        self.slot(i, number).state = if main { MAIN } else { uses };
    }

    fn main_is_full(&mut self, i: u32, rule: &Rule) -> bool {
        u32::from(self.shadow(i).window_count) <= rule.window_of(self.used())
    }

    fn gate(&mut self, i: u32, rule: &Rule) -> Option<u32> {
        let steps = if rule.looks == 0 {
            MAIN_STEPS
        } else {
            rule.looks
        };
        self.search_main(i, steps, rule.looks == 0)
    }

    fn search_main(&mut self, i: u32, steps: u32, must: bool) -> Option<u32> {
        let mut best: Option<(u8, u32)> = None;
        for _ in 0..steps {
            let number = self.next(i, true)?;
            let state = &mut self.slot(i, number).state;
            if *state & USES == 0 {
                return Some(number);
            }
            *state -= 1;
            let uses = *state & USES;
            if best.is_none_or(|(least, _)| uses < least) {
                best = Some((uses, number));
            }
        }
        best.filter(|_| must).map(|(_, number)| number)
    }

    /// Evicts, and returns the slot that is free then.
    fn evict(&mut self, i: u32, rule: &Rule) -> u32 {
        let mut number = 0;
        for left in (0..WINDOW_STEPS).rev() {
            let window = u32::from(self.shadow(i).window_count);
            if window < rule.window_of(self.used()) || window == 0 {
                number = self.search_main(i, MAIN_STEPS, true).unwrap_or(0);
                break;
            }
            number = self.next(i, false).unwrap_or(0);
            let uses = u32::from(self.slot(i, number).state & USES);
            let passes = uses >= rule.uses || self.dice.one_in(rule.lucky);
            if left == 0 || !passes {
                break;
            }
            if !self.main_is_full(i, rule) {
                self.pass(i, number);
                continue;
            }
            if let Some(victim) = self.gate(i, rule) {
                self.pass(i, number);
                number = victim;
                break;
            }
            if !rule.stay || uses == 0 {
                break;
            }
            self.slot(i, number).state -= 1;
        }
        self.drop_slot(i, number);
        number
    }

    fn pass(&mut self, i: u32, number: u32) {
        self.slot(i, number).state = MAIN;
        self.shadow(i).window_count -= 1;
    }

    /// The slot's item goes, and is remembered.
    fn drop_slot(&mut self, i: u32, number: u32) {
        let name = core::mem::take(self.key(i, number));
        if self.slot(i, number).state & MAIN == 0 {
            let shadow = self.shadow(i);
            shadow.window_count = shadow.window_count.saturating_sub(1);
        }
        self.add_ghost(i, name);
    }

    /// The next slot of one queue, from its hand on.
    fn next(&mut self, i: u32, main: bool) -> Option<u32> {
        let shadow = *self.shadow(i);
        let mut number = u32::from(if main {
            shadow.main_hand
        } else {
            shadow.window_hand
        });
        for _ in 0..self.used() {
            number = if number < self.used() { number } else { 0 };
            let state = self.slot(i, number).state;
            if *self.key(i, number) != 0 && (state & MAIN != 0) == main {
                let shadow = self.shadow(i);
                let hand = if main {
                    &mut shadow.main_hand
                } else {
                    &mut shadow.window_hand
                };
                *hand = number as u16 + 1;
                return Some(number);
            }
            number += 1;
        }
        None
    }

    // ---- its ghosts ----------------------------------------------------------------------------

    /// First slot of the bucket that a key's ghost belongs to, and the ghost.
    fn ghost(&self, name: u16) -> (u32, u8) {
        let mixed = u32::from(name).wrapping_mul(0x9e37_79b1);
        let bucket = ((mixed >> 16) * (self.used() / 4)) >> 16;
        (bucket * 4, ((mixed >> 8) as u8).max(1))
    }

    fn add_ghost(&mut self, i: u32, name: u16) {
        let (first, ghost) = self.ghost(name);
        for number in (first..first + 3).rev() {
            let newer = self.slot(i, number).ghost;
            self.slot(i, number + 1).ghost = newer;
        }
        self.slot(i, first).ghost = ghost;
    }

    fn take_ghost(&mut self, i: u32, name: u16) -> bool {
        let (first, ghost) = self.ghost(name);
        let Some(found) = (first..first + 4).find(|&n| self.slot(i, n).ghost == ghost) else {
            return false;
        };
        for number in found..first + 3 {
            let older = self.slot(i, number + 1).ghost;
            self.slot(i, number).ghost = older;
        }
        self.slot(i, first + 3).ghost = 0;
        true
    }
}
