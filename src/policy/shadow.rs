//! Miniature simulations of the two queues, one for each rule: they tell which rule suits.
//!
//! A sample of the keys, by hash, also runs through a small cache of fingerprints for each rule. The simulated
//! items are to all items as the sampled keys are to all keys, and weigh what theirs weigh beside the mean. After a
//! period of sampled requests, the rule with the most hits is adopted if it has 2% more than the present one; the
//! hits of older periods count less and less.
//!
//! # Layout
//! ```text
//! keys    | fingerprints of shadow 0, 16 bits each | of shadow 1 | ...      0 = an empty slot
//! slots   | of shadow 0 | of shadow 1 | ...
//! a slot  | size 5, main 1, uses 2 | ghost 8 |
//! ```
//! The ghosts form buckets of four of their own, first in first out; 0 = none.
//!
//! # Source
//! Miniature simulations: C. Waldspurger et al., USENIX ATC 2017.

#![forbid(unsafe_code)]

mod ghosts;

use super::rule::{Dice, MAIN_STEPS, RULES, Rule, USES_MAX, WINDOW_STEPS};
use super::size;
use crate::hash::{Hash, mixed, upper};
use crate::planted;
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
/// Bytes of a part for each slot of a shadow: of the first [`SLOTS_CHEAP`], and of any more.
const AREA_PER_SLOT: usize = 300;
const SLOTS_CHEAP: usize = 64;
const AREA_PER_FURTHER: usize = 16 << 10;

const USES: u8 = 3;
const MAIN: u8 = 4;
const SIZE_SHIFT: u32 = 3;
/// The size class of the mean.
const MEAN: i32 = 16;
/// What an item of the mean's size weighs.
const UNIT: u32 = 128;
/// Items that go for one request, and looks at main in one search, at most.
const EVICTIONS_MAX: u32 = 4;
const LOOKS_MAX: u32 = 24;

/// One simulated cache.
#[derive(Clone, Copy, Debug, Default)]
struct Shadow {
    /// Weight of all items, and of those of the window.
    weight: u32,
    window_weight: u32,
    main_hand: u16,
    window_hand: u16,
    hits: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    state: u8,
    ghost: u8,
}

/// What an item weighs whose size is of this class: half an octave apart.
fn weight_of(class: u8) -> u32 {
    let class = u32::from(class);
    let half = if class & 1 == 0 { 128 } else { 181 };
    ((half << (class >> 1)) >> (MEAN / 2)).max(1)
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
    /// Slots of each.
    slots: u16,
    /// Keys whose hash's upper half lies below are sampled: one in (items of the cache / `used`).
    below: u32,
    /// What `below` is while a key is pending, which lets every request through.
    sampled_below: u32,
    /// A key that some of the shadows have seen, its size class, and how many have; 0 = none.
    pending: u16,
    pending_class: u8,
    seen_by: u8,
    requests: u16,
    current: u8,
    /// Items that the shadows scale by.
    scaled: u32,
    each: Table<Shadow>,
    keys: Table<u16>,
    table: Table<Slot>,
    dice: Dice,
}

/// Slots of each rule's shadow, for a part of so many bytes.
fn extent(area: usize) -> usize {
    if area < AREA_MIN {
        return 0;
    }
    let cheap = (area / AREA_PER_SLOT).min(SLOTS_CHEAP);
    let slots = cheap.max(area / AREA_PER_FURTHER).min(SLOTS_MAX);
    slots.max(SLOTS_MIN) & !3
}

/// Rules that are simulated.
fn rules_for(area: usize) -> usize {
    if area < AREA_MIN { 0 } else { RULES.len() }
}

impl Shadows {
    pub(crate) fn table_size(area: usize) -> Option<usize> {
        let (slots, rules) = (extent(area), rules_for(area));
        Table::<Shadow>::size(rules)?
            .checked_add(Table::<u16>::size(slots * rules)?)?
            .checked_add(Table::<Slot>::size(slots * rules)?)
    }

