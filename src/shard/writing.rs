//! Storing items, changing them and taking them out.
//!
//! Decide, then do: whatever may fail is asked before anything changes, so that a verb which fails leaves every
//! item as it was.

#![forbid(unsafe_code)]

use super::{NewValue, SetMode, Shard};
use crate::expiry::{Instant, NEVER};
use crate::hash::Hash;
use crate::index::{Index, Rehash};
use crate::item::{Draft, Items, Shape, Type};
use crate::slab::{Class, Id, Kind, Slab};
use crate::status::{Error, Result};

impl Shard {
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn set(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
        mode: SetMode,
    ) -> Result<()> {
        let done = self.set_uncounted(hash, key, value, mode);
        match done {
            Ok(()) => self.counters.sets += 1,
            Err(error) => self.counters.count_failure(error),
        }
        done
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn set_uncounted(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
        mode: SetMode,
    ) -> Result<()> {
        let expiry = self.time.expiry(self.effective_ttl(value.ttl_ms));
        let segment = self.index.segment_of(&self.slab, hash);
        let shape = self.shape_for(key.len(), value.bytes.len(), expiry.is_some());
        if self.index.is_far() {
            // While the lines for this key are on their way, those for the likely victim can be, too.
            self.index.prefetch(&self.slab, segment, hash);
            self.prefetch_victim(&shape);
        }
        let old = self.find_in(segment, hash, key);
        let old = match old {
            Some((id, word)) if Items::word_has_ttl(word) && self.expire_if_due(id, hash) => None,
            old => old.map(|(id, _)| id),
        };
        match (mode, old) {
            (SetMode::Add, Some(_)) => return Err(Error::Exists),
            (SetMode::Replace, None) => return Err(Error::NotFound),
            _ => {}
        }
        let shape = shape?;
        let draft = Draft {
            key,
            value: value.bytes,
            value_len: value.bytes.len(),
            value_type: value.value_type,
            expiry,
            set_time: self.layout.format.stamp(&self.time),
        };
        // A set that fills a miss belongs to the request that missed.
        if self.missed != hash as u32 {
            self.policy.requested(hash);
        }
        match old {
            // Where something is under way, the item moves: its storing does a slice of it.
            Some(old) if self.fits_in_place(old, &shape) && !self.has_work() => {
                self.overwrite(old, shape.head, &draft);
                Ok(())
            }
            // Where items are held, there may be too little room in the end: the old value stays then.
            Some(old) if self.pins.any() => self.store_held(old, hash, &draft, &shape),
            old => self.store(hash, &draft, &shape, old.is_some()),
        }
    }

    #[cold]
    fn store_held(&mut self, old: Id, hash: Hash, draft: &Draft<'_>, shape: &Shape) -> Result<()> {
        let was_free = self.keep(old);
        let stored = self.store(hash, draft, shape, true);
        // Stored, the old item is nobody's: it goes now. Not stored, it is an item again.
        if was_free {
            self.let_go(old);
        }
        stored
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn prefetch_victim(&self, shape: &Result<Shape>) {
        if let Ok(shape) = shape
            && let Some(id) = self.policy.next_up(&self.slab, shape.head)
        {
            let hash = self.hash_of(id);
            let segment = self.index.segment_of(&self.slab, hash);
            self.index.prefetch(&self.slab, segment, hash);
        }
    }

    /// Whether the new item fits in the slot of the old one, and would get one of that class anyway.
    fn fits_in_place(&self, old: Id, shape: &Shape) -> bool {
        self.slab.kind(old) == Kind::Item
            && !self.layout.is_chained(&self.slab, old)
            && !shape.is_chained()
            && self.slab.class_of(old) == shape.head
    }

    /// Writes an item over the one in this slot.
    fn overwrite(&mut self, id: Id, class: Class, draft: &Draft<'_>) {
        self.uncount(id, class);
        self.slab.withdraw(id);
        self.note_new_expiry(id, draft.expiry);
        let word = self.layout.rewrite(&mut self.slab, id, draft);
        self.publish(id, word);
        self.count(id, class);
        self.policy_hit(id);
        self.counters.updates += 1;
    }

    /// Stores an item in slots of its own, and takes out the one that had its key.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn store(
        &mut self,
        hash: Hash,
        draft: &Draft<'_>,
        shape: &Shape,
        replaces: bool,
    ) -> Result<()> {
        if self.has_work() {
            self.work_ahead(shape.head, 1 + shape.parts().min(8) as u32);
        }
        let mut segment = self.index.segment_of(&self.slab, hash);
        if !self.index.is_ready(&self.slab, segment) {
            self.ready_index(hash)?;
            segment = self.index.segment_of(&self.slab, hash);
        }
        let remembered = self.index.take_ghost(&mut self.slab, segment, hash);
        self.policy.expect(remembered);
        let epoch = self.index.epoch();
        let (id, class) = if shape.is_chained() {
            (self.write_chained(draft, shape)?, shape.head)
        } else {
            let (id, class) = self.take_slot(shape.head).ok_or(Error::NoMemory)?;
            self.note_new_expiry(id, draft.expiry);
            let word = self.layout.write(&mut self.slab, id, draft);
            self.publish(id, word);
            self.items += 1;
            self.slab.add_live(class, draft.payload() as isize);
            (id, class)
        };
        if draft.expiry.is_some() || shape.is_chained() {
            self.ttl_items += 1;
        }
        self.policy.inserted(&mut self.slab, id, class);
        if replaces {
            // Making room may have moved the old item, or taken it out.
            let old = self.find(hash, draft.key);
            self.put_in_place(hash, old.map(|(old, _)| old), id);
            return Ok(());
        }
        if self.index.epoch() != epoch {
            segment = self.index.segment_of(&self.slab, hash);
        }
        segment.insert(&mut self.slab, hash, id);
        Ok(())
    }

    /// The head of a new item whose value lies in several slots; counted.
    #[cold]
    fn write_chained(&mut self, draft: &Draft<'_>, shape: &Shape) -> Result<Id> {
        let id = self.write_parts(draft, shape)?;
        // A chained item always has one.
        self.note_new_expiry(id, draft.expiry.or(Some(NEVER)));
        self.complete(id);
        self.items += 1;
        self.count_parts(id, 1);
        Ok(id)
    }

    /// What lies in a pending slot, its parts included, is an item from now on.
    pub(crate) fn complete(&mut self, id: Id) {
        let parts = self.layout.first_part(&self.slab, id);
        Items::seal(&mut self.slab, parts);
        let word = Kind::Item.word(self.slab.word(id, 0));
        self.publish(id, word);
    }

    /// What is written in a pending slot is an item from now on, whose first word this is.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn publish(&mut self, id: Id, word: u32) {
        self.layout.sum_up(&mut self.slab, id, word, &self.hasher);
        self.slab.publish(id, word);
    }

