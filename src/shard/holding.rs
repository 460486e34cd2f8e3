//! What is held outside the lock: entering it in the table of `pins`, and giving it back.

#![forbid(unsafe_code)]

use super::Shard;
use crate::expiry::{NEVER, TTL_KEEP};
use crate::hash::Hash;
use crate::item::{Draft, Items, Meta, State, Type};
use crate::page::Id;
use crate::pins::{Pins, Purpose, Ticket};
use crate::status::{Error, Result};

impl Shard {
    /// What a ticket is for, if it is held.
    fn held(&self, ticket: Ticket, purpose: Purpose) -> Result<Id> {
        let (id, generation) = self.pins.entry(&self.store, ticket.entry);
        let right = generation == ticket.generation && Purpose::of(generation) == purpose;
        id.some().filter(|_| right).ok_or(Error::Stale)
    }

    /// An entry for what is to be held.
    fn free_entry(&mut self) -> Result<u32> {
        self.pins.free_entry(&mut self.store).ok_or(Error::NoMemory)
    }

    // ---- views ---------------------------------------------------------------------------------

    /// Holds an item for a reader, as a get counts it.
    pub(crate) fn pin(&mut self, hash: Hash, key: &[u8]) -> Result<(Ticket, Id)> {
        let (id, _) = self.lookup_counted(hash, key)?;
        self.check_sum(id, hash)?;
        // From here on it neither moves nor goes, also not for the table.
        let was_free = self.store.keep(id);
        let entry = match self.free_entry() {
            Ok(entry) => entry,
            Err(error) => {
                if was_free {
                    self.store.let_be(id);
                }
                self.store.counters.count_failure(error);
                return Err(error);
            }
        };
        self.hit(id, self.store.head(id), hash);
        Ok((self.pins.add(&mut self.store, entry, id, Purpose::View), id))
    }

    /// A reader has done; `Stale` where it had before.
    pub(crate) fn unpin(&mut self, ticket: Ticket) -> Result<()> {
        let id = self.held(ticket, Purpose::View)?;
        self.pins.remove(&mut self.store, ticket, Purpose::View);
        if !self.pins.views(&self.store, id) {
            self.store.let_be(id);
        }
        self.pins.tidy(&mut self.store);
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
        self.pins.tidy(&mut self.store);
        reserved
    }

    fn reserve_bytes(&mut self, key: &[u8], value_len: usize, ttl_ms: u64) -> Result<(Ticket, Id)> {
        let expiry = match ttl_ms {
            // Which one, the commit knows.
            TTL_KEEP => Some((NEVER, u64::MAX)),
            _ => self.store.time().expiry(self.effective_ttl(ttl_ms)),
        };
        let shape = self.shape_for(key.len(), value_len, expiry.is_some())?;
        let entry = self.free_entry()?;
        let draft = Draft {
            key,
            value: &[],
            value_len,
            value_type: Type::Bytes,
            expiry,
            uses: 0,
            meta: Meta::default(),
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
        Ok((
            self.pins
                .add(&mut self.store, entry, id, Purpose::Reservation),
            id,
        ))
    }

    /// The value is written: it is its key's from now on, for `ttl_ms`.
    pub(crate) fn commit(&mut self, ticket: Ticket, ttl_ms: u64) -> Result<()> {
        let id = self.held(ticket, Purpose::Reservation)?;
        if Pins::is_void(&self.store, id) {
            self.abort(ticket)?;
            return Err(Error::Stale);
        }
        let store = &mut self.store;
        let hash = store.hash_of(id);
        store
            .ready_index(hash)
            .inspect_err(|&error| store.counters.count_failure(error))?;
        let segment = store.index.segment(&store.pages, hash);
        let remembered = store.index.take_ghost(&mut store.pages, segment, hash);
        self.pins
            .remove(&mut self.store, ticket, Purpose::Reservation);
        self.pins.tidy(&mut self.store);
        let found = (self.store).find(hash, self.store.layout.key(&self.store.pages, id));
        let old = self.unless_expired(found);
        let value = old.filter(|(_, head)| !head.is_lease());
        let expiry = self.expiry_for(ttl_ms, value.map(|(old, _)| old));
        let store = &mut self.store;
        let head = store.head(id).unread().with_uses(u32::from(remembered));
        if head.has_ttl() {
            // The TTL of a value counts from its commit on.
            let never = (NEVER, u64::MAX);
            store.set_expiry(id, expiry.unwrap_or(never));
        }
        let meta = store.next_meta(0);
        store.layout.set_meta(&mut store.pages, id, meta);
        self.void_key_of(id);
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
        self.pins
            .remove(&mut self.store, ticket, Purpose::Reservation);
        self.store.kill(id);
        self.pins.tidy(&mut self.store);
        Ok(())
    }

    /// The item that a reservation is of.
    pub(crate) fn reserved(&self, ticket: Ticket) -> Result<Id> {
        self.held(ticket, Purpose::Reservation)
    }
}
