//! The model: its items, the checks after every operation, and the calls on the whole cache.

use crate::common::{audited, now_ms, picture, set_now};
use crate::ops::{Op, Value};
use larder::{
    AttachReport, Cache, CacheStats, Config, Cursor, Error, Found, Lease, PageOwner, Result,
    TTL_NEVER, Type,
};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// An item's expiry by two clocks: the host's, which may step back, and one that counts only the host's
/// forward steps. The cache's own time is between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) host: u64,
    pub(crate) forward: u64,
    /// Milliseconds by which the item may expire early.
    early: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    pub(crate) kind: Type,
    pub(crate) deadline: Option<Deadline>,
    /// The cache's evictions when the item was last known to exist.
    pub(crate) seen: u64,
    pub(crate) tag: u32,
}

/// A lease: the right to fill a key, until the key changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leased {
    pub(crate) lease: Lease,
    pub(crate) holds: bool,
    pub(crate) deadline: Deadline,
    pub(crate) seen: u64,
}

/// TTLs of at least this number of milliseconds are stored in ticks of 1,024.
const COARSE: u64 = (1 << 30) - 1024;

pub(crate) struct Oracle<'c> {
    pub(crate) cache: &'c Cache<'c>,
    model: Model,
    pub(crate) stats: CacheStats,
    pub(crate) buffer: Vec<u8>,
}

/// The model of a region's cache, which stays valid when the owner changes.
#[derive(Debug)]
pub(crate) struct Model {
    shards: u32,
    default_ttl: u64,
    pub(crate) items: BTreeMap<usize, Entry>,
    pub(crate) leases: BTreeMap<usize, Leased>,
    pub(crate) tags: bool,
    pub(crate) forward: u64,
    /// Items recovered by the owner's attach.
    adopted: u64,
    /// Items removed by clears.
    cleared: u64,
    /// Usage may still be above a lowered limit.
    lowering: bool,
    limit_accepted: usize,
    limit_refused: usize,
}

impl Deref for Oracle<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl DerefMut for Oracle<'_> {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.model
    }
}

impl Model {
    /// The model of a new cache.
    pub(crate) fn new(config: &Config, region: usize) -> Self {
        Self {
            shards: config.shards,
            default_ttl: config.default_ttl_ms,
            items: BTreeMap::new(),
            leases: BTreeMap::new(),
            tags: config.item_tags,
            forward: 0,
            adopted: 0,
            cleared: 0,
            lowering: false,
            limit_accepted: region,
            limit_refused: 0,
        }
    }
}

impl<'c> Oracle<'c> {
    pub(crate) fn new(cache: &'c Cache<'c>, model: Model) -> Self {
        let stats = cache.stats();
        Self {
            cache,
            model,
            buffer: vec![0; 2 * stats.region_bytes as usize],
            stats,
        }
    }

    /// The model for the next owner, when this owner leaves the region unchanged.
    pub(crate) fn leave(mut self) -> Model {
        self.scan(usize::MAX);
        self.model
    }

    /// Checks a cache after an attach.
    pub(crate) fn check_adopted(&mut self, report: &AttachReport) {
        assert_eq!(report.found, Found::Cache);
        let dropped = report.items_dropped() - report.items_expired;
        assert_eq!(dropped, 0, "whole items were not recovered: {report:?}");
        (self.adopted, self.cleared) = (report.items_recovered, 0);
        // Usage may still be above the limit if the last owner had lowered it.
        self.lowering = true;
        self.items.values_mut().for_each(|entry| entry.seen = 0);
        self.void_leases();
        self.audit();
        self.scan(usize::MAX);
    }

