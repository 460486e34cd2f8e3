//! The quick path: an item in one piece that never expires, in a cache whose items have no optional words.
//!
//! Each verb answers `None` where it is not for it, having changed nothing: the general path does it then, in
//! `reading` and `writing`. No structure that the general path takes is built here. Where code is to be small, there is
//! the general path alone.

#![forbid(unsafe_code)]

use super::{ItemMeta, NewValue, Shard};
use crate::expiry::TTL_NEVER;
use crate::hash::Hash;
use crate::item::{Draft, HEAD_SIZE, Head, Meta, Shape, Type};
use crate::layout::Setup;
use crate::limits::narrow;
use crate::page::{Id, Owner};
use crate::policy::PolicyKind;
use crate::segment::Segment;
use crate::status::{Error, Result};

/// Whether there is a quick path.
const QUICK: bool = !cfg!(feature = "small");

/// An item, the length of its value, and whether that was copied.
type Read = (Id, Head, usize, bool);

/// The most bytes of an item that the quick path stores, in pages of so many; 0 where it stores none.
pub(super) fn plain_max(setup: &Setup, page_size: usize) -> u32 {
    let format = setup.format;
    let is_plain = QUICK
        && setup.policy == PolicyKind::Default
        && format.is_plain()
        && !setup.zero_on_free
        && setup.key_len_max <= format.key_len_max(page_size);
    if is_plain {
        narrow(page_size.min(setup.value_len_max))
    } else {
        0
    }
}

impl Shard {
    /// The segment of a hash, whose lines are on their way.
    #[inline(always)]
    fn segment_of(&self, hash: Hash) -> Segment {
        let store = &self.store;
        let segment = store.index.segment(&store.pages, hash);
        store.index.prefetch(&store.pages, segment, hash);
        segment
    }

    /// As [`Shard::get`].
    #[inline(always)]
    pub(crate) fn get_quickly(
        &mut self,
        hash: Hash,
        key: &[u8],
        buffer: &mut [u8],
    ) -> Option<Result<(usize, bool)>> {
        let got = self.read_quickly(hash, key, buffer)?;
        Some(got.map(|(_, _, len, copied)| (len, copied)))
    }

    /// An item, the length of its value, and whether that was copied.
    #[inline(always)]
    fn read_quickly(&mut self, hash: Hash, key: &[u8], buffer: &mut [u8]) -> Option<Result<Read>> {
        if !QUICK {
            return None;
        }
        let segment = self.segment_of(hash);
        let Some((id, head)) = self.store.find_in(segment, hash, key) else {
            return Some(self.miss());
        };
        let piece = self.store.layout.plain_value(id, head)?;
        self.hit(id, head, hash);
        let copied = match buffer.get_mut(..piece.len) {
            Some(buffer) => {
                self.store.pages.bytes().copy_out(piece.at, buffer);
                true
            }
            None => self.too_short(piece.len).1,
        };
        Some(Ok((id, head, piece.len, copied)))
    }

    /// As [`Shard::get_item`], where nothing unusual is asked for.
    #[inline]
    pub(crate) fn get_item_quickly(
        &mut self,
        hash: Hash,
        key: &[u8],
        buffer: &mut [u8],
    ) -> Option<Result<(ItemMeta, bool)>> {
        let got = self.read_quickly(hash, key, buffer)?;
        Some(got.map(|(id, head, value_len, copied)| {
            let meta = self.store.layout.meta(&self.store.pages, id);
            let item = ItemMeta {
                value_len,
                value_type: head.value_type(),
                tag: meta.tag,
                version: meta.version,
                ttl_ms: TTL_NEVER,
                age_ms: self.age_of(id),
                is_stale: false,
            };
            (item, copied)
        }))
    }

    /// As [`Shard::set`], whatever the key has.
    #[inline(always)]
    pub(crate) fn set_quickly(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
    ) -> Option<Result<()>> {
        let size = HEAD_SIZE + key.len() + value.bytes.len();
        let ttl = self.effective_ttl(value.ttl_ms);
        if !QUICK || size > self.plain_max as usize || ttl != TTL_NEVER {
            return None;
        }
        let granules = size.div_ceil(4) as u32;
        let segment = self.segment_of(hash);
        let keeps_old = self.keeps_old();
        let store = &mut self.store;
        let found = store.find_in(segment, hash, key);
        if let Some((id, old)) = found {
            let in_place = old.is_plain()
                && store.layout.plain_granules(old) == granules
                && !keeps_old
                && store.pages.excess() == 0;
            if !in_place {
                let is_quiet = store.pages.excess() == 0 && store.held == 0;
                return (old.is_plain() && is_quiet)
                    .then(|| self.replace_quickly((segment, hash), key, (id, old), value));
            }
            store.policy.queues.requested(hash, false, || granules);
            let uses = old.used().uses();
            let head = Head::new(key.len(), value.bytes.len(), value.value_type, uses);
            self.void(key);
            let store = &mut self.store;
            store.rewrite(id, old, head, value.bytes);
            store.counters.sets += 1;
            return Some(Ok(()));
        }
        Some(self.insert_quickly(segment, hash, key, (value.bytes, value.value_type)))
    }

