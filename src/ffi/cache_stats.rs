//! A cache's statistics in C.

use super::cache::{handle, larder_cache};
use super::input::{ABI_VERSION, put, put_sized, required, status};
use super::status::larder_status;
use crate::stats::{CacheStats, PageOwner};
use crate::status::Error;

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
    /// Bytes that items could still take, dead ones included.
    pub free_bytes: u64,
    /// Everything else: headers, index, tables, rounding to 4 bytes.
    pub overhead_bytes: u64,
    /// Bytes cut from the region so far: tables, and pages that were ever used.
    pub total_allocated: u64,
    /// Bytes taken: what the limit is about.
    pub total_used: u64,
    /// The most that total_used ever was (the sum of each shard's).
    pub peak_used: u64,
    /// Pages taken whose bytes had been used before.
    pub pool_reuses: u64,
    /// Cuts made from the region: tables and pages.
    pub arena_allocs: u64,
    /// Optimize passes that came to their end.
    pub reclaim_passes: u64,
    /// Items copied to other pages.
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
    /// Pages without an owner.
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
    /// Bytes in which nothing lives, of pages that hold items: of items that are gone, and page ends. They come back
    /// without an eviction.
    pub dead_bytes: u64,
    /// Evicted items that no caller had read.
    pub evicted_unread: u64,
    /// Expired items that no caller had read.
    pub expired_unread: u64,
    /// Misses that found an expired item of their key.
    pub misses_expired: u64,
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

/// Earlier versions ended before these fields.
const OLDER: [usize; 3] = [
    core::mem::offset_of!(larder_cache_stats_t, failed_corrupt),
    core::mem::offset_of!(larder_cache_stats_t, dead_bytes),
    core::mem::offset_of!(larder_cache_stats_t, evicted_unread),
];

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

/// The log of newcomers.
pub const LARDER_OWNER_WINDOW: u32 = 0;
/// The log of proven items; of all items, with LARDER_POLICY_LRU.
pub const LARDER_OWNER_MAIN: u32 = 1;
/// Pages of the index, and of the table of what is held.
pub const LARDER_OWNER_INDEX: u32 = 2;
/// Pages without an owner.
pub const LARDER_OWNER_FREE: u32 = 3;

/// What one owner of pages has, or one size class of a pool.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_class_stats {
    /// sizeof(larder_class_stats); has to be set, as LARDER_CLASS_STATS_INIT does.
    pub struct_size: u32,
    /// LARDER_OWNER_..; 0 for a pool.
    pub kind: u32,
    /// Bytes of a slot; of a page for a cache.
    pub slot_size: u64,
    /// Slots in a page; 1 for a cache.
    pub slots_per_page: u64,
    /// Pages.
    pub pages: u64,
    /// Slots handed out; items and reservations for a cache.
    pub slots_used: u64,
    /// Slots free in the class's pages; pages without an owner for a cache.
    pub slots_free: u64,
    /// Bytes in which something lives: slots handed out; items with their headers, or pages of the index, for a
    /// cache.
    pub live_bytes: u64,
    /// Bytes of free slots; bytes not used yet for a cache.
    pub free_bytes: u64,
    /// The other bytes of the pages: page ends, and for a cache, bytes of items that are gone.
    pub waste_bytes: u64,
    /// Items evicted from here, since the start.
    pub evictions: u64,
    /// Slots handed out since the start; 0 for a cache.
    pub allocations: u64,
    /// Those of them whose bytes had been used before; 0 for a cache.
    pub reuses: u64,
    /// Items that expired here, since the start; 0 for a pool.
    pub expirations: u64,
    /// Milliseconds since the item was set that is the next to be looked at for eviction: its age, in a log with
    /// LARDER_ITEM_TIMES; else 0.
    pub oldest_age_ms: u64,
}

/// Earlier versions of [`larder_class_stats`] ended before this field.
pub(super) const CLASS_STATS_OLDER: [usize; 1] =
    [core::mem::offset_of!(larder_class_stats, expirations)];

/// The owner of a page without one.
pub const LARDER_PAGE_FREE: u32 = LARDER_OWNER_FREE;

/// One page.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_page_info {
    /// Who has it, as for larder_cache_class_stats.
    pub class_index: u32,
    /// Granules of 4 bytes in which something lives.
    pub slots_used: u32,
    /// Granules in the page.
    pub slots: u32,
    /// 1 where it was ever used, else 0.
    pub touched: u32,
}

const _: () = assert!(LARDER_OWNER_FREE == PageOwner::Free as u32 && LARDER_PAGE_FREE == 3);

/// What one owner of pages has (window, main, index, free: LARDER_OWNER_..), over all shards: live_bytes +
/// free_bytes + waste_bytes is pages times page size. LARDER_NOT_FOUND past the last owner. `out->struct_size` has to be
/// set: LARDER_CLASS_STATS_INIT does. LARDER_INVALID where it is 0 or no version's size, LARDER_VERSION_MISMATCH where
/// it is more than the library's. O(shards).
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
        let owner = PageOwner::ALL.get(index as usize).ok_or(Error::NotFound)?;
        let stats = cache.owner_stats(*owner)?;
        let value = larder_class_stats {
            struct_size: size_of::<larder_class_stats>() as u32,
            kind: stats.owner as u32,
            slot_size: stats.page_size as u64,
            slots_per_page: 1,
            pages: stats.pages,
            slots_used: stats.items,
            slots_free: if *owner == PageOwner::Free {
                stats.pages
            } else {
                0
            },
            live_bytes: stats.live_bytes,
            free_bytes: stats.free_bytes,
            waste_bytes: stats.dead_bytes,
            evictions: stats.evictions,
            allocations: 0,
            reuses: 0,
            expirations: stats.expirations,
            oldest_age_ms: stats.oldest_age_ms,
        };
        // SAFETY: the caller's promise.
        unsafe { put_sized(out, &value, &CLASS_STATS_OLDER) }
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
            class_index: info.owner as u32,
            slots_used: info.live,
            slots: info.granules,
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

    macro_rules! places {
        ($($field:ident),*) => {
            [$((offset_of!(larder_cache_stats_t, $field), offset_of!(CacheStats, $field))),*]
        };
    }

    #[test]
    fn every_field_lies_where_rust_has_it() {
        let places = places!(
            item_count,
            hits,
            misses,
            sets,
            updates,
            deletes,
            evictions,
            expirations,
            failed_no_memory,
            failed_too_large,
            failed_exists,
            failed_type_mismatch,
            failed_buffer_too_small,
            failed_busy,
            region_bytes,
            limit_bytes,
            payload_bytes,
            free_bytes,
            overhead_bytes,
            total_allocated,
            total_used,
            peak_used,
            pool_reuses,
            arena_allocs,
            reclaim_passes,
            items_moved,
            index_rebuilds,
            index_splits,
            memory_pressure,
            page_size,
            page_count,
            pages_free,
            shards,
            policy,
            views,
            reservations,
            failed_corrupt,
            dead_bytes,
            evicted_unread,
            expired_unread,
            misses_expired
        );
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
