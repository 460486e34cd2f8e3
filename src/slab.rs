//! Pages, and the equal slots that they are cut into.
//!
//! # Layout
//! ```text
//! page area   | page 0 | page 1 | page 2 | ... | never cut yet ...   |
//! a page      | slot 0 | slot 1 | ... | slot n-1 | tail | plane      |
//! a plane     | bit of slot 0, bit of slot 1, ..      where there is one
//! a slot      | word 0: kind, 3 bits; the rest is the owner's        |
//! free slot   | word 0: kind Free, number of the next free slot      |
//! ```
//! An [`Id`] is the index of a slot's first word in the page area: 32 bits reach 16 GiB.
//!
//! # Invariants (walked by [`Slab::check`])
//! 1. A page belongs to one class, to the free pages, or was never cut.
//! 2. A class's pages form a ring; those with a free slot, unless they drain, form a list too.
//! 3. `used` of a page counts the slots handed out; those never used lie behind `fresh`, those
//!    given back hang on the page's free list; the three add up to the slots of the page.
//! 4. `usage` = fixed + page tails + slots handed out, and `usage + free == region`.
//! 5. Whoever stops between two stores leaves pages and slots that can be told from others: a descriptor says
//!    that its page is claimed last of all when it is, and first of all when it is not any more; slots
//!    below `fresh` have a kind; one whose bytes are being written is pending ([`Slab::publish`]).
//!
//! # Not here
//! What a slot holds: `item`, `segment`. Who is thrown out: `policy`. When: `shard`.

#![forbid(unsafe_code)]

mod adopt;
mod check;
mod planes;

use crate::class::{AREA_MAX, Geometry};
use crate::region::{ALIGN, Bytes, Cutter, Table, barrier};
use core::num::NonZeroU32;

/// The index of a slot's first word in the page area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    /// No slot.
    pub(crate) const NONE: Self = Self(u32::MAX);

    pub(crate) fn is_none(self) -> bool {
        self.0 == u32::MAX
    }

    /// The slot, unless it is [`Id::NONE`].
    pub(crate) fn some(self) -> Option<Self> {
        if self.is_none() { None } else { Some(self) }
    }
}

/// The number of a size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class(pub(crate) u8);

/// The number of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Page(pub(crate) u16);

impl Page {
    pub(crate) const NONE: Self = Self(u16::MAX);

    pub(crate) fn some(self) -> Option<Self> {
        if self == Self::NONE { None } else { Some(self) }
    }

    fn index(self) -> u32 {
        u32::from(self.0)
    }
}

/// What a slot holds; the top three bits of its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Nothing.
    Free = 0,
    /// An item, or the head of a chained one.
    Item = 1,
    /// A later part of a chained item.
    Link = 2,
    /// A slot handed out whose owner has not filled it in yet.
    Pending = 3,
    /// A segment of the index.
    Segment = 4,
    /// A part of the index's directory.
    Chunk = 5,
    /// A block of the public pool.
    Block = 6,
    /// An item that somebody outside the lock reads.
    Pinned = 7,
}

const KIND_SHIFT: u32 = 29;
const NO_SLOT: u16 = u16::MAX;

impl Kind {
    /// The word that carries this kind and up to 29 bits of its owner's.
    #[inline]
    pub(crate) const fn word(self, low: u32) -> u32 {
        (self as u32) << KIND_SHIFT | (low & ((1 << KIND_SHIFT) - 1))
    }

    #[inline]
    pub(crate) const fn of(word: u32) -> Self {
        match word >> KIND_SHIFT {
            1 => Self::Item,
            2 => Self::Link,
            3 => Self::Pending,
            4 => Self::Segment,
            5 => Self::Chunk,
            6 => Self::Block,
            7 => Self::Pinned,
            _ => Self::Free,
        }
    }
}

/// The base of a page in which nothing expires.
pub(crate) const NO_BASE: u32 = u32::MAX;

/// One page's descriptor: 24 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct PageMeta {
    /// Ring of the class's pages; of a free page, `next` is the next free page.
    next: Page,
    prev: Page,
    /// List of the class's pages that have a free slot.
    open_next: Page,
    open_prev: Page,
    /// Slots handed out.
    used: u16,
    /// First slot of the free list.
    free: u16,
    /// Slots from here on were never used since the page was claimed.
    fresh: u16,
    class: u8,
    flags: u8,
    /// A tick before which nothing in the page expires.
    base: u32,
    /// The plane, where the page has no more slots than these bits.
    plane: u32,
}

const _: () = assert!(size_of::<PageMeta>() == 24);

const CLAIMED: u8 = 1;
/// The page held something before: what it hands out counts as reused memory.
const RECYCLED: u8 = 2;
/// On the open list.
const OPEN: u8 = 4;
/// Being emptied: hands out nothing.
const DRAINING: u8 = 8;

