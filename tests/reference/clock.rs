//! A hand sweeps in a circle, lowers the counts of items, and evicts the first item whose count is 0.
//!
//! # Source
//! F. J. Corbato, "A Paging Experiment with the Multics System", 1968; here with a count instead of a mark.

use super::Policy;

const NO_SLOT: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Slot {
    id: u32,
    count: u8,
}

pub(crate) struct Clock {
    capacity: usize,
    count_max: u8,
    slots: Vec<Slot>,
    slot_of: Vec<u32>,
    hand: usize,
}

impl Clock {
    /// With `count_max` 0 the policy is FIFO.
    pub(crate) fn new(capacity: usize, keys: usize, count_max: u8) -> Self {
        Self {
            capacity,
            count_max,
            slots: Vec::with_capacity(capacity),
            slot_of: vec![NO_SLOT; keys],
            hand: 0,
        }
    }

    fn evict(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (at + 1) % self.capacity;
            let slot = &mut self.slots[at];
            if slot.count == 0 {
                self.slot_of[slot.id as usize] = NO_SLOT;
                return at;
            }
            slot.count -= 1;
        }
    }
}

impl Policy for Clock {
    fn access(&mut self, id: u32) -> bool {
        if let Some(slot) = self.slots.get_mut(self.slot_of[id as usize] as usize) {
            slot.count = (slot.count + 1).min(self.count_max);
            return true;
        }
        let slot = Slot { id, count: 0 };
        let at = if self.held() < self.capacity {
            self.slots.push(slot);
            self.held() - 1
        } else {
            let at = self.evict();
            self.slots[at] = slot;
            at
        };
        self.slot_of[id as usize] = at as u32;
        false
    }

    fn held(&self) -> usize {
        self.slots.len()
    }
}