    /// A key that has no item gets one.
    #[inline(always)]
    fn insert_quickly(
        &mut self,
        mut segment: Segment,
        hash: Hash,
        key: &[u8],
        (value, value_type): (&[u8], Type),
    ) -> Result<()> {
        let granules = (HEAD_SIZE + key.len() + value.len()).div_ceil(4) as u32;
        let store = &mut self.store;
        if store.room.full {
            store.prefetch_victim();
        }
        // A miss is a request for an item of unknown size: it counts with the set that fills it.
        store.policy.queues.requested(hash, true, || granules);
        if !store.index.is_ready(&store.pages, segment) {
            segment = self.extend_index(hash)?;
        }
        let store = &mut self.store;
        let moves = store.index.moves;
        let remembered = store.index.take_ghost(&mut store.pages, segment, hash);
        let (owner, uses) = store.admit(granules, remembered);
        store.make_room(granules);
        let head = Head::new(key.len(), value.len(), value_type, uses);
        let (id, head) = self.append_quickly((owner, granules), head, (key, value))?;
        let store = &mut self.store;
        if store.index.moves != moves {
            segment = store.index.segment(&store.pages, hash);
        }
        self.void(key);
        let store = &mut self.store;
        store.insert(segment, hash, id, head);
        store.counters.sets += 1;
        self.note_usage();
        Ok(())
    }

    /// A key that has an item gets another one, as in [`Shard::set_beside`]: it is there before the old one goes.
    #[inline(never)]
    fn replace_quickly(
        &mut self,
        (segment, hash): (Segment, Hash),
        key: &[u8],
        (id, old): (Id, Head),
        value: &NewValue<'_>,
    ) -> Result<()> {
        let store = &mut self.store;
        let (owner, uses) = (store.owner_of(id), old.used().uses());
        let head = Head::new(key.len(), value.bytes.len(), value.value_type, uses);
        let granules = store.layout.plain_granules(head);
        store.policy.queues.requested(hash, false, || granules);
        // The old one may be evicted, and its place in the index taken by one that is moved.
        if !store.index.is_ready(&store.pages, segment) {
            self.extend_index(hash)?;
        }
        self.store.make_room(granules);
        let (id, head) = self.append_quickly((owner, granules), head, (key, value.bytes))?;
        let store = &mut self.store;
        let segment = store.index.segment(&store.pages, hash);
        match store.place_in(segment, hash, key) {
            Some((at, old)) => store.replace_in((segment, at), old, id, head),
            None => store.insert(segment, hash, id, head),
        }
        store.counters.sets += 1;
        self.note_usage();
        Ok(())
    }

    /// Appends an item that is still dead.
    #[inline(always)]
    fn append_quickly(
        &mut self,
        (owner, granules): (Owner, u32),
        head: Head,
        (key, value): (&[u8], &[u8]),
    ) -> Result<(Id, Head)> {
        let store = &mut self.store;
        if granules > store.logs.of(owner).room() {
            return self.append_beyond(owner, head, (key, value));
        }
        Ok((store.append_plain(owner, head, key, value), head))
    }

    #[cold]
    fn extend_index(&mut self, hash: Hash) -> Result<Segment> {
        let extended = self.store.extend_index(hash);
        extended.inspect_err(|&error| self.store.counters.count_failure(error))?;
        Ok(self.store.index.segment(&self.store.pages, hash))
    }

    /// The head page of the log is full.
    #[cold]
    fn append_beyond(
        &mut self,
        owner: Owner,
        head: Head,
        (key, value): (&[u8], &[u8]),
    ) -> Result<(Id, Head)> {
        let draft = Draft {
            key,
            value,
            value_len: value.len(),
            value_type: head.value_type(),
            expiry: None,
            uses: head.uses(),
            meta: Meta::default(),
        };
        let shape = Shape {
            long: false,
            words: 1,
            key_len: key.len(),
            here: value.len(),
            chain: 0,
        };
        let appended = self.store.append_somehow(owner, &shape, &draft);
        appended.inspect_err(|&error| self.store.counters.count_failure(error))
    }

    /// As [`Shard::delete`].
    #[inline(always)]
    pub(crate) fn delete_quickly(&mut self, hash: Hash, key: &[u8]) -> Option<Result<()>> {
        if !QUICK {
            return None;
        }
        let segment = self.segment_of(hash);
        let store = &mut self.store;
        let Some((at, id)) = store.place_in(segment, hash, key) else {
            return Some(Err(Error::NotFound));
        };
        let head = store.head(id);
        if !head.is_plain() {
            return None;
        }
        store.remove_from((segment, at), id, head, hash);
        store.counters.deletes += 1;
        Some(Ok(()))
    }
}
