//! One cache that several processes use at a time, in C: hosted builds only.

use super::cache::{handle, larder_cache};
use super::cache_config::{larder_cache_config, read};
use super::input::{put, required, status};
use super::status::larder_status;
use crate::cache::Cache;
use crate::config::Config;
use crate::hosted::lives;
use crate::lock::LockHooks;
use crate::status::Result;
use core::ffi::c_void;
use core::ptr::NonNull;

/// Returned by the lock hooks of a shared cache that took a lock whose owner died: EOWNERDEAD of Linux. The hook has
/// made the lock consistent before.
pub const LARDER_OWNER_DIED: i32 = 130;

const _: () = assert!(LARDER_OWNER_DIED == LockHooks::OWNER_DIED);

/// Whether a process lives: 0 = no. It runs under the lock of a shard and must not wait for callers of the cache; a
/// call of this cache from inside is LARDER_BUSY.
pub type larder_is_alive_fn = Option<unsafe extern "C" fn(ctx: *mut c_void, process: u32) -> i32>;

/// The size of a handle: memory of the process's own that larder_cache_share and larder_cache_join take.
#[unsafe(no_mangle)]
pub extern "C" fn larder_cache_handle_size() -> usize {
    Cache::handle_size()
}

/// Where it lies, and how long it is.
type Memory = (NonNull<u8>, usize);

/// # Safety
/// As for `larder_cache_share`; `enter` is that or joining.
unsafe fn enter<'a>(
    memory: (*mut c_void, usize),
    config: *const larder_cache_config,
    handle: (*mut c_void, usize),
    out: *mut *mut larder_cache,
    enter: unsafe fn(Memory, &Config, Memory) -> Result<Cache<'a>>,
) -> larder_status {
    status(required(out).and_then(|out| {
        let region = (required(memory.0)?.cast(), memory.1);
        let handle = (required(handle.0)?.cast(), handle.1);
        // SAFETY: the caller's promise.
        let config = unsafe { read(config) }?;
        // SAFETY: the caller's promise.
        let cache = unsafe { enter(region, &config, handle) }?;
        // SAFETY: the caller's promise.
        unsafe { put(out, cache.as_ptr().cast()) };
        Ok(())
    }))
}

