//! The pool's size classes: the slot sizes of its pages. Each class is a slab with its own counters.
//!
//! # Layout
//! ```text
//! slots of a page   .. | 20 | 18 | 16 | 15 | 14 | .. | 3 | 2 | 1        for 8 classes an octave
//! bytes of a slot   page size / slots of a page, rounded down to 16
//! ```
//!
//! # Invariants (walked by [`Classes::check`])
//! 1. Slot sizes ascend and are multiples of [`ALIGN`]. The largest is the page size.
//! 2. A page has less than [`ALIGN`] unused bytes for each of its slots.
//! 3. The invariants of each slab.

#![forbid(unsafe_code)]

use crate::page::{GRANULE, Pages};
use crate::region::{ALIGN, Cutter, Table};
use crate::slab::Slab;

const SLOT_SIZE_MIN: usize = 32;
const PAGE_SHIFT_MIN: u32 = 8;
pub(crate) const PAGE_SHIFT_MAX: u32 = 18;

// A slot's number has 16 bits, and one number means "none".
const _: () = assert!((1 << PAGE_SHIFT_MAX) / SLOT_SIZE_MIN < u16::MAX as usize);

/// The page size for `area` bytes, as a shift. The size is three to six times the square root of the area.
/// So the descriptors take few bytes, and each class can have its own pages.
pub(crate) fn page_shift_for(area: u64) -> u32 {
    let mut shift = PAGE_SHIFT_MIN;
    // The next page size is at most sqrt(32 * area).
    while shift < PAGE_SHIFT_MAX && area >> (2 * shift - 3) != 0 {
        shift += 1;
    }
    shift
}

/// The slot sizes of a page of `1 << page_shift` bytes, ascending.
fn slot_sizes(page_shift: u32) -> impl Iterator<Item = usize> {
    let page = 1 << page_shift;
    let first = fill_page(page_shift, SLOT_SIZE_MIN);
    core::iter::successors(Some(first), move |&size| {
        (size < page).then(|| fill_page(page_shift, size + ALIGN))
    })
}

/// The slot size for blocks of `size` bytes, at most a page. Small pages have few classes; large pages have
/// many, so they round sizes less.
fn fill_page(page_shift: u32, size: usize) -> usize {
    let octave_shift = match page_shift {
        ..=8 => 1,
        9..=10 => 2,
        11..=13 => 3,
        _ => 4,
    };
    let slots = (1usize << page_shift).checked_div(size).unwrap_or(0).max(1);
    let dropped = slots.ilog2().saturating_sub(octave_shift);
    (1usize << page_shift)
        .checked_div(slots >> dropped << dropped)
        .map_or(size, |whole| whole & !(ALIGN - 1))
}

/// Statistics of one size class of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PoolClassStats {
    /// Bytes of a slot, of which a block's own header takes 16.
    pub slot_size: usize,
    /// Slots in a page.
    pub slots_per_page: usize,
    /// Pages of the class.
    pub pages: usize,
    /// Slots in use.
    pub used: usize,
    /// Slots free in the class's pages.
    pub free: usize,
    /// Slots allocated since the pool was made.
    pub allocs: u64,
    /// Allocations among `allocs` whose bytes had been used before.
    pub reuses: u64,
}

/// Allocations so far (`allocs`), and those among them whose bytes had been used before (`reuses`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) allocs: u64,
    pub(crate) reuses: u64,
}

impl Count {
    pub(crate) fn add(&mut self, reused: bool) {
        self.allocs += 1;
        self.reuses += u64::from(reused);
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            allocs: self.allocs + other.allocs,
            reuses: self.reuses + other.reuses,
        }
    }
}

/// One size class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    pub(crate) slab: Slab,
    pub(crate) count: Count,
}

impl Class {
    pub(crate) fn slot_size(&self) -> usize {
        self.slab.slot_granules() as usize * GRANULE
    }

    /// Bytes of free slots in the class's pages.
    pub(crate) fn free_size(&self) -> usize {
        self.slab.free_slots() as usize * self.slot_size()
    }

    pub(crate) fn used_size(&self) -> usize {
        self.slab.used as usize * self.slot_size()
    }

