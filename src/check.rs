//! The walker: counts every byte a second way, page by page and item by item, and compares.

#![forbid(unsafe_code)]

use crate::item::{Head, State};
use crate::log::Log;
use crate::page::{GRANULE, Id, Owner, Page, Pages};
use crate::store::Store;

/// What a walk of all pages counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    items: u32,
    ttl_items: u32,
    pinned: u32,
    payload: u64,
    /// Of the window and of main: granules that live, pages, pages of chains, items.
    logs: [(u32, u32, u32, u32); 2],
}

impl Store {
    /// Every byte of pages that is taken, counted by page.
    pub(crate) fn pages_taken(&self) -> usize {
        let page = self.pages.page_size();
        let mut usage = 0;
        for number in self.pages.all() {
            let descriptor = self.pages.get(number);
            usage += match descriptor.owner {
                Owner::Free => 0,
                Owner::Window | Owner::Main => usize::from(descriptor.live) * GRANULE,
                Owner::Chain | Owner::Slab | Owner::Directory | Owner::Pins => page,
            };
        }
        usage
    }

    /// Walks every invariant. O(region).
    pub(crate) fn check(&self) -> bool {
        let Some(counted) = self.count_all() else {
            return false;
        };
        let of_log = |log: &Log| (log.live, log.pages, log.chains, log.items);
        let sums = Counted {
            items: self.items,
            ttl_items: self.ttl_items,
            pinned: counted.pinned,
            payload: self.payload,
            logs: [of_log(&self.logs.window), of_log(&self.logs.main)],
        };
        let is_item = |id| {
            self.is_item(self.head(id)) && self.pages.get(self.pages.page_of(id)).owner.is_log()
        };
        let rehash = |_: &Pages, id: Id| self.hash_of(id);
        let lru = !self.policy.is_lru()
            || self.kept.lru.check(&self.pages, self.items) == Some(self.items - counted.pinned);
        counted == sums
            && self.pages.check()
            && self.check_log(&self.logs.window, Owner::Window)
            && self.check_log(&self.logs.main, Owner::Main)
            && self.index.check(&self.pages, is_item, &rehash) == Some(u64::from(self.items))
            && lru
    }

    fn check_log(&self, log: &Log, owner: Owner) -> bool {
        self.pages.check_list(&log.list, owner) == Some(log.pages)
    }

    fn count_all(&self) -> Option<Counted> {
        let mut sum = Counted::default();
        for page in self
            .pages
            .all()
            .filter(|&page| self.pages.get(page).owner.is_log())
        {
            let live = self.count_page(page, &mut sum)?;
            let log = usize::from(self.pages.get(page).owner == Owner::Main);
            let descriptor = self.pages.get(page);
            // An empty page is given back, unless it is a log's head.
            let is_head = self.logs.is_head(page);
            if u32::from(descriptor.live) != live || live == 0 && !is_head {
                return None;
            }
            sum.logs.get_mut(log)?.0 += live;
            sum.logs.get_mut(log)?.1 += 1;
        }
        Some(sum)
    }

    /// Granules of a page in which something lives; `None` where the page cannot be walked.
    fn count_page(&self, page: Page, sum: &mut Counted) -> Option<u32> {
        let start = self.pages.start_of(page);
        let first = u32::from(self.pages.get(page).first);
        let mut live = self.live_rest(page, start, first)?;
        let mut at = start + first;
        while at < self.pages.end_of(page) {
            let (id, head) = (Id(at), Head(self.pages.word(at)));
            let here = self.layout.granules_here(&self.pages, id, head);
            if here == 0 || at + here > self.pages.end_of(page) {
                return None;
            }
            if !head.is_dead() {
                live += here;
                self.count_item(page, id, head, sum)?;
            }
            at += here;
        }
        Some(live)
    }

    /// Granules of the rest that a page begins with.
    fn live_rest(&self, page: Page, start: u32, first: u32) -> Option<u32> {
        let Some(id) = Id(self.pages.word(start)).some().filter(|_| first > 0) else {
            return Some(0);
        };
        let own = !self.head(id).is_dead()
            && self.layout.rest_page(&self.pages, id) == page
            && self.layout.rest_granules(&self.pages, id) == first;
        own.then_some(first)
    }

    fn count_item(&self, page: Page, id: Id, head: Head, sum: &mut Counted) -> Option<()> {
        let log = sum
            .logs
            .get_mut(usize::from(self.pages.get(page).owner == Owner::Main))?;
        log.3 += 1;
        let chain = self.count_chain(id)?;
        log.2 += chain;
        log.0 += self.pages.granules_of(chain);
        if let Some(rest) = self.layout.rest_page(&self.pages, id).some() {
            let named = Id(self.pages.word(self.pages.start_of(rest))) == id;
            if !named || self.pages.get(rest).owner != self.pages.get(page).owner {
                return None;
            }
        }
        if head.state() == State::Pending {
            return Some(());
        }
        sum.items += 1;
        sum.ttl_items += u32::from(head.has_ttl());
        sum.pinned += u32::from(head.state() == State::Pinned);
        sum.payload += self.layout.payload(&self.pages, id, self.head(id)) as u64;
        let due = self.kept.time.due_of(self.pages.get(page));
        (due <= self.expires_at(id)).then_some(())
    }

    /// Pages of an item's chain; `None` where they do not hold together.
    fn count_chain(&self, id: Id) -> Option<u32> {
        let (mut page, mut before, mut count) =
            (self.layout.chain_page(&self.pages, id), Page::NONE, 0);
        while let Some(here) = page.some() {
            let descriptor = self.pages.get(here);
            let sound = descriptor.owner == Owner::Chain
                && descriptor.prev == before
                && count < self.pages.count();
            let named = before != Page::NONE || Id(descriptor.due) == id;
            if !sound || !named {
                return None;
            }
            (before, page, count) = (here, descriptor.next, count + 1);
        }
        (count == self.layout.chain_len(&self.pages, id)).then_some(count)
    }
}
