//! Exact least recently used over all sizes: a doubly linked list, its links in the items.
//!
//! # Time
//! O(1); O(items) in [`Lru::adopt`].

#![forbid(unsafe_code)]

use crate::item::{NEWER, OLDER};
use crate::page::{Id, Pages};

/// The ends of the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lru {
    pub(crate) newest: Id,
    pub(crate) oldest: Id,
}

impl Lru {
    pub(crate) const EMPTY: Self = Self {
        newest: Id::NONE,
        oldest: Id::NONE,
    };

    fn newer(pages: &Pages, id: Id) -> Id {
        Id(pages.word(id.0 + NEWER))
    }

    fn older(pages: &Pages, id: Id) -> Id {
        Id(pages.word(id.0 + OLDER))
    }

    /// The neighbour on the newer side, or the list, names `to` as the older one.
    fn set_below(&mut self, pages: &mut Pages, newer: Id, to: Id) {
        match newer.some() {
            Some(newer) => pages.set_word(newer.0 + OLDER, to.0),
            None => self.newest = to,
        }
    }

    fn set_above(&mut self, pages: &mut Pages, older: Id, to: Id) {
        match older.some() {
            Some(older) => pages.set_word(older.0 + NEWER, to.0),
            None => self.oldest = to,
        }
    }

    /// A new item is the newest.
    pub(crate) fn inserted(&mut self, pages: &mut Pages, id: Id) {
        let second = self.newest;
        pages.set_word(id.0 + NEWER, Id::NONE.0);
        pages.set_word(id.0 + OLDER, second.0);
        self.set_above(pages, second, id);
        self.newest = id;
    }

    pub(crate) fn removed(&mut self, pages: &mut Pages, id: Id) {
        let (newer, older) = (Self::newer(pages, id), Self::older(pages, id));
        self.set_below(pages, newer, older);
        self.set_above(pages, older, newer);
    }

    pub(crate) fn hit(&mut self, pages: &mut Pages, id: Id) {
        if self.newest != id {
            self.removed(pages, id);
            self.inserted(pages, id);
        }
    }

    /// An item was copied, links included: its neighbours follow.
    pub(crate) fn moved(&mut self, pages: &mut Pages, to: Id) {
        let (newer, older) = (Self::newer(pages, to), Self::older(pages, to));
        self.set_below(pages, newer, to);
        self.set_above(pages, older, to);
    }

    /// An item that an earlier owner left, whose links cannot be trusted, is older than all others.
    pub(crate) fn appended(&mut self, pages: &mut Pages, id: Id) {
        let last = self.oldest;
        pages.set_word(id.0 + OLDER, Id::NONE.0);
        pages.set_word(id.0 + NEWER, last.0);
        self.set_below(pages, last, id);
        self.oldest = id;
    }

    /// The item older than this one, if the two name each other.
    pub(crate) fn next_older(pages: &Pages, id: Id, is_item: impl Fn(Id) -> bool) -> Option<Id> {
        Self::older(pages, id)
            .some()
            .filter(|&older| is_item(older) && Self::newer(pages, older) == id)
    }

    /// Whether the list holds together; the items in it.
    pub(crate) fn check(&self, pages: &Pages, most: u32) -> Option<u32> {
        let (mut id, mut before, mut count) = (self.newest, Id::NONE, 0);
        while let Some(here) = id.some() {
            if Self::newer(pages, here) != before || count > most {
                return None;
            }
            (before, id, count) = (here, Self::older(pages, here), count + 1);
        }
        (self.oldest == before).then_some(count)
    }
}
