//! Changing what an item is, under its key: numbers, longer values, tags.

#![forbid(unsafe_code)]

use super::Shard;
use crate::hash::Hash;
use crate::item::{Draft, Type};
use crate::page::Id;
use crate::status::{Error, Result};

/// What becomes of a sum that leaves its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It goes on from the other end.
    Wrap,
    /// It stays at the end.
    Saturate,
}

/// Where bytes are added to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

impl Shard {
    /// Adds to an integer; a sum that leaves the type's range is `Invalid` and changes nothing.
    pub(crate) fn increment(&mut self, hash: Hash, key: &[u8], by: i64) -> Result<i64> {
        let id = self.touch_hit(hash, key)?;
        let (new, out) = if self.store.head(id).value_type() == Type::U64 {
            let old = u64::from_ne_bytes(self.scalar(id, Type::U64)?);
            let new = old.checked_add_signed(by).ok_or(Error::Invalid)?;
            let out = i64::try_from(new).map_err(|_| Error::Invalid)?;
            (new.to_ne_bytes(), out)
        } else {
            let old = i64::from_ne_bytes(self.scalar(id, Type::I64)?);
            let new = old.checked_add(by).ok_or(Error::Invalid)?;
            (new.to_ne_bytes(), new)
        };
        self.change_value(id, hash, key, &new)?;
        Ok(out)
    }

    /// Gives an item another value of the same length, type and expiry.
    fn change_value(&mut self, id: Id, hash: Hash, key: &[u8], value: &[u8]) -> Result<()> {
        let store = &mut self.store;
        let head = store.head(id);
        let expiry = store.expiry_of(id);
        let tag = store.layout.meta(&store.pages, id).tag;
        let draft = Draft {
            key,
            value,
            value_len: value.len(),
            value_type: head.value_type(),
            expiry,
            uses: head.uses(),
            meta: store.next_meta(tag),
        };
        let shape = self.shape_for(key.len(), value.len(), expiry.is_some())?;
        if head.is_live() && !head.is_long() && !self.keeps_old() {
            self.void(key);
            self.store.overwrite(id, &shape, &draft);
            self.store.counters.updates -= 1;
            return Ok(());
        }
        let kept = self.store.held > 0 && self.store.keep(id);
        let stored = self.set_beside(hash, head, &shape, &draft);
        if kept {
            self.store.let_be(id);
        }
        stored
    }

    /// As [`Shard::increment`], for an integer without sign, with a sum for every case.
    pub(crate) fn add_u64(
        &mut self,
        hash: Hash,
        key: &[u8],
        by: i64,
        overflow: Overflow,
    ) -> Result<u64> {
        let id = self.touch_hit(hash, key)?;
        let old = u64::from_ne_bytes(self.scalar(id, Type::U64)?);
        let new = match overflow {
            Overflow::Wrap => old.wrapping_add_signed(by),
            Overflow::Saturate => old.saturating_add_signed(by),
        };
        self.change_value(id, hash, key, &new.to_ne_bytes())?;
        Ok(new)
    }

    /// Adds bytes to an end of a value of bytes; its TTL and its tag stay.
    pub(crate) fn extend(&mut self, hash: Hash, key: &[u8], bytes: &[u8], end: End) -> Result<()> {
        let done = self.extend_uncounted(hash, key, bytes, end);
        match done {
            Ok(()) => {
                self.store.counters.sets += 1;
                self.note_usage();
            }
            Err(error) => self.store.counters.count_failure(error),
        }
        done
    }

    fn extend_uncounted(&mut self, hash: Hash, key: &[u8], bytes: &[u8], end: End) -> Result<()> {
        let (id, old) = self.lookup(hash, key).ok_or(Error::NotFound)?;
        self.check_sum(id, hash)?;
        if old.value_type() != Type::Bytes {
            return Err(Error::TypeMismatch);
        }
        let store = &self.store;
        let old_len = store.layout.value_len(&store.pages, id);
        let value_len = old_len.checked_add(bytes.len()).ok_or(Error::TooLarge)?;
        let expiry = store.expiry_of(id);
        let shape = self.shape_for(key.len(), value_len, expiry.is_some())?;
        // Both of them lie there for a moment.
        let granules = shape.granules() + self.store.chain_granules(&shape);
        if granules.saturating_add(self.store.item(id).granules) > self.store.pair_granules_max() {
            return Err(Error::TooLarge);
        }
        let tag = self.store.layout.meta(&self.store.pages, id).tag;
        let draft = Draft {
            key,
            value: &[],
            value_len,
            value_type: Type::Bytes,
            expiry,
            uses: old.uses(),
            meta: self.store.next_meta(tag),
        };
        let store = &mut self.store;
        let owner = store.owner_of(id);
        // What is copied stays where it is until then.
        let kept = store.keep(id);
        let appended = store.append_with_room(owner, &shape, &draft);
        if kept {
            store.let_be(id);
        }
        let (to, new) = appended?;
        let (old_at, bytes_at) = match end {
            End::Front => (bytes.len(), 0),
            End::Back => (0, old_len),
        };
        let (pages, layout) = (&mut store.pages, store.layout);
        layout.copy_value(pages, (id, old), (to, new), old_at);
        layout.write_at(pages, to, new, bytes_at, bytes);
        self.void(key);
        self.store.replace(hash, id, to, new);
        Ok(())
    }

    /// Changes the bits of a tag that `mask` names; returns what it was. Neither counted nor reported to the policy.
    pub(crate) fn set_tag(&mut self, hash: Hash, key: &[u8], mask: u32, bits: u32) -> Result<u32> {
        if !self.store.layout.format.tags {
            return Err(Error::Invalid);
        }
        let (id, _) = self.lookup(hash, key).ok_or(Error::NotFound)?;
        let store = &mut self.store;
        let mut meta = store.layout.meta(&store.pages, id);
        let old = meta.tag;
        meta.tag = old & !mask | bits & mask;
        store.layout.set_meta(&mut store.pages, id, meta);
        Ok(old)
    }
}
