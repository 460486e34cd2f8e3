//! The model: what the cache may answer, and what it must.

use crate::common::{audited, now_ms, picture, set_now};
use crate::ops::{Op, Value, Verb, key_bytes};
use larder::{Cache, CacheStats, Cursor, Error, ItemInfo, Result, TTL_NEVER, Type};
use std::collections::BTreeMap;

/// When an item's time is up, by two clocks: the host's, which may step back, and one that only the
/// host's forward steps move. The cache's own time lies between them.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    host: u64,
    forward: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    value: Value,
    kind: Type,
    deadline: Option<Deadline>,
    /// The cache's evictions when the item was last known to be there.
    seen: u64,
}

/// Instants beyond this many milliseconds are kept in ticks of 1,024.
const COARSE: u64 = 1 << 31;

pub(crate) struct Oracle<'c> {
    cache: &'c Cache<'c>,
    shards: u32,
    items: BTreeMap<usize, Entry>,
    stats: CacheStats,
    forward: u64,
    /// Items that clears took out.
    cleared: u64,
    /// A lowered limit is still being reached.
    lowering: bool,
    limit_accepted: usize,
    limit_refused: usize,
    buffer: Vec<u8>,
}

impl<'c> Oracle<'c> {
    pub(crate) fn new(cache: &'c Cache<'c>, shards: u32, region: usize) -> Self {
        Self {
            cache,
            shards,
            items: BTreeMap::new(),
            stats: cache.stats(),
            forward: 0,
            cleared: 0,
            lowering: false,
            limit_accepted: region,
            limit_refused: 0,
            buffer: vec![0; 2 * region],
        }
    }

