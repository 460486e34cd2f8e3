//! Looking items up, and copying out what they hold. One that is found past its time goes.

#![forbid(unsafe_code)]

use super::{ItemInfo, ItemMeta, Reading, Shard};
use crate::expiry::TTL_NEVER;
use crate::hash::Hash;
use crate::item::{Head, Items, Type};
use crate::page::{GRANULE, Id};
use crate::planted;
use crate::status::{Error, Result};

impl Shard {
    /// The item with this key, if it is there and has not expired. One that has is taken out.
    pub(crate) fn lookup(&mut self, hash: Hash, key: &[u8]) -> Option<(Id, Head)> {
        let found = self.store.find(hash, key)?;
        self.unexpired(found)
    }

    /// As [`Shard::lookup`]; a miss is counted.
    pub(super) fn lookup_counted(&mut self, hash: Hash, key: &[u8]) -> Result<(Id, Head)> {
        let found = self.store.find(hash, key);
        if let Some(found) = found.and_then(|found| self.unexpired(found)) {
            return Ok(found);
        }
        let was_expired = found.is_some_and(|(_, head)| !head.is_lease());
        self.store.counters.misses_expired += u64::from(was_expired);
        self.miss()
    }

    /// What was found, if it is a value that has not expired.
    fn unexpired(&mut self, (id, head): (Id, Head)) -> Option<(Id, Head)> {
        let is_value = self.keeps((id, head));
        let is_expired = is_value && head.has_ttl() && self.store.is_expired(id, head);
        (is_value && !is_expired).then_some((id, head))
    }

    /// Whether what was found is a value that may be read, in its grace too. What is over is taken out.
    fn keeps(&mut self, (id, head): (Id, Head)) -> bool {
        let over = head.has_ttl() && self.store.is_gone(id, head);
        if over {
            self.store.expire(id);
        }
        !over && !head.is_lease()
    }

    /// As [`Shard::lookup`], counted, and reported to the policy.
    pub(crate) fn touch_hit(&mut self, hash: Hash, key: &[u8]) -> Result<Id> {
        let (id, head) = self.lookup_counted(hash, key)?;
        self.check_sum(id, hash)?;
        self.hit(id, head, hash);
        Ok(id)
    }

    /// `Corrupt` where an item is not what was set any more: it is taken out.
    #[inline]
    pub(crate) fn check_sum(&mut self, id: Id, hash: Hash) -> Result<()> {
        let store = &self.store;
        if store.layout.is_intact(&store.pages, id, &store.hasher) {
            return Ok(());
        }
        self.store.counters.failed_corrupt += 1;
        self.store.layout.mend(&mut self.store.pages, id);
        self.store.remove(id, self.store.head(id), hash);
        Err(Error::Corrupt)
    }

    /// Counts a hit of an item whose first word this is.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn hit(&mut self, id: Id, head: Head, hash: Hash) {
        let store = &mut self.store;
        store.counters.hits += 1;
        if store.policy.is_lru() {
            if head.is_unread() {
                Items::set_head(&mut store.pages, id, head.seen());
            }
            let (pages, layout) = (&store.pages, store.layout);
            let granules = || layout.item(pages, id, head).granules;
            store.policy.queues.listed(hash, true, granules);
            return self.lru_hit(id);
        }
        let read = head.read();
        if read != head && !planted::is("hits never counted") {
            Items::set_head(&mut store.pages, id, read);
        }
        let (pages, layout) = (&store.pages, store.layout);
        let granules = || layout.item(pages, id, head).granules;
        store.policy.queues.requested(hash, true, granules);
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn miss<T>(&mut self) -> Result<T> {
        self.store.counters.misses += 1;
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
        match self.get_quickly(hash, key, buffer) {
            Some(got) => got,
            None => self.get_other(hash, key, buffer),
        }
    }

    #[inline(never)]
    fn get_other(&mut self, hash: Hash, key: &[u8], buffer: &mut [u8]) -> Result<(usize, bool)> {
        let id = self.touch_hit(hash, key)?;
        Ok(self.copy_out(id, buffer))
    }

    /// Copies a value, if the buffer is long enough for it; its length, and whether it was.
    fn copy_out(&mut self, id: Id, buffer: &mut [u8]) -> (usize, bool) {
        let store = &self.store;
        let short = store.layout.short_value(id, store.head(id));
        let len = match short {
            Some(piece) => piece.len,
            None => store.layout.value_len(&store.pages, id),
        };
        let Some(buffer) = buffer.get_mut(..len) else {
            return self.too_short(len);
        };
        match short {
            Some(piece) => store.pages.bytes().copy_out(piece.at, buffer),
            None => store.layout.read(&store.pages, id, 0, buffer),
        }
        (len, true)
    }

