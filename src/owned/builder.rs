//! The builder of an owned cache.

#![forbid(unsafe_code)]

use super::memory::{Hooks, Owner};
use super::{OwnedCache, milliseconds};
use crate::config::{Config, Event};
use crate::expiry::TTL_NEVER;
use crate::policy::PolicyKind;
use crate::status::Result;
use core::time::Duration;

/// The configuration of an [`OwnedCache`]: see [`OwnedCache::builder`]. All defaults together make a working cache.
///
/// ```
/// use larder::{OwnedCache, PolicyKind};
/// use std::hash::{BuildHasher, RandomState};
/// use std::time::Duration;
///
/// let cache = OwnedCache::builder(16 << 20)
///     .memory_limit(8 << 20)
///     .default_ttl(Duration::from_secs(300))
///     .policy(PolicyKind::Lru)
///     .shards(4)
///     .hash_seed(RandomState::new().hash_one("larder"))
///     .on_event(|event| println!("{:?}: {} items", event.kind, event.items))
///     .build()?;
/// assert_eq!(cache.memory_limit(), 8 << 20);
/// # Ok::<(), larder::Error>(())
/// ```
#[must_use]
pub struct OwnedCacheBuilder {
    bytes: usize,
    config: Config,
    default_ttl: Option<Duration>,
    hooks: Hooks,
}

impl OwnedCacheBuilder {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            config: Config::default(),
            default_ttl: None,
            hooks: Hooks::default(),
        }
    }

    /// Replaces the whole configuration, for options without a method here: tags, versions, lock hooks. Closures and
    /// a default time to live that were set on the builder stay.
    pub fn config(mut self, config: &Config) -> Self {
        self.config = *config;
        self
    }

    /// Time to live of items set without one. Default: they never expire.
    pub fn default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// Bytes of the region that the cache may use. Default: all.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.config.memory_limit = bytes;
        self
    }

    /// The eviction policy.
    pub fn policy(mut self, policy: PolicyKind) -> Self {
        self.config.policy = policy;
        self
    }

    /// Number of shards, each with its own lock: see [`Config::shards`]. Default: 1.
    pub fn shards(mut self, shards: u32) -> Self {
        self.config.shards = shards;
        self
    }

    /// Longest key in bytes: see [`Config::key_len_max`].
    pub fn key_len_max(mut self, len: usize) -> Self {
        self.config.key_len_max = len;
        self
    }

    /// Longest value in bytes: see [`Config::value_len_max`].
    pub fn value_len_max(mut self, len: usize) -> Self {
        self.config.value_len_max = len;
        self
    }

    /// Views and reservations that each shard can have at a time: see [`Config::pins_max`]. Default: 16.
    pub fn pins_max(mut self, pins: u32) -> Self {
        self.config.pins_max = pins;
        self
    }

    /// Keeps a checksum of each item, which every read compares: see [`Config::checksum`].
    pub fn checksums(mut self, kept: bool) -> Self {
        self.config.checksum = kept;
        self
    }

    /// Keeps the time of each item's last set: see [`Config::item_times`].
    pub fn item_times(mut self, kept: bool) -> Self {
        self.config.item_times = kept;
        self
    }

    /// Overwrites the bytes of every removed item with zero.
    pub fn zero_on_free(mut self, zeroed: bool) -> Self {
        self.config.zero_on_free = zeroed;
        self
    }

    /// Seed of the hash. Use a random number if attackers may choose keys. Default: 0.
    pub fn hash_seed(mut self, seed: u64) -> Self {
        self.config.hash_seed = seed;
        self
    }

    /// Sets the clock: a closure that returns milliseconds since any zero point. Default: see [`Config::clock`].
    ///
    /// The closure is called under a lock. It must not call the cache, which would deadlock. A panic in it aborts
    /// the program.
    ///
    /// ```
    /// use larder::OwnedCache;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    ///
    /// let now = Arc::new(AtomicU64::new(0));
    /// let clock = now.clone();
    /// let cache = OwnedCache::builder(1 << 20)
    ///     .clock(move || clock.load(Ordering::Relaxed))
    ///     .build()?;
    /// cache.insert_with_ttl("token", "secret", Duration::from_secs(1))?;
    /// now.store(1000, Ordering::Relaxed);
    /// assert_eq!(cache.get("token")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn clock(mut self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        self.hooks.clock(now_ms);
        self
    }

    /// Sets a closure that receives evictions and expirations, added up for each call of the cache.
    ///
    /// The closure is called without a lock, by one thread at a time. Inside it, a call of the same cache is `Busy`.
    /// Without the feature `hosted`, a call of another thread at that time is `Busy`, too. A panic in the closure
    /// continues in the call of the cache, which has done its work by then.
    pub fn on_event(mut self, call: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.hooks.on_event(call);
        self
    }

    /// Allocates the region and makes the cache in it.
    ///
    /// # Errors
    /// `NoMemory` if the heap has no memory for the region, or if region or limit are too small for a cache;
    /// `Invalid` for a number out of range: a limit above the region, a default time to live of zero, a region
    /// above 274,869,518,336 bytes.
    ///
    /// # Time
    /// O(pages of the region).
    pub fn build(mut self) -> Result<OwnedCache> {
        if let Some(ttl) = self.default_ttl {
            let ttl_ms = milliseconds(ttl)?;
            self.config.default_ttl_ms = if ttl_ms == TTL_NEVER { 0 } else { ttl_ms };
        }
        let owner = Owner::new(self.bytes, self.config, self.hooks)?;
        Ok(OwnedCache { owner })
    }
}

impl core::fmt::Debug for OwnedCacheBuilder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OwnedCacheBuilder")
            .field("bytes", &self.bytes)
            .field("config", &self.config)
            .field("default_ttl", &self.default_ttl)
            .finish_non_exhaustive()
    }
}
