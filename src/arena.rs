//! The arena: bump allocation over regions that the caller gives. A reset frees all allocations at once.
//!
//! # Layout
//! ```text
//! first region   | state | used | free |      further regions   | used | free |
//! ```
//!
//! # Invariants
//! 1. `used <= len` in every region. All allocations of a region are inside `base .. base + used`.
//! 2. Between two resets no byte is allocated twice. The exception is the last allocation of a region,
//!    which a collection may free.
//!
//! # Source
//! D. R. Hanson, "Fast allocation and deallocation of memory based on object lifetimes", 1990.
#![allow(unsafe_code)]

use crate::region::{ALIGN, Cutter, check_region};
use crate::status::{Error, Result};
use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::marker::PhantomData;
use core::ptr::NonNull;

/// The maximum number of regions of an arena.
pub const ARENA_REGIONS_MAX: usize = 8;

const MAGIC: u64 = u64::from_le_bytes(*b"LARDAREN");

#[derive(Clone, Copy, Debug)]
struct Region {
    base: NonNull<u8>,
    len: usize,
    used: usize,
}

/// The arena's state, at the start of the first region.
pub(crate) struct State {
    magic: u64,
    regions: heapless::Vec<Region, ARENA_REGIONS_MAX>,
    peak: usize,
    allocs: u64,
    resets: u64,
}

/// An arena's statistics: exact counts of bytes, calls and regions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ArenaStats {
    /// Bytes that all regions together can allocate.
    pub capacity: usize,
    /// Allocated bytes, padding included.
    pub used: usize,
    /// The highest value of `used`; a reset does not lower it.
    pub peak: usize,
    /// Allocations since the arena was made.
    pub allocs: u64,
    /// Resets since the arena was made.
    pub resets: u64,
    /// Number of regions.
    pub regions: usize,
}

/// A bump allocator inside regions that the caller gave. It is not `Sync`: one thread uses it at a time.
///
/// `&Arena` is an [`Allocator`](crate::allocator_api2::alloc::Allocator): collections can live in it.
#[derive(Debug)]
pub struct Arena<'r> {
    state: NonNull<UnsafeCell<State>>,
    /// `Cell` makes `'r` invariant: `add_region` must not accept a region with a shorter lifetime.
    region: PhantomData<Cell<&'r mut [u8]>>,
}

impl Region {
    /// The offsets of the start and the end of the next allocation. `None` if it does not fit.
    fn place(&self, size: usize, align: usize) -> Option<(usize, usize)> {
        let address = self.base.as_ptr() as usize;
        let start = address.checked_add(self.used)?.checked_add(align - 1)? & !(align - 1);
        let at = start - address;
        let end = at.checked_add(size)?;
        (end <= self.len).then_some((at, end))
    }

    /// Whether the allocation fits into the region when the region is empty.
    fn could_hold(&self, size: usize, align: usize) -> bool {
        Self { used: 0, ..*self }.place(size, align).is_some()
    }
}

impl State {
    fn used(&self) -> usize {
        self.regions.iter().map(|region| region.used).sum()
    }

    fn alloc(&mut self, size: usize, align: usize) -> Result<NonNull<u8>> {
        if size == 0 || !align.is_power_of_two() {
            return Err(Error::Invalid);
        }
        for region in &mut self.regions {
            let Some((at, end)) = region.place(size, align) else {
                continue;
            };
            region.used = end;
            // SAFETY: `place` returned at + size <= len, inside the caller's region.
            let place = unsafe { region.base.add(at) };
            self.allocs += 1;
            self.peak = self.peak.max(self.used());
            return Ok(place);
        }
        if self
            .regions
            .iter()
            .any(|region| region.could_hold(size, align))
        {
            return Err(Error::NoMemory);
        }
        Err(Error::TooLarge)
    }

    /// Frees the last allocation of a region. Any other allocation stays until the reset.
    fn give_back(&mut self, place: NonNull<u8>, size: usize) {
        for region in &mut self.regions {
            let at = (place.as_ptr() as usize).wrapping_sub(region.base.as_ptr() as usize);
            if at < region.len && at + size == region.used {
                region.used = at;
            }
        }
    }
}

impl<'r> Arena<'r> {
    /// Makes an arena in `region`.
    ///
    /// # Errors
    /// `Misaligned` unless the region starts at a multiple of [`ALIGN`]; `NoMemory` if the region is too small
    /// for the arena's own state.
    pub fn new(region: &'r mut [u8]) -> Result<Self> {
        let len = region.len();
        // SAFETY: the region is borrowed for as long as the arena lives.
        unsafe { Self::new_at(NonNull::from(region).cast(), len) }
    }

