//! The verbs on one item, in C. Bytes here; other types: `cache_typed`.

pub use super::cache_config::larder_cache;
use super::input::{buffer, bytes, key, put, required, status};
use super::status::{LARDER_BUFFER_TOO_SMALL, LARDER_NOT_FOUND, LARDER_OK, larder_status};
use crate::cache::Cache;
use crate::item::Type;
use crate::shard::{NewValue, SetMode};
use crate::status::{Error, Result};
use core::ffi::c_void;
use core::ptr::NonNull;

/// ttl_ms: the cache's default_ttl_ms.
pub const LARDER_TTL_DEFAULT: u64 = 0;
/// ttl_ms: the item never expires.
pub const LARDER_TTL_NEVER: u64 = u64::MAX;

/// ttl_ms: the item keeps its present TTL. A new item, or one without a TTL, gets the cache's default_ttl_ms.
pub const LARDER_TTL_KEEP: u64 = u64::MAX - 1;

/// The cache behind a handle.
///
/// # Safety
/// `cache` is NULL or what `larder_cache_init` gave.
#[inline]
pub(super) unsafe fn handle<'a>(cache: *const larder_cache) -> Result<Cache<'a>> {
    let header = required(cache.cast_mut())?.cast();
    // SAFETY: the caller's promise.
    unsafe { Cache::from_ptr(header) }
}

/// Calls with cache and key.
///
/// # Safety
/// As for `handle`; the key can be read.
#[cfg_attr(not(feature = "small"), inline(always))]
pub(super) unsafe fn with_key<R>(
    cache: *const larder_cache,
    key_data: *const c_void,
    key_len: usize,
    call: impl FnOnce(&Cache<'_>, &[u8]) -> Result<R>,
) -> Result<R> {
    // SAFETY: the caller's promise.
    let cache = unsafe { with_good_key(cache, key_data, key_len) }?;
    // SAFETY: not NULL nor too long (checked above); readable by the caller's promise.
    call(&cache, unsafe {
        core::slice::from_raw_parts(key_data.cast(), key_len)
    })
}

/// The cache behind a handle, where the key is one, too.
///
/// # Safety
/// As for `with_key`.
#[cfg_attr(not(feature = "small"), inline(always))]
#[cfg_attr(feature = "small", inline(never))]
unsafe fn with_good_key<'a>(
    cache: *const larder_cache,
    key_data: *const c_void,
    key_len: usize,
) -> Result<Cache<'a>> {
    // SAFETY: the caller's promise.
    let cache = unsafe { handle(cache) }?;
    // SAFETY: the caller's promise.
    unsafe { key(key_data, key_len) }?;
    Ok(cache)
}

/// # Safety
/// As for `larder_cache_set`.
#[cfg_attr(not(feature = "small"), inline(always))]
unsafe fn set(
    cache: *mut larder_cache,
    key: (*const c_void, usize),
    value: (*const c_void, usize),
    set: impl FnOnce(&Cache<'_>, &[u8], &[u8]) -> Result<()>,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(
        unsafe { with_good_key(cache, key.0, key.1) }.and_then(|cache| {
            // SAFETY: not NULL nor too long (checked above); readable by the caller's promise.
            let key = unsafe { core::slice::from_raw_parts(key.0.cast(), key.1) };
            // SAFETY: the caller's promise.
            let value = unsafe { bytes(value.0, value.1) }?;
            set(&cache, key, value)
        }),
    )
}

/// # Safety
/// As for `larder_cache_set`.
unsafe fn set_if(
    cache: *mut larder_cache,
    key: (*const c_void, usize),
    value: (*const c_void, usize),
    ttl_ms: u64,
    mode: SetMode,
) -> larder_status {
    let store = |cache: &Cache<'_>, key: &[u8], value: &[u8]| {
        cache.set_typed(key, value, Type::Bytes, ttl_ms, mode)
    };
    // SAFETY: the caller's promise.
    unsafe { set(cache, key, value, store) }
}

