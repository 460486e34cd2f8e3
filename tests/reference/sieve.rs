//! A hand moves from the oldest item to the newest and spares each used item once. Items are never moved.
//!
//! # Source
//! Y. Zhang et al., "SIEVE is Simpler than LRU", NSDI 2024.

use super::Policy;
use super::lists::Lists;

pub(crate) struct Sieve {
    capacity: usize,
    lists: Lists,
    visited: Vec<bool>,
    hand: Option<u32>,
}

impl Sieve {
    pub(crate) fn new(capacity: usize, keys: usize) -> Self {
        Self {
            capacity,
            lists: Lists::new(1, keys),
            visited: vec![false; keys],
            hand: None,
        }
    }

    fn evict(&mut self) {
        while let Some(id) = self.hand.or(self.lists.oldest(0)) {
            self.hand = self.lists.newer(id);
            if !self.visited[id as usize] {
                self.lists.remove(id);
                return;
            }
            self.visited[id as usize] = false;
        }
    }
}

impl Policy for Sieve {
    fn access(&mut self, id: u32) -> bool {
        if self.lists.list_of(id).is_some() {
            self.visited[id as usize] = true;
            return true;
        }
        if self.held() == self.capacity {
            self.evict();
        }
        self.lists.push(0, id);
        self.visited[id as usize] = false;
        false
    }

    fn held(&self) -> usize {
        self.lists.len(0)
    }
}
