//! What is held outside the lock: views of items, and reservations of slots for new ones.
//!
//! Each one has an entry in a table, with a generation that no other entry ever had (until 2^31 of them
//! later), so that a ticket that was given back is told from any other. The table is a slot like any
//! other; it is there only while something is held.
//!
//! # Layout
//! ```text
//! table   | id | generation | id | generation | ...       id NONE = no entry
//! ```
//!
//! # Invariants
//! 1. A viewed item's slot is of kind `Pinned`, or `Pending` once the item is gone; its later parts are
//!    `Pending`. So nobody moves, evicts, overwrites or frees them.
//! 2. A reserved slot and its parts are `Pending`, and not in the index.
//! 3. `views` and `reservations` count the entries of even and odd generation.

#![forbid(unsafe_code)]

use crate::expiry::NEVER;
use crate::hash::Hash;
use crate::item::{Draft, Items, Type};
use crate::shard::Shard;
use crate::slab::{Class, Id, Kind, Page, Slab};
use crate::status::{Error, Result};

/// Entries of the table unless the configuration says otherwise.
const PINS_DEFAULT: usize = 16;
const ENTRY_WORDS: u32 = 2;

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) entry: u32,
    pub(crate) generation: u32,
}

/// What an entry is for; the lowest bit of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    View = 0,
    Reservation = 1,
}

#[derive(Debug)]
pub(crate) struct Pins {
    table: Id,
    generation: u32,
    pub(crate) views: u16,
    pub(crate) reservations: u16,
    /// Entries that the table has.
    most: u16,
}

impl Pins {
    /// `most`: entries asked for, 0 = the library's choice. `None` where no slot could hold so many.
    pub(crate) fn new(slab: &Slab, most: usize) -> Option<Self> {
        let fit = Self::fit(slab.slot_size(slab.largest_class()));
        let most = if most == 0 {
            PINS_DEFAULT.min(fit)
        } else {
            most
        };
        (most <= fit).then_some(Self {
            table: Id::NONE,
            generation: 0,
            views: 0,
            reservations: 0,
            most: most as u16,
        })
    }

    /// Entries that a slot of so many bytes has room for.
    pub(crate) fn fit(slot_size: usize) -> usize {
        (slot_size / 4).saturating_sub(1) / ENTRY_WORDS as usize
    }

    /// Whether anything is held.
    pub(crate) fn any(&self) -> bool {
        !self.table.is_none()
    }

    fn count(&mut self, purpose: Purpose) -> &mut u16 {
        match purpose {
            Purpose::View => &mut self.views,
            Purpose::Reservation => &mut self.reservations,
        }
    }

    fn entry(&self, slab: &Slab, entry: u32) -> (Id, u32) {
        let at = entry * ENTRY_WORDS;
        // The table's first word is its slot's: it says what the slot is.
        (
            Id(slab.word(self.table, 1 + at)),
            slab.word(self.table, 2 + at),
        )
    }

    fn ids<'a>(&'a self, slab: &'a Slab) -> impl Iterator<Item = Id> + 'a {
        let most = if self.any() { self.most } else { 0 };
        (0..u32::from(most)).map(move |entry| self.entry(slab, entry).0)
    }
}

impl Shard {
    // ---- the table -------------------------------------------------------------------------------

    /// Makes sure that the table has an entry to give.
    fn ready_table(&mut self) -> Result<()> {
        let ready = if self.pins.any() {
            self.pins.ids(&self.slab).any(Id::is_none)
        } else {
            self.make_table()
        };
        if ready {
            return Ok(());
        }
        self.counters.count_failure(Error::NoMemory);
        Err(Error::NoMemory)
    }

    /// Takes a slot for the table, if there is one to get.
    fn make_table(&mut self) -> bool {
        let words = 1 + u32::from(self.pins.most) * ENTRY_WORDS;
        let class = self.slab.class_for(words as usize * 4);
        let Some((table, _)) = self.take_slot(class) else {
            return false;
        };
        for at in 1..words {
            self.slab.set_word(table, at, Id::NONE.0);
        }
        self.pins.table = table;
        true
    }

