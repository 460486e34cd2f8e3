//! The block pool: reusable blocks of any size over one region, behind one lock.
//!
//! # Layout
//! ```text
//! region   | state | what `blocks` cuts |
//! ```
//!
//! # Not here
//! Where blocks lie, and the invariants: `blocks`.
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
/// How a pool is set up.
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolConfig {
    /// Do not zero blocks when they are released.
    pub keep_on_free: bool,
    pub(crate) lock: LockKind,
    pub(crate) clock: Clock,
}

impl PoolConfig {
    /// Uses the host's lock.
    ///
    /// # Safety
    /// The hooks exclude each other over all threads that call the pool, and do not call it.
    #[must_use]
    pub unsafe fn lock_hooks(mut self, hooks: LockHooks) -> Self {
        self.lock = LockKind::Hooks(hooks);
        self
    }

    /// Takes the time from a function, in milliseconds.
    #[must_use]
    pub fn clock(mut self, now_ms: fn() -> u64) -> Self {
        self.clock = Clock::function(now_ms);
        self
    }
}

/// A block's address and facts. The memory is the pool's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawBlock {
    pub(crate) data: NonNull<u8>,
    pub(crate) size: usize,
    pub(crate) capacity: usize,
    pub(crate) generation: u32,
    pub(crate) allocated_at_ms: u64,
}

/// What lies at the start of the region.
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
    doc = "Threads can share a pool: each call may come from any of them.
```
fn is_shareable<T: Send + Sync>() {}
is_shareable::<larder::Pool<'static>>();
```"
)]
#[cfg_attr(
    not(feature = "spin"),
    doc = "Without the feature `spin` there is no lock, and a pool is not `Sync`: it moves between threads, but two
cannot share it. A `Mutex` around it makes it shareable.
```
fn is_movable<T: Send>() {}
is_movable::<larder::Pool<'static>>();
```
```compile_fail,E0277
fn is_shareable<T: Sync>() {}
is_shareable::<larder::Pool<'static>>();
```"
)]
/// A block stays on its thread.
/// ```compile_fail,E0277
/// fn is_movable<T: Send>() {}
/// is_movable::<larder::Block<'static>>();
/// ```
#[derive(Debug)]
pub struct Pool<'r> {
    state: NonNull<State>,
    region: PhantomData<&'r mut [u8]>,
}

// SAFETY: the region moves with the pool; a `Block` keeps it where it is, and itself stays on its thread. Hooks come
// in through unsafe functions.
unsafe impl Send for Pool<'_> {}
// SAFETY: the state is changed under its lock alone.
#[cfg(feature = "spin")]
unsafe impl Sync for Pool<'_> {}

impl<'r> Pool<'r> {
    /// Makes a pool in `region`.
    ///
    /// # Errors
    /// `Misaligned` unless it starts at a multiple of [`ALIGN`]; `NoMemory` where it is too small
    /// for a single page; `Invalid` where it is larger than 16 GiB.
    ///
    /// # Time
    /// O(pages).
    pub fn new(region: &'r mut [u8], config: &PoolConfig) -> Result<Self> {
        let len = region.len();
        // SAFETY: the region is borrowed for as long as the pool lives.
        unsafe { Self::new_at(NonNull::from(region).cast(), len, config) }
    }

    /// # Safety
    /// `base .. base + len` is memory that nobody else touches for `'r`.
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
        // SAFETY: cut above, aligned to ALIGN.
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
    /// `state` is what [`Pool::as_ptr`] gave, and its region is still the pool's.
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
        // SAFETY: written in `lay_out`; changed under its lock alone.
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

    /// A block of at least `size` bytes, aligned to [`ALIGN`]; it comes back when it is dropped.
    /// Unless the pool keeps bytes on release, a block is zero but where its last owner could not
    /// have written.
    ///
    /// # Errors
    /// `Invalid` for a size of 0; `TooLarge` where the region could not hold it even if empty;
    /// `NoMemory` where too little is free.
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

    /// Memory for a collection.
    pub(crate) fn take(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        if layout.align() > ALIGN {
            return None;
        }
        let block = self.alloc_raw(layout.size().max(1)).ok()?;
        Some(NonNull::slice_from_raw_parts(block.data, layout.size()))
    }

    /// Takes a collection's memory back.
    ///
    /// # Safety
    /// [`Pool::take`] gave `data`, and its owner is done with it.
    pub(crate) unsafe fn give_back(&self, data: NonNull<u8>, _: Layout) {
        // SAFETY: a block's header lies right before its data.
        let head = unsafe { data.sub(HEAD) }.cast::<[u32; 2]>();
        // SAFETY: as above; the owner gives the block back, so no thread writes.
        let [_, generation] = unsafe { head.read() };
        let _ = self.release_raw(data.as_ptr() as usize, generation);
    }

    /// All statistics.
    ///
    /// # Errors
    /// `Busy` where a lock hook fails.
    pub fn stats(&self) -> Result<PoolStats> {
        self.enter(|blocks| blocks.stats())
    }

    /// What one size class holds.
    ///
    /// # Errors
    /// `NotFound` past the last class; `Busy` where a lock hook fails.
    pub fn class_stats(&self, index: u32) -> Result<PoolClassStats> {
        self.enter(|blocks| blocks.class_stats(index).ok_or(Error::NotFound))?
    }

    /// Walks every invariant.
    ///
    /// # Errors
    /// `Corrupt` where one does not hold, as after a write beyond a block; `Busy` where a lock hook fails.
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
    /// Bytes that could be used without another block; at least those asked for.
    pub fn capacity(&self) -> usize {
        self.raw.capacity
    }
}

impl core::ops::Deref for Block<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the block is ours until it is dropped, and the region is initialised memory.
        unsafe { core::slice::from_raw_parts(self.raw.data.as_ptr(), self.raw.size) }
    }
}

impl core::ops::DerefMut for Block<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; `&mut self` makes us the only user.
        unsafe { core::slice::from_raw_parts_mut(self.raw.data.as_ptr(), self.raw.size) }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        // The block is in use, so this fails only with the host's lock; the memory stays taken then.
        let _ = self
            .pool
            .release_raw(self.raw.data.as_ptr() as usize, self.raw.generation);
    }
}