const EMPTY_PAGE: PageMeta = PageMeta {
    next: Page::NONE,
    prev: Page::NONE,
    open_next: Page::NONE,
    open_prev: Page::NONE,
    used: 0,
    free: NO_SLOT,
    fresh: 0,
    class: 0,
    flags: 0,
    base: NO_BASE,
    plane: 0,
};

/// One size class's state: 48 bytes.
#[derive(Clone, Copy, Debug)]
struct ClassMeta {
    slot_words: NonZeroU32,
    /// 2^32 over `slot_words`, rounded up: a slot's number by a multiplication.
    inverse: u32,
    slots_per_page: u16,
    /// Any page of the ring.
    ring: Page,
    /// First page with a free slot.
    open: Page,
    pages: u16,
    /// Slots handed out, over all pages.
    used: u32,
    /// Slots handed out whose bytes had never been used.
    firsts: u32,
    allocs: usize,
    evictions: usize,
    /// Key and value bytes in the slots.
    live: usize,
}

const _: () = assert!(size_of::<ClassMeta>() <= 48);

const EMPTY_CLASS: ClassMeta = ClassMeta {
    slot_words: NonZeroU32::MIN,
    inverse: 0,
    slots_per_page: 0,
    ring: Page::NONE,
    open: Page::NONE,
    pages: 0,
    used: 0,
    firsts: 0,
    allocs: 0,
    evictions: 0,
    live: 0,
};

/// What one class holds, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Bytes of a slot.
    pub slot_size: usize,
    /// Slots in a page.
    pub slots_per_page: usize,
    /// Pages of the class.
    pub pages: usize,
    /// Slots handed out.
    pub used: usize,
    /// Slots free in the class's pages.
    pub free: usize,
    /// Slots handed out since the start.
    pub allocs: u64,
    /// Those of them whose bytes had been used before.
    pub reuses: u64,
    /// Key and value bytes in the slots.
    pub live: u64,
    /// Bytes of the pages that hold neither those nor a free slot: headers, rounding, page tails.
    pub waste: u64,
    /// Items evicted whose first slot was of this class, since the start.
    pub evictions: u64,
    /// What the slots hold.
    pub kind: ClassKind,
}

/// What the slots of a class hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum ClassKind {
    /// Items, and parts of items.
    #[default]
    Items = 0,
    /// Segments and directory of the index.
    Index = 1,
}

/// One page, for pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageInfo {
    /// The class that it belongs to; `None` if it is free.
    pub class: Option<u32>,
    /// Slots handed out.
    pub used: u32,
    /// Slots in the page.
    pub slots: u32,
    /// Whether it was ever used.
    pub touched: bool,
}

impl ClassStats {
    /// The sum with the same class of another shard.
    pub(crate) fn plus(mut self, other: &Self) -> Self {
        self.pages += other.pages;
        self.used += other.used;
        self.free += other.free;
        self.allocs += other.allocs;
        self.reuses += other.reuses;
        self.live += other.live;
        self.waste += other.waste;
        self.evictions += other.evictions;
        self
    }
}

/// Page area, page descriptors, classes.
#[derive(Debug)]
pub(crate) struct Slab {
    mem: Bytes,
    page_shift: u32,
    pages: Table<PageMeta>,
    classes: Table<ClassMeta>,
    /// Class of an item slot, by its size in words.
    by_words: Table<u8>,
    item_classes: u8,
    /// Pages cut from the area so far.
    cut: u32,
    /// Pages given back.
    free_pages: Page,
    free_page_count: u32,
    /// Bytes of the region that hold no slot: headers, tables, the area's tail.
    fixed: usize,
    usage: usize,
    usage_peak: usize,
    /// What `usage` may grow to.
    ceiling: usize,
    zero_on_free: bool,
    /// Pages of items end with a plane.
    planes: bool,
}

/// A slot size for something other than items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extra {
    pub(crate) size: u32,
}

/// [`Slab::new`], or another one that takes over what is there.
pub(crate) type MakeSlab = fn(&mut Cutter, Geometry, usize, usize, &[Extra]) -> Option<Slab>;

impl Slab {
    /// Bytes that [`Slab::new`] cuts for tables over `area` bytes of pages.
    pub(crate) fn tables_size(geometry: Geometry, area: usize, extras: usize) -> Option<usize> {
        let pages = area >> geometry.page_shift;
        let classes = geometry.slot_sizes().count() + extras;
        let lookup = geometry.slot_size_max as usize / 4 + 1;
        let a = Table::<PageMeta>::size(pages)?;
        let b = Table::<ClassMeta>::size(classes)?;
        let c = Table::<u8>::size(lookup)?;
        // The page area behind them may have to be padded.
        a.checked_add(b)?.checked_add(c)?.checked_add(ALIGN / 2)
    }

