//! A cache's statistics in C.

use super::cache::{handle, larder_cache};
use super::input::{ABI_VERSION, put_sized, required, status};
use super::status::larder_status;
use crate::stats::CacheStats;

/// A cache's statistics: exact, over all shards, where no other thread changes it meanwhile.
/// payload_bytes + free_bytes + overhead_bytes == region_bytes, always.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cache_stats_t {
    /// sizeof(larder_cache_stats_t)
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Items held, expired ones that nobody has met yet included.
    pub item_count: u64,
    /// Reads that found their item.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Values stored.
    pub sets: u64,
    /// Those of them that replaced another value.
    pub updates: u64,
    /// Items deleted by the caller.
    pub deletes: u64,
    /// Items that had to go to make room.
    pub evictions: u64,
    /// Items whose time had come.
    pub expirations: u64,
    /// Calls that failed for want of memory.
    pub failed_no_memory: u64,
    /// Keys and values that the limit can never hold.
    pub failed_too_large: u64,
    /// Adds that found an item.
    pub failed_exists: u64,
    /// Typed calls on a value of another type.
    pub failed_type_mismatch: u64,
    /// Reads into a buffer that was too short.
    pub failed_buffer_too_small: u64,
    /// Calls turned away because the cache was busy.
    pub failed_busy: u64,
    /// Bytes given by the caller.
    pub region_bytes: u64,
    /// The memory limit.
    pub limit_bytes: u64,
    /// Key and value bytes.
    pub payload_bytes: u64,
    /// Bytes that items could still take.
    pub free_bytes: u64,
    /// Everything else: headers, index, tables, rounding, page tails.
    pub overhead_bytes: u64,
    /// Bytes cut from the region so far: tables, and pages that were ever used.
    pub total_allocated: u64,
    /// Bytes taken: what the limit is about.
    pub total_used: u64,
    /// The most that total_used ever was (the sum of each shard's).
    pub peak_used: u64,
    /// Slots handed out whose bytes had been used before.
    pub pool_reuses: u64,
    /// Cuts made from the region: tables and pages.
    pub arena_allocs: u64,
    /// Optimize passes that came to their end.
    pub reclaim_passes: u64,
    /// Slots moved to other pages.
    pub items_moved: u64,
    /// Index segments written anew.
    pub index_rebuilds: u64,
    /// Index segments split in two.
    pub index_splits: u64,
    /// total_used in percent of the limit, rounded down.
    pub memory_pressure: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the region.
    pub page_count: u32,
    /// Pages that no class owns.
    pub pages_free: u32,
    /// Shards.
    pub shards: u32,
    /// LARDER_POLICY_..
    pub policy: u32,
}

fn convert(stats: &CacheStats) -> larder_cache_stats_t {
    larder_cache_stats_t {
        struct_size: size_of::<larder_cache_stats_t>() as u32,
        abi_version: ABI_VERSION,
        item_count: stats.item_count,
        hits: stats.hits,
        misses: stats.misses,
        sets: stats.sets,
        updates: stats.updates,
        deletes: stats.deletes,
        evictions: stats.evictions,
        expirations: stats.expirations,
        failed_no_memory: stats.failed_no_memory,
        failed_too_large: stats.failed_too_large,
        failed_exists: stats.failed_exists,
        failed_type_mismatch: stats.failed_type_mismatch,
        failed_buffer_too_small: stats.failed_buffer_too_small,
        failed_busy: stats.failed_busy,
        region_bytes: stats.region_bytes,
        limit_bytes: stats.limit_bytes,
        payload_bytes: stats.payload_bytes,
        free_bytes: stats.free_bytes,
        overhead_bytes: stats.overhead_bytes,
        total_allocated: stats.total_allocated,
        total_used: stats.total_used,
        peak_used: stats.peak_used,
        pool_reuses: stats.pool_reuses,
        arena_allocs: stats.arena_allocs,
        reclaim_passes: stats.reclaim_passes,
        items_moved: stats.items_moved,
        index_rebuilds: stats.index_rebuilds,
        index_splits: stats.index_splits,
        memory_pressure: stats.memory_pressure,
        page_size: stats.page_size,
        page_count: stats.page_count,
        pages_free: stats.pages_free,
        shards: stats.shards,
        policy: stats.policy as u32,
    }
}

/// All statistics. `out->struct_size` may be set to an earlier version's size. O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_stats(
    cache: *const larder_cache,
    out: *mut larder_cache_stats_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let out = required(out)?;
        // SAFETY: the caller's promise.
        unsafe { put_sized(out, &convert(&cache.stats())) };
        Ok(())
    }))
}
