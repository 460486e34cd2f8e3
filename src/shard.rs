//! One shard: slab, index, policy and time under one lock, and the verbs on items.
//!
//! A verb first decides, then does: whatever may fail is asked before anything changes, so a verb
//! that fails leaves every item as it was.
//!
//! # Invariants (walked by [`Shard::check`])
//! 1. Each item's slot is in the index once, and each index entry names an item.
//! 2. `items` and `ttl_items` are the sums over all items, the classes' bytes those over their slots.
//! 3. Those of slab, index and item.
//!
//! # Not here
//! Making room: `reclaim`. Sweeping and compaction: `optimize`. Locks and callbacks: `cache`.

#![forbid(unsafe_code)]

use crate::attach::{Adopt, AttachReport};
use crate::expiry::{Instant, NEVER, TTL_NEVER, Time};
use crate::footprint::Footprint;
use crate::hash::{Hash, KeyHasher, upper};
use crate::index::{Index, Rehash};
use crate::item::{Draft, Format, Items, KEY_LEN_MAX, Shape, Type};
use crate::pins::Pins;
use crate::policy::{Policy, PolicyKind};
use crate::reclaim::Drain;
use crate::region::{Cutter, Shared};
use crate::segment::Segment;
use crate::slab::{Class, Id, Kind, MakeSlab, Page, Slab};
use crate::stats::{CacheStats, Counters};
use crate::status::{Error, Result};

/// What a shard is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) policy: PolicyKind,
    pub(crate) format: Format,
    pub(crate) zero_on_free: bool,
    pub(crate) seed: u64,
    pub(crate) key_len_max: usize,
    pub(crate) value_len_max: usize,
    pub(crate) default_ttl_ms: u64,
    pub(crate) pins_max: usize,
}

/// Under which condition a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetMode {
    /// Always.
    Set,
    /// Only where there is no item with this key.
    Add,
    /// Only where there is one.
    Replace,
}

/// A value to store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewValue<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) value_type: Type,
    pub(crate) ttl_ms: u64,
}

/// An item as it lies there, for readers under the lock.
#[derive(Clone, Copy, Debug)]
pub struct ItemInfo<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value's first bytes: all of them unless it is chained.
    pub span: &'a [u8],
    /// Bytes of the value.
    pub value_len: usize,
    /// What the value is.
    pub value_type: Type,
    /// Bytes of the region that the item takes.
    pub memory: usize,
    /// Milliseconds until it expires; [`TTL_NEVER`] if it does not.
    pub ttl_ms: u64,
    /// Milliseconds since it was set, where the cache keeps that.
    pub age_ms: Option<u64>,
}

/// What a shard's part of the region holds before.
pub(crate) enum Origin<'a> {
    /// Nothing that counts.
    Fresh,
    /// What an earlier owner left, with the time by then where it is known.
    Left(Option<Time>, Place, &'a mut AttachReport, Adopt),
}

impl Origin<'_> {
    /// Cuts the shard's slab.
    pub(crate) fn slab(
        &self,
        cutter: &mut Cutter,
        part: usize,
        footprint: &Footprint,
    ) -> Option<Slab> {
        let make: MakeSlab = match self {
            Self::Fresh => Slab::new,
            Self::Left(_, _, _, adopt) => adopt.slab,
        };
        let extras = footprint.plan.extras();
        make(cutter, footprint.geometry, footprint.left, part, &extras)
    }

    /// What time it is for the shard.
    pub(crate) fn time(&self) -> Time {
        match self {
            Self::Fresh => Time::default(),
            Self::Left(time, ..) => time.unwrap_or(Time::UNKNOWN),
        }
    }
}

/// Which of a cache's shards one is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) number: u32,
    pub(crate) count: u32,
}

impl Place {
    /// The number of the shard, of so many, that the key of this hash belongs to.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn number_for(hash: Hash, count: u32) -> u32 {
        ((upper(hash) & 0xffff) * count) >> 16
    }

    pub(crate) fn is_of(self, hash: Hash) -> bool {
        Self::number_for(hash, self.count) == self.number
    }
}

/// Slab, index, policy, time, counters.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) slab: Slab,
    pub(crate) index: Index,
    pub(crate) policy: Policy,
    pub(crate) layout: Items,
    pub(crate) time: Time,
    pub(crate) hasher: Shared<KeyHasher>,
    /// What `usage` may be; the slab's ceiling lies above it only while a lowered limit is being
    /// reached.
    pub(crate) limit: usize,
    /// Free pages kept for whoever has none, so that nobody waits for a page to be emptied.
    pub(crate) reserve: u32,
    pub(crate) drain: Option<Drain>,
    /// A segment of the index waits for a page to be split into.
    pub(crate) split_waits: bool,
    pub(crate) pins: Pins,
    /// Half of the hash of the key that was missed last.
    missed: u32,
    /// Evictions and expirations at which classes compare their ages again.
    pub(crate) compare_at: u32,
    /// The class that can spare a page best, and until when it counts as such: in evictions, too.
    pub(crate) least: Class,
    pub(crate) least_until: u32,
    pub(crate) sweep: crate::sweep::Sweep,
    pub(crate) optimizing: crate::optimize::Pass,
    pub(crate) counters: Counters,
    pub(crate) items: u32,
    pub(crate) ttl_items: u32,
    key_len_max: u16,
    value_len_max: usize,
    default_ttl_ms: u64,
    /// Bytes that the index takes at least.
    index_size: u32,
}

