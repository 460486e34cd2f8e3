//! The arena in C.

use super::input::{put, required, status};
use super::status::larder_status;
use crate::arena::{Arena, State};
use crate::status::Result;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::NonNull;

/// A bump allocator inside regions of the caller's. One thread at a time.
pub struct larder_arena {
    _state: UnsafeCell<State>,
}

/// Bytes and counts of an arena, all of them exact.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_arena_stats_t {
    /// Bytes that can be handed out, over all regions.
    pub capacity: usize,
    /// Bytes handed out, padding included.
    pub used: usize,
    /// The most that used ever was; a reset does not lower it.
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

/// Makes an arena in `memory`, which is the arena's from then on; nothing has to be freed.
/// LARDER_MISALIGNED unless it starts at a multiple of LARDER_ALIGN, LARDER_NO_MEMORY where it is
/// too small for the arena's own state. O(1).
///
/// # Safety
/// `memory .. memory + size` is nobody else's while the arena is used; `out` can be written.
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

/// Gives the arena another region to hand out, up to eight in all. LARDER_NO_MEMORY beyond that,
/// or for one of less than LARDER_ALIGN bytes. O(1).
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

/// The next `size` bytes, aligned to `align`, a power of two; they hold whatever was there and are
/// valid until the reset. LARDER_INVALID for a size of 0 or another alignment, LARDER_TOO_LARGE
/// where no region could hold it even if empty, LARDER_NO_MEMORY where too little is left. O(1).
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

/// Takes everything back at once: what was handed out is not valid any more. O(1).
///
/// # Safety
/// `arena` is what larder_arena_init gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_arena_reset(arena: *mut larder_arena) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(arena) }.map(|arena| arena.reset_shared()))
}

/// All statistics. O(1).
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
