//! Another static library in Rust, with its own panic handler and heap, linked into one image with larder.
#![no_std]

extern crate alloc;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::addr_of_mut;

/// Returns the same block each time.
struct OneBlock;

static mut BLOCK: [u64; 8] = [0; 8];

#[global_allocator]
static ONE_BLOCK: OneBlock = OneBlock;

unsafe impl GlobalAlloc for OneBlock {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        addr_of_mut!(BLOCK).cast()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// For the compiler this function may panic and allocate.
#[unsafe(no_mangle)]
pub extern "C" fn other_answer(at: usize) -> u32 {
    alloc::boxed::Box::new([40, 41, 42])[at]
}
