//! Exact least recently used: a doubly linked list for each size class, its links in the items.
//!
//! Each item also carries a stamp, the count of uses at its last one, so that the ends of two lists
//! can be compared: that is what lets pages, and a lowered limit, follow the order across classes.
//!
//! # Time
//! Everything O(1).

#![forbid(unsafe_code)]

use super::{Worth, head_of_any_part};
use crate::item::marks::{NEXT, PREVIOUS, STAMP};
use crate::region::{Cutter, Table};
use crate::slab::{Class, Id, Page, Slab};

#[derive(Clone, Copy, Debug)]
struct List {
    /// Most recently used.
    first: Id,
    /// Least recently used.
    last: Id,
}

const EMPTY: List = List {
    first: Id::NONE,
    last: Id::NONE,
};

/// A list linked by `NEXT`, sorted: the highest stamp first. Lists of 1, 2, 4, .. items are merged as they
/// come.
fn sorted(slab: &mut Slab, mut rest: Id) -> Id {
    let mut lists = [Id::NONE; 32];
    while let Some(id) = rest.some() {
        rest = Id(slab.word(id, NEXT));
        slab.set_word(id, NEXT, Id::NONE.0);
        let mut list = id;
        for place in &mut lists {
            if place.is_none() {
                *place = list;
                break;
            }
            list = merged(slab, core::mem::replace(place, Id::NONE), list);
        }
    }
    let merge = |list, other| merged(slab, list, other);
    lists.into_iter().fold(Id::NONE, merge)
}

/// Two sorted lists in one.
fn merged(slab: &mut Slab, mut one: Id, mut other: Id) -> Id {
    let (mut first, mut last) = (Id::NONE, Id::NONE);
    loop {
        let other_is_next = match (one.some(), other.some()) {
            (Some(one), Some(other)) => slab.word(other, STAMP) > slab.word(one, STAMP),
            (one, _) => one.is_none(),
        };
        let list = if other_is_next { &mut other } else { &mut one };
        let next = *list;
        if !next.is_none() {
            *list = Id(slab.word(next, NEXT));
        }
        match last.some() {
            Some(last) => slab.set_word(last, NEXT, next.0),
            None => first = next,
        }
        if next.is_none() {
            return first;
        }
        last = next;
    }
}

#[derive(Debug)]
pub(crate) struct Lru {
    lists: Table<List>,
    uses: u32,
}

impl Lru {
    pub(crate) fn table_size(classes: usize) -> Option<usize> {
        Table::<List>::size(classes)
    }

    pub(crate) fn new(cutter: &mut Cutter, classes: u8) -> Option<Self> {
        Some(Self {
            lists: cutter.table(u32::from(classes), EMPTY)?,
            uses: 0,
        })
    }

    pub(crate) fn clear(&mut self) {
        for c in 0..self.lists.len() {
            *self.lists.at_mut(c) = EMPTY;
        }
    }

    fn list(&mut self, slab: &Slab, id: Id) -> &mut List {
        self.lists.at_mut(u32::from(slab.class_of(id).0))
    }

    pub(crate) fn inserted(&mut self, slab: &mut Slab, id: Id) {
        self.uses = self.uses.wrapping_add(1);
        let stamp = self.uses;
        let list = self.list(slab, id);
        let second = list.first;
        list.first = id;
        if second.is_none() {
            list.last = id;
        } else {
            slab.set_word(second, PREVIOUS, id.0);
        }
        slab.set_word(id, PREVIOUS, Id::NONE.0);
        slab.set_word(id, NEXT, second.0);
        slab.set_word(id, STAMP, stamp);
    }

    /// An item that an earlier owner left: its place in the order comes later.
    pub(crate) fn adopted(&mut self, slab: &mut Slab, id: Id, class: Class) {
        let list = self.lists.at_mut(u32::from(class.0));
        slab.set_word(id, NEXT, list.first.0);
        list.first = id;
    }

    /// Puts the adopted items into the order of their stamps. O(items log items).
    pub(crate) fn adopted_all(&mut self, slab: &mut Slab) {
        for c in 0..self.lists.len() {
            let first = sorted(slab, self.lists.at(c).first);
            self.lists.at_mut(c).first = first;
            let (mut previous, mut id) = (Id::NONE, first);
            while let Some(here) = id.some() {
                slab.set_word(here, PREVIOUS, previous.0);
                (previous, id) = (here, Id(slab.word(here, NEXT)));
            }
            self.lists.at_mut(c).last = previous;
            if let Some(first) = first.some() {
                self.uses = self.uses.max(slab.word(first, STAMP));
            }
        }
    }

    pub(crate) fn hit(&mut self, slab: &mut Slab, id: Id) {
        self.removed(slab, id);
        self.inserted(slab, id);
    }

    pub(crate) fn removed(&mut self, slab: &mut Slab, id: Id) {
        let (previous, next) = (Id(slab.word(id, PREVIOUS)), Id(slab.word(id, NEXT)));
        match previous.some() {
            Some(previous) => slab.set_word(previous, NEXT, next.0),
            None => self.list(slab, id).first = next,
        }
        match next.some() {
            Some(next) => slab.set_word(next, PREVIOUS, previous.0),
            None => self.list(slab, id).last = previous,
        }
    }

    pub(crate) fn moved(&mut self, slab: &mut Slab, _: Id, to: Id) {
        match Id(slab.word(to, PREVIOUS)).some() {
            Some(previous) => slab.set_word(previous, NEXT, to.0),
            None => self.list(slab, to).first = to,
        }
        match Id(slab.word(to, NEXT)).some() {
            Some(next) => slab.set_word(next, PREVIOUS, to.0),
            None => self.list(slab, to).last = to,
        }
    }

    pub(crate) fn victim(
        &mut self,
        slab: &mut Slab,
        class: Class,
        _: impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        let last = self.lists.at(u32::from(class.0)).last;
        last.some().or_else(|| head_of_any_part(slab, class))
    }

    /// The age of the class's oldest item, in uses of any.
    pub(crate) fn worth(&self, slab: &Slab, class: Class) -> Option<Worth> {
        let last = self.lists.at(u32::from(class.0)).last.some()?;
        Some(Worth::new(
            false,
            self.uses.wrapping_sub(slab.word(last, STAMP)),
        ))
    }

    pub(crate) fn page_to_empty(&self, slab: &Slab, class: Class) -> Option<Page> {
        slab.sparsest_page(class)
    }
}
