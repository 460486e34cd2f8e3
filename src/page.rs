//! The page table: equal, aligned pages of a shard's bytes, each with one owner.
//!
//! # Layout
//! ```text
//! bytes        | root segment | page 0 | page 1 | ..        granules of 4 bytes; an id is a granule's index
//! descriptor   | next 2 | prev 2 | live 2 | first 2 | due 4 | era 2 | owner 1 | mark 1 |
//! ```
//! The page's owner defines `live`, `first` and `due`: `log` for pages of items, `slab` for pages of equal
//! slots, `item` for pages of a chain.
//!
//! # Invariants (walked by [`Pages::check`])
//! 1. A page is free, in its owner's list, or named by its owner. `free_count` counts the free pages.
//! 2. At most `ceiling` pages are in use. `ceiling > limit` only until enough pages are freed after the limit
//!    was lowered.
//!
//! # Not here
//! The layout of a region: `layout`.

#![forbid(unsafe_code)]

mod descriptor;

pub(crate) use descriptor::{Descriptor, NO_DUE, Owner, Tables};

use crate::planted;
use crate::region::{Bytes, Table, barrier};

/// `n / by`, rounded up.
pub(crate) fn shares(n: u64, by: u64) -> u64 {
    let by = by.max(1);
    n.saturating_add(by - 1).checked_div(by).unwrap_or(n)
}

/// Bytes of a granule, the unit of an item's size and address.
pub(crate) const GRANULE: usize = 4;

/// A position in a shard's bytes: the index of a granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Id(pub(crate) u32);

impl Id {
    pub(crate) const NONE: Self = Self(u32::MAX);

    #[inline]
    pub(crate) fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// A page's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Page(pub(crate) u16);

impl Page {
    pub(crate) const NONE: Self = Self(u16::MAX);

    #[inline]
    pub(crate) fn some(self) -> Option<Self> {
        (self != Self::NONE).then_some(self)
    }
}

/// Pages that may be acquired above those in use while the limit is being lowered.
const SLACK: u32 = 6;

/// The maximum number of pages in a table.
pub(crate) const PAGES_MAX: u32 = u16::MAX as u32 - 1;

/// A list of pages, linked through their descriptors. Owners fill the head and empty the tail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    pub(crate) head: Page,
    pub(crate) tail: Page,
}

impl List {
    pub(crate) const EMPTY: Self = Self {
        head: Page::NONE,
        tail: Page::NONE,
    };
}

/// The pages of one shard.
#[derive(Debug)]
pub(crate) struct Pages {
    bytes: Bytes,
    table: Table<Descriptor>,
    /// First granule of page 0.
    start: u32,
    shift: u32,
    free: Page,
    free_count: u32,
    /// The maximum number of pages in use that the caller set.
    limit: u32,
    ceiling: u32,
    /// The highest number of pages in use so far.
    touched: u32,
    /// Pages acquired that had been used before.
    reuses: u64,
    zero_on_free: bool,
}

impl Pages {
    /// `start` is the first granule of page 0. A page has `1 << shift` granules. `table` has one descriptor
    /// for each page.
    pub(crate) fn new(
        bytes: Bytes,
        table: Table<Descriptor>,
        start: u32,
        shift: u32,
        zero_on_free: bool,
    ) -> Self {
        let count = table.len();
        Self {
            bytes,
            table,
            start,
            shift,
            free: Page::NONE,
            free_count: 0,
            limit: count,
            ceiling: count,
            touched: 0,
            reuses: 0,
            zero_on_free,
        }
    }