    /// Cuts tables and page area from what is left of a region.
    ///
    /// `region` is the number of bytes that the accounting is about: all that the owner was given.
    pub(crate) fn new(
        cutter: &mut Cutter,
        geometry: Geometry,
        left: usize,
        region: usize,
        extras: &[Extra],
    ) -> Option<Self> {
        let pages = Self::page_count_for(geometry, left, extras.len())?;
        let page_table = cutter.table(pages, EMPTY_PAGE)?;
        Self::with_pages(cutter, geometry, page_table, region, extras)
    }

    /// A slab of these pages, none of which was cut yet.
    fn with_pages(
        cutter: &mut Cutter,
        geometry: Geometry,
        page_table: Table<PageMeta>,
        region: usize,
        extras: &[Extra],
    ) -> Option<Self> {
        let item_classes = geometry.slot_sizes().count();
        let classes = cutter.table((item_classes + extras.len()) as u32, EMPTY_CLASS)?;
        let by_words = cutter.table(geometry.slot_size_max / 4 + 1, 0u8)?;
        let area = (page_table.len() as usize) << geometry.page_shift;
        let mem = cutter.bytes(area)?;
        let mut slab = Self {
            mem,
            page_shift: geometry.page_shift,
            pages: page_table,
            classes,
            by_words,
            item_classes: item_classes as u8,
            cut: 0,
            free_pages: Page::NONE,
            free_page_count: 0,
            fixed: region - area,
            usage: region - area,
            usage_peak: region - area,
            ceiling: region,
            zero_on_free: false,
            planes: geometry.has_planes(),
        };
        slab.lay_out_classes(geometry, extras);
        Some(slab)
    }

    /// As many pages as fit beside their own descriptors.
    pub(crate) fn page_count_for(geometry: Geometry, left: usize, extras: usize) -> Option<u32> {
        let reach = (AREA_MAX >> geometry.page_shift).min(u64::from(u16::MAX) - 1);
        let mut pages = (left >> geometry.page_shift).min(reach as usize);
        while pages > 0 {
            let area = pages << geometry.page_shift;
            let tables = Self::tables_size(geometry, area, extras)?;
            if area.checked_add(tables)? <= left {
                return Some(pages as u32);
            }
            let over = area + tables - left;
            pages -= (over >> geometry.page_shift).max(1).min(pages);
        }
        None
    }

    fn lay_out_classes(&mut self, geometry: Geometry, extras: &[Extra]) {
        let mut words = 0;
        let sizes = geometry.slot_sizes().chain(extras.iter().map(|e| e.size));
        for (number, size) in (0..).zip(sizes) {
            let slot_words = NonZeroU32::new(size / 4).unwrap_or(NonZeroU32::MIN);
            let slot_size = slot_words.saturating_mul(NonZeroU32::new(4).unwrap_or(slot_words));
            let slots = if number < u32::from(self.item_classes) {
                geometry.items_per_page(slot_size)
            } else {
                geometry.slots_per_page(slot_size)
            };
            *self.classes.at_mut(number) = ClassMeta {
                slot_words,
                inverse: (u32::MAX / slot_words).saturating_add(1),
                slots_per_page: slots as u16,
                ..EMPTY_CLASS
            };
            if number < u32::from(self.item_classes) {
                while words <= slot_words.get() {
                    *self.by_words.at_mut(words) = number as u8;
                    words += 1;
                }
            }
        }
    }

    pub(crate) fn set_zero_on_free(&mut self, on: bool) {
        self.zero_on_free = on;
    }

    pub(crate) fn zeroes_on_free(&self) -> bool {
        self.zero_on_free
    }

    /// Forgets every page. Counters stay. O(pages + classes), or O(region) where bytes are zeroed.
    pub(crate) fn clear(&mut self) {
        for p in 0..self.cut {
            self.unclaim(Page(p as u16));
        }
        if self.zero_on_free {
            self.mem.zero(0, (self.cut as usize) << self.page_shift);
        }
        self.free_pages = Page::NONE;
        self.free_page_count = 0;
        for p in (0..self.cut).rev() {
            self.pages.at_mut(p).next = self.free_pages;
            self.free_pages = Page(p as u16);
            self.free_page_count += 1;
        }
        for c in 0..self.classes.len() {
            let class = self.classes.at_mut(c);
            *class = ClassMeta {
                ring: Page::NONE,
                open: Page::NONE,
                pages: 0,
                used: 0,
                live: 0,
                ..*class
            };
        }
        self.usage = self.fixed;
    }

    // ---- sizes -------------------------------------------------------------------------------

    pub(crate) fn page_size(&self) -> usize {
        1 << self.page_shift
    }

    pub(crate) fn page_count(&self) -> u32 {
        self.pages.len()
    }

    /// Pages cut so far, whoever owns them now.
    pub(crate) fn pages_cut(&self) -> u32 {
        self.cut
    }

