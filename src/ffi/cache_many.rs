//! Many requests in one call, in C.

use super::cache::{handle, larder_cache};
use super::input::{buffer, bytes, key, required, status};
use super::status::{LARDER_BUFFER_TOO_SMALL, LARDER_OK, larder_status};
use crate::item::Type;
use crate::shard::{NewValue, SetMode};
use crate::status::{Error, Result};
use core::ffi::c_void;

/// One get of larder_cache_get_many.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_get_request {
    /// The key.
    pub key: *const c_void,
    /// Bytes of the key.
    pub key_len: usize,
    /// Where the value is copied to.
    pub buffer: *mut c_void,
    /// Bytes at `buffer`.
    pub capacity: usize,
    /// The value's length, with LARDER_OK and LARDER_BUFFER_TOO_SMALL.
    pub value_len: usize,
    /// What larder_cache_get would have returned.
    pub status: larder_status,
    /// 0
    pub reserved: u32,
}

/// One set of larder_cache_set_many.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_set_request {
    /// The key.
    pub key: *const c_void,
    /// Bytes of the key.
    pub key_len: usize,
    /// The value.
    pub value: *const c_void,
    /// Bytes of the value.
    pub value_len: usize,
    /// Its time to live, as for larder_cache_set.
    pub ttl_ms: u64,
    /// What larder_cache_set would have returned.
    pub status: larder_status,
    /// 0
    pub reserved: u32,
}

/// The requests of an array.
///
/// # Safety
/// `requests` is NULL or has `count` elements that no other code uses.
unsafe fn array<'a, R>(requests: *mut R, count: usize) -> Result<&'a mut [R]> {
    if count == 0 {
        return Ok(&mut []);
    }
    let first = required(requests)?;
    if count > isize::MAX as usize / size_of::<R>() {
        return Err(Error::Invalid);
    }
    // SAFETY: the caller's promise; no longer than memory.
    Ok(unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), count) })
}

/// Carries out larder_cache_get for each of `count` requests and writes a status into each. The cache fetches the
/// memory of several requests at a time.
///
/// Returns LARDER_OK if all requests were carried out, whatever their statuses, LARDER_INVALID for a NULL array.
/// After LARDER_BUSY the requests left out have the status LARDER_BUSY. O(count + bytes copied).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `requests` has `count` elements, whose keys can be read and
/// whose buffers can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_many(
    cache: *mut larder_cache,
    requests: *mut larder_get_request,
    count: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    let cache = unsafe { handle(cache) };
    // SAFETY: the caller's promise.
    let requests = unsafe { array(requests, count) };
    status(cache.and_then(|cache| {
        let requests = requests?;
        for request in &mut *requests {
            request.status = Error::Busy.code();
        }
        cache.for_each_request(
            requests,
            false,
            |request| {
                // SAFETY: the caller's promise.
                unsafe { buffer(request.buffer, request.capacity) }?;
                // SAFETY: the caller's promise.
                unsafe { key(request.key, request.key_len) }
            },
            |shard, request, key, hash| {
                // SAFETY: the caller's promise.
                let buffer = unsafe { buffer(request.buffer, request.capacity) };
                let got = buffer.and_then(|buffer| shard.get(hash, key, buffer));
                request.status = match got {
                    Ok((len, copied)) => {
                        request.value_len = len;
                        if copied {
                            LARDER_OK
                        } else {
                            LARDER_BUFFER_TOO_SMALL
                        }
                    }
                    Err(error) => error.code(),
                };
            },
            |request, error| request.status = error.code(),
        )
    }))
}

/// Carries out larder_cache_set for each of `count` requests, in their order if keys are the same, and writes a
/// status into each. Returns what larder_cache_get_many does. O(count) as so many calls of larder_cache_set.
///
/// # Safety
/// `cache` is what larder_cache_init gave; `requests` has `count` elements, whose keys and values can be
/// read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_many(
    cache: *mut larder_cache,
    requests: *mut larder_set_request,
    count: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    let cache = unsafe { handle(cache) };
    // SAFETY: the caller's promise.
    let requests = unsafe { array(requests, count) };
    status(cache.and_then(|cache| {
        let requests = requests?;
        let mut needs_time = false;
        for request in &mut *requests {
            request.status = Error::Busy.code();
            needs_time |= cache.needs_time(request.ttl_ms);
        }
        cache.for_each_request(
            requests,
            needs_time,
            |request| {
                // SAFETY: the caller's promise.
                unsafe { bytes(request.value, request.value_len) }?;
                // SAFETY: the caller's promise.
                unsafe { key(request.key, request.key_len) }
            },
            |shard, request, key, hash| {
                // SAFETY: the caller's promise.
                let value = unsafe { bytes(request.value, request.value_len) };
                request.status = status(value.and_then(|value| {
                    let value = NewValue::new(value, Type::Bytes, request.ttl_ms);
                    shard.set(hash, key, &value, SetMode::Set)
                }));
            },
            |request, error| request.status = error.code(),
        )
    }))
}