    /// Calls the cache, and compares all results.
    pub(crate) fn apply(&mut self, op: &Op) {
        match *op {
            Op::Store {
                verb,
                key,
                value,
                kind,
                ttl,
            } => self.store(verb, key, value, kind, ttl),
            Op::Get { key, short } => self.get(key, short),
            Op::GetTyped { key, kind } => self.get_typed(key, kind),
            Op::GetRange { key, offset, len } => self.get_range(key, offset, len),
            Op::Delete { key } => self.delete(key),
            Op::Touch { key, ttl } => self.touch(key, ttl),
            Op::Look { key } => self.look(key),
            Op::Increment { key, by } => self.increment(key, by),
            Op::Extend { key, len, front } => self.extend(key, len, front),
            Op::AddU64 { key, by, wraps } => self.add_u64(key, by, wraps),
            Op::Lease { key, ms } => self.lease(key, ms),
            Op::Fill { key, value } => self.fill(key, value),
            Op::DeleteIf { remainder, steps } => self.delete_if(remainder, steps),
            Op::Limit { bytes } => self.limit(bytes),
            Op::Optimize { steps } => self.optimize(steps),
            Op::Clear => self.clear(),
            Op::Scan { stop_after } => self.scan(stop_after),
            Op::Forward { ms } => {
                self.forward += ms;
                set_now(now_ms() + ms);
            }
            Op::Back { ms } => set_now(now_ms().saturating_sub(ms)),
            // `play` attaches, since it owns the region.
            Op::Attach => {}
        }
        self.audit();
    }

    // ---- what must always hold -----------------------------------------------------------------

    fn audit(&mut self) {
        let before = std::mem::replace(&mut self.stats, audited(self.cache));
        let s = &self.stats;
        let gone = s.deletes + s.evictions + s.expirations + self.cleared;
        assert_eq!(
            i128::from(s.item_count),
            (self.adopted + s.sets - s.updates) as i128 - gone as i128,
            "the item count differs from sets minus removals"
        );
        if s.total_used <= s.limit_bytes {
            // With shards, one may still be above its share while the others are far below.
            self.lowering &= self.shards > 1;
        } else {
            assert!(
                self.lowering,
                "{} of {} used\n{}",
                s.total_used,
                s.limit_bytes,
                picture(self.cache)
            );
            let may_rise = self.shards > 1;
            assert!(
                may_rise || s.total_used <= before.total_used,
                "usage rises above a lowered limit: {before:?} {s:?}"
            );
        }
    }

    pub(crate) fn evictions(&self) -> u64 {
        self.cache.stats().evictions
    }

    /// The model's entry for an item that the cache has shown to exist.
    pub(crate) fn present(&mut self, key: usize) -> Entry {
        let (now, evictions) = (now_ms(), self.evictions());
        let entry = self
            .items
            .get_mut(&key)
            .expect("the cache holds an item that the model does not");
        assert!(
            entry.deadline.is_none_or(|d| now < d.host),
            "an expired item is returned: {entry:?}"
        );
        entry.seen = evictions;
        *entry
    }

    /// Checks that there is a cause why the cache does not have this item.
    pub(crate) fn absent(&mut self, key: usize) {
        let Some(entry) = self.items.remove(&key) else {
            return;
        };
        let expired = entry
            .deadline
            .is_some_and(|d| self.forward + d.early >= d.forward);
        assert!(
            expired || self.evictions() > entry.seen,
            "an item is lost without cause: {entry:?}"
        );
    }

    /// Records from a call's answer whether the item exists. Returns its entry.
    pub(crate) fn settle<T>(&mut self, key: usize, answer: &Result<T>) -> Option<Entry> {
        if matches!(answer, Err(Error::NotFound)) {
            self.absent(key);
            return None;
        }
        Some(self.present(key))
    }

    pub(crate) fn deadline(&self, ttl: u64) -> Option<Deadline> {
        let ttl = match (ttl, self.default_ttl) {
            (0, 0) => TTL_NEVER,
            (0, default) => default,
            (ttl, _) => ttl,
        };
        (ttl != TTL_NEVER).then(|| Deadline {
            host: now_ms() + ttl,
            forward: self.forward + ttl,
            early: if ttl >= COARSE { 1023 } else { 0 },
        })
    }

    // ---- the whole -----------------------------------------------------------------------------

