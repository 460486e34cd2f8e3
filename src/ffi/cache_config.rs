//! Making a cache in C: configuration, size, initialisation.

use super::input::{ABI_VERSION, check_abi, config, config_init, put, required, status};
use super::pool::{clock, lock_kind};
use super::status::larder_status;
use crate::cache::{Cache, Header};
use crate::config::{Config, Event, EventHook};
use crate::policy::PolicyKind;
use crate::status::{Error, Result};
use core::ffi::c_void;

/// larder_cache_config.policy: the library's choice of the items to evict.
pub const LARDER_POLICY_DEFAULT: u32 = 0;
/// larder_cache_config.policy: evicts exactly the least recently used item, of any size. 8 bytes more for each
/// item. LARDER_INVALID in an archive for firmware that was built without `FEATURES=lru`.
pub const LARDER_POLICY_LRU: u32 = 1;

/// larder_cache_config.flags: zero the bytes of each item that is evicted, expired, deleted or moved.
pub const LARDER_ZERO_ON_FREE: u32 = 1;
/// larder_cache_config.flags: keep the time of each item's last set, for age_ms. 4 bytes more for each item.
pub const LARDER_ITEM_TIMES: u32 = 2;
/// larder_cache_config.flags and larder_pool_config.flags: no lock; the host promises that one thread at a time
/// calls. A call inside another, from a hook or an interrupt handler, returns LARDER_BUSY; larder_monitor_start
/// returns LARDER_INVALID.
pub const LARDER_SINGLE_THREAD: u32 = 4;
/// larder_cache_config.flags: keep a checksum of each item. larder_cache_attach and each read of a value verify it.
/// A read of an item that does not fit returns LARDER_CORRUPT and deletes it. 4 bytes more for each item, O(value)
/// for each read.
pub const LARDER_CHECKSUM: u32 = 8;
/// larder_cache_config.flags: keep a tag of the host with each item, for larder_cache_put, larder_cache_get_item
/// and larder_cache_set_tag. 4 bytes more for each item.
pub const LARDER_ITEM_TAGS: u32 = 16;
/// larder_cache_config.flags: keep a version of each item, for larder_cache_put and larder_cache_get_item. It grows
/// with each change of a value in the item's shard. 8 bytes more for each item.
pub const LARDER_ITEM_VERSIONS: u32 = 32;
/// larder_cache_config.flags: no simulations of other limits. larder_cache_advise is refused, and each shard of at
/// least 256 KiB has 2 KB more for items.
pub const LARDER_NO_ADVICE: u32 = 64;

/// Items were evicted to make room.
pub const LARDER_EVENT_EVICTED: u32 = 1;
/// Expired items were removed.
pub const LARDER_EVENT_EXPIRED: u32 = 2;
/// A process that shares the cache had died in mid-call, and its shard was made whole.
pub const LARDER_EVENT_RECOVERED: u32 = 3;

/// A cache inside a region of the caller. Calls may come from any thread.
pub struct larder_cache {
    _header: Header,
}

/// Evictions or expirations of a call, or recoveries, for larder_cache_config.on_event.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_event {
    /// LARDER_EVENT_..
    pub kind: u32,
    /// 0
    pub reserved: u32,
    /// Number of items; of LARDER_EVENT_RECOVERED, of shards.
    pub items: u64,
    /// Bytes of their keys and values; 0 of LARDER_EVENT_RECOVERED.
    pub bytes: u64,
}

