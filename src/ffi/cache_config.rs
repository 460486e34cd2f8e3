//! Making a cache in C: configuration, size, initialisation.

use super::input::{ABI_VERSION, check_abi, config, config_init, put, required, status};
use super::pool::{clock, lock_kind};
use super::status::larder_status;
use crate::cache::{Cache, Header};
use crate::config::{Config, Event, EventHook};
use crate::policy::PolicyKind;
use crate::status::{Error, Result};
use core::ffi::c_void;

/// The library's choice of whom to evict.
pub const LARDER_POLICY_DEFAULT: u32 = 0;
/// Exactly the least recently used item, of whatever size; 8 bytes more for each item. LARDER_INVALID in an archive for
/// firmware that was built without `FEATURES=lru`.
pub const LARDER_POLICY_LRU: u32 = 1;

/// Zero the bytes of every item that is gone.
pub const LARDER_ZERO_ON_FREE: u32 = 1;
/// Keep the time of each item's last set, for larder_item_info.age_ms: 4 bytes more for each item.
pub const LARDER_ITEM_TIMES: u32 = 2;
/// No lock: the host promises that one thread at a time calls. A call inside another, from a hook or an interrupt
/// handler, is LARDER_BUSY; larder_monitor_start is LARDER_INVALID.
pub const LARDER_SINGLE_THREAD: u32 = 4;
/// Keep a checksum of each item, looked at by larder_cache_attach and by every read of a value, which answers
/// LARDER_CORRUPT where it does not fit, and takes the item out: 4 bytes more for each item, O(value) for each
/// read.
pub const LARDER_CHECKSUM: u32 = 8;
/// Keep a tag of the host's with each item, for larder_cache_put, larder_cache_get_item and larder_cache_set_tag: 4
/// bytes more for each item.
pub const LARDER_ITEM_TAGS: u32 = 16;
/// Keep a version of each item, which grows with each change of a value in its shard, for larder_cache_put and
/// larder_cache_get_item: 8 bytes more for each item.
pub const LARDER_ITEM_VERSIONS: u32 = 32;
/// No simulations of other limits: larder_cache_advise is refused, and 2 KB of each shard of at least 256 KiB are left
/// for items.
pub const LARDER_NO_ADVICE: u32 = 64;

/// Items had to go to make room.
pub const LARDER_EVENT_EVICTED: u32 = 1;
/// Items whose time had come were taken out.
pub const LARDER_EVENT_EXPIRED: u32 = 2;

/// A cache inside a region of the caller's. Calls may come from any thread.
pub struct larder_cache {
    _header: Header,
}

/// What happened in a call besides what was asked.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_event {
    /// LARDER_EVENT_..
    pub kind: u32,
    /// 0
    pub reserved: u32,
    /// How many items.
    pub items: u64,
    /// Their key and value bytes.
    pub bytes: u64,
}

