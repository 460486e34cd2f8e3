//! The arena: bump allocation over regions that the caller gives, and bulk reset.
//!
//! # Layout
//! ```text
//! first region   | state | used | free |      further regions   | used | free |
//! ```
//!
//! # Invariants
//! 1. `used <= len` of every region; what was handed out lies in `base .. base + used`.
//! 2. Between two resets no byte is handed out twice, but for the last allocation of a region, which
//!    its owner may give back.
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

/// The most regions that an arena can have.
pub const ARENA_REGIONS_MAX: usize = 8;

const MAGIC: u64 = u64::from_le_bytes(*b"LARDAREN");

#[derive(Clone, Copy, Debug)]
struct Region {
    base: NonNull<u8>,
    len: usize,
    used: usize,
}

/// What lies at the start of the first region.
pub(crate) struct State {
    magic: u64,
    regions: heapless::Vec<Region, ARENA_REGIONS_MAX>,
    peak: usize,
    allocs: u64,
    resets: u64,
}

/// Bytes, all of them exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ArenaStats {
    /// Bytes that can be handed out, over all regions.
    pub capacity: usize,
    /// Bytes handed out, padding included.
    pub used: usize,
    /// The most that `used` ever was; a reset does not lower it.
    pub peak: usize,
    /// Allocations since the start.
    pub allocs: u64,
    /// Resets since the start.
    pub resets: u64,
    /// Regions.
    pub regions: usize,
}

/// A bump allocator inside regions that the caller gave. One thread at a time.
///
/// `&Arena` is an [`Allocator`](crate::allocator_api2::alloc::Allocator): collections can live in it.
#[derive(Debug)]
pub struct Arena<'r> {
    state: NonNull<UnsafeCell<State>>,
    /// Not to be shortened, since regions can be added.
    region: PhantomData<Cell<&'r mut [u8]>>,
}

impl Region {
    /// Where the next allocation starts, and where it ends.
    fn place(&self, size: usize, align: usize) -> Option<(usize, usize)> {
        let address = self.base.as_ptr() as usize;
        let start = address.checked_add(self.used)?.checked_add(align - 1)? & !(align - 1);
        let at = start - address;
        let end = at.checked_add(size)?;
        (end <= self.len).then_some((at, end))
    }

    /// Whether the allocation would fit if the region were empty.
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
            // SAFETY: at < len of the caller's region.
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

    /// Takes back the last allocation of a region; any other stays until the reset.
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
    /// `Misaligned` unless it starts at a multiple of [`ALIGN`]; `NoMemory` where it is too small
    /// for the arena's own state.
    pub fn new(region: &'r mut [u8]) -> Result<Self> {
        let len = region.len();
        // SAFETY: the region is borrowed for as long as the arena lives.
        unsafe { Self::new_at(NonNull::from(region).cast(), len) }
    }

    /// # Safety
    /// `base .. base + len` is memory that nobody else touches for `'r`.
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
        // Its capacity is not 0: this cannot fail.
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
        // SAFETY: cut above, aligned to ALIGN.
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
    /// `state` is what [`Arena::as_ptr`] gave, and its regions are still the arena's.
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
        // SAFETY: written in `new_at`, and not moved.
        let cell = unsafe { self.state.as_ref() };
        // SAFETY: an arena is not `Sync`, and `call` does not reach it again.
        call(unsafe { &mut *cell.get() })
    }

    /// Gives the arena another region to hand out, which lives as long as the first one:
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
    /// `Misaligned` as in [`Arena::new`]; `NoMemory` for one of less than [`ALIGN`] bytes, or where
    /// the arena has [`ARENA_REGIONS_MAX`] already.
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

    /// The next `size` bytes, aligned to `align`, a power of two. They hold whatever was there.
    ///
    /// # Errors
    /// `Invalid` for a size of 0 or another alignment; `TooLarge` where no region could hold it even
    /// if empty; `NoMemory` where too little is left.
    ///
    /// # Time
    /// O([`ARENA_REGIONS_MAX`]).
    pub fn alloc(&self, size: usize, align: usize) -> Result<NonNull<u8>> {
        self.with(|state| state.alloc(size, align))
    }

    /// Takes everything back at once; regions and peak stay. `&mut` proves that nothing is in use.
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

    /// Memory for a collection.
    pub(crate) fn take(&self, layout: Layout) -> Option<NonNull<[u8]>> {
        let place = match layout.size() {
            0 => NonNull::new(core::ptr::without_provenance_mut(layout.align()))?,
            size => self.alloc(size, layout.align()).ok()?,
        };
        Some(NonNull::slice_from_raw_parts(place, layout.size()))
    }

    /// Takes a collection's memory back.
    ///
    /// # Safety
    /// [`Arena::take`] gave `place` for this layout, and its owner is done with it.
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
