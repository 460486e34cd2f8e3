//! Two lists, of items used once and of items used again. Hits of ghosts change the lists' shares.
//!
//! # Source
//! N. Megiddo, D. S. Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003.

use super::Policy;
use super::lists::Lists;

const ONCE: u8 = 0;
const AGAIN: u8 = 1;
const ONCE_GHOST: u8 = 2;
const AGAIN_GHOST: u8 = 3;

pub(crate) struct Arc {
    capacity: usize,
    /// The target size of `ONCE` in items.
    target: usize,
    lists: Lists,
}

impl Arc {
    pub(crate) fn new(capacity: usize, keys: usize) -> Self {
        Self {
            capacity,
            target: 0,
            lists: Lists::new(4, keys),
        }
    }

    /// Makes an item a ghost. `again`: whether the new item is a ghost of `AGAIN`.
    fn replace(&mut self, again: bool) {
        let once = self.lists.len(ONCE);
        let over = once > self.target || again && once == self.target;
        if once > 0 && (over || self.lists.len(AGAIN) == 0) {
            self.lists.shift(ONCE, ONCE_GHOST);
        } else {
            self.lists.shift(AGAIN, AGAIN_GHOST);
        }
    }

    fn ghost_hit(&mut self, ghosts: u8, id: u32) {
        let [once, again] = [ONCE_GHOST, AGAIN_GHOST].map(|list| self.lists.len(list));
        self.target = if ghosts == ONCE_GHOST {
            (self.target + (again / once).max(1)).min(self.capacity)
        } else {
            self.target.saturating_sub((once / again).max(1))
        };
        self.lists.remove(id);
        self.replace(ghosts == AGAIN_GHOST);
        self.lists.push(AGAIN, id);
    }

    fn miss(&mut self, id: u32) {
        let [once, again, once_ghosts, again_ghosts] =
            [ONCE, AGAIN, ONCE_GHOST, AGAIN_GHOST].map(|list| self.lists.len(list));
        let all = once + again + once_ghosts + again_ghosts;
        if once == self.capacity {
            self.lists.pop(ONCE);
        } else if once + once_ghosts == self.capacity {
            self.lists.pop(ONCE_GHOST);
            self.replace(false);
        } else if all >= self.capacity {
            if all == 2 * self.capacity {
                self.lists.pop(AGAIN_GHOST);
            }
            self.replace(false);
        }
        self.lists.push(ONCE, id);
    }
}

impl Policy for Arc {
    fn access(&mut self, id: u32) -> bool {
        match self.lists.list_of(id) {
            Some(ONCE | AGAIN) => {
                self.lists.renew(AGAIN, id);
                return true;
            }
            Some(ghosts) => self.ghost_hit(ghosts, id),
            None => self.miss(id),
        }
        false
    }

    fn held(&self) -> usize {
        self.lists.len(ONCE) + self.lists.len(AGAIN)
    }
}
