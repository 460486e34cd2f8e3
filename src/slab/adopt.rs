//! Taking over pages that an earlier owner of the region left: what descriptors and slots say is believed only
//! as far as it can be.
//!
//! Descriptors are remade in their places, and a page that stays keeps what says whose it is; so a region whose
//! new owner is stopped in the middle can be taken over once more.

#![forbid(unsafe_code)]

use super::{CLAIMED, Class, EMPTY_PAGE, Extra, Id, Kind, NO_SLOT, Page, PageMeta, RECYCLED, Slab};
use crate::class::Geometry;
use crate::region::Cutter;

impl PageMeta {
    /// What is left of a descriptor: the class and its slots of a page of items, nothing of any other.
    fn left_behind(words: &[u32; 6], item_classes: usize) -> Self {
        let [low, high, class, flags] = words[3].to_ne_bytes();
        let stays = flags & CLAIMED != 0 && usize::from(class) < item_classes;
        Self {
            fresh: u16::from_ne_bytes([low, high]),
            class,
            flags: match (stays, flags & (CLAIMED | RECYCLED)) {
                (true, _) => CLAIMED | RECYCLED,
                (false, 0) => 0,
                (false, _) => RECYCLED,
            },
            base: words[4],
            ..EMPTY_PAGE
        }
    }
}

impl Slab {
    /// As [`Slab::new`], over the pages that an earlier owner left. Pages of items are claimed, but in no
    /// ring until [`Slab::restore_page`]; all others are free after [`Slab::restore_free_pages`].
    pub(crate) fn adopt(
        cutter: &mut Cutter,
        geometry: Geometry,
        left: usize,
        region: usize,
        extras: &[Extra],
    ) -> Option<Self> {
        let pages = Self::page_count_for(geometry, left, extras.len())?;
        let item_classes = geometry.slot_sizes().count();
        let make = |words: &[u32; 6]| PageMeta::left_behind(words, item_classes);
        let page_table = cutter.table_from(pages, make)?;
        let mut slab = Self::with_pages(cutter, geometry, page_table, region, extras)?;
        for p in 0..pages {
            let page = Page(p as u16);
            let meta = *slab.meta(page);
            if meta.flags != 0 {
                slab.cut = p + 1;
            }
            // The class of a page that is not claimed is anything.
            if meta.flags & CLAIMED != 0
                && u32::from(meta.fresh) > slab.slots_per_page(Class(meta.class))
            {
                slab.meta_mut(page).flags &= !CLAIMED;
            }
        }
        Some(slab)
    }

    /// The slot that a word from outside names, if one that was ever handed out starts there.
    pub(crate) fn slot_named(&self, id: Id) -> Option<Id> {
        let page = id.0 >> (self.page_shift - 2);
        if page >= self.pages.len() || self.page_touched(Page(page as u16)) == 0 {
            return None;
        }
        self.slot_at(id.0 as usize * 4)
    }

    /// Lets a page that was left behind be its class's again, with those of its slots that `stays` names; it
    /// stays nobody's where there is none. O(slots of the page).
    pub(crate) fn restore_page(
        &mut self,
        page: Page,
        mut stays: impl FnMut(&mut Self, Id) -> bool,
    ) {
        let class = self.page_class(page);
        let (touched, mut used, mut free) = (self.page_touched(page), 0, NO_SLOT);
        for slot in (0..touched).rev() {
            let id = self.slot(page, slot);
            if stays(self, id) {
                used += 1;
                continue;
            }
            self.set_word(id, 0, Kind::Free.word(u32::from(free)));
            self.wipe(id, class);
            free = slot as u16;
        }
        if used == 0 {
            return self.unclaim(page);
        }
        let meta = self.meta_mut(page);
        (meta.used, meta.free) = (used, free);
        self.ring_insert(class, page);
        self.clear_plane(page, class);
        self.usage += self.page_tail(class) + usize::from(used) * self.slot_size(class);
        let of_class = self.class_mut(class);
        of_class.pages += 1;
        of_class.used += u32::from(used);
        if used < of_class.slots_per_page {
            self.open_page(page);
        }
    }

    /// Every page that no class has by now is free. O(pages); O(region) where freed bytes are zeroed.
    pub(crate) fn restore_free_pages(&mut self) {
        for p in 0..self.cut {
            let page = Page(p as u16);
            if self.is_claimed(page) {
                continue;
            }
            if self.zero_on_free {
                let size = self.page_size();
                self.mem.zero(p as usize * size, size);
            }
            self.unclaim(page);
        }
        self.rebuild_free_pages();
        self.usage_peak = self.usage;
    }
}
