//! A log: items in pages, in the order in which they were appended.
//!
//! # Layout
//! ```text
//! tail page <-> page <-> page <-> head page      items are appended at the head, passed at the tail
//! a page    | rest of an item that began in another page | item | dead | item | .. | dead |
//!             descriptor.first = behind it
//! ```
//! Every page can be walked from `first` to its end at any time, wherever its owner is stopped: what is not an
//! item is a dead run that says how long it is.
//!
//! # Invariants (walked by `check`)
//! 1. A page's `live` counts the granules of its items and of a rest; `Log::live` those of all pages and chains.
//! 2. A page without a live granule is given back, unless it is the head, which starts anew.
//! 3. No item of a page expires before its `due`.
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

/// An item longer than this part of a page goes on in the next page rather than waste the end of its own.
const SPLIT_SHIFT: u32 = 5;

/// One log of a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    owner: Owner,
    pub(crate) list: List,
    /// The head page's next granule, and its end.
    at: u32,
    end: u32,
    /// The next granule at the tail, and where those begin that come back with the tail page: the same while the
    /// tail page is the head page.
    scan: u32,
    from: u32,
    pub(crate) live: u32,
    pub(crate) pages: u32,
    /// Pages of chains.
    pub(crate) chains: u32,
    /// Items, and what is reserved.
    pub(crate) items: u32,
}

/// Where an item is to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) id: Id,
    pub(crate) shape: Shape,
    /// The page that its rest lies in.
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

    /// Granules of the tail page that were passed: they come back with the page.
    #[inline(always)]
    pub(crate) fn passed(&self) -> u32 {
        self.scan - self.from
    }

    /// Granules in which nothing lives, and that neither head nor tail will give back soon.
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

    /// Room for an item at the head: dead until its first word is written. `None` where pages are missing.
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

    /// An item in one piece in the head page, which has room for it.
    #[inline(always)]
    fn append_whole(&mut self, pages: &mut Pages, shape: &Shape) -> Place {
        Place {
            id: self.push(pages, shape.granules()),
            shape: *shape,
            rest: Page::NONE,
        }
    }

    /// As [`Log::append_item`], where the head page is too short.
    #[cold]
    fn append_beyond(&mut self, pages: &mut Pages, time: &Time, shape: &Shape) -> Option<Place> {
        let (page, granules) = (pages.granules(), shape.granules());
        let (split, least) = shape.split();
        // The rest has a page of its own, but for its first word.
        let least = least.max((split.granules() + 1).saturating_sub(page));
        let goes_on = granules > page >> SPLIT_SHIFT && self.room() >= least;
        if !goes_on {
            // What is to begin in a fresh page and not to end there needs two.
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

    /// So many granules of the head page, which has them.
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

    /// The rest of the head page is a dead run.
    #[inline(always)]
    fn write_dead_end(&self, pages: &mut Pages) {
        if self.at < self.end {
            pages.set_word(self.at, Head::dead(self.end - self.at).0);
        }
    }

    /// A fresh head page.
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
        // The page can be walked before it is the log's.
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

    /// Makes sure that the head page takes an expiry from now on: a fresh one where the present one is too old.
    pub(crate) fn ready_for_expiry(&mut self, pages: &mut Pages, time: &Time) -> bool {
        match self.list.head.some() {
            Some(head) if !time.fits(pages.get_mut(head)) => self.open(pages, time).is_some(),
            _ => true,
        }
    }

    // ---- killing -------------------------------------------------------------------------------

    /// Declares an item's bytes dead, those of its rest and chain too.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn kill(&mut self, pages: &mut Pages, items: Items, item: Item) {
        debug_assert!(!item.head.is_dead());
        if item.head.is_long() {
            self.kill_beyond(pages, items, item.id);
        }
        self.bury(pages, item.id, item.here);
    }

    /// Kills an item whose chain another one has taken over.
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
        // Where an item's words were damaged, they may name any page: those that do not name the item are not its.
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
            // Nothing begins there any more; the walk starts behind it all the same.
            pages.set_word(pages.start_of(rest), Id::NONE.0);
            if !planted::is("rest forgotten by kill") {
                self.drop_live(pages, rest, granules);
            }
        }
    }

    /// An item shrinks where it lies: its last granules are dead.
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

    /// The head page has no live granule: it starts anew.
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

    /// The tail page is to be passed from its start.
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

    /// The next item at the tail that can go, and its first word; each granule run looked at costs a step. `None`
    /// where there is none, or the steps are used up.
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

    /// The item at the tail, where one that can go lies right there.
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
            // What is pinned stays in its page, which goes to the head's side.
            turned += 1;
            if turned > self.pages {
                return None;
            }
            self.turn(pages, tail);
        }
    }

    /// An item in the head page that can go: what the tail never reaches while other pages hold what is pinned.
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

    /// The tail page has passed: it holds only what cannot move, and waits for another turn.
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

    /// What lay at the tail is dead: on to what lies behind it.
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

    /// The list was built anew, of pages that an earlier owner left: items are appended to a fresh page, and passed
    /// from the tail's start.
    pub(crate) fn adopt(&mut self, pages: &Pages, list: List) {
        self.list = list;
        if let Some(head) = list.head.some() {
            (self.at, self.end) = (pages.end_of(head), pages.end_of(head));
        }
        self.start_tail(pages);
    }
}
