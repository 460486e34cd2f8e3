//! What is held outside the lock: entering it in the table of `pins`, and giving it back.

#![forbid(unsafe_code)]

use super::Shard;
use crate::expiry::NEVER;
use crate::hash::Hash;
use crate::item::{Draft, Items, State, Type};
use crate::page::{Id, Owner, Page};
use crate::pins::{ENTRY_WORDS, Purpose, Ticket};
use crate::status::{Error, Result};

impl Shard {
    // ---- the table -----------------------------------------------------------------------------

    /// Makes sure that the table has an entry to give.
    fn ready_table(&mut self) -> Result<()> {
        let ready = if self.pins.any() {
            self.pins.ids(&self.store).any(|id| id == Id::NONE)
        } else {
            self.make_table()
        };
        if ready { Ok(()) } else { Err(Error::NoMemory) }
    }

    /// Takes a page for the table, if there is one to get.
    fn make_table(&mut self) -> bool {
        let Some(page) = self.store.take_page(Owner::Pins) else {
            return false;
        };
        let start = self.store.pages.start_of(page);
        for at in 0..u32::from(self.pins.most) * ENTRY_WORDS {
            self.store.pages.set_word(start + at, Id::NONE.0);
        }
        self.pins.table = page;
        true
    }

    /// Gives the table's page back where nothing is held any more.
    fn tidy_table(&mut self) {
        if self.pins.any() && self.pins.views == 0 && self.pins.reservations == 0 {
            self.store.pages.give(self.pins.table);
            self.pins.table = Page::NONE;
        }
    }

    /// Enters what is held now. [`Shard::ready_table`] found room.
    fn add_ticket(&mut self, id: Id, purpose: Purpose) -> Ticket {
        let entry = self.pins.ids(&self.store).position(|id| id == Id::NONE);
        debug_assert!(entry.is_some());
        let entry = entry.unwrap_or(0) as u32;
        self.pins.generation = self.pins.generation.wrapping_add(2);
        let generation = self.pins.generation & !1 | purpose as u32;
        let at = self.pins.at(&self.store, entry);
        self.store.pages.set_word(at, id.0);
        self.store.pages.set_word(at + 1, generation);
        *self.pins.count(purpose) += 1;
        self.store.held += 1;
        Ticket { entry, generation }
    }

    /// What a ticket is for, if it is held.
    fn held(&self, ticket: Ticket, purpose: Purpose) -> Result<Id> {
        if !self.pins.any() || ticket.entry >= u32::from(self.pins.most) {
            return Err(Error::Stale);
        }
        let (id, generation) = self.pins.entry(&self.store, ticket.entry);
        let right = generation == ticket.generation && generation & 1 == purpose as u32;
        id.some().filter(|_| right).ok_or(Error::Stale)
    }

    fn drop_ticket(&mut self, ticket: Ticket, purpose: Purpose) {
        let at = self.pins.at(&self.store, ticket.entry);
        self.store.pages.set_word(at, Id::NONE.0);
        *self.pins.count(purpose) -= 1;
        self.store.held -= 1;
    }

    // ---- views ---------------------------------------------------------------------------------

    /// Holds an item for a reader, as a get counts it.
    pub(crate) fn pin(&mut self, hash: Hash, key: &[u8]) -> Result<(Ticket, Id)> {
        let Some((id, _)) = self.lookup(hash, key) else {
            return self.miss();
        };
        self.check_sum(id, hash)?;
        // From here on it neither moves nor goes, also not for the table.
        let was_free = self.store.keep(id);
        if let Err(error) = self.ready_table() {
            if was_free {
                self.store.let_be(id);
            }
            self.store.counters.count_failure(error);
            return Err(error);
        }
        self.hit(id, self.store.head(id), hash);
        Ok((self.add_ticket(id, Purpose::View), id))
    }

