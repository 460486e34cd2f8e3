//! Values without copying, in C.

use super::cache::{handle, larder_cache, with_key};
use super::input::{put, required, status};
use super::status::larder_status;
use crate::cache::Cache;
use crate::pins::Ticket;
use crate::status::{Error, Result};
use crate::view::Span;
use core::ffi::c_void;
use core::ptr::NonNull;

/// An item read in place. Filled in by larder_cache_pin; `data` is valid until larder_cache_unpin, even if the key
/// is deleted or set anew meanwhile.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_view {
    /// The value's first bytes; all of them if `spans` is 1.
    pub data: *const c_void,
    /// Bytes of the whole value.
    pub len: usize,
    /// Bytes at `data`.
    pub span_len: usize,
    /// Pieces of the value, one in each of its pages: see larder_cache_view_span.
    pub spans: u32,
    /// The library's.
    pub shard: u32,
    /// The library's.
    pub entry: u32,
    /// The library's.
    pub generation: u32,
}

/// A piece of a value, for larder_cache_view_spans and larder_cache_reservation_spans. Laid out as struct iovec,
/// for writev and readv.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_span {
    /// The bytes.
    pub data: *mut c_void,
    /// Number of bytes.
    pub len: usize,
}

/// Writes the spans of a value where there is room for all of them, and in any case how many there are.
///
/// # Safety
/// `spans` has `capacity` elements, which can be written, as can `count`.
unsafe fn put_spans(
    (spans, capacity, count): (*mut larder_span, usize, *mut usize),
    each: impl FnOnce(&mut dyn FnMut(usize, Span)) -> Result<usize>,
) -> Result<()> {
    let count = required(count)?;
    if spans.is_null() && capacity > 0 {
        return Err(Error::Invalid);
    }
    let of_value = each(&mut |number, span| {
        let (data, len) = (span.data.as_ptr().cast(), span.len);
        // SAFETY: number < capacity, and the caller's promise.
        let to = unsafe { spans.add(number) };
        // SAFETY: as above.
        unsafe { to.write(larder_span { data, len }) };
    })?;
    // SAFETY: the caller's promise.
    unsafe { put(count, of_value) };
    if of_value <= capacity {
        Ok(())
    } else {
        Err(Error::BufferTooSmall)
    }
}

/// Writes where a span lies.
///
/// # Safety
/// `data` and `len` can be written.
unsafe fn put_span<T>(data: NonNull<*mut T>, len: NonNull<usize>, span: Span) {
    // SAFETY: the caller's promise.
    unsafe { put(data, span.data.as_ptr().cast()) };
    // SAFETY: the caller's promise.
    unsafe { put(len, span.len) };
}

/// A structure of the caller's that holds something.
trait Held: Copy {
    /// The shard, and its ticket.
    fn ticket(&self) -> (u32, Ticket);
}

impl Held for larder_view {
    fn ticket(&self) -> (u32, Ticket) {
        let (entry, generation) = (self.entry, self.generation);
        (self.shard, Ticket { entry, generation })
    }
}

impl Held for larder_reservation {
    fn ticket(&self) -> (u32, Ticket) {
        let (entry, generation) = (self.entry, self.generation);
        (self.shard, Ticket { entry, generation })
    }
}

/// Calls with the cache, what is held of it, and its ticket.
///
/// # Safety
/// As for `handle`; `held` is NULL or can be read.
unsafe fn with_held<T: Held>(
    cache: *const larder_cache,
    held: *const T,
    call: impl FnOnce(&Cache<'_>, &T, (u32, Ticket)) -> Result<()>,
) -> larder_status {
    // SAFETY: the caller's promise.
    let cache = unsafe { handle(cache) };
    let held = required(held.cast_mut());
    status(cache.and_then(|cache| {
        // SAFETY: the caller's promise.
        let held = unsafe { held?.read() };
        call(&cache, &held, held.ticket())
    }))
}

/// Pins an item, to read it without a copy: until larder_cache_unpin it is neither moved nor evicted nor
/// overwritten. Counted as a get. A value of any length may be in two pages, a longer one in more. Pages with
/// pinned items are not cleaned: dead bytes beside them are reused after the unpin.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_NO_MEMORY if pins_max views and reservations are held. The view is
/// valid until larder_cache_unpin. O(pins_max). If two views are held and no page is free for more, one page is
/// emptied for the table of pins.
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_pin(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    out: *mut larder_view,
) -> larder_status {
    let pin = |cache: &Cache<'_>, key: &[u8]| {
        let out = required(out)?;
        let hold = cache.hold_item(key)?;
        let view = larder_view {
            data: hold.first.data.as_ptr().cast_const().cast(),
            len: hold.len,
            span_len: hold.first.len,
            spans: hold.spans,
            shard: hold.shard,
            entry: hold.ticket.entry,
            generation: hold.ticket.generation,
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, view) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, pin) })
}

