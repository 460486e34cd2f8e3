//! The owner of an owned cache: its region, and the closures that it calls.
//!
//! # Invariants
//! 1. No borrow of the cache outlives its owner. Dropping the owner frees region and closures.
//! 2. The cache refers to region and closures by raw pointers to the heap, so the owner may move.
#![allow(unsafe_code)]

use crate::cache::Cache;
use crate::clock::Clock;
use crate::config::{Config, Event, EventHook};
use crate::region::ALIGN;
use crate::status::{Error, Result};
use alloc::boxed::Box;
use core::alloc::Layout;
use core::ffi::c_void;
use core::ptr::NonNull;

type OnEvent = Box<dyn Fn(&Event) + Send + Sync>;
type Now = Box<dyn Fn() -> u64 + Send + Sync>;

/// A cache with its region and its closures.
pub(super) struct Owner {
    /// Valid while the owner lives, in spite of its lifetime `'static`.
    cache: Cache<'static>,
    _memory: Memory,
    _hooks: Hooks,
}

impl Owner {
    pub(super) fn new(bytes: usize, mut config: Config, hooks: Hooks) -> Result<Self> {
        let memory = Memory::new(bytes)?;
        if let Some(on_event) = &hooks.on_event {
            config.on_event = Some(EventHook {
                call: tell,
                target: core::ptr::null(),
                ctx: on_event.at(),
            });
        }
        if let Some(clock) = &hooks.clock {
            config.clock = Clock::hook(read, clock.at());
        }
        // SAFETY: `memory` has `bytes` zeroed bytes, which are freed with the owner (inv. 1).
        let cache = unsafe { Cache::new_at(memory.base, bytes, &config) }?;
        Ok(Self {
            cache,
            _memory: memory,
            _hooks: hooks,
        })
    }

    pub(super) fn cache(&self) -> &Cache<'_> {
        &self.cache
    }
}

/// An allocation for a region, zeroed.
struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

// SAFETY: only the cache accesses the bytes, under its own rules for threads.
unsafe impl Send for Memory {}
// SAFETY: as above; `Memory` itself gives no access to the bytes.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(bytes: usize) -> Result<Self> {
        let layout = Layout::from_size_align(bytes, ALIGN).map_err(|_| Error::Invalid)?;
        if bytes == 0 {
            return Err(Error::NoMemory);
        }
        // SAFETY: the layout's size is not 0 (checked above).
        let base = unsafe { alloc::alloc::alloc_zeroed(layout) };
        let base = NonNull::new(base).ok_or(Error::NoMemory)?;
        Ok(Self { base, layout })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and no view outlives the owner (inv. 1).
        unsafe { alloc::alloc::dealloc(self.base.as_ptr(), self.layout) };
    }
}

/// A closure at a fixed address.
struct Hook<T>(NonNull<T>);

// SAFETY: a hook owns a `T`, as a box does.
unsafe impl<T: Send> Send for Hook<T> {}
// SAFETY: a shared hook gives access to a `&T` alone, as a box does.
unsafe impl<T: Sync> Sync for Hook<T> {}

impl<T> Hook<T> {
    fn new(closure: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(closure))))
    }

    fn at(&self) -> *mut c_void {
        self.0.as_ptr().cast()
    }
}

impl<T> Drop for Hook<T> {
    fn drop(&mut self) {
        // SAFETY: `new` leaked this box, and no call of the cache is under way (inv. 1).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// The closures of a cache.
#[derive(Default)]
pub(super) struct Hooks {
    on_event: Option<Hook<OnEvent>>,
    clock: Option<Hook<Now>>,
}

impl Hooks {
    pub(super) fn on_event(&mut self, call: impl Fn(&Event) + Send + Sync + 'static) {
        self.on_event = Some(Hook::new(Box::new(call)));
    }

    pub(super) fn clock(&mut self, now_ms: impl Fn() -> u64 + Send + Sync + 'static) {
        self.clock = Some(Hook::new(Box::new(now_ms)));
    }
}

/// Calls a closure with an event.
///
/// # Safety
/// `ctx` is the address of a live `OnEvent`.
unsafe fn tell(_: *const c_void, ctx: *mut c_void, event: &Event) {
    // SAFETY: the caller guarantees that the closure is live; it is never borrowed mutably.
    let call = unsafe { &*ctx.cast::<OnEvent>() };
    call(event);
}

/// Reads the time from a closure.
///
/// # Safety
/// `ctx` is the address of a live `Now`.
unsafe extern "C" fn read(ctx: *mut c_void) -> u64 {
    // SAFETY: the caller guarantees that the closure is live; it is never borrowed mutably.
    let now_ms = unsafe { &*ctx.cast::<Now>() };
    now_ms()
}