impl Shard {
    /// Cuts the rest of a shard from the part of the region that its slab was cut from. Where it lies,
    /// [`Shard::start`] makes it ready.
    pub(crate) fn new(
        mut slab: Slab,
        cutter: &mut Cutter,
        part: usize,
        setup: &Setup,
        footprint: &Footprint,
        hasher: Shared<KeyHasher>,
        time: Time,
    ) -> Option<Self> {
        let &Footprint { plan, classes, .. } = footprint;
        slab.set_zero_on_free(setup.zero_on_free);
        let policy = Policy::new(setup.policy, cutter, classes, part)?;
        let index = Index::new(cutter, &slab, plan)?;
        let pages = u64::from(slab.page_count());
        Some(Self {
            index_size: footprint.index_pages() as u32 * slab.page_size() as u32,
            pins: Pins::new(&slab, setup.pins_max)?,
            slab,
            index,
            policy,
            layout: Items {
                format: setup.format,
            },
            time,
            hasher,
            limit: part,
            reserve: Footprint::reserve(pages) as u32,
            drain: None,
            split_waits: false,
            missed: 0,
            compare_at: 0,
            least: Class(0),
            least_until: 0,
            sweep: crate::sweep::Sweep::default(),
            optimizing: crate::optimize::Pass::default(),
            counters: Counters::default(),
            items: 0,
            ttl_items: 0,
            key_len_max: setup.key_len_max.min(KEY_LEN_MAX) as u16,
            value_len_max: setup.value_len_max,
            default_ttl_ms: setup.default_ttl_ms,
        })
    }

    /// Makes a shard ready; whether there was room for the index.
    pub(crate) fn start(&mut self, origin: Origin<'_>) -> bool {
        match origin {
            Origin::Fresh => self.index.start(&mut self.slab),
            Origin::Left(time, place, report, adopt) => (adopt.shard)(self, time, place, report),
        }
    }

    /// Where the time lies in a shard, in bytes.
    pub(crate) const TIME_AT: usize = core::mem::offset_of!(Self, time);

    /// The lowest limit that this shard can be given.
    pub(crate) fn limit_min(&self) -> usize {
        self.slab.fixed() + self.index_size as usize + self.slab.page_size()
    }

    /// Bytes that the slots of one item may take under a limit, so that it fits once all others
    /// are gone.
    pub(crate) fn item_size_max(&self, limit: usize) -> usize {
        let page = self.slab.page_size();
        let whole =
            limit.saturating_sub(self.slab.fixed() + self.index_size as usize) & !(page - 1);
        // A chained item's last part may need a page of its own.
        if whole > page { whole - page } else { whole }
    }

    // ---- arguments -----------------------------------------------------------------------------

    #[inline]
    pub(crate) fn check_key(&self, key: &[u8]) -> Result<()> {
        if key.is_empty() {
            return Err(Error::Invalid);
        }
        if key.len() > usize::from(self.key_len_max) {
            return Err(Error::TooLarge);
        }
        Ok(())
    }

    /// The slots for an item, or `TooLarge` where the limit can never hold them.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn shape_for(&self, key_len: usize, value_len: usize, ttl: bool) -> Result<Shape> {
        if value_len > self.value_len_max {
            return Err(Error::TooLarge);
        }
        let shape = self.layout.shape(&self.slab, key_len, value_len, ttl);
        let shape = shape.ok_or(Error::TooLarge)?;
        if !shape.is_chained() {
            return Ok(shape);
        }
        let slot = self.slab.slot_size(shape.head);
        let size = slot.saturating_add(shape.parts().saturating_mul(slot));
        if size > self.item_size_max(self.limit).max(slot) {
            return Err(Error::TooLarge);
        }
        Ok(shape)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn effective_ttl(&self, ttl_ms: u64) -> u64 {
        match (ttl_ms, self.default_ttl_ms) {
            (0, 0) => TTL_NEVER,
            (0, default) => default,
            (ttl, _) => ttl,
        }
    }

