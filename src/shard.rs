//! One shard: slab, index, policy and time under one lock, and the verbs on items.
//!
//! # Invariants (walked by [`Shard::check`])
//! 1. Each item's slot is in the index once, and each index entry names an item.
//! 2. `items` and `ttl_items` are the sums over all items, the classes' bytes those over their slots.
//! 3. Those of slab, index and item.
//!
//! # Not here
//! Verbs on items: `shard::reading`, `shard::writing`. Making room: `reclaim`. Sweeping and compaction: `optimize`. Locks and callbacks: `cache`.

#![forbid(unsafe_code)]

mod reading;
mod writing;

use crate::attach::{Adopt, AttachReport};
use crate::expiry::{TTL_NEVER, Time};
use crate::footprint::Footprint;
use crate::hash::{Hash, KeyHasher, upper};
use crate::index::Index;
use crate::item::{Format, Items, KEY_LEN_MAX, LINK_SIZE, Shape, Type};
use crate::limits;
use crate::pins::Pins;
use crate::policy::{Policy, PolicyKind};
use crate::reclaim::Drain;
use crate::region::{Cutter, Shared};
use crate::slab::{Class, Kind, MakeSlab, Page, Slab};
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
    /// What the configuration allows; slot and limit may allow less.
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

    /// Longest key that the configuration allows and a slot has room for.
    fn key_len_max(&self) -> usize {
        let slot = self.slab.slot_size(self.slab.largest_class());
        limits::key_len_max(self.layout.format, slot).min(usize::from(self.key_len_max))
    }

    /// Longest value that configuration and limit allow: it fits once all other items are gone.
    #[cold]
    fn value_len_max(&self) -> usize {
        let (slab, class) = (&self.slab, self.slab.largest_class());
        let room = self
            .limit
            .saturating_sub(slab.fixed() + self.index_size as usize);
        let pages = limits::pages_for_value(room >> slab.page_size().trailing_zeros());
        let slots = pages * slab.slots_per_page(class) as usize;
        let key_len = self.key_len_max();
        limits::value_len_max(self.layout.format, slab.slot_size(class), slots, key_len)
            .min(self.value_len_max)
    }

    /// Longest key, value and TTL by now.
    pub(crate) fn limits(&self) -> (usize, usize, u64) {
        let (key, value) = (self.key_len_max(), self.value_len_max());
        (key, value, self.time.ttl_max())
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
        if value_len > self.value_len_max || key_len > self.key_len_max() {
            return Err(Error::TooLarge);
        }
        let shape = self.layout.shape(&self.slab, key_len, value_len, ttl);
        let shape = shape.ok_or(Error::TooLarge)?;
        // Every limit leaves two slots of the largest class, so shorter values are below its bound.
        let slot = self.slab.slot_size(self.slab.largest_class());
        if value_len > slot.saturating_sub(LINK_SIZE) && value_len > self.value_len_max() {
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

    // ---- the whole -----------------------------------------------------------------------------

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