/// Stores bytes under a key for `ttl_ms` milliseconds of the cache's clock (larder_cache_config.now_ms), or
/// LARDER_TTL_DEFAULT, LARDER_TTL_NEVER, LARDER_TTL_KEEP. Evicts items to make room. Key and value are copied.
/// (NULL, 0) is an empty value. A TTL above 2^40 ms (34.8 years) is shortened to that. Without a clock nothing
/// expires before larder_cache_set_time says so.
///
/// Returns LARDER_INVALID for a `key` that is NULL or has length 0, or a `value` that is NULL with another length.
/// Returns LARDER_TOO_LARGE for a `key_len` or `value_len` above what larder_cache_limits writes: a small region, a
/// low limit or many shards lower them. Returns LARDER_NO_MEMORY if views and reservations hold what would have to
/// be evicted. On any error the key has its old value. Other items are unchanged, too, except that LARDER_NO_MEMORY
/// may have evicted some.
///
/// O(n) for n = key_len + value_len and the header, for any number of items: a call evicts at most 3 n + 128 bytes
/// and an item more, and copies at most 16 n + 2,048 bytes of other items and an item more. While pages hold views,
/// or if the free pages do not suffice for a value of several pages, it continues until the item fits.
///
/// # Safety
/// `cache` is what larder_cache_init gave; key and value can be read until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        set(
            cache,
            (key, key_len),
            (value, value_len),
            |cache, key, bytes| {
                let value = NewValue::new(bytes, Type::Bytes, ttl_ms);
                cache.set_value(key, &value, SetMode::Set, true)
            },
        )
    }
}

/// Copies a value of any type, as bytes, and writes its length.
///
/// Returns LARDER_NOT_FOUND on a miss. Returns LARDER_BUFFER_TOO_SMALL if the buffer is shorter than the value:
/// only the length is written then, and (NULL, 0) asks for it. O(value length).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, buffer and length written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { get::<true>(cache, (key, key_len), (buffer, capacity), value_len) }
}

/// Copies up to `capacity` bytes of a value from `offset` on, and writes their number to `*read`: 0 at the value's
/// end.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_INVALID for an offset beyond the value's end. O(bytes copied + pages
/// of a large value).
///
/// # Safety
/// As for larder_cache_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_range(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    offset: usize,
    buffer: *mut c_void,
    capacity: usize,
    read: *mut usize,
) -> larder_status {
    let get = |cache: &Cache<'_>, key: &[u8]| {
        let out = required(read)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { self::buffer(buffer, capacity) }?;
        let len = cache.get_range(key, offset, buffer)?;
        // SAFETY: the caller's promise.
        unsafe { put(out, len) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, get) })
}

/// Deletes an item.
///
/// Returns LARDER_NOT_FOUND if no item has this key. O(1); O(pages) for a large value.
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_delete(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, |cache, key| cache.delete(key)) })
}

/// Returns LARDER_OK if an item has this key, else LARDER_NOT_FOUND. Neither counted nor reported to the policy.
/// O(1).
///
/// # Safety
/// As for larder_cache_delete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_contains(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    match unsafe { with_key(cache, key, key_len, |cache, key| cache.contains(key)) } {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_NOT_FOUND,
        Err(error) => error.code(),
    }
}

/// Stores as larder_cache_set does, if no item has this key.
///
/// Returns LARDER_EXISTS if an item has it. O(n) as larder_cache_set.
///
/// # Safety
/// As for larder_cache_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_add(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        set_if(
            cache,
            (key, key_len),
            (value, value_len),
            ttl_ms,
            SetMode::Add,
        )
    }
}

/// Stores as larder_cache_set does, if an item has this key.
///
/// Returns LARDER_NOT_FOUND if no item has it. O(n) as larder_cache_set.
///
/// # Safety
/// As for larder_cache_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_replace(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        set_if(
            cache,
            (key, key_len),
            (value, value_len),
            ttl_ms,
            SetMode::Replace,
        )
    }
}

