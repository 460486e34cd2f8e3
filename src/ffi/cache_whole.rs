//! The verbs on a whole cache, in C.

use super::cache::{handle, larder_cache, with_key};
use super::input::{put, required, status};
use super::status::{LARDER_AGAIN, LARDER_OK, larder_status};
use crate::cache::{Cache, Cursor};
use crate::optimize::OptimizeReport;
use crate::shard::ItemInfo;
use crate::status::{Error, Result};
use core::ffi::c_void;

/// Deletes every item; the counters stay. Views stay valid until they are released. A reservation stays its
/// holder's, but its commit is LARDER_STALE. O(pages), and O(items) of a shard with views or reservations;
/// O(region) with LARDER_ZERO_ON_FREE.
///
/// # Safety
/// `cache` is what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_clear(cache: *mut larder_cache) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| cache.clear()))
}

/// Changes the memory limit, in bytes. What is above a lower limit is evicted in parts: up to eight items of each
/// shard now, some more with each later call that stores, all of it with larder_cache_optimize. Usage does not rise
/// meanwhile. The longest value changes too: see larder_cache_limits.
///
/// Returns LARDER_INVALID for a `limit` of 0 or above the region's size, LARDER_NO_MEMORY for less than the fixed
/// parts and one item need. O(shards).
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

/// Returns the memory limit in bytes; 0 for NULL. O(1).
///
/// # Safety
/// `cache` is NULL or what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_memory_limit(cache: *const larder_cache) -> usize {
    // SAFETY: the caller's promise.
    unsafe { handle(cache) }.map_or(0, |cache| cache.memory_limit())
}

/// Returns every byte taken: fixed tables, pages of the index, items with their headers; 0 for NULL. Dead bytes of
/// deleted and evicted items count as free. O(shards).
///
/// # Safety
/// `cache` is NULL or what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_memory_usage(cache: *const larder_cache) -> usize {
    // SAFETY: the caller's promise.
    unsafe { handle(cache) }.map_or(0, |cache| cache.memory_usage())
}

/// Returns the number of items, expired ones that no call has removed yet included; 0 for NULL. O(shards).
///
/// # Safety
/// `cache` is NULL or what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_item_count(cache: *const larder_cache) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { handle(cache) }.map_or(0, |cache| cache.item_count())
}

/// What a pass of larder_cache_optimize did, or a part of a pass.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_optimize_report {
    /// Bytes by which usage went down.
    pub bytes_freed: u64,
    /// Expired items removed.
    pub items_expired: u64,
    /// Items copied to other pages.
    pub items_moved: u64,
    /// Pages freed.
    pub pages_freed: u64,
    /// 1 if the pass is complete, else 0.
    pub done: u32,
    /// Items and pages examined, and items copied.
    pub steps: u32,
}

/// Removes expired items, evicts down to a lowered limit, and cleans pages with dead bytes: their live items are
/// copied together. Examines or copies at most `step_max` items and pages; 0 = to the end. `out` may be NULL.
///
/// Returns LARDER_OK if the pass is complete, LARDER_AGAIN if work is left. O(step_max).
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

/// Sets the time, in milliseconds from any zero point, if now_ms is NULL. From then on the cache uses no other
/// clock: each call advances the time by the difference to the call before, and a smaller time changes nothing.
///
/// A cache without a clock (a build for firmware) starts at time 0: an item stored before the first call expires
/// once this call or a later one gives its TTL or more. So call it before the first set, if the time is a
/// calendar's. In a hosted build the library's clock counts until the first call.
///
/// Returns LARDER_INVALID if the host gave now_ms. O(shards).
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

/// Verifies every invariant: pages, logs, items, index, order of exact LRU, sums.
///
/// Returns LARDER_CORRUPT if one does not hold. O(region).
///
/// # Safety
/// `cache` is what larder_cache_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_check(cache: *const larder_cache) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(cache) }.and_then(|cache| cache.check()))
}

/// An item in place. The pointers are valid until the callback returns.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_item_info {
    /// The key.
    pub key: *const c_void,
    /// Bytes of the key.
    pub key_len: usize,
    /// The value's first bytes.
    pub value: *const c_void,
    /// Bytes readable at `value`: all of the value, unless it is in several pages.
    pub span_len: usize,
    /// Bytes of the value.
    pub value_len: usize,
    /// Bytes of the region that the item takes.
    pub memory: usize,
    /// Milliseconds of the cache's clock until the item expires; LARDER_TTL_NEVER if it does not.
    pub ttl_ms: u64,
    /// Milliseconds since the last set, with LARDER_ITEM_TIMES; else UINT64_MAX.
    pub age_ms: u64,
    /// LARDER_TYPE_..
    pub r#type: i32,
    /// 0
    pub reserved: u32,
}

/// Writes what is known of an item: lengths, memory, remaining TTL, age, type. The pointers written are NULL.
///
/// Returns LARDER_NOT_FOUND on a miss. Neither counted nor reported to the policy. O(1).
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

/// The position of a scan; all zero starts a new one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_cursor {
    /// The library's.
    pub position: u64,
}

/// Called with each item; returns 0 to continue, any other number to stop. It runs under the lock of the item's
/// shard: the item cannot change, and calls of that shard in other threads wait. So it must not wait for those
/// threads, nor call a cache whose callbacks wait for this one. A call of this cache from inside returns
/// LARDER_BUSY.
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

/// Calls `visit` with each item, in no particular order. Items that other threads set, delete or move meanwhile may
/// be missed or visited twice. The lock is released after each item.
///
/// Returns LARDER_OK after the last item; LARDER_AGAIN if `visit` stopped it: a further call with the same cursor
/// continues after that item. Returns LARDER_BUSY inside a callback of this cache. O(pages + items).
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

/// Called with each item; returns 0 to keep it, any other number to delete it. It runs under the lock of the item's
/// shard, as larder_scan_fn does.
pub type larder_match_fn =
    Option<unsafe extern "C" fn(ctx: *mut c_void, item: *const larder_item_info) -> i32>;

/// Deletes the items that `matches` selects, of at most `step_max` examined (0 = all), from the cursor on as
/// larder_cache_scan. Writes the number of items deleted; `deleted` may be NULL. The lock is released after each
/// item.
///
/// Returns LARDER_OK after the last item; LARDER_AGAIN if items are left: a further call with the same cursor
/// continues. O(pages + items examined).
///
/// # Safety
/// `cache` is what larder_cache_init gave; `cursor` can be read and written; `matches` can be called with `ctx`;
/// `deleted` is NULL or can be written.
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