    fn write_parts(&mut self, draft: &Draft<'_>, shape: &Shape) -> Result<Id> {
        let first = self.take_parts(shape)?;
        let Some((id, _)) = self.take_slot(shape.head) else {
            self.free_parts(first);
            return Err(Error::NoMemory);
        };
        let word = self.layout.write_chained(&mut self.slab, id, first, draft);
        self.slab.set_word(id, 0, Kind::Pending.word(word));
        Ok(id)
    }

    /// The head of an item that is to be completed later, still pending.
    pub(crate) fn write_new(&mut self, draft: &Draft<'_>, shape: &Shape) -> Result<Id> {
        if shape.is_chained() {
            return self.write_parts(draft, shape);
        }
        let (id, _) = self.take_slot(shape.head).ok_or(Error::NoMemory)?;
        let word = self.layout.write(&mut self.slab, id, draft);
        self.slab.set_word(id, 0, Kind::Pending.word(word));
        Ok(id)
    }

    /// Lets the index name a new item, instead of the one that has its key.
    pub(crate) fn put_in_place(&mut self, hash: Hash, old: Option<Id>, id: Id) {
        match old {
            Some(old) => {
                self.index.replace(&mut self.slab, hash, old, id);
                self.policy.replaced(&mut self.slab, old, id);
                self.drop_item(old);
                self.counters.updates += 1;
            }
            None => {
                self.index.insert(&mut self.slab, hash, id);
            }
        }
    }

    /// The parts behind the head of a chained item, linked.
    fn take_parts(&mut self, shape: &Shape) -> Result<Id> {
        let mut first = Id::NONE;
        for i in 0..shape.parts() {
            let class = match shape.last {
                Some(last) if i == 0 => last,
                _ => self.slab.largest_class(),
            };
            let Some((part, _)) = self.take_slot(class) else {
                self.free_parts(first);
                return Err(Error::NoMemory);
            };
            Items::link(&mut self.slab, part, first);
            first = part;
        }
        Ok(first)
    }

    pub(crate) fn free_parts(&mut self, first: Id) {
        let mut part = first;
        while let Some(p) = part.some() {
            part = Items::next_part(&self.slab, p);
            self.slab.free(p);
        }
    }

