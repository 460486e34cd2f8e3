//! The pool's blocks: their slots and pages, and the free bytes.
//!
//! # Layout
//! ```text
//! cut         | classes | descriptors | pages |
//! block       | BLOCK | generation | size with these 16 bytes, 64 bits | data, aligned to 16 .. |
//! free slot   | number of the next free slot | zero ..
//! descriptor  slab: era = class, mark = the page was recycled; run: live = pages of the run in the first page
//! ```
//! A block of up to a page takes a slot of a size class. A larger one takes a run of neighbouring pages.
//!
//! # Invariants (walked by [`Blocks::check`])
//! 1. The invariants of the pages and of the classes. A page belongs to a class or to a run, or it is free.
//! 2. Each slot in use, and each run, begins with a header. The header's generation equals the one that the
//!    block's owner got, so a second release of the block is detected.
//! 3. `used` counts the bytes of blocks; `free` counts the bytes of free slots and free pages.
//! 4. No page from `cut` on was ever taken. These pages are the end of the free list, in ascending order.

#![forbid(unsafe_code)]

use crate::class::{Classes, Count, PAGE_SHIFT_MAX, PoolClassStats, page_shift_for};
use crate::page::{Descriptor, GRANULE, Id, Owner, PAGES_MAX, Page, Pages};
use crate::region::{ALIGN, Cutter};
use crate::status::{Error, Result};
use core::ptr::NonNull;

/// Bytes of a block's header.
pub(crate) const HEAD: usize = 16;
/// The first word of a block in use. The first word of a free slot is at most `u16::MAX`.
const BLOCK: u32 = u32::from_le_bytes(*b"BLCK");
/// The largest region that a 32-bit id of granules can address.
pub(crate) const SIZE_MAX: u64 = 1 << 34;

const _: () = assert!(BLOCK > u16::MAX as u32);
const _: () = assert!(SIZE_MAX / ((1 << PAGE_SHIFT_MAX) + 16) <= PAGES_MAX as u64);

/// A pool's statistics. `used_size + free_size + overhead_size == total_size`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PoolStats {
    /// Blocks allocated since the pool was made.
    pub allocations: u64,
    /// Allocations whose bytes had been used before.
    pub reuses: u64,
    /// Allocations that took bytes never used before.
    pub misses: u64,
    /// Blocks freed.
    pub releases: u64,
    /// Allocations that failed with `NoMemory`.
    pub failures: u64,
    /// Bytes of the region.
    pub total_size: usize,
    /// Bytes of the slots and runs of allocated blocks.
    pub used_size: usize,
    /// Bytes of free slots and free pages.
    pub free_size: usize,
    /// Bytes of the pool's state, its tables and the unused ends of pages.
    pub overhead_size: usize,
    /// The highest sum of used and overhead bytes so far.
    pub peak_used_size: usize,
    /// Number of size classes.
    pub class_count: u32,
    /// Bytes of a page.
    pub page_size: u32,
    /// Number of pages.
    pub page_count: u32,
    /// Pages without a block.
    pub pages_free: u32,
}

/// The slot or run of a new block.
struct Place {
    id: Id,
    size: usize,
    /// An earlier use of the page may have left words in these bytes.
    dirty: bool,
}

/// The pages, and the blocks in them.
#[derive(Debug)]
pub(crate) struct Blocks {
    pages: Pages,
    classes: Classes,
    runs: Count,
    releases: u64,
    failures: u64,
    region: usize,
    used: usize,
    free: usize,
    /// The highest value of `region - free` so far.
    peak: usize,
    cut: u32,
    generation: u32,
    keep_on_free: bool,
}

