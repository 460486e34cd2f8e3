//! An iterator over all items while the cache is in use.

#![forbid(unsafe_code)]

use super::reading::SHORT;
use super::{OwnedCache, copied};
use crate::cache::Cursor;
use crate::item::KEY_LEN_MAX;
use crate::shard::ItemInfo;
use crate::status::Result;
use alloc::vec::Vec;

/// Copies of a cache's items: see [`OwnedCache::iter`].
///
/// ```
/// let cache = larder::OwnedCache::with_memory(1 << 20)?;
/// cache.insert("key", "value")?;
/// let items: larder::Items<'_> = cache.iter();
/// assert_eq!(items.collect::<Result<Vec<_>, _>>()?, [(b"key".to_vec(), b"value".to_vec())]);
/// # Ok::<(), larder::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Items<'c> {
    cache: &'c OwnedCache,
    cursor: Cursor,
    is_done: bool,
}

impl OwnedCache {
    /// Copies of all items, key and value, in no particular order. Counts neither as gets nor as uses.
    ///
    /// This is not a snapshot. No lock is held between two items. An item that any thread stores, moves or replaces
    /// meanwhile may be left out or returned twice. Each value is the one at the moment of its copy.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// cache.insert_many(&[("one", "1"), ("two", "22")])?;
    /// let mut bytes = 0;
    /// for item in &cache {
    ///     let (_, value) = item?;
    ///     bytes += value.len();
    /// }
    /// assert_eq!(bytes, 3);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// An item is `NoMemory` if the heap has no memory for it, `Corrupt` if its checksum does not match, `Busy` from
    /// inside a callback. The iterator ends after an error.
    pub fn iter(&self) -> Items<'_> {
        Items {
            cache: self,
            cursor: Cursor::default(),
            is_done: false,
        }
    }
}

impl<'c> IntoIterator for &'c OwnedCache {
    type Item = Result<(Vec<u8>, Vec<u8>)>;
    type IntoIter = Items<'c>;

    fn into_iter(self) -> Items<'c> {
        self.iter()
    }
}

/// The copy of an item made under its lock: the key, and the value if it is short.
struct Met {
    key: [u8; KEY_LEN_MAX],
    key_len: usize,
    short: [u8; SHORT],
    /// The value's length, and whether the value was copied.
    answer: (usize, bool),
}

impl Met {
    fn new(item: &ItemInfo<'_>) -> Self {
        let (mut key, mut short) = ([0; KEY_LEN_MAX], [0; SHORT]);
        fill(&mut key, item.key);
        let is_whole = item.span.len() == item.value_len;
        let answer = (item.value_len, is_whole && fill(&mut short, item.span));
        Self {
            key,
            key_len: item.key.len(),
            short,
            answer,
        }
    }
}

/// Copies bytes to the front of a buffer. Returns whether the buffer is long enough.
fn fill(buffer: &mut [u8], bytes: &[u8]) -> bool {
    let front = buffer.get_mut(..bytes.len());
    front.map(|front| front.copy_from_slice(bytes)).is_some()
}

impl Items<'_> {
    /// The next item; `None` at the end.
    fn advance(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        loop {
            let mut met = None;
            self.cache.as_cache().scan(&mut self.cursor, |item| {
                met = Some(Met::new(item));
                false
            })?;
            let Some(met) = met else { return Ok(None) };
            let key = met.key.get(..met.key_len).unwrap_or(&[]);
            let value = self.cache.finish(key, &met.short, Ok(met.answer))?;
            // A longer value may be removed before it is read.
            if let Some(value) = value {
                return Ok(Some((copied(key)?, value)));
            }
        }
    }
}

impl Iterator for Items<'_> {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let item = self.advance().transpose();
        self.is_done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl core::iter::FusedIterator for Items<'_> {}