    pub(crate) fn stats(&self) -> PoolClassStats {
        PoolClassStats {
            slot_size: self.slot_size(),
            slots_per_page: self.slab.per_page() as usize,
            pages: self.slab.pages as usize,
            used: self.slab.used as usize,
            free: self.slab.free_slots() as usize,
            allocs: self.count.allocs,
            reuses: self.count.reuses,
        }
    }
}

/// All size classes, by ascending slot size.
#[derive(Debug)]
pub(crate) struct Classes {
    table: Table<Class>,
    /// The class for each size, indexed by the size in units of [`ALIGN`] bytes.
    by_size: Table<u8>,
}

impl Classes {
    /// Bytes that [`Classes::new`] cuts.
    pub(crate) fn size(page_shift: u32) -> Option<usize> {
        let table = Table::<Class>::size(slot_sizes(page_shift).count())?;
        table.checked_add(Table::<u8>::size((1 << page_shift) / ALIGN + 1)?)
    }

    /// The classes for pages of `1 << page_shift` bytes.
    pub(crate) fn new(cutter: &mut Cutter, page_shift: u32) -> Option<Self> {
        let page = 1 << page_shift;
        let class = |size: usize| Class {
            slab: Slab::new((size / GRANULE) as u32, (page / GRANULE) as u32),
            count: Count::default(),
        };
        let mut table = cutter.table(slot_sizes(page_shift).count() as u32, class(page))?;
        let mut by_size = cutter.table((page / ALIGN) as u32 + 1, 0)?;
        let mut next = 0;
        for (number, size) in (0..).zip(slot_sizes(page_shift)) {
            *table.at_mut(number) = class(size);
            while next <= (size / ALIGN) as u32 {
                *by_size.at_mut(next) = number as u8;
                next += 1;
            }
        }
        Some(Self { table, by_size })
    }

    pub(crate) fn len(&self) -> u32 {
        self.table.len()
    }

    pub(crate) fn get(&self, class: u32) -> &Class {
        self.table.at(class)
    }

    pub(crate) fn get_mut(&mut self, class: u32) -> &mut Class {
        self.table.at_mut(class)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Class> {
        (0..self.len()).map(|class| self.get(class))
    }

    /// The class with the smallest slots of at least `size` bytes; `size` is at most a page. O(1).
    pub(crate) fn find(&self, size: usize) -> u32 {
        u32::from(*self.by_size.at(size.div_ceil(ALIGN) as u32))
    }

    /// Whether every class's counts agree with the pages. O(classes * pages).
    pub(crate) fn check(&self, pages: &Pages) -> bool {
        (0..self.len()).all(|class| {
            let mine = |page| u32::from(pages.get(page).era) == class;
            self.get(class).slab.check(pages, mine)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::with_cutter;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn page_size_follows_the_area() {
        let shifts = [4 << 10, 64 << 10, 1 << 20, 64 << 20].map(page_shift_for);
        assert_eq!(shifts, [8, 10, 12, 15]);
        assert_eq!(page_shift_for(1 << 34), PAGE_SHIFT_MAX);
    }

    #[test]
    fn slot_sizes_ascend_to_the_page_and_fill_it() {
        for shift in PAGE_SHIFT_MIN..=PAGE_SHIFT_MAX {
            let sizes: Vec<usize> = slot_sizes(shift).collect();
            assert!(sizes.is_sorted_by(|a, b| a < b), "{shift}: {sizes:?}");
            assert_eq!((sizes[0], sizes.last()), (32, Some(&(1 << shift))));
            assert!(sizes.len() < 160, "{shift}: {} classes", sizes.len());
            for size in sizes {
                let slots = (1 << shift) / size;
                let unused = (1 << shift) - slots * size;
                assert!(
                    size % ALIGN == 0 && unused < ALIGN * slots,
                    "{shift}: {size}"
                );
            }
        }
    }

    #[test]
    fn a_block_gets_the_smallest_slot_that_holds_it() {
        for shift in PAGE_SHIFT_MIN..=14 {
            let classes = with_cutter(32 << 10, |cutter| {
                let classes = Classes::new(cutter, shift).unwrap();
                let sizes: Vec<usize> = classes.iter().map(Class::slot_size).collect();
                for size in 1..=1 << shift {
                    let found = classes.find(size) as usize;
                    assert_eq!(found, sizes.partition_point(|&slot| slot < size));
                }
                sizes
            });
            assert!(slot_sizes(shift).eq(classes));
        }
    }
}
