//! Many requests in one call: the cache lines of all requests are prefetched before the first one is served.
//!
//! A batch is served in groups. Each group is served shard by shard, and locks each shard once. Requests
//! for one key keep their order, since they belong to one shard.
//!
//! With the feature `small` there is no prefetch: each request is a separate call.
//!
//! # Source
//! Group prefetching for hash tables: S. Chen et al., ACM TODS 32 (2007).

#![forbid(unsafe_code)]

use crate::cache::Cache;
use crate::hash::Hash;
#[cfg(not(feature = "small"))]
use crate::page::{GRANULE, Id};
use crate::shard::Shard;
use crate::status::{Error, Result};

/// Requests of a group: the maximum number of requests with prefetches under way.
#[cfg(not(feature = "small"))]
const GROUP: usize = 8;

#[cfg(feature = "small")]
impl Cache<'_> {
    /// Calls `run` for each request under the lock of its key's shard, with the key's hash. Calls `refuse`
    /// instead for an invalid key.
    pub(crate) fn for_each_request<'k, R>(
        &self,
        requests: &mut [R],
        needs_time: bool,
        key: impl Fn(&R) -> Result<&'k [u8]>,
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
    /// Calls `run` for each request under the lock of its key's shard, with the key's hash. Calls `refuse`
    /// instead for an invalid key.
    pub(crate) fn for_each_request<'k, R>(
        &self,
        requests: &mut [R],
        needs_time: bool,
        key: impl Fn(&R) -> Result<&'k [u8]>,
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
                    let large = shard.store.index.is_far();
                    if large {
                        for (_, hash) in turn() {
                            shard.prefetch_index(hash);
                        }
                        for (_, hash) in turn() {
                            shard.prefetch_item(hash);
                        }
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

#[cfg(not(feature = "small"))]
impl Shard {
    /// Prefetches the cache lines of the index that a lookup of this hash reads.
    fn prefetch_index(&self, hash: Hash) {
        let store = &self.store;
        let segment = store.index.segment(&store.pages, hash);
        store.index.prefetch(&store.pages, segment, hash);
    }

    /// Prefetches the cache lines of the first item whose index entry matches the hash.
    fn prefetch_item(&self, hash: Hash) {
        let store = &self.store;
        if let Some(Id(at)) = store.index.find(&store.pages, hash, |_| true) {
            store.pages.bytes().prefetch(at as usize * GRANULE);
            store.pages.bytes().prefetch((at as usize + 16) * GRANULE);
        }
    }
}