    /// As [`Shard::ready_index`], where it is not ready.
    pub(crate) fn ready_index_for(&mut self, hash: Hash) -> Result<()> {
        let segment = self.index.segment_of(&self.slab, hash);
        if self.index.is_ready(&self.slab, segment) {
            return Ok(());
        }
        self.ready_index(hash)
    }

    /// Makes sure that the index takes one more entry for this hash.
    #[cold]
    fn ready_index(&mut self, hash: Hash) -> Result<()> {
        // While a lowered limit is being reached, items go: the index does not grow for them.
        if self.slab.ceiling() <= self.limit
            && self.index.wants_split(&mut self.slab, hash)
            && let Some(slot) = self.segment_slot(self.index.segment_class())
        {
            // Evictions may have changed the segment meanwhile.
            if self.index.wants_split(&mut self.slab, hash) {
                self.with_index(|index, slab, rehash| index.split(slab, hash, slot, rehash));
            } else {
                self.slab.free(slot);
            }
        }
        if self.index.has_room(&self.slab, hash) {
            return Ok(());
        }
        if self.index.is_full(&self.slab, hash) {
            let victim = self
                .index
                .neighbour(&self.slab, hash)
                .ok_or(Error::NoMemory)?;
            self.evict(victim);
        }
        self.with_index(|index, slab, rehash| index.rebuild(slab, hash, rehash));
        if self.index.has_room(&self.slab, hash) {
            Ok(())
        } else {
            Err(Error::NoMemory)
        }
    }

