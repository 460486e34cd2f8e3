//! The verbs on a whole cache, in C.

use super::cache::{handle, larder_cache, with_key};
use super::input::{put, required, status};
use super::status::{LARDER_AGAIN, LARDER_OK, larder_status};
use crate::cache::{Cache, Cursor};
use crate::optimize::OptimizeReport;
use crate::shard::ItemInfo;
use crate::status::{Error, Result};
use core::ffi::c_void;

/// What a pass, or a slice of one, did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_optimize_report {
    /// Bytes by which usage went down.
    pub bytes_freed: u64,
    /// Items taken out because their time had come.
    pub items_expired: u64,
    /// Items copied to other pages.
    pub items_moved: u64,
    /// Pages given back.
    pub pages_freed: u64,
    /// 1 where the pass is through, else 0.
    pub done: u32,
    /// Items and pages looked at, and items copied.
    pub steps: u32,
}

/// An item as it lies there. The pointers are valid until the callback returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_item_info {
    /// The key.
    pub key: *const c_void,
    /// Its length.
    pub key_len: usize,
    /// The value's first bytes.
    pub value: *const c_void,
    /// Bytes that can be read there: all of the value, unless it lies in several pages.
    pub span_len: usize,
    /// Bytes of the value.
    pub value_len: usize,
    /// Bytes of the region that the item takes.
    pub memory: usize,
    /// Milliseconds of the cache's clock until it expires; LARDER_TTL_NEVER if it does not.
    pub ttl_ms: u64,
    /// Milliseconds since it was set, with LARDER_ITEM_TIMES; UINT64_MAX without.
    pub age_ms: u64,
    /// LARDER_TYPE_..
    pub r#type: i32,
    /// 0
    pub reserved: u32,
}

/// Where a scan stands; all zero starts one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cursor {
    /// The library's.
    pub position: u64,
}

/// Called with each item; returns 0 to go on, anything else to stop. It runs under the lock of the item's shard,
/// where the item cannot change: calls of that shard in other threads wait for it. So it must not wait for them,
/// nor call a cache whose callbacks wait for this one. A call of this cache from inside is LARDER_BUSY.
pub type larder_scan_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, item: *const larder_item_info) -> i32>;

fn convert(item: &ItemInfo<'_>) -> larder_item_info {
    larder_item_info {
        key: item.key.as_ptr().cast(),
        key_len: item.key.len(),
        value: item.span.as_ptr().cast(),
        span_len: item.span.len(),
        value_len: item.value_len,
        memory: item.memory,
        ttl_ms: item.ttl_ms,
        age_ms: item.age_ms.unwrap_or(u64::MAX),
        r#type: item.value_type as i32,
        reserved: 0,
    }
}

/// Writes what is known of an item: lengths, memory, remaining TTL, age, type; its pointers are NULL.
/// LARDER_NOT_FOUND on a miss. Neither counted nor reported to the policy. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_item_info(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    out: *mut larder_item_info,
) -> larder_status {
    let get = |cache: &Cache<'_>, key: &[u8]| {
        let out = required(out)?;
        let info = cache.info(key, convert)?;
        let null = core::ptr::null();
        // SAFETY: the caller's promise.
        unsafe {
            put(
                out,
                larder_item_info {
                    key: null,
                    value: null,
                    span_len: 0,
                    ..info
                },
            )
        };
        Ok(())
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, get) })
}

/// Takes every item out; the counters stay. What a view holds can be read until its last one is given back, and
/// reservations stay their holders'. O(pages), and O(items) of a shard in which something is held; O(region) with
/// LARDER_ZERO_ON_FREE.
///
/// # Safety
/// `cache` is what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_clear(cache: *mut larder_cache) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| cache.clear()))
}

/// Moves the limit, in bytes. What lies above the new one goes in slices: up to eight items of each shard now, what
/// larder_cache_set says with each later call that stores, all of it with larder_cache_optimize; usage does not rise
/// meanwhile. The longest value moves with it: see larder_cache_limits. LARDER_INVALID for a `limit` of 0 or above
/// the region's size, LARDER_NO_MEMORY for less than the fixed parts and one item need.
///
/// # Safety
/// `cache` is what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_memory_limit(
    cache: *mut larder_cache,
    limit: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| cache.set_memory_limit(limit)))
}

/// The limit in bytes; 0 for NULL.
///
/// # Safety
/// `cache` is NULL or what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_memory_limit(cache: *const larder_cache) -> usize {
    // SAFETY: the caller's promise.
    unsafe { handle(cache) }.map_or(0, |cache| cache.memory_limit())
}

/// Every byte taken: fixed tables, pages of the index, and items with their headers; 0 for NULL. Dead bytes, of items
/// that are gone, are free. O(shards).
///
/// # Safety
/// `cache` is NULL or what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_memory_usage(cache: *const larder_cache) -> usize {
    // SAFETY: the caller's promise.
    unsafe { handle(cache) }.map_or(0, |cache| cache.memory_usage())
}

/// Items held; expired ones that nobody has met yet count. 0 for NULL. O(shards).
///
/// # Safety
/// `cache` is NULL or what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_item_count(cache: *const larder_cache) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { handle(cache) }.map_or(0, |cache| cache.item_count())
}

