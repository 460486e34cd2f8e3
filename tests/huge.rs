//! Regions at the limit of what ids can address: a region is used whole, or refused.

#![cfg(all(feature = "hosted", target_os = "linux", target_pointer_width = "64"))]

mod common;

use common::mapping::Mapping;
use larder::{Cache, Config, Error, Pool, PoolConfig};

/// Bytes of the largest region of a pool.
const POOL_MAX: usize = 16 << 30;
/// Bytes of the largest part of a region that one shard has.
const SHARD_MAX: usize = (4 << 30) - (128 << 10);
/// Bytes of the largest region of a cache.
const CACHE_MAX: usize = 64 * SHARD_MAX;

#[test]
fn a_pool_uses_all_of_its_region_up_to_the_largest() {
    for size in [1 << 30, 10 << 30, (16 << 30) - (65 << 20), POOL_MAX] {
        let mut region = Mapping::new(size).expect("address space");
        let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
        let stats = pool.stats().unwrap();
        assert_eq!(stats.total_size, size);
        assert!(stats.overhead_size < size / 100, "{stats:?}");
        let block = pool.alloc(stats.free_size - 16).unwrap();
        assert_eq!(block.len(), stats.free_size - 16);
        // Freeing the block would write all its bytes.
        std::mem::forget(block);
        assert_eq!(pool.check(), Ok(()));
    }
}

#[test]
fn a_larger_region_for_a_pool_is_refused_and_not_written() {
    for size in [POOL_MAX + 1, 17 << 30, 64 << 30] {
        let mut region = Mapping::new(size).expect("address space");
        let refused = Pool::new(region.bytes(), &PoolConfig::default());
        assert_eq!(refused.err(), Some(Error::Invalid), "{size} bytes");
        assert_eq!(region.bytes()[..4096], [0; 4096]);
    }
}

#[test]
fn a_cache_has_a_shard_for_each_part_that_ids_reach() {
    let sizes = [
        (SHARD_MAX, 1),
        (SHARD_MAX + 1, 2),
        (10 << 30, 3),
        (CACHE_MAX, 64),
    ];
    for (size, shards) in sizes {
        let Some(mut region) = Mapping::new(size) else {
            continue;
        };
        let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
        assert_eq!(cache.limits().unwrap().shards, shards);
        let stats = cache.stats();
        assert!(stats.overhead_bytes < size as u64 / 100, "{stats:?}");
    }
}

#[test]
fn a_larger_region_for_a_cache_is_refused_and_never_required() {
    for size in [CACHE_MAX + 1, 2 * CACHE_MAX] {
        let Some(mut region) = Mapping::new(size) else {
            continue;
        };
        let refused = Cache::new(region.bytes(), &Config::default());
        assert_eq!(refused.err(), Some(Error::Invalid), "{size} bytes");
    }
    let required = |items| Cache::required_size(&Config::default(), items, 16, 1 << 20);
    assert!(required(200_000).unwrap() <= CACHE_MAX);
    assert_eq!(required(300_000), Err(Error::TooLarge));
}

/// A value whose length has more than 32 bits is refused, not stored in part.
#[test]
fn no_value_is_longer_than_a_shard_can_hold() {
    let mut region = Mapping::new(2 * SHARD_MAX).expect("address space");
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let longest = cache.limits().unwrap().value_len_max;
    let half = SHARD_MAX / 2;
    assert!(longest < half && longest > half / 100 * 99, "{longest}");
    if let Some(mut value) = Mapping::new((1 << 32) + 5) {
        for len in [longest + 1, SHARD_MAX, 1 << 32, (1 << 32) + 5] {
            let refused = cache.set(b"key", &value.bytes()[..len], 0);
            assert_eq!(refused, Err(Error::TooLarge), "{len} bytes");
        }
    }
    assert_eq!(cache.item_count(), 0);
}
