//! Memory follows the values when their size shifts: after one region's worth of sets of another
//! size, that size owns nearly all pages, and nearly all of those items are there.

mod common;

use common::{NEW_KEY, Region, audited, checked, fill, key, picture};
use larder::{Cache, Config, PolicyKind};

const MIB: usize = 1 << 20;

/// What the new size has after one region's worth of its sets.
#[derive(Debug)]
struct Outcome {
    /// Of the pages that hold items, percent that the new size's classes own.
    pages: usize,
    /// Of the items that the region could hold, percent that are there.
    resident: usize,
    /// Most items evicted by one set.
    evictions_max: u64,
}

fn config(policy: PolicyKind) -> Config {
    let mut config = Config::default();
    config.policy = policy;
    config
}

/// The classes that an item of this value size takes slots of, and the number of items that fill the
/// region.
fn capacity(region: usize, policy: PolicyKind, value: &[u8]) -> (Vec<u32>, u64) {
    let mut region = Region::new(region);
    let cache = Cache::new(region.bytes(), &config(policy)).unwrap();
    cache.set(&key(0), value, 0).unwrap();
    let items = class_count(&cache) - 2;
    let classes = (0..items)
        .filter(|&i| cache.class_stats(i).unwrap().used > 0)
        .collect();
    let mut n = 1;
    while audited(&cache).evictions == 0 {
        cache.set(&key(n), value, 0).unwrap();
        n += 1;
    }
    (classes, cache.item_count())
}

/// Item classes, then those of the index: segments and directory.
fn class_count(cache: &Cache<'_>) -> u32 {
    (0..).take_while(|&i| cache.class_stats(i).is_ok()).count() as u32
}

fn pages_of(cache: &Cache<'_>, classes: impl IntoIterator<Item = u32>) -> usize {
    classes
        .into_iter()
        .map(|i| cache.class_stats(i).unwrap().pages)
        .sum()
}

fn shift(size: usize, policy: PolicyKind, from: usize, to: usize) -> Outcome {
    let value = vec![0x33; to];
    let (classes, capacity) = capacity(size, policy, &value);
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
    let pages = pages_of(&cache, 0..class_count(&cache) - 2);
    let outcome = Outcome {
        pages: pages_of(&cache, classes) * 100 / pages,
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
            assert!(outcome.pages >= 90, "{outcome:?}");
            assert!(outcome.resident >= 90, "{outcome:?}");
            // A page of 16 KiB has 146 slots for 108 bytes and a header.
            assert!(outcome.evictions_max <= 146, "{outcome:?}");
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