    fn scan(&mut self, stop_after: usize) {
        let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
        let mut payload = 0;
        loop {
            let mut left = stop_after;
            let all = self.cache.scan(&mut cursor, |item| {
                payload += (item.key.len() + item.value_len) as u64;
                seen.push(self.compare(item));
                left -= 1;
                left > 0
            });
            if all == Ok(true) {
                break;
            }
            assert_eq!(all, Ok(false));
        }
        seen.sort_unstable();
        assert!(
            seen.windows(2).all(|pair| pair[0] != pair[1]),
            "a scan returned an item twice"
        );
        let s = self.cache.stats();
        assert!(seen.len() as u64 <= s.item_count && payload <= s.payload_bytes);
        assert_eq!(
            seen.len() as u64 == s.item_count,
            payload == s.payload_bytes
        );
        for &key in &seen {
            self.present(key);
        }
        let missing: Vec<usize> = self
            .items
            .keys()
            .copied()
            .filter(|key| seen.binary_search(key).is_err())
            .collect();
        missing.into_iter().for_each(|key| self.absent(key));
    }

    fn limit(&mut self, bytes: usize) {
        let before = self.cache.memory_limit();
        match self.cache.set_memory_limit(bytes) {
            Ok(()) => {
                self.lowering = true;
                self.limit_accepted = self.limit_accepted.min(bytes);
            }
            Err(error) => {
                let above = bytes == 0 || bytes as u64 > self.stats.region_bytes;
                assert_eq!(
                    error,
                    if above {
                        Error::Invalid
                    } else {
                        Error::NoMemory
                    }
                );
                assert_eq!(self.cache.memory_limit(), before);
                if !above {
                    self.limit_refused = self.limit_refused.max(bytes);
                }
            }
        }
        assert!(self.limit_refused < self.limit_accepted);
    }

    fn optimize(&mut self, steps: u32) {
        let report = self.cache.optimize(steps).expect("no callback runs");
        let (before, after) = (self.stats, self.cache.stats());
        assert_eq!(report.items_expired, after.expirations - before.expirations);
        assert_eq!(report.items_moved, after.items_moved - before.items_moved);
        if steps == 0 {
            assert!(report.done);
            self.lowering = false;
            assert!(
                after.total_used <= after.limit_bytes,
                "usage is above the limit after a whole pass"
            );
        } else {
            assert!(
                report.steps <= steps,
                "{} steps instead of {steps}",
                report.steps
            );
        }
    }

    fn clear(&mut self) {
        self.cache.clear().expect("no callback runs");
        let s = self.cache.stats();
        assert_eq!((s.item_count, s.payload_bytes), (0, 0));
        self.cleared += self.stats.item_count;
        self.items.clear();
        self.void_leases();
    }

    /// Records that all leases are void.
    fn void_leases(&mut self) {
        let leases = self.leases.values_mut();
        leases.for_each(|leased| leased.holds = false);
    }

    /// Deletes all items one by one. Checks that the cache is then as when it was made.
    pub(crate) fn delete_everything(&mut self) {
        let keys: Vec<usize> = self.items.keys().copied().collect();
        for key in keys {
            self.delete(key);
            self.audit();
        }
        let leased: Vec<usize> = self.leases.keys().copied().collect();
        for key in leased {
            self.delete(key);
            self.audit();
        }
        self.optimize(0);
        self.audit();
        let s = &self.stats;
        let left = (s.item_count, s.payload_bytes);
        assert_eq!(left, (0, 0), "{}", picture(self.cache));
        let owned = |owner| self.cache.owner_stats(owner).expect("no callback runs");
        let heads = [PageOwner::Window, PageOwner::Main].map(owned);
        // Each shard keeps the first page of its logs, and a page of the directory.
        let shards = u64::from(s.shards);
        assert!(
            heads
                .iter()
                .all(|log| log.items == 0 && log.live_bytes == 0)
        );
        let least =
            heads.iter().all(|log| log.pages <= shards) && owned(PageOwner::Index).pages <= shards;
        assert!(least, "bytes are still in use\n{}", picture(self.cache));
    }
}
