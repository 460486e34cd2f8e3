//! The block pool in C.

use super::input::{ABI_VERSION, check_abi, config, config_init, put, put_sized, required, status};
use super::status::larder_status;
use crate::clock::Clock;
use crate::lock::{LockHooks, LockKind};
use crate::pool::{Pool, PoolConfig, State};
use crate::status::{Error, Result};
use core::ffi::c_void;

/// larder_pool_config.flags: a release does not zero the block.
pub const LARDER_KEEP_ON_FREE: u32 = 8;

/// A pool of reusable blocks inside a region of the caller. Calls may come from any thread.
pub struct larder_pool {
    _state: State,
}

/// How a pool is set up; larder_pool_config_init and LARDER_POOL_CONFIG_INIT give the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pool_config {
    /// sizeof(larder_pool_config); must be set, as LARDER_POOL_CONFIG_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// 0, or LARDER_KEEP_ON_FREE, LARDER_SINGLE_THREAD
    pub flags: u32,
    /// 0
    pub reserved0: u32,
    /// Returns the time in milliseconds, for larder_block.allocated_at_ms. NULL: the library's clock in a hosted
    /// build, as for larder_cache_config.now_ms; else 0. Must not call the pool.
    pub now_ms: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u64>,
    /// Passed to now_ms.
    pub now_ctx: *mut c_void,
    /// Takes the pool's lock and returns 0; any other number fails the call with LARDER_BUSY. NULL: the library's
    /// spin lock, if the build has one. Give both lock and unlock, or neither.
    pub lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Releases the lock.
    pub unlock: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Takes the lock without waiting and returns 0; may be NULL.
    pub try_lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Passed to lock, unlock and try_lock.
    pub lock_ctx: *mut c_void,
    /// 0
    pub reserved: [u64; 4],
}

/// A block: at least `size` bytes at `data`, aligned to LARDER_ALIGN. It belongs to the caller until
/// larder_block_release.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_block {
    /// The bytes.
    pub data: *mut c_void,
    /// Bytes requested.
    pub size: usize,
    /// Bytes usable: at least `size`.
    pub capacity: usize,
    /// The pool that allocated it.
    pub pool: *mut larder_pool,
    /// Time of the allocation, by the pool's clock.
    pub allocated_at_ms: u64,
    /// Distinguishes this block from later ones at the same address.
    pub generation: u32,
    /// 1 until the release, then 0.
    pub in_use: u32,
}

/// Statistics of a pool: used_size + free_size + overhead_size == total_size, always.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pool_stats_t {
    /// sizeof(larder_pool_stats_t); must be set, as LARDER_POOL_STATS_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Blocks allocated since the start.
    pub allocations: u64,
    /// Allocations whose bytes had been used before.
    pub reuses: u64,
    /// Allocations of bytes never used before.
    pub misses: u64,
    /// Blocks released.
    pub releases: u64,
    /// Allocations that failed.
    pub failures: u64,
    /// Bytes of the region.
    pub total_size: usize,
    /// Bytes of slots and pages in allocated blocks.
    pub used_size: usize,
    /// Bytes that further blocks can take.
    pub free_size: usize,
    /// Bytes of state, tables and page tails.
    pub overhead_size: usize,
    /// Highest used_size + overhead_size so far.
    pub peak_used_size: usize,
    /// Size classes.
    pub class_count: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages.
    pub page_count: u32,
    /// Pages without a block.
    pub pages_free: u32,
}

/// Statistics of one size class.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pool_class_stats_t {
    /// Bytes of a slot, of which the block's header takes 16.
    pub block_size: usize,
    /// Blocks allocated since the start.
    pub allocations: u64,
    /// Allocations whose bytes had been used before.
    pub reuses: u64,
    /// Allocations of bytes never used before.
    pub misses: u64,
    /// Blocks in use.
    pub used: usize,
    /// Slots free in the class's pages.
    pub free: usize,
    /// Pages of the class.
    pub pages: usize,
}