impl Blocks {
    /// Cuts tables and pages from the rest of a region of `region` bytes.
    pub(crate) fn new(cutter: &mut Cutter, region: usize, keep_on_free: bool) -> Option<Self> {
        let shift = page_shift_for(region.checked_sub(cutter.used())? as u64);
        // `ALIGN` bytes cover the padding between the tables and the pages.
        let fixed = cutter.used() + Classes::size(shift)? + ALIGN;
        let count = region.checked_sub(fixed)? / ((1 << shift) + size_of::<Descriptor>());
        if count == 0 {
            return None;
        }
        let classes = Classes::new(cutter, shift)?;
        let table = cutter.table(count as u32, Descriptor::FREE)?;
        let bytes = cutter.bytes(count << shift)?;
        let free = bytes.len();
        let mut pages = Pages::new(bytes, table, 0, shift - GRANULE.trailing_zeros(), false);
        pages.collect_free();
        Some(Self {
            pages,
            classes,
            runs: Count::default(),
            releases: 0,
            failures: 0,
            region,
            used: 0,
            free,
            peak: region - free,
            cut: 0,
            generation: 0,
            keep_on_free,
        })
    }

    pub(crate) fn alloc(&mut self, size: usize) -> Result<(NonNull<u8>, usize, u32)> {
        if size == 0 {
            return Err(Error::Invalid);
        }
        let total = size
            .checked_add(HEAD)
            .filter(|&total| total <= self.pages.bytes().len())
            .ok_or(Error::TooLarge)?;
        let Some(place) = self.place(total) else {
            self.failures += 1;
            return Err(Error::NoMemory);
        };
        if place.dirty {
            self.zero(place.id, place.size);
        }
        self.used += place.size;
        self.free -= place.size;
        self.peak = self.peak.max(self.region - self.free);
        self.generation = self.generation.wrapping_add(1);
        self.write_head(place.id, total);
        let (at, capacity) = (place.id.0 as usize * GRANULE + HEAD, place.size - HEAD);
        let data = self.pages.bytes().pointer(at, capacity);
        debug_assert!(data.is_some(), "a place lies inside the pages");
        Ok((data.ok_or(Error::Corrupt)?, capacity, self.generation))
    }

    fn place(&mut self, total: usize) -> Option<Place> {
        let page_size = self.pages.page_size();
        if total <= page_size {
            self.take_slot(self.classes.find(total))
        } else {
            self.take_run(self.pages.whole(total - 1) as u32 + 1)
        }
    }

    /// Takes a slot of the class `number`. O(1).
    fn take_slot(&mut self, number: u32) -> Option<Place> {
        let slab = &mut self.classes.get_mut(number).slab;
        let (pages_before, rest) = (slab.pages, slab.page_rest(&self.pages));
        let (id, was_used) = slab.alloc(&mut self.pages)?;
        let page = self.pages.page_of(id);
        if slab.pages != pages_before {
            let recycled = self.touch(page, 1);
            let descriptor = self.pages.get_mut(page);
            (descriptor.era, descriptor.mark) = (number as u16, u8::from(recycled));
            self.free -= rest as usize * GRANULE;
        }
        let recycled = self.pages.get(page).mark != 0;
        let class = self.classes.get_mut(number);
        class.count.add(was_used || recycled);
        Some(Place {
            id,
            size: class.slot_size(),
            dirty: recycled && !was_used,
        })
    }

    /// Takes a run of `count` pages. O(pages).
    fn take_run(&mut self, count: u32) -> Option<Place> {
        let first = self.pages.take_run(count, Owner::Chain)?;
        self.pages.get_mut(first).live = count as u16;
        let recycled = self.touch(first, count);
        self.runs.add(recycled);
        Some(Place {
            id: Id(self.pages.start_of(first)),
            size: count as usize * self.pages.page_size(),
            dirty: recycled,
        })
    }

    /// Records that pages were taken. Returns whether any of them had been taken before.
    fn touch(&mut self, first: Page, count: u32) -> bool {
        let first = u32::from(first.0);
        debug_assert!(first <= self.cut, "inv. 4");
        let recycled = first < self.cut;
        self.cut = self.cut.max(first + count);
        recycled
    }

    fn zero(&mut self, id: Id, size: usize) {
        if !self.keep_on_free {
            self.pages.bytes_mut().zero(id.0 as usize * GRANULE, size);
        }
    }

    fn write_head(&mut self, id: Id, total: usize) {
        let (low, high) = (total as u32, (total as u64 >> 32) as u32);
        for (at, word) in (id.0..).zip([BLOCK, self.generation, low, high]) {
            self.pages.set_word(at, word);
        }
    }

