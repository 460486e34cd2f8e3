//! No length is truncated: a key, value or block of more than 2^32 - 1 bytes is refused, and nothing changes.

#![cfg(all(feature = "hosted", target_os = "linux", target_pointer_width = "64"))]

mod common;

use common::mapping::Mapping;
use larder::{Cache, Config, Error, Pool, PoolConfig};

/// Lengths whose low 32 bits are 0, 1, 5, 5.
const LENGTHS: [usize; 4] = [1 << 32, (1 << 32) + 1, (1 << 32) + 5, (1 << 33) + 5];

#[test]
fn a_value_longer_than_its_length_can_say_is_too_large() {
    let mut region = Mapping::new(12 << 30).expect("address space");
    let mut value = Mapping::new(LENGTHS[3]).expect("address space");
    for shards in [0, 16] {
        let mut config = Config::default();
        config.shards = shards;
        let cache = Cache::new(region.bytes(), &config).unwrap();
        cache.set(b"there", b"value", 0).unwrap();
        for len in LENGTHS {
            let value = &value.bytes()[..len];
            for key in [&b"new"[..], b"there"] {
                assert_eq!(cache.set(key, value, 0), Err(Error::TooLarge));
                assert_eq!(cache.reserve(key, len, 0).err(), Some(Error::TooLarge));
            }
            assert_eq!(cache.add(b"new", value, 0), Err(Error::TooLarge));
            assert_eq!(cache.replace(b"there", value, 0), Err(Error::TooLarge));
        }
        let mut buffer = [0; 8];
        assert_eq!(cache.get(b"there", &mut buffer), Ok(5));
        assert_eq!((cache.item_count(), &buffer[..5]), (1, &b"value"[..]));
        assert_eq!(cache.check(), Ok(()));
    }
}

#[test]
fn no_region_is_large_enough_for_such_a_value() {
    for len in LENGTHS {
        for items in [1, 1 << 20] {
            let required = Cache::required_size(&Config::default(), items, 16, len);
            assert_eq!(required, Err(Error::TooLarge), "{items} of {len}");
        }
    }
}

#[test]
fn a_key_longer_than_its_length_can_say_is_too_large() {
    let mut region = common::Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let mut key = Mapping::new(LENGTHS[2]).expect("address space");
    let whole = cache.set(key.bytes(), b"v", 0);
    assert_eq!(whole, Err(Error::TooLarge));
    for len in [256, 257, 65_536 + 5, (1 << 24) + 5] {
        let key = &key.bytes()[..len];
        assert_eq!(cache.set(key, b"v", 0), Err(Error::TooLarge));
        assert_eq!(cache.get(key, &mut []), Err(Error::TooLarge));
        assert_eq!(cache.delete(key), Err(Error::TooLarge));
    }
    assert_eq!(cache.item_count(), 0);
}

#[test]
fn a_block_longer_than_the_pool_is_too_large() {
    let mut region = Mapping::new(1 << 30).expect("address space");
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    let page = 4096;
    for size in LENGTHS.into_iter().chain([page << 32, usize::MAX]) {
        assert_eq!(pool.alloc(size).err(), Some(Error::TooLarge), "{size}");
    }
    assert_eq!(pool.check(), Ok(()));
}
