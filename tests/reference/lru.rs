//! Evicts the least recently used item.

use super::Policy;
use super::lists::Lists;

pub(crate) struct Lru {
    capacity: usize,
    lists: Lists,
}

impl Lru {
    pub(crate) fn new(capacity: usize, keys: usize) -> Self {
        Self {
            capacity,
            lists: Lists::new(1, keys),
        }
    }
}

impl Policy for Lru {
    fn access(&mut self, id: u32) -> bool {
        if self.lists.list_of(id).is_some() {
            self.lists.renew(0, id);
            return true;
        }
        if self.held() == self.capacity {
            self.lists.pop(0);
        }
        self.lists.push(0, id);
        false
    }

    fn held(&self) -> usize {
        self.lists.len(0)
    }
}
