//! The sweep: expires items without a request for their keys.
//!
//! Each page's descriptor has a tick before which no item of the page expires. A hand sweeps over the pages. It
//! skips a page that is not due. In a due page it expires items, then stores the page's next due tick. After a
//! lap, the hand rests until the first page is due.
//!
//! # Time
//! A step looks at a descriptor or at an item. If no page is due, there is no step.
//!
//! # Source
//! Expiry by the page: Segcache, J. Yang et al., NSDI 2021. Other than there, the items of a page may have
//! different TTLs.

#![forbid(unsafe_code)]

use crate::item::Head;
use crate::page::{Id, Page};
use crate::store::{Store, is_due};

/// Steps of the hand before an eviction.
const SWEEP_STEPS: u32 = 48;

impl Store {
    /// Expires some items, unless the bytes of items expired before still await cleaning. Returns whether any expired.
    pub(crate) fn sweep_before_eviction(&mut self) -> bool {
        let waits = self.room.cleaner.is_owed() && !self.policy.is_lru();
        if waits || !is_due(self.room.sweep.due, self.time().now()) {
            return false;
        }
        let before = self.counters.expirations;
        let mut pages = self.pages.count();
        self.room.cleaner.start_at(self.room.sweep.page);
        self.sweep(&mut pages, SWEEP_STEPS);
        self.counters.expirations > before
    }

    /// Expires items in at most `pages` pages and at most `steps` steps. Subtracts the swept pages from `pages`, or
    /// sets it to 0 if no page is due. Returns the steps made.
    pub(crate) fn sweep(&mut self, pages: &mut u32, steps: u32) -> u32 {
        *pages = (*pages).min(self.pages.count());
        let mut left = steps;
        while left > 0 && *pages > 0 {
            if !is_due(self.room.sweep.due, self.time().now()) {
                *pages = 0;
                break;
            }
            left -= 1;
            if self.sweep_page(&mut left) {
                *pages -= 1;
                self.next_page();
            }
        }
        steps - left
    }

    fn next_page(&mut self) {
        let sweep = &mut self.room.sweep;
        (sweep.page, sweep.at, sweep.page_due) = (sweep.page + 1, None, u64::MAX);
        if sweep.page >= self.pages.count() {
            // The due times of items set during the lap are in both `due` and `lap_due`.
            sweep.due = core::mem::replace(&mut sweep.lap_due, u64::MAX);
            sweep.page = 0;
        }
    }

    /// Sweeps the hand's page, in at most `left` steps. Returns whether the page is finished.
    fn sweep_page(&mut self, left: &mut u32) -> bool {
        let page = Page(self.room.sweep.page as u16);
        let descriptor = *self.pages.get(page);
        if !descriptor.owner.is_log() {
            return true;
        }
        let due = self.time().due_of(&descriptor);
        if !self.is_over(due) && self.room.sweep.at.is_none() {
            self.note_lap(due);
            return true;
        }
        let mut at = self.pages.start_of(page) + u32::from(descriptor.first);
        let from = self.room.sweep.at.unwrap_or(at);
        while at < self.pages.end_of(page) {
            // A page without a live granule was released, or is the head page and was restarted.
            if self.pages.get(page).live == 0 || !self.pages.get(page).owner.is_log() {
                return true;
            }
            let head = Head(self.pages.word(at));
            let here = self.layout.granules_here(&self.pages, Id(at), head).max(1);
            if at >= from {
                if *left == 0 {
                    self.room.sweep.at = Some(at);
                    return false;
                }
                *left -= 1;
                self.sweep_item(Id(at), head);
            }
            at += here;
        }
        let era = self.pages.get(page).era;
        let next = self.room.sweep.page_due;
        self.pages.get_mut(page).due = self.kept.time.due_at(era, next);
        self.note_lap(next);
        true
    }

    /// Records for the lap that an item expires at `at`.
    fn note_lap(&mut self, at: u64) {
        let over = at.saturating_add(self.grace_ms.into());
        self.room.sweep.lap_due = self.room.sweep.lap_due.min(over);
    }

    fn sweep_item(&mut self, id: Id, head: Head) {
        if head.is_dead() || !head.has_ttl() {
            return;
        }
        if head.is_live() && self.is_gone(id, head) {
            return self.expire(id);
        }
        // A pinned item expires after its release.
        let at = self.expires_at(id);
        let sweep = &mut self.room.sweep;
        sweep.page_due = sweep.page_due.min(at);
    }
}
