//! Many requests in one call: what the index and the items need is fetched for all of them before the
//! first waits for it.
//!
//! A batch is taken in groups, and each group shard by shard, each shard under its lock once. Requests
//! for one key stay in their order, since they are of one shard.
//!
//! # Source
//! Group prefetching for hash tables: S. Chen et al., ACM TODS 32 (2007).
//!
//! Where code has to be small, nothing is fetched ahead: each request is a call of its own.

#![forbid(unsafe_code)]

use crate::cache::Cache;
use crate::hash::Hash;
#[cfg(not(feature = "small"))]
use crate::item::marks;
use crate::shard::Shard;
#[cfg(not(feature = "small"))]
use crate::slab::{Id, Kind};
use crate::status::{Error, Result};

/// Requests of a group: so many misses of the caches are under way at most.
#[cfg(not(feature = "small"))]
const GROUP: usize = 8;

/// A shard of so few bytes lies in the processor's caches: to ask for its lines costs more than it brings.
#[cfg(not(feature = "small"))]
const SMALL: usize = 1 << 20;

#[cfg(feature = "small")]
impl Cache<'_> {
    /// Calls `run` for each request under the lock of its key's shard, with the key's hash. A key that
    /// cannot be one goes to `refuse` instead.
    pub(crate) fn for_each_request<'k, R>(
        &self,
        requests: &mut [R],
        needs_time: bool,
        key: impl Fn(&R) -> Result<&'k [u8]>,
        _: impl Fn(&R) -> Option<usize>,
        mut run: impl FnMut(&mut Shard, &mut R, &'k [u8], Hash),
        mut refuse: impl FnMut(&mut R, Error),
    ) -> Result<()> {
        for request in requests {
            let done = key(request).and_then(|key| {
                self.with_key(key, needs_time, |shard, hash| {
                    run(shard, request, key, hash);
                    Ok(())
                })
            });
            match done {
                Err(Error::Busy) => return done,
                Err(error) => refuse(request, error),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

#[cfg(not(feature = "small"))]
impl Cache<'_> {
    /// Calls `run` for each request under the lock of its key's shard, with the key's hash. A key that
    /// cannot be one goes to `refuse` instead. `size`: that of the item to store, if there is one.
    pub(crate) fn for_each_request<'k, R>(
        &self,
        requests: &mut [R],
        needs_time: bool,
        key: impl Fn(&R) -> Result<&'k [u8]>,
        size: impl Fn(&R) -> Option<usize>,
        mut run: impl FnMut(&mut Shard, &mut R, &'k [u8], Hash),
        mut refuse: impl FnMut(&mut R, Error),
    ) -> Result<()> {
        for group in requests.chunks_mut(GROUP) {
            let mut hashes = [0; GROUP];
            let mut waiting = 0u32;
            for (i, (request, hash)) in group.iter_mut().zip(&mut hashes).enumerate() {
                match key(request) {
                    Ok(key) => {
                        *hash = self.hash(key);
                        waiting |= 1 << i;
                    }
                    Err(error) => refuse(request, error),
                }
            }
            while waiting != 0 {
                let first = hashes.get(waiting.trailing_zeros() as usize);
                let number = self.shard_of(first.copied().unwrap_or(0));
                let mine = |&i: &usize| {
                    let hash = hashes.get(i).copied().unwrap_or(0);
                    waiting >> i & 1 != 0 && self.shard_of(hash) == number
                };
                let turn = (0..GROUP).filter(mine).fold(0u32, |turn, i| turn | 1 << i);
                waiting &= !turn;
                let turn = || {
                    let in_turn = move |&(i, _): &(usize, _)| turn >> i & 1 != 0;
                    hashes.iter().copied().enumerate().filter(in_turn)
                };
                self.with_shard(number, |shard| {
                    self.look_at_clock(shard, needs_time);
                    let large = shard.slab.page_count() as usize * shard.slab.page_size() > SMALL;
                    let stored = group.get(turn().next().map_or(0, |(i, _)| i));
                    if large {
                        let victims = stored
                            .and_then(&size)
                            .map(|size| shard.prefetch_victims(size, turn().count()));
                        for (_, hash) in turn() {
                            shard.prefetch_index(hash);
                        }
                        for (_, hash) in turn() {
                            shard.prefetch_item(hash);
                        }
                        shard.prefetch_index_of(victims.as_deref().unwrap_or(&[]));
                    }
                    for (i, hash) in turn() {
                        if let Some(request) = group.get_mut(i)
                            && let Ok(key) = key(request)
                        {
                            match shard.check_key(key) {
                                Ok(()) => run(shard, request, key, hash),
                                Err(error) => refuse(request, error),
                            }
                        }
                    }
                })?;
            }
        }
        Ok(())
    }
}

/// Items that are likely to go next.
#[cfg(not(feature = "small"))]
type Victims = heapless::Vec<Id, { 2 * GROUP }>;

#[cfg(not(feature = "small"))]
impl Shard {
    /// Asks for the first lines of the items that would go for `count` others of about `size` bytes.
    fn prefetch_victims(&self, size: usize, count: usize) -> Victims {
        let mut victims = Victims::new();
        let largest = self.slab.largest_class();
        let class = if size > self.slab.slot_size(largest) {
            largest
        } else {
            self.slab.class_for(size)
        };
        if self.slab.is_stuck(class, self.reserve) {
            self.policy.upcoming(&self.slab, class, |id| {
                self.slab.prefetch(id, 0);
                victims.push(id).is_ok() && victims.len() < 2 * count
            });
        }
        victims
    }

    /// Asks for the lines of the index that name these items, as far as nobody used them.
    fn prefetch_index_of(&self, ids: &[Id]) {
        for &id in ids {
            let word = self.slab.word(id, 0);
            if Kind::of(word) == Kind::Item && marks::is_unused(word) {
                self.prefetch_index(self.hash_of(id));
            }
        }
    }

    /// Asks for the index's lines that a lookup of this hash reads.
    fn prefetch_index(&self, hash: Hash) {
        let segment = self.index.segment_of(&self.slab, hash);
        self.index.prefetch(&self.slab, segment, hash);
    }

    /// Asks for the lines of the item that is most likely the one.
    fn prefetch_item(&self, hash: Hash) {
        let segment = self.index.segment_of(&self.slab, hash);
        if let Some(id) = segment.find(&self.slab, hash, |_| true) {
            self.slab.prefetch(id, 0);
            self.slab.prefetch(id, 16);
        }
    }
}
