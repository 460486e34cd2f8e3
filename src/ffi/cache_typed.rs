//! Values that are more than bytes, in C: they come back as what they were.

use super::cache::{larder_cache, with_key, with_out};
use super::input::{buffer, put, required, status, text};
use super::status::{LARDER_BUFFER_TOO_SMALL, LARDER_OK, larder_status};
use crate::cache::Cache;
use crate::item::Type;
use crate::shard::SetMode;
use crate::status::{Error, Result};
use core::ffi::{c_char, c_void};

/// Bytes.
pub const LARDER_TYPE_BYTES: i32 = 0;
/// Text.
pub const LARDER_TYPE_STR: i32 = 1;
/// int64_t
pub const LARDER_TYPE_I64: i32 = 2;
/// uint64_t
pub const LARDER_TYPE_U64: i32 = 3;
/// double
pub const LARDER_TYPE_F64: i32 = 4;

const _: () = assert!(
    LARDER_TYPE_STR == Type::Str as i32
        && LARDER_TYPE_I64 == Type::I64 as i32
        && LARDER_TYPE_U64 == Type::U64 as i32
        && LARDER_TYPE_F64 == Type::F64 as i32
);

/// # Safety
/// `cache` is what `larder_cache_init` gave; the key can be read.
unsafe fn set_scalar(
    cache: *mut larder_cache,
    key: (*const c_void, usize),
    value: [u8; 8],
    value_type: Type,
    ttl_ms: u64,
) -> larder_status {
    let set = |cache: &Cache<'_>, key: &[u8]| {
        cache.set_typed(key, &value, value_type, ttl_ms, SetMode::Set)
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key.0, key.1, set) })
}

/// Stores an integer, as larder_cache_set stores 8 bytes.
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_i64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: i64,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        set_scalar(
            cache,
            (key, key_len),
            value.to_ne_bytes(),
            Type::I64,
            ttl_ms,
        )
    }
}

/// Stores an unsigned integer, as larder_cache_set stores 8 bytes.
///
/// # Safety
/// As for larder_cache_set_i64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_u64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: u64,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        set_scalar(
            cache,
            (key, key_len),
            value.to_ne_bytes(),
            Type::U64,
            ttl_ms,
        )
    }
}

/// Stores a floating-point number, as larder_cache_set stores 8 bytes.
///
/// # Safety
/// As for larder_cache_set_i64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_f64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: f64,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        set_scalar(
            cache,
            (key, key_len),
            value.to_ne_bytes(),
            Type::F64,
            ttl_ms,
        )
    }
}

/// Stores text that ends with NUL, without the NUL, as larder_cache_set. NULL is LARDER_INVALID.
///
/// # Safety
/// As for larder_cache_set_i64; `value` is NULL or ends with NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_str(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value: *const c_char,
    ttl_ms: u64,
) -> larder_status {
    let set = |cache: &Cache<'_>, key: &[u8]| {
        let value = required(value.cast_mut())?;
        // SAFETY: the caller's promise.
        let text = unsafe { text(value) };
        cache.set_typed(key, text, Type::Str, ttl_ms, SetMode::Set)
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, set) })
}

/// Writes an integer.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH if the value has another type. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_i64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    out: *mut i64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, out, |cache, key| cache.get_i64(key)) }
}

/// Writes an unsigned integer, as larder_cache_get_i64.
///
/// # Safety
/// As for larder_cache_get_i64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_u64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    out: *mut u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, out, |cache, key| cache.get_u64(key)) }
}

/// Writes a floating-point number, as larder_cache_get_i64.
///
/// # Safety
/// As for larder_cache_get_i64.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_f64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    out: *mut f64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, out, |cache, key| cache.get_f64(key)) }
}

/// Copies text and a NUL after it, and writes the length without the NUL.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH if the value is not text. Returns
/// LARDER_BUFFER_TOO_SMALL if `capacity` is not larger than the length: only the length is written then, and (NULL,
/// 0) asks for it. O(value length).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, buffer and length written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_str(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_char,
    capacity: usize,
    len: *mut usize,
) -> larder_status {
    let get = |cache: &Cache<'_>, key: &[u8]| {
        let out = required(len)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { self::buffer(buffer.cast(), capacity) }?;
        let (len, copied) = copy_text(cache, key, buffer)?;
        // SAFETY: the caller's promise.
        unsafe { put(out, len) };
        Ok(copied)
    };
    // SAFETY: the caller's promise.
    match unsafe { with_key(cache, key, key_len, get) } {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_BUFFER_TOO_SMALL,
        Err(error) => error.code(),
    }
}

/// Copies text with a NUL behind it; returns its length, and whether there was room.
fn copy_text(cache: &Cache<'_>, key: &[u8], buffer: &mut [u8]) -> Result<(usize, bool)> {
    // One byte less, so that the NUL always has its place.
    let room = buffer.len().saturating_sub(1);
    let (len, copied) = cache.get_str_or_len(key, buffer.get_mut(..room).ok_or(Error::Invalid)?)?;
    match buffer.get_mut(len).filter(|_| copied) {
        Some(end) => {
            *end = 0;
            Ok((len, true))
        }
        None => Ok((len, false)),
    }
}

/// Writes the type of a value, LARDER_TYPE_...
///
/// Returns LARDER_NOT_FOUND on a miss. Neither counted nor reported to the policy. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `value_type` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_type(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value_type: *mut i32,
) -> larder_status {
    let get = |cache: &Cache<'_>, key: &[u8]| Ok(cache.value_type(key)? as i32);
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, value_type, get) }
}

/// Adds `by` to an integer and writes the sum; its TTL stays.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH if the value is no integer, LARDER_INVALID if the sum
/// leaves the range of its type or of int64_t. On any error nothing is changed. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_increment(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    by: i64,
    out: *mut i64,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_out(cache, key, key_len, out, |cache, key| {
            cache.increment(key, by)
        })
    }
}
