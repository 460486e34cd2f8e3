//! Size classes: how large a page is, which slot sizes pages are cut into, and which class a size
//! belongs to. Pure arithmetic.
//!
//! A page is cut into equal slots with nothing between them, so a slot size is always the largest
//! one of which the same number fits in a page: the page tail stays below `4 * slots` bytes. Where an
//! owner wants it, a page of many items ends with a plane, a bit for each slot.
//!
//! # Source
//! Size classes within a page: J. Bonwick, "The Slab Allocator", USENIX Summer 1994.

use core::num::NonZeroU32;

/// Largest slot: the item header has 13 bits for the length of a value.
const SLOT_SIZE_MAX: u32 = 8184;
/// Bytes of pages that the ids of one shard reach: 32 bits of words of four bytes, less what is used
/// up by the number that means "none".
pub(crate) const AREA_MAX: u64 = (1 << 34) - (1 << 26);
const PAGE_SHIFT_MIN: u32 = 8;
const PAGE_SHIFT_MAX: u32 = 20;

// Pages are numbered in 16 bits, and one number means "none".
const _: () = assert!(AREA_MAX >> PAGE_SHIFT_MAX < 65_535);

/// How one page area is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// Page size is `1 << page_shift` bytes.
    pub(crate) page_shift: u32,
    /// Largest slot that an item takes, in bytes.
    pub(crate) slot_size_max: u32,
    /// Slot sizes are multiples of this many bytes, and the smallest is `slot_size_min`.
    granule: u32,
    slot_size_min: u32,
    /// Whether each page of items has a plane: one bit for each slot.
    planes: bool,
}

/// Slots whose bits make a word of a plane.
pub(crate) const PLANE_BITS: u32 = 32;

impl Geometry {
    /// Pages of three to six times the square root of the area: few enough pages that their
    /// descriptors stay small, enough pages that each size class can have some of its own.
    pub(crate) fn for_area(area: usize) -> Self {
        let area = (area as u64).min(AREA_MAX);
        let mut page_shift = PAGE_SHIFT_MIN;
        // The next page size is at most sqrt(32 * area).
        while page_shift < PAGE_SHIFT_MAX && area >> (2 * page_shift - 3) != 0 {
            page_shift += 1;
        }
        Self::with_page_shift(page_shift)
    }

    pub(crate) fn with_page_shift(page_shift: u32) -> Self {
        let share = match page_shift {
            ..=10 => 2,
            11 => 4,
            12 => 8,
            _ => 16,
        };
        let slot_size_max = ((1u32 << page_shift) / share).min(SLOT_SIZE_MAX);
        let slot_size_min = if page_shift <= 9 { 16 } else { 12 };
        Self {
            page_shift,
            slot_size_max: slot_size_max & !3,
            granule: 4,
            slot_size_min,
            planes: false,
        }
    }

    /// The same, with or without planes.
    pub(crate) fn planes(self, planes: bool) -> Self {
        Self { planes, ..self }
    }

    pub(crate) fn has_planes(self) -> bool {
        self.planes
    }

    /// For the blocks of a pool: up to a whole page, aligned.
    pub(crate) fn for_blocks(area: usize) -> Self {
        let Self { page_shift, .. } = Self::for_area(area);
        Self {
            page_shift,
            slot_size_max: 1 << page_shift,
            granule: 16,
            slot_size_min: 32,
            planes: false,
        }
    }

    pub(crate) fn page_size(self) -> usize {
        1 << self.page_shift
    }

    /// The item slot sizes, ascending; the last one is `slot_size_max`.
    pub(crate) fn slot_sizes(self) -> SlotSizes {
        SlotSizes {
            geometry: self,
            size: self.slot_size_min,
        }
    }

    /// Slots of something other than items in a page.
    pub(crate) fn slots_per_page(self, slot_size: NonZeroU32) -> u32 {
        ((1u32 << self.page_shift) / slot_size).min(u16::MAX as u32 - 1)
    }

    /// Item slots in a page, beside their plane.
    pub(crate) fn items_per_page(self, slot_size: NonZeroU32) -> u32 {
        let mut slots = self.slots_per_page(slot_size);
        while slots * slot_size.get() + self.plane_size(slots) > 1 << self.page_shift {
            // Eight times as many bits as bytes: a slot and its bit. Whole words may be one too many.
            slots = ((8 << self.page_shift) / (slot_size.get() * 8 + 1)).min(slots - 1);
        }
        slots
    }

