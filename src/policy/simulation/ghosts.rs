//! What a simulated cache remembers of evicted items.

#![forbid(unsafe_code)]

use super::Simulation;

impl Simulation {
    /// First slot of the bucket that a key's ghost belongs to, and the ghost.
    fn ghost(&self, i: u32, name: u16) -> (u32, u8) {
        let mixed = u32::from(name).wrapping_mul(0x9e37_79b1);
        let bucket = ((mixed >> 16) * (self.used(i) / 4)) >> 16;
        (bucket * 4, ((mixed >> 8) as u8).max(1))
    }

    pub(super) fn add_ghost(&mut self, i: u32, name: u16) {
        let (first, ghost) = self.ghost(i, name);
        for number in (first..first + 3).rev() {
            let newer = self.slot(i, number).ghost;
            self.slot(i, number + 1).ghost = newer;
        }
        self.slot(i, first).ghost = ghost;
    }

    pub(super) fn take_ghost(&mut self, i: u32, name: u16) -> bool {
        let (first, ghost) = self.ghost(i, name);
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