    pub(crate) fn new(cutter: &mut Cutter, area: usize) -> Option<Self> {
        let (slots, rules) = (extent(area), rules_for(area));
        Some(Self {
            used: slots as u16,
            slots: slots as u16,
            below: if slots > 0 { u32::MAX / SAMPLE_MAX } else { 0 },
            sampled_below: 0,
            pending: 0,
            pending_class: 0,
            seen_by: 0,
            requests: 0,
            current: 0,
            scaled: 0,
            each: cutter.table(rules as u32, Shadow::default())?,
            keys: cutter.table((rules * slots) as u32, 0)?,
            table: cutter.table((rules * slots) as u32, Slot::default())?,
            dice: Dice::new(),
        })
    }

    pub(crate) fn rule(&self) -> Rule {
        RULES
            .get(usize::from(self.current))
            .copied()
            .unwrap_or(RULES[0])
    }

    /// There are so many items, of `live` granules, and `most` could be.
    pub(crate) fn measure(&mut self, items: u32, live: u32, most: u32) {
        if self.slots == 0 {
            return;
        }
        let full = u64::from(items) * u64::from(most.max(live)) / u64::from(live.max(1));
        let full = u32::try_from(full).unwrap_or(u32::MAX);
        // Small changes would empty the shadows for nothing.
        if full.abs_diff(self.scaled) * 6 > self.scaled {
            self.scaled = full;
        }
        self.scale(self.scaled);
    }

    /// The cache holds about so many items when it is full: the sample is to be as small a part of
    /// all keys as a shadow is of those.
    fn scale(&mut self, items: u32) {
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
        if self.pending != 0 {
            self.sampled_below = core::mem::replace(&mut self.below, u32::MAX);
        }
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

    /// Whether a request is of the sample.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn samples(&self, hash: Hash) -> bool {
        upper(hash) < self.below
    }

    /// A request of the sample, for an item so many half octaves above the mean's size. A few shadows see it at
    /// once, the others with the next requests: no request waits for all of them.
    #[cold]
    pub(crate) fn simulate(&mut self, hash: Hash, above: i32) {
        if self.pending == 0 {
            self.pending = mixed(hash) as u16 | 1;
            self.pending_class = (above + MEAN).max(1).min(31) as u8;
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
            let hit = self.access(i, rule);
            self.shadow(i).hits += u32::from(hit);
        }
    }

    fn hits(&self, i: u32) -> u32 {
        self.each.at(i).hits
    }