    /// Calls with index, slab and the hash of the key in a slot.
    pub(crate) fn with_index<T>(
        &mut self,
        call: impl FnOnce(&mut Index, &mut Slab, Rehash<'_>) -> T,
    ) -> T {
        let (layout, hasher) = (self.layout, self.hasher);
        let rehash = |slab: &Slab, id: Id| hasher.hash(layout.key(slab, id));
        call(&mut self.index, &mut self.slab, &rehash)
    }

    #[cold]
    pub(crate) fn merge_segments(&mut self, hash: Hash) {
        self.with_index(|index, slab, rehash| index.merge(slab, hash, rehash));
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn hash_of(&self, id: Id) -> Hash {
        self.hasher.hash(self.layout.key(&self.slab, id))
    }

    /// Adds an item to the sums.
    #[inline]
    pub(crate) fn count(&mut self, id: Id, class: Class) {
        let word = self.slab.word(id, 0);
        self.items += 1;
        self.ttl_items += u32::from(Items::word_has_ttl(word));
        match self.layout.plain_payload(word) {
            Some(bytes) => self.slab.add_live(class, bytes as isize),
            None => self.count_parts(id, 1),
        }
    }

    #[inline]
    pub(crate) fn uncount(&mut self, id: Id, class: Class) {
        let word = self.slab.word(id, 0);
        self.items -= 1;
        self.ttl_items -= u32::from(Items::word_has_ttl(word));
        match self.layout.plain_payload(word) {
            Some(bytes) => self.slab.add_live(class, -(bytes as isize)),
            None => self.count_parts(id, -1),
        }
    }

    /// Adds, or takes off, the bytes of a chained item where they lie.
    fn count_parts(&mut self, id: Id, sign: isize) {
        let here =
            self.layout.key_len(&self.slab, id) + self.layout.first_span(&self.slab, id).len();
        self.slab
            .add_live(self.slab.class_of(id), sign * here as isize);
        let mut left = self.layout.payload(&self.slab, id) - here;
        let mut part = self.layout.first_part(&self.slab, id);
        while let Some(p) = part.some() {
            let here = Items::part_room(&self.slab, p).min(left);
            left -= here;
            self.slab
                .add_live(self.slab.class_of(p), sign * here as isize);
            part = Items::next_part(&self.slab, p);
        }
    }

    /// Frees the slots of an item that the index does not name any more.
    pub(crate) fn drop_item(&mut self, id: Id) {
        let class = self.slab.class_of(id);
        if self.slab.kind(id) == Kind::Pinned {
            return self.orphan(id, class);
        }
        self.forget(id, class);
        let parts = self.layout.first_part(&self.slab, id);
        self.free_parts(parts);
        self.slab.free(id);
    }

    /// Takes an item, whose slot is of this class, out of sums and policy.
    #[inline]
    pub(crate) fn forget(&mut self, id: Id, class: Class) {
        self.uncount(id, class);
        self.policy.removed(&mut self.slab, id, class);
    }

    /// Takes an item out of index and slots.
    pub(crate) fn remove(&mut self, id: Id, hash: Hash) {
        if self.index.remove(&mut self.slab, hash, id) {
            self.merge_segments(hash);
        }
        self.drop_item(id);
    }

    pub(crate) fn delete(&mut self, hash: Hash, key: &[u8]) -> Result<()> {
        let id = self.lookup(hash, key).ok_or(Error::NotFound)?;
        self.remove(id, hash);
        self.counters.deletes += 1;
        Ok(())
    }

    pub(crate) fn expire(&mut self, id: Id, hash: Hash) {
        self.counters
            .count_expiration(self.layout.payload(&self.slab, id));
        self.remove(id, hash);
    }

    /// Gives an item another time to live.
    pub(crate) fn touch(&mut self, hash: Hash, key: &[u8], ttl_ms: u64) -> Result<()> {
        let id = self.touch_hit(hash, key)?;
        let expiry = self.time.expiry(self.effective_ttl(ttl_ms));
        if self.layout.has_ttl(&self.slab, id) {
            self.change_expiry(id, expiry.unwrap_or(NEVER));
            return Ok(());
        }
        match expiry {
            Some(expiry) => self.add_expiry(id, hash, expiry),
            None => Ok(()),
        }
    }

    /// Gives an expiry to an item that has no word for one: in its slot, or in a larger one.
    fn add_expiry(&mut self, id: Id, hash: Hash, expiry: Instant) -> Result<()> {
        let size = self.layout.size(&self.slab, id) + 4;
        let free = self.slab.kind(id) == Kind::Item;
        if free && size <= self.slab.slot_size(self.slab.class_of(id)) {
            self.slab.withdraw(id);
            self.note_new_expiry(id, Some(expiry));
            let word = self.layout.add_expiry(&mut self.slab, id, id, expiry);
            self.slab.publish(id, word);
            self.ttl_items += 1;
            return Ok(());
        }
        let class = self.slab.class_for(size);
        let to = self.take_slot_beside(id, class);
        let (to, class) = to.ok_or(Error::NoMemory)?;
        self.note_new_expiry(to, Some(expiry));
        let word = self.layout.add_expiry(&mut self.slab, id, to, expiry);
        self.slab.publish(to, word);
        self.index.replace(&mut self.slab, hash, id, to);
        self.count(to, class);
        self.policy.inserted(&mut self.slab, to, class);
        self.policy.replaced(&mut self.slab, id, to);
        self.drop_item(id);
        Ok(())
    }

    /// A slot for a copy of an item, which is neither moved nor evicted for it.
    fn take_slot_beside(&mut self, id: Id, class: Class) -> Option<(Id, Class)> {
        let own = self.slab.class_of(id);
        let is_free = self.keep(id);
        if self.has_work() {
            self.work_ahead(class, 1);
        }
        let slot = self.take_slot(class);
        if is_free {
            self.slab.set_kind(id, Kind::Item);
            self.policy.returned(&mut self.slab, id, own);
        }
        slot
    }

    /// Adds to an integer; a sum that leaves the type's range is `Invalid` and changes nothing.
    pub(crate) fn increment(&mut self, hash: Hash, key: &[u8], by: i64) -> Result<i64> {
        let id = self.touch_hit(hash, key)?;
        let value_type = self.layout.value_type(&self.slab, id);
        let (new, out) = if value_type == Type::U64 {
            let old = u64::from_ne_bytes(self.scalar(id, Type::U64)?);
            let new = old.checked_add_signed(by).ok_or(Error::Invalid)?;
            let out = i64::try_from(new).map_err(|_| Error::Invalid)?;
            (new.to_ne_bytes(), out)
        } else {
            let old = i64::from_ne_bytes(self.scalar(id, Type::I64)?);
            let new = old.checked_add(by).ok_or(Error::Invalid)?;
            (new.to_ne_bytes(), new)
        };
        if self.slab.kind(id) == Kind::Pinned {
            self.store_beside(id, hash, key, &new)?;
        } else {
            self.layout
                .set_value(&mut self.slab, id, &new, &self.hasher);
        }
        Ok(out)
    }

    /// Gives a key that somebody reads another value, of the same length, type and expiry.
    fn store_beside(&mut self, id: Id, hash: Hash, key: &[u8], value: &[u8]) -> Result<()> {
        let (slab, layout) = (&self.slab, self.layout);
        let draft = Draft {
            key,
            value,
            value_len: value.len(),
            value_type: layout.value_type(slab, id),
            expiry: layout.expiry(slab, id),
            set_time: layout.set_time(slab, id).unwrap_or(0),
        };
        let shape = self.shape_for(key.len(), value.len(), draft.expiry.is_some())?;
        self.store(hash, &draft, &shape, true)
    }
}
