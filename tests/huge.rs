//! Regions beyond what ids reach: all of one is used, or it is refused.

#![cfg(all(feature = "hosted", target_os = "linux", target_pointer_width = "64"))]

mod common;

use common::mapping::Mapping;
use larder::{Cache, Config, Error, Pool, PoolConfig};

/// Bytes of the largest region of a pool, and of one shard.
const REACH: usize = (16 << 30) - (64 << 20);
/// Bytes of the largest region of a cache.
const CACHE_MAX: usize = 64 * REACH;

#[test]
fn a_pool_uses_all_of_its_region_up_to_the_largest() {
    for size in [1 << 30, 10 << 30, (16 << 30) - (65 << 20), REACH] {
        let mut region = Mapping::new(size).expect("address space");
        let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
        let stats = pool.stats().unwrap();
        assert_eq!(stats.total_size, size);
        assert!(stats.overhead_size < size / 100, "{stats:?}");
        let block = pool.alloc(stats.free_size - 16).unwrap();
        assert_eq!(block.len(), stats.free_size - 16);
        // Nothing that a block does needs its bytes, but giving it back would write them all.
        std::mem::forget(block);
        assert_eq!(pool.check(), Ok(()));
    }
}

#[test]
fn a_larger_region_for_a_pool_is_refused_and_not_written() {
    for size in [REACH + 1, 16 << 30, 64 << 30] {
        let mut region = Mapping::new(size).expect("address space");
        let refused = Pool::new(region.bytes(), &PoolConfig::default());
        assert_eq!(refused.err(), Some(Error::Invalid), "{size} bytes");
        assert_eq!(region.bytes()[..4096], [0; 4096]);
    }
}

#[test]
fn a_cache_has_a_shard_for_each_part_that_ids_reach() {
    for (size, shards) in [(REACH, 1), (REACH + 1, 2), (40 << 30, 3), (CACHE_MAX, 64)] {
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
fn a_larger_region_for_a_cache_is_refused_and_no_size_lies_above() {
    for size in [CACHE_MAX + 1, 2 * CACHE_MAX] {
        let Some(mut region) = Mapping::new(size) else {
            continue;
        };
        let refused = Cache::new(region.bytes(), &Config::default());
        assert_eq!(refused.err(), Some(Error::Invalid), "{size} bytes");
    }
    let required = |items| Cache::required_size(&Config::default(), items, 16, 1 << 20);
    assert!(required(900_000).unwrap() <= CACHE_MAX);
    assert_eq!(required(1_100_000), Err(Error::TooLarge));
}

/// A value's length has 32 bits.
#[test]
fn no_value_is_longer_than_its_length_can_say() {
    let mut region = Mapping::new(12 << 30).expect("address space");
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    assert_eq!(cache.limits().unwrap().value_len_max, u32::MAX as usize);
    let value = Mapping::new((1 << 32) + 1);
    if let Some(mut value) = value {
        assert_eq!(cache.set(b"key", value.bytes(), 0), Err(Error::TooLarge));
        assert_eq!(
            cache.set(b"key", &value.bytes()[1..], 0),
            Err(Error::TooLarge)
        );
    }
    assert_eq!(cache.item_count(), 0);
}
