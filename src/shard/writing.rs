//! Storing items, changing them and taking them out.

#![forbid(unsafe_code)]

use super::{NewValue, SetMode, Shard};
use crate::expiry::{Instant, NEVER, TTL_KEEP};
use crate::hash::Hash;
use crate::item::{Draft, Head, KEY_LEN_MAX, LEASE_TYPE, Meta, Shape};
use crate::page::Id;
use crate::planted;
use crate::segment::Segment;
use crate::status::{Error, Result};

impl Shard {
    /// Stores a value.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn set(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
        mode: SetMode,
    ) -> Result<()> {
        let quick = match mode {
            SetMode::Set => self.set_quickly(hash, key, value),
            _ => None,
        };
        match quick {
            Some(done) => done,
            None => self.set_other(hash, key, value, mode),
        }
    }

    #[inline(never)]
    fn set_other(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
        mode: SetMode,
    ) -> Result<()> {
        let done = self.set_uncounted(hash, key, value, mode);
        match done {
            Ok(()) => {
                self.store.counters.sets += 1;
                self.note_usage();
            }
            Err(error) => self.store.counters.count_failure(error),
        }
        done
    }

    fn set_uncounted(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
        mode: SetMode,
    ) -> Result<()> {
        let mut segment = self.store.index.segment(&self.store.pages, hash);
        let found = self.store.find_in(segment, hash, key);
        let old = self.unless_expired(found);
        if found.is_some() && old.is_none() {
            segment = self.store.index.segment(&self.store.pages, hash);
        }
        let (leased, old) = match old {
            Some((id, head)) if head.is_lease() => (Some((id, head)), None),
            _ => (None, old),
        };
        match (mode, old) {
            (SetMode::Add, Some(_)) => return Err(Error::Exists),
            (SetMode::Replace, None) => return Err(Error::NotFound),
            _ => {}
        }
        let expiry = self.expiry_for(value.ttl_ms, old.map(|(id, _)| id));
        let shape = self.shape_for(key.len(), value.bytes.len(), expiry.is_some())?;
        let draft = Draft {
            key,
            value: value.bytes,
            value_len: value.bytes.len(),
            value_type: value.value_type,
            expiry,
            uses: 0,
            meta: self.store.next_meta(value.tag),
        };
        if let Some((id, head)) = leased {
            self.store.remove(id, head, hash);
            self.store.counters.updates += 1;
            segment = self.store.index.segment(&self.store.pages, hash);
        }
        // A miss is a request for an item of unknown size: it counts with the set that fills it.
        let (granules, is_new) = (shape.granules(), old.is_none());
        let is_lru = self.store.policy.is_lru();
        let queues = &mut self.store.policy.queues;
        if is_lru {
            queues.listed(hash, is_new, || granules);
        } else {
            queues.requested(hash, is_new, || granules);
        }
        match old {
            Some((id, head)) => self.set_over(hash, id, head, &shape, &draft),
            None => self.set_new(segment, hash, &shape, draft),
        }
    }

    /// Takes what was found out where its time has come.
    #[inline]
    pub(crate) fn unless_expired(&mut self, found: Option<(Id, Head)>) -> Option<(Id, Head)> {
        let (id, head) = found?;
        if head.has_ttl() && self.store.is_expired(id, head) {
            self.store.expire(id);
            return None;
        }
        Some((id, head))
    }

    /// Stores an item whose key has none. `segment`: its hash's.
    pub(super) fn set_new(
        &mut self,
        mut segment: Segment,
        hash: Hash,
        shape: &Shape,
        mut draft: Draft<'_>,
    ) -> Result<()> {
        let store = &mut self.store;
        if !store.index.is_ready(&store.pages, segment) {
            store.extend_index(hash)?;
            segment = store.index.segment(&store.pages, hash);
        }
        let moves = store.index.moves;
        let remembered = store.index.take_ghost(&mut store.pages, segment, hash);
        let granules = shape.granules().saturating_add(store.chain_granules(shape));
        let (owner, uses) = store.admit(granules, remembered);
        draft.uses = uses;
        let (id, head) = store.append_with_room(owner, shape, &draft)?;
        // Making room may have joined segments.
        if store.index.moves != moves {
            segment = store.index.segment(&store.pages, hash);
        }
        if draft.value_type != LEASE_TYPE {
            self.void(draft.key);
        }
        self.store.insert(segment, hash, id, head);
        Ok(())
    }

    /// Gives a key that has a value another one.
    #[cold]
    fn set_over(
        &mut self,
        hash: Hash,
        id: Id,
        head: Head,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<()> {
        if self.fits_in_place(id, head, shape, draft) {
            let draft = Draft {
                uses: head.used().uses(),
                ..*draft
            };
            self.void(draft.key);
            self.store.overwrite(id, shape, &draft);
            self.lru_hit(id);
            return Ok(());
        }
        // With exact LRU, it is the newest before others go for it.
        self.lru_hit(id);
        // Where items are held, there may be too little room in the end: the old value stays then.
        let kept = self.store.held > 0 && self.store.keep(id);
        let stored = self.set_beside(hash, head, shape, draft);
        if kept {
            // Stored: the old item has no key and is killed now. Not stored: it is an item again.
            self.store.let_be(id);
        }
        stored
    }

    /// Whether a value can be written over the one that an item has.
    pub(super) fn fits_in_place(
        &mut self,
        id: Id,
        head: Head,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> bool {
        if self.keeps_old() {
            return false;
        }
        let store = &mut self.store;
        // While a lowered limit is reached, every set gives a little back.
        if !head.is_live() || head.is_long() || shape.long || store.pages.excess() > 0 {
            return false;
        }
        let here = store.layout.granules_here(&store.pages, id, head);
        let page = store.pages.page_of(id);
        shape.granules() == here
            && (draft.expiry.is_none() || store.kept.time.fits(store.pages.get_mut(page)))
    }

    /// Appends the new item, and takes out the old one, wherever it is by then.
    pub(super) fn set_beside(
        &mut self,
        hash: Hash,
        old: Head,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<()> {
        let store = &mut self.store;
        store.ready_index(hash)?;
        let draft = Draft {
            uses: if store.policy.is_lru() {
                0
            } else {
                old.used().uses()
            },
            ..*draft
        };
        let owner = match store.find(hash, draft.key) {
            Some((id, _)) => store.owner_of(id),
            None => store.newcomers(),
        };
        let (id, head) = store.append_with_room(owner, shape, &draft)?;
        self.void(draft.key);
        let store = &mut self.store;
        match store.find(hash, draft.key) {
            Some((old, _)) => store.replace(hash, old, id, head),
            None => {
                let segment = store.index.segment(&store.pages, hash);
                store.insert(segment, hash, id, head);
            }
        }
        Ok(())
    }

    /// The reservations of a key come too late from now on. This is done before what they come too late for: a process
    /// that shares the cache may die in between.
    #[inline]
    pub(super) fn void(&mut self, key: &[u8]) {
        if self.store.held > 0 {
            self.pins.void(&mut self.store, Some(key));
        }
    }

    /// The same, of an item's key.
    pub(super) fn void_key_of(&mut self, id: Id) {
        if self.store.held > 0 {
            let mut copy = [0; KEY_LEN_MAX];
            let key = self.store.layout.key(&self.store.pages, id);
            let to = copy.get_mut(..key.len()).unwrap_or_default();
            crate::region::copy(to, key);
            self.void(to);
        }
    }

    pub(crate) fn lru_hit(&mut self, id: Id) {
        let store = &mut self.store;
        if store.policy.is_lru()
            && store.head(id).is_live()
            && !planted::is("LRU hit not promoting")
        {
            store.kept.lru.hit(&mut store.pages, id);
        }
    }

    /// Takes an item out.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn delete(&mut self, hash: Hash, key: &[u8]) -> Result<()> {
        self.void(key);
        match self.delete_quickly(hash, key) {
            Some(done) => done,
            None => self.delete_other(hash, key),
        }
    }

    #[inline(never)]
    fn delete_other(&mut self, hash: Hash, key: &[u8]) -> Result<()> {
        let found = self.store.find(hash, key);
        let (id, head) = self.unless_expired(found).ok_or(Error::NotFound)?;
        self.store.remove(id, head, hash);
        self.store.counters.deletes += 1;
        if head.is_lease() {
            return Err(Error::NotFound);
        }
        Ok(())
    }

    /// Gives an item another time to live.
    pub(crate) fn touch(&mut self, hash: Hash, key: &[u8], ttl_ms: u64) -> Result<()> {
        let id = self.touch_hit(hash, key)?;
        if ttl_ms == TTL_KEEP {
            return Ok(());
        }
        let expiry = self.store.time().expiry(self.effective_ttl(ttl_ms));
        let has_ttl = self.store.head(id).has_ttl();
        if !has_ttl && expiry.is_none() {
            return Ok(());
        }
        let expiry = expiry.unwrap_or((NEVER, u64::MAX));
        // A checksum and what it is of change one after the other.
        let in_place = has_ttl && !(self.keeps_old() && self.store.layout.format.checksum);
        if in_place && self.store.set_expiry(id, expiry) {
            return Ok(());
        }
        self.copy_with_expiry(hash, id, expiry)
    }

    /// Copies an item to where its header has a word for its expiry, in a page that takes it.
    #[cold]
    fn copy_with_expiry(&mut self, hash: Hash, id: Id, expiry: (Instant, u64)) -> Result<()> {
        let store = &mut self.store;
        if !store.keep(id) {
            return self.copy_held(hash, id, expiry);
        }
        let granules = store.item(id).granules.saturating_add(1);
        store.make_room(granules);
        let (mut cleanings, mut gained) = (store.pages.granules(), true);
        loop {
            store.let_be(id);
            if store.copy_with_expiry(id, expiry).is_some() {
                self.note_usage();
                return Ok(());
            }
            if !gained {
                return Err(Error::NoMemory);
            }
            store.keep(id);
            gained = store.gain_by_force(&mut cleanings);
        }
    }

    /// What is held stays where it is, and as it is: the key gets a copy with another expiry.
    fn copy_held(&mut self, hash: Hash, id: Id, expiry: (Instant, u64)) -> Result<()> {
        let store = &mut self.store;
        let (old, owner) = (store.head(id), store.owner_of(id));
        let value_len = store.layout.value_len(&store.pages, id);
        let draft = Draft {
            key: &[],
            value: &[],
            value_len,
            value_type: old.value_type(),
            expiry: Some(expiry),
            uses: old.uses(),
            meta: Meta::default(),
        };
        let page = store.pages.page_size();
        let shape = store.layout.shape(page, old.key_len(), value_len, true);
        let (to, new) = store.append_with_room(owner, &shape, &draft)?;
        let new = store
            .layout
            .copy_whole(&mut store.pages, id, old, to, new)
            .live();
        store.replace(hash, id, to, new);
        store.counters.updates -= 1;
        self.note_usage();
        Ok(())
    }
}
