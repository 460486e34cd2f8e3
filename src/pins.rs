//! Pins: views of items and reservations for new items, which outlive the lock of a call.
//!
//! Each pin has an entry with a generation, which is reused only after 2^31 pins. So a released ticket differs from
//! every later one. The first `FEW` entries are in [`Pins`] itself. The others are in a page, which is acquired for
//! the entry after these, and released when there is no pin.
//!
//! # Layout
//! ```text
//! entry   | id | generation |       id NONE = no pin
//! ```
//!
//! # Invariants
//! 1. A viewed item is `Pinned`, or `Pending` after its removal from the index. So the item is neither moved nor
//!    evicted nor overwritten nor killed.
//! 2. A reserved item is `Pending`, and not in the index.
//! 3. `views` counts the entries with an even generation, `reservations` those with an odd one.

#![forbid(unsafe_code)]

use crate::item::{Items, State};
use crate::page::{Id, Owner, Page};
use crate::store::Store;

/// Entries of the table unless the configuration says otherwise.
pub(crate) const PINS_DEFAULT: usize = 16;
/// Entries that need no page.
const FEW: u32 = 2;
const ENTRY_WORDS: u32 = 2;

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) entry: u32,
    pub(crate) generation: u32,
}

/// The purpose of an entry: the lowest bit of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    View = 0,
    Reservation = 1,
}

impl Purpose {
    pub(crate) fn of(generation: u32) -> Self {
        if generation & 1 == 0 {
            Self::View
        } else {
            Self::Reservation
        }
    }
}

/// What a process holds in a cache that processes share: as an entry, and whose. It lies beside the shard, and stays
/// where the shard is adopted.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Holder {
    pub(crate) id: Id,
    pub(crate) generation: u32,
    pub(crate) process: u32,
}

impl Holder {
    #[cfg(feature = "hosted")]
    pub(crate) const NONE: Self = Self {
        id: Id::NONE,
        generation: 0,
        process: 0,
    };

    /// Whether one of these holds what lies there.
    pub(crate) fn any_of(held: &[Self], id: Id) -> bool {
        cfg!(feature = "hosted") && held.iter().any(|holder| holder.id == id)
    }
}

#[derive(Debug)]
pub(crate) struct Pins {
    few: [(Id, u32); FEW as usize],
    /// The page of the other entries.
    table: Page,
    /// The last one.
    pub(crate) generation: u32,
    pub(crate) views: u16,
    pub(crate) reservations: u16,
    /// The maximum number of entries.
    most: u16,
}

impl Pins {
    /// A table of at most `most` entries, or of [`PINS_DEFAULT`] if `most` is 0; never more than `fit`.
    pub(crate) fn new(most: usize, fit: usize) -> Self {
        let most = if most == 0 {
            PINS_DEFAULT.min(fit)
        } else {
            most.min(fit)
        };
        Self {
            few: [(Id::NONE, 0); FEW as usize],
            table: Page::NONE,
            generation: 0,
            views: 0,
            reservations: 0,
            most: most as u16,
        }
    }

    /// Whether there is a pin.
    pub(crate) fn any(&self) -> bool {
        self.views > 0 || self.reservations > 0
    }

    /// Pages of the table.
    pub(crate) fn pages(&self) -> u32 {
        u32::from(self.table != Page::NONE)
    }

    pub(crate) fn count(&mut self, purpose: Purpose) -> &mut u16 {
        match purpose {
            Purpose::View => &mut self.views,
            Purpose::Reservation => &mut self.reservations,
        }
    }

    fn at(&self, store: &Store, entry: u32) -> u32 {
        store.pages.start_of(self.table) + (entry - FEW) * ENTRY_WORDS
    }

    pub(crate) fn entry(&self, store: &Store, entry: u32) -> (Id, u32) {
        if let Some(&held) = self.few.get(entry as usize) {
            return held;
        }
        if entry >= self.entries() {
            return (Id::NONE, 0);
        }
        let at = self.at(store, entry);
        (Id(store.pages.word(at)), store.pages.word(at + 1))
    }

    fn set(&mut self, store: &mut Store, entry: u32, (id, generation): (Id, u32)) {
        if let Some(few) = self.few.get_mut(entry as usize) {
            *few = (id, generation);
            return;
        }
        let at = self.at(store, entry);
        store.pages.set_word(at, id.0);
        store.pages.set_word(at + 1, generation);
    }

    /// Number of entries with memory now.
    fn entries(&self) -> u32 {
        let most = u32::from(self.most);
        if self.table == Page::NONE {
            most.min(FEW)
        } else {
            most
        }
    }

