//! What an earlier owner left, page by page and run by run: what can be a whole item, and what cannot.
//!
//! Nothing is computed of a word that was not judged before: lengths first, then pages, then the expiry, then the
//! checksum.

#![forbid(unsafe_code)]

use super::{AttachReport, FOUND};
use crate::expiry::NEVER;
use crate::hash::Place;
use crate::item::{Head, Items, State};
use crate::page::{Descriptor, GRANULE, Id, NO_DUE, Owner, Page};
use crate::pins::Holder;
use crate::planted;
use crate::store::Store;

/// The `due` of a page of a chain that does not hold together, or of one that is not the first.
const NO_CHAIN: u32 = 0;

/// Why an item does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Torn,
    Corrupt,
    Expired,
}

impl Store {
    /// A descriptor that cannot be is one of a free page. Marks, and what a chain's `due` said, are gone.
    pub(super) fn judge_page(&mut self, page: Page) {
        let granules = self.pages.granules();
        let descriptor = self.pages.get_mut(page);
        descriptor.mark = 0;
        let keeps = match descriptor.owner {
            Owner::Window | Owner::Main => u32::from(descriptor.first) <= granules,
            Owner::Chain => {
                descriptor.due = NO_CHAIN;
                true
            }
            _ => false,
        };
        if !keeps {
            // A free one, too: its owner may have been stopped before it was zero.
            self.free_page(page);
        }
    }

    /// The `due` of a chain's first page says how many pages follow each other from there on. Each page follows one
    /// other at most, so all chains together take O(pages).
    pub(super) fn judge_chain(&mut self, first: Page) {
        let is_first = |d: &Descriptor| d.owner == Owner::Chain && d.prev == Page::NONE;
        if !is_first(self.pages.get(first)) {
            return;
        }
        let (mut page, mut before, mut len) = (first, Page::NONE, 0);
        while let Some(here) = page.some() {
            if !self.pages.contains(here) {
                return;
            }
            let descriptor = self.pages.get(here);
            if descriptor.owner != Owner::Chain || descriptor.prev != before {
                return;
            }
            (before, page, len) = (here, descriptor.next, len + 1);
        }
        self.pages.get_mut(first).due = len;
    }

    /// Lets every run of a page be an item's or dead.
    pub(super) fn judge_items(
        &mut self,
        page: Page,
        known: bool,
        place: Place,
        held: &[Holder],
        report: &mut AttachReport,
    ) {
        let descriptor = *self.pages.get(page);
        if !descriptor.owner.is_log() {
            return;
        }
        let end = self.pages.end_of(page);
        let mut at = self.pages.start_of(page) + u32::from(descriptor.first);
        while at < end {
            let (id, head) = (Id(at), Head(self.pages.word(at)));
            let here = match self.extent(id, head, end) {
                Some(here) => here,
                None => {
                    // From here on, the page cannot be walked.
                    report.items_torn += 1;
                    return self.bury(id, end - at);
                }
            };
            if Holder::any_of(held, id) && self.stays(page, id, known, place) {
                at += here;
                continue;
            }
            if head.is_dead() || head.state() == State::Pending {
                // What was held for a holder that is gone is no item.
                self.bury(id, here);
            } else {
                match self.verdict(page, id, known, place) {
                    Ok(()) => {
                        self.claim(id);
                        // With exact LRU, uses say that an item is in order.
                        let uses = if self.policy.is_lru() { 0 } else { head.uses() };
                        let head = head.live().with_uses(uses);
                        Items::set_head(&mut self.pages, id, head);
                    }
                    Err(reason) => {
                        *match reason {
                            Reason::Torn => &mut report.items_torn,
                            Reason::Corrupt => &mut report.items_corrupt,
                            Reason::Expired => &mut report.items_expired,
                        } += 1;
                        if reason == Reason::Corrupt {
                            self.void_chain(id);
                        }
                        self.bury(id, here);
                    }
                }
            }
            at += here;
        }
    }

