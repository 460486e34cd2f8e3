//! How a part of a region is divided, and what fits in it: a shard's layout, without the memory.

#![forbid(unsafe_code)]

use crate::class::Geometry;
use crate::index::Plan;
use crate::item::{Format, Items};
use crate::limits;
use crate::pins::Pins;
use crate::policy::Policy;
use crate::shard::Setup;
use crate::slab::Slab;
use core::num::NonZeroU32;

/// Shards of fewer pages than this keep no free page in reserve.
const RESERVE_PAGES_MIN: u32 = 64;

/// How a part of a region is divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    pub(crate) geometry: Geometry,
    pub(crate) plan: Plan,
    pub(crate) classes: u8,
    /// Bytes left for pages and their descriptors.
    pub(crate) left: usize,
    format: Format,
    pins_max: usize,
    key_len_max: usize,
}

/// What a part of a region is to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) items: u64,
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
    pub(crate) ttl: bool,
}

impl Footprint {
    pub(crate) fn of(part: usize, setup: &Setup) -> Option<Self> {
        let geometry = Geometry::for_area(part).planes(Policy::uses_planes(setup.policy));
        let plan = Plan::new(geometry.page_size(), part, setup.policy.remembers());
        let classes = geometry.slot_sizes().count() as u8;
        let tables = plan.table_size()?.checked_add(Policy::table_size(
            setup.policy,
            usize::from(classes),
            part,
        )?)?;
        let left = part.checked_sub(tables)?;
        Some(Self {
            geometry,
            plan,
            classes,
            left,
            format: setup.format,
            pins_max: setup.pins_max,
            key_len_max: setup.key_len_max,
        })
    }

    fn pages(&self) -> u64 {
        let extras = self.plan.extras().len();
        u64::from(Slab::page_count_for(self.geometry, self.left, extras).unwrap_or(0))
    }

    pub(crate) fn reserve(pages: u64) -> u64 {
        u64::from(pages >= u64::from(RESERVE_PAGES_MIN))
    }

    /// Pages for `slots` slots of this size, of the index's.
    fn pages_for(&self, slots: u64, size: usize) -> u64 {
        let size = NonZeroU32::new(size as u32).unwrap_or(NonZeroU32::MIN);
        slots.div_ceil(u64::from(self.geometry.slots_per_page(size)).max(1))
    }

    /// Pages for `slots` item slots of this size.
    fn item_pages_for(&self, slots: u64, size: usize) -> u64 {
        let size = NonZeroU32::new(size as u32).unwrap_or(NonZeroU32::MIN);
        slots.div_ceil(u64::from(self.geometry.items_per_page(size)).max(1))
    }

    /// Pages that the index needs at least: its first two segments, and a chunk.
    pub(crate) fn index_pages(&self) -> u64 {
        let [segment, _] = self.plan.extras().map(|extra| extra.size as usize);
        self.pages_for(2, segment) + 1
    }

    /// Pages for the table of what is held, where its size was asked for; `None` where no slot holds it.
    fn pins_pages(&self) -> Option<u64> {
        let fit = Pins::fit(self.geometry.slot_size_max as usize);
        (self.pins_max <= fit).then_some(u64::from(self.pins_max > 0))
    }

    /// The longest key: what the configuration allows and a slot can hold.
    pub(crate) fn key_len_max(&self) -> usize {
        limits::key_len_max(self.format, self.slot_max()).min(self.key_len_max)
    }

    /// Whether one item of these lengths is not too large where `pages` pages may be used.
    fn allows(&self, needs: &Needs, pages: u64) -> bool {
        let pages = pages.saturating_sub(self.index_pages());
        let slot = NonZeroU32::new(self.slot_max() as u32).unwrap_or(NonZeroU32::MIN);
        let slots = limits::pages_for_value(pages as usize)
            .saturating_mul(self.geometry.items_per_page(slot) as usize);
        let key = self.key_len_max();
        let value = limits::value_len_max(self.format, self.slot_max(), slots, key);
        needs.key_len <= key && needs.value_len <= value
    }

    fn slot_max(&self) -> usize {
        self.geometry.slot_size_max as usize & !3
    }

    /// Pages that may be used under a limit for the part.
    fn pages_under(&self, part: usize, limit: usize) -> u64 {
        let pages = self.pages();
        let unused = part.saturating_sub(limit) as u64;
        pages.saturating_sub(unused.div_ceil(1 << self.geometry.page_shift))
    }

    /// The lowest limit under which one item fits beside fixed parts and index; `None` where the part
    /// is too small for that.
    pub(crate) fn limit_min(&self, part: usize) -> Option<usize> {
        self.pins_pages()?;
        let (pages, needed) = (self.pages(), self.index_pages() + 1);
        let fixed = part.checked_sub((pages as usize) << self.geometry.page_shift)?;
        (pages >= needed).then(|| fixed + ((needed as usize) << self.geometry.page_shift))
    }

    /// Whether a part of this size keeps all of that under a limit.
    pub(crate) fn holds(&self, needs: &Needs, part: usize, limit: usize) -> bool {
        let pages = self.pages_under(part, limit);
        if needs.items == 0 {
            return self.limit_min(part).is_some_and(|least| least <= limit);
        }
        if !self.allows(needs, pages) {
            return false;
        }
        let [segment, chunk] = self.plan.extras().map(|extra| extra.size as usize);
        // Loads lie between half of the load that splits a segment and all of it, 0.72 on average.
        let per_segment = (self.plan.buckets().split_at() as u64 * 11 / 20).max(1);
        let segments = needs.items / per_segment + 4;
        let chunks = self.plan.chunks_for(segments);
        let index = self.pages_for(segments, segment) + self.pages_for(chunks, chunk);
        let Some((head, parts, last)) = self.slots_of(needs) else {
            return false;
        };
        let items = [(head, 1), (self.slot_max(), parts), (last, 1)]
            .map(|(size, count)| match size {
                0 => 0,
                _ => self.item_pages_for(needs.items.saturating_mul(count), size),
            })
            .into_iter()
            .fold(0, u64::saturating_add);
        let Some(pins) = self.pins_pages() else {
            return false;
        };
        pages >= items.saturating_add(index + pins + Self::reserve(pages))
    }

    /// Size of an item's first slot, number of full parts behind it, size of its last part.
    fn slots_of(&self, needs: &Needs) -> Option<(usize, u64, usize)> {
        let items = Items {
            format: self.format,
        };
        let largest = self.slot_max();
        let class = |size: usize| {
            self.geometry
                .slot_sizes()
                .map(|s| s as usize)
                .find(|&s| s >= size)
        };
        let (head, full, last) =
            items.division(largest, needs.key_len, needs.value_len, needs.ttl)?;
        Some((
            class(head.min(largest))?,
            full as u64,
            if last > 0 { class(last)? } else { 0 },
        ))
    }
}
