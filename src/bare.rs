//! For the C archive alone: the panic handler and the global allocator that Rust wants to see.
//!
//! Neither can be reached. Both call symbols that nobody defines, so the archive's last link, which
//! drops what is unreachable, fails if one ever can be.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};

unsafe extern "C" {
    fn larder_port_panic() -> !;
    fn larder_no_heap() -> *mut u8;
}

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never linked.
    unsafe { larder_port_panic() }
}

/// Nobody allocates.
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
    alloc::boxed::Box::into_raw(alloc::boxed::Box::new(number))
}