/// Makes a cache in `memory`, a mapping that other processes have, too, at whatever address (mmap with MAP_SHARED of
/// memfd_create, shm_open or a file in memory; or MAP_ANONYMOUS before a fork). They join it with larder_cache_join,
/// and a process that is forked from here uses the handle that it inherits, which is a copy. All other functions work
/// on the cache from any of them, threads included. `handle` has `handle_size` bytes of the process's own memory, at
/// least larder_cache_handle_size(), aligned to 8 bytes. It belongs to the cache for as long as the process uses it.
/// To leave, unmap the memory, with nothing held and no call under way.
///
/// A process may be killed in any call, at any instruction. The next one that takes the lock of its shard finds that
/// out, and makes the shard whole before it goes on, as larder_cache_attach does, in the time that attaching to a
/// region of the shard's size takes. Every value whose call had answered is there, but for what was evicted; of a call
/// that was under way, all or nothing. larder_cache_stats_t counts `recoveries`, and on_event gets
/// LARDER_EVENT_RECOVERED. Calls with _try_ in their name never do that: they are LARDER_BUSY until another call has.
/// Statistics of the shard stay, but for peak_used, total_allocated, arena_allocs, pool_reuses and the counts of the
/// index. What the policy remembers does not. Views, reservations and leases of living processes
/// stay theirs; larder_cache_reap gives those of the others back. larder_cache_lease does not wait for the lease of a
/// process that has ended.
///
/// A value is never written over another one here, so that a set of an equal size takes room for both for a moment. A
/// shared cache takes for each shard at most 128 bytes, and 12 for each of pins_max (0 = 16), more than
/// larder_cache_required_size says.
///
/// Each shard has a mutex of the C library's, robust and shared by processes. With lock hooks, they are the lock of
/// all shards instead: shared by the processes, and `lock` and `try_lock` answer LARDER_OWNER_DIED where they took
/// the lock of an owner that died. on_event runs in the process whose call caused the event, or made the shard
/// whole; what went in the last call of a process that died is told to none. Hooks and their contexts are each
/// process's own, and all or none have lock hooks; all clocks show the same time. larder_cache_set_time, in any
/// process, sets the time of all.
///
/// All processes trust each other, as threads do: one that writes at random into the memory can break the cache of
/// all, and LARDER_CHECKSUM finds values that were damaged. They run the same build of the library with the same C
/// library, as the same kind of process (32 or 64 bits), in one PID namespace. A process that touches the cut-off
/// part of a file that was truncated while mapped gets SIGBUS. A file that outlives a restart of the machine has to
/// be made anew. A child that was forked inside the callback of a scan or a delete_if gets LARDER_BUSY from that
/// call.
///
/// LARDER_EXISTS where a process has made such a cache here: join it. LARDER_BUSY while one is making it. Of several
/// that try at a time, one alone gets LARDER_OK. LARDER_VERSION_MISMATCH where any other cache lies here; zero the
/// first 16 bytes to make one anew. LARDER_NO_MEMORY for a handle that is too small, or as larder_cache_init.
/// LARDER_INVALID with LARDER_SINGLE_THREAD, and without hooks where the C library has no robust mutex (Linux and
/// FreeBSD have). Else as larder_cache_init. O(pages).
///
/// # Safety
/// `memory .. memory + size` is mapped while the cache is used, and nothing but larder touches it; `handle
/// .. handle + handle_size` is used by no other code; `config` is NULL or has as many bytes as its first field says;
/// `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_share(
    memory: *mut c_void,
    size: usize,
    config: *const larder_cache_config,
    handle: *mut c_void,
    handle_size: usize,
    out: *mut *mut larder_cache,
) -> larder_status {
    let (memory, handle) = ((memory, size), (handle, handle_size));
    // SAFETY: the caller's promise.
    unsafe { enter(memory, config, handle, out, Cache::share_at) }
}

/// Joins the cache that another process made in `memory` with larder_cache_share. The configuration is the same, with
/// the memory_limit that the cache was made with, but for the hooks, which are this process's own. Nothing is rebuilt,
/// and other processes' calls go on meanwhile.
///
/// LARDER_NOT_FOUND where there is no cache, or the process died that was making it: larder_cache_share makes one then.
/// LARDER_BUSY while one is being made. LARDER_VERSION_MISMATCH for a cache of another version or build, another size
/// or configuration, another seed, or one that is not shared. LARDER_NO_MEMORY where `size` is less than the cache's,
/// or the handle is too small. Else as larder_cache_share. O(1).
///
/// # Safety
/// As for larder_cache_share.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_join(
    memory: *mut c_void,
    size: usize,
    config: *const larder_cache_config,
    handle: *mut c_void,
    handle_size: usize,
    out: *mut *mut larder_cache,
) -> larder_status {
    let (memory, handle) = ((memory, size), (handle, handle_size));
    // SAFETY: the caller's promise.
    unsafe { enter(memory, config, handle, out, Cache::join_at) }
}

/// Gives back the views, reservations and leases of processes that `is_alive` answers 0 for; NULL asks the system, to
/// which a process lives until its parent has waited for it. `process` is what getpid answered there. The recovery of
/// a shard does the same for that shard. For a parent that has just waited for a child, and now and then for others.
///
/// LARDER_INVALID for a cache that was not made by larder_cache_share. LARDER_BUSY from inside a callback. O(shards x
/// pins_max + pages + items), with a lock held for a page at a time.
///
/// # Safety
/// `cache` is what a larder_cache_.. function gave; `is_alive` may be called with `ctx`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_reap(
    cache: *mut larder_cache,
    is_alive: larder_is_alive_fn,
    ctx: *mut c_void,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| {
        cache.reap(|process| match is_alive {
            None => lives(process),
            // SAFETY: the host gave function and context together.
            Some(is_alive) => (unsafe { is_alive(ctx, process) }) != 0,
        })
    }))
}