/// How a cache is set up; larder_cache_config_init and LARDER_CACHE_CONFIG_INIT give the defaults, which make a
/// cache that works.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cache_config {
    /// sizeof(larder_cache_config); must be set, as LARDER_CACHE_CONFIG_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Bytes of the region that the cache may use, at most the region's size; 0 = all.
    pub memory_limit: usize,
    /// Longest key in bytes, at most 255; 0 = 255. A longer key is LARDER_TOO_LARGE. If a shard has less than 32
    /// KiB of the region, no key of 255 bytes can be stored: larder_cache_limits writes the longest.
    pub key_len_max: usize,
    /// Longest value in bytes; 0 = the longest that fits beside the longest key in one shard's share of the limit.
    /// A longer value is LARDER_TOO_LARGE. larder_cache_limits writes the longest.
    pub value_len_max: usize,
    /// Reserved for a hint of the number of items. It has no effect: the index adapts.
    pub expected_items: u64,
    /// LARDER_POLICY_..
    pub policy: u32,
    /// Parts with a lock each, at most 64; 0 = 1. Each has an equal share of region and limit. One shard holds a
    /// whole value: the more shards, the shorter the longest value. A region has at least one shard for each
    /// 4,294,836,224 bytes (4 GiB - 128 KiB).
    pub shards: u32,
    /// Time to live in milliseconds, by now_ms, of items set with LARDER_TTL_DEFAULT; 0 = they never expire. Capped
    /// as every TTL: see larder_cache_set.
    pub default_ttl_ms: u64,
    /// 0, or LARDER_ZERO_ON_FREE, LARDER_ITEM_TIMES, LARDER_SINGLE_THREAD, LARDER_CHECKSUM, LARDER_ITEM_TAGS,
    /// LARDER_ITEM_VERSIONS, LARDER_NO_ADVICE
    pub flags: u32,
    /// Views and reservations that each shard can hold at a time; 0 = 16. At most an eighth of a page's bytes
    /// (larder_cache_stats_t.page_size): 16 if a shard has less than 6 KiB of the region, 32 below 32 KiB, 64 below
    /// 256 KiB, 128 below 1 MiB. More are LARDER_NO_MEMORY in larder_cache_init.
    pub pins_max: u32,
    /// Seed of the hash; random if keys may be crafted.
    pub hash_seed: u64,
    /// Returns the time in milliseconds from any zero point. Must not call the cache. NULL in a hosted build: the
    /// library's clock. That is CLOCK_BOOTTIME, which counts suspend, on Linux, Android and OpenBSD; else
    /// CLOCK_MONOTONIC, which counts it on macOS. NULL in a build for firmware: time starts at 0 and moves by
    /// larder_cache_set_time alone.
    pub now_ms: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u64>,
    /// Passed to now_ms.
    pub now_ctx: *mut c_void,
    /// Takes the cache's lock and returns 0; any other number fails the call with LARDER_BUSY, but for
    /// LARDER_OWNER_DIED in a shared cache. NULL: the library's spin lock, if the build has one; a robust mutex of the
    /// C library in a shared cache. Give both lock and unlock, or neither.
    pub lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Releases the lock.
    pub unlock: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Takes the lock without waiting and returns 0; may be NULL.
    pub try_lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Passed to lock, unlock and try_lock.
    pub lock_ctx: *mut c_void,
    /// Called with evictions and expirations after the lock is released; may be NULL. No call waits for it, and one
    /// thread at a time is inside. Evictions of other threads meanwhile are added up: the thread inside is called
    /// once more with the sums. What is added during that call is reported by the next call of the cache. No item
    /// is left out or counted twice. A call of this cache from inside returns LARDER_BUSY; a call of another cache
    /// does not.
    pub on_event: Option<unsafe extern "C" fn(ctx: *mut c_void, event: *const larder_event)>,
    /// Passed to on_event.
    pub event_ctx: *mut c_void,
    /// Milliseconds for which an expired item can still be read by larder_cache_get_item with LARDER_STALE_OK; at
    /// most 2^32 - 1 (49 days). No other call returns it. At the tail of its log it is removed before items that
    /// have not expired.
    pub grace_ms: u64,
    /// 0
    pub reserved: [u64; 7],
}

const FLAGS: u32 = LARDER_ZERO_ON_FREE
    | LARDER_NO_ADVICE
    | LARDER_ITEM_TIMES
    | LARDER_SINGLE_THREAD
    | LARDER_CHECKSUM
    | LARDER_ITEM_TAGS
    | LARDER_ITEM_VERSIONS;

const DEFAULTS: larder_cache_config = larder_cache_config {
    struct_size: size_of::<larder_cache_config>() as u32,
    abi_version: ABI_VERSION,
    memory_limit: 0,
    key_len_max: 0,
    value_len_max: 0,
    expected_items: 0,
    policy: LARDER_POLICY_DEFAULT,
    shards: 0,
    default_ttl_ms: 0,
    flags: 0,
    pins_max: 0,
    hash_seed: 0,
    now_ms: None,
    now_ctx: core::ptr::null_mut(),
    lock: None,
    unlock: None,
    try_lock: None,
    lock_ctx: core::ptr::null_mut(),
    on_event: None,
    event_ctx: core::ptr::null_mut(),
    grace_ms: 0,
    reserved: [0; 7],
};

/// Tells a C function of an event. `target` is that function.
///
/// # Safety
/// `target` is a `larder_cache_config.on_event`.
unsafe fn tell(target: *const c_void, ctx: *mut c_void, event: &Event) {
    type OnEvent = unsafe extern "C" fn(*mut c_void, *const larder_event);
    // SAFETY: made from such a function in `convert`.
    let on_event = unsafe { core::mem::transmute::<*const c_void, OnEvent>(target) };
    let event = larder_event {
        kind: event.kind as u32,
        reserved: 0,
        items: event.items,
        bytes: event.bytes,
    };
    // SAFETY: the host gave function and context together.
    unsafe { on_event(ctx, &raw const event) };
}

