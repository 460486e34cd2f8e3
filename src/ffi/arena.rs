//! The arena in C.

use super::input::{put, required, status};
use super::status::larder_status;
use crate::arena::{Arena, State};
use crate::status::Result;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::NonNull;

/// A bump allocator over regions of the caller. One thread at a time uses it.
pub struct larder_arena {
    _state: UnsafeCell<State>,
}

/// Bytes and counts of an arena, all exact.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_arena_stats_t {
    /// Bytes that the arena can allocate, over all regions.
    pub capacity: usize,
    /// Bytes allocated, padding included.
    pub used: usize,
    /// Highest `used` so far; a reset does not lower it.
    pub peak: usize,
    /// Allocations since the start.
    pub allocs: u64,
    /// Resets since the start.
    pub resets: u64,
    /// Regions.
    pub regions: u32,
    /// 0
    pub reserved: u32,
}

/// # Safety
/// `arena` is NULL or what [`larder_arena_init`] gave.
unsafe fn handle<'a>(arena: *const larder_arena) -> Result<Arena<'a>> {
    let state = required(arena.cast_mut())?.cast();
    // SAFETY: the caller's promise.
    unsafe { Arena::from_ptr(state) }
}

/// Makes an arena in `memory`, which belongs to the arena from now on. Nothing has to be freed.
///
/// Returns LARDER_MISALIGNED if `memory` does not start at a multiple of LARDER_ALIGN, LARDER_NO_MEMORY if it is
/// too small for the arena's own state. `*out` is valid as long as the memory is. O(1).
///
/// # Safety
/// `memory .. memory + size` is used by no other code while the arena is used; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_arena_init(
    memory: *mut c_void,
    size: usize,
    out: *mut *mut larder_arena,
) -> larder_status {
    status(required(out).and_then(|out| {
        let base = required(memory)?.cast();
        // SAFETY: the caller gives this memory.
        let arena = unsafe { Arena::new_at(base, size) }?;
        // SAFETY: the caller's promise.
        unsafe { put(out, arena.as_ptr().cast()) };
        Ok(())
    }))
}

/// Adds a region to allocate from; an arena has at most eight.
///
/// Returns LARDER_NO_MEMORY for a ninth, or for one of less than LARDER_ALIGN bytes. O(1).
///
/// # Safety
/// As for larder_arena_init.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_arena_add_region(
    arena: *mut larder_arena,
    memory: *mut c_void,
    size: usize,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(arena) }.and_then(|arena| {
        let base = required(memory)?.cast::<u8>();
        // SAFETY: the caller gives this memory.
        unsafe { arena.add_region_at(base, size) }
    }))
}

/// Allocates `size` bytes at a multiple of `align`, a power of two. The bytes hold what was there before. They are
/// valid until larder_arena_reset.
///
/// Returns LARDER_INVALID for a size of 0 or another alignment, LARDER_TOO_LARGE if no region could hold the size
/// even when empty, LARDER_NO_MEMORY if too little is left. O(1).
///
/// # Safety
/// `arena` is what larder_arena_init gave; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_arena_alloc(
    arena: *mut larder_arena,
    size: usize,
    align: usize,
    out: *mut *mut c_void,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(arena) }.and_then(|arena| {
        let out = required(out)?;
        let place: NonNull<u8> = arena.alloc(size, align)?;
        // SAFETY: the caller's promise.
        unsafe { put(out, place.as_ptr().cast()) };
        Ok(())
    }))
}

/// Frees all allocations at once: pointers from larder_arena_alloc are no longer valid. O(1).
///
/// # Safety
/// `arena` is what larder_arena_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_arena_reset(arena: *mut larder_arena) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(arena) }.map(|arena| arena.reset_shared()))
}

/// Writes all statistics. O(1).
///
/// # Safety
/// `arena` is what larder_arena_init gave; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_arena_stats(
    arena: *const larder_arena,
    out: *mut larder_arena_stats_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(arena) }.and_then(|arena| {
        let out = required(out)?;
        let stats = arena.stats();
        let value = larder_arena_stats_t {
            capacity: stats.capacity,
            used: stats.used,
            peak: stats.peak,
            allocs: stats.allocs,
            resets: stats.resets,
            regions: stats.regions as u32,
            reserved: 0,
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, value) };
        Ok(())
    }))
}
