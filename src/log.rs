//! A log: items in pages, in the order of their appends.
//!
//! # Layout
//! ```text
//! tail page <-> page <-> page <-> head page      items are appended at the head, passed at the tail
//! a page    | rest of an item that began in another page | item | dead | item | .. | dead |
//!             descriptor.first = the granule behind the rest
//! ```
//! Every page can be walked from `first` to its end, even after a crash at any store. Between the items there are
//! only dead runs, and each dead run stores its length.
//!
//! # Invariants (walked by `check`)
//! 1. A page's `live` counts the granules of its items and its rest. `Log::live` counts those of all pages and chains.
//! 2. A page without a live granule is released. The head page stays and restarts at its first granule.
//! 3. No item of a page expires before the page's `due`.
//!
//! # Source
//! Log-structured memory: M. Rosenblum, J. Ousterhout, ACM TOCS 10 (1992); S. Rumble et al., FAST 2014.

#![forbid(unsafe_code)]

mod chain;

use crate::expiry::Time;
use crate::item::{Head, Item, Items, Shape};
use crate::page::{GRANULE, Id, List, NO_DUE, Owner, Page, Pages};
use crate::planted;
use crate::region::barrier;

/// An item longer than `1 / 2^SPLIT_SHIFT` of a page is split over two pages. A shorter one wastes the page's end.
const SPLIT_SHIFT: u32 = 5;

/// One log of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    owner: Owner,
    pub(crate) list: List,
    /// The head page's next granule.
    at: u32,
    /// The head page's end.
    end: u32,
    /// The next granule to pass at the tail.
    scan: u32,
    /// The first granule that `passed` counts. Equals `scan` while the tail page is the head page.
    from: u32,
    pub(crate) live: u32,
    pub(crate) pages: u32,
    /// Pages of chains.
    pub(crate) chains: u32,
    /// Items and reservations.
    pub(crate) items: u32,
}

/// The granules of an item that will be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) id: Id,
    pub(crate) shape: Shape,
    /// The page of the item's rest, or `NONE`.
    pub(crate) rest: Page,
}

impl Log {
    pub(crate) const fn new(owner: Owner) -> Self {
        Self {
            owner,
            list: List::EMPTY,
            at: 0,
            end: 0,
            scan: 0,
            from: 0,
            live: 0,
            pages: 0,
            chains: 0,
            items: 0,
        }
    }

    /// Granules left in the head page.
    #[inline(always)]
    pub(crate) fn room(&self) -> u32 {
        self.end - self.at
    }

    /// Passed granules of the tail page, which become free with the page.
    #[inline(always)]
    pub(crate) fn passed(&self) -> u32 {
        self.scan - self.from
    }

    /// Dead granules, without the room in the head page and the passed granules of the tail page.
    pub(crate) fn dead(&self, pages: &Pages) -> u32 {
        let all = pages.granules_of(self.pages + self.chains);
        all.saturating_sub(self.live + self.room() + self.passed())
    }

    pub(crate) fn is_head(&self, page: Page) -> bool {
        self.list.head == page
    }

    pub(crate) fn is_tail(&self, page: Page) -> bool {
        self.list.tail == page
    }

    // ---- appending -----------------------------------------------------------------------------

    /// Takes granules for an item at the head, a dead run until the item's first word is stored. `None` without pages.
    pub(crate) fn append_item(
        &mut self,
        pages: &mut Pages,
        time: &Time,
        shape: &Shape,
    ) -> Option<Place> {
        let granules = shape.granules();
        if granules > self.room() {
            return self.append_beyond(pages, time, shape);
        }
        Some(self.append_whole(pages, shape))
    }

    /// Takes granules for an item in one piece. The head page has room for the item.
    #[inline(always)]
    fn append_whole(&mut self, pages: &mut Pages, shape: &Shape) -> Place {
        Place {
            id: self.push(pages, shape.granules()),
            shape: *shape,
            rest: Page::NONE,
        }
    }

