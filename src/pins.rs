//! What is held outside the lock: views of items, and reservations of bytes for new ones.
//!
//! Each one has an entry, with a generation that no other entry ever had (until 2^31 of them later), so that a ticket
//! that was given back is told from any other. The first few entries are always there, the others in a page that is
//! there only while something is held.
//!
//! # Layout
//! ```text
//! entry   | id | generation |       id NONE = nothing is held
//! ```
//!
//! # Invariants
//! 1. A viewed item is `Pinned`, or `Pending` once it is in no index any more. So it is neither moved nor evicted
//!    nor overwritten nor freed.
//! 2. A reserved item is `Pending`, and not in the index.
//! 3. `views` and `reservations` count the entries of even and odd generation.

#![forbid(unsafe_code)]

use crate::item::{Items, State};
use crate::page::{Id, Owner, Page};
use crate::store::Store;

/// Entries of the table unless the configuration says otherwise.
const PINS_DEFAULT: usize = 16;
/// Entries that need no page.
const FEW: u32 = 2;
const ENTRY_WORDS: u32 = 2;

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) entry: u32,
    pub(crate) generation: u32,
}

/// What an entry is for; the lowest bit of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    View = 0,
    Reservation = 1,
}

#[derive(Debug)]
pub(crate) struct Pins {
    few: [(Id, u32); FEW as usize],
    /// The page of the other entries.
    table: Page,
    generation: u32,
    pub(crate) views: u16,
    pub(crate) reservations: u16,
    /// Entries in all.
    most: u16,
}

impl Pins {
    /// `most`: entries asked for, 0 = the library's choice; no more than `fit`.
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

    /// Whether anything is held.
    pub(crate) fn any(&self) -> bool {
        self.views > 0 || self.reservations > 0
    }

    /// Pages that entries take.
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

    /// Entries that are there now.
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

    /// Whether a view is of this item.
    pub(crate) fn views(&self, store: &Store, id: Id) -> bool {
        self.views > 0 && self.ids(store).any(|other| other == id)
    }

    /// An entry that is free; makes a page of them if need be. `None` where all are taken.
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
        self.table = store.take_page(Owner::Pins)?;
        for entry in FEW..u32::from(self.most) {
            self.set(store, entry, (Id::NONE, 0));
        }
        Some(FEW)
    }

    /// Enters what is held now in an entry that is free.
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

    /// The reservations of a key, of all where there is none, come too late from now on. O(entries).
    #[cold]
    pub(crate) fn void(&self, store: &mut Store, key: Option<&[u8]>) {
        for entry in 0..self.entries() {
            let (id, generation) = self.entry(store, entry);
            let reserves = id != Id::NONE && generation & 1 == Purpose::Reservation as u32;
            if reserves && key.is_none_or(|key| store.layout.key(&store.pages, id) == key) {
                let head = store.head(id);
                Items::set_head(&mut store.pages, id, head.with_uses(VOID));
            }
        }
    }

    /// Whether a reservation comes too late.
    pub(crate) fn is_void(store: &Store, id: Id) -> bool {
        store.head(id).uses() == VOID
    }

    /// Gives the page back where nothing is held any more.
    pub(crate) fn tidy(&mut self, store: &mut Store) {
        if self.table != Page::NONE && !self.any() {
            store.pages.give(self.table);
            self.table = Page::NONE;
        }
    }

    /// Whether the entries are what the counts say.
    pub(crate) fn check(&self, store: &Store) -> bool {
        let held = self.ids(store).filter(|&id| id != Id::NONE).count();
        let counted = usize::from(self.views) + usize::from(self.reservations);
        held == counted && store.held as usize == held && (held > 0 || self.pages() == 0)
    }
}

/// Uses of an item that is reserved, where its reservation comes too late: it has none of its own.
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

    /// Unpins an item; one that is in no index any more is dead.
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

    /// The log that newcomers go to.
    pub(crate) fn newcomers(&self) -> Owner {
        if self.policy.is_lru() {
            Owner::Main
        } else {
            Owner::Window
        }
    }
}
