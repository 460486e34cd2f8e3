//! Chains: the whole pages of a value longer than a page.

#![forbid(unsafe_code)]

use super::Log;
use crate::page::{Owner, Page, Pages};

impl Log {
    /// Takes `count` whole pages for a value, or none if too few are available. The caller's item must name them.
    pub(crate) fn take_chain(&mut self, pages: &mut Pages, count: u32) -> Option<Page> {
        if pages.available() < count {
            return None;
        }
        let mut first = Page::NONE;
        for _ in 0..count {
            let page = pages.take(Owner::Chain)?;
            let granules = pages.granules() as u16;
            let descriptor = pages.get_mut(page);
            (descriptor.next, descriptor.live) = (first, granules);
            if let Some(behind) = first.some() {
                pages.get_mut(behind).prev = page;
            }
            first = page;
        }
        self.chains += count;
        self.live += pages.granules_of(count);
        Some(first)
    }

    /// Releases a chain that no item names.
    pub(crate) fn give_chain(&mut self, pages: &mut Pages, first: Page) {
        let mut page = first;
        while let Some(here) = page.some() {
            page = pages.get(here).next;
            pages.give(here);
            self.chains -= 1;
            self.live -= pages.granules();
        }
    }

    /// Counts a chain of `count` pages to the log `to`: an item of that log names the chain now.
    pub(crate) fn hand_chain(&mut self, to: &mut Self, pages: &Pages, count: u32) {
        let granules = pages.granules_of(count);
        self.chains -= count;
        self.live -= granules;
        to.chains += count;
        to.live += granules;
    }
}