    /// As [`Log::append_item`], for an item that does not fit in the head page.
    #[cold]
    fn append_beyond(&mut self, pages: &mut Pages, time: &Time, shape: &Shape) -> Option<Place> {
        let (page, granules) = (pages.granules(), shape.granules());
        let (split, least) = shape.split();
        // The rest and the rest's first word must fit in one page.
        let least = least.max((split.granules() + 1).saturating_sub(page));
        let goes_on = granules > page >> SPLIT_SHIFT && self.room() >= least;
        if !goes_on {
            // An item longer than a page takes two fresh pages.
            if pages.available() < 1 + u32::from(granules > page) {
                return None;
            }
            self.open(pages, time)?;
            if granules <= page {
                return Some(self.append_whole(pages, shape));
            }
        }
        let rest_granules = split.granules() - self.room() + 1;
        let before = *self;
        let rest = self.take_page(pages, time)?;
        let id = Id(before.at);
        let here = before.room();
        Items::set_head(pages, id, Head::dead(here));
        pages.get_mut(before.list.head).live += here as u16;
        self.live += here + rest_granules;
        self.items += 1;
        self.at += rest_granules;
        self.write_dead_end(pages);
        barrier();
        pages.get_mut(rest).first = rest_granules as u16;
        pages.get_mut(rest).live = rest_granules as u16;
        barrier();
        pages.set_word(pages.start_of(rest), id.0);
        if self.is_tail(rest) {
            self.pass_from(self.at);
        }
        Some(Place {
            id,
            shape: split,
            rest,
        })
    }

    /// Takes `granules` granules of the head page, which has room for them.
    #[inline(always)]
    pub(crate) fn push(&mut self, pages: &mut Pages, granules: u32) -> Id {
        let id = Id(self.at);
        self.at += granules;
        self.live += granules;
        self.items += 1;
        self.write_dead_end(pages);
        barrier();
        Items::set_head(pages, id, Head::dead(granules));
        pages.get_mut(self.list.head).live += granules as u16;
        id
    }

    /// Makes the head page's free end a dead run.
    #[inline(always)]
    fn write_dead_end(&self, pages: &mut Pages) {
        if self.at < self.end {
            pages.set_word(self.at, Head::dead(self.end - self.at).0);
        }
    }

    /// Opens a fresh head page.
    #[cold]
    pub(crate) fn open(&mut self, pages: &mut Pages, time: &Time) -> Option<Page> {
        let page = self.take_page(pages, time)?;
        self.write_dead_end(pages);
        Some(page)
    }

    fn take_page(&mut self, pages: &mut Pages, time: &Time) -> Option<Page> {
        let page = pages.take(Owner::Free)?;
        let descriptor = pages.get_mut(page);
        (descriptor.era, descriptor.due) = (time.era(), NO_DUE);
        (self.at, self.end) = (pages.start_of(page), pages.end_of(page));
        // The page must be walkable before the log owns it.
        self.write_dead_end(pages);
        barrier();
        pages.get_mut(page).owner = self.owner;
        let old = self.list.head;
        pages.push_head(&mut self.list, page);
        if self.is_tail(page) {
            self.pass_from(self.at);
        } else if self.is_tail(old) {
            self.from = pages.start_of(old) + u32::from(pages.get(old).first);
        }
        self.pages += 1;
        Some(page)
    }

    /// Opens a fresh head page if the present one is too old for expiries from now on. False if no page is available.
    pub(crate) fn ready_for_expiry(&mut self, pages: &mut Pages, time: &Time) -> bool {
        match self.list.head.some() {
            Some(head) if !time.fits(pages.get_mut(head)) => self.open(pages, time).is_some(),
            _ => true,
        }
    }

    // ---- killing -------------------------------------------------------------------------------