    /// A reader has done; `Stale` where it had before.
    pub(crate) fn unpin(&mut self, ticket: Ticket) -> Result<()> {
        let id = self.held(ticket, Purpose::View)?;
        self.drop_ticket(ticket, Purpose::View);
        if !self.pins.ids(&self.store).any(|other| other == id) {
            self.store.let_be(id);
        }
        self.tidy_table();
        Ok(())
    }

    /// The item that a view is of.
    pub(crate) fn viewed(&self, ticket: Ticket) -> Result<Id> {
        self.held(ticket, Purpose::View)
    }

    // ---- reservations --------------------------------------------------------------------------

    /// Bytes for a value of `value_len` bytes that the holder is to write.
    pub(crate) fn reserve(
        &mut self,
        key: &[u8],
        value_len: usize,
        ttl_ms: u64,
    ) -> Result<(Ticket, Id)> {
        let reserved = self
            .reserve_bytes(key, value_len, ttl_ms)
            .inspect_err(|&error| self.store.counters.count_failure(error));
        self.tidy_table();
        reserved
    }

    fn reserve_bytes(&mut self, key: &[u8], value_len: usize, ttl_ms: u64) -> Result<(Ticket, Id)> {
        let expiry = self.store.time().expiry(self.effective_ttl(ttl_ms));
        let shape = self.shape_for(key.len(), value_len, expiry.is_some())?;
        self.ready_table()?;
        let draft = Draft {
            key,
            value: &[],
            value_len,
            value_type: Type::Bytes,
            expiry,
            uses: 0,
        };
        // Where items are held, there may be too little room in the end: what the key has stays then.
        let hash = self.store.hasher.hash(key);
        let old = self.store.find(hash, key).map(|(old, _)| old);
        let kept = old.filter(|&old| self.store.held > 0 && self.store.keep(old));
        let owner = self.store.newcomers();
        let reserved = self.store.append_with_room(owner, &shape, &draft);
        if let Some(old) = kept {
            self.store.let_be(old);
        }
        let (id, head) = reserved?;
        Items::set_head(&mut self.store.pages, id, head.with_state(State::Pending));
        Ok((self.add_ticket(id, Purpose::Reservation), id))
    }

    /// The value is written: it is its key's from now on, for `ttl_ms`.
    pub(crate) fn commit(&mut self, ticket: Ticket, ttl_ms: u64) -> Result<()> {
        let id = self.held(ticket, Purpose::Reservation)?;
        let store = &mut self.store;
        let hash = store.hash_of(id);
        store
            .ready_index(hash)
            .inspect_err(|&error| store.counters.count_failure(error))?;
        let segment = store.index.segment(&store.pages, hash);
        let remembered = store.index.take_ghost(&mut store.pages, segment, hash);
        self.drop_ticket(ticket, Purpose::Reservation);
        self.tidy_table();
        let expiry = self.store.time().expiry(self.effective_ttl(ttl_ms));
        let store = &mut self.store;
        let head = store
            .head(id)
            .with_state(State::Live)
            .with_uses(u32::from(remembered));
        if head.has_ttl() {
            // The TTL of a value counts from its commit on.
            let never = (NEVER, u64::MAX);
            store.set_expiry(id, expiry.unwrap_or(never));
        }
        let found = store.find(hash, store.layout.key(&store.pages, id));
        let old = self.unless_expired(found);
        let store = &mut self.store;
        match old {
            Some((old, _)) => store.replace(hash, old, id, head),
            None => {
                let segment = store.index.segment(&store.pages, hash);
                store.insert(segment, hash, id, head);
            }
        }
        store.counters.sets += 1;
        Ok(())
    }

    /// Nothing is to be written.
    pub(crate) fn abort(&mut self, ticket: Ticket) -> Result<()> {
        let id = self.held(ticket, Purpose::Reservation)?;
        self.drop_ticket(ticket, Purpose::Reservation);
        self.store.kill(id);
        self.tidy_table();
        Ok(())
    }

    /// The item that a reservation is of.
    pub(crate) fn reserved(&self, ticket: Ticket) -> Result<Id> {
        self.held(ticket, Purpose::Reservation)
    }
}
