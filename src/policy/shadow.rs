//! Miniature simulations of the two queues, one for each rule: they tell which rule suits.
//!
//! A sample of the keys, by hash, also runs through a small cache of fingerprints for each rule, so
//! small that its items are to all items as the sampled keys are to all keys. After every
//! [`PERIODS`] times as many sampled requests as a shadow has slots, the rule with the most hits is
//! adopted, if it has 2% more than the present one; older hits count half.
//!
//! # Layout
//! ```text
//! keys     16 bits a slot     the fingerprints
//! state     8 bits a slot     | used | main | uses 2 |
//! ghosts    8 bits a slot     buckets of four, first in first out; 0 = none
//! ```

#![forbid(unsafe_code)]

use super::rule::{Dice, FREQ_MAX, MAIN_STEPS, RULES, Rule, WINDOW_STEPS};
use crate::region::{Cutter, Table};

const SLOTS_MAX: usize = 128;
const PERIODS: u32 = 4;
/// Areas of fewer bytes of pages have no shadows: they would cost more than they bring.
const AREA_MIN: usize = 16 << 10;
/// Bytes of pages for each slot of a shadow.
const AREA_PER_SLOT: usize = 512;

const USED: u8 = 8;
const MAIN: u8 = 4;
const USES: u8 = 3;

/// One simulated cache.
#[derive(Clone, Copy, Debug, Default)]
struct Shadow {
    count: u32,
    window_count: u32,
    main_hand: u32,
    window_hand: u32,
    hits: u32,
}

/// All of them, and the rule adopted.
#[derive(Debug)]
pub(crate) struct Shadows {
    slots: u32,
    each: [Shadow; RULES.len()],
    keys: Table<u16>,
    state: Table<u8>,
    ghosts: Table<u8>,
    current: usize,
    requests: u32,
    dice: Dice,
}

fn slots_for(area: usize) -> usize {
    if area < AREA_MIN { 0 } else { (area / AREA_PER_SLOT).min(SLOTS_MAX) & !3 }
}

impl Shadows {
    pub(crate) fn table_size(area: usize) -> Option<usize> {
        let all = slots_for(area) * RULES.len();
        let keys = Table::<u16>::size(all)?;
        keys.checked_add(2 * Table::<u8>::size(all)?)?.checked_add(3 * crate::region::ALIGN)
    }

    pub(crate) fn new(cutter: &mut Cutter, area: usize) -> Option<Self> {
        let slots = slots_for(area) as u32;
        let all = slots * RULES.len() as u32;
        Some(Self {
            slots,
            each: [Shadow::default(); RULES.len()],
            keys: cutter.table(all, 0)?,
            state: cutter.table(all, 0)?,
            ghosts: cutter.table(all, 0)?,
            current: 0,
            requests: 0,
            dice: Dice::new(),
        })
    }

    #[inline]
    pub(crate) fn rule(&self) -> Rule {
        RULES.get(self.current).copied().unwrap_or(RULES[0])
    }

    /// A request: sampled or not.
    #[inline]
    pub(crate) fn requested(&mut self, hash: u64, items: u64) {
        let sample = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // One key in items / slots; in a cache of few items, one in four.
        let among = items.max(4 * u64::from(self.slots)) as u32;
        if (((sample >> 32) * u64::from(among)) >> 32) as u32 >= self.slots {
            return;
        }
        self.simulate(sample as u32);
    }

    #[cold]
    fn simulate(&mut self, key: u32) {
        for (i, rule) in RULES.iter().enumerate() {
            let hit = self.access(i, rule, key);
            if let Some(shadow) = self.each.get_mut(i) {
                shadow.hits += u32::from(hit);
            }
        }
        self.requests += 1;
        if self.requests >= PERIODS * self.slots {
            self.requests = 0;
            self.choose();
        }
    }

    fn hits(&self, i: usize) -> u32 {
        self.each.get(i).map_or(0, |shadow| shadow.hits)
    }

    fn choose(&mut self) {
        let best = (0..RULES.len()).rev().max_by_key(|&i| self.hits(i)).unwrap_or(0);
        if u64::from(self.hits(best)) * 100 > u64::from(self.hits(self.current)) * 102 {
            self.current = best;
        }
        for shadow in &mut self.each {
            // In steps of a sixteenth, so that halving loses nothing for a while.
            shadow.hits /= 2;
        }
    }

    // ---- one simulated cache -------------------------------------------------------------------

    fn at(&self, i: usize, slot: u32) -> u32 {
        i as u32 * self.slots + slot
    }

    fn shadow(&mut self, i: usize) -> &mut Shadow {
        // RULES.len() shadows, and i counts them.
        let last = RULES.len() - 1;
        &mut self.each[if i < RULES.len() { i } else { last }]
    }

    /// A request for a sampled key; whether it hits.
    fn access(&mut self, i: usize, rule: &Rule, key: u32) -> bool {
        let (first, name) = (self.at(i, 0), key as u16);
        for at in first..first + self.slots {
            let state = *self.state.at(at);
            if *self.keys.at(at) == name && state & USED != 0 {
                if u32::from(state & USES) < FREQ_MAX {
                    *self.state.at_mut(at) = state + 1;
                }
                return true;
            }
        }
        self.miss(i, rule, key);
        false
    }