    /// Kills an item: its bytes, and those of its rest and chain, are dead.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn kill(&mut self, pages: &mut Pages, items: Items, item: Item) {
        debug_assert!(!item.head.is_dead());
        if item.head.is_long() {
            self.kill_beyond(pages, items, item.id);
        }
        self.bury(pages, item.id, item.here);
    }

    /// Kills an item whose chain now belongs to another item.
    pub(crate) fn kill_but_chain(&mut self, pages: &mut Pages, items: Items, id: Id) {
        self.kill_rest(pages, items, id);
        let here = items.granules_here(pages, id, Items::head(pages, id));
        self.bury(pages, id, here);
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn bury(&mut self, pages: &mut Pages, id: Id, granules: u32) {
        self.items -= 1;
        Items::set_head(pages, id, Head::dead(granules));
        if pages.zeroes_on_free() {
            let at = (id.0 as usize + 1) * GRANULE;
            pages
                .bytes_mut()
                .zero(at, (granules as usize - 1) * GRANULE);
        }
        self.drop_live(pages, pages.page_of(id), granules);
    }

    #[cold]
    fn kill_beyond(&mut self, pages: &mut Pages, items: Items, id: Id) {
        // Damaged words may name any page. A page belongs to the item only if the page names the item.
        let named = |page: &Page| {
            let descriptor = pages.contains(*page).then(|| pages.get(*page));
            descriptor.is_some_and(|d| d.owner == Owner::Chain && d.due == id.0)
        };
        if let Some(first) = items.chain_page(pages, id).some().filter(named)
            && !planted::is("chain page leaked by kill")
        {
            self.give_chain(pages, first);
        }
        self.kill_rest(pages, items, id);
    }

    fn kill_rest(&mut self, pages: &mut Pages, items: Items, id: Id) {
        let named = |page: &Page| {
            pages.contains(*page)
                && pages.get(*page).owner == self.owner
                && pages.word(pages.start_of(*page)) == id.0
        };
        if let Some(rest) = items.rest_page(pages, id).some().filter(named) {
            let granules = items.rest_granules(pages, id);
            if pages.zeroes_on_free() {
                let at = pages.start_of(rest) as usize * GRANULE;
                pages.bytes_mut().zero(at, granules as usize * GRANULE);
            }
            // The rest belongs to no item now. `first` still starts walks behind the rest.
            pages.set_word(pages.start_of(rest), Id::NONE.0);
            if !planted::is("rest forgotten by kill") {
                self.drop_live(pages, rest, granules);
            }
        }
    }

    /// Shrinks an item in place from `from` to `to` granules: the last granules are dead.
    pub(crate) fn trim(&mut self, pages: &mut Pages, id: Id, from: u32, to: u32) {
        if to < from {
            Items::set_head(pages, Id(id.0 + to), Head::dead(from - to));
            self.drop_live(pages, pages.page_of(id), from - to);
        }
    }

    #[inline(always)]
    fn drop_live(&mut self, pages: &mut Pages, page: Page, granules: u32) {
        debug_assert!(u32::from(pages.get(page).live) >= granules);
        let descriptor = pages.get_mut(page);
        descriptor.live -= granules as u16;
        let empty = descriptor.live == 0;
        self.live -= granules;
        if empty {
            self.emptied(pages, page);
        }
    }

    #[cold]
    fn emptied(&mut self, pages: &mut Pages, page: Page) {
        if self.is_head(page) {
            return self.restart_head(pages);
        }
        self.unlink(pages, page);
        pages.give(page);
    }

    /// Restarts the head page, which has no live granule, at its first granule.
    fn restart_head(&mut self, pages: &mut Pages) {
        let page = self.list.head;
        let descriptor = pages.get_mut(page);
        (descriptor.first, descriptor.due) = (0, NO_DUE);
        (self.at, self.end) = (pages.start_of(page), pages.end_of(page));
        self.write_dead_end(pages);
        if self.is_tail(page) {
            self.pass_from(self.at);
        }
    }

    fn unlink(&mut self, pages: &mut Pages, page: Page) {
        let was_tail = self.is_tail(page);
        pages.unlink(&mut self.list, page);
        self.pages -= 1;
        if was_tail {
            self.start_tail(pages);
        }
    }

    /// Starts passing the tail page at its first item.
    pub(crate) fn start_tail(&mut self, pages: &Pages) {
        match self.list.tail.some() {
            Some(tail) => self.pass_from(pages.start_of(tail) + u32::from(pages.get(tail).first)),
            None => self.pass_from(0),
        }
    }

    fn pass_from(&mut self, first: u32) {
        (self.scan, self.from) = (first, first);
    }

    // ---- passing -------------------------------------------------------------------------------

    /// The next live item at the tail, and its first word. Each skipped run costs a step. `None` without item or steps.
    #[inline]
    pub(crate) fn tail_item(
        &mut self,
        pages: &mut Pages,
        items: Items,
        steps: &mut u32,
    ) -> Option<(Id, Head)> {
        match self.next_item(pages) {
            Some(item) => Some(item),
            None => self.seek_tail_item(pages, items, steps),
        }
    }

    /// The item at the tail position, if it is live. Looks no further.
    #[inline(always)]
    pub(crate) fn next_item(&self, pages: &Pages) -> Option<(Id, Head)> {
        if self.list.tail == self.list.head {
            return None;
        }
        let head = Head(pages.word(self.scan));
        let is_there = self.scan < pages.end_of(self.list.tail) && head.is_live();
        is_there.then_some((Id(self.scan), head))
    }

    #[cold]
    fn seek_tail_item(
        &mut self,
        pages: &mut Pages,
        items: Items,
        steps: &mut u32,
    ) -> Option<(Id, Head)> {
        let mut turned = 0;
        loop {
            let tail = self.list.tail.some()?;
            let end = if self.is_head(tail) {
                self.at
            } else {
                pages.end_of(tail)
            };
            while self.scan < end {
                let head = Head(pages.word(self.scan));
                if head.is_live() {
                    return Some((Id(self.scan), head));
                }
                *steps = steps.checked_sub(1)?;
                let here = items.granules_here(pages, Id(self.scan), head).max(1);
                self.pass_to(self.scan + here);
            }
            if self.is_head(tail) {
                return None;
            }
            // Pinned items cannot leave their page, so the page moves next to the head.
            turned += 1;
            if turned > self.pages {
                return None;
            }
            self.turn(pages, tail);
        }
    }

    /// A live item of the head page. The tail never reaches this page while other pages have pinned items.
    /// O(granules of a page).
    pub(crate) fn head_item(&self, pages: &Pages, items: Items) -> Option<(Id, Head)> {
        let page = self.list.head.some()?;
        let start = pages.start_of(page) + u32::from(pages.get(page).first);
        Self::first_live(pages, items, start, self.at)
    }

    /// The item next to the tail, in its page. O(granules of a page).
    pub(crate) fn oldest_item(&self, pages: &Pages, items: Items) -> Option<(Id, Head)> {
        let tail = self.list.tail.some()?;
        let end = if self.is_head(tail) {
            self.at
        } else {
            pages.end_of(tail)
        };
        Self::first_live(pages, items, self.scan, end)
    }

    fn first_live(pages: &Pages, items: Items, mut at: u32, end: u32) -> Option<(Id, Head)> {
        while at < end {
            let head = Head(pages.word(at));
            if head.is_live() {
                return Some((Id(at), head));
            }
            at += items.granules_here(pages, Id(at), head).max(1);
        }
        None
    }

    /// Moves a passed tail page next to the head: its items cannot be moved now.
    fn turn(&mut self, pages: &mut Pages, tail: Page) {
        debug_assert!(pages.get(tail).live > 0 && !self.is_head(tail));
        pages.unlink(&mut self.list, tail);
        let head = self.list.head;
        match pages.get(head).prev.some() {
            Some(before) => pages.push_after(&mut self.list, before, tail),
            None => pages.push_tail(&mut self.list, tail),
        }
        self.start_tail(pages);
    }

    /// Moves the tail position behind a dead item. Does nothing if the item was elsewhere.
    #[inline]
    pub(crate) fn pass(&mut self, id: Id, granules: u32) {
        let restarted = self.list.tail == self.list.head && self.at <= id.0;
        if self.scan == id.0 && !restarted {
            self.pass_to(id.0 + granules);
        }
    }

    #[inline(always)]
    fn pass_to(&mut self, granule: u32) {
        self.scan = granule;
        if self.list.tail == self.list.head {
            self.from = granule;
        }
    }

    /// Takes over a list of pages from an earlier owner. The next append opens a fresh page; passing starts at the
    /// tail's first item.
    pub(crate) fn adopt(&mut self, pages: &Pages, list: List) {
        self.list = list;
        if let Some(head) = list.head.some() {
            (self.at, self.end) = (pages.end_of(head), pages.end_of(head));
        }
        self.start_tail(pages);
    }
}
