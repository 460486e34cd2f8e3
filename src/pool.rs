//! The block pool: reusable blocks of any size over one region.
//!
//! # Layout
//! ```text
//! region   | state | tables | pages |
//! block    | kind | generation | size, 64 bits | data, aligned to 16 ... |
//! ```
//! Blocks of up to a page lie in the slots of a slab; larger ones take a run of neighbouring pages.
//!
//! # Invariants (walked by [`Pool::check`])
//! 1. Those of the slab.
//! 2. The generation in a block's header is the one that its owner was given, from the allocation to
//!    the release: so a second release, by whichever copy, is told apart.
#![allow(unsafe_code)]

use crate::class::{AREA_MAX, Geometry};
use crate::config::Clock;
use crate::lock::{Guarded, LockHooks, LockKind};
use crate::region::{ALIGN, Cutter, check_region};
use crate::slab::{Class, ClassStats, Id, Kind, Slab};
use crate::status::{Error, Result};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

const MAGIC: u64 = u64::from_le_bytes(*b"LARDPOOL");
const HEAD: usize = 16;

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

/// A pool's statistics. `used_size + free_size + overhead_size == total_size`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Blocks handed out since the start.
    pub allocations: u64,
    /// Those of them whose bytes had been used before.
    pub reuses: u64,
    /// Those of them that took fresh bytes.
    pub misses: u64,
    /// Blocks given back.
    pub releases: u64,
    /// Requests that could not be met.
    pub failures: u64,
    /// Bytes of the region.
    pub total_size: usize,
    /// Bytes of the slots and pages in blocks handed out.
    pub used_size: usize,
    /// Bytes that blocks could still take.
    pub free_size: usize,
    /// State, tables, page tails.
    pub overhead_size: usize,
    /// The most that used and overhead ever were together.
    pub peak_used_size: usize,
    /// Size classes.
    pub class_count: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Pages.
    pub page_count: u32,
    /// Pages that no block lies in.
    pub pages_free: u32,
}

/// What lies at the start of the region.
pub(crate) struct State {
    magic: u64,
    lock: LockKind,
    clock: Clock,
    region: usize,
    inner: Guarded<Inner>,
}

struct Inner {
    slab: Slab,
    generation: u32,
    used: usize,
    run_pages: u32,
    /// Runs of pages handed out, and those of them whose bytes had been used before.
    run_allocs: u64,
    run_reuses: u64,
    releases: u64,
    failures: u64,
    keep_on_free: bool,
}

impl Inner {
    fn alloc(&mut self, size: usize) -> Result<(NonNull<u8>, usize, u32)> {
        let all = (self.slab.page_count() as usize) << self.slab.page_size().trailing_zeros();
        let total = size
            .checked_add(HEAD)
            .filter(|&total| size > 0 && total <= all);
        let total = total.ok_or(if size == 0 {
            Error::Invalid
        } else {
            Error::TooLarge
        })?;
        let (id, capacity) = self.place(total).inspect_err(|_| self.failures += 1)?;
        self.generation = self.generation.wrapping_add(1);
        self.used += capacity;
        self.slab.set_word(id, 0, Kind::Block.word(0));
        self.slab.set_word(id, 1, self.generation);
        self.slab.set_word(id, 2, total as u32);
        self.slab.set_word(id, 3, (total as u64 >> 32) as u32);
        let slot = self.slab.pointer(id, capacity).ok_or(Error::NoMemory)?;
        // SAFETY: HEAD < capacity, inside the slot.
        Ok((unsafe { slot.add(HEAD) }, capacity - HEAD, self.generation))
    }

    /// A slot, or a run of pages, of at least `total` bytes.
    fn place(&mut self, total: usize) -> Result<(Id, usize)> {
        let page = self.slab.page_size();
        if total <= page {
            let class = self.slab.class_for(total);
            let id = self.slab.alloc(class, 0).ok_or(Error::NoMemory)?;
            return Ok((id, self.slab.slot_size(class)));
        }
        let count = total.div_ceil(page) as u32;
        let first = self.slab.find_free_run(count).ok_or(Error::NoMemory)?;
        let reused = self.slab.claim_run(first, count);
        self.run_pages += count;
        self.run_allocs += 1;
        self.run_reuses += u64::from(reused);
        Ok((self.slab.page_start(first), count as usize * page))
    }