    /// # Safety
    /// `base .. base + len` is memory that the arena alone uses during `'r`.
    pub(crate) unsafe fn new_at(base: NonNull<u8>, len: usize) -> Result<Self> {
        check_region(base, len)?;
        // SAFETY: the caller gave this memory.
        let mut cutter = unsafe { Cutter::new(base, len) };
        let state = cutter
            .cut(size_of::<UnsafeCell<State>>())
            .ok_or(Error::NoMemory)?;
        let state = state.cast::<UnsafeCell<State>>();
        let used = cutter.used();
        if used >= len {
            return Err(Error::NoMemory);
        }
        // SAFETY: used < len.
        let rest = unsafe { base.add(used) };
        let mut regions = heapless::Vec::new();
        // The push cannot fail: the vector is empty and its capacity is ARENA_REGIONS_MAX.
        let _ = regions.push(Region {
            base: rest,
            len: len - used,
            used: 0,
        });
        let value = State {
            magic: MAGIC,
            regions,
            peak: 0,
            allocs: 0,
            resets: 0,
        };
        // SAFETY: `cut` returned these bytes above, aligned to ALIGN.
        unsafe { state.write(UnsafeCell::new(value)) };
        Ok(Self {
            state,
            region: PhantomData,
        })
    }

    pub(crate) fn as_ptr(&self) -> *mut UnsafeCell<State> {
        self.state.as_ptr()
    }

    /// # Safety
    /// [`Arena::as_ptr`] returned `state`, and the caller has not taken the arena's regions back.
    pub(crate) unsafe fn from_ptr(state: NonNull<UnsafeCell<State>>) -> Result<Self> {
        let arena = Self {
            state,
            region: PhantomData,
        };
        if arena.with(|state| state.magic) == MAGIC {
            Ok(arena)
        } else {
            Err(Error::Invalid)
        }
    }

    fn with<R>(&self, call: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: `new_at` wrote the state, which never moves.
        let cell = unsafe { self.state.as_ref() };
        // SAFETY: an arena is not `Sync`, and `call` does not use the arena.
        call(unsafe { &mut *cell.get() })
    }

    /// Adds a region to allocate from. The region must live as long as the first one:
    ///
    /// ```compile_fail,E0597
    /// # use larder::Arena;
    /// fn add_a_local_one(arena: &Arena<'static>) {
    ///     let mut local = [0; 64];
    ///     let _ = arena.add_region(&mut local);
    /// }
    /// ```
    ///
    /// # Errors
    /// `Misaligned` as in [`Arena::new`]; `NoMemory` if the region has less than [`ALIGN`] bytes, or if
    /// the arena has [`ARENA_REGIONS_MAX`] regions already.
    pub fn add_region(&self, region: &'r mut [u8]) -> Result<()> {
        let len = region.len();
        // SAFETY: the region is borrowed for as long as the arena lives.
        unsafe { self.add_region_at(NonNull::from(region).cast(), len) }
    }

    /// # Safety
    /// As for [`Arena::new_at`].
    pub(crate) unsafe fn add_region_at(&self, base: NonNull<u8>, len: usize) -> Result<()> {
        check_region(base, len)?;
        if len < ALIGN {
            return Err(Error::NoMemory);
        }
        let region = Region { base, len, used: 0 };
        self.with(|state| state.regions.push(region))
            .map_err(|_| Error::NoMemory)
    }

    /// Allocates `size` bytes, aligned to `align`, a power of two. The bytes keep their old contents.
    ///
    /// # Errors
    /// `Invalid` for a size of 0, or an alignment that is not a power of two; `TooLarge` if no region could
    /// hold `size` bytes even when empty; `NoMemory` if too few bytes are left.
    ///
    /// # Time
    /// O([`ARENA_REGIONS_MAX`]).
    pub fn alloc(&self, size: usize, align: usize) -> Result<NonNull<u8>> {
        self.with(|state| state.alloc(size, align))
    }

    /// Frees all allocations at once; regions and `peak` stay. `&mut self` proves that no allocation is in use.
    ///
    /// # Time
    /// O([`ARENA_REGIONS_MAX`]).
    pub fn reset(&mut self) {
        self.reset_shared();
    }

    pub(crate) fn reset_shared(&self) {
        self.with(|state| {
            for region in &mut state.regions {
                region.used = 0;
            }
            state.resets += 1;
        });
    }

    /// Allocates memory for a collection.
    pub(crate) fn take(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        let place = match layout.size() {
            0 => NonNull::new(core::ptr::without_provenance_mut(layout.align()))?,
            size => self.alloc(size, layout.align()).ok()?,
        };
        Some(NonNull::slice_from_raw_parts(place, layout.size()))
    }

    /// Frees a collection's memory.
    ///
    /// # Safety
    /// [`Arena::take`] returned `place` for this layout, and the collection no longer uses it.
    pub(crate) unsafe fn give_back(&self, place: NonNull<u8>, layout: Layout) {
        if layout.size() > 0 {
            self.with(|state| state.give_back(place, layout.size()));
        }
    }

    /// All statistics.
    pub fn stats(&self) -> ArenaStats {
        self.with(|state| ArenaStats {
            capacity: state.regions.iter().map(|region| region.len).sum(),
            used: state.used(),
            peak: state.peak,
            allocs: state.allocs,
            resets: state.resets,
            regions: state.regions.len(),
        })
    }
}
