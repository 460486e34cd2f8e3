//! Cleaning: copies the live items out of a page with many dead bytes, so that the page becomes free.
//!
//! # Time
//! A step looks at a sample of pages, or copies one item.
//!
//! # Source
//! Segment cleaning: M. Rosenblum, J. Ousterhout, ACM TOCS 10 (1992). Choice by a sample of pages: the power of two
//! choices, M. Mitzenmacher, IEEE TPDS 12 (2001).

#![forbid(unsafe_code)]

use crate::item::{Head, State};
use crate::page::{Id, Page};
use crate::planted;
use crate::progress::{CLEANED, EXPIRED};
use crate::store::Store;

/// Size of the sample in which the page with the most dead bytes is chosen.
pub(crate) const SAMPLE: u32 = 16;
/// Cleaning has priority above this number of dead granules, in 1,024ths of all, and `DEAD_PAGES` pages.
const DEAD_SHARE: u32 = 40;
const DEAD_PAGES: u32 = 4;
/// A page is worth cleaning if more than `1 / 2^WORTH_SHIFT` of it is dead.
const WORTH_SHIFT: u32 = 5;
/// As [`WORTH_SHIFT`], in a slice of a call.
const SLICE_WORTH_SHIFT: u32 = 3;
/// As [`WORTH_SHIFT`], for a page in which items have expired.
const EXPIRED_WORTH_SHIFT: u32 = 4;

impl Store {
    /// Dead granules, without the room in the head pages and the passed granules of the tail pages.
    pub(crate) fn dead(&self) -> u32 {
        self.logs.window.dead(&self.pages) + self.logs.main.dead(&self.pages)
    }

    /// Whether there are enough dead granules to clean before evicting. `available`: granules that the logs can still
    /// take. Granules that are neither live nor available are dead.
    #[inline]
    pub(crate) fn wants_cleaning(&self, available: u32) -> bool {
        let pages = &self.pages;
        let others = self.index.pages() + u32::from(self.held > 0);
        let all = pages.granules_of(pages.count() - others);
        let most =
            (pages.granules_of(pages.limit()) >> 10) * DEAD_SHARE + pages.granules_of(DEAD_PAGES);
        all.saturating_sub(self.live() + available) > most
    }

    /// Copies an item out of the page being cleaned, or picks a page. `false` if no page is worth cleaning.
    pub(crate) fn clean_step(&mut self) -> bool {
        let Some(page) = self.room.cleaner.page(&self.pages) else {
            return self.pick_page();
        };
        if self.logs.is_tail(page) {
            // The tail will pass this page anyway.
            self.room.cleaner.stop(&mut self.pages);
            return true;
        }
        self.room.work.steps = self.room.work.steps.saturating_sub(1);
        let at = self.room.cleaner.at;
        let start = self.pages.start_of(page);
        if at == start && self.pages.get(page).first > 0 {
            return self.clean_rest(page, start);
        }
        if at >= self.pages.end_of(page) {
            self.room.cleaner.stop(&mut self.pages);
            return true;
        }
        let head = Head(self.pages.word(at));
        let here = self.layout.granules_here(&self.pages, Id(at), head).max(1);
        self.room.cleaner.at += here;
        self.clean_item(Id(at), head)
    }

    /// First moves the item whose rest is at the page's start.
    fn clean_rest(&mut self, page: Page, start: u32) -> bool {
        self.room.cleaner.at = start + u32::from(self.pages.get(page).first);
        let Some(id) = Id(self.pages.word(start)).some() else {
            return true;
        };
        let head = self.head(id);
        self.clean_item(id, head)
    }

    fn clean_item(&mut self, id: Id, head: Head) -> bool {
        if head.is_dead()
            || head.state() != State::Live && !planted::is("pins forgotten by cleaner")
        {
            return true;
        }
        if self.is_gone(id, head) {
            self.expire(id);
            return true;
        }
        let owner = self.owner_of(id);
        let item = self.layout.item(&self.pages, id, head);
        self.relocate(item, owner, head.uses()).is_some()
    }

    fn pick_page(&mut self) -> bool {
        let (count, granules) = (self.pages.count(), self.pages.granules());
        let owed = self.room.cleaner.owed;
        let worth = if owed > 0 {
            granules >> EXPIRED_WORTH_SHIFT
        } else if self.room.work.need > 1 && !self.policy.is_lru() {
            granules >> SLICE_WORTH_SHIFT
        } else {
            granules >> WORTH_SHIFT
        };
        let mut best = (worth, Page::NONE);
        for _ in 0..SAMPLE.min(count) {
            let cleaner = &mut self.room.cleaner;
            let page = Page(cleaner.hand.min(count - 1) as u16);
            cleaner.hand = (u32::from(page.0) + 1) % count;
            let descriptor = self.pages.get(page);
            if owed > 0 && descriptor.mark != EXPIRED {
                continue;
            }
            let dead = granules - u32::from(descriptor.live).min(granules);
            if dead > best.0 && self.may_clean(page) {
                best = (dead, page);
                if owed > 0 {
                    break;
                }
            }
        }
        self.room.work.steps = self.room.work.steps.saturating_sub(4);
        let Some(page) = best.1.some() else {
            // The marked pages were released since, or are outside the sample.
            self.room.cleaner.owed = owed / 2;
            return owed > 1;
        };
        self.room.cleaner.owed = owed.saturating_sub(1);
        self.pages.get_mut(page).mark = CLEANED;
        self.room.cleaner.page = page;
        self.room.cleaner.at = self.pages.start_of(page);
        true
    }

    fn may_clean(&self, page: Page) -> bool {
        self.pages.get(page).owner.is_log()
            && !self.logs.is_head(page)
            && !self.logs.is_tail(page)
            && (self.held == 0
                || planted::is("pins forgotten by cleaner")
                || !self.holds_fixed(page))
    }

    /// Whether the page holds an item that cannot move. O(items of the page).
    fn holds_fixed(&self, page: Page) -> bool {
        let start = self.pages.start_of(page);
        let first = u32::from(self.pages.get(page).first);
        let fixed = |head: Head| !head.is_dead() && head.state() != State::Live;
        let rest = Id(self.pages.word(start)).some().filter(|_| first > 0);
        if rest.is_some_and(|id| fixed(self.head(id))) {
            return true;
        }
        let mut at = start + first;
        while at < self.pages.end_of(page) {
            let head = Head(self.pages.word(at));
            if fixed(head) {
                return true;
            }
            at += self.layout.granules_here(&self.pages, Id(at), head).max(1);
        }
        false
    }
}
