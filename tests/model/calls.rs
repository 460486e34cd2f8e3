//! The calls on one item, each beside what the model says.

use crate::common::now_ms;
use crate::ops::{Value, Verb, key_bytes};
use crate::oracle::{Entry, Oracle};
use larder::{Error, ItemInfo, Result, TTL_NEVER, Type};

impl Oracle<'_> {
    // ---- writing -------------------------------------------------------------------------------

    pub(crate) fn store(&mut self, verb: Verb, key: usize, value: Value, kind: Type, ttl: u64) {
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

    pub(crate) fn delete(&mut self, key: usize) {
        let answer = self.cache.delete(&key_bytes(key));
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

    // ---- reading -------------------------------------------------------------------------------

    pub(crate) fn get(&mut self, key: usize, short: bool) {
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
            "another part than was set"
        );
    }

    /// The calls that only look, which must agree with each other.
    pub(crate) fn look(&mut self, key: usize) {
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
}
