//! The panic handler and the global allocator that Rust requires. The C archive has both; firmware in Rust without
//! a heap has the allocator.
//!
//! Neither is reachable. Both call symbols that no object defines, and the final link removes unreachable code. So
//! a program that could reach one does not link.
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
    // SAFETY: never linked, so never called.
    unsafe { larder_port_panic() }
}

/// An allocator that fails at link time.
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

/// A reachable panic, planted to show that the archive's check finds it.
#[cfg(larder_planted = "panic")]
#[unsafe(no_mangle)]
extern "C" fn larder_planted(at: usize) -> u8 {
    b"planted"[at]
}

/// A reachable heap allocation, planted to show that the archive's check finds it.
#[cfg(larder_planted = "allocation")]
#[unsafe(no_mangle)]
extern "C" fn larder_planted(number: usize) -> *mut usize {
    extern crate alloc;
    alloc::boxed::Box::into_raw(alloc::boxed::Box::new(number))
}
