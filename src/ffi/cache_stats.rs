//! A cache's statistics in C.

use super::cache::{handle, larder_cache};
use super::input::{ABI_VERSION, put, put_sized, required, status};
use super::status::larder_status;
use crate::stats::{CacheStats, PageOwner};
use crate::status::Error;

/// Statistics of a cache: exact over all shards, if no other thread changes it meanwhile. payload_bytes +
/// free_bytes + overhead_bytes == region_bytes, always.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cache_stats_t {
    /// sizeof(larder_cache_stats_t); must be set, as LARDER_CACHE_STATS_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Items, expired ones that no call has removed yet included.
    pub item_count: u64,
    /// Reads that found their item.
    pub hits: u64,
    /// Reads that found no item.
    pub misses: u64,
    /// Values stored.
    pub sets: u64,
    /// Sets that replaced a value.
    pub updates: u64,
    /// Items deleted by the caller.
    pub deletes: u64,
    /// Items evicted to make room.
    pub evictions: u64,
    /// Expired items removed.
    pub expirations: u64,
    /// Calls that failed for lack of memory.
    pub failed_no_memory: u64,
    /// Calls with a key or value longer than the limit can hold.
    pub failed_too_large: u64,
    /// Adds that found an item.
    pub failed_exists: u64,
    /// Typed calls on a value of another type.
    pub failed_type_mismatch: u64,
    /// Reads into a buffer that was too short.
    pub failed_buffer_too_small: u64,
    /// Calls refused because the cache was busy.
    pub failed_busy: u64,
    /// Bytes given by the caller.
    pub region_bytes: u64,
    /// The memory limit.
    pub limit_bytes: u64,
    /// Key and value bytes.
    pub payload_bytes: u64,
    /// Bytes that items can still take, dead ones included.
    pub free_bytes: u64,
    /// All other bytes: headers, index, tables, rounding to 4 bytes.
    pub overhead_bytes: u64,
    /// Bytes taken from the region so far: tables, and pages ever used.
    pub total_allocated: u64,
    /// Bytes taken now: what the limit bounds.
    pub total_used: u64,
    /// Highest total_used so far (the sum of each shard's).
    pub peak_used: u64,
    /// Pages taken whose bytes had been used before.
    pub pool_reuses: u64,
    /// Allocations from the region: tables and pages.
    pub arena_allocs: u64,
    /// Optimize passes that were completed.
    pub reclaim_passes: u64,
    /// Items copied to other pages.
    pub items_moved: u64,
    /// Index segments rewritten.
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
    /// Reads of an item that did not fit its checksum, which deleted it.
    pub failed_corrupt: u64,
    /// Dead bytes in pages with items: of items deleted, evicted or replaced, and page ends. They are reused
    /// without an eviction.
    pub dead_bytes: u64,
    /// Evicted items that no caller had read.
    pub evicted_unread: u64,
    /// Expired items that no caller had read.
    pub expired_unread: u64,
    /// Misses that found an expired item of their key.
    pub misses_expired: u64,
    /// Shards made whole after a process that shared the cache had died in mid-call: see larder_cache_share.
    pub recoveries: u64,
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

/// Writes all statistics; set `out->struct_size` first.
///
/// Returns LARDER_INVALID if struct_size is 0 or the size of no version, LARDER_VERSION_MISMATCH if it is larger
/// than the library's. O(shards).
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

/// The log of new items.
pub const LARDER_OWNER_WINDOW: u32 = 0;
/// The log of proven items; of all items, with LARDER_POLICY_LRU.
pub const LARDER_OWNER_MAIN: u32 = 1;
/// Pages of the index, and of the table of pins.
pub const LARDER_OWNER_INDEX: u32 = 2;
/// Pages without an owner.
pub const LARDER_OWNER_FREE: u32 = 3;

/// Statistics of one owner of pages, or of one size class of a pool.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_class_stats {
    /// sizeof(larder_class_stats); must be set, as LARDER_CLASS_STATS_INIT does.
    pub struct_size: u32,
    /// LARDER_OWNER_..; 0 for a pool.
    pub kind: u32,
    /// Bytes of a slot; of a page for a cache.
    pub slot_size: u64,
    /// Slots in a page; 1 for a cache.
    pub slots_per_page: u64,
    /// Pages.
    pub pages: u64,
    /// Slots in use; items and reservations for a cache.
    pub slots_used: u64,
    /// Slots free in the class's pages; pages without an owner for a cache.
    pub slots_free: u64,
    /// Live bytes: slots in use; for a cache, items with their headers, or pages of the index.
    pub live_bytes: u64,
    /// Bytes of free slots; bytes not used yet for a cache.
    pub free_bytes: u64,
    /// The other bytes of the pages: page ends; for a cache, dead bytes too.
    pub waste_bytes: u64,
    /// Items evicted from here, since the start.
    pub evictions: u64,
    /// Slots allocated since the start; 0 for a cache.
    pub allocations: u64,
    /// Allocations whose bytes had been used before; 0 for a cache.
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

/// One page of a cache.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_page_info {
    /// Its owner, LARDER_OWNER_...
    pub class_index: u32,
    /// Live granules of 4 bytes.
    pub slots_used: u32,
    /// Granules in the page.
    pub slots: u32,
    /// 1 if the page was ever used, else 0.
    pub touched: u32,
}

const _: () = assert!(LARDER_OWNER_FREE == PageOwner::Free as u32 && LARDER_PAGE_FREE == 3);

/// Writes what one owner of pages has (LARDER_OWNER_..), over all shards; set `out->struct_size` first. live_bytes
/// + free_bytes + waste_bytes is pages times page size.
///
/// Returns LARDER_NOT_FOUND past the last owner, LARDER_INVALID if struct_size is 0 or the size of no version,
/// LARDER_VERSION_MISMATCH if it is larger than the library's. O(shards).
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

/// Writes the owner and the live bytes of page number `index`, from 0, counted over all shards.
///
/// Returns LARDER_NOT_FOUND past the last page. O(shards).
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
            misses_expired,
            recoveries
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
