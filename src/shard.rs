//! A shard: one lock's worth of store, policy, pins and time. What callers ask for is done here.
//!
//! Decide, then do: whatever may fail is asked before anything changes, so a verb that fails leaves its key as it
//! was.
//!
//! # Not here
//! What happens to items: `store`. Views and reservations: `pins`. Taking over a region: `attach`.

#![forbid(unsafe_code)]

mod changing;
mod holding;
mod leases;
mod owners;
mod putting;
mod quick;
mod reading;
mod walking;
mod writing;

pub(crate) use changing::End;
pub use changing::Overflow;
pub use leases::Lease;
pub use putting::PutMode;

use crate::attach::{Adopt, AttachReport};
use crate::expiry::{Instant, TTL_KEEP, TTL_MAX, TTL_NEVER};
use crate::hash::{KeyHasher, Place};
use crate::item::{Items, KEY_LEN_MAX, Shape, Type};
use crate::layout::{Cuts, Layout, Setup};
use crate::limits::narrow;
use crate::optimize::{OptimizeReport, Pass};
use crate::page::{GRANULE, Id};
use crate::pins::{Holder, Pins};
use crate::planted;
use crate::policy::Sums;
use crate::progress::Room;
use crate::region::Shared;
use crate::stats::{CacheStats, Counters, PageOwner};
use crate::status::{Error, Result};
use crate::store::{Kept, Logs, Store};

/// Items that go at once when the limit is lowered.
const SHRINK_STEPS: u32 = 8;

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
    pub(crate) tag: u32,
}

impl<'a> NewValue<'a> {
    pub(crate) fn new(bytes: &'a [u8], value_type: Type, ttl_ms: u64) -> Self {
        Self {
            bytes,
            value_type,
            ttl_ms,
            tag: 0,
        }
    }
}

/// An item as it lies there, for readers under the lock.
#[derive(Clone, Copy, Debug)]
pub struct ItemInfo<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value's first bytes: all of them unless it lies in several pieces.
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

/// What is known of an item besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemMeta {
    /// Bytes of the value.
    pub value_len: usize,
    /// What the value is.
    pub value_type: Type,
    /// The host's tag, with [`Config::item_tags`](crate::Config::item_tags); else 0.
    pub tag: u32,
    /// Its version, with [`Config::item_versions`](crate::Config::item_versions); else 0.
    pub version: u64,
    /// Milliseconds until it expires; [`TTL_NEVER`] if it does not.
    pub ttl_ms: u64,
    /// Milliseconds since it was set, where the cache keeps that.
    pub age_ms: Option<u64>,
    /// Whether it has expired, and is in its [grace](crate::Config::grace_ms).
    pub is_stale: bool,
}

/// How an item is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Neither counted nor reported to the policy.
    pub peeks: bool,
    /// Also where it has expired, for [`Config::grace_ms`](crate::Config::grace_ms): neither counted nor reported then.
    pub stale: bool,
}

/// What a shard's part of the region holds before.
pub(crate) enum Origin<'a> {
    /// Nothing that counts.
    Fresh,
    /// What an earlier owner left, with the time by then where it is known, and what others hold.
    Left(
        Option<Kept>,
        Place,
        &'a [Holder],
        &'a mut AttachReport,
        Adopt,
    ),
}

/// One shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) store: Store,
    pub(crate) pins: Pins,
    value_len_max: u32,
    default_ttl_ms: u64,
    optimizing: Pass,
    /// Bytes that are no page's.
    fixed: usize,
    /// The longest key that the configuration allows, and the longest that fits in a page.
    key_len_max: u16,
    key_len_fits: u16,
    /// The most bytes of an item that the quick path stores, its header included; 0 where it stores none.
    plain_max: u32,
    /// The most granules that ever were taken.
    taken_peak: u32,
    /// Whether a value is never written over another one: until the new one is there, the old one stays.
    #[cfg(feature = "hosted")]
    keeps_old: bool,
}

impl Shard {
    /// Where what outlives the owner lies in a shard, in bytes.
    pub(crate) const KEPT_AT: usize =
        core::mem::offset_of!(Self, store) + core::mem::offset_of!(Store, kept);

