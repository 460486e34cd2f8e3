//! Time that the host sets. Without a clock (`hosted` is off), time starts at 0 and only `set_time` changes it.

mod common;

use common::Region;
use larder::{Cache, Config, Error, Result};

fn get(cache: &Cache, key: &[u8]) -> Result<usize> {
    cache.get(key, &mut [0; 8])
}

fn configs() -> [Config; 2] {
    [1, 4].map(|shards| {
        let mut config = Config::default();
        (config.shards, config.default_ttl_ms, config.item_times) = (shards, 500, true);
        config
    })
}

#[test]
fn a_time_set_before_the_first_item_moves_by_differences() {
    for start in [0, 1_000, 1_700_000_000_000, 1 << 50] {
        for config in configs() {
            let mut region = Region::new(256 << 10);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            cache.set_time(start).unwrap();
            cache.set(b"short", b"1", 100).unwrap();
            cache.set(b"default", b"2", 0).unwrap();
            cache.set(b"long", b"3", 3_650 * 24 * 3_600_000).unwrap();
            cache.set_time(start + 99).unwrap();
            assert_eq!(cache.ttl(b"short"), Ok(1));
            cache.set_time(start + 100).unwrap();
            assert_eq!(get(&cache, b"short"), Err(Error::NotFound));
            // A smaller time changes nothing.
            cache.set_time(start).unwrap();
            assert_eq!(cache.ttl(b"default"), Ok(400));
            cache.set_time(start + 400).unwrap();
            assert_eq!(get(&cache, b"default"), Err(Error::NotFound));
            assert_eq!(get(&cache, b"long"), Ok(1));
            cache.check().unwrap();
        }
    }
}

#[cfg(not(feature = "hosted"))]
#[test]
fn without_a_clock_the_time_is_0_until_it_is_set() {
    for config in configs() {
        let mut region = Region::new(256 << 10);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        for i in 0..100u32 {
            cache.set(&i.to_ne_bytes(), b"value", 1_000).unwrap();
        }
        cache.set(b"default", b"1", 0).unwrap();
        cache.set(b"never", b"2", larder::TTL_NEVER).unwrap();
        assert_eq!(cache.ttl(b"default"), Ok(500));

        cache.set_time(499).unwrap();
        assert_eq!(cache.ttl(b"default"), Ok(1));
        cache.set_time(500).unwrap();
        assert_eq!(get(&cache, b"default"), Err(Error::NotFound));
        cache.set(b"later", b"3", 1_000).unwrap();
        cache.set_time(1_000).unwrap();
        for i in 0..100u32 {
            assert_eq!(get(&cache, &i.to_ne_bytes()), Err(Error::NotFound));
        }
        assert_eq!(cache.ttl(b"later"), Ok(500));
        assert_eq!(get(&cache, b"never"), Ok(1));
        cache.check().unwrap();
    }
}

/// Firmware that learns the calendar's time late. Items stored before are then older than their TTLs.
#[cfg(not(feature = "hosted"))]
#[test]
fn a_first_time_after_years_expires_items_stored_before() {
    for config in configs() {
        let mut region = Region::new(256 << 10);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        cache.set(b"before", b"1", 3_600_000).unwrap();
        cache.set_time(1_700_000_000_000).unwrap();
        assert_eq!(get(&cache, b"before"), Err(Error::NotFound));
        cache.set(b"after", b"2", 100).unwrap();
        cache.set_time(1_700_000_000_099).unwrap();
        assert_eq!(get(&cache, b"after"), Ok(1));
        cache.set_time(1_700_000_000_100).unwrap();
        assert_eq!(get(&cache, b"after"), Err(Error::NotFound));
        cache.check().unwrap();
    }
}

#[cfg(feature = "hosted")]
#[test]
fn the_librarys_clock_counts_until_the_time_is_set() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    cache.set(b"key", b"1", 1_000_000).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    cache.set_time(7).unwrap();
    let left = cache.ttl(b"key").unwrap();
    assert!(left <= 1_000_000 - 30, "{left}");
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(cache.ttl(b"key"), Ok(left));
    cache.set_time(7 + left).unwrap();
    assert_eq!(get(&cache, b"key"), Err(Error::NotFound));
}