    fn miss(&mut self, i: usize, rule: &Rule, key: u32) {
        let remembered = self.take_ghost(i, key as u16);
        let mut again = false;
        let shadow = *self.shadow(i);
        let (slot, main) = if shadow.count < self.slots {
            self.shadow(i).count += 1;
            let full = shadow.window_count >= rule.window_of(self.slots);
            (shadow.count, remembered || full)
        } else if let Some(slot) = self.enter_main(i, rule, remembered) {
            (slot, true)
        } else {
            again = remembered && self.main_is_full(i, rule) && rule.again;
            (self.evict(i, rule), remembered && !self.main_is_full(i, rule))
        };
        let uses = if again && !main { rule.uses as u8 } else { 0 };
        self.shadow(i).window_count += u32::from(!main);
        let at = self.at(i, slot);
        *self.keys.at_mut(at) = key as u16;
        *self.state.at_mut(at) = USED | if main { MAIN } else { 0 } | uses;
    }

    fn main_is_full(&mut self, i: usize, rule: &Rule) -> bool {
        let main = self.slots - self.shadow(i).window_count;
        main >= self.slots - rule.window_of(self.slots)
    }

    /// The slot of a main item that gives way to one that was remembered.
    fn enter_main(&mut self, i: usize, rule: &Rule, remembered: bool) -> Option<u32> {
        if !remembered || !self.main_is_full(i, rule) {
            return None;
        }
        let slot = self.gate(i, rule)?;
        self.drop_slot(i, slot);
        Some(slot)
    }

    fn gate(&mut self, i: usize, rule: &Rule) -> Option<u32> {
        let steps = if rule.looks == 0 { MAIN_STEPS } else { rule.looks };
        self.search_main(i, steps, rule.looks == 0)
    }

    fn search_main(&mut self, i: usize, steps: u32, must: bool) -> Option<u32> {
        let mut best: Option<(u8, u32)> = None;
        for _ in 0..steps {
            let slot = self.next(i, true)?;
            let state = self.state.at_mut(i as u32 * self.slots + slot);
            if *state & USES == 0 {
                return Some(slot);
            }
            *state -= 1;
            let uses = *state & USES;
            if best.is_none_or(|(least, _)| uses < least) {
                best = Some((uses, slot));
            }
        }
        best.filter(|_| must).map(|(_, slot)| slot)
    }

    /// Evicts, and returns the slot that is free then.
    fn evict(&mut self, i: usize, rule: &Rule) -> u32 {
        let mut slot = 0;
        for left in (0..WINDOW_STEPS).rev() {
            let window = self.shadow(i).window_count;
            if window < rule.window_of(self.slots) || window == 0 {
                slot = self.search_main(i, MAIN_STEPS, true).unwrap_or(0);
                break;
            }
            slot = self.next(i, false).unwrap_or(0);
            let state = *self.state.at(self.at(i, slot));
            let passes = u32::from(state & USES) >= rule.uses || self.dice.one_in(rule.lucky);
            if left == 0 || !passes {
                break;
            }
            if !self.main_is_full(i, rule) {
                self.pass(i, slot);
                continue;
            }
            if let Some(victim) = self.gate(i, rule) {
                self.pass(i, slot);
                slot = victim;
                break;
            }
            if !rule.stay || state & USES == 0 {
                break;
            }
            let at = self.at(i, slot);
            *self.state.at_mut(at) = state - 1;
        }
        self.drop_slot(i, slot);
        slot
    }

    fn pass(&mut self, i: usize, slot: u32) {
        let at = self.at(i, slot);
        *self.state.at_mut(at) = USED | MAIN;
        self.shadow(i).window_count -= 1;
    }

    /// The slot's item goes, and is remembered.
    fn drop_slot(&mut self, i: usize, slot: u32) {
        let at = self.at(i, slot);
        if *self.state.at(at) & MAIN == 0 {
            let shadow = self.shadow(i);
            shadow.window_count = shadow.window_count.saturating_sub(1);
        }
        *self.state.at_mut(at) = 0;
        let name = *self.keys.at(at);
        self.add_ghost(i, name);
    }

    /// The next slot of one queue, from its hand on.
    fn next(&mut self, i: usize, main: bool) -> Option<u32> {
        let shadow = *self.shadow(i);
        let start = if main { shadow.main_hand } else { shadow.window_hand };
        for step in 0..self.slots {
            let slot = if start + step < self.slots { start + step } else { start + step - self.slots };
            let state = *self.state.at(self.at(i, slot));
            if state & USED != 0 && (state & MAIN != 0) == main {
                let shadow = self.shadow(i);
                let hand = if main { &mut shadow.main_hand } else { &mut shadow.window_hand };
                *hand = slot + 1;
                return Some(slot);
            }
        }
        None
    }

    /// First entry of the bucket that a key's ghost belongs to, and the ghost.
    fn ghost(&self, i: usize, name: u16) -> (u32, u8) {
        let mixed = u32::from(name).wrapping_mul(0x9e37_79b1);
        let bucket = ((mixed >> 16) * (self.slots / 4)) >> 16;
        (self.at(i, bucket * 4), ((mixed >> 8) as u8).max(1))
    }

    fn add_ghost(&mut self, i: usize, name: u16) {
        let (first, ghost) = self.ghost(i, name);
        for at in (first..first + 3).rev() {
            *self.ghosts.at_mut(at + 1) = *self.ghosts.at(at);
        }
        *self.ghosts.at_mut(first) = ghost;
    }

    fn take_ghost(&mut self, i: usize, name: u16) -> bool {
        let (first, ghost) = self.ghost(i, name);
        let Some(found) = (first..first + 4).find(|&at| *self.ghosts.at(at) == ghost) else {
            return false;
        };
        for at in found..first + 3 {
            *self.ghosts.at_mut(at) = *self.ghosts.at(at + 1);
        }
        *self.ghosts.at_mut(first + 3) = 0;
        true
    }
}