/// Releases a view.
///
/// Returns LARDER_STALE if it was released before: nothing is changed. O(pages of a large value + pins_max).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the view is NULL or can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_unpin(
    cache: *mut larder_cache,
    view: *mut larder_view,
) -> larder_status {
    // SAFETY: the caller's promise.
    unsafe {
        with_held(cache, view, |cache, _, (shard, ticket)| {
            cache.let_go(shard, ticket)
        })
    }
}

/// Writes address and length of piece number `index` of a viewed value, from 0. They are valid until
/// larder_cache_unpin.
///
/// Returns LARDER_NOT_FOUND past the last piece, LARDER_STALE if the view was released. O(index).
///
/// # Safety
/// As for larder_cache_unpin; `data` and `len` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_view_span(
    cache: *mut larder_cache,
    view: *const larder_view,
    index: u32,
    data: *mut *const c_void,
    len: *mut usize,
) -> larder_status {
    let span = |cache: &Cache<'_>, _: &_, (shard, ticket)| {
        let (data, len) = (required(data.cast::<*mut c_void>())?, required(len)?);
        let span = cache.viewed_span(shard, ticket, index)?;
        // SAFETY: the caller's promise.
        unsafe { put_span(data, len, span) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_held(cache, view, span) }
}

/// Writes addresses and lengths of all pieces of a viewed value, in order, and their number: `view->spans`. They
/// are valid until larder_cache_unpin.
///
/// Returns LARDER_BUFFER_TOO_SMALL if `capacity` is less than that number: only the number is written then. Returns
/// LARDER_STALE if the view was released. O(pieces).
///
/// # Safety
/// As for larder_cache_unpin; `spans` has `capacity` elements, which can be written, as can `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_view_spans(
    cache: *mut larder_cache,
    view: *const larder_view,
    spans: *mut larder_span,
    capacity: usize,
    count: *mut usize,
) -> larder_status {
    let all = |cache: &Cache<'_>, _: &_, (shard, ticket)| {
        let each =
            |visit: &mut dyn FnMut(usize, Span)| cache.viewed_spans(shard, ticket, capacity, visit);
        // SAFETY: the caller's promise.
        unsafe { put_spans((spans, capacity, count), each) }
    };
    // SAFETY: the caller's promise.
    unsafe { with_held(cache, view, all) }
}

/// Room for a value to be written in place. Filled in by larder_cache_reserve; `data` can be written until
/// larder_cache_commit or larder_cache_abort.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_reservation {
    /// Room for the value's first bytes; for all of them if `spans` is 1.
    pub data: *mut c_void,
    /// Bytes of the whole value.
    pub len: usize,
    /// Bytes at `data`.
    pub span_len: usize,
    /// The TTL requested, as for larder_cache_set; it counts from the commit on.
    pub ttl_ms: u64,
    /// Pieces of the value, one in each of its pages: see larder_cache_reservation_span.
    pub spans: u32,
    /// The library's.
    pub shard: u32,
    /// The library's.
    pub entry: u32,
    /// The library's.
    pub generation: u32,
}

