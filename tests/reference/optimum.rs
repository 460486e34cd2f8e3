//! Belady's optimum with bypass: evicts the item whose next request is last, which may be the new item.
//!
//! An item is represented by the position of its next request. A request is a hit if its own position is in
//! the set. The set's largest position is evicted.
//!
//! # Source
//! L. A. Belady, "A Study of Replacement Algorithms for a Virtual-Storage Computer", 1966.

pub(super) const NEVER: u32 = u32::MAX;

/// The maximum number of hits of a cache of `capacity` items; `ids` are below `keys`.
pub(crate) fn optimum_hits(ids: &[u32], keys: usize, capacity: usize) -> u64 {
    let mut held = Positions::new(ids.len());
    let (mut hits, mut len) = (0, 0);
    for (now, next) in next_requests(ids, keys).into_iter().enumerate() {
        if held.remove(now) {
            hits += 1;
            len -= 1;
        }
        if next == NEVER {
            continue;
        }
        held.insert(next as usize);
        len += 1;
        if len > capacity {
            held.remove(held.last());
            len -= 1;
        }
    }
    hits
}

/// For each request, the position of the next one for the same key.
pub(super) fn next_requests(ids: &[u32], keys: usize) -> Vec<u32> {
    let mut next = vec![NEVER; ids.len()];
    let mut seen = vec![NEVER; keys];
    for (now, &id) in ids.iter().enumerate().rev() {
        next[now] = seen[id as usize];
        seen[id as usize] = now as u32;
    }
    next
}

/// A set of positions: one bit for each. A word of the next level marks which of 64 words are not 0.
pub(super) struct Positions {
    levels: Vec<Vec<u64>>,
}

impl Positions {
    pub(super) fn new(bound: usize) -> Self {
        let mut levels = Vec::new();
        let mut len = bound;
        while len > 1 || levels.is_empty() {
            len = len.div_ceil(64);
            levels.push(vec![0; len]);
        }
        Self { levels }
    }

    pub(super) fn insert(&mut self, mut at: usize) {
        for level in &mut self.levels {
            level[at / 64] |= 1 << (at % 64);
            at /= 64;
        }
    }

    pub(super) fn remove(&mut self, mut at: usize) -> bool {
        if self.levels[0][at / 64] >> (at % 64) & 1 == 0 {
            return false;
        }
        for level in &mut self.levels {
            level[at / 64] &= !(1 << (at % 64));
            if level[at / 64] != 0 {
                break;
            }
            at /= 64;
        }
        true
    }

    /// The largest position; the set is not empty.
    pub(super) fn last(&self) -> usize {
        let down = self.levels.iter().rev();
        down.fold(0, |word, level| word * 64 + level[word].ilog2() as usize)
    }
}
