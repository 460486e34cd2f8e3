//! Many requests in one call: see `batch`, which gets one of its groups at a time.

#![forbid(unsafe_code)]

use super::reading::{Answer, SHORT};
use super::{OwnedCache, vector};
use crate::item::Type;
use crate::shard::{NewValue, SetMode};
use crate::status::{Error, Result};
use alloc::vec::Vec;

/// Requests of a group, as in `batch`.
const GROUP: usize = 8;

#[derive(Clone, Copy)]
struct Get<'k> {
    key: &'k [u8],
    short: [u8; SHORT],
    answer: Answer,
}

#[derive(Clone, Copy)]
struct Set<'k> {
    key: &'k [u8],
    value: &'k [u8],
    done: Result<()>,
}

impl OwnedCache {
    /// Copies of many values, in the order of `keys`; `None` for each miss. Faster than single gets if the cache is
    /// larger than the processor's caches.
    ///
    /// ```
    /// let cache = larder::OwnedCache::with_memory(1 << 20)?;
    /// cache.insert_many(&[("one", "1"), ("two", "2")])?;
    /// let values = cache.get_many(&["two", "three"])?;
    /// assert_eq!(values, [Some(b"2".to_vec()), None]);
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`OwnedCache::get`] of the first key that fails.
    pub fn get_many<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<Vec<Option<Vec<u8>>>> {
        let mut values = vector(keys.len())?;
        let mut group = [Get {
            key: &[],
            short: [0; SHORT],
            answer: Err(Error::NotFound),
        }; GROUP];
        for keys in keys.chunks(GROUP) {
            let requests = group.get_mut(..keys.len()).unwrap_or_default();
            for (request, key) in requests.iter_mut().zip(keys) {
                request.key = key.as_ref();
            }
            self.get_group(requests)?;
            for Get { key, short, answer } in &*requests {
                values.push(self.finish(key, short, *answer)?);
            }
        }
        Ok(values)
    }

    fn get_group(&self, requests: &mut [Get<'_>]) -> Result<()> {
        self.as_cache().for_each_request(
            requests,
            false,
            |request| Ok(request.key),
            |shard, request, key, hash| {
                request.answer = shard.get_if_fits(hash, key, &mut request.short);
            },
            |request, error| request.answer = Err(error),
        )
    }

    /// Stores many values with the default time to live. Of several values for one key the last one stays.
    ///
    /// # Errors
    /// As [`OwnedCache::insert`] of the first item that fails; the others are stored. After `Busy`, the items behind
    /// it are not stored.
    pub fn insert_many<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, items: &[(K, V)]) -> Result<()> {
        let mut done = Ok(());
        let mut group = [Set {
            key: &[],
            value: &[],
            done: Ok(()),
        }; GROUP];
        for items in items.chunks(GROUP) {
            let requests = group.get_mut(..items.len()).unwrap_or_default();
            for (request, (key, value)) in requests.iter_mut().zip(items) {
                (request.key, request.value) = (key.as_ref(), value.as_ref());
            }
            self.set_group(requests)?;
            done = requests
                .iter()
                .fold(done, |done, request| done.and(request.done));
        }
        done
    }

    fn set_group(&self, requests: &mut [Set<'_>]) -> Result<()> {
        let cache = self.as_cache();
        cache.for_each_request(
            requests,
            cache.needs_time(0),
            |request| Ok(request.key),
            |shard, request, key, hash| {
                let value = NewValue::new(request.value, Type::Bytes, 0);
                request.done = shard.set(hash, key, &value, SetMode::Set);
            },
            |request, error| request.done = Err(error),
        )
    }
}
