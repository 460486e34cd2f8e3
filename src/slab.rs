//! Slabs: pages cut into equal slots, for the index's segments and the pool's blocks.
//!
//! # Layout
//! ```text
//! page     | slot 0 | slot 1 | .. | slot n - 1 | unused |
//! descriptor: live = slots in use, first = the first free slot's number (NONE: no used slot is free),
//!             due = slots ever used
//! a free slot's first word: the number of the next free slot
//! ```
//!
//! # Invariants (walked by [`Slab::check`])
//! 1. `partial` lists the pages that have both used and free slots. A page without used slots is released.
//! 2. `used` counts the slots in use; `pages` counts the slab's pages.

#![forbid(unsafe_code)]

use crate::page::{Id, List, Owner, Page, Pages};

const NONE: u16 = u16::MAX;

/// Slots of one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slab {
    /// Granules of a slot.
    slot: u32,
    per_page: u32,
    partial: List,
    pub(crate) used: u32,
    pub(crate) pages: u32,
}

impl Slab {
    /// Slots of `slot` granules in pages of `page` granules.
    pub(crate) fn new(slot: u32, page: u32) -> Self {
        Self {
            slot,
            per_page: page.checked_div(slot).unwrap_or(0),
            partial: List::EMPTY,
            used: 0,
            pages: 0,
        }
    }

    /// Resets the counts after every page was released.
    pub(crate) fn forget(&mut self) {
        (self.partial, self.used, self.pages) = (List::EMPTY, 0, 0);
    }

    #[inline]
    pub(crate) fn slot_granules(&self) -> u32 {
        self.slot
    }

    #[inline]
    pub(crate) fn per_page(&self) -> u32 {
        self.per_page
    }

    /// Free slots in the slab's pages.
    pub(crate) fn free_slots(&self) -> u32 {
        self.pages * self.per_page - self.used
    }

    /// Allocates a slot. Returns the slot and whether it had been used before. O(1).
    pub(crate) fn alloc(&mut self, pages: &mut Pages) -> Option<(Id, bool)> {
        let page = match self.partial.tail.some() {
            Some(page) => page,
            None => self.add_page(pages)?,
        };
        let start = pages.start_of(page);
        let descriptor = pages.get_mut(page);
        descriptor.live += 1;
        let full = u32::from(descriptor.live) == self.per_page;
        let (number, reused) = match descriptor.first {
            NONE => {
                descriptor.due += 1;
                (descriptor.due - 1, false)
            }
            free => (u32::from(free), true),
        };
        let id = Id(start + number * self.slot);
        if reused {
            pages.get_mut(page).first = pages.word(id.0) as u16;
        }
        if full {
            pages.unlink(&mut self.partial, page);
        }
        self.used += 1;
        Some((id, reused))
    }

    fn add_page(&mut self, pages: &mut Pages) -> Option<Page> {
        if self.per_page == 0 {
            return None;
        }
        let page = pages.take(Owner::Slab)?;
        let descriptor = pages.get_mut(page);
        (descriptor.first, descriptor.due) = (NONE, 0);
        pages.push_head(&mut self.partial, page);
        self.pages += 1;
        Some(page)
    }

    /// Frees a slot. Returns whether this also released the slot's page. O(1).
    pub(crate) fn free(&mut self, pages: &mut Pages, id: Id) -> bool {
        let page = pages.page_of(id);
        let number = self.slot_number(pages, id);
        let descriptor = *pages.get(page);
        debug_assert!(descriptor.owner == Owner::Slab && descriptor.live > 0);
        self.used -= 1;
        if u32::from(descriptor.live) == self.per_page {
            pages.push_head(&mut self.partial, page);
        }
        if descriptor.live == 1 {
            pages.unlink(&mut self.partial, page);
            pages.give(page);
            self.pages -= 1;
            return true;
        }
        pages.set_word(id.0, descriptor.first.into());
        let descriptor = pages.get_mut(page);
        descriptor.live -= 1;
        descriptor.first = number as u16;
        false
    }

    fn slot_number(&self, pages: &Pages, id: Id) -> u32 {
        let at = id.0 - pages.start_of(pages.page_of(id));
        at.checked_div(self.slot).unwrap_or(0)
    }

    /// The page with the fewest used slots among those with a free slot. O(pages of the slab).
    pub(crate) fn sparsest(&self, pages: &Pages) -> Option<Page> {
        let (mut best, mut page) = (None, self.partial.tail);
        while let Some(here) = page.some() {
            let live = pages.get(here).live;
            if best.is_none_or(|(least, _)| live < least) {
                best = Some((live, here));
            }
            page = pages.get(here).next;
        }
        best.map(|(_, page)| page)
    }

