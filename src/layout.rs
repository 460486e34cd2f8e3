//! The layout of a part of a region. Init, attach and `required_size` use the same arithmetic.
//!
//! # Layout
//! ```text
//! part   | policy tables | index tables | page descriptors | root segment | page 0 | page 1 | .. |
//! ```

#![forbid(unsafe_code)]

use crate::index::{Index, Plan};
use crate::item::{Format, HEAD_SIZE, Items, Shape};
use crate::page::{Descriptor, GRANULE, PAGES_MAX, Pages, Tables, shares};
use crate::policy::{Policy, PolicyKind};
use crate::region::{ALIGN, Cutter};
use crate::room::{PAGES_MIN, items_at_once, reserve_pages};

/// The maximum number of bytes of a part: all pages that its page table can number.
pub(crate) const PART_MAX: u64 = (PAGES_MAX as u64) << 16;

/// The configuration of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) policy: PolicyKind,
    /// Whether other limits are simulated.
    pub(crate) advises: bool,
    pub(crate) format: Format,
    pub(crate) zero_on_free: bool,
    pub(crate) seed: u64,
    pub(crate) key_len_max: usize,
    pub(crate) value_len_max: usize,
    pub(crate) default_ttl_ms: u64,
    pub(crate) grace_ms: u32,
    pub(crate) pins_max: usize,
}

/// The division of a part of a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Granules of a page, as a power of two.
    shift: u32,
    pub(crate) plan: Plan,
    pub(crate) pages: u32,
    /// Bytes of the part outside its pages.
    pub(crate) fixed: usize,
    format: Format,
    pins_max: usize,
    lru: bool,
}

/// Part sizes at which the page size doubles.
pub(crate) const PART_STEPS: [usize; 9] = [
    6 << 10,
    32 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    48 << 20,
    512 << 20,
    1 << 30,
];

/// Granules of a page, as a power of two, for a part of `part` bytes.
fn shift_for(part: usize) -> u32 {
    5 + PART_STEPS.iter().filter(|&&step| part >= step).count() as u32
}

impl Layout {
    /// The layout of a part of `part` bytes. `None` if the part is too small for any cache.
    pub(crate) fn of(part: usize, setup: &Setup) -> Option<Self> {
        let shift = shift_for(part);
        let page = GRANULE << shift;
        let item_max = HEAD_SIZE
            .saturating_add(setup.key_len_max)
            .saturating_add(setup.value_len_max);
        let plan = Plan::new(page, part, item_max);
        let root = plan.root_granules() as usize * GRANULE;
        let tables = Policy::table_size(setup.policy, part, setup.advises)?;
        let tables = tables.checked_add(plan.table_size()?)?;
        // What aligns the root takes less than that.
        let left = part.checked_sub(tables.checked_add(root)?.checked_add(ALIGN)?)?;
        let pages = left
            .checked_div(page + size_of::<Descriptor>())?
            .min(PAGES_MAX as usize);
        let layout = Self {
            shift,
            plan,
            pages: pages as u32,
            fixed: part.checked_sub(pages * page)?,
            format: setup.format,
            pins_max: setup.pins_max,
            lru: setup.policy == PolicyKind::Lru,
        };
        (layout.pages >= PAGES_MIN && setup.pins_max <= layout.pins_fit()).then_some(layout)
    }

    pub(crate) fn page_size(&self) -> usize {
        GRANULE << self.shift
    }

    /// Whether one longest item is all that it holds at once.
    pub(crate) fn is_small(&self) -> bool {
        items_at_once(self.pages) == 1
    }

    /// The maximum number of pins: the entries of a page.
    pub(crate) fn pins_fit(&self) -> usize {
        (1 << self.shift) / 2
    }

    /// The lowest memory limit of a part.
    pub(crate) fn limit_min(&self) -> usize {
        self.fixed + PAGES_MIN as usize * self.page_size()
    }

    /// Cuts policy tables, index tables, and pages. `origin` makes the page descriptors.
    pub(crate) fn cut(
        &self,
        cutter: &mut Cutter,
        setup: &Setup,
        part: usize,
        origin: &Tables,
    ) -> Option<Cuts> {
        let policy = Policy::new(setup.policy, cutter, part, setup.advises)?;
        let index = Index::new(
            cutter,
            self.plan,
            self.page_size(),
            part,
            setup.policy.remembers(),
        )?;
        let table = (origin.descriptors)(cutter, self.pages)?;
        let root = self.plan.root_granules();
        let len = root as usize * GRANULE + self.pages as usize * self.page_size();
        let bytes = cutter.bytes(len)?;
        let pages = Pages::new(bytes, table, root, self.shift, setup.zero_on_free);
        Some(Cuts {
            policy,
            index,
            pages,
        })
    }

    // ---- capacity ------------------------------------------------------------------------------

    /// Whether a part with a memory limit of `limit` bytes keeps all the items of `needs`.
    pub(crate) fn holds(&self, limit: usize, needs: &Needs) -> bool {
        let page = self.page_size();
        let Some(left) = limit.checked_sub(self.fixed) else {
            return false;
        };
        // A value's length has 32 bits.
        let has_length = u32::try_from(needs.value_len).is_ok();
        if needs.key_len > self.format.key_len_max(page) || !has_length {
            return false;
        }
        let pages = ((left / GRANULE) >> self.shift).min(self.pages as usize) as u64;
        let layout = Items {
            format: self.format,
        };
        let shape = layout.shape(page, needs.key_len, needs.value_len, needs.ttl);
        let index = self.plan.pages_for(needs.items, page);
        if index == 0 && needs.items > self.plan.root_capacity() {
            return false;
        }
        let items = self.pages_of(&shape, needs.items);
        // Two heads are partly full, and an item of several pages needs all of them at once.
        let spare = u64::from(reserve_pages(self.pages)) + 3 + u64::from(self.pins_max > 0);
        let longest = self.pages_of(&shape, 1) * u64::from(items_at_once(self.pages));
        pages
            >= items
                .max(longest)
                .saturating_add(index)
                .saturating_add(spare)
    }

    /// Pages of `items` items, with the waste at the ends of pages.
    fn pages_of(&self, shape: &Shape, items: u64) -> u64 {
        let page = 1u64 << self.shift;
        // A page's end is wasted if it is too short for the first piece of an item.
        let (split, least) = shape.split();
        let granules = u64::from(shape.granules());
        let waste = if granules > page >> 5 {
            u64::from(split.granules() + 1 - shape.granules()).max(u64::from(least))
        } else {
            granules - 1
        };
        let in_log = shares(items.saturating_mul(granules), page.saturating_sub(waste));
        let all = in_log.saturating_add(items.saturating_mul(u64::from(shape.chain)));
        // With exact LRU, a tenth of the granules may be dead.
        if self.lru {
            all.saturating_add(all / 8 + 1)
        } else {
            all
        }
    }
}

/// The items that a part of a region must hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) items: u64,
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
    pub(crate) ttl: bool,
}

/// The values cut from a part.
pub(crate) struct Cuts {
    pub(crate) policy: Policy,
    pub(crate) index: Index,
    pub(crate) pages: Pages,
}