    fn release(&mut self, data: usize, generation: u32) -> Result<()> {
        let id = data
            .checked_sub(HEAD)
            .and_then(|address| self.slab.offset_of(address))
            .and_then(|offset| self.slab.slot_at(offset))
            .filter(|&id| self.slab.kind(id) == Kind::Block && self.slab.word(id, 1) == generation)
            .ok_or(Error::Stale)?;
        let total =
            self.slab.word(id, 2) as usize | (u64::from(self.slab.word(id, 3)) << 32) as usize;
        self.releases += 1;
        if total <= self.slab.page_size() {
            self.used -= self.slab.slot_size(self.slab.class_of(id));
            self.slab.free(id);
            return Ok(());
        }
        let page = self.slab.page_size();
        let count = total.div_ceil(page);
        if self.keep_on_free {
            self.slab.set_word(id, 0, Kind::Free.word(0));
        } else {
            self.slab.bytes_mut(id, 0, count * page).fill(0);
        }
        self.used -= count * page;
        self.run_pages -= count as u32;
        self.slab.release_run(self.slab.page_of(id), count as u32);
        Ok(())
    }
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
    /// for a single page; `Invalid` where it is larger than 17,112,760,320 bytes (16 GiB - 64 MiB).
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
        if len as u64 > AREA_MAX {
            return Err(Error::Invalid);
        }
        // SAFETY: the caller gave this memory.
        let cutter = unsafe { Cutter::new(base, len) };
        Self::lay_out(cutter, len, config).ok_or(Error::NoMemory)
    }

    fn lay_out(mut cutter: Cutter, len: usize, config: &PoolConfig) -> Option<Self> {
        let state = cutter.cut(size_of::<State>())?.cast::<State>();
        let left = len.checked_sub(cutter.used())?;
        let mut slab = Slab::new(&mut cutter, Geometry::for_blocks(left), left, len, &[])?;
        slab.set_zero_on_free(!config.keep_on_free);
        let inner = Inner {
            slab,
            generation: 0,
            used: 0,
            run_pages: 0,
            run_allocs: 0,
            run_reuses: 0,
            releases: 0,
            failures: 0,
            keep_on_free: config.keep_on_free,
        };
        let value = State {
            magic: MAGIC,
            lock: config.lock,
            clock: config.clock,
            region: len,
            inner: Guarded::new(inner),
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

    fn enter<R>(&self, call: impl FnOnce(&mut Inner) -> R) -> Result<R> {
        self.state().inner.with(&self.state().lock, call)
    }

    pub(crate) fn alloc_raw(&self, size: usize) -> Result<RawBlock> {
        let now = self.state().clock.read().unwrap_or(0);
        let (data, capacity, generation) = self.enter(|inner| inner.alloc(size))??;
        Ok(RawBlock {
            data,
            size,
            capacity,
            generation,
            allocated_at_ms: now,
        })
    }

    pub(crate) fn release_raw(&self, data: usize, generation: u32) -> Result<()> {
        self.enter(|inner| inner.release(data, generation))?
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
    /// O(1) up to a page, O(pages) beyond.
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
        let region = self.state().region;
        self.enter(|inner| {
            let slab = &inner.slab;
            let free = slab.free_bytes();
            let (allocs, reuses) = slab.totals();
            let (allocs, reuses) = (allocs + inner.run_allocs, reuses + inner.run_reuses);
            PoolStats {
                allocations: allocs,
                reuses,
                misses: allocs - reuses,
                releases: inner.releases,
                failures: inner.failures,
                total_size: region,
                used_size: inner.used,
                free_size: free,
                overhead_size: region - free - inner.used,
                peak_used_size: slab.usage_peak(),
                class_count: u32::from(slab.item_class_count()),
                page_size: slab.page_size() as u32,
                page_count: slab.page_count(),
                pages_free: slab.pages_free(),
            }
        })
    }

    /// What one size class holds; `NotFound` past the last one.
    ///
    /// # Errors
    /// `NotFound`, or `Busy` where a lock hook fails.
    pub fn class_stats(&self, index: u32) -> Result<ClassStats> {
        self.enter(|inner| {
            let slab = &inner.slab;
            if index >= u32::from(slab.item_class_count()) {
                return Err(Error::NotFound);
            }
            Ok(slab.class_stats(Class(index as u8)))
        })?
    }

    /// Walks every invariant. O(pages + free slots).
    ///
    /// # Errors
    /// `Corrupt` where one does not hold.
    pub fn check(&self) -> Result<()> {
        let sound = self.enter(|inner| inner.slab.check(inner.run_pages))?;
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
