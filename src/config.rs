//! What a cache is made with: sizes, policy, time, locks, callbacks.
#![allow(unsafe_code)]

use crate::clock::Clock;
use crate::item::{Format, KEY_LEN_MAX};
use crate::layout::{PART_MAX, Setup};
use crate::lock::{LockHooks, LockKind};
use crate::policy::PolicyKind;
use crate::status::{Error, Result};
use core::ffi::c_void;

/// The most shards that a cache can have.
pub const SHARDS_MAX: u32 = 64;

/// Bytes of the largest region of a cache: what the ids of that many shards reach.
pub(crate) const REGION_MAX: u64 = SHARDS_MAX as u64 * PART_MAX;

/// What happened in a call besides what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// How many items.
    pub items: u64,
    /// Their key and value bytes.
    pub bytes: u64,
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[repr(u32)]
pub enum EventKind {
    /// Items had to go to make room.
    Evicted = 1,
    /// Items whose time had come were taken out.
    Expired = 2,
}

/// Whom to tell of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHook {
    pub(crate) call: unsafe fn(target: *const c_void, ctx: *mut c_void, event: &Event),
    /// What `call` calls in the end.
    pub(crate) target: *const c_void,
    pub(crate) ctx: *mut c_void,
}

/// How a cache is set up. Every field at its default is a cache that works.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Bytes of the region that may be used; 0 = all.
    pub memory_limit: usize,
    /// Longest key in bytes; 0 = 255, which is also the most. Where a shard has less than 32 KiB of the
    /// region, it is less: see [`Limits`](crate::Limits).
    pub key_len_max: usize,
    /// Longest value in bytes; 0 = what one shard's share of the limit can hold beside the longest key: see
    /// [`Limits`](crate::Limits).
    pub value_len_max: usize,
    /// A hint of how many items to expect; 0 = adapt. Nothing depends on it being right.
    pub expected_items: u64,
    /// Whom to evict.
    pub policy: PolicyKind,
    /// Parts with a lock each, at most [`SHARDS_MAX`]; 0 = 1. Each has an equal share of region and limit, and a
    /// value lies in one of them. A region has at least one for each 4,294,836,224 bytes (4 GiB - 128 KiB).
    pub shards: u32,
    /// Time to live, by the [clock](Config::clock), of items that are given none; 0 = never expire.
    pub default_ttl_ms: u64,
    /// For how long an item that has expired may still be read by [`Cache::get_item`](crate::Cache::get_item), where
    /// that is asked for; at most 2^32 - 1 (49 days). No other call returns it, and it is the first to be evicted.
    pub grace_ms: u64,
    /// Zero the bytes of every item that is gone.
    pub zero_on_free: bool,
    /// Keep the time of each item's last set: 4 bytes an item.
    pub item_times: bool,
    /// Keep a tag of the host's with each item, for [`Cache::put`](crate::Cache::put): 4 bytes an item.
    pub item_tags: bool,
    /// Keep a version of each item, for [`Cache::put`](crate::Cache::put): 8 bytes an item.
    pub item_versions: bool,
    /// Keep a checksum of each item, looked at by every read of its value and by [`Cache::attach`]: 4 bytes an
    /// item, and O(value) a read.
    ///
    /// [`Cache::attach`]: crate::Cache::attach
    pub checksum: bool,
    /// Views and reservations that each shard can have at a time; 0 = 16. At most an eighth of a page's bytes: 16
    /// where a shard has less than 6 KiB of the region, 32 below 32 KiB, 64 below 256 KiB, 128 below 1 MiB. More than
    /// that are `NoMemory` at the start.
    pub pins_max: u32,
    /// No simulations of other limits: [`Cache::advise`](crate::Cache::advise) is refused, and 2 KB of each shard of at
    /// least 256 KiB are left for items.
    pub no_advice: bool,
    /// Seed of the hash: random where keys may be crafted.
    pub hash_seed: u64,
    pub(crate) lock: LockKind,
    pub(crate) clock: Clock,
    pub(crate) on_event: Option<EventHook>,
}

impl Config {
    /// Takes the time from a function, in milliseconds from any zero point.
    ///
    /// Without one, the feature `hosted` takes the time from the C library: `CLOCK_BOOTTIME`, which counts suspend, on
    /// Linux, Android and OpenBSD; else `CLOCK_MONOTONIC`. Without `hosted`, the time starts at 0 and moves by
    /// [`Cache::set_time`](crate::Cache::set_time) alone.
    #[must_use]
    pub fn clock(mut self, now_ms: fn() -> u64) -> Self {
        self.clock = Clock::function(now_ms);
        self
    }

    /// Uses no lock at all.
    ///
    /// # Safety
    /// One thread at a time calls the cache, and no interrupt handler does.
    #[must_use]
    pub unsafe fn single_thread(mut self) -> Self {
        self.lock = LockKind::None;
        self
    }

    /// Uses the host's lock, one for all shards.
    ///
    /// # Safety
    /// The hooks exclude each other over all threads that call the cache, and do not call it.
    #[must_use]
    pub unsafe fn lock_hooks(mut self, hooks: LockHooks) -> Self {
        self.lock = LockKind::Hooks(hooks);
        self
    }

    /// Checks every field.
    pub(crate) fn check(&self) -> Result<()> {
        let ok =
            self.shards <= SHARDS_MAX && self.key_len_max <= KEY_LEN_MAX && self.policy.is_built();
        if ok { Ok(()) } else { Err(Error::Invalid) }
    }

    /// Shards over a region of this size: those asked for, or as many as it takes to reach all of
    /// it with the ids of each.
    pub(crate) fn shard_count(&self, region: usize) -> u32 {
        let reach = (region as u64).min(REGION_MAX).div_ceil(PART_MAX);
        self.shards.max(1).max(reach as u32)
    }

    pub(crate) fn setup(&self) -> Setup {
        let or = |n: usize, default: usize| if n == 0 { default } else { n };
        Setup {
            policy: self.policy,
            advises: !self.no_advice,
            format: Format::new(
                self.policy == PolicyKind::Lru,
                Format {
                    times: self.item_times,
                    checksum: self.checksum,
                    tags: self.item_tags,
                    versions: self.item_versions,
                    ..Format::default()
                },
            ),
            zero_on_free: self.zero_on_free,
            seed: self.hash_seed,
            key_len_max: or(self.key_len_max, KEY_LEN_MAX),
            value_len_max: or(self.value_len_max, usize::MAX),
            default_ttl_ms: self.default_ttl_ms,
            grace_ms: u32::try_from(self.grace_ms).unwrap_or(u32::MAX),
            pins_max: self.pins_max as usize,
        }
    }
}
