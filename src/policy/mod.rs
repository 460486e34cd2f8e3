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
#[cfg_attr(feature = "one-rule", path = "no_shadow.rs")]
mod shadow;
mod sizes;
#[cfg(test)]
mod tests;

use crate::hash::Hash;
use crate::region::Cutter;
use crate::slab::{Class, Id, Kind, Page, Slab};
use core::cmp::Reverse;
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

/// What a page is worth to a class. The least is the one whose class can spare a page best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Worth {
    /// Whether nobody asks for items of such sizes. Cold items give pages up to others, and take none
    /// from them.
    cold: Reverse<bool>,
    /// Time since the class's next victim was last of use: the longer, the less is a page worth.
    youth: Reverse<u32>,
}

impl Worth {
    pub(crate) const fn new(cold: bool, age: u32) -> Self {
        Self {
            cold: Reverse(cold),
            youth: Reverse(age),
        }
    }

    /// To a class that holds later parts of items only, or nothing yet.
    pub(crate) const NEW: Self = Self::new(false, 0);
}

/// The policy of one shard.
#[derive(Debug)]
pub(crate) enum Policy {
    Duo(Duo),
    /// With zeros where the other has more to keep: nothing else is to lie there in a region.
    Lru(
        Lru,
        #[expect(dead_code, reason = "nobody asks for zeros")] [u32; SPARE],
    ),
}

