//! Walking over the items of a page.

#![forbid(unsafe_code)]

use super::Store;
use crate::item::Head;
use crate::page::{Id, Page};

impl Store {
    /// Calls with each item, or pending one, that begins in a page of a log, until `visit` says `false`.
    pub(crate) fn each_in(&self, page: Page, mut visit: impl FnMut(Id, Head) -> bool) {
        let descriptor = self.pages.get(page);
        if !descriptor.owner.is_log() {
            return;
        }
        let mut at = self.pages.start_of(page) + u32::from(descriptor.first);
        while at < self.pages.end_of(page) {
            let head = Head(self.pages.word(at));
            if !head.is_dead() && !visit(Id(at), head) {
                return;
            }
            at += self.layout.granules_here(&self.pages, Id(at), head).max(1);
        }
    }

    /// Whether an item begins here. `id` lies in a page.
    pub(crate) fn begins(&self, id: Id) -> bool {
        let mut found = false;
        self.each_in(self.pages.page_of(id), |other, head| {
            found = other == id && !head.is_dead();
            other.0 < id.0
        });
        found
    }

    /// As [`Store::each_in`], where `visit` may take the item out: its page may be given back then.
    pub(crate) fn each_in_mut(&mut self, page: Page, mut visit: impl FnMut(&mut Self, Id, Head)) {
        let mut at = self.pages.start_of(page) + u32::from(self.pages.get(page).first);
        let end = self.pages.end_of(page);
        while at < end && self.pages.get(page).owner.is_log() {
            let (id, head) = (Id(at), Head(self.pages.word(at)));
            at += self.layout.granules_here(&self.pages, id, head).max(1);
            if !head.is_dead() {
                visit(self, id, head);
            }
        }
    }
}
