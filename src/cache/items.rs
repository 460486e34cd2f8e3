//! Items with their tags and versions.

#![forbid(unsafe_code)]

use super::Cache;
use crate::hash::{Hash, wide};
use crate::item::Type;
use crate::shard::{End, ItemMeta, Lease, NewValue, Overflow, PutMode, Reading};
use crate::status::Result;

/// A value to store, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Put<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value.
    pub value: &'a [u8],
    /// Its time to live, as for [`Cache::set`]; [`TTL_KEEP`](crate::TTL_KEEP) = that of the item that it replaces.
    pub ttl_ms: u64,
    /// Under which condition.
    pub mode: PutMode,
    /// The host's tag; 0 without [`Config::item_tags`](crate::Config::item_tags).
    pub tag: u32,
    /// `NoMemory` rather than evict an item for it.
    pub no_evict: bool,
}

impl Cache<'_> {
    /// Stores a value under a condition, with a tag; returns its version, 0 where the cache keeps none.
    ///
    /// # Errors
    /// As [`Cache::set`], and what [`PutMode`] says; `Invalid` for a tag or a version where the cache keeps none. A put
    /// that failed changed nothing, but for other items that went where it was not `no_evict`.
    ///
    /// # Time
    /// As [`Cache::set`].
    pub fn put(&self, put: &Put<'_>) -> Result<u64> {
        let value = NewValue {
            tag: put.tag,
            ..NewValue::new(put.value, Type::Bytes, put.ttl_ms)
        };
        let needs_time = self.needs_time(put.ttl_ms);
        self.with_key(put.key, needs_time, |shard, hash| {
            shard.put(hash, put.key, &value, put.mode, !put.no_evict)
        })
    }

    /// Copies a value into a buffer, with all that is known of its item; whether it was copied, which it is not where
    /// the buffer is shorter.
    ///
    /// # Errors
    /// `NotFound` on a miss.
    ///
    /// # Time
    /// O(value length).
    pub fn get_item(
        &self,
        key: &[u8],
        buffer: &mut [u8],
        how: Reading,
    ) -> Result<(ItemMeta, bool)> {
        self.with_key(key, self.head().item_times, |shard, hash| {
            shard.get_item(hash, key, buffer, how)
        })
    }

    /// Changes the bits of an item's tag that `mask` names to those of `bits`, where it lies; returns the old tag.
    /// Neither counted nor reported to the policy; the version stays.
    ///
    /// # Errors
    /// `NotFound` on a miss; `Invalid` where the cache keeps no tags.
    pub fn set_tag(&self, key: &[u8], mask: u32, bits: u32) -> Result<u32> {
        self.with_key(key, false, |shard, hash| {
            shard.set_tag(hash, key, mask, bits)
        })
    }

    /// Adds bytes behind a value of bytes, whose TTL and tag stay.
    ///
    /// # Errors
    /// `NotFound` on a miss; `TypeMismatch` where the value is not bytes; else as [`Cache::set`].
    ///
    /// # Time
    /// As [`Cache::set`] of the whole value.
    pub fn append(&self, key: &[u8], bytes: &[u8]) -> Result<()> {
        self.extend(key, bytes, End::Back)
    }

    /// As [`Cache::append`], before the value.
    ///
    /// # Errors
    /// As [`Cache::append`].
    pub fn prepend(&self, key: &[u8], bytes: &[u8]) -> Result<()> {
        self.extend(key, bytes, End::Front)
    }

    pub(crate) fn extend(&self, key: &[u8], bytes: &[u8], end: End) -> Result<()> {
        let needs_time = self.needs_time(0);
        self.with_key(key, needs_time, |shard, hash| {
            shard.extend(hash, key, bytes, end)
        })
    }

    /// Adds to an integer without sign, whose TTL and tag stay, and returns the sum.
    ///
    /// # Errors
    /// `NotFound` on a miss; `TypeMismatch` where the value is something else.
    pub fn add_u64(&self, key: &[u8], by: i64, overflow: Overflow) -> Result<u64> {
        self.with_key(key, false, |shard, hash| {
            shard.add_u64(hash, key, by, overflow)
        })
    }

    /// The right to fetch and [`fill`](Cache::fill) a key that has no value: the first who asks gets it. It takes room
    /// as a small item does, may be evicted as one, and is gone after `lease_ms`.
    ///
    /// # Errors
    /// `Exists` where there is a value; `Busy` where another caller has the lease; `Invalid` for a `lease_ms` of 0 or
    /// none at all; else as [`Cache::set`].
    ///
    /// # Time
    /// As [`Cache::set`].
    pub fn lease(&self, key: &[u8], lease_ms: u64) -> Result<Lease> {
        self.with_key(key, true, |shard, hash| {
            let token = shard.lease(hash, key, lease_ms, self.process())?;
            Ok(Lease {
                hash: wide(hash),
                token,
            })
        })
    }

    /// Stores the value that a lease was taken for.
    ///
    /// # Errors
    /// `Stale` where the key was deleted, set or cleared since, or the lease ran out or was evicted: nothing is
    /// stored then; else as [`Cache::set`], and the lease may be gone.
    ///
    /// # Time
    /// As [`Cache::set`].
    pub fn fill(&self, lease: &Lease, value: &[u8], ttl_ms: u64) -> Result<()> {
        let hash = lease.hash as Hash;
        let value = NewValue::new(value, Type::Bytes, ttl_ms);
        let mut shard = self.lock(self.cell_of(hash), true)?;
        self.look_at_clock(&mut shard, self.needs_time(ttl_ms));
        let done = shard.fill(hash, lease.token, &value);
        self.leave(shard, true);
        done
    }
}