const DEFAULTS: larder_pool_config = larder_pool_config {
    struct_size: size_of::<larder_pool_config>() as u32,
    abi_version: ABI_VERSION,
    flags: 0,
    reserved0: 0,
    now_ms: None,
    now_ctx: core::ptr::null_mut(),
    lock: None,
    unlock: None,
    try_lock: None,
    lock_ctx: core::ptr::null_mut(),
    reserved: [0; 4],
};

/// The lock that a configuration names: both hooks, or neither.
pub(super) fn lock_kind(
    lock: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    unlock: Option<unsafe extern "C" fn(*mut c_void)>,
    try_lock: Option<unsafe extern "C" fn(*mut c_void) -> i32>,
    ctx: *mut c_void,
    single_thread: bool,
) -> Result<LockKind> {
    match (lock, unlock, single_thread) {
        (Some(lock), Some(unlock), false) => Ok(LockKind::Hooks(LockHooks {
            lock,
            unlock,
            try_lock,
            ctx,
        })),
        (None, None, true) if try_lock.is_none() => Ok(LockKind::None),
        (None, None, false) if try_lock.is_none() => Ok(LockKind::Default),
        _ => Err(Error::Invalid),
    }
}

/// The clock that a configuration names.
pub(super) fn clock(
    now: Option<unsafe extern "C" fn(*mut c_void) -> u64>,
    ctx: *mut c_void,
) -> Clock {
    now.map_or(Clock::default(), |now_ms| Clock::hook(now_ms, ctx))
}

fn convert(config: &larder_pool_config) -> Result<PoolConfig> {
    check_abi(config.abi_version)?;
    let single_thread = config.flags & super::cache_config::LARDER_SINGLE_THREAD != 0;
    let known = LARDER_KEEP_ON_FREE | super::cache_config::LARDER_SINGLE_THREAD;
    if config.flags & !known != 0 || config.reserved0 != 0 || config.reserved != [0; 4] {
        return Err(Error::Invalid);
    }
    Ok(PoolConfig {
        keep_on_free: config.flags & LARDER_KEEP_ON_FREE != 0,
        lock: lock_kind(
            config.lock,
            config.unlock,
            config.try_lock,
            config.lock_ctx,
            single_thread,
        )?,
        clock: clock(config.now_ms, config.now_ctx),
    })
}

/// # Safety
/// `pool` is NULL or what [`larder_pool_init`] gave.
unsafe fn handle<'a>(pool: *const larder_pool) -> Result<Pool<'a>> {
    let state = required(pool.cast_mut())?.cast();
    // SAFETY: the caller's promise.
    unsafe { Pool::from_ptr(state) }
}

/// Writes the defaults into a configuration of `struct_size` bytes: sizeof(larder_pool_config) of the caller's
/// header.
///
/// Returns LARDER_VERSION_MISMATCH if that is longer than the library's. O(1).
///
/// # Safety
/// `config` has `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pool_config_init(
    config: *mut larder_pool_config,
    struct_size: usize,
) -> larder_status {
    let defaults = larder_pool_config {
        struct_size: struct_size as u32,
        ..DEFAULTS
    };
    // SAFETY: the caller's promise.
    status(unsafe { config_init(config, struct_size, &defaults) })
}

/// Makes a pool in `memory`, which belongs to the pool from now on. Nothing has to be freed. `config` may be NULL:
/// the defaults.
///
/// Returns LARDER_MISALIGNED if `memory` does not start at a multiple of LARDER_ALIGN, LARDER_NO_MEMORY if `size`
/// is too small for one page, LARDER_INVALID for a configuration out of range or a `size` above 17,179,869,184 (16
/// GiB). `*out` is valid as long as the memory is. O(pages).
///
/// # Safety
/// `memory .. memory + size` is used by no other code while the pool is used; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pool_init(
    memory: *mut c_void,
    size: usize,
    config: *const larder_pool_config,
    out: *mut *mut larder_pool,
) -> larder_status {
    status(required(out).and_then(|out| {
        let base = required(memory)?.cast();
        // SAFETY: the caller's promise.
        let config = convert(&unsafe { self::config(config, DEFAULTS) }?)?;
        // SAFETY: the caller gives this memory.
        let pool = unsafe { Pool::new_at(base, size, &config) }?;
        // SAFETY: the caller's promise.
        unsafe { put(out, pool.as_ptr().cast()) };
        Ok(())
    }))
}

