//! Storing under a condition: a version, or that nothing is evicted.

#![forbid(unsafe_code)]

use super::{NewValue, SetMode, Shard};
use crate::hash::Hash;
use crate::item::{Draft, Head};
use crate::page::Id;
use crate::status::{Error, Result};

/// Under which condition a value is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PutMode {
    /// Always.
    #[default]
    Set,
    /// Only where there is no item with this key: else `Exists`.
    Add,
    /// Only where there is one: else `NotFound`.
    Replace,
    /// Only where there is one of this version: else `NotFound` or `Stale`.
    IfVersion(u64),
}

impl Shard {
    /// Stores a value, and returns its version, 0 where the cache keeps none.
    pub(crate) fn put(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
        mode: PutMode,
        evicts: bool,
    ) -> Result<u64> {
        let format = self.store.layout.format;
        let asks = matches!(mode, PutMode::IfVersion(_));
        if value.tag != 0 && !format.tags || asks && !format.versions {
            return Err(Error::Invalid);
        }
        let mode = match mode {
            PutMode::Set => SetMode::Set,
            PutMode::Add => SetMode::Add,
            PutMode::Replace => SetMode::Replace,
            PutMode::IfVersion(version) => self.if_version(hash, key, version)?,
        };
        if !evicts && !self.fits_without_evicting(hash, key, value)? {
            self.store.counters.count_failure(Error::NoMemory);
            return Err(Error::NoMemory);
        }
        self.set(hash, key, value, mode)?;
        Ok(if format.versions {
            self.store.kept.version
        } else {
            0
        })
    }

    fn if_version(&mut self, hash: Hash, key: &[u8], version: u64) -> Result<SetMode> {
        let (id, _) = self.lookup(hash, key).ok_or(Error::NotFound)?;
        let store = &self.store;
        if store.layout.meta(&store.pages, id).version == version {
            Ok(SetMode::Replace)
        } else {
            Err(Error::Stale)
        }
    }

    /// Whether an item finds room by cleaning alone, or over the old one.
    fn fits_without_evicting(
        &mut self,
        hash: Hash,
        key: &[u8],
        value: &NewValue<'_>,
    ) -> Result<bool> {
        let old = self.lookup(hash, key);
        let expiry = self.expiry_for(value.ttl_ms, old.map(|(id, _)| id));
        let shape = self.shape_for(key.len(), value.bytes.len(), expiry.is_some())?;
        let draft = Draft::of(key, value.bytes, expiry);
        if old.is_some_and(|(id, head): (Id, Head)| self.fits_in_place(id, head, &shape, &draft)) {
            return Ok(true);
        }
        let store = &mut self.store;
        // A full segment of the index lets an item go for the next one.
        if old.is_none() && store.index.is_full(&store.pages, hash) {
            return Ok(false);
        }
        let granules = shape
            .granules()
            .saturating_add(store.chain_granules(&shape));
        Ok(store.clean_for(granules))
    }
}
