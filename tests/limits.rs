//! `Cache::limits` is exact: each key and value up to its limit can be stored, and one byte more is `TooLarge`.

mod common;

use common::{Region, checked, now_ms, picture, set_now};
use larder::{Cache, Config, Error, KEY_LEN_MAX, PolicyKind, TTL_MAX, TTL_NEVER};
use proptest::prelude::*;

const DAY: u64 = 86_400_000;

prop_compose! {
    /// A configuration without a limit, and the size of a region.
    fn setups()(
        shift in 12u32..24,
        extra in 0usize..4096,
        policy in prop::sample::select(vec![PolicyKind::Default, PolicyKind::Lru]),
        shards in prop_oneof![Just(0u32), 1u32..9, Just(64)],
        key_len_max in prop_oneof![Just(0usize), 1usize..=KEY_LEN_MAX],
        value_len_max in prop_oneof![3 => Just(0usize), 1 => 1usize..100_000],
        flags in 0u32..8,
    ) -> (Config, usize) {
        let mut config = Config::default().clock(now_ms);
        config.policy = policy;
        config.shards = shards;
        config.key_len_max = key_len_max;
        config.value_len_max = value_len_max;
        config.item_times = flags & 1 != 0;
        config.checksum = flags & 2 != 0;
        config.zero_on_free = flags & 4 != 0;
        (config, (1 << shift) + extra)
    }
}

/// Stores a value in an empty cache.
fn try_one(cache: &Cache<'_>, key: &[u8], value: &[u8], ttl_ms: u64) -> Result<(), Error> {
    cache.clear().unwrap();
    cache.set(key, value, ttl_ms)
}