    /// Pages that nobody owns, cut or not.
    #[inline]
    pub(crate) fn pages_free(&self) -> u32 {
        self.pages.len() - self.cut + self.free_page_count
    }

    pub(crate) fn class_count(&self) -> u8 {
        self.classes.len() as u8
    }

    pub(crate) fn item_class_count(&self) -> u8 {
        self.item_classes
    }

    /// The smallest item class whose slots hold `size` bytes; `size` is at most the largest slot.
    #[inline]
    pub(crate) fn class_for(&self, size: usize) -> Class {
        Class(*self.by_words.at(size.div_ceil(4) as u32))
    }

    /// The class of the largest item slots.
    pub(crate) fn largest_class(&self) -> Class {
        Class(self.item_classes - 1)
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    fn class(&self, class: Class) -> &ClassMeta {
        self.classes.at(u32::from(class.0))
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    fn class_mut(&mut self, class: Class) -> &mut ClassMeta {
        self.classes.at_mut(u32::from(class.0))
    }

    #[inline]
    fn meta(&self, page: Page) -> &PageMeta {
        self.pages.at(page.index())
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    fn meta_mut(&mut self, page: Page) -> &mut PageMeta {
        self.pages.at_mut(page.index())
    }

    /// Bytes of a slot of this class.
    #[inline]
    pub(crate) fn slot_size(&self, class: Class) -> usize {
        self.class(class).slot_words.get() as usize * 4
    }

    pub(crate) fn slots_per_page(&self, class: Class) -> u32 {
        u32::from(self.class(class).slots_per_page)
    }

    pub(crate) fn class_used(&self, class: Class) -> u32 {
        self.class(class).used
    }

    pub(crate) fn class_pages(&self, class: Class) -> u32 {
        u32::from(self.class(class).pages)
    }

    /// Slots of this class that are free in pages of its own.
    pub(crate) fn free_slots(&self, class: Class) -> u32 {
        let slots = self.class_pages(class) * self.slots_per_page(class);
        slots.saturating_sub(self.class_used(class))
    }

    /// Slots of this class that are free in pages of its own, those of a draining page excluded.
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn has_open_slot(&self, class: Class) -> bool {
        self.class(class).open != Page::NONE
    }

    pub(crate) fn class_stats(&self, class: Class) -> ClassStats {
        let meta = self.class(class);
        let slot_size = self.slot_size(class);
        let slots = usize::from(meta.pages) * usize::from(meta.slots_per_page);
        let free = slots - (meta.used as usize).min(slots);
        let taken = usize::from(meta.pages) * self.page_size() - free * slot_size;
        ClassStats {
            slot_size,
            slots_per_page: usize::from(meta.slots_per_page),
            pages: usize::from(meta.pages),
            used: meta.used as usize,
            free,
            allocs: meta.allocs as u64,
            reuses: meta.allocs.wrapping_sub(meta.firsts as usize) as u64,
            live: meta.live as u64,
            waste: (taken - meta.live.min(taken)) as u64,
            evictions: meta.evictions as u64,
            kind: if class.0 < self.item_classes {
                ClassKind::Items
            } else {
                ClassKind::Index
            },
        }
    }

    /// Bytes of key and value came to a slot of this class, or went.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn add_live(&mut self, class: Class, bytes: isize) {
        let meta = self.class_mut(class);
        meta.live = meta.live.wrapping_add_signed(bytes);
    }

    /// Key and value bytes in all slots. O(classes).
    pub(crate) fn live(&self) -> u64 {
        self.each_class().map(|class| class.live as u64).sum()
    }

    /// Slots handed out so far, and those of them whose bytes had been used before. O(classes).
    pub(crate) fn totals(&self) -> (u64, u64) {
        self.each_class().fold((0, 0), |(allocs, reuses), class| {
            let reused = class.allocs.wrapping_sub(class.firsts as usize);
            (allocs + class.allocs as u64, reuses + reused as u64)
        })
    }

    fn each_class(&self) -> impl Iterator<Item = &ClassMeta> {
        (0..self.classes.len()).map(|c| self.classes.at(c))
    }

    pub(crate) fn count_eviction(&mut self, class: Class) {
        let meta = self.class_mut(class);
        meta.evictions = meta.evictions.wrapping_add(1);
    }

    pub(crate) fn page_info(&self, page: Page) -> PageInfo {
        let meta = self.meta(page);
        let class = self.is_claimed(page).then(|| self.page_class(page));
        PageInfo {
            class: class.map(|class| u32::from(class.0)),
            used: u32::from(meta.used),
            slots: class.map_or(0, |class| self.slots_per_page(class)),
            touched: page.index() < self.cut,
        }
    }

    /// Bytes of the region that no slot can ever take.
    pub(crate) fn fixed(&self) -> usize {
        self.fixed
    }

    /// Bytes taken: fixed parts, page tails, slots handed out.
    #[inline]
    pub(crate) fn usage(&self) -> usize {
        self.usage
    }

    /// The most that `usage` ever was.
    pub(crate) fn usage_peak(&self) -> usize {
        self.usage_peak
    }

    /// Bytes that slots could still take: free slots and free pages.
    pub(crate) fn free_bytes(&self) -> usize {
        self.fixed + self.mem.len() - self.usage
    }

    pub(crate) fn ceiling(&self) -> usize {
        self.ceiling
    }

    pub(crate) fn set_ceiling(&mut self, ceiling: usize) {
        self.ceiling = ceiling;
    }

    /// Whether one more slot of this class stays below the ceiling.
    #[inline]
    pub(crate) fn fits(&self, class: Class) -> bool {
        self.usage + self.cost(class) <= self.ceiling
    }

    /// Whether the class has no free slot, and no page to take but those that are kept.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_stuck(&self, class: Class, keep: u32) -> bool {
        self.pages_free() <= keep && self.class(class).open == Page::NONE
    }

    fn page_tail(&self, class: Class) -> usize {
        let slots = self.slots_per_page(class) as usize;
        self.page_size() - slots * self.slot_size(class)
    }

    /// Bytes by which `usage` grows when this class hands out one more slot.
    #[inline]
    fn cost(&self, class: Class) -> usize {
        let slot = self.slot_size(class);
        if self.has_open_slot(class) {
            slot
        } else {
            slot + self.page_tail(class)
        }
    }

    // ---- places ------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn page_of(&self, id: Id) -> Page {
        Page((id.0 >> (self.page_shift - 2)) as u16)
    }

