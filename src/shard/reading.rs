//! Looking items up, and copying out what they hold. One that is found past its time goes.

#![forbid(unsafe_code)]

use super::{ItemInfo, Shard};
use crate::expiry::TTL_NEVER;
use crate::hash::Hash;
use crate::item::Type;
use crate::segment::Segment;
use crate::slab::{Id, Kind};
use crate::status::{Error, Result};

impl Shard {
    /// The item with this key, expired or not, and the first word of its header.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find(&self, hash: Hash, key: &[u8]) -> Option<(Id, u32)> {
        self.find_in(self.index.segment_of(&self.slab, hash), hash, key)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find_in(&self, segment: Segment, hash: Hash, key: &[u8]) -> Option<(Id, u32)> {
        let (slab, layout) = (&self.slab, self.layout);
        let mut word = 0;
        let id = segment.find(slab, hash, |id| {
            word = slab.word(id, 0);
            layout.key_is(slab, id, word, key)
        })?;
        Some((id, word))
    }

    /// The item with this key, if it is there and has not expired. One that has is taken out.
    pub(crate) fn lookup(&mut self, hash: Hash, key: &[u8]) -> Option<Id> {
        let (id, _) = self.find(hash, key)?;
        if self.layout.has_ttl(&self.slab, id) && self.expire_if_due(id, hash) {
            return None;
        }
        Some(id)
    }

    /// Takes an item out if its time has come.
    pub(crate) fn expire_if_due(&mut self, id: Id, hash: Hash) -> bool {
        let due = self.is_expired(id);
        if due {
            self.expire(id, hash);
        }
        due
    }

    pub(crate) fn is_expired(&self, id: Id) -> bool {
        self.expiry_at(id).is_some_and(|at| at <= self.time.now())
    }

    /// As [`Shard::lookup`], counted, and reported to the policy.
    pub(super) fn touch_hit(&mut self, hash: Hash, key: &[u8]) -> Result<Id> {
        self.policy.requested(hash);
        let Some(id) = self.lookup(hash, key) else {
            return self.miss(hash);
        };
        self.check_sum(id, hash)?;
        self.count_hit(id);
        Ok(id)
    }

    /// `Corrupt` where an item is not what was set any more: it is taken out.
    #[inline]
    pub(crate) fn check_sum(&mut self, id: Id, hash: Hash) -> Result<()> {
        if self.layout.is_intact(&self.slab, id, &self.hasher) {
            return Ok(());
        }
        self.remove_corrupt(id, hash)
    }

    #[cold]
    fn remove_corrupt(&mut self, id: Id, hash: Hash) -> Result<()> {
        self.counters.failed_corrupt += 1;
        if self.layout.is_whole(&self.slab, id) {
            self.remove(id, hash);
        } else {
            // Nobody knows which slots are its: they stay as they are until `clear` or `attach`.
            self.index.remove(&mut self.slab, hash, id);
            self.slab.set_kind(id, Kind::Pending);
        }
        Err(Error::Corrupt)
    }

    pub(crate) fn count_hit(&mut self, id: Id) {
        self.counters.hits += 1;
        self.policy_hit(id);
    }

    pub(super) fn policy_hit(&mut self, id: Id) {
        let word = self.slab.word(id, 0);
        self.policy.hit(&mut self.slab, id, word);
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn miss<T>(&mut self, hash: Hash) -> Result<T> {
        self.counters.misses += 1;
        self.missed = hash as u32;
        Err(Error::NotFound)
    }

    /// Copies the whole value; the length comes back even where the buffer is too short for it.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn get(
        &mut self,
        hash: Hash,
        key: &[u8],
        buffer: &mut [u8],
    ) -> Result<(usize, bool)> {
        self.policy.requested(hash);
        match self.find(hash, key) {
            Some((id, word)) => self.get_found(id, word, hash, buffer),
            None => self.miss(hash),
        }
    }

