//! The walker over the slab's invariants.

#![forbid(unsafe_code)]

use super::{CLAIMED, Class, DRAINING, Kind, NO_SLOT, OPEN, Page, Slab};

impl Slab {
    /// Walks every page and free list; whether all invariants hold. `run_pages` pages belong to runs.
    pub(crate) fn check(&self, run_pages: u32) -> bool {
        let mut usage = self.fixed + ((run_pages as usize) << self.page_shift);
        let mut claimed = run_pages;
        for c in 0..self.class_count() {
            let Some((pages, bytes)) = self.check_class(Class(c)) else {
                return false;
            };
            usage += bytes;
            claimed += pages;
        }
        let mut free = 0;
        let mut page = self.free_pages;
        while page != Page::NONE && free <= self.cut {
            if self.is_claimed(page) {
                return false;
            }
            free += 1;
            page = self.meta(page).next;
        }
        usage == self.usage && free == self.free_page_count && claimed + free == self.cut
    }

    /// Pages of the class and bytes that they take; `None` where an invariant is broken.
    fn check_class(&self, class: Class) -> Option<(u32, usize)> {
        let meta = *self.class(class);
        let (mut pages, mut used, mut open) = (0u32, 0u32, 0u32);
        let mut page = meta.ring;
        while let Some(p) = page.some() {
            let m = *self.meta(p);
            let ok = m.flags & CLAIMED != 0
                && m.class == class.0
                && self.meta(m.next).prev == p
                && self.check_free_list(p) == Some(u32::from(m.fresh) - u32::from(m.used));
            let has_room = m.used < meta.slots_per_page && m.flags & DRAINING == 0;
            if !ok || has_room != (m.flags & OPEN != 0) {
                return None;
            }
            open += u32::from(has_room);
            used += u32::from(m.used);
            pages += 1;
            page = if m.next == meta.ring {
                Page::NONE
            } else {
                m.next
            };
            if pages > self.pages.len() {
                return None;
            }
        }
        let mut listed = 0;
        let mut page = meta.open;
        while let Some(p) = page.some().filter(|_| listed <= open) {
            listed += 1;
            page = self.meta(p).open_next;
        }
        let bytes = pages as usize * self.page_tail(class) + used as usize * self.slot_size(class);
        (listed == open && used == meta.used && pages == u32::from(meta.pages))
            .then_some((pages, bytes))
    }

    fn check_free_list(&self, page: Page) -> Option<u32> {
        let meta = self.meta(page);
        let mut count = 0;
        let mut slot = meta.free;
        while slot != NO_SLOT {
            let id = self.slot(page, u32::from(slot));
            if slot >= meta.fresh || self.kind(id) != Kind::Free || count > meta.fresh {
                return None;
            }
            count += 1;
            slot = self.word(id, 0) as u16;
        }
        Some(u32::from(count))
    }
}