    /// A shard that [`Shard::start`] is to make ready.
    pub(crate) fn new(
        cuts: Cuts,
        setup: &Setup,
        layout: &Layout,
        hasher: Shared<KeyHasher>,
        kept: Kept,
    ) -> Self {
        let Cuts {
            policy,
            index,
            pages,
        } = cuts;
        Self {
            pins: Pins::new(setup.pins_max, layout.pins_fit()),
            key_len_max: setup.key_len_max.min(KEY_LEN_MAX) as u16,
            key_len_fits: setup.format.key_len_max(pages.page_size()) as u16,
            value_len_max: narrow(setup.value_len_max.min(u32::MAX as usize)),
            default_ttl_ms: setup.default_ttl_ms,
            optimizing: Pass::default(),
            fixed: layout.fixed,
            plain_max: quick::plain_max(setup, pages.page_size()),
            taken_peak: 0,
            #[cfg(feature = "hosted")]
            keeps_old: false,
            store: Store {
                kept,
                pages,
                layout: Items {
                    format: setup.format,
                },
                logs: Logs::new(),
                index,
                policy,
                hasher,
                room: Room::new(),
                items: 0,
                ttl_items: 0,
                payload: 0,
                held: 0,
                counters: Counters::default(),
                grace_ms: setup.grace_ms,
            },
        }
    }

    pub(crate) fn start(&mut self, origin: Origin<'_>) {
        match origin {
            Origin::Fresh => {
                self.store.pages.collect_free();
                self.store.index.start(&mut self.store.pages);
            }
            Origin::Left(kept, place, held, report, adopt) => {
                (adopt.shard)(&mut self.store, kept, place, held, report)
            }
        }
        self.note_usage();
    }

    /// Keeps every value that was there, wherever a process stops in mid-call: processes share the shard.
    #[cfg(feature = "hosted")]
    pub(crate) fn keep_old(&mut self) {
        self.keeps_old = true;
    }

    pub(crate) fn keeps_old(&self) -> bool {
        #[cfg(feature = "hosted")]
        return self.keeps_old;
        #[cfg(not(feature = "hosted"))]
        false
    }