    /// Moves the page to the end of `partial`, so `alloc` uses it last.
    pub(crate) fn avoid(&mut self, pages: &mut Pages, page: Page) {
        pages.unlink(&mut self.partial, page);
        pages.push_head(&mut self.partial, page);
    }

    /// Whether the slab's counts agree with its pages. `mine` tells whether a page of equal slots is this slab's.
    pub(crate) fn check(&self, pages: &Pages, mine: impl Fn(Page) -> bool) -> bool {
        let (mut used, mut count, mut partial) = (0, 0, 0);
        for page in pages.all().filter(|&p| pages.get(p).owner == Owner::Slab) {
            if mine(page) {
                let live = u32::from(pages.get(page).live);
                used += live;
                count += 1;
                partial += u32::from(live < self.per_page);
                if live == 0 || live > self.per_page {
                    return false;
                }
            }
        }
        (used, count) == (self.used, self.pages)
            && pages.check_list(&self.partial, Owner::Slab) == Some(partial)
    }

    // ---- for the pool --------------------------------------------------------------------------

    /// Granules at a page's end that belong to no slot.
    pub(crate) fn page_rest(&self, pages: &Pages) -> u32 {
        pages.granules() - self.per_page * self.slot
    }

    /// Whether `id` is the first granule of a slot that was ever used. `id` is inside a page of this slab.
    pub(crate) fn begins_at(&self, pages: &Pages, id: Id) -> bool {
        let number = self.slot_number(pages, id);
        let page = pages.page_of(id);
        number < pages.get(page).due && pages.start_of(page) + number * self.slot == id.0
    }

    /// The page's slots that were ever used.
    pub(crate) fn slots_of(&self, pages: &Pages, page: Page) -> impl Iterator<Item = Id> + use<> {
        let (start, slot) = (pages.start_of(page), self.slot);
        (0..pages.get(page).due).map(move |number| Id(start + number * slot))
    }

