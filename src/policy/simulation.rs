//! Small caches of fingerprints that run beside a shard's own, each by a rule of the two queues.
//!
//! Such a cache sees a sample of the keys. Its items are to all items as the sampled keys are to all keys, and an item
//! weighs what its size is beside the mean.
//!
//! # Layout
//! ```text
//! keys    | fingerprints of cache 0, 16 bits each | of cache 1 | ...      0 = an empty slot
//! slots   | of cache 0 | of cache 1 | ...
//! a slot  | size 5, main 1, uses 2 | ghost 8 |
//! ```
//! The ghosts form buckets of four of their own, first in first out; 0 = none.
//!
//! # Source
//! Miniature simulations: C. Waldspurger et al., USENIX ATC 2017.

#![forbid(unsafe_code)]

mod ghosts;

use super::rule::{Dice, MAIN_STEPS, Rule, USES_MAX, WINDOW_STEPS};
use super::size;
use crate::limits::narrow;
use crate::region::{Cutter, Table};

const USES: u8 = 3;
const MAIN: u8 = 4;
const SIZE_SHIFT: u32 = 3;
/// The size class of the mean.
const MEAN: i32 = 16;
/// What an item of the mean's size weighs.
pub(super) const UNIT: u32 = 128;
/// Items that go for one request, and looks at main in one search, at most.
const EVICTIONS_MAX: u32 = 4;
const LOOKS_MAX: u32 = 24;

/// A key of the sample, and the size class of its item.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sampled {
    /// Never 0.
    pub(super) name: u16,
    class: u8,
}

impl Sampled {
    /// A key whose item is so many half octaves above the mean's size.
    pub(super) fn new(name: u16, above: i32) -> Self {
        Self {
            name: name.max(1),
            class: (above + MEAN).max(1).min(31) as u8,
        }
    }

    pub(super) fn weight(self) -> u32 {
        weight_of(self.class)
    }
}

/// One simulated cache.
#[derive(Clone, Copy, Debug, Default)]
struct Shadow {
    /// Its first slot, and how many it has, and how many of them count: in fours.
    first: u8,
    slots: u8,
    used: u8,
    main_hand: u16,
    window_hand: u16,
    /// Weight of all items, and of those of the window.
    weight: u32,
    window_weight: u32,
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
pub(super) fn find(keys: &[u16], key: u16) -> Option<usize> {
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

/// Several such caches.
#[derive(Debug)]
pub(super) struct Simulation {
    each: Table<Shadow>,
    keys: Table<u16>,
    table: Table<Slot>,
    dice: Dice,
}

impl Simulation {
    /// Bytes of `count` caches with so many slots together, or of a list of so many numbers instead.
    pub(super) fn size(count: usize, slots: usize, listed: usize) -> Option<usize> {
        Table::<Shadow>::size(count)?
            .checked_add(Table::<u16>::size(slots + listed)?)?
            .checked_add(Table::<Slot>::size(slots)?)
    }

    /// Caches of so many slots each, multiples of four, all in use.
    pub(super) fn new(cutter: &mut Cutter, slots: &[u16], listed: usize) -> Option<Self> {
        let all: u32 = slots.iter().map(|&n| u32::from(n)).sum();
        let mut each = cutter.table(narrow(slots.len()), Shadow::default())?;
        let mut first = 0;
        for (i, &slots) in (0..).zip(slots) {
            let slots = (slots / 4) as u8;
            *each.at_mut(i) = Shadow {
                first,
                slots,
                used: slots,
                ..Shadow::default()
            };
            first += slots;
        }
        Some(Self {
            each,
            keys: cutter.table(all + narrow(listed), 0)?,
            table: cutter.table(all, Slot::default())?,
            dice: Dice::new(),
        })
    }

    /// The list of numbers that takes the caches' place.
    pub(super) fn list(&mut self) -> &mut Table<u16> {
        &mut self.keys
    }

    #[cfg(feature = "hosted")]
    pub(super) fn shift(&mut self, by: &crate::region::Shift) {
        self.each.shift(by);
        self.keys.shift(by);
        self.table.shift(by);
    }

    pub(super) fn len(&self) -> u32 {
        self.each.len()
    }

    /// A cache begins anew, with so many slots; its hits stay.
    pub(super) fn restart(&mut self, i: u32, used: u32) {
        for number in 0..self.slots(i) {
            *self.slot(i, number) = Slot::default();
            *self.key(i, number) = 0;
        }
        let Shadow {
            first, slots, hits, ..
        } = *self.shadow(i);
        *self.shadow(i) = Shadow {
            first,
            slots,
            hits,
            used: (used / 4).min(slots.into()) as u8,
            ..Shadow::default()
        };
    }

    pub(super) fn hits(&self, i: u32) -> u32 {
        self.each.at(i).hits
    }

    pub(super) fn set_hits(&mut self, i: u32, hits: u32) {
        self.shadow(i).hits = hits;
    }

    /// A request for a key. Returns whether the cache had it.
    pub(super) fn access(&mut self, i: u32, rule: &Rule, sampled: Sampled) -> bool {
        let Some(number) = find(self.keys_of(i), sampled.name) else {
            self.miss(i, rule, sampled);
            return false;
        };
        let state = &mut self.slot(i, number as u32).state;
        if u32::from(*state & USES) < USES_MAX {
            *state += 1;
        }
        true
    }

    fn first(&self, i: u32) -> u32 {
        u32::from(self.each.at(i).first) * 4
    }

    /// Slots of a cache in use, and all that it has.
    fn used(&self, i: u32) -> u32 {
        u32::from(self.each.at(i).used) * 4
    }

    fn slots(&self, i: u32) -> u32 {
        u32::from(self.each.at(i).slots) * 4
    }

    fn slot(&mut self, i: u32, slot: u32) -> &mut Slot {
        let first = self.first(i);
        self.table.at_mut(first + slot)
    }

    fn key(&mut self, i: u32, slot: u32) -> &mut u16 {
        let first = self.first(i);
        self.keys.at_mut(first + slot)
    }

    fn keys_of(&self, i: u32) -> &[u16] {
        self.keys.slice(self.first(i), self.slots(i))
    }

    fn shadow(&mut self, i: u32) -> &mut Shadow {
        self.each.at_mut(i)
    }

    fn weight_max(&self, i: u32) -> u32 {
        self.used(i) * UNIT
    }

    fn share(&self, i: u32, rule: &Rule) -> u32 {
        rule.window_of(self.used(i)) * UNIT
    }

    fn credit(class: u8) -> i32 {
        size::credit(MEAN, class.into())
    }

    /// An empty slot, where another item may come in.
    fn free_slot(&self, i: u32, weight: u32) -> Option<u32> {
        let fits = self.each.at(i).weight + weight <= self.weight_max(i);
        find(self.keys_of(i), 0).map(|n| n as u32).filter(|_| fits)
    }

    fn miss(&mut self, i: u32, rule: &Rule, Sampled { name, class }: Sampled) {
        let weight = weight_of(class);
        let remembered = self.take_ghost(i, name);
        if weight > self.weight_max(i) / 2 {
            return;
        }
        let (mut main, mut uses) = (remembered, 0);
        if self.free_slot(i, weight).is_some() {
            main |= self.shadow(i).window_weight >= self.share(i, rule);
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
        self.shadow(i).window_weight < self.share(i, rule) + weight.max(UNIT)
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
            let low = window < self.share(i, rule) || window == 0;
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
        for _ in 0..self.slots(i) {
            number = if number < self.slots(i) { number } else { 0 };
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