    #[inline]
    pub(crate) fn class_of(&self, id: Id) -> Class {
        self.page_class(self.page_of(id))
    }

    #[inline]
    pub(crate) fn page_class(&self, page: Page) -> Class {
        Class(self.meta(page).class)
    }

    pub(crate) fn is_claimed(&self, page: Page) -> bool {
        self.meta(page).flags & CLAIMED != 0
    }

    pub(crate) fn is_draining(&self, page: Page) -> bool {
        self.meta(page).flags & DRAINING != 0
    }

    /// A tick before which nothing in the page expires.
    #[inline]
    pub(crate) fn base(&self, page: Page) -> u32 {
        self.meta(page).base
    }

    pub(crate) fn set_base(&mut self, page: Page, base: u32) {
        self.meta_mut(page).base = base;
    }

    /// Slots handed out in this page.
    pub(crate) fn page_used(&self, page: Page) -> u32 {
        u32::from(self.meta(page).used)
    }

    /// Slots of this page that were ever handed out: those behind have no meaning.
    pub(crate) fn page_touched(&self, page: Page) -> u32 {
        u32::from(self.meta(page).fresh)
    }

    #[inline]
    pub(crate) fn slot(&self, page: Page, slot: u32) -> Id {
        let words = self.class(self.page_class(page)).slot_words.get();
        Id(self.page_start(page).0 + slot * words)
    }

    /// The first slot of a page.
    pub(crate) fn page_start(&self, page: Page) -> Id {
        Id(page.index() << (self.page_shift - 2))
    }

    /// The slot that starts at this byte offset of the page area, if one that was ever handed out
    /// does.
    pub(crate) fn slot_at(&self, offset: usize) -> Option<Id> {
        let id = Id(u32::try_from(offset / 4).ok()?);
        let page = self.page_of(id);
        if !self.is_claimed(page) || !offset.is_multiple_of(4) {
            return None;
        }
        let within = id.0 - self.page_start(page).0;
        let words = self.class(self.page_class(page)).slot_words;
        let starts = within == 0 || within % words == 0 && within / words < self.page_touched(page);
        starts.then_some(id)
    }

    /// The number of a slot in its page, of this class.
    #[inline]
    fn slot_number(&self, id: Id, class: Class) -> u32 {
        let within = id.0 & ((1 << (self.page_shift - 2)) - 1);
        // Exact: `within` is a multiple of the slot's words, and less than 2^18 as they are.
        ((u64::from(within) * u64::from(self.class(class).inverse)) >> 32) as u32
    }

    /// A page of the class that has a free slot.
    pub(crate) fn open_page_of(&self, class: Class) -> Option<Page> {
        self.class(class).open.some()
    }

    /// Any page of the class.
    pub(crate) fn first_page(&self, class: Class) -> Option<Page> {
        self.class(class).ring.some()
    }

    /// The page behind this one in its class's ring.
    #[inline]
    pub(crate) fn next_page(&self, page: Page) -> Page {
        self.meta(page).next
    }

    // ---- words and bytes of a slot -------------------------------------------------------------

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn word(&self, id: Id, at: u32) -> u32 {
        self.mem.word(id.0 as usize + at as usize)
    }