/// Allocates a block of at least `size` bytes; it is valid until larder_block_release. Its bytes are zero, unless
/// the region was not zero when the pool was made, or the pool has LARDER_KEEP_ON_FREE.
///
/// Returns LARDER_INVALID for a size of 0, LARDER_TOO_LARGE if the region could not hold the size even when empty,
/// LARDER_NO_MEMORY if too little is free. O(1) up to a page, O(pages) for more.
///
/// # Safety
/// `pool` is what larder_pool_init gave; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pool_alloc(
    pool: *mut larder_pool,
    size: usize,
    out: *mut larder_block,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(pool) }.and_then(|handle| {
        let out = required(out)?;
        let raw = handle.alloc_raw(size)?;
        let block = larder_block {
            data: raw.data.as_ptr().cast(),
            size: raw.size,
            capacity: raw.capacity,
            pool,
            allocated_at_ms: raw.allocated_at_ms,
            generation: raw.generation,
            in_use: 1,
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, block) };
        Ok(())
    }))
}

/// Releases a block. Its bytes are zeroed, unless the pool has LARDER_KEEP_ON_FREE. `block` may be a copy of the
/// structure that larder_pool_alloc wrote.
///
/// Returns LARDER_STALE for a second release, by any copy: nothing is changed. O(1) up to a page, O(pages) for
/// more, plus the zeroing.
///
/// # Safety
/// `block` is what larder_pool_alloc wrote, or a copy of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_block_release(block: *mut larder_block) -> larder_status {
    status(required(block).and_then(|block| {
        // SAFETY: the caller's promise.
        let copy = unsafe { block.read() };
        // SAFETY: the caller's promise.
        let pool = unsafe { handle(copy.pool) }?;
        if copy.in_use == 0 {
            return Err(Error::Stale);
        }
        pool.release_raw(copy.data as usize, copy.generation)?;
        // SAFETY: the caller's promise.
        unsafe { put(block, larder_block { in_use: 0, ..copy }) };
        Ok(())
    }))
}

/// Writes all statistics; set `out->struct_size` first.
///
/// Returns LARDER_INVALID if struct_size is 0 or the size of no version, LARDER_VERSION_MISMATCH if it is larger
/// than the library's. O(1).
///
/// # Safety
/// `pool` is what larder_pool_init gave; `out` has as many bytes as its first field says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pool_stats(
    pool: *const larder_pool,
    out: *mut larder_pool_stats_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(pool) }.and_then(|pool| {
        let out = required(out)?;
        let stats = pool.stats()?;
        let value = larder_pool_stats_t {
            struct_size: size_of::<larder_pool_stats_t>() as u32,
            abi_version: ABI_VERSION,
            allocations: stats.allocations,
            reuses: stats.reuses,
            misses: stats.misses,
            releases: stats.releases,
            failures: stats.failures,
            total_size: stats.total_size,
            used_size: stats.used_size,
            free_size: stats.free_size,
            overhead_size: stats.overhead_size,
            peak_used_size: stats.peak_used_size,
            class_count: stats.class_count,
            page_size: stats.page_size,
            page_count: stats.page_count,
            pages_free: stats.pages_free,
        };
        // SAFETY: the caller's promise.
        unsafe { put_sized(out, &value, &[]) }
    }))
}

/// Writes the statistics of size class number `index`, from 0.
///
/// Returns LARDER_NOT_FOUND past the last class. O(1).
///
/// # Safety
/// `pool` is what larder_pool_init gave; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_pool_class_stats(
    pool: *const larder_pool,
    index: u32,
    out: *mut larder_pool_class_stats_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(pool) }.and_then(|pool| {
        let out = required(out)?;
        let stats = pool.class_stats(index)?;
        let value = larder_pool_class_stats_t {
            block_size: stats.slot_size,
            allocations: stats.allocs,
            reuses: stats.reuses,
            misses: stats.allocs - stats.reuses,
            used: stats.used,
            free: stats.free,
            pages: stats.pages,
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, value) };
        Ok(())
    }))
}