    /// Whether what others hold is there: as an item where it is one, else as its holders' alone.
    fn stays(&mut self, page: Page, id: Id, known: bool, place: Place) -> bool {
        let head = self.head(id);
        if head.is_dead() || !self.is_whole(page, id, head) {
            return false;
        }
        let is_item =
            head.state() != State::Pending && self.verdict(page, id, known, place).is_ok();
        self.claim(id);
        let head = match (is_item, self.policy.is_lru()) {
            (true, true) => head.with_state(State::Live).with_uses(0),
            (true, false) => head.with_state(State::Live),
            (false, _) => head.with_state(State::Pending),
        };
        Items::set_head(&mut self.pages, id, head);
        true
    }

    /// So many granules are dead, and zero where that is asked for.
    pub(super) fn bury(&mut self, id: Id, granules: u32) {
        Items::set_head(&mut self.pages, id, Head::dead(granules));
        if self.pages.zeroes_on_free() {
            let at = (id.0 as usize + 1) * GRANULE;
            self.pages
                .bytes_mut()
                .zero(at, (granules as usize - 1) * GRANULE);
        }
    }

    /// A page is free, and zero where that is asked for.
    pub(super) fn free_page(&mut self, page: Page) {
        *self.pages.get_mut(page) = Descriptor::FREE;
        self.pages.zero(page);
    }

    /// Granules of a run that ends in its page.
    fn extent(&self, id: Id, head: Head, end: u32) -> Option<u32> {
        let header = self.layout.header_granules(head);
        if !head.is_dead() && id.0 + header > end {
            return None;
        }
        let here = self.layout.granules_here(&self.pages, id, head);
        let least = if head.is_dead() { 1 } else { header };
        (here >= least && id.0 + here <= end).then_some(here)
    }

    fn verdict(&self, page: Page, id: Id, known: bool, place: Place) -> Result<(), Reason> {
        let head = self.head(id);
        if !self.is_whole(page, id, head) || !place.is_of(self.hash_of(id)) {
            return Err(Reason::Torn);
        }
        if head.is_lease() && !self.layout.token(&self.pages, id).is_held() {
            return Err(Reason::Expired);
        }
        let lives = match self.layout.expiry(&self.pages, id) {
            None | Some(NEVER) => true,
            Some(_) if !known || self.pages.get(page).due == NO_DUE => false,
            Some(_) if self.is_over(self.expires_at(id)) => {
                return Err(Reason::Expired);
            }
            Some(instant) => self.time().may_set(instant, self.pages.get(page)),
        };
        if !lives {
            return Err(Reason::Torn);
        }
        // The one thing that takes O(bytes).
        if self.layout.is_intact(&self.pages, id, &self.hasher) {
            Ok(())
        } else {
            Err(Reason::Corrupt)
        }
    }

    /// Whether an item's header, key and value lie in pages that can be its own.
    fn is_whole(&self, page: Page, id: Id, head: Head) -> bool {
        let (layout, pages) = (self.layout, &self.pages);
        if head.key_len() > layout.format.key_len_max(pages.page_size())
            || !layout.type_fits(pages, id, head)
        {
            return false;
        }
        if !head.is_long() {
            return true;
        }
        let (rest, len) = (layout.rest_page(pages, id), layout.chain_len(pages, id));
        if !layout.lengths_fit(pages, id, head) {
            return false;
        }
        let rest_is_own = rest == Page::NONE
            || pages.contains(rest)
                && rest != page
                && pages.get(rest).owner == pages.get(page).owner
                && Id(pages.word(pages.start_of(rest))) == id
                && layout.rest_granules(pages, id) == u32::from(pages.get(rest).first);
        (rest_is_own || planted::is("attach believes a rest"))
            && self.chain_is_whole(layout.chain_page(pages, id), len)
    }

    /// Whether so many pages, of no other item, follow each other from this one on, and no more.
    fn chain_is_whole(&self, first: Page, len: u32) -> bool {
        let Some(first) = first.some() else {
            return len == 0;
        };
        let is_chain = |d: &Descriptor| d.owner == Owner::Chain && d.mark != FOUND;
        self.pages.contains(first)
            && is_chain(self.pages.get(first))
            && len != NO_CHAIN
            && self.pages.get(first).due == len
    }

    /// The pages of a corrupt item's chain belong to no item from now on: else pages of several items would be
    /// summed up again and again.
    fn void_chain(&mut self, id: Id) {
        if let Some(first) = self.layout.chain_page(&self.pages, id).some() {
            self.pages.get_mut(first).due = NO_CHAIN;
        }
    }
}