    #[inline]
    pub(crate) fn set_word(&mut self, id: Id, at: u32, word: u32) {
        self.mem.set_word(id.0 as usize + at as usize, word);
    }

    #[inline]
    pub(crate) fn kind(&self, id: Id) -> Kind {
        Kind::of(self.word(id, 0))
    }

    /// Lets a slot be of another kind; the rest of its first word stays.
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn set_kind(&mut self, id: Id, kind: Kind) {
        self.set_word(id, 0, kind.word(self.word(id, 0)));
    }

    /// What a slot holds is written: from now on its first word says so.
    #[inline]
    pub(crate) fn publish(&mut self, id: Id, word: u32) {
        barrier();
        self.set_word(id, 0, word);
    }

    /// Lets nobody take what a slot holds for an item, from now on and until it is published again.
    #[inline]
    pub(crate) fn withdraw(&mut self, id: Id) {
        self.set_kind(id, Kind::Pending);
        barrier();
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn bytes(&self, id: Id, at: usize, len: usize) -> &[u8] {
        self.mem.slice(id.0 as usize * 4 + at, len)
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self, id: Id, at: usize, len: usize) -> &mut [u8] {
        self.mem.slice_mut(id.0 as usize * 4 + at, len)
    }

    /// Asks for the line that a word of a slot lies in.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn prefetch(&self, id: Id, word: usize) {
        self.mem.prefetch((id.0 as usize + word) * 4);
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn bytes_are(&self, id: Id, at: usize, other: &[u8]) -> bool {
        self.mem.equal(id.0 as usize * 4 + at, other)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn copy_out(&self, id: Id, at: usize, to: &mut [u8]) {
        self.mem.copy_out(id.0 as usize * 4 + at, to);
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn write(&mut self, id: Id, at: usize, from: &[u8]) {
        self.mem.copy_in(id.0 as usize * 4 + at, from);
    }

    /// Where a slot lies, with `len` bytes behind it inside the page area.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn pointer(&self, id: Id, len: usize) -> Option<core::ptr::NonNull<u8>> {
        self.mem.pointer(id.0 as usize * 4, len)
    }

    /// A pointer to byte `at` of a slot, with `len` bytes behind it inside the page area.
    pub(crate) fn pointer_at(
        &self,
        id: Id,
        at: usize,
        len: usize,
    ) -> Option<core::ptr::NonNull<u8>> {
        self.mem.pointer(id.0 as usize * 4 + at, len)
    }

    /// Byte offset in the page area of an address, if it lies inside.
    pub(crate) fn offset_of(&self, address: usize) -> Option<usize> {
        let base = self.mem.pointer(0, 0)?.as_ptr() as usize;
        address
            .checked_sub(base)
            .filter(|&offset| offset < self.mem.len())
    }

    /// Copies bytes from one place, a slot and an offset in it, to another.
    pub(crate) fn copy_bytes(&mut self, from: (Id, usize), to: (Id, usize), len: usize) {
        let at = |(id, offset): (Id, usize)| id.0 as usize * 4 + offset;
        self.mem.copy_within(at(from), at(to), len);
    }

    /// Copies a whole slot to another of the same class or a larger one; that one is pending.
    pub(crate) fn copy_slot(&mut self, from: Id, to: Id) {
        let size = self.slot_size(self.class_of(from));
        self.set_word(to, 0, Kind::Pending.word(self.word(from, 0)));
        self.copy_bytes((from, 4), (to, 4), size - 4);
    }

    // ---- slots -------------------------------------------------------------------------------

    /// A slot of this class, of kind [`Kind::Pending`], if usage stays below the ceiling; a free page
    /// is claimed only while more than `keep` of them are left. O(1).
    pub(crate) fn alloc(&mut self, class: Class, keep: u32) -> Option<Id> {
        if !self.fits(class) {
            return None;
        }
        if !self.has_open_slot(class) {
            if self.pages_free() <= keep {
                return None;
            }
            self.claim_page(class)?;
        }
        let id = self.take_open_slot(class);
        self.usage_peak = self.usage_peak.max(self.usage);
        Some(id)
    }

    /// As [`Slab::alloc`], in a page that the class has already.
    pub(crate) fn alloc_open(&mut self, class: Class) -> Option<Id> {
        if self.has_open_slot(class) {
            self.alloc(class, 0)
        } else {
            None
        }
    }

    /// A free slot in a page that the class has already, for something that moves there: usage is
    /// above its due only until the slot that it leaves is freed.
    pub(crate) fn alloc_to_move(&mut self, class: Class) -> Option<Id> {
        self.has_open_slot(class)
            .then(|| self.take_open_slot(class))
    }

    /// The class has an open slot.
    #[inline]
    fn take_open_slot(&mut self, class: Class) -> Id {
        let page = self.class(class).open;
        let meta = *self.meta(page);
        let (slot, reused) = if meta.free == NO_SLOT {
            (meta.fresh, meta.flags & RECYCLED != 0)
        } else {
            (meta.free, true)
        };
        let id = self.slot(page, u32::from(slot));
        if self.zero_on_free && reused && meta.free == NO_SLOT {
            // Free lists of the page's last owner left their words behind.
            self.mem.zero(id.0 as usize * 4, self.slot_size(class));
        }
        let next = self.word(id, 0) as u16;
        self.set_word(id, 0, Kind::Pending.word(0));
        barrier();
        let slots = self.class(class).slots_per_page;
        let meta = self.meta_mut(page);
        if meta.free == NO_SLOT {
            meta.fresh += 1;
        } else {
            meta.free = next;
        }
        meta.used += 1;
        if meta.used == slots {
            self.close_page(page);
        }
        self.usage += self.slot_size(class);
        let meta = self.class_mut(class);
        meta.used += 1;
        meta.allocs = meta.allocs.wrapping_add(1);
        meta.firsts += u32::from(!reused);
        id
    }

    /// Hands out the slot of an item that was evicted: it had so many key and value bytes.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn hand_over(&mut self, id: Id, class: Class, bytes: usize) {
        self.set_word(id, 0, Kind::Pending.word(0));
        self.wipe(id, class);
        let meta = self.class_mut(class);
        meta.allocs = meta.allocs.wrapping_add(1);
        meta.evictions = meta.evictions.wrapping_add(1);
        meta.live = meta.live.wrapping_sub(bytes);
    }

    /// Zeroes what a slot held, but for its first word, where bytes are zeroed.
    #[inline]
    fn wipe(&mut self, id: Id, class: Class) {
        barrier();
        if self.zero_on_free {
            self.mem
                .zero(id.0 as usize * 4 + 4, self.slot_size(class) - 4);
        }
    }

    /// Gives a slot back; its page too, if that was the last one. Returns whether the page went.
    #[inline]
    pub(crate) fn free(&mut self, id: Id) -> bool {
        let page = self.page_of(id);
        let class = self.page_class(page);
        let size = self.slot_size(class);
        let slot = self.slot_number(id, class) as u16;
        let meta = *self.meta(page);
        self.set_word(id, 0, Kind::Free.word(u32::from(meta.free)));
        self.wipe(id, class);
        let meta = self.meta_mut(page);
        meta.free = slot;
        meta.used = meta.used.saturating_sub(1);
        let (used, flags) = (meta.used, meta.flags);
        self.usage -= size;
        let class_meta = self.class_mut(class);
        class_meta.used = class_meta.used.saturating_sub(1);
        if used == 0 {
            self.release_page(page);
            return true;
        }
        if flags & (OPEN | DRAINING) == 0 {
            self.open_page(page);
        }
        false
    }

    // ---- pages -------------------------------------------------------------------------------

    fn take_free_page(&mut self) -> Option<Page> {
        if let Some(page) = self.free_pages.some() {
            self.free_pages = self.meta(page).next;
            self.free_page_count -= 1;
            return Some(page);
        }
        if self.cut == self.pages.len() {
            return None;
        }
        self.cut += 1;
        Some(Page((self.cut - 1) as u16))
    }

    fn claim_page(&mut self, class: Class) -> Option<Page> {
        let page = self.take_free_page()?;
        let recycled = self.meta(page).flags & RECYCLED;
        *self.meta_mut(page) = PageMeta {
            class: class.0,
            flags: recycled,
            ..EMPTY_PAGE
        };
        barrier();
        self.meta_mut(page).flags = CLAIMED | recycled;
        self.ring_insert(class, page);
        self.open_page(page);
        self.usage += self.page_tail(class);
        self.class_mut(class).pages += 1;
        self.clear_plane(page, class);
        Some(page)
    }

    fn release_page(&mut self, page: Page) {
        let class = self.page_class(page);
        if self.meta(page).flags & OPEN != 0 {
            self.close_page(page);
        }
        self.ring_remove(class, page);
        self.usage -= self.page_tail(class);
        self.class_mut(class).pages -= 1;
        self.unclaim(page);
        self.meta_mut(page).next = self.free_pages;
        self.free_pages = page;
        self.free_page_count += 1;
    }

    /// The page is nobody's any more.
    fn unclaim(&mut self, page: Page) {
        self.meta_mut(page).flags = RECYCLED;
        barrier();
        *self.meta_mut(page) = PageMeta {
            flags: RECYCLED,
            ..EMPTY_PAGE
        };
    }

    fn ring_insert(&mut self, class: Class, page: Page) {
        let Some(at) = self.class(class).ring.some() else {
            let meta = self.meta_mut(page);
            meta.next = page;
            meta.prev = page;
            self.class_mut(class).ring = page;
            return;
        };
        let before = self.meta(at).prev;
        self.meta_mut(before).next = page;
        self.meta_mut(at).prev = page;
        let meta = self.meta_mut(page);
        meta.next = at;
        meta.prev = before;
    }

    fn ring_remove(&mut self, class: Class, page: Page) {
        let PageMeta { next, prev, .. } = *self.meta(page);
        self.meta_mut(prev).next = next;
        self.meta_mut(next).prev = prev;
        let class = self.class_mut(class);
        if class.ring == page {
            class.ring = if next == page { Page::NONE } else { next };
        }
    }

    fn open_page(&mut self, page: Page) {
        let class = self.page_class(page);
        let first = self.class(class).open;
        let meta = self.meta_mut(page);
        meta.open_next = first;
        meta.open_prev = Page::NONE;
        meta.flags |= OPEN;
        if first != Page::NONE {
            self.meta_mut(first).open_prev = page;
        }
        self.class_mut(class).open = page;
    }

    fn close_page(&mut self, page: Page) {
        let PageMeta {
            open_next,
            open_prev,
            ..
        } = *self.meta(page);
        let class = self.page_class(page);
        if open_next != Page::NONE {
            self.meta_mut(open_next).open_prev = open_prev;
        }
        if open_prev == Page::NONE {
            self.class_mut(class).open = open_next;
        } else {
            self.meta_mut(open_prev).open_next = open_next;
        }
        self.meta_mut(page).flags &= !OPEN;
    }

    /// From now on the page hands out nothing, until it is empty and goes back to the free pages.
    pub(crate) fn start_drain(&mut self, page: Page) {
        if self.meta(page).flags & OPEN != 0 {
            self.close_page(page);
        }
        self.meta_mut(page).flags |= DRAINING;
    }

    /// The page hands out slots again.
    pub(crate) fn stop_drain(&mut self, page: Page) {
        let meta = self.meta_mut(page);
        if meta.flags & (CLAIMED | DRAINING) != CLAIMED | DRAINING {
            return;
        }
        meta.flags &= !DRAINING;
        let class = Class(meta.class);
        if u32::from(self.meta(page).used) < self.slots_per_page(class) {
            self.open_page(page);
        }
    }

    /// The class's page with the fewest slots handed out. O(pages of the class).
    pub(crate) fn sparsest_page(&self, class: Class) -> Option<Page> {
        let first = self.first_page(class)?;
        let mut best = first;
        let mut page = self.next_page(first);
        for _ in 1..self.class_pages(class) {
            if self.page_used(page) < self.page_used(best) {
                best = page;
            }
            page = self.next_page(page);
        }
        Some(best)
    }

    // ---- runs of pages (the public pool's large blocks) ---------------------------------------

    /// The lowest run of `count` neighbouring free pages. O(pages).
    pub(crate) fn find_free_run(&self, count: u32) -> Option<Page> {
        let mut run = 0;
        for p in 0..self.pages.len() {
            run = if self.is_claimed(Page(p as u16)) {
                0
            } else {
                run + 1
            };
            if run == count {
                return Some(Page((p + 1 - count) as u16));
            }
        }
        None
    }

    /// Takes a run that [`Slab::find_free_run`] found. Returns whether its bytes were used before.
    /// O(pages).
    pub(crate) fn claim_run(&mut self, first: Page, count: u32) -> bool {
        let end = first.index() + count;
        let mut reused = false;
        for p in first.index()..end {
            reused |= self.meta(Page(p as u16)).flags & RECYCLED != 0;
            self.meta_mut(Page(p as u16)).flags |= CLAIMED;
        }
        // Pages skipped by the cut join the free pages.
        self.cut = self.cut.max(end);
        self.rebuild_free_pages();
        if self.zero_on_free && reused {
            let page = self.page_size();
            self.mem
                .zero(usize::from(first.0) * page, count as usize * page);
        }
        self.usage += (count as usize) << self.page_shift;
        self.usage_peak = self.usage_peak.max(self.usage);
        reused
    }

    pub(crate) fn release_run(&mut self, first: Page, count: u32) {
        for p in first.index()..first.index() + count {
            *self.meta_mut(Page(p as u16)) = PageMeta {
                flags: RECYCLED,
                ..EMPTY_PAGE
            };
        }
        self.rebuild_free_pages();
        self.usage -= (count as usize) << self.page_shift;
    }

    fn rebuild_free_pages(&mut self) {
        self.free_pages = Page::NONE;
        self.free_page_count = 0;
        for p in (0..self.cut).rev() {
            if self.meta(Page(p as u16)).flags & CLAIMED == 0 {
                self.meta_mut(Page(p as u16)).next = self.free_pages;
                self.free_pages = Page(p as u16);
                self.free_page_count += 1;
            }
        }
    }
}
