//! A cache that owns its region, for programs with a heap. Its methods have the names of Rust's collections.
//!
//! The region is a heap allocation. A miss is `Ok(None)` or `Ok(false)`, a time to live is a
//! [`Duration`](core::time::Duration), and values are returned in vectors.
//!
//! # Invariants
//! 1. The heap allocates and frees outside the locks of shards.
//! 2. A read is counted once, whatever the length of its value.
//!
//! # Not here
//! Region, closures and all unsafe code: `owned::memory`.

mod builder;
mod items;
mod many;
mod memory;
mod reading;
mod verbs;

pub use builder::OwnedCacheBuilder;
pub use items::Items;

use crate::cache::Cache;
use crate::expiry::{TTL_MAX, TTL_NEVER};
use crate::stats::CacheStats;
use crate::status::{Error, Result};
use alloc::vec::Vec;
use core::time::Duration;

/// A cache that owns its region.
///
/// The region is one allocation, made and freed with the cache. Its size is the limit: index, headers and items
/// are inside. [`OwnedCache::as_cache`] gives access to all methods of [`Cache`].
///
/// ```
/// use larder::OwnedCache;
/// use std::time::Duration;
///
/// let cache = OwnedCache::with_memory(1 << 20)?;
/// cache.insert("answer", "forty-two")?;
/// cache.insert_with_ttl("session", [1, 2, 3], Duration::from_secs(60))?;
///
/// assert_eq!(cache.get("answer")?.as_deref(), Some(&b"forty-two"[..]));
/// assert_eq!(cache.get("question")?, None);
/// assert!(cache.remove("answer")?);
/// # Ok::<(), larder::Error>(())
/// ```
#[cfg_attr(
    feature = "spin",
    doc = "Threads share the cache by reference, or in an `Arc`.
```
let cache = std::sync::Arc::new(larder::OwnedCache::with_memory(1 << 20)?);
let other = cache.clone();
std::thread::spawn(move || other.insert(\"from\", \"a thread\")).join().unwrap()?;
assert!(cache.contains(\"from\")?);
# Ok::<(), larder::Error>(())
```"
)]
#[cfg_attr(
    not(feature = "spin"),
    doc = "Without the feature `spin` the cache is `Send` but not `Sync`, as [`Cache`] is.
```compile_fail,E0277
fn is_shareable<T: Sync>() {}
is_shareable::<larder::OwnedCache>();
```"
)]
/// A view does not outlive its cache.
/// ```compile_fail,E0505
/// let cache = larder::OwnedCache::with_memory(1 << 20).unwrap();
/// let view = cache.view("key");
/// drop(cache);
/// drop(view);
/// ```
pub struct OwnedCache {
    owner: memory::Owner,
}

impl OwnedCache {
    /// A cache in `bytes` of memory, with the default configuration.
    ///
    /// # Errors
    /// As [`OwnedCacheBuilder::build`].
    pub fn with_memory(bytes: usize) -> Result<Self> {
        Self::builder(bytes).build()
    }

    /// A builder for a cache in `bytes` of memory. [`Cache::required_size`] computes the bytes for a number of items.
    pub fn builder(bytes: usize) -> OwnedCacheBuilder {
        OwnedCacheBuilder::new(bytes)
    }

    /// The same cache with the methods of [`Cache`]: typed values, reservations, ranges, scans, optimizing. A
    /// [`Monitor`](crate::Monitor) takes it, too.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// cache.as_cache().set_u64(b"visits", 1, 0)?;
    /// cache.as_cache().increment(b"visits", 1)?;
    /// assert_eq!(cache.as_cache().get_u64(b"visits")?, 2);
    /// # Ok::<(), larder::Error>(())
    /// ```
    pub fn as_cache(&self) -> &Cache<'_> {
        self.owner.cache()
    }

    /// Number of items. Expired items that are not removed yet count.
    pub fn len(&self) -> usize {
        self.as_cache().item_count() as usize
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All statistics.
    pub fn stats(&self) -> CacheStats {
        self.as_cache().stats()
    }

    /// The limit in bytes: the whole region, unless the builder or [`OwnedCache::set_memory_limit`] set a lower one.
    pub fn memory_limit(&self) -> usize {
        self.as_cache().memory_limit()
    }

    /// Sets the limit, at most the size of the region. The region stays allocated.
    ///
    /// # Errors
    /// As [`Cache::set_memory_limit`].
    pub fn set_memory_limit(&self, limit: usize) -> Result<()> {
        self.as_cache().set_memory_limit(limit)
    }

    /// Used bytes: index, headers and items.
    pub fn memory_usage(&self) -> usize {
        self.as_cache().memory_usage()
    }

    /// Removes every item. The bytes of a viewed item are freed when the view is dropped.
    ///
    /// # Errors
    /// As [`Cache::clear`]: `Busy` from inside a callback.
    pub fn clear(&self) -> Result<()> {
        self.as_cache().clear()
    }
}

impl core::fmt::Debug for OwnedCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("OwnedCache")
            .field("memory_limit", &self.memory_limit())
            .finish_non_exhaustive()
    }
}

/// A time to live in milliseconds, rounded up. `Invalid` for zero, which a cache takes as its default.
fn milliseconds(ttl: Duration) -> Result<u64> {
    if ttl.is_zero() {
        return Err(Error::Invalid);
    }
    if ttl == Duration::MAX {
        return Ok(TTL_NEVER);
    }
    let part = u64::from(ttl.subsec_nanos().div_ceil(1_000_000));
    Ok(ttl
        .as_secs()
        .saturating_mul(1000)
        .saturating_add(part)
        .min(TTL_MAX))
}

/// The duration of a cache's milliseconds; [`Duration::MAX`] for an item that never expires.
fn duration(ttl_ms: u64) -> Duration {
    match ttl_ms {
        TTL_NEVER => Duration::MAX,
        ms => Duration::from_millis(ms),
    }
}

/// `None` for a miss.
fn unless_missing<T>(answer: Result<T>) -> Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An empty vector with room for `len` elements. `NoMemory` if the heap has no memory.
fn vector<T>(len: usize) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).map_err(|_| Error::NoMemory)?;
    Ok(vector)
}

/// A copy on the heap. `NoMemory` if the heap has no memory.
fn copied(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = vector(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

#[cfg(doctest)]
#[doc = include_str!("../docs/rust.md")]
struct Page;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
