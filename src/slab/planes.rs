//! A bit for each item slot of a page, for whoever wants to find slots without reading them.
//!
//! A page of few slots has its plane in its descriptor, one of many at its end.

#![forbid(unsafe_code)]

use super::{CLAIMED, Class, DRAINING, Id, Page, Slab};
use crate::class::PLANE_BITS;

impl Slab {
    /// The plane's word, counted from the page's start, that has the bit of this slot; `None` where the
    /// plane is in the page's descriptor.
    #[inline]
    fn plane_word(&self, slots: u32, slot: u32) -> Option<u32> {
        let words = 1 << (self.page_shift - 2);
        (slots > PLANE_BITS).then(|| words - slots.div_ceil(PLANE_BITS) + slot / PLANE_BITS)
    }

    /// Sets the bit of a slot.
    #[inline]
    pub(crate) fn set_flag(&mut self, id: Id) {
        let page = self.page_of(id);
        let slot = self.slot_number(id, self.page_class(page));
        self.change_flags(page, slot, |word, bit| word | bit);
    }

    /// Clears the bit of a slot.
    #[inline]
    pub(crate) fn clear_flag(&mut self, page: Page, slot: u32) {
        self.change_flags(page, slot, |word, bit| word & !bit);
    }

    #[inline]
    fn change_flags(&mut self, page: Page, slot: u32, change: impl FnOnce(u32, u32) -> u32) {
        let bit = 1 << (slot % PLANE_BITS);
        match self.plane_word(self.slots_per_page(self.page_class(page)), slot) {
            Some(at) => {
                let start = self.page_start(page);
                self.set_word(start, at, change(self.word(start, at), bit));
            }
            None => {
                let meta = self.meta_mut(page);
                meta.plane = change(meta.plane, bit);
            }
        }
    }

    /// Whether the bit of a slot is set.
    pub(crate) fn flag(&self, id: Id) -> bool {
        let page = self.page_of(id);
        let slot = self.slot_number(id, self.page_class(page));
        self.next_flag(page, slot, &mut 0) == Some(slot)
    }

    /// The next slot of a page, from `slot` on, whose bit is set; each word looked at is a look.
    #[inline]
    pub(crate) fn next_flag(&self, page: Page, slot: u32, looks: &mut u32) -> Option<u32> {
        let (mut slot, mut keep) = (slot, u32::MAX << (slot % PLANE_BITS));
        let slots = self.slots_per_page(self.page_class(page));
        while slot < slots {
            *looks += 1;
            let word = match self.plane_word(slots, slot) {
                Some(at) => self.word(self.page_start(page), at),
                None => self.meta(page).plane,
            } & keep;
            slot &= !(PLANE_BITS - 1);
            if word != 0 {
                return Some(slot + word.trailing_zeros());
            }
            (slot, keep) = (slot + PLANE_BITS, u32::MAX);
        }
        None
    }

    /// As [`Slab::next_flag`], in one word of the plane, and for a page of this class that hands out slots:
    /// the slot's number and the slot. `None` is no answer; nor is there one for the page's last slots.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn near_flag(&self, page: Page, class: Class, slot: u32) -> Option<(u32, Id)> {
        let (meta, of_class) = (self.meta(page.some()?), self.class(class));
        if meta.class != class.0 || meta.flags & (CLAIMED | DRAINING) != CLAIMED {
            return None;
        }
        let start = self.page_start(page);
        let word = match self.plane_word(u32::from(of_class.slots_per_page), slot) {
            Some(at) => self.word(start, at),
            None => meta.plane,
        } >> (slot % PLANE_BITS);
        let found = slot + word.trailing_zeros();
        let id = Id(start.0 + found * of_class.slot_words.get());
        (word != 0 && found + 1 < u32::from(meta.fresh)).then_some((found, id))
    }

    pub(super) fn clear_plane(&mut self, page: Page, class: Class) {
        let slots = self.slots_per_page(class);
        if !self.planes || class.0 >= self.item_classes || slots <= PLANE_BITS {
            return;
        }
        let start = self.page_start(page);
        for slot in (0..slots).step_by(PLANE_BITS as usize) {
            let at = self.plane_word(slots, slot).unwrap_or(0);
            self.set_word(start, at, 0);
        }
    }
}