    /// The size in a block's header.
    fn total_of(&self, id: Id) -> u64 {
        u64::from(self.pages.word(id.0 + 2)) | u64::from(self.pages.word(id.0 + 3)) << 32
    }

    /// Bytes of the slot or run that begins at `id`, in a page in use.
    fn size_of(&self, id: Id) -> usize {
        let descriptor = self.pages.get(self.pages.page_of(id));
        match descriptor.owner {
            Owner::Slab => self.classes.get(descriptor.era.into()).slot_size(),
            _ => usize::from(descriptor.live) * self.pages.page_size(),
        }
    }

    /// The block in use whose data begins at the address `data`.
    fn block_at(&self, data: usize) -> Option<Id> {
        let base = self.pages.bytes().pointer(0, 0)?.as_ptr() as usize;
        let offset = data.checked_sub(HEAD)?.checked_sub(base)?;
        if offset >= self.pages.bytes().len() || !offset.is_multiple_of(ALIGN) {
            return None;
        }
        let id = Id((offset / GRANULE) as u32);
        let page = self.pages.page_of(id);
        let descriptor = self.pages.get(page);
        let begins = match descriptor.owner {
            Owner::Slab => {
                let class = self.classes.get(descriptor.era.into());
                class.slab.begins_at(&self.pages, id)
            }
            Owner::Chain => descriptor.live > 0 && self.pages.start_of(page) == id.0,
            _ => false,
        };
        (begins && self.pages.word(id.0) == BLOCK).then_some(id)
    }