    /// Calls the cache, and compares everything that the call tells.
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
            Op::Limit { bytes } => self.limit(bytes),
            Op::Optimize { steps } => self.optimize(steps),
            Op::Clear => self.clear(),
            Op::Scan { stop_after } => self.scan(stop_after),
            Op::Forward { ms } => {
                self.forward += ms;
                set_now(now_ms() + ms);
            }
            Op::Back { ms } => set_now(now_ms().saturating_sub(ms)),
        }
        self.audit();
    }

    // ---- what must always hold -----------------------------------------------------------------

    fn audit(&mut self) {
        let before = std::mem::replace(&mut self.stats, audited(self.cache));
        let s = &self.stats;
        let gone = s.deletes + s.evictions + s.expirations + self.cleared;
        assert_eq!(
            s.item_count,
            s.sets - s.updates - gone,
            "items are those set and not gone"
        );
        if s.total_used <= s.limit_bytes {
            self.lowering = false;
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
                "usage rises above a lowered limit"
            );
        }
    }

    fn evictions(&self) -> u64 {
        self.cache.stats().evictions
    }

    /// The model's entry for an item that the cache has shown to be there.
    fn present(&mut self, key: usize) -> Entry {
        let (now, evictions) = (now_ms(), self.evictions());
        let entry = self
            .items
            .get_mut(&key)
            .expect("the cache holds an item that is not there");
        assert!(
            entry.deadline.is_none_or(|d| now < d.host),
            "an expired item is returned: {entry:?}"
        );
        entry.seen = evictions;
        *entry
    }

    /// The cache has shown that there is no such item: there must be a reason.
    fn absent(&mut self, key: usize) {
        let Some(entry) = self.items.remove(&key) else {
            return;
        };
        let early = |deadline: u64| if deadline >= COARSE { 1023 } else { 0 };
        let expired = entry
            .deadline
            .is_some_and(|d| self.forward + early(d.forward) >= d.forward);
        assert!(
            expired || self.evictions() > entry.seen,
            "an item is lost: {entry:?}"
        );
    }

    /// Notes whether the item is there by what a call answered; the entry, if it is.
    fn settle<T>(&mut self, key: usize, answer: &Result<T>) -> Option<Entry> {
        if matches!(answer, Err(Error::NotFound)) {
            self.absent(key);
            return None;
        }
        Some(self.present(key))
    }

    fn deadline(&self, ttl: u64) -> Option<Deadline> {
        let ttl = if ttl == 0 { TTL_NEVER } else { ttl };
        (ttl != TTL_NEVER).then(|| Deadline {
            host: now_ms() + ttl,
            forward: self.forward + ttl,
        })
    }

    // ---- writing -------------------------------------------------------------------------------

    fn store(&mut self, verb: Verb, key: usize, value: Value, kind: Type, ttl: u64) {
        match self.call_store(verb, key, &value, kind, ttl) {
            Ok(()) => {
                if verb != Verb::Set {
                    self.stored_under(verb, key);
                }
                let entry = Entry {
                    value,
                    kind,
                    deadline: self.deadline(ttl),
                    seen: self.evictions(),
                };
                self.items.insert(key, entry);
            }
            Err(Error::Exists) => {
                assert_eq!(verb, Verb::Add);
                self.present(key);
            }
            Err(Error::NotFound) => {
                assert_eq!(verb, Verb::Replace);
                self.absent(key);
            }
            Err(error) => {
                assert_eq!(error, Error::TooLarge);
                assert_eq!(
                    self.evictions(),
                    self.stats.evictions,
                    "evicted for what cannot fit"
                );
                self.get(key, false);
            }
        }
    }

    /// What a successful add or replace says about the item before it.
    fn stored_under(&mut self, verb: Verb, key: usize) {
        let seen_before = self.items.get(&key).map(|entry| entry.seen);
        match verb {
            Verb::Add => self.absent(key),
            _ => assert!(seen_before.is_some(), "replaced what was not there"),
        }
    }

    fn call_store(
        &self,
        verb: Verb,
        key: usize,
        value: &Value,
        kind: Type,
        ttl: u64,
    ) -> Result<()> {
        let (cache, key) = (self.cache, &key_bytes(key));
        match (verb, kind) {
            (Verb::Add, _) => cache.add(key, value.bytes(), ttl),
            (Verb::Replace, _) => cache.replace(key, value.bytes(), ttl),
            (_, Type::Bytes) => cache.set(key, value.bytes(), ttl),
            (_, Type::Str) => cache.set_str(key, value.text(), ttl),
            (_, Type::I64) => cache.set_i64(key, i64::from_ne_bytes(value.number()), ttl),
            (_, Type::U64) => cache.set_u64(key, u64::from_ne_bytes(value.number()), ttl),
            (_, Type::F64) => cache.set_f64(key, f64::from_ne_bytes(value.number()), ttl),
        }
    }

    fn delete(&mut self, key: usize) {
        let answer = self.cache.delete(&key_bytes(key));
        if self.settle(key, &answer).is_some() {
            self.items.remove(&key);
            assert_eq!(self.cache.contains(&key_bytes(key)), Ok(false));
        }
    }

    fn touch(&mut self, key: usize, ttl: u64) {
        let answer = self.cache.touch(&key_bytes(key), ttl);
        if let Some(entry) = self.settle(key, &answer) {
            assert_eq!(answer, Ok(()));
            let deadline = self.deadline(ttl);
            self.items.insert(key, Entry { deadline, ..entry });
        }
    }

    fn increment(&mut self, key: usize, by: i64) {
        let answer = self.cache.increment(&key_bytes(key), by);
        let Some(entry) = self.settle(key, &answer) else {
            return;
        };
        let sum = match entry.kind {
            Type::I64 => i64::from_ne_bytes(entry.value.number())
                .checked_add(by)
                .ok_or(Error::Invalid),
            Type::U64 => u64::from_ne_bytes(entry.value.number())
                .checked_add_signed(by)
                .and_then(|sum| i64::try_from(sum).ok())
                .ok_or(Error::Invalid),
            _ => Err(Error::TypeMismatch),
        };
        assert_eq!(answer, sum);
        if let Ok(sum) = sum {
            self.items.insert(
                key,
                Entry {
                    value: Value::Number(sum.to_ne_bytes()),
                    ..entry
                },
            );
        }
    }

    // ---- reading -------------------------------------------------------------------------------

    fn get(&mut self, key: usize, short: bool) {
        let room = match self.items.get(&key) {
            Some(entry) if short => entry.value.bytes().len().saturating_sub(1),
            _ => self.buffer.len(),
        };
        let answer = self.cache.get(&key_bytes(key), &mut self.buffer[..room]);
        if let Err(Error::TooLarge) = answer {
            assert!(!self.items.contains_key(&key), "a key is too long now");
            return;
        }
        let Some(entry) = self.settle(key, &answer) else {
            return;
        };
        let value = entry.value.bytes();
        if room < value.len() {
            assert_eq!(answer, Err(Error::BufferTooSmall));
        } else {
            assert_eq!(answer, Ok(value.len()));
            assert!(
                &self.buffer[..value.len()] == value,
                "another value than was set"
            );
        }
    }

    fn get_typed(&mut self, key: usize, kind: Type) {
        let bytes = key_bytes(key);
        let answer = match kind {
            Type::I64 => self.cache.get_i64(&bytes).map(|n| n.to_ne_bytes().to_vec()),
            Type::U64 => self.cache.get_u64(&bytes).map(|n| n.to_ne_bytes().to_vec()),
            Type::F64 => self.cache.get_f64(&bytes).map(|n| n.to_ne_bytes().to_vec()),
            _ => self
                .cache
                .get_str(&bytes, &mut self.buffer)
                .map(|text| text.as_bytes().to_vec()),
        };
        let want = if kind == Type::Bytes { Type::Str } else { kind };
        let Some(entry) = self.settle(key, &answer) else {
            return;
        };
        if entry.kind == want {
            assert_eq!(answer.as_deref(), Ok(entry.value.bytes()));
        } else {
            assert_eq!(answer, Err(Error::TypeMismatch));
        }
    }

    fn get_range(&mut self, key: usize, offset: usize, len: usize) {
        let answer = self
            .cache
            .get_range(&key_bytes(key), offset, &mut self.buffer[..len]);
        let Some(entry) = self.settle(key, &answer) else {
            return;
        };
        let Some(rest) = entry.value.bytes().get(offset..) else {
            assert_eq!(answer, Err(Error::Invalid));
            return;
        };
        let part = &rest[..len.min(rest.len())];
        assert_eq!(answer, Ok(part.len()));
        assert!(
            &self.buffer[..part.len()] == part,
            "another part than was set"
        );
    }

    /// The calls that only look, which must agree with each other.
    fn look(&mut self, key: usize) {
        let bytes = key_bytes(key);
        let answer = self.cache.ttl(&bytes);
        let Some(entry) = self.settle(key, &answer) else {
            assert_eq!(self.cache.contains(&bytes), Ok(false));
            return;
        };
        assert_eq!(self.cache.contains(&bytes), Ok(true));
        assert_eq!(self.cache.value_type(&bytes), Ok(entry.kind));
        assert_eq!(
            self.cache.inspect(&bytes, |item| self.compare(item)),
            Ok(key)
        );
    }

    /// Compares an item with the model; returns its key.
    fn compare(&self, item: &ItemInfo<'_>) -> usize {
        let head = item
            .key
            .first_chunk()
            .expect("a key of at least four bytes");
        let key = u32::from_be_bytes(*head) as usize;
        assert_eq!(item.key, key_bytes(key));
        let entry = self
            .items
            .get(&key)
            .expect("the cache holds an item that is not there");
        assert!(
            entry.value.bytes().starts_with(item.span),
            "another value than was set"
        );
        assert_eq!(
            (item.value_len, item.value_type),
            (entry.value.bytes().len(), entry.kind)
        );
        assert!(item.memory > item.key.len() + item.value_len);
        match entry.deadline {
            None => assert_eq!(item.ttl_ms, TTL_NEVER),
            Some(d) => {
                let low = d.forward.saturating_sub(self.forward).saturating_sub(1023);
                assert!(low <= item.ttl_ms, "{} ms left, of {d:?}", item.ttl_ms);
                assert!(item.ttl_ms <= d.host - now_ms() || self.stats.expirations == 0);
            }
        }
        key
    }

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
            "an item is met twice"
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

    // ---- the whole -----------------------------------------------------------------------------

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
        let report = self
            .cache
            .optimize(steps)
            .expect("nobody else holds the cache");
        let (before, after) = (self.stats, self.cache.stats());
        assert_eq!(report.items_expired, after.expirations - before.expirations);
        assert_eq!(report.items_moved, after.items_moved - before.items_moved);
        if steps == 0 {
            assert!(report.done);
            assert!(
                after.total_used <= after.limit_bytes,
                "a whole pass leaves the limit unmet"
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
        self.cache.clear().expect("nobody else holds the cache");
        let s = self.cache.stats();
        assert_eq!((s.item_count, s.payload_bytes), (0, 0));
        self.cleared += self.stats.item_count;
        self.items.clear();
    }

    /// Deletes item after item, until none is there.
    pub(crate) fn delete_everything(&mut self) {
        let keys: Vec<usize> = self.items.keys().copied().collect();
        for key in keys {
            self.delete(key);
            self.audit();
        }
        self.optimize(0);
        self.audit();
        let s = &self.stats;
        assert_eq!(
            (s.item_count, s.payload_bytes),
            (0, 0),
            "{}",
            picture(self.cache)
        );
    }
}
