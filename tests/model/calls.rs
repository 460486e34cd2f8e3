//! The calls on one item, each compared with the model.

use crate::common::now_ms;
use crate::ops::{REMAINDERS, Value, Verb, key_bytes};
use crate::oracle::{Entry, Leased, Oracle};
use larder::{Cursor, Error, ItemInfo, Overflow, Put, Reading, Result, TTL_NEVER, Type};

/// The tag of a key's values.
fn tag_of(key: usize) -> u32 {
    key as u32 | 1 << 31
}

impl Oracle<'_> {
    // ---- writing -------------------------------------------------------------------------------

    pub(crate) fn store(&mut self, verb: Verb, key: usize, value: Value, kind: Type, ttl: u64) {
        match self.call_store(verb, key, &value, kind, ttl) {
            Ok(()) => {
                if verb != Verb::Set {
                    self.stored_under(verb, key);
                }
                let tag = match (verb, kind) {
                    (Verb::Set, Type::Bytes) if self.tags => tag_of(key),
                    _ => 0,
                };
                let entry = Entry {
                    value,
                    kind,
                    deadline: self.deadline(ttl),
                    seen: self.evictions(),
                    tag,
                };
                self.items.insert(key, entry);
                self.void_lease(key);
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
                    "items were evicted for a value that cannot fit"
                );
                self.get(key, false);
            }
        }
    }

    /// Checks what a successful add or replace shows about the item before.
    fn stored_under(&mut self, verb: Verb, key: usize) {
        let seen_before = self.items.get(&key).map(|entry| entry.seen);
        match verb {
            Verb::Add => self.absent(key),
            _ => assert!(seen_before.is_some(), "replaced an item that did not exist"),
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
        let (cache, number, key) = (self.cache, key, &key_bytes(key));
        match (verb, kind) {
            (Verb::Set, Type::Bytes) if self.tags => {
                let put = Put {
                    key,
                    value: value.bytes(),
                    ttl_ms: ttl,
                    tag: tag_of(number),
                    ..Put::default()
                };
                cache.put(&put).map(drop)
            }
            (Verb::Add, _) => cache.add(key, value.bytes(), ttl),
            (Verb::Replace, _) => cache.replace(key, value.bytes(), ttl),
            (_, Type::Bytes) => cache.set(key, value.bytes(), ttl),
            (_, Type::Str) => cache.set_str(key, value.text(), ttl),
            (_, Type::I64) => cache.set_i64(key, i64::from_ne_bytes(value.number()), ttl),
            (_, Type::U64) => cache.set_u64(key, u64::from_ne_bytes(value.number()), ttl),
            (_, Type::F64) => cache.set_f64(key, f64::from_ne_bytes(value.number()), ttl),
        }
    }

    pub(crate) fn delete(&mut self, key: usize) {
        let answer = self.cache.delete(&key_bytes(key));
        self.void_lease(key);
        if self.settle(key, &answer).is_some() {
            self.items.remove(&key);
            assert_eq!(self.cache.contains(&key_bytes(key)), Ok(false));
        }
    }

    pub(crate) fn touch(&mut self, key: usize, ttl: u64) {
        let answer = self.cache.touch(&key_bytes(key), ttl);
        if let Some(entry) = self.settle(key, &answer) {
            assert_eq!(answer, Ok(()));
            let deadline = self.deadline(ttl);
            self.items.insert(key, Entry { deadline, ..entry });
        }
    }

    pub(crate) fn increment(&mut self, key: usize, by: i64) {
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

    pub(crate) fn add_u64(&mut self, key: usize, by: i64, wraps: bool) {
        let overflow = if wraps {
            Overflow::Wrap
        } else {
            Overflow::Saturate
        };
        let answer = self.cache.add_u64(&key_bytes(key), by, overflow);
        let Some(entry) = self.settle(key, &answer) else {
            return;
        };
        if entry.kind != Type::U64 {
            assert_eq!(answer, Err(Error::TypeMismatch));
            return;
        }
        let old = u64::from_ne_bytes(entry.value.number());
        let sum = match overflow {
            Overflow::Wrap => old.wrapping_add_signed(by),
            Overflow::Saturate => old.saturating_add_signed(by),
        };
        assert_eq!(answer, Ok(sum));
        let value = Value::Number(sum.to_ne_bytes());
        self.items.insert(key, Entry { value, ..entry });
    }

    /// Extends a value that is a piece of the ocean to a longer piece.
    pub(crate) fn extend(&mut self, key: usize, len: usize, front: bool) {
        let (at, old) = match self.items.get(&key).map(|entry| entry.value) {
            Some(Value::Piece { at, len }) => (at, len),
            _ => (0, 0),
        };
        let len = if front { len.min(at) } else { len };
        let (from, start) = if front {
            (at - len, at - len)
        } else {
            (at + old, at)
        };
        let added = Value::Piece { at: from, len };
        let bytes = key_bytes(key);
        let answer = if front {
            self.cache.prepend(&bytes, added.bytes())
        } else {
            self.cache.append(&bytes, added.bytes())
        };
        let Some(entry) = self.settle(key, &answer) else {
            return;
        };
        match answer {
            Ok(()) => {
                assert_eq!(entry.kind, Type::Bytes);
                let value = Value::Piece {
                    at: start,
                    len: old + len,
                };
                self.items.insert(key, Entry { value, ..entry });
            }
            Err(Error::TypeMismatch) => assert_ne!(entry.kind, Type::Bytes),
            // The old value stays until the new one is stored, and both together may be too large.
            Err(error) => assert_eq!(error, Error::TooLarge),
        }
        self.get(key, false);
    }

    // ---- leases --------------------------------------------------------------------------------

    /// Records that a key's lease is void.
    fn void_lease(&mut self, key: usize) {
        if let Some(leased) = self.leases.get_mut(&key) {
            leased.holds = false;
        }
    }

    /// Whether a lease may be void: the key changed, its time is over, or items were evicted.
    fn may_be_gone(&self, leased: &Leased) -> bool {
        let expired = self.forward + 1023 >= leased.deadline.forward;
        !leased.holds || expired || self.evictions() > leased.seen
    }

    pub(crate) fn lease(&mut self, key: usize, ms: u64) {
        match self.cache.lease(&key_bytes(key), ms) {
            Ok(lease) => {
                self.absent(key);
                if let Some(before) = self.leases.get(&key) {
                    assert!(self.may_be_gone(before), "two have a lease: {before:?}");
                }
                let leased = Leased {
                    lease,
                    holds: true,
                    deadline: self.deadline(ms).expect("no lease is for good"),
                    seen: self.evictions(),
                };
                self.leases.insert(key, leased);
            }
            Err(Error::Exists) => drop(self.present(key)),
            Err(Error::Busy) => {
                let leased = self.leases.get(&key).expect("nobody has a lease");
                assert!(leased.holds && now_ms() < leased.deadline.host);
                self.absent(key);
            }
            Err(error) => assert_eq!(error, Error::TooLarge),
        }
    }

    pub(crate) fn fill(&mut self, key: usize, value: Value) {
        let Some(leased) = self.leases.get(&key).copied() else {
            return;
        };
        match self.cache.fill(&leased.lease, value.bytes(), 0) {
            Ok(()) => {
                assert!(leased.holds && now_ms() < leased.deadline.host);
                self.absent(key);
                let entry = Entry {
                    value,
                    kind: Type::Bytes,
                    deadline: self.deadline(0),
                    seen: self.evictions(),
                    tag: 0,
                };
                self.items.insert(key, entry);
                self.void_lease(key);
            }
            Err(Error::Stale) => {
                assert!(self.may_be_gone(&leased), "a lease is lost without cause")
            }
            Err(error) => assert_eq!(error, Error::TooLarge),
        }
    }

    pub(crate) fn delete_if(&mut self, remainder: usize, steps: u32) {
        let (mut cursor, mut gone, mut sum) = (Cursor::default(), Vec::new(), 0);
        loop {
            let (deleted, done) = self
                .cache
                .delete_if(&mut cursor, steps, |item| {
                    let key = self.compare(item);
                    let goes = key % REMAINDERS == remainder;
                    gone.extend(goes.then_some(key));
                    goes
                })
                .expect("no callback runs");
            sum += deleted;
            assert!(steps == 0 || deleted <= u64::from(steps));
            if done {
                break;
            }
        }
        assert_eq!(sum, gone.len() as u64);
        for key in gone {
            self.items.remove(&key);
        }
    }

    // ---- reading -------------------------------------------------------------------------------

    pub(crate) fn get(&mut self, key: usize, short: bool) {
        let room = match self.items.get(&key) {
            Some(entry) if short => entry.value.bytes().len().saturating_sub(1),
            _ => self.buffer.len(),
        };
        let answer = self.cache.get(&key_bytes(key), &mut self.buffer[..room]);
        if let Err(Error::TooLarge) = answer {
            assert!(!self.items.contains_key(&key), "a stored key is too long");
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
                "the value differs from the one set"
            );
        }
    }

    pub(crate) fn get_typed(&mut self, key: usize, kind: Type) {
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

    pub(crate) fn get_range(&mut self, key: usize, offset: usize, len: usize) {
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
            "the part differs from the value set"
        );
    }

    /// Makes the calls that change nothing, which must agree with each other.
    pub(crate) fn look(&mut self, key: usize) {
        let bytes = key_bytes(key);
        let answer = self.cache.ttl(&bytes);
        let Some(entry) = self.settle(key, &answer) else {
            assert_eq!(self.cache.contains(&bytes), Ok(false));
            return;
        };
        assert_eq!(self.cache.contains(&bytes), Ok(true));
        let peek = Reading {
            peeks: true,
            stale: false,
        };
        let item = self.cache.get_item(&bytes, &mut self.buffer, peek);
        let (item, copied) = item.expect("the item exists");
        assert!(copied && &self.buffer[..item.value_len] == entry.value.bytes());
        assert_eq!(item.tag, entry.tag);
        assert_eq!(self.cache.value_type(&bytes), Ok(entry.kind));
        assert_eq!(
            self.cache.inspect(&bytes, |item| self.compare(item)),
            Ok(key)
        );
    }

    /// Compares an item with the model; returns its key.
    pub(crate) fn compare(&self, item: &ItemInfo<'_>) -> usize {
        let head = item
            .key
            .first_chunk()
            .expect("a key of at least four bytes");
        let key = u32::from_be_bytes(*head) as usize;
        assert_eq!(item.key, key_bytes(key));
        let entry = self
            .items
            .get(&key)
            .expect("the cache holds an item that the model does not");
        assert!(
            entry.value.bytes().starts_with(item.span),
            "the value differs from the one set"
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
}
