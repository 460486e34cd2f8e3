//! LRU of items with sizes and expiry. Only key and value bytes count: no header, no index, no rounding.

use super::lists::Lists;

/// The facts of an item.
#[derive(Clone, Copy, Default)]
pub(crate) struct Entry {
    pub(crate) bytes: u64,
    pub(crate) expires_ms: u64,
}

pub(crate) struct ByteLru {
    capacity: u64,
    used: u64,
    lists: Lists,
    entries: Vec<Entry>,
}

impl ByteLru {
    pub(crate) fn new(capacity: u64, keys: usize) -> Self {
        Self {
            capacity,
            used: 0,
            lists: Lists::new(1, keys),
            entries: vec![Entry::default(); keys],
        }
    }

    /// Whether the item exists. A hit makes it the last one to be evicted.
    pub(crate) fn get(&mut self, id: u32, now_ms: u64) -> bool {
        if self.lists.list_of(id).is_none() {
            return false;
        }
        if self.entries[id as usize].expires_ms <= now_ms {
            self.delete(id);
            return false;
        }
        self.lists.renew(0, id);
        true
    }

    /// Stores an item if it fits, and evicts the oldest items for it.
    pub(crate) fn set(&mut self, id: u32, entry: Entry) {
        self.delete(id);
        if entry.bytes > self.capacity {
            return;
        }
        while self.used + entry.bytes > self.capacity {
            let oldest = self.lists.oldest(0).expect("bytes used are an item's");
            self.delete(oldest);
        }
        self.lists.push(0, id);
        self.entries[id as usize] = entry;
        self.used += entry.bytes;
    }

    pub(crate) fn delete(&mut self, id: u32) {
        if self.lists.list_of(id).is_some() {
            self.lists.remove(id);
            self.used -= self.entries[id as usize].bytes;
        }
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }
}
