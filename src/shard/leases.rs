//! Leases: of those who miss a key at the same time, one fetches its value, and what was fetched before the key was
//! deleted or set is not stored after it.
//!
//! A lease is an item of its key, whose value is a token: bounded, evicted and expired as others are, and no value for
//! those who look the key up. It does not outlive its owner; where processes share the cache, that is the process that
//! has the lease.
//!
//! # Source
//! R. Nishtala et al., Scaling Memcache at Facebook, NSDI 2013.

#![forbid(unsafe_code)]

use super::{NewValue, SetMode, Shard};
use crate::expiry::TTL_KEEP;
use crate::hash::Hash;
use crate::item::{Draft, Head, KEY_LEN_MAX, LEASE_TYPE, Token};
use crate::page::Id;
#[cfg(feature = "hosted")]
use crate::page::Page;
use crate::region::copy;
use crate::status::{Error, Result};

/// The right to store a key's value, until something else happens to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(crate) hash: u64,
    pub(crate) token: Token,
}

impl Shard {
    /// Gives a process a lease of a key that has neither a value nor a lease, or one whose process has ended.
    pub(crate) fn lease(
        &mut self,
        hash: Hash,
        key: &[u8],
        lease_ms: u64,
        process: u32,
    ) -> Result<Token> {
        if lease_ms == 0 || lease_ms >= TTL_KEEP {
            return Err(Error::Invalid);
        }
        let found = self.store.find(hash, key);
        match self.unless_expired(found) {
            Some((id, head)) if head.is_lease() => {
                if !self.token(id).is_left() {
                    return Err(Error::Busy);
                }
                self.store.expire(id);
            }
            Some(_) => return Err(Error::Exists),
            None => {}
        }
        // Every value that fits in a page of this cache is longer than a token.
        self.shape_for(key.len(), Token::LEN, true)?;
        let store = &mut self.store;
        let shape = (store.layout).lease_shape(store.pages.page_size(), key.len());
        store.kept.version += 1;
        let token = Token::new(process, store.kept.version);
        let draft = Draft {
            key,
            value: &token.0.to_ne_bytes(),
            value_len: Token::LEN,
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
    pub(crate) fn fill(&mut self, hash: Hash, token: Token, value: &NewValue<'_>) -> Result<()> {
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

    fn token(&self, id: Id) -> Token {
        self.store.layout.token(&self.store.pages, id)
    }

    /// Ends the leases in a page whose processes `is_alive` does not know.
    #[cfg(feature = "hosted")]
    pub(crate) fn reap(&mut self, page: Page, is_alive: &mut dyn FnMut(u32) -> bool) {
        self.store.each_in_mut(page, |store, id, head| {
            if head.is_lease() && !is_alive(store.layout.token(&store.pages, id).process()) {
                store.expire(id);
            }
        });
    }
}
