//! Taking over what an earlier owner left in a region, in C.

use super::cache::larder_cache;
use super::cache_config::{larder_cache_config, read};
use super::input::{put, required, status};
use super::status::larder_status;
use crate::attach::AttachReport;
use crate::cache::Cache;
use crate::status::Error;
use core::ffi::c_void;

/// The region held a cache, which was taken over.
pub const LARDER_FOUND_CACHE: u32 = 0;
/// The region held no cache, or one whose initialisation did not end.
pub const LARDER_FOUND_NOTHING: u32 = 1;
/// A cache of another version or build of the library, or of another kind of machine.
pub const LARDER_FOUND_OTHER_VERSION: u32 = 2;
/// A cache of another size, number of shards or policy, or whose items have other fields.
pub const LARDER_FOUND_OTHER_LAYOUT: u32 = 3;
/// A cache with another hash_seed.
pub const LARDER_FOUND_OTHER_SEED: u32 = 4;

/// What larder_cache_attach found.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_attach_report {
    /// LARDER_FOUND_..
    pub found: u32,
    /// 0
    pub reserved: u32,
    /// Items that are back.
    pub items_recovered: u64,
    /// Their key and value bytes.
    pub bytes_recovered: u64,
    /// Items that are not: the sum of the five below.
    pub items_dropped: u64,
    /// Items whose time has come.
    pub items_expired: u64,
    /// Parts of items, and items whose expiry is unknown: being written or moved when the owner was stopped, or damaged.
    pub items_torn: u64,
    /// Items that are not what their checksum was made of, with LARDER_CHECKSUM.
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

/// Takes over the cache that an earlier owner left in `memory`: retained memory after a reset, a mapped file,
/// shared memory at another address. The configuration is that of the earlier owner, but for memory_limit,
/// key_len_max, value_len_max, default_ttl_ms, pins_max, LARDER_ZERO_ON_FREE, LARDER_SINGLE_THREAD and the hooks,
/// which may differ. Wherever the earlier owner was stopped, what was whole is back, with its TTL; a value that was
/// being written over by one of its size, in its place, is not. Nothing that lies in the region is believed. Views, reservations, locks and statistics of the earlier owner are void.
///
/// fork: the child owns a copy of a region in private memory. A thread of the parent that was in a call at the fork
/// holds its lock in that copy for ever, and the child's next call would wait for it. So the child calls
/// larder_cache_attach first, with the parent's configuration, and uses the handle that this gives. Where the
/// configuration has lock hooks, the child makes their lock anew before. The parent goes on as before. A monitor has no
/// thread in the child: larder_monitor_init makes it anew, larder_monitor_stop must not be called before. A pool has no
/// attach: the child makes it anew, unless no thread was in a call of it at the fork (lock hooks whose lock
/// pthread_atfork holds over the fork).
///
/// Mapped files and shared memory: one process at a time owns the region, and the host keeps others away (flock).
/// Promised: the owner may end at any moment, killed or not, and the next one attaches, at any address. Not promised:
/// two processes that call at once, be it to read, and be they parent and child on a shared mapping. The library does
/// not notice it, and the second attach breaks the first one's locks: anything may happen then. Nor is a file
/// written in order at a power failure: older values may be back, and without LARDER_CHECKSUM torn ones.
///
/// Time goes on from where the clock stood at the earlier owner's last look at it: a clock that started anew since
/// then counts as one that stood still meanwhile. Where larder_cache_set_time was called before, it is to be
/// called again.
///
/// LARDER_NOT_FOUND where the region holds no cache, LARDER_VERSION_MISMATCH where it holds one that was made
/// otherwise; `report->found` tells which. Nothing was changed then, and larder_cache_init makes a new one. Else as
/// larder_cache_init. `report` may be NULL; it is written on these errors, too. O(pages + items) and a
/// hash of each key; O(bytes) with LARDER_CHECKSUM.
///
/// # Safety
/// `memory .. memory + size` is nobody else's while the cache is used; `config` is NULL or has as many
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
