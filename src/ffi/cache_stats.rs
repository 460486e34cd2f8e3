//! A cache's statistics in C.

use super::cache::{handle, larder_cache};
use super::input::{ABI_VERSION, put, put_sized, required, status};
use super::status::larder_status;
use crate::slab::ClassKind;
use crate::stats::CacheStats;

/// A cache's statistics: exact, over all shards, where no other thread changes it meanwhile.
/// payload_bytes + free_bytes + overhead_bytes == region_bytes, always.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cache_stats_t {
    /// sizeof(larder_cache_stats_t); has to be set, as LARDER_CACHE_STATS_INIT does.
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
    /// Views held.
    pub views: u32,
    /// Reservations held.
    pub reservations: u32,
    /// Reads of an item that was not what its checksum was made of: it was taken out.
    pub failed_corrupt: u64,
}

/// [`larder_cache_stats_t`] as it is filled: what follows the first two fields is laid out as Rust's (a test
/// compares every field).
#[repr(C)]
#[derive(Clone, Copy)]
struct Filled {
    struct_size: u32,
    abi_version: u32,
    stats: CacheStats,
}

/// Earlier versions ended before this field.
const OLDER: [usize; 1] = [core::mem::offset_of!(larder_cache_stats_t, failed_corrupt)];

const _: () = assert!(size_of::<Filled>() == size_of::<larder_cache_stats_t>());
const _: () = assert!(align_of::<Filled>() == align_of::<larder_cache_stats_t>());

/// All statistics. `out->struct_size` has to be set: LARDER_CACHE_STATS_INIT does. LARDER_INVALID where it is 0 or
/// no version's size, LARDER_VERSION_MISMATCH where it is more than the library's. O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` has as many bytes as its first field says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_stats(
    cache: *const larder_cache,
    out: *mut larder_cache_stats_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let out = required(out)?;
        let filled = Filled {
            struct_size: size_of::<larder_cache_stats_t>() as u32,
            abi_version: ABI_VERSION,
            stats: cache.stats(),
        };
        // SAFETY: the caller's promise; laid out alike.
        unsafe { put_sized(out.cast(), &filled, &OLDER) }
    }))
}

/// A class's slots hold items, and parts of items.
pub const LARDER_CLASS_ITEMS: u32 = 0;
/// A class's slots hold segments and directory of the index.
pub const LARDER_CLASS_INDEX: u32 = 1;

/// What one size class holds.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_class_stats {
    /// sizeof(larder_class_stats); has to be set, as LARDER_CLASS_STATS_INIT does.
    pub struct_size: u32,
    /// LARDER_CLASS_..
    pub kind: u32,
    /// Bytes of a slot.
    pub slot_size: u64,
    /// Slots in a page.
    pub slots_per_page: u64,
    /// Pages of the class.
    pub pages: u64,
    /// Slots handed out.
    pub slots_used: u64,
    /// Slots free in the class's pages.
    pub slots_free: u64,
    /// Key and value bytes in the slots.
    pub live_bytes: u64,
    /// Bytes of free slots.
    pub free_bytes: u64,
    /// The other bytes of the pages: headers, rounding, page tails; of an index class, all but the
    /// free ones.
    pub waste_bytes: u64,
    /// Items evicted whose first slot was of this class, since the start.
    pub evictions: u64,
    /// Slots handed out since the start.
    pub allocations: u64,
    /// Those of them whose bytes had been used before.
    pub reuses: u64,
}

/// A page belongs to no class.
pub const LARDER_PAGE_FREE: u32 = 4294967295;

/// One page.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_page_info {
    /// The class that it belongs to, as for larder_cache_class_stats; LARDER_PAGE_FREE if none.
    pub class_index: u32,
    /// Slots handed out.
    pub slots_used: u32,
    /// Slots in the page.
    pub slots: u32,
    /// 1 where it was ever used, else 0.
    pub touched: u32,
}

const _: () =
    assert!(LARDER_CLASS_INDEX == ClassKind::Index as u32 && LARDER_PAGE_FREE == u32::MAX);

/// What one size class holds, over all shards: live_bytes + free_bytes + waste_bytes is pages times
/// page size. LARDER_NOT_FOUND past the last class. `out->struct_size` has to be set: LARDER_CLASS_STATS_INIT does.
/// LARDER_INVALID where it is 0 or no version's size, LARDER_VERSION_MISMATCH where it is more than the library's.
/// O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` has as many bytes as its first field says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_class_stats(
    cache: *const larder_cache,
    index: u32,
    out: *mut larder_class_stats,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let out = required(out)?;
        let stats = cache.class_stats(index)?;
        let value = larder_class_stats {
            struct_size: size_of::<larder_class_stats>() as u32,
            kind: stats.kind as u32,
            slot_size: stats.slot_size as u64,
            slots_per_page: stats.slots_per_page as u64,
            pages: stats.pages as u64,
            slots_used: stats.used as u64,
            slots_free: stats.free as u64,
            live_bytes: stats.live,
            free_bytes: (stats.free * stats.slot_size) as u64,
            waste_bytes: stats.waste,
            evictions: stats.evictions,
            allocations: stats.allocs,
            reuses: stats.reuses,
        };
        // SAFETY: the caller's promise.
        unsafe { put_sized(out, &value, &[]) }
    }))
}

