//! `PolicyKind::Lru` evicts items of all sizes in exactly the order of a reference LRU.

mod common;

use common::{Region, Rng, audited, checked, key, set_now};
use larder::{Cache, Config, Error, PolicyKind};
use std::collections::VecDeque;

/// The reference LRU: keys, the least recently used first.
#[derive(Default)]
struct Reference {
    order: VecDeque<u64>,
}

impl Reference {
    /// Makes the key the most recently used. Returns whether the key exists.
    fn promote(&mut self, key: u64) -> bool {
        let held = self.take(key);
        if held {
            self.order.push_back(key);
        }
        held
    }

    fn take(&mut self, key: u64) -> bool {
        let at = self.order.iter().position(|&k| k == key);
        at.is_some_and(|at| self.order.remove(at).is_some())
    }
}

struct Pair<'c> {
    cache: &'c Cache<'c>,
    reference: Reference,
    value: [u8; 512],
}

/// The length of a key's value, a fixed function of the key.
fn len_of(n: u64) -> usize {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % 9 * 8 * (n as usize % 8)
}

impl Pair<'_> {
    /// Sets a key, and checks the cache's evictions against the reference. Returns their number.
    fn set(&mut self, n: u64) -> u64 {
        let before = self.cache.stats();
        let len = len_of(n);
        self.cache.set(&key(n), &self.value[..len], 0).unwrap();
        let after = audited(self.cache);
        let held = self.reference.take(n);
        assert_eq!(after.updates - before.updates, u64::from(held), "key {n}");
        let evictions = after.evictions - before.evictions;
        for _ in 0..evictions {
            let oldest = self.reference.order.pop_front().unwrap();
            assert_eq!(
                self.cache.contains(&key(oldest)),
                Ok(false),
                "{oldest} must be evicted first"
            );
        }
        self.reference.order.push_back(n);
        // A set evicts at most three times its bytes and a little more.
        assert!(evictions <= 48, "{evictions} evictions for one set");
        evictions
    }

    fn get(&mut self, n: u64) {
        let held = self.reference.promote(n);
        let answer = self.cache.get(&key(n), &mut [0; 512]);
        assert_eq!(
            answer,
            if held {
                Ok(len_of(n))
            } else {
                Err(Error::NotFound)
            },
            "key {n}"
        );
    }

    fn delete(&mut self, n: u64) {
        assert_eq!(
            self.cache.delete(&key(n)).is_ok(),
            self.reference.take(n),
            "key {n}"
        );
    }

    fn compare_all(&self, keys: u64) {
        checked(self.cache);
        assert_eq!(self.cache.item_count(), self.reference.order.len() as u64);
        for n in 0..keys {
            let held = self.reference.order.contains(&n);
            assert_eq!(self.cache.contains(&key(n)), Ok(held), "key {n}");
        }
    }
}

fn follow_the_reference(region: usize, ops: usize, seed: u64) {
    set_now(0);
    let mut config = Config::default().clock(common::now_ms);
    config.policy = PolicyKind::Lru;
    let mut region = Region::new(region);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    let mut pair = Pair {
        cache: &cache,
        reference: Reference::default(),
        value: [7; 512],
    };
    let mut filled = 0;
    while pair.set(filled) == 0 {
        filled += 1;
    }
    let (keys, mut rng) = (filled * 2, Rng::new(seed));
    for op in 0..ops {
        let most = if rng.one_in(2) { keys } else { keys / 8 };
        let n = rng.below(most as usize) as u64;
        match rng.below(20) {
            0..9 => drop(pair.set(n)),
            9..18 => pair.get(n),
            18 => pair.delete(n),
            _ => assert_eq!(
                cache.contains(&key(n)),
                Ok(pair.reference.order.contains(&n))
            ),
        }
        if op % (ops / 10) == 0 {
            pair.compare_all(keys);
        }
    }
    pair.compare_all(keys);
    let evictions = cache.stats().evictions;
    assert!(
        evictions > ops as u64 / 20,
        "too few evictions to show anything"
    );
    // Ten percent may be dead, and a few pages are not yet cleaned.
    let stats = cache.stats();
    let least = if stats.region_bytes > 8192 { 75 } else { 55 };
    assert!(
        stats.total_used * 100 >= stats.region_bytes * least,
        "{stats:?}"
    );
}

#[test]
fn evictions_in_8_kib_follow_the_reference() {
    follow_the_reference(8 << 10, 100_000, 1);
}

#[test]
fn evictions_in_64_kib_follow_the_reference() {
    follow_the_reference(64 << 10, 100_000, 2);
}

#[test]
fn evictions_in_512_kib_follow_the_reference() {
    follow_the_reference(512 << 10, 100_000, 3);
}