    fn choose(&mut self) {
        let best = (0..self.each.len())
            .rev()
            .max_by_key(|&i| self.hits(i))
            .unwrap_or(0);
        let most = self.hits(best);
        let better = most * 100 > self.hits(u32::from(self.current)) * 102;
        if better && !planted::is("rule never switched") {
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

    fn keys_of(&self, i: u32) -> &[u16] {
        self.keys.slice(i * self.slots(), self.slots())
    }

    fn shadow(&mut self, i: u32) -> &mut Shadow {
        self.each.at_mut(i)
    }

    fn weight_max(&self) -> u32 {
        self.used() * UNIT
    }

    fn share(&self, rule: &Rule) -> u32 {
        rule.window_of(self.used()) * UNIT
    }

    fn credit(class: u8) -> i32 {
        size::credit(MEAN, class.into())
    }

    /// An empty slot, where another item may come in.
    fn free_slot(&self, i: u32, weight: u32) -> Option<u32> {
        let fits = self.each.at(i).weight + weight <= self.weight_max();
        find(self.keys_of(i), 0).map(|n| n as u32).filter(|_| fits)
    }

    fn access(&mut self, i: u32, rule: &Rule) -> bool {
        let Some(number) = find(self.keys_of(i), self.pending) else {
            self.miss(i, rule);
            return false;
        };
        let state = &mut self.slot(i, number as u32).state;
        if u32::from(*state & USES) < USES_MAX {
            *state += 1;
        }
        true
    }

    fn miss(&mut self, i: u32, rule: &Rule) {
        let (name, class) = (self.pending, self.pending_class);
        let weight = weight_of(class);
        let remembered = self.take_ghost(i, name);
        if weight > self.weight_max() / 2 {
            return;
        }
        let (mut main, mut uses) = (remembered, 0);
        if self.free_slot(i, weight).is_some() {
            main |= self.shadow(i).window_weight >= self.share(rule);
        } else if remembered && self.main_is_full(i, rule, weight) && !self.gate(i, rule, weight) {
            main = false;
            uses = if rule.again { rule.uses } else { 0 };
        }
        let mut evictions = 0;
        while self.free_slot(i, weight).is_none() && evictions < EVICTIONS_MAX {
            self.evict(i, rule);
            evictions += 1;
        }
        // Above its share for now, if need be: later requests make up for it.
        let Some(number) = find(self.keys_of(i), 0) else {
            return;
        };
        let number = number as u32;
        if main {
            uses = size::first_uses(Self::credit(class)) as u8;
        }
        let shadow = self.shadow(i);
        shadow.weight += weight;
        shadow.window_weight += if main { 0 } else { weight };
        *self.key(i, number) = name;
        self.slot(i, number).state = if main { MAIN } else { 0 } | uses | class << SIZE_SHIFT;
    }

    fn main_is_full(&mut self, i: u32, rule: &Rule, weight: u32) -> bool {
        self.shadow(i).window_weight < self.share(rule) + weight.max(UNIT)
    }

    fn gate(&mut self, i: u32, rule: &Rule, weight: u32) -> bool {
        if rule.looks == 0 {
            self.search_main(i, MAIN_STEPS, 0, true)
        } else {
            self.search_main(i, rule.looks.into(), weight, false)
        }
    }

    /// Looks at so many used items for so much weight of unused ones, which go.
    fn search_main(&mut self, i: u32, looks: u32, weight: u32, must: bool) -> bool {
        let (mut left, mut freed) = (looks, 0);
        for _ in 0..LOOKS_MAX {
            let Some(number) = self.next(i, true) else {
                return false;
            };
            if left == 0 && !must {
                return false;
            }
            let state = self.slot(i, number).state;
            let class = state >> SIZE_SHIFT;
            match size::aged(u32::from(state & USES), Self::credit(class), &mut self.dice) {
                Some(uses) if left > 0 => {
                    self.slot(i, number).state = state & !USES | uses as u8;
                    left -= 1;
                }
                _ => {
                    self.drop_slot(i, number);
                    freed += weight_of(class);
                    if must || freed >= weight {
                        return true;
                    }
                }
            }
        }
        false
    }

    fn evict(&mut self, i: u32, rule: &Rule) {
        for left in (0..WINDOW_STEPS).rev() {
            let window = self.shadow(i).window_weight;
            let low = window < self.share(rule) || window == 0;
            if low && self.search_main(i, MAIN_STEPS, 0, true) {
                return;
            }
            let Some(number) = self.next(i, false) else {
                self.search_main(i, MAIN_STEPS, 0, true);
                return;
            };
            let state = self.slot(i, number).state;
            let (uses, class) = (u32::from(state & USES), state >> SIZE_SHIFT);
            let passes = size::passes(uses, rule.uses.into(), Self::credit(class))
                || self.dice.one_in(rule.lucky.into());
            if left == 0 || !passes {
                return self.drop_slot(i, number);
            }
            if !self.main_is_full(i, rule, weight_of(class)) {
                self.pass(i, number);
            } else if self.gate(i, rule, weight_of(class)) {
                return self.pass(i, number);
            } else if rule.stay && uses > 0 {
                self.slot(i, number).state -= 1;
            } else {
                return self.drop_slot(i, number);
            }
        }
    }

    fn pass(&mut self, i: u32, number: u32) {
        let class = self.slot(i, number).state >> SIZE_SHIFT;
        let uses = size::first_uses(Self::credit(class)) as u8;
        self.slot(i, number).state = MAIN | class << SIZE_SHIFT | uses;
        let shadow = self.shadow(i);
        shadow.window_weight = shadow.window_weight.saturating_sub(weight_of(class));
    }

    /// The slot's item goes, and is remembered.
    fn drop_slot(&mut self, i: u32, number: u32) {
        let name = core::mem::take(self.key(i, number));
        let state = self.slot(i, number).state;
        let weight = weight_of(state >> SIZE_SHIFT);
        let shadow = self.shadow(i);
        shadow.weight = shadow.weight.saturating_sub(weight);
        if state & MAIN == 0 {
            shadow.window_weight = shadow.window_weight.saturating_sub(weight);
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
        for _ in 0..self.slots() {
            number = if number < self.slots() { number } else { 0 };
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
}
