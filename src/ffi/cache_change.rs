//! Changing a value under its key, and leases, in C.

use super::cache::{handle, larder_cache, with_key, with_out};
use super::input::{bytes, required, status};
use super::status::larder_status;
use crate::cache::Cache;
use crate::item::Token;
use crate::shard::{End, Lease, Overflow};
use crate::status::Error;
use core::ffi::c_void;

/// larder_cache_add_u64: a sum beyond the range wraps around.
pub const LARDER_WRAP: u32 = 0;
/// larder_cache_add_u64: a sum beyond the range becomes the range's end.
pub const LARDER_SATURATE: u32 = 1;

/// The right to store the value of a key, until something else changes the key.
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

/// Appends bytes to a value of type LARDER_TYPE_BYTES. TTL and tag stay.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH if the value has another type. Returns LARDER_TOO_LARGE
/// if the old value and the new one do not fit in a shard together. Else as larder_cache_set of the whole value, in
/// its time too: on any error the value is unchanged.
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

/// Puts bytes before a value, as larder_cache_append appends them.
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

/// Adds `delta` to an unsigned integer (larder_cache_set_u64) and writes the sum; TTL and tag stay. `mode`:
/// LARDER_WRAP or LARDER_SATURATE.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_TYPE_MISMATCH if the value has another type, LARDER_INVALID for
/// another mode. Returns LARDER_NO_MEMORY if a view holds the value and no room is left for a new one. O(1).
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

/// Asks for the right to fetch the value of a missing key, and to store it by larder_cache_fill. It ends after
/// `lease_ms` milliseconds of the cache's clock, and with the process that has it where processes share the cache. It
/// takes room as a small item does, and may be evicted as one.
///
/// Returns LARDER_OK: fetch the value. LARDER_BUSY: another caller fetches it; ask again, or do without.
/// LARDER_EXISTS: the value is there. LARDER_INVALID for a `lease_ms` of 0, LARDER_TTL_NEVER or LARDER_TTL_KEEP.
/// Else as larder_cache_set, in its time too.
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
        Ok(larder_lease {
            token: token.0,
            hash,
        })
    };
    // SAFETY: the caller's promise.
    unsafe { with_out(cache, key, key_len, out, lease) }
}

/// Stores the value for which a lease was given.
///
/// Returns LARDER_STALE if the key was deleted, set or cleared since, or the lease ended or was evicted: nothing is
/// stored then, since the value may be an old one. Else as larder_cache_set, in its time too; after an error the
/// lease may be gone.
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
        let token = Token(token);
        cache.fill(&Lease { hash, token }, value, ttl_ms)
    }))
}
