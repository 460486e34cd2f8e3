//! The block pool: reusable blocks of any size over one region, behind one lock.
//!
//! # Layout
//! ```text
//! region   | state | what `blocks` cuts |
//! ```
//!
//! # Not here
//! The slots and pages of blocks, and the invariants: `blocks`.
#![allow(unsafe_code)]

use crate::blocks::{Blocks, HEAD, PoolStats, SIZE_MAX};
use crate::class::PoolClassStats;
use crate::clock::Clock;
use crate::lock::{Guarded, LockHooks, LockKind};
use crate::region::{ALIGN, Cutter, check_region};
use crate::status::{Error, Result};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

const MAGIC: u64 = u64::from_le_bytes(*b"LARDPOOL");
/// The options of a new pool.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolConfig {
    /// Blocks keep their bytes when they are freed; without this flag they are set to zero.
    pub keep_on_free: bool,
    pub(crate) lock: LockKind,
    pub(crate) clock: Clock,
}

impl PoolConfig {
    /// Uses the host's lock.
    ///
    /// # Safety
    /// Between lock and unlock the hooks exclude all other threads from the pool. The hooks do not call the pool.
    #[must_use]
    pub unsafe fn lock_hooks(mut self, hooks: LockHooks) -> Self {
        self.lock = LockKind::Hooks(hooks);
        self
    }

    /// Sets the clock: a function that returns milliseconds.
    #[must_use]
    pub fn clock(mut self, now_ms: fn() -> u64) -> Self {
        self.clock = Clock::function(now_ms);
        self
    }
}

/// A block's address, size, generation and time of allocation. The pool owns the block's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawBlock {
    pub(crate) data: NonNull<u8>,
    pub(crate) size: usize,
    pub(crate) capacity: usize,
    pub(crate) generation: u32,
    pub(crate) allocated_at_ms: u64,
}

/// The pool's state, at the start of the region.
pub(crate) struct State {
    magic: u64,
    lock: LockKind,
    clock: Clock,
    blocks: Guarded<Blocks>,
}

/// A pool of blocks inside a region that the caller gave.
///
/// `&Pool` is an [`Allocator`](crate::allocator_api2::alloc::Allocator): collections can live in it.
///
#[cfg_attr(
    feature = "spin",
    doc = "Threads can share a pool: any thread may make any call.
```
fn is_shareable<T: Send + Sync>() {}
is_shareable::<larder::Pool<'static>>();
```"
)]
#[cfg_attr(
    not(feature = "spin"),
    doc = "Without the feature `spin` there is no lock, and a pool is `Send` but not `Sync`. A `Mutex` around the
pool makes it shareable.
```
fn is_movable<T: Send>() {}
is_movable::<larder::Pool<'static>>();
```
```compile_fail,E0277
fn is_shareable<T: Sync>() {}
is_shareable::<larder::Pool<'static>>();
```"
)]
/// A block is not `Send`: it stays on its thread.
/// ```compile_fail,E0277
/// fn is_movable<T: Send>() {}
/// is_movable::<larder::Block<'static>>();
/// ```
#[derive(Debug)]
pub struct Pool<'r> {
    state: NonNull<State>,
    region: PhantomData<&'r mut [u8]>,
}

// SAFETY: a pool refers to its region alone, which is `Send`. A `Block` borrows the pool and is not `Send`. Hooks
// are set by unsafe functions alone.
unsafe impl Send for Pool<'_> {}
// SAFETY: the state changes only under its lock.
#[cfg(feature = "spin")]
unsafe impl Sync for Pool<'_> {}

impl<'r> Pool<'r> {
    /// Makes a pool in `region`.
    ///
    /// # Errors
    /// `Misaligned` unless the region starts at a multiple of [`ALIGN`]; `NoMemory` if the region is too small
    /// for a single page; `Invalid` if it is larger than 16 GiB.
    ///
    /// # Time
    /// O(pages).
    pub fn new(region: &'r mut [u8], config: &PoolConfig) -> Result<Self> {
        let len = region.len();
        // SAFETY: the region is borrowed for as long as the pool lives.
        unsafe { Self::new_at(NonNull::from(region).cast(), len, config) }
    }

    /// # Safety
    /// `base .. base + len` is memory that the pool alone uses during `'r`.
    pub(crate) unsafe fn new_at(
        base: NonNull<u8>,
        len: usize,
        config: &PoolConfig,
    ) -> Result<Self> {
        check_region(base, len)?;
        if len as u64 > SIZE_MAX {
            return Err(Error::Invalid);
        }
        // SAFETY: the caller gave this memory.
        let cutter = unsafe { Cutter::new(base, len) };
        Self::lay_out(cutter, len, config).ok_or(Error::NoMemory)
    }