    fn ids<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = Id> + 'a {
        (0..self.entries()).map(move |entry| self.entry(store, entry).0)
    }

    /// Whether there is a view of this item.
    pub(crate) fn views(&self, store: &Store, id: Id) -> bool {
        self.views > 0 && self.ids(store).any(|other| other == id)
    }

    /// A free entry. Acquires the table's page if necessary. `None` if all entries are used or no page can be free.
    pub(crate) fn free_entry(&mut self, store: &mut Store) -> Option<u32> {
        let free = self.ids(store).position(|id| id == Id::NONE);
        if let Some(entry) = free {
            return Some(entry as u32);
        }
        self.extend(store)
    }

    #[cold]
    fn extend(&mut self, store: &mut Store) -> Option<u32> {
        if self.entries() == u32::from(self.most) {
            return None;
        }
        let page = store.take_page(Owner::Pins)?;
        self.start_table(store, page);
        Some(FEW)
    }

    /// From here on, a page has the other entries.
    fn start_table(&mut self, store: &mut Store, page: Page) {
        self.table = page;
        for entry in FEW..u32::from(self.most) {
            self.set(store, entry, (Id::NONE, 0));
        }
    }

    /// Adds a pin in a free entry.
    pub(crate) fn add(
        &mut self,
        store: &mut Store,
        entry: u32,
        id: Id,
        purpose: Purpose,
    ) -> Ticket {
        self.generation = self.generation.wrapping_add(2);
        let generation = self.generation & !1 | purpose as u32;
        self.set(store, entry, (id, generation));
        *self.count(purpose) += 1;
        store.held += 1;
        Ticket { entry, generation }
    }

    pub(crate) fn remove(&mut self, store: &mut Store, ticket: Ticket, purpose: Purpose) {
        self.set(store, ticket.entry, (Id::NONE, 0));
        *self.count(purpose) -= 1;
        store.held -= 1;
    }

    /// What is held goes on to be, after the shard was adopted; entries of what is not there become
    /// [`Holder::NONE`].
    #[cfg(feature = "hosted")]
    pub(crate) fn restore(&mut self, store: &mut Store, held: &mut [Holder]) {
        for holder in held.iter_mut().filter(|holder| holder.id != Id::NONE) {
            // Its holder may have died while it was given back: other things may lie there by now, and what was
            // reserved may be its key's.
            let is_there = store.pages.holds(holder.id) && store.begins(holder.id);
            let is_given = Purpose::of(holder.generation) == Purpose::Reservation
                && store.head(holder.id).state() != State::Pending;
            if !is_there || is_given {
                *holder = Holder::NONE;
                continue;
            }
            store.keep(holder.id);
            store.held += 1;
        }
        // Nothing that is held goes for the page of the entries, and no item where there is a page.
        let last = held.iter().rposition(|holder| holder.id != Id::NONE);
        if last.is_some_and(|last| last >= FEW as usize) {
            let free = store.pages.take(Owner::Pins);
            if let Some(page) = free.or_else(|| store.take_page(Owner::Pins)) {
                self.start_table(store, page);
            }
        }
        for (entry, holder) in held.iter_mut().enumerate() {
            if holder.id == Id::NONE {
                continue;
            }
            if entry as u32 >= self.entries() {
                store.held -= 1;
                let is_held = !store.head(holder.id).is_dead() && !store.head(holder.id).is_live();
                if is_held && self.ids(store).all(|id| id != holder.id) {
                    store.let_be(holder.id);
                }
                *holder = Holder::NONE;
                continue;
            }
            self.set(store, entry as u32, (holder.id, holder.generation));
            *self.count(Purpose::of(holder.generation)) += 1;
        }
    }

    /// Where the last generation lies.
    #[cfg(feature = "hosted")]
    pub(crate) const GENERATION_AT: usize = core::mem::offset_of!(Self, generation);

    /// The reservations of a key, of all where there is none, come too late from now on. O(entries).
    #[cold]
    pub(crate) fn void(&self, store: &mut Store, key: Option<&[u8]>) {
        for entry in 0..self.entries() {
            let (id, generation) = self.entry(store, entry);
            let reserves = id != Id::NONE && Purpose::of(generation) == Purpose::Reservation;
            if reserves && key.is_none_or(|key| store.layout.key(&store.pages, id) == key) {
                let head = store.head(id);
                Items::set_head(&mut store.pages, id, head.with_uses(VOID));
            }
        }
    }

    /// Whether a reservation is void: its key changed after the reserve.
    pub(crate) fn is_void(store: &Store, id: Id) -> bool {
        store.head(id).uses() == VOID
    }

    /// Releases the table's page if there is no pin.
    pub(crate) fn tidy(&mut self, store: &mut Store) {
        if self.table != Page::NONE && !self.any() {
            store.pages.give(self.table);
            self.table = Page::NONE;
        }
    }

    /// Whether the counts agree with the entries.
    pub(crate) fn check(&self, store: &Store) -> bool {
        let held = self.ids(store).filter(|&id| id != Id::NONE).count();
        let counted = usize::from(self.views) + usize::from(self.reservations);
        held == counted && store.held as usize == held && (held > 0 || self.pages() == 0)
    }
}

/// The uses of an item whose reservation is void. Other reserved items have 0 uses.
const VOID: u32 = 3;

impl Store {
    /// Pins an item. Returns whether it was unpinned before.
    pub(crate) fn keep(&mut self, id: Id) -> bool {
        let head = self.head(id);
        if !head.is_live() {
            return false;
        }
        if self.policy.is_lru() {
            self.kept.lru.removed(&mut self.pages, id);
        }
        Items::set_head(&mut self.pages, id, head.with_state(State::Pinned));
        true
    }

    /// Unpins an item. Kills the item if it is no longer in the index.
    pub(crate) fn let_be(&mut self, id: Id) {
        let head = self.head(id);
        if head.state() != State::Pinned {
            return self.kill(id);
        }
        Items::set_head(&mut self.pages, id, head.with_state(State::Live));
        if self.policy.is_lru() {
            self.kept.lru.inserted(&mut self.pages, id);
        }
    }

    /// The log to which new items are appended.
    pub(crate) fn newcomers(&self) -> Owner {
        if self.policy.is_lru() {
            Owner::Main
        } else {
            Owner::Window
        }
    }
}
