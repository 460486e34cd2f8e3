//! A region of `Cache::required_size` is large enough. A region of any size makes a working cache or is refused.

mod common;

use common::{Region, audited, checked, key, picture};
use larder::{Cache, Config, Error, PolicyKind};

fn config(policy: PolicyKind, shards: u32, item_times: bool) -> Config {
    let mut config = Config::default();
    config.policy = policy;
    config.shards = shards;
    config.item_times = item_times;
    config
}

fn configs() -> impl Iterator<Item = Config> {
    (0..8).map(|i| {
        let policy = [PolicyKind::Default, PolicyKind::Lru][i & 1];
        config(policy, [1, 4][i >> 1 & 1], i & 4 != 0)
    })
}

/// A key of this length for a number. Keys of 4 bytes and more differ for different numbers.
fn long_key(n: u32, len: usize) -> Vec<u8> {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(len, b'k');
    bytes
}

/// Stores the items with a TTL, which makes them largest. Returns how many are left.
fn store_all(cache: &Cache<'_>, items: u32, key_len: usize, value_len: usize) -> u64 {
    let value = vec![9; value_len];
    for n in 0..items {
        assert_eq!(cache.set(&long_key(n, key_len), &value, 1 << 40), Ok(()));
    }
    checked(cache);
    audited(cache).item_count
}

#[test]
fn a_region_of_the_required_size_holds_all_items() {
    let cases = [
        (1, 4, 0),
        (1, 255, 10_000),
        (10, 16, 10),
        (100, 4, 1),
        (100, 255, 100),
        (1_000, 16, 200),
        (1_000, 30, 2_000),
        (300, 20, 20_000),
        (5_000, 8, 64),
        (20_000, 16, 32),
        (200_000, 16, 10),
    ];
    for config in configs() {
        for (items, key_len, value_len) in cases {
            let size = Cache::required_size(&config, u64::from(items), key_len, value_len).unwrap();
            let mut region = Region::new(size);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            let held = store_all(&cache, items, key_len, value_len);
            let s = audited(&cache);
            assert!(
                held == u64::from(items) && s.evictions == 0,
                "{held} of {items} items of {key_len} + {value_len} bytes in {size}, {config:?}\n{}",
                picture(&cache)
            );
        }
    }
}

/// Checks the part of the required size that the items themselves do not use.
#[test]
fn the_required_size_is_not_much_more_than_the_items_take() {
    for (items, value_len, allowance) in [(1_000, 100, 60), (10_000, 100, 45), (100_000, 1_000, 90)]
    {
        let size = Cache::required_size(&Config::default(), items, 16, value_len).unwrap();
        let extra = size as u64 / items - 16 - value_len as u64;
        assert!(
            extra <= allowance,
            "{extra} bytes an item for {items} of {value_len}"
        );
    }
}

#[test]
fn half_of_the_required_size_works_or_is_refused() {
    for config in configs() {
        for (items, key_len, value_len) in
            [(0, 0, 0), (1, 255, 10_000), (100, 16, 500), (3_000, 8, 64)]
        {
            let size = Cache::required_size(&config, items, key_len, value_len).unwrap();
            let mut region = Region::new(size / 2);
            match Cache::new(region.bytes(), &config) {
                Err(error) => assert_eq!(error, Error::NoMemory),
                Ok(cache) => {
                    for n in 0..items as u32 {
                        let answer = cache.set(&long_key(n, key_len), &vec![9; value_len], 0);
                        assert!(
                            matches!(answer, Ok(()) | Err(Error::TooLarge)),
                            "{answer:?}"
                        );
                    }
                    checked(&cache);
                    audited(&cache);
                }
            }
        }
    }
}

#[test]
fn with_no_items_the_required_size_makes_a_cache_that_stores_one() {
    for config in configs() {
        let size = Cache::required_size(&config, 0, 0, 0).unwrap();
        let mut region = Region::new(size);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        assert_eq!(
            cache.set(b"key", b"a small value", 0),
            Ok(()),
            "{}",
            picture(&cache)
        );
        assert_eq!(cache.contains(b"key"), Ok(true));
        checked(&cache);
    }
}

#[test]
fn a_cache_of_one_shard_fits_in_4_kib() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let size = Cache::required_size(&config(policy, 1, false), 0, 0, 0).unwrap();
        assert!(size <= 4096, "{policy:?} needs {size}");
    }
}

#[test]
fn every_small_region_is_refused_or_stores_items() {
    for config in configs() {
        let mut smallest = None;
        for size in (0..8192).step_by(16) {
            let mut region = Region::new(size);
            match Cache::new(region.bytes(), &config) {
                Err(error) => assert_eq!(error, Error::NoMemory, "{size} bytes"),
                Ok(cache) => {
                    smallest.get_or_insert(size);
                    try_small(&cache);
                }
            }
        }
        let needed = Cache::required_size(&config, 0, 0, 0).unwrap();
        assert!(
            smallest.is_none_or(|size| size <= needed),
            "{smallest:?} works, but {needed} is required"
        );
    }
}

fn try_small(cache: &Cache<'_>) {
    checked(cache);
    for n in 0..40 {
        assert_eq!(
            cache.set(&key(n), b"value", 0),
            Ok(()),
            "{}",
            picture(cache)
        );
        assert_eq!(cache.get(&key(n), &mut [0; 8]), Ok(5));
        audited(cache);
    }
    checked(cache);
}

#[test]
fn a_region_of_any_length_is_used_to_its_end() {
    for size in (8192..16384).step_by(7) {
        let mut region = Region::new(size);
        let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
        let s = audited(&cache);
        assert_eq!(s.region_bytes, size as u64);
        assert!(
            s.total_used < size as u64 / 2,
            "{} of {size} used by an empty cache",
            s.total_used
        );
    }
}

#[test]
fn items_that_no_cache_can_hold_are_refused() {
    let config = Config::default();
    assert_eq!(
        Cache::required_size(&config, 1, 256, 0),
        Err(Error::Invalid)
    );
    assert_eq!(Cache::required_size(&config, 1, 0, 0), Err(Error::Invalid));
    assert_eq!(
        Cache::required_size(&config, u64::MAX, 16, 64),
        Err(Error::TooLarge)
    );
    assert_eq!(
        Cache::required_size(&config, 2, 16, usize::MAX),
        Err(Error::TooLarge)
    );
    assert_eq!(
        Cache::required_size(&config, 1 << 40, 16, isize::MAX as usize),
        Err(Error::TooLarge)
    );
}

#[test]
fn a_misaligned_region_is_refused() {
    let mut region = Region::new(64 << 10);
    for skew in 1..16 {
        let refused = Cache::new(&mut region.bytes()[skew..], &Config::default());
        assert_eq!(refused.err(), Some(Error::Misaligned), "skewed by {skew}");
    }
}

#[test]
fn a_limit_too_small_for_the_items_is_refused_and_one_above_is_the_size() {
    let mut config = Config::default();
    let enough = Cache::required_size(&config, 5_000, 16, 64).unwrap();
    for limit in [1, 64 << 10, enough / 2] {
        config.memory_limit = limit;
        let refused = Cache::required_size(&config, 5_000, 16, 64);
        assert_eq!(refused, Err(Error::TooLarge), "limit {limit}");
    }
    for limit in [2 * enough, 16 << 20] {
        config.memory_limit = limit;
        let size = Cache::required_size(&config, 5_000, 16, 64);
        assert_eq!(size, Ok(limit.next_multiple_of(16)));
    }
}