    fn lay_out(mut cutter: Cutter, len: usize, config: &PoolConfig) -> Option<Self> {
        let state = cutter.cut(size_of::<State>())?.cast::<State>();
        let value = State {
            magic: MAGIC,
            lock: config.lock,
            clock: config.clock,
            blocks: Guarded::new(Blocks::new(&mut cutter, len, config.keep_on_free)?),
        };
        // SAFETY: `cut` returned these bytes above, aligned to ALIGN.
        unsafe { state.write(value) };
        Some(Self {
            state,
            region: PhantomData,
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut State {
        self.state.as_ptr()
    }

    /// # Safety
    /// [`Pool::as_ptr`] returned `state`, and the caller has not taken the pool's region back.
    pub(crate) unsafe fn from_ptr(state: NonNull<State>) -> Result<Self> {
        let pool = Self {
            state,
            region: PhantomData,
        };
        if pool.state().magic == MAGIC {
            Ok(pool)
        } else {
            Err(Error::Invalid)
        }
    }

    fn state(&self) -> &State {
        // SAFETY: `lay_out` wrote the state, which changes only under its lock.
        unsafe { self.state.as_ref() }
    }

    fn enter<R>(&self, call: impl FnOnce(&mut Blocks) -> R) -> Result<R> {
        self.state().blocks.with(&self.state().lock, call)
    }

    pub(crate) fn alloc_raw(&self, size: usize) -> Result<RawBlock> {
        let now = self.state().clock.read().unwrap_or(0);
        let (data, capacity, generation) = self.enter(|blocks| blocks.alloc(size))??;
        Ok(RawBlock {
            data,
            size,
            capacity,
            generation,
            allocated_at_ms: now,
        })
    }

    pub(crate) fn release_raw(&self, data: usize, generation: u32) -> Result<()> {
        self.enter(|blocks| blocks.release(data, generation))?
    }

    /// Allocates a block of at least `size` bytes, aligned to [`ALIGN`]. Dropping the block frees it.
    /// Without [`PoolConfig::keep_on_free`], the block has no byte of an earlier block. Memory that no block
    /// has used yet keeps the region's first contents.
    ///
    /// # Errors
    /// `Invalid` for a size of 0; `TooLarge` if the region could not hold the block even when empty;
    /// `NoMemory` if too few bytes are free.
    ///
    /// # Time
    /// O(1) up to a page, O(pages) beyond, plus the zeroing of a recycled page's bytes.
    pub fn alloc(&self, size: usize) -> Result<Block<'_>> {
        let raw = self.alloc_raw(size)?;
        Ok(Block {
            pool: self.alias(),
            raw,
        })
    }

    fn alias(&self) -> Pool<'_> {
        Pool {
            state: self.state,
            region: PhantomData,
        }
    }

    /// Allocates memory for a collection.
    pub(crate) fn take(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        if layout.align() > ALIGN {
            return None;
        }
        let block = self.alloc_raw(layout.size().max(1)).ok()?;
        Some(NonNull::slice_from_raw_parts(block.data, layout.size()))
    }

    /// Frees a collection's memory.
    ///
    /// # Safety
    /// [`Pool::take`] returned `data`, and the collection no longer uses it.
    pub(crate) unsafe fn give_back(&self, data: NonNull<u8>, _: Layout) {
        // SAFETY: a block's header is right before its data.
        let head = unsafe { data.sub(HEAD) }.cast::<[u32; 2]>();
        // SAFETY: as above; the collection no longer uses the block, so no thread writes.
        let [_, generation] = unsafe { head.read() };
        let _ = self.release_raw(data.as_ptr() as usize, generation);
    }

    /// All statistics.
    ///
    /// # Errors
    /// `Busy` if a lock hook fails.
    pub fn stats(&self) -> Result<PoolStats> {
        self.enter(|blocks| blocks.stats())
    }

    /// The statistics of one size class.
    ///
    /// # Errors
    /// `NotFound` past the last class; `Busy` if a lock hook fails.
    pub fn class_stats(&self, index: u32) -> Result<PoolClassStats> {
        self.enter(|blocks| blocks.class_stats(index).ok_or(Error::NotFound))?
    }

    /// Checks every invariant.
    ///
    /// # Errors
    /// `Corrupt` if an invariant is broken, as after a write beyond a block; `Busy` if a lock hook fails.
    ///
    /// # Time
    /// O(classes * pages + slots).
    pub fn check(&self) -> Result<()> {
        let sound = self.enter(|blocks| blocks.check())?;
        if sound { Ok(()) } else { Err(Error::Corrupt) }
    }
}

/// A block in use.
#[derive(Debug)]
pub struct Block<'p> {
    pool: Pool<'p>,
    raw: RawBlock,
}

impl Block<'_> {
    /// Bytes of the block's memory; at least the size asked for.
    pub fn capacity(&self) -> usize {
        self.raw.capacity
    }
}

impl core::ops::Deref for Block<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the block belongs to this value until drop, and the region is initialised memory.
        unsafe { core::slice::from_raw_parts(self.raw.data.as_ptr(), self.raw.size) }
    }
}

impl core::ops::DerefMut for Block<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; `&mut self` excludes other accesses.
        unsafe { core::slice::from_raw_parts_mut(self.raw.data.as_ptr(), self.raw.size) }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        // The block is in use, so this fails only if the host's lock fails. Then the memory stays allocated.
        let _ = self
            .pool
            .release_raw(self.raw.data.as_ptr() as usize, self.raw.generation);
    }
}
