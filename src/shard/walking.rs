//! Going through all items: to show them, to take out some, to take out all.

#![forbid(unsafe_code)]

use super::{ItemInfo, Shard};
use crate::item::Head;
use crate::optimize::Pass;
use crate::page::{Id, Page};
use crate::policy::Lru;
use crate::store::Logs;

impl Shard {
    /// Throws everything away, except what is held outside the lock, which has no key from then on. O(pages);
    /// O(items) where something is held.
    pub(crate) fn clear(&mut self) {
        if self.pins.any() {
            self.pins.void(&mut self.store, None);
            let mut place = (0, 0);
            while let Some(next) = self.walk(place, |_, _| false) {
                self.remove_before(next);
                place = next;
            }
            return;
        }
        let store = &mut self.store;
        store.pages.clear();
        store.logs = Logs::new();
        store.index.start(&mut store.pages);
        store.kept.lru = Lru::EMPTY;
        store.room.restart();
        (store.items, store.ttl_items, store.payload) = (0, 0, 0);
        self.optimizing = Pass::default();
    }

    /// Calls `visit` with each item from a place on, in the order of the pages, until it says
    /// `false`; returns the place behind, `None` at the end. A place is a page and a granule in it.
    pub(crate) fn scan(
        &self,
        from: (u32, u32),
        mut visit: impl FnMut(ItemInfo<'_>) -> bool,
    ) -> Option<(u32, u32)> {
        self.walk(from, |id, head| {
            !self.is_shown(id, head) || visit(self.info(id))
        })
    }

    /// Whether an item is a value that may be read now.
    fn is_shown(&self, id: Id, head: Head) -> bool {
        let store = &self.store;
        !head.is_lease()
            && !store.is_expired(id, head)
            && store.layout.is_intact(&store.pages, id, &store.hasher)
    }

    /// As [`Shard::scan`], for all that the index names.
    fn walk(
        &self,
        from: (u32, u32),
        mut visit: impl FnMut(Id, Head) -> bool,
    ) -> Option<(u32, u32)> {
        let store = &self.store;
        let (mut number, mut skip) = from;
        while number < store.pages.count() {
            let mut next = None;
            store.each_in(Page(number as u16), |id, head| {
                let at = id.0 - store.pages.start_of(Page(number as u16));
                if at >= skip && store.is_item(head) && !visit(id, head) {
                    next = Some((number, at + 1));
                }
                next.is_none()
            });
            if next.is_some() {
                return next;
            }
            (number, skip) = (number + 1, 0);
        }
        None
    }

    /// Takes out the item before a place.
    fn remove_before(&mut self, (page, behind): (u32, u32)) {
        let id = Id(self.store.pages.start_of(Page(page as u16)) + behind - 1);
        self.void_key_of(id);
        let store = &mut self.store;
        store.remove(id, store.head(id), store.hash_of(id));
    }

    /// Takes the next item from a place on out where it `matches`; returns the place behind it, and whether it went.
    pub(crate) fn delete_next(
        &mut self,
        from: (u32, u32),
        matches: &mut dyn FnMut(&ItemInfo<'_>) -> bool,
    ) -> Option<(u32, u32, bool)> {
        let mut goes = false;
        let (page, behind) = self.scan(from, |item| {
            goes = matches(&item);
            false
        })?;
        if goes {
            self.remove_before((page, behind));
            self.store.counters.deletes += 1;
        }
        Some((page, behind, goes))
    }
}