    /// As [`Shard::get`], where the item was found, expired or not.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn get_found(
        &mut self,
        id: Id,
        word: u32,
        hash: Hash,
        buffer: &mut [u8],
    ) -> Result<(usize, bool)> {
        let Some((at, len)) = self.layout.plain_value(word) else {
            return self.get_other(id, hash, buffer);
        };
        self.counters.hits += 1;
        self.policy.hit(&mut self.slab, id, word);
        match buffer.get_mut(..len) {
            Some(buffer) => {
                self.slab.copy_out(id, at, buffer);
                Ok((len, true))
            }
            None => Ok(self.too_short(len)),
        }
    }

    /// As [`Shard::get_found`], for an item that may expire, or whose value is in several pieces.
    #[inline(never)]
    fn get_other(&mut self, id: Id, hash: Hash, buffer: &mut [u8]) -> Result<(usize, bool)> {
        if self.layout.has_ttl(&self.slab, id) && self.expire_if_due(id, hash) {
            return self.miss(hash);
        }
        self.check_sum(id, hash)?;
        self.counters.hits += 1;
        self.policy_hit(id);
        Ok(self.copy_out(id, buffer))
    }

    /// Copies a value, if the buffer is long enough for it; its length, and whether it was.
    fn copy_out(&mut self, id: Id, buffer: &mut [u8]) -> (usize, bool) {
        let len = self.layout.value_len(&self.slab, id);
        match buffer.get_mut(..len) {
            Some(buffer) => {
                self.layout.read(&self.slab, id, 0, buffer);
                (len, true)
            }
            None => self.too_short(len),
        }
    }

    #[cold]
    fn too_short(&mut self, len: usize) -> (usize, bool) {
        self.counters.failed_buffer_too_small += 1;
        (len, false)
    }

    /// As [`Shard::get`], for a value of one type.
    pub(crate) fn get_of_type(
        &mut self,
        hash: Hash,
        key: &[u8],
        want: Type,
        buffer: &mut [u8],
    ) -> Result<(usize, bool)> {
        let found = self.lookup(hash, key);
        if found.is_some_and(|id| self.layout.value_type(&self.slab, id) != want) {
            self.counters.failed_type_mismatch += 1;
            return Err(Error::TypeMismatch);
        }
        let id = self.touch_hit(hash, key)?;
        Ok(self.copy_out(id, buffer))
    }

    /// Copies a part of the value; returns the bytes copied.
    pub(crate) fn get_range(
        &mut self,
        hash: Hash,
        key: &[u8],
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<usize> {
        let id = self.touch_hit(hash, key)?;
        let len = self.layout.value_len(&self.slab, id);
        let left = len.checked_sub(offset).ok_or(Error::Invalid)?;
        let len = left.min(buffer.len());
        if let Some(buffer) = buffer.get_mut(..len) {
            self.layout.read(&self.slab, id, offset, buffer);
        }
        Ok(len)
    }

    /// A value of eight bytes, if it is of this type.
    pub(crate) fn get_scalar(&mut self, hash: Hash, key: &[u8], want: Type) -> Result<[u8; 8]> {
        let id = self.touch_hit(hash, key)?;
        self.scalar(id, want)
    }

    pub(super) fn scalar(&mut self, id: Id, want: Type) -> Result<[u8; 8]> {
        if self.layout.value_type(&self.slab, id) != want {
            self.counters.failed_type_mismatch += 1;
            return Err(Error::TypeMismatch);
        }
        let mut bytes = [0; 8];
        self.layout.read(&self.slab, id, 0, &mut bytes);
        Ok(bytes)
    }

    pub(crate) fn info(&self, id: Id) -> ItemInfo<'_> {
        let (slab, layout) = (&self.slab, self.layout);
        ItemInfo {
            key: layout.key(slab, id),
            span: layout.first_span(slab, id),
            value_len: layout.value_len(slab, id),
            value_type: layout.value_type(slab, id),
            memory: layout.footprint(slab, id),
            ttl_ms: self.ttl_of(id),
            age_ms: layout.set_time(slab, id).map(|t| self.time.since(t)),
        }
    }

    /// Milliseconds until an item expires; [`TTL_NEVER`] if it does not.
    pub(crate) fn ttl_of(&self, id: Id) -> u64 {
        match self.expiry_at(id) {
            Some(at) if at != u64::MAX => at.saturating_sub(self.time.now()),
            _ => TTL_NEVER,
        }
    }
}