    /// Gives the table's slot back where nothing is held any more.
    fn tidy_table(&mut self) {
        if self.pins.any() && self.pins.views == 0 && self.pins.reservations == 0 {
            self.slab.free(self.pins.table);
            self.pins.table = Id::NONE;
        }
    }

    /// Enters what is held now. [`Shard::ready_table`] found room.
    fn add_ticket(&mut self, id: Id, purpose: Purpose) -> Ticket {
        let entry = self.pins.ids(&self.slab).position(Id::is_none);
        let entry = entry.unwrap_or(0) as u32;
        self.pins.generation = self.pins.generation.wrapping_add(2);
        let generation = self.pins.generation & !1 | purpose as u32;
        let at = 1 + entry * ENTRY_WORDS;
        self.slab.set_word(self.pins.table, at, id.0);
        self.slab.set_word(self.pins.table, at + 1, generation);
        *self.pins.count(purpose) += 1;
        Ticket { entry, generation }
    }

    /// What a ticket is for, if it is held.
    fn held(&self, ticket: Ticket, purpose: Purpose) -> Result<Id> {
        if !self.pins.any() || ticket.entry >= u32::from(self.pins.most) {
            return Err(Error::Stale);
        }
        let (id, generation) = self.pins.entry(&self.slab, ticket.entry);
        let right = generation == ticket.generation && generation & 1 == purpose as u32;
        id.some().filter(|_| right).ok_or(Error::Stale)
    }

    fn drop_ticket(&mut self, ticket: Ticket, purpose: Purpose) {
        let at = 1 + ticket.entry * ENTRY_WORDS;
        self.slab.set_word(self.pins.table, at, Id::NONE.0);
        *self.pins.count(purpose) -= 1;
    }

    /// Whether something in this page is held: a value's first slot, or the table. O(entries).
    pub(crate) fn is_held(&self, page: Page) -> bool {
        self.pins.any()
            && (self.slab.page_of(self.pins.table) == page
                || self
                    .pins
                    .ids(&self.slab)
                    .any(|id| !id.is_none() && self.slab.page_of(id) == page))
    }

    // ---- views -----------------------------------------------------------------------------------

    /// Holds an item for a reader, as a get counts it.
    pub(crate) fn pin(&mut self, hash: Hash, key: &[u8]) -> Result<(Ticket, Id)> {
        self.policy.requested(hash);
        let Some(id) = self.lookup(hash, key) else {
            return self.miss(hash);
        };
        self.check_sum(id, hash)?;
        // From here on it neither moves nor goes, also not for the table.
        let was_free = self.keep(id);
        if let Err(error) = self.ready_table() {
            if was_free {
                self.let_go(id);
            }
            return Err(error);
        }
        self.count_hit(id);
        Ok((self.add_ticket(id, Purpose::View), id))
    }

    /// Lets an item be where it is; whether nobody held it.
    pub(crate) fn keep(&mut self, id: Id) -> bool {
        if self.slab.kind(id) != Kind::Item {
            return false;
        }
        let class = self.slab.class_of(id);
        self.policy.removed(&mut self.slab, id, class);
        self.slab.set_kind(id, Kind::Pinned);
        let parts = self.layout.first_part(&self.slab, id);
        Items::unseal(&mut self.slab, parts);
        true
    }

    /// A reader has done; `Stale` where it had before.
    pub(crate) fn unpin(&mut self, ticket: Ticket) -> Result<()> {
        let id = self.held(ticket, Purpose::View)?;
        self.drop_ticket(ticket, Purpose::View);
        if !self.pins.ids(&self.slab).any(|other| other == id) {
            self.let_go(id);
        }
        self.tidy_table();
        Ok(())
    }

    /// Nobody holds the item any more.
    pub(crate) fn let_go(&mut self, id: Id) {
        if self.slab.kind(id) != Kind::Pinned {
            return self.free_whole(id);
        }
        let class = self.slab.class_of(id);
        let parts = self.layout.first_part(&self.slab, id);
        Items::seal(&mut self.slab, parts);
        self.slab.set_kind(id, Kind::Item);
        self.policy.returned(&mut self.slab, id, class);
        let at = self.expiry_at(id);
        self.expiry_moved(id, at);
    }

