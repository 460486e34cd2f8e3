//! The block pool in C.

use super::input::{ABI_VERSION, check_abi, config, config_init, put, put_sized, required, status};
use super::status::larder_status;
use crate::clock::Clock;
use crate::lock::{LockHooks, LockKind};
use crate::pool::{Pool, PoolConfig, State};
use crate::status::{Error, Result};
use core::ffi::c_void;

/// Pool: do not zero blocks when they are released.
pub const LARDER_KEEP_ON_FREE: u32 = 8;

/// A pool of reusable blocks inside a region of the caller's. Calls may come from any thread.
pub struct larder_pool {
    _state: State,
}

/// How a pool is set up; larder_pool_config_init gives the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pool_config {
    /// sizeof(larder_pool_config); has to be set, as LARDER_POOL_CONFIG_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// 0, or LARDER_KEEP_ON_FREE, LARDER_SINGLE_THREAD
    pub flags: u32,
    /// 0
    pub reserved0: u32,
    /// The time in milliseconds, for larder_block.allocated_at_ms; NULL = the library's clock where
    /// it has one, as for larder_cache_config.now_ms, else 0. Must not call the pool.
    pub now_ms: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u64>,
    /// Handed to now_ms.
    pub now_ctx: *mut c_void,
    /// Takes the pool's lock and returns 0; anything else fails the call with LARDER_BUSY. NULL = the
    /// library's spin lock where it has one. lock and unlock go together.
    pub lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Gives it back.
    pub unlock: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Takes it without waiting and returns 0; may be NULL.
    pub try_lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Handed to lock, unlock and try_lock.
    pub lock_ctx: *mut c_void,
    /// 0
    pub reserved: [u64; 4],
}

/// A block: at least `size` bytes at `data`, aligned to LARDER_ALIGN, the caller's until
/// larder_block_release.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_block {
    /// The bytes.
    pub data: *mut c_void,
    /// Bytes asked for.
    pub size: usize,
    /// Bytes that there are.
    pub capacity: usize,
    /// Where it came from.
    pub pool: *mut larder_pool,
    /// When, by the pool's clock.
    pub allocated_at_ms: u64,
    /// Tells this block from later ones at the same place.
    pub generation: u32,
    /// 1 until the release, then 0.
    pub in_use: u32,
}

/// Statistics: used_size + free_size + overhead_size == total_size, always.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pool_stats_t {
    /// sizeof(larder_pool_stats_t); has to be set, as LARDER_POOL_STATS_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Blocks handed out since the start.
    pub allocations: u64,
    /// Those of them whose bytes had been used before.
    pub reuses: u64,
    /// Those of them that took fresh bytes.
    pub misses: u64,
    /// Blocks given back.
    pub releases: u64,
    /// Requests that could not be met.
    pub failures: u64,
    /// Bytes of the region.
    pub total_size: usize,
    /// Bytes of the slots and pages in blocks handed out.
    pub used_size: usize,
    /// Bytes that blocks could still take.
    pub free_size: usize,
    /// State, tables, page tails.
    pub overhead_size: usize,
    /// The most that used and overhead ever were together.
    pub peak_used_size: usize,
    /// Size classes.
    pub class_count: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages.
    pub page_count: u32,
    /// Pages that no block lies in.
    pub pages_free: u32,
}

/// One size class.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_pool_class_stats_t {
    /// Bytes of a slot; a block's own header takes 16 of them.
    pub block_size: usize,
    /// Blocks handed out since the start.
    pub allocations: u64,
    /// Those of them whose bytes had been used before.
    pub reuses: u64,
    /// Those of them that took fresh bytes.
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

/// Writes the defaults into a configuration of `struct_size` bytes, which is
/// sizeof(larder_pool_config) of the caller's header. LARDER_VERSION_MISMATCH where that is longer
/// than the library's.
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

/// Makes a pool in `memory`, which is the pool's from then on; nothing has to be freed. `config` may
/// be NULL. LARDER_MISALIGNED unless it starts at a multiple of LARDER_ALIGN, LARDER_NO_MEMORY where
/// `size` is too small for a single page, LARDER_INVALID for a configuration out of range, or a `size` above
/// 17,179,869,184 (16 GiB): that is the largest pool. O(pages).
///
/// # Safety
/// `memory .. memory + size` is nobody else's while the pool is used; `out` can be written.
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

/// A block of at least `size` bytes. Its bytes are zero, but where the region was not when the pool
/// was made, or with LARDER_KEEP_ON_FREE. LARDER_INVALID for a size of 0, LARDER_TOO_LARGE where the
/// region could not hold it even if empty, LARDER_NO_MEMORY where too little is free. O(1) up to a
/// page, O(pages) beyond.
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

/// Gives a block back; its bytes are zeroed unless the pool has LARDER_KEEP_ON_FREE. The second
/// release, by whichever copy of the structure, is LARDER_STALE and changes nothing. O(1) up to a
/// page, O(pages) beyond, plus the zeroing.
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

/// All statistics. `out->struct_size` has to be set: LARDER_POOL_STATS_INIT does. LARDER_INVALID where it is 0 or no
/// version's size, LARDER_VERSION_MISMATCH where it is more than the library's. O(1).
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

/// Statistics of one size class; LARDER_NOT_FOUND past the last one. O(1).
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