fn convert(config: &larder_cache_config) -> Result<Config> {
    check_abi(config.abi_version)?;
    let unknown = config.flags & !FLAGS != 0 || config.reserved != [0; 7];
    let policy = match config.policy {
        LARDER_POLICY_DEFAULT => PolicyKind::Default,
        LARDER_POLICY_LRU => PolicyKind::Lru,
        _ => return Err(Error::Invalid),
    };
    if unknown {
        return Err(Error::Invalid);
    }
    let single_thread = config.flags & LARDER_SINGLE_THREAD != 0;
    Ok(Config {
        memory_limit: config.memory_limit,
        key_len_max: config.key_len_max,
        value_len_max: config.value_len_max,
        expected_items: config.expected_items,
        policy,
        shards: config.shards,
        default_ttl_ms: config.default_ttl_ms,
        grace_ms: config.grace_ms,
        zero_on_free: config.flags & LARDER_ZERO_ON_FREE != 0,
        no_advice: config.flags & LARDER_NO_ADVICE != 0,
        item_times: config.flags & LARDER_ITEM_TIMES != 0,
        checksum: config.flags & LARDER_CHECKSUM != 0,
        item_tags: config.flags & LARDER_ITEM_TAGS != 0,
        item_versions: config.flags & LARDER_ITEM_VERSIONS != 0,
        pins_max: config.pins_max,
        hash_seed: config.hash_seed,
        lock: lock_kind(
            config.lock,
            config.unlock,
            config.try_lock,
            config.lock_ctx,
            single_thread,
        )?,
        clock: clock(config.now_ms, config.now_ctx),
        on_event: config.on_event.map(|target| EventHook {
            call: tell,
            target: target as *const c_void,
            ctx: config.event_ctx,
        }),
    })
}

/// # Safety
/// `config` is NULL or has as many bytes as its first field says.
pub(super) unsafe fn read(from: *const larder_cache_config) -> Result<Config> {
    // SAFETY: the caller's promise.
    convert(&unsafe { config(from, DEFAULTS) }?)
}

/// Writes the defaults into a configuration of `struct_size` bytes: sizeof(larder_cache_config) of the caller's
/// header.
///
/// Returns LARDER_VERSION_MISMATCH if that is longer than the library's. O(1).
///
/// # Safety
/// `config` has `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_config_init(
    config: *mut larder_cache_config,
    struct_size: usize,
) -> larder_status {
    let defaults = larder_cache_config {
        struct_size: struct_size as u32,
        ..DEFAULTS
    };
    // SAFETY: the caller's promise.
    status(unsafe { config_init(config, struct_size, &defaults) })
}

/// Writes the size of a region in which a cache of this configuration (NULL = defaults) keeps `items` items of
/// these lengths without evicting any, index and headers included. With 0 items: the smallest region that makes a
/// cache at all. With a memory_limit: the limit itself, rounded up to LARDER_ALIGN.
///
/// Returns LARDER_INVALID for a configuration out of range, a `key_len` of 0 or above key_len_max, or a `value_len`
/// above value_len_max. Returns LARDER_TOO_LARGE if no region is large enough: memory_limit is too small for the
/// items, a value too long, pins_max too large, or `items` too many. O(1): it tries fewer than 64 sizes.
///
/// # Safety
/// `config` is NULL or has as many bytes as its first field says; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_required_size(
    config: *const larder_cache_config,
    items: u64,
    key_len: usize,
    value_len: usize,
    out: *mut usize,
) -> larder_status {
    status(required(out).and_then(|out| {
        // SAFETY: the caller's promise.
        let config = unsafe { read(config) }?;
        let size = Cache::required_size(&config, items, key_len, value_len)?;
        // SAFETY: the caller's promise.
        unsafe { put(out, size) };
        Ok(())
    }))
}

/// Makes an empty cache in `memory`, which belongs to the cache from now on. Nothing has to be freed. `config` may
/// be NULL: the defaults. It is copied.
///
/// Returns LARDER_MISALIGNED if `memory` does not start at a multiple of LARDER_ALIGN. Returns LARDER_NO_MEMORY if
/// `size` or memory_limit is too small for the fixed parts and one item (see larder_cache_required_size), or
/// pins_max is above an eighth of a page's bytes. Returns LARDER_INVALID for a configuration out of range, a
/// memory_limit above `size`, or a `size` above 274,869,518,336 (64 times 4 GiB - 128 KiB). `*out` is valid as long
/// as the memory is. O(pages).
///
/// # Safety
/// `memory .. memory + size` is used by no other code while the cache is used; `config` is NULL or has as many
/// bytes as its first field says; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_init(
    memory: *mut c_void,
    size: usize,
    config: *const larder_cache_config,
    out: *mut *mut larder_cache,
) -> larder_status {
    status(required(out).and_then(|out| {
        let base = required(memory)?.cast();
        // SAFETY: the caller's promise.
        let config = unsafe { read(config) }?;
        // SAFETY: the caller gives this memory.
        let cache = unsafe { Cache::new_at(base, size, &config) }?;
        // SAFETY: the caller's promise.
        unsafe { put(out, cache.as_ptr().cast()) };
        Ok(())
    }))
}