    /// The region lies elsewhere now.
    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, by: &crate::region::Shift) {
        let store = &mut self.store;
        store.pages.shift(by);
        store.index.shift(by);
        store.policy.queues.shift(by);
        store.hasher.shift(by);
    }

    // ---- sizes ---------------------------------------------------------------------------------

    /// Bytes that this shard answers for.
    pub(crate) fn region(&self) -> usize {
        self.fixed + self.store.pages.count() as usize * self.store.pages.page_size()
    }

    fn overhead_pages(&self) -> usize {
        (self.store.index.pages() + self.pins.pages()) as usize
    }

    /// Every byte taken: fixed parts, the pages of the index, and what lives.
    pub(crate) fn usage(&self) -> usize {
        self.fixed
            + self.overhead_pages() * self.store.pages.page_size()
            + self.store.live() as usize * GRANULE
    }

    /// Walks every invariant. O(region).
    pub(crate) fn check(&self) -> bool {
        let usage = self.usage();
        self.store.check()
            && self.pins.check(&self.store)
            && usage == self.fixed + self.store.pages_taken()
            && usage <= self.region()
    }

    #[inline(always)]
    pub(crate) fn note_usage(&mut self) {
        let taken = self.store.pages.granules_of(self.overhead_pages() as u32) + self.store.live();
        if taken > self.taken_peak {
            self.taken_peak = taken;
        }
    }

    /// The lowest limit that this shard can be given.
    pub(crate) fn limit_min(&self) -> usize {
        self.fixed + crate::room::PAGES_MIN as usize * self.store.pages.page_size()
    }

    /// The longest key that can be stored, and the longest value that the limit holds now, with any such key.
    pub(crate) fn len_max(&self) -> (usize, usize) {
        let key = usize::from(self.key_len_max.min(self.key_len_fits));
        let most = self.store.item_granules_max() as usize * GRANULE;
        let value = most.saturating_sub(self.store.layout.format.size_max() + key);
        (key, value.min(self.value_len_max as usize))
    }

    /// Longest key, value and TTL by now.
    pub(crate) fn limits(&self) -> (usize, usize, u64) {
        let (key, value) = self.len_max();
        (key, value, TTL_MAX)
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

    /// How an item is divided, or `TooLarge` where the limit can never hold it.
    #[inline]
    pub(crate) fn shape_for(&self, key_len: usize, value_len: usize, ttl: bool) -> Result<Shape> {
        let page = self.store.pages.page_size();
        if key_len > usize::from(self.key_len_fits) || value_len > self.value_len_max as usize {
            return Err(Error::TooLarge);
        }
        let shape = self.store.layout.shape(page, key_len, value_len, ttl);
        // An item of one page fits in the least that a cache has.
        if shape.long && value_len > self.len_max().1 {
            return Err(Error::TooLarge);
        }
        Ok(shape)
    }

    /// The TTL that an item gets; 0 asks for the default.
    #[inline]
    pub(crate) fn effective_ttl(&self, ttl_ms: u64) -> u64 {
        match (ttl_ms, self.default_ttl_ms) {
            (0 | TTL_KEEP, 0) => TTL_NEVER,
            (0 | TTL_KEEP, default) => default,
            (ttl, _) => ttl,
        }
    }

    /// When an item expires that is stored for `ttl_ms`, over `old` where that is there.
    pub(crate) fn expiry_for(&self, ttl_ms: u64, old: Option<Id>) -> Option<(Instant, u64)> {
        match old {
            Some(old) if ttl_ms == TTL_KEEP => self.store.expiry_of(old),
            _ => self.store.time().expiry(self.effective_ttl(ttl_ms)),
        }
    }

    // ---- the whole -----------------------------------------------------------------------------

    /// What the simulations of other limits saw.
    pub(crate) fn advice_sums(&self) -> Option<Sums> {
        self.store.policy.queues.sums(self.store.moment())
    }

    /// Moves the limit.
    pub(crate) fn move_limit(&mut self, limit: usize) {
        let moment = self.store.moment();
        let store = &mut self.store;
        store.policy.queues.limit_moved(moment);
        let pages = store.pages.whole(limit.saturating_sub(self.fixed));
        if pages as u32 > store.pages.limit() {
            store.room.limit_rose();
        }
        store.pages.set_limit(pages as u32);
        self.optimizing = Pass::default();
    }

    /// Moves the limit, and gives a few items back where it is lower than what is in use.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.move_limit(limit);
        if !planted::is("limit lowered without shrink") {
            self.store.shrink(SHRINK_STEPS, true);
        }
    }

    /// The next slice begins a pass anew: what has expired since the last one began is found too.
    pub(crate) fn restart_pass(&mut self) {
        self.optimizing = Pass::default();
    }

    /// At most `steps` steps of the pass under way.
    pub(crate) fn optimize(&mut self, steps: u32) -> OptimizeReport {
        let usage = self.usage() as u64;
        let pages = self.store.pages.free_count();
        let (expired, moved) = (
            self.store.counters.expired(),
            self.store.counters.items_moved,
        );
        let (made, done) = self.store.optimize(&mut self.optimizing, steps);
        self.store.counters.reclaim_passes += u64::from(done && made > 0);
        OptimizeReport {
            bytes_freed: usage.saturating_sub(self.usage() as u64),
            items_expired: self.store.counters.expired() - expired,
            items_moved: self.store.counters.items_moved - moved,
            pages_freed: u64::from(self.store.pages.free_count().saturating_sub(pages)),
            steps: made,
            done,
        }
    }

    // ---- statistics ----------------------------------------------------------------------------

    /// Adds what this shard holds to a cache's statistics.
    pub(crate) fn add_stats(&self, stats: &mut CacheStats) {
        let store = &self.store;
        let (pages, count) = (&store.pages, &store.counters);
        stats.item_count += u64::from(store.items);
        count.add_to(stats);
        stats.payload_bytes += store.payload;
        stats.free_bytes += (self.region() - self.usage()) as u64;
        stats.overhead_bytes += self.usage() as u64 - store.payload;
        stats.total_allocated += (self.fixed + pages.touched() as usize * pages.page_size()) as u64;
        stats.total_used += self.usage() as u64;
        let peak = self.fixed + self.taken_peak as usize * GRANULE;
        stats.peak_used += peak.max(self.usage()) as u64;
        stats.pool_reuses += pages.reuses();
        stats.arena_allocs += u64::from(pages.touched());
        stats.index_rebuilds += store.index.rebuilds;
        stats.index_splits += store.index.splits;
        stats.page_size = pages.page_size() as u32;
        stats.page_count += pages.count();
        stats.pages_free += pages.free_count();
        stats.views += u32::from(self.pins.views);
        stats.reservations += u32::from(self.pins.reservations);
        for owner in [PageOwner::Window, PageOwner::Main] {
            stats.dead_bytes += self.owner_stats(owner).dead_bytes;
        }
    }
}