    pub(crate) fn release(&mut self, data: usize, generation: u32) -> Result<()> {
        let id = self
            .block_at(data)
            .filter(|id| self.pages.word(id.0 + 1) == generation)
            .ok_or(Error::Stale)?;
        let size = self.size_of(id);
        self.zero(id, size);
        self.releases += 1;
        self.used -= size;
        self.free += size;
        let page = self.pages.page_of(id);
        let descriptor = *self.pages.get(page);
        if descriptor.owner == Owner::Slab {
            let slab = &mut self.classes.get_mut(descriptor.era.into()).slab;
            if slab.free(&mut self.pages, id) {
                self.free += slab.page_rest(&self.pages) as usize * GRANULE;
            }
        } else {
            self.pages.give_run(page, descriptor.live.into());
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let classes = self.classes.iter().map(|class| class.count);
        let count = classes.fold(self.runs, Count::plus);
        PoolStats {
            allocations: count.allocs,
            reuses: count.reuses,
            misses: count.allocs - count.reuses,
            releases: self.releases,
            failures: self.failures,
            total_size: self.region,
            used_size: self.used,
            free_size: self.free,
            overhead_size: self.region - self.free - self.used,
            peak_used_size: self.peak,
            class_count: self.classes.len(),
            page_size: self.pages.page_size() as u32,
            page_count: self.pages.count(),
            pages_free: self.pages.free_count(),
        }
    }

    pub(crate) fn class_stats(&self, class: u32) -> Option<PoolClassStats> {
        (class < self.classes.len()).then(|| self.classes.get(class).stats())
    }

    /// Whether all invariants hold. O(classes * pages + slots).
    pub(crate) fn check(&self) -> bool {
        let page_size = self.pages.page_size();
        let (mut run_pages, mut run_left) = (0, 0);
        for page in self.pages.all() {
            let descriptor = self.pages.get(page);
            let in_run = descriptor.owner == Owner::Chain;
            if in_run && run_left == 0 {
                run_left = usize::from(descriptor.live);
            }
            if (run_left > 0) != in_run || !self.check_page(page) {
                return false;
            }
            run_pages += usize::from(in_run);
            run_left -= usize::from(in_run);
        }
        let run_size = run_pages * page_size;
        let used: usize = self.classes.iter().map(|class| class.used_size()).sum();
        let free: usize = self.classes.iter().map(|class| class.free_size()).sum();
        let pages_free = self.pages.free_count() as usize * page_size;
        run_left == 0
            && (self.used, self.free) == (used + run_size, free + pages_free)
            && self.pages.check()
            && self.classes.check(&self.pages)
    }

    /// Whether the page's contents match its owner, and the blocks that begin in the page are sound.
    fn check_page(&self, page: Page) -> bool {
        let descriptor = self.pages.get(page);
        let is_sound = |id| {
            let total = self.total_of(id);
            total > HEAD as u64 && total <= self.size_of(id) as u64
        };
        let start = Id(self.pages.start_of(page));
        match descriptor.owner {
            Owner::Free => true,
            Owner::Chain if descriptor.live == 0 => u32::from(page.0) < self.cut,
            Owner::Chain => self.pages.word(start.0) == BLOCK && is_sound(start),
            Owner::Slab if u32::from(descriptor.era) < self.classes.len() => {
                let slab = &self.classes.get(descriptor.era.into()).slab;
                let in_use = |id: &Id| self.pages.word(id.0) == BLOCK;
                let mut blocks = slab.slots_of(&self.pages, page).filter(in_use);
                let sound = blocks.by_ref().take_while(|&id| is_sound(id)).count();
                u32::from(page.0) < self.cut
                    && sound == usize::from(descriptor.live)
                    && slab.check_page(&self.pages, page)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::with_cutter;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn each_broken_invariant_is_found() {
        with_cutter(16 << 10, |cutter| {
            let mut blocks = Blocks::new(cutter, 16 << 10, false).unwrap();
            let page_size = blocks.pages.page_size();
            for size in [40, 40, 40, page_size / 2, 3 * page_size] {
                blocks.alloc(size).unwrap();
            }
            let run = blocks.pages.all().find(|&p| blocks.pages.get(p).live == 4);
            let (slot, run) = (blocks.pages.start_of(Page(0)), run.unwrap());
            let mut assert_found = |what: &str, change: &dyn Fn(&mut Blocks, u32)| {
                assert!(blocks.check(), "before {what}");
                change(&mut blocks, 1);
                assert!(!blocks.check(), "{what}");
                change(&mut blocks, u32::MAX);
            };
            let add = |at: u32| {
                move |blocks: &mut Blocks, n: u32| {
                    let word = blocks.pages.word(at).wrapping_add(n);
                    blocks.pages.set_word(at, word);
                }
            };
            assert_found("a slot's header", &add(slot));
            assert_found("a block's size", &add(slot + 3));
            assert_found("used bytes", &|b, n| {
                b.used = b.used.wrapping_add_signed(n as i32 as isize)
            });
            assert_found("free bytes", &|b, n| {
                b.free = b.free.wrapping_add_signed(n as i32 as isize)
            });
            assert_found("a run's pages", &|b, n| {
                let live = &mut b.pages.get_mut(run).live;
                *live = live.wrapping_add(n as u16);
            });
            assert_found("a page's class", &|b, n| {
                let era = &mut b.pages.get_mut(Page(0)).era;
                *era = era.wrapping_add(n as u16);
            });
        });
    }

    #[test]
    fn a_header_that_an_owner_forged_is_not_a_block() {
        with_cutter(16 << 10, |cutter| {
            let mut blocks = Blocks::new(cutter, 16 << 10, true).unwrap();
            let page_size = blocks.pages.page_size();
            for size in [100, page_size, 3 * page_size] {
                let (data, capacity, generation) = blocks.alloc(size).unwrap();
                let data = data.as_ptr() as usize;
                let id = blocks.block_at(data).unwrap();
                let inside: Vec<u32> = (4..capacity as u32 / 4).step_by(4).collect();
                for at in &inside {
                    blocks.pages.set_word(id.0 + at, BLOCK);
                    blocks.pages.set_word(id.0 + at + 1, generation);
                }
                for at in inside {
                    let forged = data + at as usize * GRANULE;
                    assert_eq!(blocks.release(forged, generation), Err(Error::Stale));
                }
                assert!(blocks.check());
                assert_eq!(blocks.release(data, generation + 1), Err(Error::Stale));
                assert_eq!(blocks.release(data, generation), Ok(()));
                assert_eq!(blocks.release(data, generation), Err(Error::Stale));
                assert!(blocks.check() && blocks.used == 0);
            }
        });
    }
}
