//! The verbs on one item, with the names of Rust's collections.

#![forbid(unsafe_code)]

use super::{OwnedCache, duration, milliseconds, unless_missing};
use crate::status::{Error, Result};
use crate::view::View;
use alloc::vec::Vec;
use core::time::Duration;

impl OwnedCache {
    /// A copy of a value; `None` on a miss.
    ///
    /// # Errors
    /// `Invalid` for an empty key; `TooLarge` for a key longer than the maximum; `NoMemory` if the heap has no
    /// memory; `Corrupt` if the item's checksum does not match (the item is removed); `Busy` from inside a callback.
    ///
    /// # Time
    /// O(value length). A value of more than 256 bytes is looked up twice.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.read(key.as_ref())
    }

    /// Copies a value into a vector and reuses the vector's memory. Returns whether there was a value. After a miss
    /// or an error the vector is empty.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// cache.insert("key", "value")?;
    /// let mut value = Vec::new();
    /// assert!(cache.get_into("key", &mut value)?);
    /// assert_eq!(value, b"value");
    /// assert!(!cache.get_into("other", &mut value)?);
    /// assert!(value.is_empty());
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`OwnedCache::get`].
    pub fn get_into(&self, key: impl AsRef<[u8]>, value: &mut Vec<u8>) -> Result<bool> {
        self.read_into(key.as_ref(), value)
    }

    /// Stores a value with the default time to live. Evicts other items if there is no room.
    ///
    /// # Errors
    /// As [`Cache::set`](crate::Cache::set): `Invalid` for an empty key; `TooLarge` for a key or a value above the
    /// maximum; `NoMemory` if the items to evict are pinned; `Busy` from inside a callback.
    ///
    /// # Time
    /// As [`Cache::set`](crate::Cache::set).
    pub fn insert(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.as_cache().set(key.as_ref(), value.as_ref(), 0)
    }

    /// As [`OwnedCache::insert`], with a time to live. [`Duration::MAX`] = the item never expires. The time is
    /// rounded up to milliseconds, and shortened to 34.8 years if it is longer.
    ///
    /// # Errors
    /// As [`OwnedCache::insert`], and `Invalid` for a time of zero.
    pub fn insert_with_ttl(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        ttl: Duration,
    ) -> Result<()> {
        let ttl_ms = milliseconds(ttl)?;
        self.as_cache().set(key.as_ref(), value.as_ref(), ttl_ms)
    }

    /// Removes an item. Returns whether there was one.
    ///
    /// # Errors
    /// `Invalid` and `TooLarge` for keys as in [`OwnedCache::get`]; `Busy` from inside a callback.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        let removed = unless_missing(self.as_cache().delete(key.as_ref()))?;
        Ok(removed.is_some())
    }

    /// Whether there is an item with this key. Counts neither as a get nor as a use.
    ///
    /// # Errors
    /// As [`OwnedCache::remove`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.as_cache().contains(key.as_ref())
    }

    /// The time to live that is left. [`Duration::MAX`] if the item never expires; `None` on a miss.
    ///
    /// ```
    /// use std::time::Duration;
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// cache.insert("key", "value")?;
    /// assert_eq!(cache.ttl("key")?, Some(Duration::MAX));
    /// assert_eq!(cache.ttl("other")?, None);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`OwnedCache::remove`].
    pub fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Option<Duration>> {
        let ttl_ms = unless_missing(self.as_cache().ttl(key.as_ref()))?;
        Ok(ttl_ms.map(duration))
    }

    /// Sets an item's time to live, counted from now. Returns whether there was an item.
    ///
    /// # Errors
    /// As [`OwnedCache::remove`]; `Invalid` for a time of zero; `NoMemory` if the item needs room for its first
    /// time to live and the items to evict are pinned.
    pub fn touch(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool> {
        let ttl_ms = milliseconds(ttl)?;
        let touched = unless_missing(self.as_cache().touch(key.as_ref(), ttl_ms))?;
        Ok(touched.is_some())
    }

    /// Pins an item to read its value in place; `None` on a miss. Counts as a get.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// cache.insert("key", "value")?;
    /// let view = cache.view("key")?.expect("stored above");
    /// assert_eq!(view.bytes(), Some(&b"value"[..]));
    /// cache.remove("key")?;
    /// assert_eq!(view.len(), 5, "the view keeps its bytes");
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`OwnedCache::remove`], and `NoMemory` if there are already [`Config::pins_max`] pins.
    ///
    /// [`Config::pins_max`]: crate::Config::pins_max
    pub fn view(&self, key: impl AsRef<[u8]>) -> Result<Option<View<'_>>> {
        unless_missing(self.as_cache().pin(key.as_ref()))
    }

    /// The value of a key. On a miss, stores and returns the value from `make`, with the default time to live.
    ///
    /// No lock is held while `make` runs: `make` may call the cache, and a panic in it changes nothing. Threads that
    /// miss at the same time each call their own `make`. All of them return the value that was stored first.
    /// A value that the cache cannot store is still returned. `failed_too_large` or `failed_no_memory` of the
    /// [statistics](OwnedCache::stats) count it.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// let page = cache.get_or_insert_with("/", || "<html></html>")?;
    /// assert_eq!(page, b"<html></html>");
    /// assert_eq!(cache.get_or_insert_with("/", || unreachable!() as String)?, page);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`OwnedCache::get`].
    pub fn get_or_insert_with<V: Into<Vec<u8>>>(
        &self,
        key: impl AsRef<[u8]>,
        make: impl FnOnce() -> V,
    ) -> Result<Vec<u8>> {
        self.try_get_or_insert_with(key, || Ok::<V, Error>(make()))
    }

    /// As [`OwnedCache::get_or_insert_with`], for a `make` that may fail.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// let read = |path| cache.try_get_or_insert_with(path, || Ok(std::fs::read(path)?));
    /// let failed: Result<_, Box<dyn std::error::Error>> = read("/no/such/file");
    /// assert!(failed.is_err());
    /// assert!(cache.is_empty());
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of `make`, after which nothing is stored; else as [`OwnedCache::get`], converted.
    pub fn try_get_or_insert_with<V: Into<Vec<u8>>, E: From<Error>>(
        &self,
        key: impl AsRef<[u8]>,
        make: impl FnOnce() -> core::result::Result<V, E>,
    ) -> core::result::Result<Vec<u8>, E> {
        let key = key.as_ref();
        match self.get(key)? {
            Some(value) => Ok(value),
            None => Ok(self.add_or_get(key, make()?.into())?),
        }
    }

    /// Stores and returns the value, or returns the one that another thread has stored since.
    fn add_or_get(&self, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>> {
        match self.as_cache().add(key, &value, 0) {
            Ok(()) | Err(Error::TooLarge | Error::NoMemory) => Ok(value),
            Err(Error::Exists) => Ok(self.finish(key, &[], Ok((0, false)))?.unwrap_or(value)),
            Err(error) => Err(error),
        }
    }
}
