//! Changing a value under its key, and leases, in C.

use super::cache::{handle, larder_cache, with_key, with_out};
use super::input::{bytes, required, status};
use super::status::larder_status;
use crate::cache::Cache;
use crate::shard::{End, Lease, Overflow};
use crate::status::Error;
use core::ffi::c_void;

/// larder_cache_add_u64: a sum that leaves its range goes on from the other end.
pub const LARDER_WRAP: u32 = 0;
/// larder_cache_add_u64: a sum that leaves its range stays at the end.
pub const LARDER_SATURATE: u32 = 1;

/// The right to store a key's value, until something else happens to the key.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_lease {
    /// The library's.
    pub token: u64,
    /// The library's.
    pub hash: u64,
}

/// # Safety
/// As for `larder_cache_append`.
unsafe fn extend(
    cache: *mut larder_cache,
    key: (*const c_void, usize),
    added: (*const c_void, usize),
    end: End,
) -> larder_status {
    let call = |cache: &Cache<'_>, key: &[u8]| {
        // SAFETY: the caller's promise.
        let added = unsafe { bytes(added.0, added.1) }?;
        cache.extend(key, added, end)
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key.0, key.1, call) })
}

/// Adds bytes behind a value of bytes, whose TTL and tag stay. LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH where the
/// value is not bytes, LARDER_TOO_LARGE where the old value and the new one do not fit in a shard beside each other; else as
/// larder_cache_set of the whole value, in its time too: on any error the value is as before.
///
/// # Safety
/// `cache` is what larder_cache_init gave; key and bytes can be read until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_append(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    bytes: *const c_void,
    len: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { extend(cache, (key, key_len), (bytes, len), End::Back) }
}

/// As larder_cache_append, before the value.
///
/// # Safety
/// As for larder_cache_append.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_prepend(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    bytes: *const c_void,
    len: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe { extend(cache, (key, key_len), (bytes, len), End::Front) }
}

/// Adds `delta` to an unsigned integer (larder_cache_set_u64), whose TTL and tag stay, and writes the sum. `mode`:
/// LARDER_WRAP or LARDER_SATURATE. LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH where the value is something else,
/// LARDER_INVALID for a mode that there is not; LARDER_NO_MEMORY where a view holds the value, and no room is for another
/// one. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_add_u64(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    delta: i64,
    mode: u32,
    out: *mut u64,
) -> larder_status {
    let add = |cache: &Cache<'_>, key: &[u8]| {
        let overflow = match mode {
            LARDER_WRAP => Overflow::Wrap,
            LARDER_SATURATE => Overflow::Saturate,
            _ => return Err(Error::Invalid),
        };
        cache.add_u64(key, delta, overflow)
    };
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, out, add) }
}

/// The right to fetch the value of a key that has none, and to store it by larder_cache_fill. LARDER_OK: fetch it.
/// LARDER_BUSY: another does; ask again, or do without. LARDER_EXISTS: it is there. The lease takes room as a small item
/// does, may be evicted as one, and is gone after `lease_ms` milliseconds of the cache's clock (LARDER_INVALID for 0,
/// LARDER_TTL_NEVER and LARDER_TTL_KEEP). Else as larder_cache_set.
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_lease(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    lease_ms: u64,
    out: *mut larder_lease,
) -> larder_status {
    let lease = |cache: &Cache<'_>, key: &[u8]| {
        let Lease { token, hash } = cache.lease(key, lease_ms)?;
        Ok(larder_lease { token, hash })
    };
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, out, lease) }
}

/// Stores the value that a lease was given for. LARDER_STALE where the key was deleted, set or cleared since, or the
/// lease ran out or was evicted: nothing is stored then, for the value may be an old one. Else as larder_cache_set; where
/// that fails, the lease may be gone.
///
/// # Safety
/// `cache` is what larder_cache_init gave; `lease` and the value can be read until the call returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_fill(
    cache: *mut larder_cache,
    lease: *const larder_lease,
    value: *const c_void,
    value_len: usize,
    ttl_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let lease = required(lease.cast_mut())?;
        // SAFETY: the caller's promise.
        let value = unsafe { bytes(value, value_len) }?;
        // SAFETY: the caller's promise.
        let larder_lease { token, hash } = unsafe { lease.read() };
        cache.fill(&Lease { hash, token }, value, ttl_ms)
    }))
}
