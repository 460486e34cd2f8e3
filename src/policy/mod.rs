//! Whom to evict. A policy sees slots and their marks, never keys or values.
//!
//! A policy is one file here and one line in each function of [`Policy`]. What it may rely on:
//! every item is reported once when it comes, when it is hit, when its slot moves and when it goes;
//! a slot's class and page are the slab's to ask. What it must keep: [`Policy::victim`] finds an
//! item whenever the class holds one, within a bounded number of steps.

#![forbid(unsafe_code)]

mod clock;
mod lru;

use crate::region::Cutter;
use crate::slab::{Class, Id, Kind, Page, Slab};
use clock::Clock;
use lru::Lru;

/// Which policy a cache evicts by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum PolicyKind {
    /// The library's choice.
    #[default]
    Default = 0,
    /// Exactly the least recently used item of a size class.
    Lru = 1,
}

/// The policy of one shard.
#[derive(Debug)]
pub(crate) enum Policy {
    Clock(Clock),
    Lru(Lru),
}

macro_rules! each {
    ($self:ident, $policy:ident => $call:expr) => {
        match $self {
            Policy::Clock($policy) => $call,
            Policy::Lru($policy) => $call,
        }
    };
}

impl Policy {
    pub(crate) fn table_size(kind: PolicyKind, classes: usize) -> Option<usize> {
        match kind {
            PolicyKind::Default => Clock::table_size(classes),
            PolicyKind::Lru => Lru::table_size(classes),
        }
    }

    pub(crate) fn new(kind: PolicyKind, cutter: &mut Cutter, classes: u8) -> Option<Self> {
        Some(match kind {
            PolicyKind::Default => Self::Clock(Clock::new(cutter, classes)?),
            PolicyKind::Lru => Self::Lru(Lru::new(cutter, classes)?),
        })
    }

    /// Every item is gone.
    pub(crate) fn clear(&mut self) {
        each!(self, p => p.clear());
    }

    /// A new item.
    #[inline]
    pub(crate) fn inserted(&mut self, slab: &mut Slab, id: Id) {
        each!(self, p => p.inserted(slab, id));
    }

    /// An item was read or overwritten.
    #[inline]
    pub(crate) fn hit(&mut self, slab: &mut Slab, id: Id) {
        each!(self, p => p.hit(slab, id));
    }

    /// An item is about to go.
    #[inline]
    pub(crate) fn removed(&mut self, slab: &mut Slab, id: Id) {
        each!(self, p => p.removed(slab, id));
    }

    /// An item was copied from one slot to another of the same class.
    pub(crate) fn moved(&mut self, slab: &mut Slab, from: Id, to: Id) {
        each!(self, p => p.moved(slab, from, to));
    }

    /// The item that the class can spare best; `expired` ones come first where they are met.
    pub(crate) fn victim(
        &mut self,
        slab: &mut Slab,
        class: Class,
        expired: impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        each!(self, p => p.victim(slab, class, expired))
    }

    /// How long ago the class's next victim was last of use: the greater, the less the class needs
    /// all of its pages. Comparable between classes; `None` where the class holds no item.
    pub(crate) fn age(&self, slab: &Slab, class: Class) -> Option<u32> {
        if slab.class_used(class) == 0 {
            return None;
        }
        Some(each!(self, p => p.age(slab, class)))
    }

    /// The page of the class to empty first.
    pub(crate) fn page_to_empty(&self, slab: &Slab, class: Class) -> Option<Page> {
        each!(self, p => p.page_to_empty(slab, class))
    }
}

/// The head of some chained item that has a part in this class.
fn head_of_any_part(slab: &Slab, class: Class) -> Option<Id> {
    let mut page = slab.first_page(class)?;
    for _ in 0..slab.class_pages(class) {
        let part = (0..slab.page_touched(page))
            .map(|slot| slab.slot(page, slot))
            .find(|&id| slab.kind(id) == Kind::Link);
        if let Some(part) = part {
            return crate::item::Items::head_of(slab, part);
        }
        page = slab.next_page(page);
    }
    None
}
