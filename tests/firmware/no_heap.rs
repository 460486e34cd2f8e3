//! Firmware in Rust over cache, monitor, arena and pool: without a heap, and without an allocator of its own. Feature
//! `allocates` plants an allocation; feature `allocator` brings a heap.
#![no_std]
#![no_main]

use core::hint::black_box;
use larder::allocator_api2::alloc::{Allocator, Layout};
use larder::{Arena, Cache, Config, Error, Monitor, MonitorConfig, Pool, PoolConfig, Result};

#[panic_handler]
fn on_panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[repr(align(16))]
struct Region<const N: usize>([u8; N]);

fn cache() -> Result<()> {
    let mut region = Region([0; 4096]);
    let cache = Cache::new(&mut region.0, &Config::default())?;
    let monitor = Monitor::new(&cache, &MonitorConfig::default())?;
    let mut buffer = [0; 16];
    for n in 0..200u32 {
        cache.set(&n.to_le_bytes(), b"forty-two", 0)?;
        let len = cache.get(&n.to_le_bytes(), &mut buffer)?;
        if &buffer[..len] != b"forty-two" {
            return Err(Error::Corrupt);
        }
        monitor.poll(u64::from(n) * 1000)?;
    }
    cache.delete(&199u32.to_le_bytes())?;
    cache.check()
}

fn arena() -> Result<()> {
    let mut region = Region([0; 1024]);
    let arena = Arena::new(&mut region.0)?;
    let block = (&arena).allocate(Layout::new::<[u64; 8]>());
    block.map(drop).map_err(|_| Error::NoMemory)
}

fn pool() -> Result<()> {
    let mut region = Region([0; 2048]);
    let pool = Pool::new(&mut region.0, &PoolConfig::default())?;
    let mut block = pool.alloc(100)?;
    block.fill(7);
    drop(block);
    pool.check()
}

#[cfg(feature = "allocates")]
mod planted {
    extern crate alloc;

    pub fn allocate(number: u64) -> bool {
        *core::hint::black_box(alloc::boxed::Box::new(number)) == number
    }
}

#[cfg(feature = "allocator")]
mod heap {
    use core::alloc::{GlobalAlloc, Layout};

    /// Returns the same block each time.
    struct OneBlock;

    static mut BLOCK: [u64; 8] = [0; 8];

    #[global_allocator]
    static ONE_BLOCK: OneBlock = OneBlock;

    unsafe impl GlobalAlloc for OneBlock {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            (&raw mut BLOCK).cast()
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }
}

#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    #[cfg(feature = "allocates")]
    if !planted::allocate(black_box(7)) {
        return 2;
    }
    let done = cache().and_then(|()| arena()).and_then(|()| pool());
    black_box(i32::from(done.is_err()))
}
