//! The verbs on one item: arguments, the key's shard, the call on it.

#![forbid(unsafe_code)]

use super::Cache;
use crate::expiry::TTL_NEVER;
use crate::item::Type;
use crate::shard::{ItemInfo, NewValue, SetMode, Shard};
use crate::status::{Error, Result};

impl Cache<'_> {
    /// Stores bytes under a key for `ttl_ms` milliseconds of the cache's clock: 0 = the cache's default,
    /// [`TTL_NEVER`](crate::TTL_NEVER) = for good. Evicts what has to go for it. Without a clock (see
    /// [`Config::clock`](crate::Config::clock)) nothing expires before [`Cache::set_time`] says so.
    ///
    /// # Errors
    /// `Invalid` for an empty key; `TooLarge` where key or value are longer than [`Cache::limits`] says;
    /// `NoMemory` where views and reservations hold what would have to be evicted. On any error the key and its value
    /// are as before. Other items are, too, but for `NoMemory`: it may have evicted some.
    ///
    /// # Time
    /// O(n) for n bytes of key, value and header, whatever the number of items: a call evicts at most 3 n + 128 bytes
    /// and an item more, and copies at most 16 n + 2,048 bytes of other items and an item more. While pages hold views,
    /// or where the free pages do not suffice for a value of several pages, it goes on until the item fits.
    pub fn set(&self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<()> {
        self.set_typed(key, value, Type::Bytes, ttl_ms, SetMode::Set)
    }

    /// As [`Cache::set`], where there is no item with this key: `Exists` if there is.
    ///
    /// # Errors
    /// As [`Cache::set`], and `Exists`.
    pub fn add(&self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<()> {
        self.set_typed(key, value, Type::Bytes, ttl_ms, SetMode::Add)
    }

    /// As [`Cache::set`], where there is an item with this key: `NotFound` if there is none.
    ///
    /// # Errors
    /// As [`Cache::set`], and `NotFound`.
    pub fn replace(&self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<()> {
        self.set_typed(key, value, Type::Bytes, ttl_ms, SetMode::Replace)
    }

    /// Stores text.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn set_str(&self, key: &[u8], value: &str, ttl_ms: u64) -> Result<()> {
        self.set_typed(key, value.as_bytes(), Type::Str, ttl_ms, SetMode::Set)
    }

    /// Stores an integer.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn set_i64(&self, key: &[u8], value: i64, ttl_ms: u64) -> Result<()> {
        self.set_typed(key, &value.to_ne_bytes(), Type::I64, ttl_ms, SetMode::Set)
    }

    /// Stores an integer without sign.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn set_u64(&self, key: &[u8], value: u64, ttl_ms: u64) -> Result<()> {
        self.set_typed(key, &value.to_ne_bytes(), Type::U64, ttl_ms, SetMode::Set)
    }

    /// Stores a floating-point number.
    ///
    /// # Errors
    /// As [`Cache::set`].
    pub fn set_f64(&self, key: &[u8], value: f64, ttl_ms: u64) -> Result<()> {
        self.set_typed(key, &value.to_ne_bytes(), Type::F64, ttl_ms, SetMode::Set)
    }

    /// As [`Cache::set`], for every type and condition.
    #[inline(never)]
    pub(crate) fn set_typed(
        &self,
        key: &[u8],
        bytes: &[u8],
        value_type: Type,
        ttl_ms: u64,
        mode: SetMode,
    ) -> Result<()> {
        let value = NewValue::new(bytes, value_type, ttl_ms);
        self.set_value(key, &value, mode, true)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn set_value(
        &self,
        key: &[u8],
        value: &NewValue<'_>,
        mode: SetMode,
        waits: bool,
    ) -> Result<()> {
        // By `with_key` this would be a call more: a closure so large is not put in its place.
        let needs_time = self.needs_time(value.ttl_ms);
        let (mut shard, hash) = self.lock_for(key, needs_time, waits)?;
        let done = shard.set(hash, key, value, mode);
        self.leave(shard, waits);
        done
    }

    /// Whether the time has to be known to store a value with this time to live.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn needs_time(&self, ttl_ms: u64) -> bool {
        let head = self.head();
        let expires = match ttl_ms {
            0 => head.default_ttl,
            ttl_ms => ttl_ms != TTL_NEVER,
        };
        head.item_times || expires
    }

    /// Copies a value into a buffer and returns its length.
    ///
    /// # Errors
    /// `NotFound` on a miss; `BufferTooSmall` where the buffer is shorter, which is left as it was.
    ///
    /// # Time
    /// O(value length).
    pub fn get(&self, key: &[u8], buffer: &mut [u8]) -> Result<usize> {
        match self.get_or_len(key, buffer, true)? {
            (len, true) => Ok(len),
            (_, false) => Err(Error::BufferTooSmall),
        }
    }

    /// As [`Cache::get`], with the length even where the buffer was too short.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn get_or_len(
        &self,
        key: &[u8],
        buffer: &mut [u8],
        waits: bool,
    ) -> Result<(usize, bool)> {
        // As for `set_value`: one closure for both would be a call more.
        let (mut shard, hash) = self.lock_for(key, false, waits)?;
        let got = shard.get(hash, key, buffer);
        self.leave(shard, waits);
        got
    }

    /// As [`Cache::get`], without waiting: for interrupt handlers.
    ///
    /// # Errors
    /// As [`Cache::get`], and `Busy` where the lock is taken; `Invalid` where the host's hooks include
    /// none that does not wait.
    pub fn try_get(&self, key: &[u8], buffer: &mut [u8]) -> Result<usize> {
        match self.get_or_len(key, buffer, false)? {
            (len, true) => Ok(len),
            (_, false) => Err(Error::BufferTooSmall),
        }
    }

    /// As [`Cache::set`], without waiting: for interrupt handlers.
    ///
    /// # Errors
    /// As [`Cache::set`] and [`Cache::try_get`].
    pub fn try_set(&self, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<()> {
        let value = NewValue::new(value, Type::Bytes, ttl_ms);
        self.set_value(key, &value, SetMode::Set, false)
    }

    /// As [`Cache::delete`], without waiting: for interrupt handlers.
    ///
    /// # Errors
    /// As [`Cache::delete`] and [`Cache::try_get`].
    pub fn try_delete(&self, key: &[u8]) -> Result<()> {
        self.with_key_if(key, false, false, |shard, hash| shard.delete(hash, key))
    }

    /// Copies a value into a vector in an allocator of the caller's choice, such as an
    /// [`Arena`](crate::Arena).
    ///
    /// # Errors
    /// `NotFound` on a miss; `NoMemory` where the allocator refuses.
    #[cfg(feature = "alloc")]
    pub fn get_in<A: allocator_api2::alloc::Allocator>(
        &self,
        key: &[u8],
        allocator: A,
    ) -> Result<allocator_api2::vec::Vec<u8, A>> {
        let mut value = allocator_api2::vec::Vec::new_in(allocator);
        loop {
            let (len, copied) = self.get_or_len(key, &mut value, true)?;
            if copied {
                value.truncate(len);
                return Ok(value);
            }
            let more = len - value.len().min(len);
            value.try_reserve_exact(more).map_err(|_| Error::NoMemory)?;
            value.resize(len, 0);
        }
    }

    /// Copies up to `buffer.len()` bytes of a value from `offset` on; returns how many.
    ///
    /// # Errors
    /// `NotFound` on a miss; `Invalid` for an offset beyond the value's end.
    ///
    /// # Time
    /// O(pages of the value before the offset + bytes copied).
    pub fn get_range(&self, key: &[u8], offset: usize, buffer: &mut [u8]) -> Result<usize> {
        self.with_key(key, false, |shard, hash| {
            shard.get_range(hash, key, offset, buffer)
        })
    }

    pub(crate) fn get_scalar(&self, key: &[u8], want: Type) -> Result<[u8; 8]> {
        self.with_key(key, false, |shard, hash| shard.get_scalar(hash, key, want))
    }

    /// An integer.
    ///
    /// # Errors
    /// `NotFound` on a miss; `TypeMismatch` where the value is something else.
    pub fn get_i64(&self, key: &[u8]) -> Result<i64> {
        Ok(i64::from_ne_bytes(self.get_scalar(key, Type::I64)?))
    }

    /// An integer without sign.
    ///
    /// # Errors
    /// As [`Cache::get_i64`].
    pub fn get_u64(&self, key: &[u8]) -> Result<u64> {
        Ok(u64::from_ne_bytes(self.get_scalar(key, Type::U64)?))
    }

    /// A floating-point number.
    ///
    /// # Errors
    /// As [`Cache::get_i64`].
    pub fn get_f64(&self, key: &[u8]) -> Result<f64> {
        Ok(f64::from_ne_bytes(self.get_scalar(key, Type::F64)?))
    }

    /// Copies text into a buffer, as [`Cache::get`] does with bytes.
    ///
    /// # Errors
    /// As [`Cache::get`], and `TypeMismatch` where the value is not text.
    pub fn get_str<'b>(&self, key: &[u8], buffer: &'b mut [u8]) -> Result<&'b str> {
        let len = match self.get_str_or_len(key, buffer)? {
            (len, true) => len,
            (_, false) => return Err(Error::BufferTooSmall),
        };
        let text = buffer.get(..len).unwrap_or(&[]);
        core::str::from_utf8(text).map_err(|_| Error::TypeMismatch)
    }

    pub(crate) fn get_str_or_len(&self, key: &[u8], buffer: &mut [u8]) -> Result<(usize, bool)> {
        self.with_key(key, false, |shard, hash| {
            shard.get_of_type(hash, key, Type::Str, buffer)
        })
    }

    /// Takes an item out.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub fn delete(&self, key: &[u8]) -> Result<()> {
        self.with_key(key, false, |shard, hash| shard.delete(hash, key))
    }

    /// Whether there is an item with this key. Neither counted nor reported to the policy.
    ///
    /// # Errors
    /// `Invalid` for an empty key.
    pub fn contains(&self, key: &[u8]) -> Result<bool> {
        self.with_key(key, false, |shard, hash| {
            Ok(shard.lookup(hash, key).is_some())
        })
    }

    /// Gives an item another time to live, counted from now by the cache's clock, as for [`Cache::set`].
    ///
    /// # Errors
    /// `NotFound` on a miss.
    pub fn touch(&self, key: &[u8], ttl_ms: u64) -> Result<()> {
        self.with_key(key, true, |shard, hash| shard.touch(hash, key, ttl_ms))
    }

    /// Milliseconds that an item has left to live; [`TTL_NEVER`](crate::TTL_NEVER) if it stays.
    ///
    /// # Errors
    /// `NotFound` on a miss.
    pub fn ttl(&self, key: &[u8]) -> Result<u64> {
        self.with_item(key, |shard, id| shard.ttl_of(id))
    }

    /// What a value is.
    ///
    /// # Errors
    /// `NotFound` on a miss.
    pub fn value_type(&self, key: &[u8]) -> Result<Type> {
        self.with_item(key, Shard::value_type)
    }

    /// Calls with what is known of an item, under the lock of its shard: other threads' calls of that shard wait
    /// for `call`. A call of this cache from inside is `Busy`.
    ///
    /// # Errors
    /// `NotFound` on a miss; `Busy` from inside a callback.
    pub fn inspect<R>(&self, key: &[u8], call: impl FnOnce(&ItemInfo<'_>) -> R) -> Result<R> {
        // An item whose time has come goes now: no event may be told from inside the callback.
        self.with_key(key, self.head().item_times, |shard, hash| {
            let (id, _) = shard.lookup(hash, key).ok_or(Error::NotFound)?;
            shard.check_sum(id, hash)
        })?;
        let (hash, process) = (self.hash(key), self.turn_away_visitor()?);
        let result = self.visit(self.cell_of(hash), |shard| {
            let (id, _) = shard.lookup(hash, key).ok_or(Error::NotFound)?;
            Ok(call(&shard.info(id)))
        })?;
        self.still(process)?;
        result
    }

    /// What `convert`, a function of the library's own, makes of what is known of an item.
    pub(crate) fn info<R>(&self, key: &[u8], convert: fn(&ItemInfo<'_>) -> R) -> Result<R> {
        self.with_key(key, self.head().item_times, |shard, hash| {
            let (id, _) = shard.lookup(hash, key).ok_or(Error::NotFound)?;
            shard.check_sum(id, hash)?;
            Ok(convert(&shard.info(id)))
        })
    }

    /// Neither counted nor reported to the policy.
    fn with_item<R>(
        &self,
        key: &[u8],
        call: impl FnOnce(&Shard, crate::page::Id) -> R,
    ) -> Result<R> {
        self.with_key(key, false, |shard, hash| {
            let (id, _) = shard.lookup(hash, key).ok_or(Error::NotFound)?;
            Ok(call(shard, id))
        })
    }

    /// Adds to an integer and returns the sum.
    ///
    /// # Errors
    /// `NotFound` on a miss; `TypeMismatch` where the value is no integer; `Invalid` where the sum
    /// leaves its range. Nothing is changed then.
    pub fn increment(&self, key: &[u8], by: i64) -> Result<i64> {
        self.with_key(key, false, |shard, hash| shard.increment(hash, key, by))
    }
}
