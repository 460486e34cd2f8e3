//! The panic handler and the global allocator that Rust wants to see: both for the C archive, the allocator
//! for firmware in Rust without a heap, too.
//!
//! Neither can be reached. Both call symbols that no object defines, so the last link, which drops what is
//! unreachable, fails if one ever can be.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};

unsafe extern "C" {
    #[cfg(feature = "capi")]
    fn larder_port_panic() -> !;
    fn larder_no_heap() -> *mut u8;
}

#[cfg(feature = "capi")]
#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never linked.
    unsafe { larder_port_panic() }
}

/// No call allocates.
struct Refuse;

#[global_allocator]
static REFUSE: Refuse = Refuse;

// SAFETY: never linked.
unsafe impl GlobalAlloc for Refuse {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        // SAFETY: never linked.
        unsafe { larder_no_heap() }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

/// A panic that can be reached, planted to show that the check of the archive finds one.
#[cfg(larder_planted = "panic")]
#[unsafe(no_mangle)]
extern "C" fn larder_planted(at: usize) -> u8 {
    b"planted"[at]
}

/// The same for memory from a heap.
#[cfg(larder_planted = "allocation")]
#[unsafe(no_mangle)]
extern "C" fn larder_planted(number: usize) -> *mut usize {
    extern crate alloc;
    alloc::boxed::Box::into_raw(alloc::boxed::Box::new(number))
}
