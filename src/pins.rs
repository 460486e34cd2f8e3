//! What is held outside the lock: views of items, and reservations of bytes for new ones.
//!
//! Each one has an entry in a table, with a generation that no other entry ever had (until 2^31 of them
//! later), so that a ticket that was given back is told from any other. The table is a page; it is there
//! only while something is held.
//!
//! # Layout
//! ```text
//! table   | id | generation | id | generation | ...       id NONE = no entry
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
pub(crate) const ENTRY_WORDS: u32 = 2;

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
    pub(crate) table: Page,
    pub(crate) generation: u32,
    pub(crate) views: u16,
    pub(crate) reservations: u16,
    /// Entries that the table has.
    pub(crate) most: u16,
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
            table: Page::NONE,
            generation: 0,
            views: 0,
            reservations: 0,
            most: most as u16,
        }
    }

    /// Whether anything is held.
    pub(crate) fn any(&self) -> bool {
        self.table != Page::NONE
    }

    pub(crate) fn count(&mut self, purpose: Purpose) -> &mut u16 {
        match purpose {
            Purpose::View => &mut self.views,
            Purpose::Reservation => &mut self.reservations,
        }
    }

    pub(crate) fn at(&self, store: &Store, entry: u32) -> u32 {
        store.pages.start_of(self.table) + entry * ENTRY_WORDS
    }

    pub(crate) fn entry(&self, store: &Store, entry: u32) -> (Id, u32) {
        let at = self.at(store, entry);
        (Id(store.pages.word(at)), store.pages.word(at + 1))
    }

    pub(crate) fn ids<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = Id> + 'a {
        let most = if self.any() { self.most } else { 0 };
        (0..u32::from(most)).map(move |entry| self.entry(store, entry).0)
    }

    /// Whether the entries are what the counts say.
    pub(crate) fn check(&self, store: &Store) -> bool {
        let held = self.ids(store).filter(|&id| id != Id::NONE).count();
        let counted = usize::from(self.views) + usize::from(self.reservations);
        held == counted && store.held as usize == held && self.any() == (held > 0)
    }
}

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
