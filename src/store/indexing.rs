//! Room in the index: a segment that is full is split, made anew, or an item of it goes.

#![forbid(unsafe_code)]

use super::Store;
use crate::hash::Hash;
use crate::index::{Index, Rehash};
use crate::page::{Id, Pages};
use crate::status::{Error, Result};

impl Store {
    /// Calls with index, pages and the hash of an item's key.
    pub(crate) fn with_index<T>(
        &mut self,
        call: impl FnOnce(&mut Index, &mut Pages, Rehash<'_>) -> T,
    ) -> T {
        let (layout, hasher) = (self.layout, self.hasher);
        let rehash = |pages: &Pages, id: Id| hasher.hash(layout.key(pages, id));
        call(&mut self.index, &mut self.pages, &rehash)
    }

    #[cold]
    pub(super) fn merge_segments(&mut self, hash: Hash) {
        self.with_index(|index, pages, rehash| index.merge(pages, hash, rehash));
    }

    /// Makes sure that the index takes one more entry for this hash.
    #[inline]
    pub(crate) fn ready_index(&mut self, hash: Hash) -> Result<()> {
        let segment = self.index.segment(&self.pages, hash);
        if self.index.is_ready(&self.pages, segment) {
            return Ok(());
        }
        self.extend_index(hash)
    }

    /// An item of a full segment goes, an expired one where there is one.
    fn evict_neighbour(&mut self, hash: Hash) -> Result<()> {
        let live = |id| self.head(id).is_live();
        let expired = |id| live(id) && self.is_expired(id, self.head(id));
        if let Some(id) = self.index.neighbour(&self.pages, hash, expired) {
            self.expire(id);
            return Ok(());
        }
        let victim = self.index.neighbour(&self.pages, hash, live);
        let item = self.item(victim.ok_or(Error::NoMemory)?);
        self.evict(self.owner_of(item.id), item);
        Ok(())
    }

    /// As [`Store::ready_index`], where its segment is not.
    #[cold]
    pub(crate) fn extend_index(&mut self, hash: Hash) -> Result<()> {
        // While a lowered limit is reached, items go: the index does not grow for them.
        if self.pages.excess() == 0 {
            self.with_index(|index, pages, rehash| index.grow(pages, hash, rehash));
        }
        if self.index.has_room(&self.pages, hash) {
            return Ok(());
        }
        if self.index.is_full(&self.pages, hash) {
            self.evict_neighbour(hash)?;
        }
        self.with_index(|index, pages, rehash| index.rebuild(pages, hash, rehash));
        if self.index.has_room(&self.pages, hash) {
            Ok(())
        } else {
            Err(Error::NoMemory)
        }
    }
}