/// Checks that keys and values at the limits are stored and read back, and that longer ones are refused.
fn keeps_its_limits(cache: &Cache<'_>, config: &Config) {
    let limits = cache.limits().unwrap();
    let longest = vec![b'k'; limits.key_len_max + 1];
    let value = vec![7; limits.value_len_max + 1];
    let (keys, values) = (&longest[1..], &value[1..]);
    assert!(
        limits.key_len_max > 0 && limits.value_len_max > 0,
        "{limits:?}"
    );
    if config.key_len_max > 0 {
        assert!(limits.key_len_max <= config.key_len_max);
    }
    if config.value_len_max > 0 {
        assert!(limits.value_len_max <= config.value_len_max);
    }
    let mut buffer = vec![0; values.len()];
    for key in [&keys[..1], keys] {
        for ttl_ms in [TTL_NEVER, 1, limits.ttl_ms_max] {
            let stored = try_one(cache, key, values, ttl_ms);
            assert_eq!(stored, Ok(()), "{limits:?} {config:?}\n{}", picture(cache));
            assert_eq!(cache.get(key, &mut buffer), Ok(values.len()));
            assert!(buffer == values);
            checked(cache);
            let refused = try_one(cache, key, &value, ttl_ms);
            assert_eq!(refused, Err(Error::TooLarge), "{limits:?} {config:?}");
        }
        assert_eq!(try_one(cache, key, b"", 0), Ok(()));
    }
    for value in [&b""[..], b"v", values] {
        let refused = try_one(cache, &longest, value, 0);
        assert_eq!(refused, Err(Error::TooLarge), "{limits:?} {config:?}");
    }
    assert_eq!(cache.item_count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_key_or_value_at_its_limit_is_stored_and_one_byte_more_is_not(
        (config, size) in setups(),
        percents in prop::collection::vec(1usize..=100, 0..4),
    ) {
        let mut region = Region::new(size);
        if let Ok(cache) = Cache::new(region.bytes(), &config) {
            prop_assert_eq!(cache.limits().unwrap().shards, config.shards.max(1));
            keeps_its_limits(&cache, &config);
            for percent in percents {
                if cache.set_memory_limit(size / 100 * percent).is_ok() {
                    keeps_its_limits(&cache, &config);
                }
            }
        }
    }

    #[test]
    fn a_limit_from_the_start_is_a_limit_set_later((config, size) in setups(), percent in 1usize..=100) {
        let limit = size / 100 * percent;
        let mut limited = config;
        limited.memory_limit = limit;
        let (mut one, mut other) = (Region::new(size), Region::new(size));
        if let Ok(cache) = Cache::new(one.bytes(), &limited) {
            let later = Cache::new(other.bytes(), &config).unwrap();
            prop_assert_eq!(later.set_memory_limit(limit), Ok(()));
            prop_assert_eq!(later.limits(), cache.limits());
        }
    }
}

#[test]
fn where_a_shard_has_32_kib_the_longest_key_is_the_configured_one() {
    for (shards, policy) in [
        (1, PolicyKind::Default),
        (1, PolicyKind::Lru),
        (4, PolicyKind::Lru),
    ] {
        let mut config = Config::default();
        (config.shards, config.policy) = (shards, policy);
        (config.item_times, config.checksum) = (true, true);
        let mut region = Region::new(shards as usize * (34 << 10) + (4 << 10));
        let cache = Cache::new(region.bytes(), &config).unwrap();
        assert_eq!(
            cache.limits().unwrap().key_len_max,
            KEY_LEN_MAX,
            "{config:?}"
        );
    }
}

#[test]
fn a_full_cache_takes_the_longest_value() {
    for size in [16 << 10, 100_000, 1 << 20] {
        let mut region = Region::new(size);
        let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
        common::fill(&cache, &[1, 10, 500]);
        let value = vec![1; cache.limits().unwrap().value_len_max];
        let stored = cache.set(b"key", &value, 0);
        assert_eq!(stored, Ok(()), "{}", picture(&cache));
    }
}

#[test]
fn a_longer_ttl_is_shortened_to_the_longest() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default().clock(now_ms)).unwrap();
    // The longest TTL does not depend on the time, even beyond a clock of 41 bits.
    for day in [0, 1, 400, 20_000, 25_000, 50_000, 1_000_000_000] {
        set_now(day * DAY);
        let longest = cache.limits().unwrap().ttl_ms_max;
        assert_eq!(longest, TTL_MAX);
        for more in [0, 1, DAY, 1 << 60] {
            cache.set(b"key", b"value", longest + more).unwrap();
            let left = cache.ttl(b"key").unwrap();
            assert!(left <= longest && longest - left < 1024, "{left}");
        }
        cache.set(b"key", b"value", longest - 5000).unwrap();
        assert!(longest - 5000 - cache.ttl(b"key").unwrap() < 1024);
        cache.set(b"key", b"value", TTL_NEVER).unwrap();
        assert_eq!(cache.ttl(b"key"), Ok(TTL_NEVER));
    }
}

#[test]
fn a_callback_that_asks_for_limits_is_busy() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    cache.set(b"key", b"value", 0).unwrap();
    let mut cursor = larder::Cursor::default();
    let scan = cache.scan(&mut cursor, |_| {
        assert_eq!(cache.limits(), Err(Error::Busy));
        true
    });
    assert_eq!(scan, Ok(true));
}

#[test]
fn beside_the_longest_key_each_length_of_a_value_fits() {
    for size in [4 << 10, 8 << 10, 40 << 10] {
        for bits in 0..8 {
            let mut config = Config::default();
            config.policy = [PolicyKind::Default, PolicyKind::Lru][bits & 1];
            (config.item_times, config.checksum) = (bits & 2 != 0, bits & 4 != 0);
            let mut region = Region::new(size);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            let limits = cache.limits().unwrap();
            let key = vec![7; limits.key_len_max];
            for len in 0..=limits.value_len_max.min(1_100) {
                for (key, ttl) in [(&key[..], 50_000), (&key[..], 0), (&key[1..], 50_000)] {
                    cache.set(key, &vec![1; len], ttl).unwrap();
                    checked(&cache);
                }
            }
        }
    }
}