    /// Whether the free and the used slots of a page of this slab add up to the slots ever used. O(slots).
    pub(crate) fn check_page(&self, pages: &Pages, page: Page) -> bool {
        let descriptor = pages.get(page);
        let start = pages.start_of(page);
        let (mut next, mut count) = (descriptor.first, u32::from(descriptor.live));
        while next != NONE && u32::from(next) < descriptor.due && count < descriptor.due {
            count += 1;
            next = pages.word(start + u32::from(next) * self.slot) as u16;
        }
        next == NONE && count == descriptor.due && count <= self.per_page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Descriptor;
    use crate::region::with_cutter;
    extern crate std;
    use std::vec::Vec;

    const PAGES: u32 = 8;
    const SHIFT: u32 = 6;
    /// A page of 64 granules has 5 slots of 12 granules; 4 granules are left.
    const SLOT: u32 = 12;
    const PER_PAGE: u32 = 5;

    /// Calls `test` with eight free pages and a slab without pages. Page 0 starts at granule 16.
    fn with_slab(test: impl FnOnce(&mut Pages, &mut Slab)) {
        with_cutter(4096, |cutter| {
            let table = cutter.table(PAGES, Descriptor::FREE).unwrap();
            let bytes = cutter.bytes(4 * (16 + (PAGES << SHIFT) as usize)).unwrap();
            let mut pages = Pages::new(bytes, table, 16, SHIFT, false);
            pages.collect_free();
            let mut slab = Slab::new(SLOT, pages.granules());
            assert_eq!((slab.per_page(), slab.page_rest(&pages)), (PER_PAGE, 4));
            test(&mut pages, &mut slab);
        });
    }

    fn fill(pages: &mut Pages, slab: &mut Slab) -> Vec<Id> {
        core::iter::from_fn(|| slab.alloc(pages).map(|(id, _)| id)).collect()
    }

    fn assert_sound(pages: &Pages, slab: &Slab) {
        assert!(pages.check() && slab.check(pages, |_| true), "{slab:?}");
        let mut mine = pages.all().filter(|&p| pages.get(p).owner == Owner::Slab);
        assert!(mine.all(|page| slab.check_page(pages, page)), "{slab:?}");
        assert_eq!(slab.pages + pages.free_count(), PAGES);
        assert_eq!(slab.free_slots(), slab.pages * PER_PAGE - slab.used);
    }

    #[test]
    fn slots_are_apart_and_inside_their_page() {
        with_slab(|pages, slab| {
            let mut ids = fill(pages, slab);
            assert_eq!(ids.len() as u32, PAGES * PER_PAGE);
            for &id in &ids {
                assert!(slab.begins_at(pages, id) && !slab.begins_at(pages, Id(id.0 + 4)));
                assert!(id.0 + SLOT <= pages.end_of(pages.page_of(id)));
            }
            ids.sort_by_key(|id| id.0);
            assert!(ids.windows(2).all(|pair| pair[0].0 + SLOT <= pair[1].0));
            let listed = pages.all().flat_map(|page| slab.slots_of(pages, page));
            assert!(listed.eq(ids));
            assert_sound(pages, slab);
        });
    }

    #[test]
    fn an_empty_page_is_released() {
        with_slab(|pages, slab| {
            let ids = fill(pages, slab);
            for (freed, &id) in (1..).zip(&ids) {
                let page_is_empty = freed % PER_PAGE == 0;
                assert_eq!(slab.free(pages, id), page_is_empty);
                assert_eq!(slab.pages, PAGES - freed / PER_PAGE);
                assert_sound(pages, slab);
            }
            assert_eq!((slab.used, slab.pages), (0, 0));
        });
    }

    #[test]
    fn a_freed_slot_is_reused_before_a_fresh_one() {
        with_slab(|pages, slab| {
            let (first, was_used) = slab.alloc(pages).unwrap();
            let (second, _) = slab.alloc(pages).unwrap();
            assert!(!was_used && slab.begins_at(pages, second));
            assert!(!slab.begins_at(pages, Id(second.0 + SLOT)), "never used");
            slab.free(pages, first);
            assert_sound(pages, slab);
            assert_eq!(slab.alloc(pages), Some((first, true)));
            assert_eq!(slab.alloc(pages), Some((Id(second.0 + SLOT), false)));
        });
    }

    #[test]
    fn the_sparsest_page_empties_while_it_is_avoided() {
        with_slab(|pages, slab| {
            let ids = fill(pages, slab);
            assert_eq!(slab.sparsest(pages), None, "all pages are full");
            // The third page gets three free slots, each other page one.
            for id in ids.iter().step_by(PER_PAGE as usize) {
                slab.free(pages, *id);
            }
            let left = &ids[11..15];
            slab.free(pages, left[0]);
            slab.free(pages, left[1]);
            let sparsest = pages.page_of(ids[10]);
            assert_eq!(slab.sparsest(pages), Some(sparsest));
            slab.avoid(pages, sparsest);
            for &id in &left[2..] {
                let (moved, _) = slab.alloc(pages).unwrap();
                assert!(pages.page_of(moved) != sparsest);
                slab.free(pages, id);
                assert_sound(pages, slab);
            }
            assert!(pages.get(sparsest).owner == Owner::Free);
        });
    }

    #[test]
    fn alloc_fails_when_all_pages_are_full() {
        with_slab(|pages, slab| {
            fill(pages, slab);
            assert_eq!(slab.alloc(pages), None);
            assert_sound(pages, slab);
            let mut too_large = Slab::new(65, pages.granules());
            assert_eq!(too_large.alloc(pages), None);
        });
    }

    #[test]
    fn a_broken_count_or_list_is_found() {
        with_slab(|pages, slab| {
            let ids = fill(pages, slab);
            slab.free(pages, ids[0]);
            slab.free(pages, ids[1]);
            let page = pages.page_of(ids[0]);
            assert_sound(pages, slab);
            pages.set_word(ids[1].0, 1);
            assert!(!slab.check_page(pages, page), "the list is a circle");
            pages.set_word(ids[1].0, 0);
            assert_sound(pages, slab);
            pages.get_mut(page).live += 1;
            assert!(!slab.check(pages, |_| true));
            assert!(!slab.check_page(pages, page));
        });
    }

    #[test]
    fn random_allocations_keep_every_invariant() {
        with_slab(|pages, slab| {
            let (mut ids, mut state) = (Vec::new(), 1_u32);
            for _ in 0..5_000 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let number = (state >> 16) as usize;
                if number & 1 == 0 || ids.is_empty() {
                    let slot = slab.alloc(pages).map(|(id, _)| id);
                    assert_eq!(slot.is_none(), ids.len() as u32 == PAGES * PER_PAGE);
                    assert!(slot.is_none_or(|id| !ids.contains(&id)));
                    ids.extend(slot);
                } else {
                    slab.free(pages, ids.swap_remove((number >> 1) % ids.len()));
                }
                assert_eq!(slab.used as usize, ids.len());
                assert_sound(pages, slab);
            }
        });
    }
}