/// Takes out what has expired, reaches a lowered limit, and cleans pages with dead bytes: their items are copied
/// together. At most `step_max` items and pages looked at or copied, 0 = to the end. LARDER_OK where the pass is through,
/// LARDER_AGAIN where there is more to do. `out` may be NULL. O(step_max).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `out` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_optimize(
    cache: *mut larder_cache,
    step_max: u32,
    out: *mut larder_optimize_report,
) -> larder_status {
    // SAFETY: the caller's promise.
    let report = match unsafe { handle(cache) }.and_then(|cache| cache.optimize(step_max)) {
        Ok(report) => report,
        Err(error) => return error.code(),
    };
    if let Ok(out) = required(out) {
        // SAFETY: the caller's promise.
        unsafe { put(out, convert_report(&report)) };
    }
    if report.done { LARDER_OK } else { LARDER_AGAIN }
}

fn convert_report(report: &OptimizeReport) -> larder_optimize_report {
    larder_optimize_report {
        bytes_freed: report.bytes_freed,
        items_expired: report.items_expired,
        items_moved: report.items_moved,
        pages_freed: report.pages_freed,
        done: u32::from(report.done),
        steps: report.steps,
    }
}

/// Calls `visit` with each item, in no particular order. LARDER_OK where all were visited; LARDER_AGAIN
/// where `visit` stopped it: a further call with the same cursor goes on behind that item. Items that
/// come, go or move while other threads change the cache may be missed or met twice. The lock
/// is given back after each item. LARDER_BUSY from inside a callback of this cache. O(pages + items).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `cursor` can be read and written; `visit` can be called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_scan(
    cache: *mut larder_cache,
    cursor: *mut larder_cursor,
    visit: larder_scan_fn,
    ctx: *mut c_void,
) -> larder_status {
    // SAFETY: the caller's promise.
    let done = unsafe { handle(cache) }.and_then(|cache| -> Result<bool> {
        let place = required(cursor)?;
        let visit = visit.ok_or(Error::Invalid)?;
        // SAFETY: the caller's promise.
        let mut cursor = Cursor(unsafe { place.read() }.position);
        let done = cache.scan(&mut cursor, |item| {
            let item = convert(item);
            // SAFETY: the host gave function and context together.
            (unsafe { visit(ctx, &raw const item) }) == 0
        })?;
        // SAFETY: the caller's promise.
        unsafe { put(place, larder_cursor { position: cursor.0 }) };
        Ok(done)
    });
    match done {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_AGAIN,
        Err(error) => error.code(),
    }
}

/// Called with each item; returns 0 to keep it, anything else to take it out. As for larder_scan_fn, it runs under the
/// lock of the item's shard.
pub type larder_match_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, item: *const larder_item_info) -> i32>;

/// Takes out the items that `matches` says, of at most `step_max` that it is asked about (0 = of all), from the cursor on
/// as for larder_cache_scan, and writes how many went; `deleted` may be NULL. LARDER_OK where all were asked about;
/// LARDER_AGAIN where there are more: the next call with the same cursor goes on. The lock is given back after each item.
/// O(pages + items asked about).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `cursor` can be read and written; `matches` can be called with `ctx`; `deleted` is
/// NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_delete_if(
    cache: *mut larder_cache,
    cursor: *mut larder_cursor,
    step_max: u32,
    matches: larder_match_fn,
    ctx: *mut c_void,
    deleted: *mut u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    let done = unsafe { handle(cache) }.and_then(|cache| -> Result<bool> {
        let place = required(cursor)?;
        let matches = matches.ok_or(Error::Invalid)?;
        // SAFETY: the caller's promise.
        let mut cursor = Cursor(unsafe { place.read() }.position);
        let (gone, done) = cache.delete_if(&mut cursor, step_max, |item| {
            let item = convert(item);
            // SAFETY: the host gave function and context together.
            (unsafe { matches(ctx, &raw const item) }) != 0
        })?;
        // SAFETY: the caller's promise.
        unsafe { put(place, larder_cursor { position: cursor.0 }) };
        if let Some(deleted) = core::ptr::NonNull::new(deleted) {
            // SAFETY: the caller's promise.
            unsafe { put(deleted, gone) };
        }
        Ok(done)
    });
    match done {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_AGAIN,
        Err(error) => error.code(),
    }
}

/// Walks every invariant: pages, logs, items, index, order of exact LRU, sums. LARDER_CORRUPT where one does
/// not hold. O(region).
///
/// # Safety
/// `cache` is what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_check(cache: *const larder_cache) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| cache.check()))
}

/// Sets the time, in milliseconds from any zero point, where now_ms is NULL. From then on the cache looks at no other
/// clock: each call moves the time forward by the difference to the call before, and a smaller time moves nothing.
///
/// A cache without a clock (a build for firmware) starts at time 0: an item stored before the first call expires once
/// this call, or a later one, says its TTL or more. So call it before the first item, where the time is a calendar's.
/// Later calls may say any time. In a hosted build the library's clock counts up to the first call.
///
/// LARDER_INVALID where the host gave now_ms. O(shards).
///
/// # Safety
/// `cache` is what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_time(
    cache: *mut larder_cache,
    now_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| cache.set_time(now_ms)))
}
