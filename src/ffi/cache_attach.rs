//! Taking over what an earlier owner left in a region, in C.

use super::cache::larder_cache;
use super::cache_config::{larder_cache_config, read};
use super::input::{put, required, status};
use super::status::larder_status;
use crate::attach::AttachReport;
use crate::cache::Cache;
use crate::status::Error;
use core::ffi::c_void;

/// The region holds a cache, which was attached.
pub const LARDER_FOUND_CACHE: u32 = 0;
/// The region holds no cache, or one whose initialisation did not end.
pub const LARDER_FOUND_NOTHING: u32 = 1;
/// The region holds a cache of another version or build of the library, or of another kind of machine.
pub const LARDER_FOUND_OTHER_VERSION: u32 = 2;
/// The region holds a cache of another size, number of shards or policy, or with other fields in its items.
pub const LARDER_FOUND_OTHER_LAYOUT: u32 = 3;
/// The region holds a cache with another hash_seed.
pub const LARDER_FOUND_OTHER_SEED: u32 = 4;

/// What larder_cache_attach found.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_attach_report {
    /// LARDER_FOUND_..
    pub found: u32,
    /// 0
    pub reserved: u32,
    /// Items recovered.
    pub items_recovered: u64,
    /// Bytes of their keys and values.
    pub bytes_recovered: u64,
    /// Items not recovered: the sum of the five below.
    pub items_dropped: u64,
    /// Items that have expired.
    pub items_expired: u64,
    /// Parts of items, and items whose expiry is unknown: being written or moved when the earlier owner stopped, or
    /// damaged.
    pub items_torn: u64,
    /// Items that do not fit their checksum, with LARDER_CHECKSUM.
    pub items_corrupt: u64,
    /// Copies of an item that was being moved or replaced.
    pub items_duplicate: u64,
    /// Items for which the index had no room.
    pub items_homeless: u64,
}

fn convert(report: &AttachReport) -> larder_attach_report {
    larder_attach_report {
        found: report.found as u32,
        reserved: 0,
        items_recovered: report.items_recovered,
        bytes_recovered: report.bytes_recovered,
        items_dropped: report.items_dropped(),
        items_expired: report.items_expired,
        items_torn: report.items_torn,
        items_corrupt: report.items_corrupt,
        items_duplicate: report.items_duplicate,
        items_homeless: report.items_homeless,
    }
}

/// Takes over the cache that an earlier owner left in `memory`: RAM that a reset kept, a mapped file, shared memory
/// at another address. Give the configuration of the earlier owner. These may differ: memory_limit, key_len_max,
/// value_len_max, default_ttl_ms, pins_max, LARDER_ZERO_ON_FREE, LARDER_SINGLE_THREAD and the hooks.
///
/// The earlier owner may have stopped at any moment, killed or not. Each item that was whole is recovered with its
/// TTL, except a value that was being overwritten in place by one of the same size, or, with LARDER_CHECKSUM, touched.
/// No byte of the region is trusted. Views, reservations, locks and statistics of the earlier owner are void.
///
/// Time continues from the earlier owner's last look at the clock: a clock that restarted since counts as one that
/// stood still. If the earlier owner called larder_cache_set_time, call it again.
///
/// Mapped files and shared memory: one process at a time owns the region, and the host keeps others out (flock).
/// Two processes that call at once are not supported, not even to read, and not even parent and child on a shared
/// mapping: larder_cache_share is for that. The library does not notice it, and the second attach breaks the locks of
/// the first. Nor is a file
/// written in order at a power failure: older values may be back, and without LARDER_CHECKSUM torn ones.
///
/// fork: the child owns a copy of a region in private memory. If a thread of the parent was in a call at the fork,
/// its lock stays taken in the copy. So the child calls larder_cache_attach first, with the parent's configuration,
/// and uses the new handle. With lock hooks, the child makes their lock anew before that. The parent is not
/// affected. A monitor has no thread in the child: call larder_monitor_init, and no larder_monitor_stop before it.
/// A pool has no attach: the child makes it anew, unless no thread was in a call of it at the fork (a lock that
/// pthread_atfork holds over the fork).
///
/// Returns LARDER_NOT_FOUND if the region holds no cache, LARDER_VERSION_MISMATCH if it holds another kind of
/// cache: `report->found` says which. The region is unchanged then, and larder_cache_init makes a new cache. Else
/// returns what larder_cache_init does. `report` may be NULL; it is written on these two errors, too. `*out` is
/// valid as long as the memory is. O(pages + items) and a hash of each key; O(bytes) with LARDER_CHECKSUM.
///
/// # Safety
/// `memory .. memory + size` is used by no other code while the cache is used; `config` is NULL or has as many
/// bytes as its first field says; `out` can be written, `report` too unless it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_attach(
    memory: *mut c_void,
    size: usize,
    config: *const larder_cache_config,
    out: *mut *mut larder_cache,
    report: *mut larder_attach_report,
) -> larder_status {
    status(required(out).and_then(|out| {
        let base = required(memory)?.cast();
        // SAFETY: the caller's promise.
        let config = unsafe { read(config) }?;
        let mut found = AttachReport::default();
        // SAFETY: the caller gives this memory.
        let cache = unsafe { Cache::attach_at(base, size, &config, &mut found) };
        let is_told = matches!(cache, Ok(_) | Err(Error::NotFound | Error::VersionMismatch));
        if let (true, Ok(report)) = (is_told, required(report)) {
            // SAFETY: the caller's promise.
            unsafe { put(report, convert(&found)) };
        }
        // SAFETY: the caller's promise.
        unsafe { put(out, cache?.as_ptr().cast()) };
        Ok(())
    }))
}
