//! A small queue for new items, a main queue for items used in the small one, and ghosts.
//!
//! # Source
//! J. Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023: a small queue of a
//! tenth, two hits to leave it for the main queue, ghosts for as many items as the main queue has.

use super::Policy;
use super::lists::Lists;

const SMALL: u8 = 0;
const MAIN: u8 = 1;
const GHOST: u8 = 2;
const COUNT_MAX: u8 = 3;
const PROMOTE_AT: u8 = 2;

pub(crate) struct S3Fifo {
    small_max: usize,
    main_max: usize,
    lists: Lists,
    counts: Vec<u8>,
}

impl S3Fifo {
    pub(crate) fn new(capacity: usize, keys: usize) -> Self {
        let small_max = (capacity / 10).max(1);
        Self {
            small_max,
            main_max: capacity - small_max,
            lists: Lists::new(3, keys),
            counts: vec![0; keys],
        }
    }

    fn push_main(&mut self, id: u32) {
        if self.lists.len(MAIN) >= self.main_max {
            self.evict_main();
        }
        self.lists.push(MAIN, id);
    }

    fn push_ghost(&mut self, id: u32) {
        if self.lists.len(GHOST) >= self.main_max.max(1) {
            self.lists.pop(GHOST);
        }
        self.lists.push(GHOST, id);
    }

    fn evict_main(&mut self) {
        while let Some(id) = self.lists.pop(MAIN) {
            let count = &mut self.counts[id as usize];
            if *count == 0 {
                return;
            }
            *count -= 1;
            self.lists.push(MAIN, id);
        }
    }

    fn evict_small(&mut self) {
        while let Some(id) = self.lists.pop(SMALL) {
            if self.counts[id as usize] < PROMOTE_AT {
                self.push_ghost(id);
                return;
            }
            self.counts[id as usize] = 0;
            self.push_main(id);
        }
    }

    fn make_room(&mut self) {
        while self.held() >= self.small_max + self.main_max {
            if self.lists.len(SMALL) >= self.small_max || self.lists.len(MAIN) == 0 {
                self.evict_small();
            } else {
                self.evict_main();
            }
        }
    }
}

impl Policy for S3Fifo {
    fn access(&mut self, id: u32) -> bool {
        let list = self.lists.list_of(id);
        let count = &mut self.counts[id as usize];
        if matches!(list, Some(SMALL | MAIN)) {
            *count = (*count + 1).min(COUNT_MAX);
            return true;
        }
        *count = 0;
        if list == Some(GHOST) {
            self.lists.remove(id);
            self.make_room();
            self.push_main(id);
        } else {
            self.make_room();
            self.lists.push(SMALL, id);
        }
        false
    }

    fn held(&self) -> usize {
        self.lists.len(SMALL) + self.lists.len(MAIN)
    }
}
