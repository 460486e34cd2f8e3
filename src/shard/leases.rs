//! Leases: of those who miss a key at the same time, one fetches its value, and what was fetched before the key was
//! deleted or set is not stored after it.
//!
//! A lease is an item of its key, whose value is a token: bounded, evicted and expired as others are, and no value for
//! those who look the key up. It does not outlive its owner.
//!
//! # Source
//! R. Nishtala et al., Scaling Memcache at Facebook, NSDI 2013.

#![forbid(unsafe_code)]

use super::{NewValue, SetMode, Shard};
use crate::expiry::TTL_KEEP;
use crate::hash::Hash;
use crate::item::{Draft, Head, KEY_LEN_MAX, LEASE_TYPE};
use crate::page::Id;
use crate::region::copy;
use crate::status::{Error, Result};

/// The right to store a key's value, until something else happens to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(crate) hash: u64,
    pub(crate) token: u64,
}

impl Shard {
    /// Gives a lease of a key that has neither a value nor a lease.
    pub(crate) fn lease(&mut self, hash: Hash, key: &[u8], lease_ms: u64) -> Result<u64> {
        if lease_ms == 0 || lease_ms >= TTL_KEEP {
            return Err(Error::Invalid);
        }
        let found = self.store.find(hash, key);
        match self.unless_expired(found) {
            Some((_, head)) if head.is_lease() => return Err(Error::Busy),
            Some(_) => return Err(Error::Exists),
            None => {}
        }
        // Every value that fits in a page of this cache is longer than a token.
        self.shape_for(key.len(), 8, true)?;
        let store = &mut self.store;
        let shape = (store.layout).lease_shape(store.pages.page_size(), key.len());
        store.kept.version += 1;
        let token = store.kept.version;
        let draft = Draft {
            key,
            value: &token.to_ne_bytes(),
            value_len: 8,
            value_type: LEASE_TYPE,
            expiry: store.time().expiry(lease_ms),
            uses: 0,
            meta: store.next_meta(0),
        };
        let segment = store.index.segment(&store.pages, hash);
        let stored = self.set_new(segment, hash, &shape, draft);
        stored.inspect_err(|&error| self.store.counters.count_failure(error))?;
        self.store.counters.sets += 1;
        self.note_usage();
        Ok(token)
    }

    /// Stores the value that a lease was given for; `Stale` where the lease is gone.
    pub(crate) fn fill(&mut self, hash: Hash, token: u64, value: &NewValue<'_>) -> Result<()> {
        let store = &self.store;
        let segment = store.index.segment(&store.pages, hash);
        let mut head = Head::dead(0);
        let found = segment.find(&store.pages, hash, |id| {
            head = store.head(id);
            head.is_lease() && self.token(id) == token
        });
        let found = self.unless_expired(found.map(|id| (id, head)));
        let (id, head) = found.ok_or(Error::Stale)?;
        let store = &self.store;
        let mut key = [0; KEY_LEN_MAX];
        let key = key.get_mut(..head.key_len()).unwrap_or_default();
        copy(key, store.layout.key(&store.pages, id));
        self.set(hash, key, value, SetMode::Set)
    }

    fn token(&self, id: Id) -> u64 {
        let mut token = [0; 8];
        let store = &self.store;
        store.layout.read(&store.pages, id, 0, &mut token);
        u64::from_ne_bytes(token)
    }
}
