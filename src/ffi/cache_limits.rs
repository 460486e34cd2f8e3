//! What a cache takes at most, in C.

use super::cache::{handle, larder_cache};
use super::input::{put_sized, required, status};
use super::status::larder_status;

/// What a cache can store under its present memory limit. An empty cache stores each key of at most key_len_max
/// bytes with each value of at most value_len_max bytes. A set of a longer key or value is LARDER_TOO_LARGE.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cache_limits_t {
    /// sizeof(larder_cache_limits_t); must be set, as LARDER_CACHE_LIMITS_INIT does.
    pub struct_size: u32,
    /// Shards: as configured, or more in a region above 4 GiB - 128 KiB.
    pub shards: u32,
    /// Longest key in bytes: as configured, or less if a shard has less than 32 KiB of the region.
    pub key_len_max: u64,
    /// Longest value in bytes, beside a key of any length up to key_len_max. It is a little less than half of one
    /// shard's share of the memory limit, so that no value evicts all others. If a shard has less than 64 pages (16
    /// KiB), it is a little less than the share.
    pub value_len_max: u64,
    /// Longest TTL in milliseconds, LARDER_TTL_NEVER aside: 2^40 (34.8 years). A longer TTL is shortened to it.
    pub ttl_ms_max: u64,
}

/// Writes the number of shards, and the longest key, value and TTL; set `out->struct_size` first.
///
/// Returns LARDER_BUSY inside a callback of this cache, or if a lock hook fails. Returns LARDER_INVALID if
/// struct_size is 0 or the size of no version, LARDER_VERSION_MISMATCH if it is larger than the library's.
/// O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` has as many bytes as its first field says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_limits(
    cache: *const larder_cache,
    out: *mut larder_cache_limits_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let out = required(out)?;
        let limits = cache.limits()?;
        let value = larder_cache_limits_t {
            struct_size: size_of::<larder_cache_limits_t>() as u32,
            shards: limits.shards,
            key_len_max: limits.key_len_max as u64,
            value_len_max: limits.value_len_max as u64,
            ttl_ms_max: limits.ttl_ms_max,
        };
        // SAFETY: the caller's promise.
        unsafe { put_sized(out, &value, &[]) }
    }))
}
