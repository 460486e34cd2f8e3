//! `Cache::required_size` for any configuration returns an error or a sufficient size. With that size, the same
//! configuration makes a cache that holds all items without evicting.

mod common;

use common::{Region, audited, checked, picture};
use larder::{Cache, Config, Error, PolicyKind};
use proptest::prelude::*;

prop_compose! {
    /// Any configuration that C or Rust can pass, and the items that its cache must hold.
    fn requests()(
        memory_limit in prop_oneof![
            2 => Just(0usize), 1 => 1usize..8_192, 2 => 8_192usize..(4 << 20), 1 => any::<usize>()
        ],
        policy in prop::sample::select(vec![PolicyKind::Default, PolicyKind::Lru]),
        shards in prop_oneof![Just(0u32), 1u32..8, 8u32..=64, Just(65u32)],
        flags in 0u32..8,
        expected_items in prop_oneof![Just(0u64), any::<u64>()],
        lens_max in (
            prop_oneof![3 => Just(0usize), 1 => 1usize..300],
            prop_oneof![5 => Just(0usize), 1 => 0usize..100_000],
        ),
        default_ttl_ms in prop_oneof![Just(0u64), 1u64..1 << 42],
        pins_max in prop_oneof![6 => Just(0u32), 1 => 1u32..100, 1 => any::<u32>()],
        items in prop_oneof![1 => Just(0u64), 8 => 1u64..50_001, 2 => 50_001u64..10_000_001],
        key_len in prop_oneof![4 => 1usize..40, 1 => 40usize..300],
        value_len in prop_oneof![4 => 0usize..100, 2 => 100usize..5_000, 1 => 5_000usize..300_000],
    ) -> (Config, u64, usize, usize) {
        let mut config = Config::default();
        (config.policy, config.shards) = (policy, shards);
        config.item_times = flags & 1 != 0;
        config.memory_limit = memory_limit;
        config.checksum = flags & 2 != 0;
        config.zero_on_free = flags & 4 != 0;
        config.expected_items = expected_items;
        (config.key_len_max, config.value_len_max) = lens_max;
        config.default_ttl_ms = default_ttl_ms;
        config.pins_max = pins_max;
        (config, items, key_len, value_len)
    }
}

fn limited_to(mut config: Config, limit: usize) -> Config {
    config.memory_limit = limit;
    config
}

/// The number of different keys of this length.
fn keys_of(len: usize) -> u64 {
    1u64.checked_shl(8 * len as u32).unwrap_or(u64::MAX)
}

/// Fills the cache. Checks that it holds all items in the end and evicted none.
fn holds_all(cache: &Cache<'_>, items: u64, key_len: usize, value_len: usize) {
    let value = vec![9; value_len];
    for n in 0..items {
        let mut key = n.to_le_bytes().to_vec();
        key.resize(key_len, b'k');
        assert_eq!(cache.set(&key, &value, 0), Ok(()), "{}", picture(cache));
    }
    checked(cache);
    let s = audited(cache);
    assert_eq!(
        (s.item_count, s.evictions),
        (items, 0),
        "{}",
        picture(cache)
    );
}

/// Checks that a region of the required size makes a cache. If the size is at most `REGION_MAX`, also fills it.
fn size_keeps_its_promise(config: &Config, items: u64, key_len: usize, value_len: usize) {
    let Ok(size) = Cache::required_size(config, items, key_len, value_len) else {
        return;
    };
    let payload = items.saturating_mul((key_len + value_len) as u64);
    if size > REGION_MAX || items > keys_of(key_len).min(50_000) || payload > 8 << 20 {
        return makes_a_cache(config, size);
    }
    let mut region = Region::new(size);
    let cache = made(config, region.bytes());
    holds_all(&cache, items, key_len, value_len);
}

/// The largest region that the test fills.
const REGION_MAX: usize = 32 << 20;

fn made<'r>(config: &Config, region: &'r mut [u8]) -> Cache<'r> {
    let size = region.len();
    Cache::new(region, config).unwrap_or_else(|e| panic!("{e:?}: {size} bytes for {config:?}"))
}

#[cfg(all(feature = "hosted", target_os = "linux", target_pointer_width = "64"))]
fn makes_a_cache(config: &Config, size: usize) {
    if let Some(mut region) = common::mapping::Mapping::new(size) {
        made(config, region.bytes());
    }
}

#[cfg(not(all(feature = "hosted", target_os = "linux", target_pointer_width = "64")))]
fn makes_a_cache(config: &Config, size: usize) {
    if size <= REGION_MAX {
        made(config, Region::new(size).bytes());
    }
}

/// Where a region becomes large enough for two longest items at once, it holds fewer others: what is required lies
/// below.
#[test]
fn the_longest_value_of_a_small_region_needs_no_larger_one() {
    let mut config = Config::default();
    config.policy = PolicyKind::Lru;
    for value_len in (3_500..4_200).step_by(4) {
        let size = Cache::required_size(&config, 0, 193, value_len).unwrap();
        for percent in [60, 70, 80, 90] {
            let limited = limited_to(config, size / 100 * percent);
            let answer = Cache::required_size(&limited, 0, 193, value_len);
            assert_eq!(
                answer,
                Err(Error::TooLarge),
                "{value_len}: {size}, {percent}%"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_required_size_makes_a_cache_that_holds_all((config, items, key_len, value_len) in requests()) {
        size_keeps_its_promise(&config, items, key_len, value_len);
    }

    /// Limits around the size that is required without a limit.
    #[test]
    fn a_limit_around_the_required_size_is_enough_or_refused(
        (config, items, key_len, value_len) in requests(),
        percent in 50usize..200,
    ) {
        let config = limited_to(config, 0);
        if let Ok(size) = Cache::required_size(&config, items, key_len, value_len) {
            let limited = limited_to(config, (size / 100).saturating_mul(percent));
            size_keeps_its_promise(&limited, items, key_len, value_len);
            let answer = Cache::required_size(&limited, items, key_len, value_len);
            prop_assert!(percent > 95 || answer == Err(Error::TooLarge));
        }
    }
}