    #[cold]
    pub(super) fn too_short(&mut self, len: usize) -> (usize, bool) {
        self.store.counters.failed_buffer_too_small += 1;
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
        if found.is_some_and(|(_, head)| head.value_type() != want) {
            self.store.counters.count_failure(Error::TypeMismatch);
            return Err(Error::TypeMismatch);
        }
        let id = self.touch_hit(hash, key)?;
        Ok(self.copy_out(id, buffer))
    }

    /// What is known of an item besides its bytes, with its value as for [`Shard::get`].
    pub(crate) fn get_item(
        &mut self,
        hash: Hash,
        key: &[u8],
        buffer: &mut [u8],
        how: Reading,
    ) -> Result<(ItemMeta, bool)> {
        if how == Reading::default()
            && let Some(got) = self.get_item_quickly(hash, key, buffer)
        {
            return got;
        }
        let found = self.store.find(hash, key);
        let kept = found.filter(|&found| how.stale && self.keeps(found));
        let stale = kept.filter(|&(id, head)| self.store.is_expired(id, head));
        let id = if how.peeks || stale.is_some() {
            let found = stale.or_else(|| self.lookup(hash, key));
            let (id, _) = found.ok_or(Error::NotFound)?;
            self.check_sum(id, hash)?;
            id
        } else {
            self.touch_hit(hash, key)?
        };
        let (_, copied) = self.copy_out(id, buffer);
        let mut meta = self.meta_of(id);
        meta.is_stale = stale.is_some();
        Ok((meta, copied))
    }

    fn meta_of(&self, id: Id) -> ItemMeta {
        let (store, layout) = (&self.store, self.store.layout);
        let meta = layout.meta(&store.pages, id);
        ItemMeta {
            value_len: layout.value_len(&store.pages, id),
            value_type: self.value_type(id),
            tag: meta.tag,
            version: meta.version,
            ttl_ms: self.ttl_of(id),
            age_ms: self.age_of(id),
            is_stale: false,
        }
    }

    /// Milliseconds since an item was set, where the cache keeps that.
    pub(super) fn age_of(&self, id: Id) -> Option<u64> {
        let store = &self.store;
        let set_time = store.layout.set_time(&store.pages, id)?;
        Some(store.time().since(set_time))
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
        let store = &self.store;
        let len = store.layout.value_len(&store.pages, id);
        let left = len.checked_sub(offset).ok_or(Error::Invalid)?;
        let len = left.min(buffer.len());
        if let Some(buffer) = buffer.get_mut(..len) {
            store.layout.read(&store.pages, id, offset, buffer);
        }
        Ok(len)
    }

    /// A value of eight bytes, if it is of this type.
    pub(crate) fn get_scalar(&mut self, hash: Hash, key: &[u8], want: Type) -> Result<[u8; 8]> {
        let id = self.touch_hit(hash, key)?;
        self.scalar(id, want)
    }

    pub(super) fn scalar(&mut self, id: Id, want: Type) -> Result<[u8; 8]> {
        if self.store.head(id).value_type() != want {
            self.store.counters.count_failure(Error::TypeMismatch);
            return Err(Error::TypeMismatch);
        }
        let mut bytes = [0; 8];
        self.store.layout.read(&self.store.pages, id, 0, &mut bytes);
        Ok(bytes)
    }

    pub(crate) fn value_type(&self, id: Id) -> Type {
        self.store.head(id).value_type()
    }

    pub(crate) fn info(&self, id: Id) -> ItemInfo<'_> {
        let (store, layout) = (&self.store, self.store.layout);
        let first = layout.first_piece(&store.pages, id);
        ItemInfo {
            key: layout.key(&store.pages, id),
            span: store.pages.bytes().slice(first.at, first.len),
            value_len: layout.value_len(&store.pages, id),
            value_type: self.value_type(id),
            memory: store.item(id).granules as usize * GRANULE,
            ttl_ms: self.ttl_of(id),
            age_ms: self.age_of(id),
        }
    }

    /// Milliseconds until an item expires; [`TTL_NEVER`] if it does not.
    pub(crate) fn ttl_of(&self, id: Id) -> u64 {
        match self.store.expires_at(id) {
            u64::MAX => TTL_NEVER,
            at => at.saturating_sub(self.store.time().now()),
        }
    }
}