    /// Bytes of the plane for so many slots: a page of few has it in its descriptor.
    fn plane_size(self, slots: u32) -> u32 {
        if self.planes && slots > PLANE_BITS {
            slots.div_ceil(PLANE_BITS) * 4
        } else {
            0
        }
    }

    /// Where to look for the slot size behind this one: small pages want few classes, large ones
    /// little rounding.
    fn next_size(self, size: u32) -> u32 {
        let (granule, share) = match self.page_shift {
            ..=8 => (16, 2),
            9..=10 => (8, 4),
            11..=13 => (8, 8),
            _ if size < 256 => (4, 64),
            // One slot in 32 fewer in a page, down to one slot fewer: no size between would do.
            _ => return self.with_fewer_slots(size),
        };
        size + granule.max(size / share).max(self.granule)
    }

    fn with_fewer_slots(self, size: u32) -> u32 {
        let slots = self.items_per_page(NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN));
        let fewer = slots.saturating_sub((slots / 32).max(1));
        match NonZeroU32::new(fewer) {
            Some(fewer) => (self.room_for(fewer) / fewer).max(size + self.granule),
            None => self.slot_size_max,
        }
    }

    /// The largest size of the granule of which as many fit in a page.
    fn fill_page(self, size: u32) -> u32 {
        let size = NonZeroU32::new(size).unwrap_or(NonZeroU32::MIN);
        let slots = NonZeroU32::new(self.items_per_page(size)).unwrap_or(NonZeroU32::MIN);
        (self.room_for(slots) / slots) & !(self.granule - 1)
    }

    /// Bytes of a page that so many slots can share.
    fn room_for(self, slots: NonZeroU32) -> u32 {
        (1u32 << self.page_shift) - self.plane_size(slots.get())
    }
}

/// Iterator over the item slot sizes of a [`Geometry`].
#[derive(Clone, Debug)]
pub(crate) struct SlotSizes {
    geometry: Geometry,
    size: u32,
}

impl Iterator for SlotSizes {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let last = self.geometry.slot_size_max;
        if self.size > last {
            return None;
        }
        let filled = self.geometry.fill_page(self.size).min(last);
        let next = self.geometry.next_size(filled);
        // The last class is `slot_size_max` itself, whatever the step.
        self.size = if filled < last {
            (next & !(self.geometry.granule - 1)).min(last)
        } else {
            last + 1
        };
        Some(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn page_size_follows_the_area() {
        let shift = |area: usize| Geometry::for_area(area).page_shift;
        assert_eq!(shift(4 << 10), 8);
        assert_eq!(shift(64 << 10), 10);
        assert_eq!(shift(1 << 20), 12);
        assert_eq!(shift(64 << 20), 15);
        assert!(shift(usize::MAX) <= PAGE_SHIFT_MAX);
    }

    #[test]
    fn slot_sizes_ascend_to_the_largest_and_fill_the_page() {
        for page_shift in PAGE_SHIFT_MIN..=PAGE_SHIFT_MAX {
            for planes in [false, true] {
                let geometry = Geometry::with_page_shift(page_shift).planes(planes);
                let sizes: Vec<u32> = geometry.slot_sizes().collect();
                assert!(
                    sizes.windows(2).all(|w| w[0] < w[1]),
                    "{page_shift}: {sizes:?}"
                );
                assert_eq!(*sizes.last().unwrap(), geometry.slot_size_max);
                assert!(sizes.iter().all(|s| s % 4 == 0));
                assert!(sizes.len() < 200, "{} classes", sizes.len());
                // The largest slot is bounded by the item header, not by the page.
                for &size in sizes.iter().filter(|&&size| size < SLOT_SIZE_MAX) {
                    let slots = geometry.items_per_page(NonZeroU32::new(size).unwrap());
                    let plane = if planes && slots > 32 {
                        slots.div_ceil(32) * 4
                    } else {
                        0
                    };
                    let tail = (1u32 << page_shift) - plane - slots * size;
                    assert!(tail < 4 * slots, "{page_shift}: slot {size} leaves {tail}");
                }
            }
        }
    }
}