/// How a cache is set up; larder_cache_config_init gives the defaults, which make a cache that works.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cache_config {
    /// sizeof(larder_cache_config); has to be set, as LARDER_CACHE_CONFIG_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Bytes of the region that may be used; 0 = all. At most the region's size.
    pub memory_limit: usize,
    /// Longest key in bytes; 0 = 255, which is also the most. A longer key is LARDER_TOO_LARGE. Where a shard has less
    /// than 32 KiB of the region, no key of 255 bytes can be stored: larder_cache_limits tells the longest.
    pub key_len_max: usize,
    /// Longest value in bytes; 0 = what fits beside the longest key in one shard's share of the limit. A longer value
    /// is LARDER_TOO_LARGE. larder_cache_limits tells the longest.
    pub value_len_max: usize,
    /// A hint of how many items to expect; 0 = adapt. Nothing depends on it being right.
    pub expected_items: u64,
    /// LARDER_POLICY_..
    pub policy: u32,
    /// Parts with a lock each, at most 64; 0 = 1. Each has an equal share of region and limit. A value lies in one
    /// shard: the more shards, the shorter the longest value. A region has at least one shard for each 4,294,836,224
    /// bytes (4 GiB - 128 KiB).
    pub shards: u32,
    /// Time to live, by now_ms, of items that are given none; 0 = never expire. Its cap is that of a TTL: see
    /// larder_cache_set.
    pub default_ttl_ms: u64,
    /// 0, or LARDER_ZERO_ON_FREE, LARDER_ITEM_TIMES, LARDER_SINGLE_THREAD, LARDER_CHECKSUM, LARDER_ITEM_TAGS,
    /// LARDER_ITEM_VERSIONS, LARDER_NO_ADVICE
    pub flags: u32,
    /// Views and reservations that each shard can have at a time; 0 = 16. At most an eighth of a page's bytes
    /// (larder_cache_stats_t.page_size): 16 where a shard has less than 6 KiB of the region, 32 below 32 KiB, 64 below
    /// 256 KiB, 128 below 1 MiB. More than that are LARDER_NO_MEMORY at the start.
    pub pins_max: u32,
    /// Seed of the hash: random where keys may be crafted.
    pub hash_seed: u64,
    /// The time in milliseconds, from any zero point. NULL = the library's clock in a hosted build: CLOCK_BOOTTIME,
    /// which counts suspend, on Linux, Android and OpenBSD; else CLOCK_MONOTONIC, which counts it on macOS.
    /// NULL in a build for firmware, which has no clock = the time starts at 0 and moves by
    /// larder_cache_set_time alone. Must not call the cache.
    pub now_ms: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u64>,
    /// Handed to now_ms.
    pub now_ctx: *mut c_void,
    /// Takes the cache's lock and returns 0; anything else fails the call with LARDER_BUSY. NULL =
    /// the library's spin lock where it has one. lock and unlock go together.
    pub lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Gives it back.
    pub unlock: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Takes it without waiting and returns 0; may be NULL.
    pub try_lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Handed to lock, unlock and try_lock.
    pub lock_ctx: *mut c_void,
    /// Called with evictions and expirations after the lock was given back; may be NULL. No call waits for it, and
    /// one thread at a time is inside. What other threads evict or expire meanwhile is added up: that thread is
    /// called once more with the sums, and what is added during that goes to the next call of the cache. No item is
    /// left out or counted twice. A call of this cache from inside is LARDER_BUSY; one of another cache is not.
    pub on_event: Option<unsafe extern "C" fn(ctx: *mut c_void, event: *const larder_event)>,
    /// Handed to on_event.
    pub event_ctx: *mut c_void,
    /// For how many milliseconds an item that has expired may still be read by larder_cache_get_item with
    /// LARDER_STALE_OK; at most 2^32 - 1 (49 days). No other call returns it. It goes before others do that have not expired, where it is met: at the
    /// tail of its log.
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

/// Writes the defaults into a configuration of `struct_size` bytes, which is
/// sizeof(larder_cache_config) of the caller's header. LARDER_VERSION_MISMATCH where that is longer
/// than the library's.
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

/// The size of a region in which a cache of this configuration (NULL = defaults) keeps `items` items
/// of these lengths, index and headers included, without evicting any; with 0 items, the smallest
/// region that makes a cache at all. With a memory_limit, the answer is the limit itself, rounded up to LARDER_ALIGN.
///
/// LARDER_INVALID for a configuration out of range, a `key_len` of 0 or above key_len_max, or a `value_len` above
/// value_len_max. LARDER_TOO_LARGE where no region is large enough: memory_limit is too small for the items, a
/// value too long, pins_max too large, or `items` too many. O(1): fewer than 64 sizes are tried.
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

/// Makes a cache in `memory`, which is the cache's from then on; nothing has to be freed. `config` may
/// be NULL. O(pages).
///
/// LARDER_MISALIGNED unless `memory` starts at a multiple of LARDER_ALIGN. LARDER_NO_MEMORY where `size` or memory_limit
/// is too small for the fixed parts and one item (larder_cache_required_size tells what is needed), or pins_max is
/// above an eighth of a page's bytes. LARDER_INVALID for a configuration out of range, a memory_limit above `size`, or a
/// `size` above 274,869,518,336 (64 times 4 GiB - 128 KiB).
///
/// # Safety
/// `memory .. memory + size` is nobody else's while the cache is used; `config` is NULL or has as many
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
