//! Counters of a shard, and the statistics of a cache.

#![forbid(unsafe_code)]

use crate::policy::PolicyKind;
use crate::status::Error;

/// What a shard counts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) sets: u64,
    pub(crate) updates: u64,
    pub(crate) deletes: u64,
    /// From the window, and from main.
    pub(crate) evictions: [u64; 2],
    pub(crate) expirations: [u64; 2],
    pub(crate) evicted_unread: u64,
    pub(crate) expired_unread: u64,
    pub(crate) misses_expired: u64,
    pub(crate) gone: Gone,
    pub(crate) items_moved: u64,
    pub(crate) reclaim_passes: u64,
    pub(crate) failed_no_memory: u32,
    pub(crate) failed_too_large: u32,
    pub(crate) failed_exists: u32,
    pub(crate) failed_type_mismatch: u32,
    pub(crate) failed_buffer_too_small: u32,
    pub(crate) failed_corrupt: u32,
}

/// What went without being deleted since the host was told last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gone {
    pub(crate) evicted: u32,
    pub(crate) expired: u32,
    pub(crate) evicted_bytes: u64,
    pub(crate) expired_bytes: u64,
}

impl Gone {
    pub(crate) fn is_nothing(&self) -> bool {
        self.evicted == 0 && self.expired == 0
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.evicted = self.evicted.saturating_add(other.evicted);
        self.expired = self.expired.saturating_add(other.expired);
        self.evicted_bytes = self.evicted_bytes.saturating_add(other.evicted_bytes);
        self.expired_bytes = self.expired_bytes.saturating_add(other.expired_bytes);
    }
}

impl Counters {
    /// An item of the main log or of the window, of so many key and value bytes, is evicted.
    #[inline]
    pub(crate) fn count_eviction(&mut self, is_main: bool, unread: bool, bytes: usize) {
        let [window, main] = &mut self.evictions;
        *(if is_main { main } else { window }) += 1;
        self.evicted_unread += u64::from(unread);
        self.gone.evicted = self.gone.evicted.wrapping_add(1);
        self.gone.evicted_bytes += bytes as u64;
    }

    /// As [`Counters::count_eviction`], of an item that has expired.
    pub(crate) fn count_expiration(&mut self, is_main: bool, unread: bool, bytes: usize) {
        let [window, main] = &mut self.expirations;
        *(if is_main { main } else { window }) += 1;
        self.expired_unread += u64::from(unread);
        self.gone.expired = self.gone.expired.wrapping_add(1);
        self.gone.expired_bytes += bytes as u64;
    }

    /// Expirations from both logs.
    pub(crate) fn expired(&self) -> u64 {
        self.expirations.iter().sum()
    }

    /// Adds what was counted to a cache's statistics.
    pub(crate) fn add_to(&self, stats: &mut CacheStats) {
        stats.hits += self.hits;
        stats.misses += self.misses;
        stats.sets += self.sets;
        stats.updates += self.updates;
        stats.deletes += self.deletes;
        stats.evictions += self.evictions.iter().sum::<u64>();
        stats.expirations += self.expired();
        stats.evicted_unread += self.evicted_unread;
        stats.expired_unread += self.expired_unread;
        stats.misses_expired += self.misses_expired;
        stats.failed_no_memory += u64::from(self.failed_no_memory);
        stats.failed_too_large += u64::from(self.failed_too_large);
        stats.failed_exists += u64::from(self.failed_exists);
        stats.failed_type_mismatch += u64::from(self.failed_type_mismatch);
        stats.failed_buffer_too_small += u64::from(self.failed_buffer_too_small);
        stats.failed_corrupt += u64::from(self.failed_corrupt);
        stats.reclaim_passes += self.reclaim_passes;
        stats.items_moved += self.items_moved;
    }

    /// Counts a call that failed: to four billions in a shard.
    pub(crate) fn count_failure(&mut self, error: Error) {
        let count = match error {
            Error::NoMemory => &mut self.failed_no_memory,
            Error::TooLarge => &mut self.failed_too_large,
            Error::Exists => &mut self.failed_exists,
            Error::TypeMismatch => &mut self.failed_type_mismatch,
            _ => return,
        };
        *count = count.saturating_add(1);
    }
}

/// A cache's statistics: exact, over all shards, where no other thread changes it meanwhile.
///
/// `payload_bytes + free_bytes + overhead_bytes == region_bytes`, always.
// Laid out as the C structure's fields are: see `ffi::cache_stats`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CacheStats {
    /// Items, expired ones that no call has removed yet included.
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
    /// Values and keys that the limit can never hold.
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
    /// The most that `total_used` ever was (the sum over shards of each one's peak).
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
    /// `total_used` in percent of the limit, rounded down.
    pub memory_pressure: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages of the region.
    pub page_count: u32,
    /// Pages without an owner.
    pub pages_free: u32,
    /// Shards.
    pub shards: u32,
    /// The eviction policy.
    pub policy: PolicyKind,
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
    /// Shards made whole after a process that shared the cache had died in mid-call.
    pub recoveries: u64,
}

/// Who has a page of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[repr(u32)]
pub enum PageOwner {
    /// The log of newcomers.
    #[default]
    Window = 0,
    /// The log of proven items; of all items, with exact LRU.
    Main = 1,
    /// Index, and the table of what is held.
    Index = 2,
    /// No owner.
    Free = 3,
}

impl PageOwner {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Window, Self::Main, Self::Index, Self::Free];
}

/// What one owner of pages has: `live_bytes + dead_bytes + free_bytes == pages * page_size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct OwnerStats {
    /// Whose.
    pub owner: PageOwner,
    /// Bytes of a page.
    pub page_size: usize,
    /// Pages.
    pub pages: u64,
    /// Items, and reservations.
    pub items: u64,
    /// Bytes in which something lives, headers included.
    pub live_bytes: u64,
    /// Bytes of items that are gone, and page ends.
    pub dead_bytes: u64,
    /// Bytes not used yet.
    pub free_bytes: u64,
    /// Items evicted from here, since the start.
    pub evictions: u64,
    /// Items that expired here, since the start.
    pub expirations: u64,
    /// Milliseconds since the item at the log's tail was set, where the cache keeps set times; 0 without.
    pub oldest_age_ms: u64,
}

impl OwnerStats {
    /// With another shard's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.owner = other.owner;
        self.page_size = other.page_size;
        self.pages += other.pages;
        self.items += other.items;
        self.live_bytes += other.live_bytes;
        self.dead_bytes += other.dead_bytes;
        self.free_bytes += other.free_bytes;
        self.evictions += other.evictions;
        self.expirations += other.expirations;
        self.oldest_age_ms = self.oldest_age_ms.max(other.oldest_age_ms);
    }
}

/// One page of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PageInfo {
    /// Who has it.
    pub owner: PageOwner,
    /// Granules of 4 bytes in which something lives.
    pub live: u32,
    /// Granules in the page.
    pub granules: u32,
    /// Whether it was ever used.
    pub touched: bool,
}