    /// An item that is pinned is not in the index any more: its slots stay until the last reader has
    /// done.
    pub(crate) fn orphan(&mut self, id: Id, class: Class) {
        self.uncount(id, class);
        self.slab.set_kind(id, Kind::Pending);
    }

    /// The item that a view is of.
    pub(crate) fn viewed(&self, ticket: Ticket) -> Result<Id> {
        self.held(ticket, Purpose::View)
    }

    // ---- reservations ----------------------------------------------------------------------------

    /// Slots for a value of `value_len` bytes that somebody is to write.
    pub(crate) fn reserve(
        &mut self,
        key: &[u8],
        value_len: usize,
        ttl_ms: u64,
    ) -> Result<(Ticket, Id)> {
        let reserved = self.reserve_slots(key, value_len, ttl_ms);
        self.tidy_table();
        reserved
    }

    fn reserve_slots(&mut self, key: &[u8], value_len: usize, ttl_ms: u64) -> Result<(Ticket, Id)> {
        let expiry = self.time.expiry(self.effective_ttl(ttl_ms));
        let shape = self
            .shape_for(key.len(), value_len, expiry.is_some())
            .inspect_err(|&error| self.counters.count_failure(error))?;
        self.ready_table()?;
        let draft = Draft {
            key,
            value: &[],
            value_len,
            value_type: Type::Bytes,
            expiry,
            set_time: self.layout.format.stamp(&self.time),
        };
        if self.has_work() {
            self.work_ahead(shape.head, 1 + shape.parts().min(8) as u32);
        }
        let id = self
            .write_new(&draft, &shape)
            .inspect_err(|&error| self.counters.count_failure(error))?;
        Ok((self.add_ticket(id, Purpose::Reservation), id))
    }

    /// The value is written: it is its key's from now on, for `ttl_ms`.
    pub(crate) fn commit(&mut self, ticket: Ticket, ttl_ms: u64) -> Result<()> {
        let id = self.held(ticket, Purpose::Reservation)?;
        let hash = self.hash_of(id);
        self.ready_index_for(hash)
            .inspect_err(|&error| self.counters.count_failure(error))?;
        let segment = self.index.segment_of(&self.slab, hash);
        let remembered = self.index.take_ghost(&mut self.slab, segment, hash);
        self.drop_ticket(ticket, Purpose::Reservation);
        self.tidy_table();
        self.renew_expiry(id, ttl_ms);
        self.complete(id);
        let class = self.slab.class_of(id);
        self.count(id, class);
        self.counters.sets += 1;
        self.policy.arrived(remembered);
        self.policy.inserted(&mut self.slab, id, class);
        let old = self.find(hash, self.layout.key(&self.slab, id));
        let old = old
            .filter(|&(old, word)| !(Items::word_has_ttl(word) && self.expire_if_due(old, hash)));
        self.put_in_place(hash, old.map(|(old, _)| old), id);
        Ok(())
    }

    /// The TTL of a value counts from its commit on.
    fn renew_expiry(&mut self, id: Id, ttl_ms: u64) {
        if self.layout.has_ttl(&self.slab, id) {
            let expiry = self.time.expiry(self.effective_ttl(ttl_ms));
            self.change_expiry(id, expiry.unwrap_or(NEVER));
        }
    }

    /// Nothing is to be written.
    pub(crate) fn abort(&mut self, ticket: Ticket) -> Result<()> {
        let id = self.held(ticket, Purpose::Reservation)?;
        self.drop_ticket(ticket, Purpose::Reservation);
        self.free_whole(id);
        self.tidy_table();
        Ok(())
    }

    /// The slots that a reservation is of.
    pub(crate) fn reserved(&self, ticket: Ticket) -> Result<Id> {
        self.held(ticket, Purpose::Reservation)
    }

    /// Frees an item's slots, which nobody counts or finds.
    pub(crate) fn free_whole(&mut self, id: Id) {
        let parts = self.layout.first_part(&self.slab, id);
        self.free_parts(parts);
        self.slab.free(id);
    }
}