/// Takes room for a value of `value_len` bytes, in one piece or several, to be written without a copy. The bytes
/// hold what was there before. Until larder_cache_commit the key keeps its old value, unless that is evicted like
/// any other.
///
/// Returns what larder_cache_set does, and LARDER_NO_MEMORY also if pins_max views and reservations are held, or
/// the table of pins has no room beside the longest value. An error may have evicted items, the key's own included.
/// `out->data` is valid until larder_cache_commit or larder_cache_abort. O(n) as larder_cache_set, without the
/// copy.
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_reserve(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    value_len: usize,
    ttl_ms: u64,
    out: *mut larder_reservation,
) -> larder_status {
    let reserve = |cache: &Cache<'_>, key: &[u8]| {
        let out = required(out)?;
        let hold = cache.hold_bytes(key, value_len, ttl_ms)?;
        let reservation = larder_reservation {
            data: hold.first.data.as_ptr().cast(),
            len: hold.len,
            span_len: hold.first.len,
            ttl_ms,
            spans: hold.spans,
            shard: hold.shard,
            entry: hold.ticket.entry,
            generation: hold.ticket.generation,
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, reservation) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    status(unsafe { with_key(cache, key, key_len, reserve) })
}

/// Writes address and length of piece number `index` of a reserved value, from 0. They are valid until
/// larder_cache_commit or larder_cache_abort.
///
/// Returns LARDER_NOT_FOUND past the last piece, LARDER_STALE if the reservation was committed or aborted.
/// O(index).
///
/// # Safety
/// As for larder_cache_commit; `data` and `len` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_reservation_span(
    cache: *mut larder_cache,
    reservation: *const larder_reservation,
    index: u32,
    data: *mut *mut c_void,
    len: *mut usize,
) -> larder_status {
    let span = |cache: &Cache<'_>, _: &_, (shard, ticket)| {
        let (data, len) = (required(data)?, required(len)?);
        let span = cache.reserved_span(shard, ticket, index)?;
        // SAFETY: the caller's promise.
        unsafe { put_span(data, len, span) };
        Ok(())
    };
    // SAFETY: the caller's promise.
    unsafe { with_held(cache, reservation, span) }
}

/// Writes addresses and lengths of all pieces of a reserved value, in order, and their number, as
/// larder_cache_view_spans.
///
/// Returns LARDER_STALE if the reservation was committed or aborted. O(pieces).
///
/// # Safety
/// As for larder_cache_commit; `spans` has `capacity` elements, which can be written, as can `count`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_reservation_spans(
    cache: *mut larder_cache,
    reservation: *const larder_reservation,
    spans: *mut larder_span,
    capacity: usize,
    count: *mut usize,
) -> larder_status {
    let all = |cache: &Cache<'_>, _: &_, (shard, ticket)| {
        let each = |visit: &mut dyn FnMut(usize, Span)| {
            cache.reserved_spans(shard, ticket, capacity, visit)
        };
        // SAFETY: the caller's promise.
        unsafe { put_spans((spans, capacity, count), each) }
    };
    // SAFETY: the caller's promise.
    unsafe { with_held(cache, reservation, all) }
}

/// Publishes a reserved value that is now written: the key has it instead of its old one, and the TTL begins.
///
/// Returns LARDER_STALE if the reservation was committed or aborted before, or the key was set, deleted, changed or
/// cleared since larder_cache_reserve: the reservation is released then, since its value is older. Returns
/// LARDER_NO_MEMORY if the index has no room for one more item; the reservation is still held then. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the reservation is NULL or can be read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_commit(
    cache: *mut larder_cache,
    reservation: *mut larder_reservation,
) -> larder_status {
    let commit = |cache: &Cache<'_>, held: &larder_reservation, (shard, ticket)| {
        cache.commit_bytes(shard, ticket, held.ttl_ms)
    };
    // SAFETY: the caller's promise.
    unsafe { with_held(cache, reservation, commit) }
}

/// Releases a reservation without storing it.
///
/// Returns LARDER_STALE if it was committed or aborted before. O(pages of a large value).
///
/// # Safety
/// As for larder_cache_commit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_abort(
    cache: *mut larder_cache,
    reservation: *mut larder_reservation,
) -> larder_status {
    let abort = |cache: &Cache<'_>, _: &_, (shard, ticket)| cache.abort_bytes(shard, ticket);
    // SAFETY: the caller's promise.
    unsafe { with_held(cache, reservation, abort) }
}
