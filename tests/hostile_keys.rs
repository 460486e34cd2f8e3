//! Keys made to collide by an attacker who knows hash and seed: a hundred thousand with the same 64 bits. No call
//! makes more steps for them, and no set fails. Under a secret seed they behave as other keys.
#![cfg(target_pointer_width = "64")]

mod common;
#[path = "../src/hash/fold.rs"]
#[allow(dead_code, unreachable_pub)]
mod fold;

use common::{Region, checked};
use core::hash::Hasher;
use foldhash::{SharedSeed, fast};
use larder::{Cache, CacheStats, Config, Error, PolicyKind};

const MIB: usize = 1 << 20;
const KEYS: u64 = 100_000;
/// As in tests/bounded.rs.
const SET_STEPS: u64 = 80;
const SET_SEGMENTS: u64 = 2;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that foldhash XORs with the upper half of 16 bytes, with these constants. An equal upper half makes a
/// factor of zero, so the product is zero for any lower half.
fn factor(constants: &SharedSeed) -> u64 {
    let mut hasher = fast::FoldHasher::with_seed(0, constants);
    // Times one.
    hasher.write_u128(1);
    hasher.finish()
}

/// A key of 32 bytes whose hash does not depend on `n`, under this seed.
fn crafted(n: u64, factor: u64) -> [u8; 32] {
    let mut key = [0x5a; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    key[8..16].copy_from_slice(&factor.to_le_bytes());
    key
}

fn crafted_keys(seed: u64) -> Vec<[u8; 32]> {
    let factor = factor(&SharedSeed::from_u64(seed ^ GOLDEN));
    let keys: Vec<_> = (0..KEYS).map(|n| crafted(n, factor)).collect();
    let hasher = fold::KeyHasher::new(seed);
    assert!(
        keys.iter()
            .all(|key| hasher.hash(key) == hasher.hash(&keys[0]))
    );
    keys
}

fn config(policy: PolicyKind, seed: u64) -> Config {
    let mut config = Config::default();
    (config.policy, config.hash_seed) = (policy, seed);
    config
}

/// Items evicted or moved, and segments rebuilt or split, between two statistics.
fn steps(before: &CacheStats, after: &CacheStats) -> (u64, u64) {
    let items = |s: &CacheStats| s.evictions + s.items_moved;
    let segments = |s: &CacheStats| s.index_rebuilds + s.index_splits;
    (
        items(after) - items(before),
        segments(after) - segments(before),
    )
}

/// Stores all keys. Checks that no call fails or exceeds its bounds.
fn store_all(cache: &Cache<'_>, keys: &[[u8; 32]]) -> CacheStats {
    let mut before = cache.stats();
    for key in keys {
        assert_eq!(cache.set(key, b"value", 0), Ok(()));
        assert_eq!(cache.get(key, &mut [0; 8]), Ok(5));
        let after = cache.stats();
        let (items, segments) = steps(&before, &after);
        assert!(
            items <= SET_STEPS && segments <= SET_SEGMENTS,
            "{items} items, {segments} segments"
        );
        before = after;
    }
    assert_eq!(before.failed_no_memory, 0);
    checked(cache);
    before
}

#[test]
fn keys_that_collide_make_no_call_longer() {
    let keys = crafted_keys(0);
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for size in [16 * 1024, 16 * MIB] {
            let mut region = Region::new(size);
            let cache = Cache::new(region.bytes(), &config(policy, 0)).unwrap();
            let bystanders: Vec<[u8; 8]> = (0..100).map(common::key).collect();
            for key in &bystanders {
                cache.set(key, b"other", 0).unwrap();
            }
            let after = store_all(&cache, &keys);
            println!(
                "{policy:?}, {size} B: {} items, {} splits",
                after.item_count, after.index_splits
            );
            // The cache holds as many as one table, each found by its whole key.
            let last = keys
                .iter()
                .rev()
                .take_while(|key| cache.contains(&key[..]) == Ok(true));
            assert!(last.count() >= 1);
            assert_eq!(
                cache.get(&[keys[0], keys[1]].concat(), &mut [0; 8]),
                Err(Error::NotFound)
            );
            if size > MIB {
                assert!(bystanders.iter().all(|key| cache.contains(key) == Ok(true)));
            }
            for key in &keys {
                let _ = cache.delete(key);
            }
            checked(&cache);
        }
    }
}

#[test]
fn under_another_seed_they_are_keys_like_any_others() {
    let keys = crafted_keys(0);
    let others: Vec<[u8; 32]> = (0..KEYS).map(|n| crafted(n, GOLDEN)).collect();
    let stored = |keys: &[[u8; 32]]| {
        let mut region = Region::new(16 * MIB);
        let cache = Cache::new(region.bytes(), &config(PolicyKind::Default, 0x5ec2_e700)).unwrap();
        let stats = store_all(&cache, keys);
        assert_eq!(stats.item_count, KEYS);
        stats
    };
    let (crafted, plain) = (stored(&keys), stored(&others));
    let near = |a: u64, b: u64| a.abs_diff(b) * 20 <= b;
    assert!(near(crafted.index_splits, plain.index_splits));
    assert!(near(crafted.total_used, plain.total_used));
}
