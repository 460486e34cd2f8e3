//! When the size of values shifts, memory is reassigned in proportion to the bytes set.

mod common;

use common::{NEW_KEY, Region, audited, checked, fill, key, picture};
use larder::{Cache, Config, PolicyKind};

const MIB: usize = 1 << 20;

/// The state after one region's worth of bytes of the new size was set.
#[derive(Debug)]
struct Outcome {
    /// Items of the new size in the cache, in percent of those that the region can hold.
    resident: usize,
    /// The highest number of items evicted by one set.
    evictions_max: u64,
}

fn config(policy: PolicyKind) -> Config {
    let mut config = Config::default();
    config.policy = policy;
    config
}

/// The number of items of this value size that fill the region.
fn capacity(region: usize, policy: PolicyKind, value: &[u8]) -> u64 {
    let mut region = Region::new(region);
    let cache = Cache::new(region.bytes(), &config(policy)).unwrap();
    let mut n = 0;
    while audited(&cache).evictions == 0 {
        cache.set(&key(n), value, 0).unwrap();
        n += 1;
    }
    cache.item_count()
}

fn shift(size: usize, policy: PolicyKind, from: usize, to: usize) -> Outcome {
    let value = vec![0x33; to];
    let capacity = capacity(size, policy, &value);
    let mut region = Region::new(size);
    let cache = Cache::new(region.bytes(), &config(policy)).unwrap();
    fill(&cache, &[from]);
    let sets = size as u64 / to as u64;
    let mut evictions_max = 0;
    for n in NEW_KEY..NEW_KEY + sets {
        let before = cache.stats().evictions;
        cache.set(&key(n), &value, 0).unwrap();
        evictions_max = evictions_max.max(audited(&cache).evictions - before);
    }
    checked(&cache);
    let there = (NEW_KEY..NEW_KEY + sets)
        .filter(|&n| cache.contains(&key(n)) == Ok(true))
        .count();
    let outcome = Outcome {
        resident: there * 100 / capacity as usize,
        evictions_max,
    };
    println!(
        "{size} bytes, {policy:?}, {from} to {to}: {outcome:?}\n{}",
        picture(&cache)
    );
    outcome
}

fn memory_follows(from: usize, to: usize) {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for size in [4 * MIB, 16 * MIB] {
            let outcome = shift(size, policy, from, to);
            assert!(outcome.resident >= 90, "{outcome:?}");
            // A set evicts at most three times its bytes and a little more.
            let most = 3 * (to + 24) / (from + 24) + 16;
            assert!(outcome.evictions_max <= most as u64, "{outcome:?}");
        }
    }
}

#[test]
fn memory_follows_values_that_grow() {
    memory_follows(100, 1000);
}

#[test]
fn memory_follows_values_that_shrink() {
    memory_follows(1000, 100);
}

/// Bytes set, in regions' worth, until every request for a working set of new values hits. Each miss is set.
fn worth_until_held(size: usize, from: usize, to: usize, keys: u64) -> f64 {
    let (mut region, value) = (Region::new(size), vec![0x33; to]);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    fill(&cache, &[from]);
    let mut buffer = vec![0; to];
    let (mut set, mut hits) = (0, 0);
    while hits < keys {
        for n in NEW_KEY..NEW_KEY + keys {
            if cache.get(&key(n), &mut buffer).is_ok() {
                hits += 1;
            } else {
                hits = 0;
                set += to;
                cache.set(&key(n), &value, 0).unwrap();
                assert!(set < 20 * size, "the values starve\n{}", picture(&cache));
            }
        }
    }
    checked(&cache);
    set as f64 / size as f64
}

#[test]
fn large_values_do_not_starve_among_small_ones() {
    // 35 values of 300,000 B, in turn, among 90 B values in 16 MiB.
    let worth = worth_until_held(16 * MIB, 90, 300_000, 35);
    println!("300,000 B: {worth:.2} regions' worth");
    assert!(worth <= 1.5, "{worth}");
}

#[test]
fn a_working_set_of_any_size_is_held_after_a_region_s_worth() {
    for to in [1 << 10, 100_000, MIB] {
        let keys = (64 * MIB * 6 / 10 / to) as u64;
        let worth = worth_until_held(64 * MIB, 90, to, keys);
        println!("{to} B: {worth:.2} regions' worth");
        assert!(worth <= 1.5, "{to} B: {worth}");
    }
}