    /// Pages and their table lie elsewhere now.
    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, by: &crate::region::Shift) {
        self.bytes.shift(by);
        self.table.shift(by);
    }

    // ---- geometry ------------------------------------------------------------------------------

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.table.len()
    }

    /// Granules of a page.
    #[inline]
    pub(crate) fn granules(&self) -> u32 {
        1 << self.shift
    }

    #[inline]
    pub(crate) fn page_size(&self) -> usize {
        GRANULE << self.shift
    }

    /// Whole pages in `bytes`.
    pub(crate) fn whole(&self, bytes: usize) -> usize {
        (bytes / GRANULE) >> self.shift
    }

    /// Granules of `pages` pages.
    #[inline]
    pub(crate) fn granules_of(&self, pages: u32) -> u32 {
        pages << self.shift
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn page_of(&self, id: Id) -> Page {
        debug_assert!(id.0 >= self.start);
        Page((id.0.wrapping_sub(self.start) >> self.shift) as u16)
    }

    /// The page's first granule.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn start_of(&self, page: Page) -> u32 {
        self.start + (u32::from(page.0) << self.shift)
    }

    /// The granule after the page's last one.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn end_of(&self, page: Page) -> u32 {
        self.start_of(page) + self.granules()
    }

    /// Whether the granule is inside a page.
    pub(crate) fn holds(&self, id: Id) -> bool {
        id.0 >= self.start && (id.0 - self.start) >> self.shift < self.count()
    }

    pub(crate) fn contains(&self, page: Page) -> bool {
        u32::from(page.0) < self.count()
    }

    #[inline]
    pub(crate) fn zeroes_on_free(&self) -> bool {
        self.zero_on_free
    }

    // ---- bytes ---------------------------------------------------------------------------------

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn word(&self, granule: u32) -> u32 {
        self.bytes.word(granule as usize)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn set_word(&mut self, granule: u32, word: u32) {
        self.bytes.set_word(granule as usize, word);
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut Bytes {
        &mut self.bytes
    }

    // ---- descriptors ---------------------------------------------------------------------------

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn get(&self, page: Page) -> &Descriptor {
        self.table.at(u32::from(page.0))
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn get_mut(&mut self, page: Page) -> &mut Descriptor {
        self.table.at_mut(u32::from(page.0))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Page> + use<> {
        (0..self.count()).map(|number| Page(number as u16))
    }

    // ---- acquiring and releasing ---------------------------------------------------------------

    /// Pages that `take` can acquire now.
    #[inline]
    pub(crate) fn available(&self) -> u32 {
        if planted::is("ceiling ignored") {
            return self.free_count;
        }
        self.free_count
            .saturating_sub(self.count() - self.ceiling.min(self.count()))
    }

    #[inline]
    pub(crate) fn in_use(&self) -> u32 {
        self.count() - self.free_count
    }

    pub(crate) fn touched(&self) -> u32 {
        self.touched
    }

    pub(crate) fn reuses(&self) -> u64 {
        self.reuses
    }

    #[inline]
    pub(crate) fn free_count(&self) -> u32 {
        self.free_count
    }

    /// The maximum number of pages in use, as last set.
    #[inline]
    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    /// Pages in use above the limit.
    #[inline]
    pub(crate) fn excess(&self) -> u32 {
        self.in_use().saturating_sub(self.limit)
    }

    /// Sets the maximum number of pages in use. Pages in use above the limit stay until they are released.
    pub(crate) fn set_limit(&mut self, limit: u32) {
        self.limit = limit.min(self.count());
        self.ceiling = self.count();
        self.lower_ceiling();
    }

    /// Lowers the ceiling to `SLACK` pages above those in use, but not below the limit. Emptying pages needs
    /// the slack: items move to newly acquired pages.
    fn lower_ceiling(&mut self) {
        let most = (self.in_use() + SLACK).max(self.limit);
        self.ceiling = self.ceiling.min(most);
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn take(&mut self, owner: Owner) -> Option<Page> {
        if self.available() == 0 {
            return None;
        }
        let page = self.free.some()?;
        self.free = self.get(page).next;
        self.free_count -= 1;
        if self.in_use() > self.touched {
            self.touched = self.in_use();
        } else {
            self.reuses += 1;
        }
        *self.get_mut(page) = Descriptor {
            owner,
            ..Descriptor::FREE
        };
        Some(page)
    }

    /// Releases a page that is in no list.
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn give(&mut self, page: Page) {
        debug_assert!(self.get(page).owner != Owner::Free);
        *self.get_mut(page) = Descriptor {
            next: self.free,
            ..Descriptor::FREE
        };
        barrier();
        self.free = page;
        self.free_count += 1;
        if self.ceiling != self.limit {
            self.lower_ceiling();
        }
        self.zero(page);
    }

    /// Frees every page.
    pub(crate) fn clear(&mut self) {
        for page in self.all() {
            if self.get(page).owner != Owner::Free {
                self.get_mut(page).owner = Owner::Free;
                self.zero(page);
            }
        }
        self.collect_free();
        self.ceiling = self.limit;
    }

    pub(crate) fn zero(&mut self, page: Page) {
        if self.zero_on_free {
            let at = self.start_of(page) as usize * GRANULE;
            let len = self.page_size();
            self.bytes.zero(at, len);
        }
    }

    /// Builds the free list from the pages whose owner is `Free`. The owner of every page must be known.
    pub(crate) fn collect_free(&mut self) {
        (self.free, self.free_count) = (Page::NONE, 0);
        for number in (0..self.count()).rev() {
            let page = Page(number as u16);
            if self.get(page).owner == Owner::Free {
                *self.get_mut(page) = Descriptor {
                    next: self.free,
                    ..Descriptor::FREE
                };
                self.free = page;
                self.free_count += 1;
            }
        }
        self.touched = self.touched.max(self.in_use());
    }

    // ---- lists ---------------------------------------------------------------------------------

    /// Links a page as the list's head.
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn push_head(&mut self, list: &mut List, page: Page) {
        let old = list.head;
        let descriptor = self.get_mut(page);
        (descriptor.prev, descriptor.next) = (old, Page::NONE);
        match old.some() {
            Some(old) => self.get_mut(old).next = page,
            None => list.tail = page,
        }
        list.head = page;
    }

    /// Links a page as the list's tail.
    pub(crate) fn push_tail(&mut self, list: &mut List, page: Page) {
        let old = list.tail;
        let descriptor = self.get_mut(page);
        (descriptor.prev, descriptor.next) = (Page::NONE, old);
        match old.some() {
            Some(old) => self.get_mut(old).prev = page,
            None => list.head = page,
        }
        list.tail = page;
    }

    /// Links a page next to `before`, on the side of the head.
    pub(crate) fn push_after(&mut self, list: &mut List, before: Page, page: Page) {
        let next = self.get(before).next;
        let Some(next) = next.some() else {
            return self.push_head(list, page);
        };
        let descriptor = self.get_mut(page);
        (descriptor.prev, descriptor.next) = (before, next);
        self.get_mut(before).next = page;
        self.get_mut(next).prev = page;
    }

    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn unlink(&mut self, list: &mut List, page: Page) {
        let Descriptor { next, prev, .. } = *self.get(page);
        match prev.some() {
            Some(prev) => self.get_mut(prev).next = next,
            None => list.tail = next,
        }
        match next.some() {
            Some(next) => self.get_mut(next).prev = prev,
            None => list.head = prev,
        }
        let descriptor = self.get_mut(page);
        (descriptor.prev, descriptor.next) = (Page::NONE, Page::NONE);
    }

    // ---- runs ----------------------------------------------------------------------------------

    /// Acquires the lowest `count` neighbouring free pages, and sorts the free list in ascending order. O(pages).
    pub(crate) fn take_run(&mut self, count: u32, owner: Owner) -> Option<Page> {
        if count == 0 || count > self.available() {
            return None;
        }
        let mut run = 0;
        let last = self.all().find(|&page| {
            let is_free = self.get(page).owner == Owner::Free;
            run = if is_free { run + 1 } else { 0 };
            run == count
        })?;
        let first = Page(last.0 + 1 - count as u16);
        for number in first.0..=last.0 {
            *self.get_mut(Page(number)) = Descriptor {
                owner,
                ..Descriptor::FREE
            };
        }
        self.collect_free();
        Some(first)
    }

    /// Releases `count` neighbouring pages. O(count).
    pub(crate) fn give_run(&mut self, first: Page, count: u32) {
        for number in (0..count as u16).rev() {
            self.give(Page(first.0 + number));
        }
    }

    // ---- walker --------------------------------------------------------------------------------

    /// The number of pages in the list. `None` if a link is broken or a page has another owner.
    pub(crate) fn check_list(&self, list: &List, owner: Owner) -> Option<u32> {
        let (mut page, mut before, mut count) = (list.tail, Page::NONE, 0);
        while let Some(here) = page.some() {
            let descriptor = self.get(here);
            if descriptor.owner != owner || descriptor.prev != before || count > self.count() {
                return None;
            }
            (before, page, count) = (here, descriptor.next, count + 1);
        }
        (list.head == before).then_some(count)
    }

    pub(crate) fn check(&self) -> bool {
        let owned = self.all().filter(|&p| self.get(p).owner != Owner::Free);
        let (mut page, mut count) = (self.free, 0);
        while let Some(here) = page.some().filter(|_| count <= self.count()) {
            if self.get(here).owner != Owner::Free {
                return false;
            }
            (page, count) = (self.get(here).next, count + 1);
        }
        count == self.free_count
            && owned.count() as u32 == self.in_use()
            && self.limit <= self.ceiling
            && (self.in_use() <= self.ceiling)
    }
}