    // ---- reading -------------------------------------------------------------------------------

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
    fn touch_hit(&mut self, hash: Hash, key: &[u8]) -> Result<Id> {
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

    fn policy_hit(&mut self, id: Id) {
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

    fn scalar(&mut self, id: Id, want: Type) -> Result<[u8; 8]> {
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

    // ---- writing -------------------------------------------------------------------------------

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

    /// Throws everything away; `Pinned` where something is held outside the lock. O(pages).
    pub(crate) fn clear(&mut self) -> Result<()> {
        if self.pins.any() {
            return Err(Error::Pinned);
        }
        self.slab.clear();
        self.policy.clear();
        self.index.start(&mut self.slab);
        self.drain = None;
        self.split_waits = false;
        self.sweep = crate::sweep::Sweep::default();
        self.optimizing = crate::optimize::Pass::default();
        (self.items, self.ttl_items) = (0, 0);
        Ok(())
    }

    /// Adds what this shard holds to a cache's statistics.
    pub(crate) fn add_stats(&self, stats: &mut CacheStats) {
        let (slab, count) = (&self.slab, &self.counters);
        let cut = (slab.pages_cut() as usize) << slab.page_size().trailing_zeros();
        stats.item_count += u64::from(self.items);
        stats.hits += count.hits;
        stats.misses += count.misses;
        stats.sets += count.sets;
        stats.updates += count.updates;
        stats.deletes += count.deletes;
        stats.evictions += count.evictions;
        stats.expirations += count.expirations;
        stats.failed_no_memory += count.failed_no_memory;
        stats.failed_too_large += count.failed_too_large;
        stats.failed_exists += count.failed_exists;
        stats.failed_type_mismatch += count.failed_type_mismatch;
        stats.failed_buffer_too_small += count.failed_buffer_too_small;
        stats.failed_corrupt += u64::from(count.failed_corrupt);
        let payload = slab.live();
        stats.payload_bytes += payload;
        stats.free_bytes += slab.free_bytes() as u64;
        stats.overhead_bytes += slab.usage() as u64 - payload;
        stats.total_allocated += (slab.fixed() + cut) as u64;
        stats.total_used += slab.usage() as u64;
        stats.peak_used += slab.usage_peak() as u64;
        stats.pool_reuses += slab.totals().1;
        stats.arena_allocs += u64::from(slab.pages_cut());
        stats.reclaim_passes += count.reclaim_passes;
        stats.items_moved += count.items_moved;
        stats.index_rebuilds += self.index.rebuilds;
        stats.index_splits += self.index.splits;
        stats.page_size = slab.page_size() as u32;
        stats.page_count += slab.page_count();
        stats.pages_free += slab.pages_free();
        stats.views += u32::from(self.pins.views);
        stats.reservations += u32::from(self.pins.reservations);
    }

    // ---- walking -------------------------------------------------------------------------------

    /// Calls `visit` with each item from a place on, in the order of the slots, until it says
    /// `false`; returns the place behind, `None` at the end. A place is a page and a slot in it.
    pub(crate) fn scan(
        &self,
        from: (u32, u32),
        mut visit: impl FnMut(ItemInfo<'_>) -> bool,
    ) -> Option<(u32, u32)> {
        let (mut number, mut slot) = from;
        while number < self.slab.page_count() {
            let page = Page(number as u16);
            if self.slab.is_claimed(page) && self.holds_items(self.slab.page_class(page)) {
                while slot < self.slab.page_touched(page) {
                    let id = self.slab.slot(page, slot);
                    slot += 1;
                    let is_item = matches!(self.slab.kind(id), Kind::Item | Kind::Pinned);
                    let live = is_item
                        && !self.is_expired(id)
                        && self.layout.is_intact(&self.slab, id, &self.hasher);
                    if live && !visit(self.info(id)) {
                        return Some((number, slot));
                    }
                }
            }
            (number, slot) = (number + 1, 0);
        }
        None
    }

    pub(crate) fn holds_items(&self, class: Class) -> bool {
        class.0 < self.slab.item_class_count()
    }

    /// Walks every invariant. O(region).
    pub(crate) fn check(&self) -> bool {
        let hasher = &self.hasher;
        let entries = self.index.check(&self.slab, &|slab, id| {
            hasher.hash(self.layout.key(slab, id))
        });
        let (mut items, mut payload, mut ttl_items, mut sound) = (0u32, 0, 0u32, true);
        let mut parts = (0u64, 0u64);
        for number in 0..self.slab.page_count() {
            let page = Page(number as u16);
            if !self.slab.is_claimed(page) {
                continue;
            }
            for slot in 0..self.slab.page_touched(page) {
                let id = self.slab.slot(page, slot);
                match self.slab.kind(id) {
                    kind @ (Kind::Item | Kind::Pinned) => {
                        items += 1;
                        payload += self.layout.payload(&self.slab, id) as u64;
                        ttl_items += u32::from(self.layout.has_ttl(&self.slab, id));
                        sound &= self.check_expiry(id);
                        if kind == Kind::Pinned {
                            continue;
                        }
                        sound &=
                            self.layout.check(&self.slab, id) && self.policy.check(&self.slab, id);
                        let mut part = self.layout.first_part(&self.slab, id);
                        while let Some(p) = part.some().filter(|_| sound) {
                            parts.0 += 1;
                            part = Items::next_part(&self.slab, p);
                        }
                    }
                    Kind::Link => parts.1 += 1,
                    _ => {}
                }
            }
        }
        sound
            && self.slab.check(0)
            && entries == Some(u64::from(items))
            && parts.0 == parts.1
            && (items, payload, ttl_items) == (self.items, self.slab.live(), self.ttl_items)
            && self.slab.usage() + self.slab.free_bytes() == self.region()
    }

    /// Bytes that this shard answers for.
    pub(crate) fn region(&self) -> usize {
        self.slab.fixed()
            + ((self.slab.page_count() as usize) << self.slab.page_size().trailing_zeros())
    }
}
