//! Whom to evict. A policy sees slots and their marks, never keys or values.
//!
//! A policy is one file here and one line in each function of [`Policy`]. What it may rely on:
//! every item is reported once when it comes, when it is hit, when its slot moves and when it goes;
//! a slot's class and page are the slab's to ask. What it must keep: [`Policy::victim`] finds an
//! item whenever the class holds one, within a bounded number of steps.

#![forbid(unsafe_code)]

mod duo;
mod lru;
mod rule;
mod shadow;
#[cfg(test)]
mod tests;

use crate::region::Cutter;
use crate::slab::{Class, Id, Kind, Page, Slab};
use duo::Duo;
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

impl PolicyKind {
    /// Whether evicted items are to be remembered.
    pub(crate) fn remembers(self) -> bool {
        self == Self::Default
    }
}

/// The policy of one shard.
#[derive(Debug)]
pub(crate) enum Policy {
    Duo(Duo),
    Lru(Lru),
}

impl Policy {
    /// Bytes of tables for so many classes over so many bytes of pages.
    pub(crate) fn table_size(kind: PolicyKind, classes: usize, area: usize) -> Option<usize> {
        match kind {
            PolicyKind::Default => Duo::table_size(classes, area),
            PolicyKind::Lru => Lru::table_size(classes),
        }
    }

    pub(crate) fn new(
        kind: PolicyKind,
        cutter: &mut Cutter,
        classes: u8,
        area: usize,
    ) -> Option<Self> {
        Some(match kind {
            PolicyKind::Default => Self::Duo(Duo::new(cutter, classes, area)?),
            PolicyKind::Lru => Self::Lru(Lru::new(cutter, classes)?),
        })
    }

    /// Every item is gone.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Duo(p) => p.clear(),
            Self::Lru(p) => p.clear(),
        }
    }

    /// A request for a key, hit or miss.
    #[inline]
    pub(crate) fn requested(&mut self, hash: u64) {
        if let Self::Duo(duo) = self {
            duo.requested(hash);
        }
    }

    /// A slot is sought for a new item; `remembered`: it was evicted not long ago.
    #[inline]
    pub(crate) fn expect(&mut self, remembered: bool) {
        if let Self::Duo(duo) = self {
            duo.expect(remembered);
        }
    }

    /// A new item, reported already, takes the place of an old one with its key.
    pub(crate) fn replaced(&mut self, slab: &mut Slab, old: Id, new: Id) {
        if let Self::Duo(duo) = self {
            duo.replaced(slab, old, new);
        }
    }

    /// A new item.
    #[inline]
    pub(crate) fn inserted(&mut self, slab: &mut Slab, id: Id) {
        match self {
            Self::Duo(p) => p.inserted(slab, id),
            Self::Lru(p) => p.inserted(slab, id),
        }
    }

    /// An item was read or overwritten.
    #[inline]
    pub(crate) fn hit(&mut self, slab: &mut Slab, id: Id) {
        match self {
            Self::Duo(p) => p.hit(slab, id),
            Self::Lru(p) => p.hit(slab, id),
        }
    }

    /// An item is about to go.
    #[inline]
    pub(crate) fn removed(&mut self, slab: &mut Slab, id: Id) {
        match self {
            Self::Duo(p) => p.removed(slab, id),
            Self::Lru(p) => p.removed(slab, id),
        }
    }

    /// An item was copied to another slot, from one of this class.
    pub(crate) fn moved(&mut self, slab: &mut Slab, from: Class, to: Id) {
        match self {
            Self::Duo(p) => p.moved(slab, from, to),
            Self::Lru(p) => p.moved(slab, from, to),
        }
    }

    /// The item that the class can spare best; `expired` ones come first where they are met.
    pub(crate) fn victim(
        &mut self,
        slab: &mut Slab,
        class: Class,
        expired: impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        match self {
            Self::Duo(p) => p.victim(slab, class, expired),
            Self::Lru(p) => p.victim(slab, class, expired),
        }
    }

    /// How long ago the class's next victim was last of use: the greater, the less the class needs
    /// all of its pages. Comparable between classes; `None` where no item has its first slot in the class.
    pub(crate) fn age(&self, slab: &Slab, class: Class) -> Option<u32> {
        match self {
            Self::Duo(duo) => duo.age(class),
            Self::Lru(lru) => lru.age(slab, class),
        }
    }

    /// Whether a class of the one age may take a page of a class of the other. To follow smaller
    /// differences costs more in moved and evicted items than it gains.
    pub(crate) fn is_much_older(&self, mine: u32, theirs: u32) -> bool {
        let least = match self {
            Self::Duo(_) => mine.saturating_mul(4),
            Self::Lru(_) => mine.saturating_add(mine / 4),
        };
        least.saturating_add(16) < theirs
    }

    /// The page of the class to empty first.
    pub(crate) fn page_to_empty(&self, slab: &Slab, class: Class) -> Option<Page> {
        match self {
            Self::Duo(p) => p.page_to_empty(slab, class),
            Self::Lru(p) => p.page_to_empty(slab, class),
        }
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