/// One page of the region, counted over all shards; LARDER_NOT_FOUND past the last one. O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_page_info(
    cache: *const larder_cache,
    index: u32,
    out: *mut larder_page_info,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        let out = required(out)?;
        let info = cache.page_info(index)?;
        let value = larder_page_info {
            class_index: info.class.unwrap_or(LARDER_PAGE_FREE),
            slots_used: info.used,
            slots: info.slots,
            touched: u32::from(info.touched),
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, value) };
        Ok(())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn every_field_lies_where_rust_has_it() {
        let places = [
            (
                offset_of!(larder_cache_stats_t, item_count),
                offset_of!(CacheStats, item_count),
            ),
            (
                offset_of!(larder_cache_stats_t, hits),
                offset_of!(CacheStats, hits),
            ),
            (
                offset_of!(larder_cache_stats_t, misses),
                offset_of!(CacheStats, misses),
            ),
            (
                offset_of!(larder_cache_stats_t, sets),
                offset_of!(CacheStats, sets),
            ),
            (
                offset_of!(larder_cache_stats_t, updates),
                offset_of!(CacheStats, updates),
            ),
            (
                offset_of!(larder_cache_stats_t, deletes),
                offset_of!(CacheStats, deletes),
            ),
            (
                offset_of!(larder_cache_stats_t, evictions),
                offset_of!(CacheStats, evictions),
            ),
            (
                offset_of!(larder_cache_stats_t, expirations),
                offset_of!(CacheStats, expirations),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_no_memory),
                offset_of!(CacheStats, failed_no_memory),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_too_large),
                offset_of!(CacheStats, failed_too_large),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_exists),
                offset_of!(CacheStats, failed_exists),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_type_mismatch),
                offset_of!(CacheStats, failed_type_mismatch),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_buffer_too_small),
                offset_of!(CacheStats, failed_buffer_too_small),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_busy),
                offset_of!(CacheStats, failed_busy),
            ),
            (
                offset_of!(larder_cache_stats_t, region_bytes),
                offset_of!(CacheStats, region_bytes),
            ),
            (
                offset_of!(larder_cache_stats_t, limit_bytes),
                offset_of!(CacheStats, limit_bytes),
            ),
            (
                offset_of!(larder_cache_stats_t, payload_bytes),
                offset_of!(CacheStats, payload_bytes),
            ),
            (
                offset_of!(larder_cache_stats_t, free_bytes),
                offset_of!(CacheStats, free_bytes),
            ),
            (
                offset_of!(larder_cache_stats_t, overhead_bytes),
                offset_of!(CacheStats, overhead_bytes),
            ),
            (
                offset_of!(larder_cache_stats_t, total_allocated),
                offset_of!(CacheStats, total_allocated),
            ),
            (
                offset_of!(larder_cache_stats_t, total_used),
                offset_of!(CacheStats, total_used),
            ),
            (
                offset_of!(larder_cache_stats_t, peak_used),
                offset_of!(CacheStats, peak_used),
            ),
            (
                offset_of!(larder_cache_stats_t, pool_reuses),
                offset_of!(CacheStats, pool_reuses),
            ),
            (
                offset_of!(larder_cache_stats_t, arena_allocs),
                offset_of!(CacheStats, arena_allocs),
            ),
            (
                offset_of!(larder_cache_stats_t, reclaim_passes),
                offset_of!(CacheStats, reclaim_passes),
            ),
            (
                offset_of!(larder_cache_stats_t, items_moved),
                offset_of!(CacheStats, items_moved),
            ),
            (
                offset_of!(larder_cache_stats_t, index_rebuilds),
                offset_of!(CacheStats, index_rebuilds),
            ),
            (
                offset_of!(larder_cache_stats_t, index_splits),
                offset_of!(CacheStats, index_splits),
            ),
            (
                offset_of!(larder_cache_stats_t, memory_pressure),
                offset_of!(CacheStats, memory_pressure),
            ),
            (
                offset_of!(larder_cache_stats_t, page_size),
                offset_of!(CacheStats, page_size),
            ),
            (
                offset_of!(larder_cache_stats_t, page_count),
                offset_of!(CacheStats, page_count),
            ),
            (
                offset_of!(larder_cache_stats_t, pages_free),
                offset_of!(CacheStats, pages_free),
            ),
            (
                offset_of!(larder_cache_stats_t, shards),
                offset_of!(CacheStats, shards),
            ),
            (
                offset_of!(larder_cache_stats_t, policy),
                offset_of!(CacheStats, policy),
            ),
            (
                offset_of!(larder_cache_stats_t, views),
                offset_of!(CacheStats, views),
            ),
            (
                offset_of!(larder_cache_stats_t, reservations),
                offset_of!(CacheStats, reservations),
            ),
            (
                offset_of!(larder_cache_stats_t, failed_corrupt),
                offset_of!(CacheStats, failed_corrupt),
            ),
        ];
        let head = offset_of!(Filled, stats);
        for (c, rust) in places {
            assert_eq!(c, head + rust);
        }
        let words = size_of::<larder_cache_stats_t>() / 8;
        let halves = 8;
        assert_eq!(
            places.len(),
            words - 1 - halves / 2 + halves,
            "a field is missing above"
        );
    }
}