/// # Safety
/// As for `larder_cache_get`.
#[cfg_attr(not(feature = "small"), inline(always))]
unsafe fn get<const WAITS: bool>(
    cache: *mut larder_cache,
    key: (*const c_void, usize),
    (buffer, capacity): (*mut c_void, usize),
    value_len: *mut usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    let cache = unsafe { with_good_key(cache, key.0, key.1) };
    let got = cache.and_then(|cache| {
        // SAFETY: not NULL nor too long (checked above); readable by the caller's promise.
        let key = unsafe { core::slice::from_raw_parts(key.0.cast(), key.1) };
        let out = required(value_len)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { self::buffer(buffer, capacity) }?;
        Ok((out, cache.get_or_len(key, buffer, WAITS)?))
    });
    // SAFETY: the caller's promise.
    unsafe { put_len(got) }
}

/// Writes the length of a value; the status says whether it was copied.
///
/// # Safety
/// The length can be written.
#[cfg_attr(not(feature = "small"), inline(always))]
unsafe fn put_len(got: Result<(NonNull<usize>, (usize, bool))>) -> larder_status {
    match got {
        Ok((out, (len, copied))) => {
            // SAFETY: the caller's promise.
            unsafe { put(out, len) };
            if copied {
                LARDER_OK
            } else {
                LARDER_BUFFER_TOO_SMALL
            }
        }
        Err(error) => error.code(),
    }
}

/// Gives an item another time to live, counted from now, as for larder_cache_set.
///
/// Returns LARDER_NOT_FOUND on a miss. O(1) if the item has a TTL. An item without one is copied to a place with
/// room for it, as by larder_cache_set: after LARDER_NO_MEMORY the item has its old TTL. An item is also copied if
/// its page has held items with TTLs for 12 days or more.
///
/// # Safety
/// As for larder_cache_delete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_touch(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, |cache, key| cache.touch(key, ttl_ms)) })
}

/// Writes the milliseconds of the cache's clock until an item expires: LARDER_TTL_NEVER if it does not.
///
/// Returns LARDER_NOT_FOUND on a miss. Neither counted nor reported to the policy. O(1).
///
/// # Safety
/// As for larder_cache_delete; `ttl_ms` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_ttl(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    ttl_ms: *mut u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, ttl_ms, |cache, key| cache.ttl(key)) }
}

/// Calls, and writes what comes back.
///
/// # Safety
/// As for `with_key`; `out` is NULL or can be written.
pub(super) unsafe fn with_out<T>(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    out: *mut T,
    call: impl FnOnce(&Cache<'_>, &[u8]) -> Result<T>,
) -> larder_status {
    let write = |cache: &Cache<'_>, key: &[u8]| {
        let out = required(out)?;
        let value = call(cache, key)?;
        // SAFETY: the caller's promise.
        unsafe { put(out, value) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, write) })
}

const _: () = assert!(
    LARDER_TTL_NEVER == crate::TTL_NEVER
        && LARDER_TTL_KEEP == crate::TTL_KEEP
        && LARDER_NOT_FOUND == Error::NotFound as i32
);

/// As larder_cache_get, without waiting, for interrupt handlers.
///
/// Returns LARDER_BUSY if another call has the lock, LARDER_INVALID if the host gave lock hooks without try_lock.
/// O(value length).
///
/// # Safety
/// As for larder_cache_get.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_try_get(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    value_len: *mut usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { get::<false>(cache, (key, key_len), (buffer, capacity), value_len) }
}

/// As larder_cache_set, without waiting, for interrupt handlers.
///
/// Returns LARDER_BUSY if another call has the lock, LARDER_INVALID if the host gave lock hooks without try_lock.
/// O(n) as larder_cache_set.
///
/// # Safety
/// As for larder_cache_set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_try_set(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> larder_status {
    let store = |cache: &Cache<'_>, key: &[u8], value: &[u8]| cache.try_set(key, value, ttl_ms);
    // SAFETY: the caller's promise.
    unsafe { set(cache, (key, key_len), (value, value_len), store) }
}

/// As larder_cache_delete, without waiting, for interrupt handlers.
///
/// Returns LARDER_BUSY if another call has the lock, LARDER_INVALID if the host gave lock hooks without try_lock.
/// O(1); O(pages) for a large value.
///
/// # Safety
/// As for larder_cache_delete.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_try_delete(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, |cache, key| cache.try_delete(key)) })
}