/// Words of the larger policy that the smaller one does not need, but for some that hold which of them it is.
const SPARE: usize = (size_of::<Duo>() - size_of::<Lru>()) / 4 - 4;
const _: () = assert!(size_of::<Policy>() == size_of::<Duo>());

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
            PolicyKind::Lru => Self::Lru(Lru::new(cutter, classes)?, [0; SPARE]),
        })
    }

    /// Where the policy lies now, nothing is to lie beside what it keeps.
    pub(crate) fn clean(&mut self) {
        if let Self::Duo(duo) = self {
            duo.clean();
        }
    }

    /// Whether the policy keeps a bit for each item in its page's plane.
    pub(crate) fn uses_planes(kind: PolicyKind) -> bool {
        kind == PolicyKind::Default
    }

    /// Whether what the policy keeps in and about an item holds together.
    pub(crate) fn check(&self, slab: &Slab, id: Id) -> bool {
        match self {
            Self::Duo(p) => p.check(slab, id),
            Self::Lru(_, _) => true,
        }
    }

    /// Whether the items of a class are in an order.
    pub(crate) fn keeps_order(&self) -> bool {
        matches!(self, Self::Lru(..))
    }

    /// Every item is gone.
    pub(crate) fn clear(&mut self) {
        match self {
            Self::Duo(p) => p.clear(),
            Self::Lru(p, _) => p.clear(),
        }
    }

    /// A request for a key, hit or miss.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn requested(&mut self, hash: Hash) {
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

    /// A new item, whose slot is of this class.
    #[inline]
    pub(crate) fn inserted(&mut self, slab: &mut Slab, id: Id, class: Class) {
        match self {
            Self::Duo(p) => p.inserted(slab, id, class),
            Self::Lru(p, _) => p.inserted(slab, id),
        }
    }

    /// An item was read or overwritten whose header starts with this word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn hit(&mut self, slab: &mut Slab, id: Id, word: u32) {
        match self {
            Self::Duo(p) => p.hit(slab, id, word),
            // A pinned item is in no list.
            Self::Lru(p, _) if Kind::of(word) == Kind::Item => p.hit(slab, id),
            Self::Lru(_, _) => {}
        }
    }

    /// An item, whose slot is of this class, is about to go.
    #[inline]
    pub(crate) fn removed(&mut self, slab: &mut Slab, id: Id, class: Class) {
        match self {
            Self::Duo(p) => p.removed(slab, id, class),
            Self::Lru(p, _) => p.removed(slab, id),
        }
    }

    /// The slot for the new item is not that of the latest victim.
    #[inline]
    pub(crate) fn not_a_victims(&mut self) {
        if let Self::Duo(duo) = self {
            duo.not_a_victims();
        }
    }

    /// An item that was taken out comes back, with its marks.
    pub(crate) fn returned(&mut self, slab: &mut Slab, id: Id, class: Class) {
        match self {
            Self::Duo(p) => p.returned(slab, id, class),
            Self::Lru(p, _) => p.inserted(slab, id),
        }
    }

    /// An item is there, with its marks, that an earlier owner left.
    pub(crate) fn adopted(&mut self, slab: &mut Slab, id: Id, class: Class) {
        match self {
            Self::Duo(p) => p.returned(slab, id, class),
            Self::Lru(p, _) => p.adopted(slab, id, class),
        }
    }

    /// All such items are there.
    pub(crate) fn adopted_all(&mut self, slab: &mut Slab) {
        if let Self::Lru(p, _) = self {
            p.adopted_all(slab);
        }
    }

    /// A new item comes for whose slot nobody had to go just now; `remembered`: as for `expect`.
    pub(crate) fn arrived(&mut self, remembered: bool) {
        if let Self::Duo(duo) = self {
            duo.arrived(remembered);
        }
    }

    /// An item was copied from one slot to another, perhaps of another class.
    pub(crate) fn moved(&mut self, slab: &mut Slab, from: Id, to: Id) {
        match self {
            Self::Duo(p) => p.moved(slab, from, to),
            Self::Lru(p, _) => p.moved(slab, from, to),
        }
    }

    /// The item that is likely to be the next victim; a hint.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn next_up(&self, slab: &Slab, class: Class) -> Option<Id> {
        match self {
            Self::Duo(duo) => duo.next_up(slab, class),
            Self::Lru(_, _) => None,
        }
    }

    /// As [`Policy::victim`], with the first word of its header, where the usual case makes that quick.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn usual_victim(&mut self, slab: &Slab, class: Class) -> Option<(Id, u32)> {
        match self {
            Self::Duo(duo) => duo.usual_victim(slab, class),
            Self::Lru(_, _) => None,
        }
    }

    /// The item that the class can spare best; `expired` ones come first where they are met.
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn victim(
        &mut self,
        slab: &mut Slab,
        class: Class,
        expired: impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        match self {
            Self::Duo(p) => p.victim(slab, class, expired),
            Self::Lru(p, _) => p.victim(slab, class, expired),
        }
    }

    /// Slots that the next victims of a class are likely to be in, until `visit` says `false`. A hint:
    /// nothing is read but planes and links.
    #[cfg(not(feature = "small"))]
    pub(crate) fn upcoming(&self, slab: &Slab, class: Class, visit: impl FnMut(Id) -> bool) {
        if let Self::Duo(duo) = self {
            duo.upcoming(slab, class, visit);
        }
    }

    /// What its pages are worth to a class; `None` where no item has its first slot in the class.
    pub(crate) fn worth(&self, slab: &Slab, class: Class) -> Option<Worth> {
        match self {
            Self::Duo(duo) => duo.worth(slab, class),
            Self::Lru(lru, _) => lru.worth(slab, class),
        }
    }

    /// Whether a class to which pages are worth so much may take one of a class to which they are
    /// worth that. To follow smaller differences costs more in moved and evicted items than it gains.
    pub(crate) fn may_take(&self, mine: Worth, theirs: Worth) -> bool {
        let (Reverse(my_age), Reverse(their_age)) = (mine.youth, theirs.youth);
        let least = match self {
            Self::Duo(_) => my_age.saturating_mul(4),
            Self::Lru(_, _) => my_age.saturating_add(my_age / 4),
        };
        match (mine.cold.0, theirs.cold.0) {
            (false, true) => true,
            (true, false) => false,
            _ => least.saturating_add(16) < their_age,
        }
    }

    /// The page of the class to empty first.
    pub(crate) fn page_to_empty(&self, slab: &Slab, class: Class) -> Option<Page> {
        match self {
            Self::Duo(p) => p.page_to_empty(slab, class),
            Self::Lru(p, _) => p.page_to_empty(slab, class),
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
