//! The configuration of a cache: sizes, policy, time, locks, callbacks.
#![allow(unsafe_code)]

use crate::clock::Clock;
use crate::item::{Format, KEY_LEN_MAX};
use crate::layout::{PART_MAX, Setup};
use crate::lock::{LockHooks, LockKind};
use crate::policy::PolicyKind;
use crate::status::{Error, Result};
use core::ffi::c_void;

/// The maximum number of shards of a cache.
pub const SHARDS_MAX: u32 = 64;

/// Bytes of the largest region of a cache: all that the ids of [`SHARDS_MAX`] shards can address.
pub(crate) const REGION_MAX: u64 = SHARDS_MAX as u64 * PART_MAX;

/// Items that a call evicted or expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Event {
    /// The kind of the event.
    pub kind: EventKind,
    /// Number of items.
    pub items: u64,
    /// Key and value bytes of these items.
    pub bytes: u64,
}

/// The kinds of [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[repr(u32)]
pub enum EventKind {
    /// Items were evicted to make room.
    Evicted = 1,
    /// Expired items were removed.
    Expired = 2,
    /// A process that shares the cache had died in mid-call, and its shard was made whole: `items` counts shards.
    Recovered = 3,
}

/// The function that receives events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventHook {
    pub(crate) call: unsafe fn(target: *const c_void, ctx: *mut c_void, event: &Event),
    /// The host's function, for which `call` is the adapter.
    pub(crate) target: *const c_void,
    pub(crate) ctx: *mut c_void,
}

impl EventHook {
    /// One that tells nothing.
    #[cfg(feature = "hosted")]
    pub(crate) const NONE: Self = Self {
        call: |_, _, _| {},
        target: core::ptr::null(),
        ctx: core::ptr::null_mut(),
    };
}

/// The configuration of a cache. All defaults together make a working cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Bytes of the region that the cache may use; 0 = all.
    pub memory_limit: usize,
    /// Longest key in bytes; 0 = 255, the maximum. The maximum is lower if a shard has less than 32 KiB of the
    /// region: see [`Limits`](crate::Limits).
    pub key_len_max: usize,
    /// Longest value in bytes; 0 = the longest that one shard's share of the limit can hold beside the longest key:
    /// see [`Limits`](crate::Limits).
    pub value_len_max: usize,
    /// Reserved for a hint of the number of items. It has no effect: the index adapts.
    pub expected_items: u64,
    /// The eviction policy.
    pub policy: PolicyKind,
    /// Number of shards, each with its own lock, at most [`SHARDS_MAX`]; 0 = 1. Shards have equal shares of region
    /// and limit, and a value is in one shard. There is at least one for each 4,294,836,224 bytes (4 GiB - 128 KiB).
    pub shards: u32,
    /// Default time to live in milliseconds of the [clock](Config::clock); 0 = items never expire by default.
    pub default_ttl_ms: u64,
    /// Grace period, at most 2^32 - 1 (49 days): on request, [`Cache::get_item`](crate::Cache::get_item) returns an
    /// item for this time after its expiry. No other call returns it, and it is the first to be evicted.
    pub grace_ms: u64,
    /// Overwrites the bytes of every removed item with zero.
    pub zero_on_free: bool,
    /// Keeps the time of each item's last set: 4 bytes an item.
    pub item_times: bool,
    /// Keeps a tag of the host with each item, for [`Cache::put`](crate::Cache::put): 4 bytes an item.
    pub item_tags: bool,
    /// Keeps a version of each item, for [`Cache::put`](crate::Cache::put): 8 bytes an item.
    pub item_versions: bool,
    /// Keeps a checksum of each item. Every read of a value and [`Cache::attach`] compare it: 4 bytes an item, and
    /// O(value) a read.
    ///
    /// [`Cache::attach`]: crate::Cache::attach
    pub checksum: bool,
    /// Views and reservations that each shard can have at a time; 0 = 16. The maximum is an eighth of a page's bytes.
    /// It is 16 if a shard has less than 6 KiB of the region, 32 below 32 KiB, 64 below 256 KiB, 128 below 1 MiB. A
    /// higher number is `NoMemory` when the cache is made.
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
    /// Sets the clock: a function that returns milliseconds since any zero point.
    ///
    /// By default the feature `hosted` reads the C library's clock: `CLOCK_BOOTTIME`, which counts suspend, on Linux,
    /// Android and OpenBSD; else `CLOCK_MONOTONIC`. Without `hosted`, the time starts at 0 and only
    /// [`Cache::set_time`](crate::Cache::set_time) changes it.
    #[must_use]
    pub fn clock(mut self, now_ms: fn() -> u64) -> Self {
        self.clock = Clock::function(now_ms);
        self
    }

    /// Uses no lock.
    ///
    /// # Safety
    /// One thread at a time calls the cache. No interrupt handler calls the cache.
    #[must_use]
    pub unsafe fn single_thread(mut self) -> Self {
        self.lock = LockKind::None;
        self
    }

    /// Uses the host's lock, one for all shards.
    ///
    /// # Safety
    /// Between lock and unlock the hooks exclude all other threads from the cache. The hooks do not call the cache.
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

    /// Number of shards for a region of this size. It exceeds the configured number if the ids of that many
    /// shards could not address the whole region.
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
