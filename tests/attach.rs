//! Taking over a region: what was whole comes back, and nothing else does.

mod common;

use common::{Region, Rng, audited, checked, key, now_ms, set_now};
use larder::{AttachReport, Cache, Config, Error, Found, PolicyKind, TTL_NEVER};
use std::collections::BTreeMap;
use std::mem::forget;

const KIB: usize = 1024;

/// A configuration with this test's clock, changed.
fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default().clock(now_ms);
    config.hash_seed = 7;
    change(&mut config);
    config
}

/// Configurations that lay out regions and items in every way that there is.
fn configs() -> Vec<Config> {
    let mut configs = Vec::new();
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for (shards, item_times, checksum, zero_on_free) in [
            (1, false, false, false),
            (1, false, true, true),
            (2, true, true, false),
            (1, true, false, true),
        ] {
            configs.push(config(|c| {
                (c.policy, c.shards) = (policy, shards);
                (c.item_times, c.checksum) = (item_times, checksum);
                c.zero_on_free = zero_on_free;
            }));
        }
    }
    configs
}

fn copy_of(region: &mut Region) -> Region {
    let mut copy = Region::new(region.bytes().len());
    copy.bytes().copy_from_slice(region.bytes());
    copy
}

fn attach<'r>(region: &'r mut Region, config: &Config) -> (Cache<'r>, AttachReport) {
    let mut report = AttachReport::default();
    let cache = Cache::attach(region.bytes(), config, &mut report).unwrap();
    assert_eq!(report.found, Found::Cache);
    assert_eq!(report.items_recovered, cache.item_count());
    checked(&cache);
    audited(&cache);
    (cache, report)
}

/// A value that tells its key, version and length.
fn value(n: u64, version: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(n << 40 | version << 16 | len as u64);
    (0..len).map(|_| rng.next() as u8).collect()
}

/// Sets, deletes, touches and moves, in a region that is too small for all of it.
fn work(cache: &Cache<'_>, rng: &mut Rng, size: usize, ops: u32) {
    for version in 0..ops {
        let n = rng.below(size / 64) as u64;
        let ttl = [0, 0, 50_000, 3_000_000_000, TTL_NEVER][rng.below(5)];
        let len = rng.log_uniform(1, size / 16);
        let done = match rng.below(20) {
            0 => cache.delete(&key(n)),
            1 => cache.touch(&key(n), ttl),
            2 => cache.set_i64(&key(n), n as i64, ttl),
            3 => cache.increment(&key(n), 3).map(drop),
            4 => cache.optimize(64).map(drop),
            5 => cache.reserve(&key(n), len, ttl).and_then(|mut room| {
                for i in 0..room.span_count() {
                    room.span_mut(i)?.fill(n as u8);
                }
                room.commit()
            }),
            _ => cache.set(&key(n), &value(n, u64::from(version), len), ttl),
        };
        assert!(
            matches!(
                done,
                Ok(()) | Err(Error::NotFound | Error::TypeMismatch | Error::TooLarge)
            ),
            "{done:?}"
        );
        set_now(now_ms() + rng.below(20) as u64);
    }
}

type Items = BTreeMap<Vec<u8>, (Vec<u8>, u64, i32)>;

/// All items: value, TTL, type.
fn items(cache: &Cache<'_>) -> Items {
    let mut keys = Vec::new();
    cache
        .scan(&mut Default::default(), |item| {
            keys.push((item.key.to_vec(), item.value_type as i32));
            true
        })
        .unwrap();
    let items = keys.into_iter().map(|(key, kind)| {
        let mut buffer = vec![0; 1 << 20];
        let len = cache.get(&key, &mut buffer).unwrap();
        let ttl = cache.ttl(&key).unwrap();
        (key, (buffer[..len].to_vec(), ttl, kind))
    });
    items.collect()
}

#[test]
fn everything_comes_back_at_another_address() {
    for size in [4 * KIB, 16 * KIB, 64 * KIB, 1024 * KIB] {
        for config in configs() {
            if config.shards > 1 && size < 16 * KIB {
                continue;
            }
            set_now(1 << 41);
            let mut rng = Rng::new(size as u64);
            let mut region = Region::new(size);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            work(&cache, &mut rng, size, 3_000);
            let before = items(&cache);
            assert!(!before.is_empty());
            let then = now_ms();
            for _ in 0..3 {
                set_now(then);
                let mut other = copy_of(&mut region);
                let (cache, report) = attach(&mut other, &config);
                assert_eq!(report.items_dropped(), report.items_expired);
                assert!(items(&cache) == before);
                work(&cache, &mut rng, size, 1_000);
                checked(&cache);
            }
        }
    }
}

#[test]
fn the_index_is_made_for_items_and_not_for_their_parts() {
    let config = config(|_| ());
    let mut region = Region::new(8 * KIB * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"large", &value(1, 1, 3 * KIB * KIB), 0).unwrap();
    let used = cache.memory_usage();
    let (cache, _) = attach(&mut region, &config);
    assert_eq!(cache.memory_usage(), used);
}

#[test]
fn what_is_held_is_void_and_its_slots_are_free() {
    for config in configs() {
        set_now(5);
        // All of it may come to one of two shards.
        let mut region = Region::new(128 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        for (key, len) in [(b"short", 100), (b"large", 9_000)] {
            cache.set(key, &value(1, 1, len), 0).unwrap();
        }
        // Held for good: the owner does not get so far as to give them back.
        for _ in 0..2 {
            forget(cache.pin(b"short").unwrap());
            forget(cache.pin(b"large").unwrap());
            forget(cache.reserve(b"never", 9_000, 0).unwrap());
            forget(cache.reserve(b"never", 30, 0).unwrap());
        }
        cache.set(b"short", b"new", 0).unwrap();
        let (cache, report) = attach(&mut region, &config);
        assert_eq!(report.items_dropped(), 0);
        assert_eq!(cache.item_count(), 2);
        assert_eq!(cache.stats().views, 0);
        let mut buffer = [0; 9_000];
        assert_eq!(cache.get(b"short", &mut buffer), Ok(3));
        assert_eq!(cache.get(b"large", &mut buffer), Ok(9_000));
        assert_eq!(buffer[..], value(1, 1, 9_000));
        assert_eq!(cache.get(b"never", &mut buffer), Err(Error::NotFound));
        cache.delete(b"large").unwrap();
        cache.delete(b"short").unwrap();
        let empty = cache.memory_usage();
        cache.clear().unwrap();
        assert_eq!(cache.memory_usage(), empty, "nothing was lost");
    }
}

#[test]
fn exact_lru_keeps_its_order() {
    let config = config(|c| c.policy = PolicyKind::Lru);
    let mut rng = Rng::new(3);
    let mut region = Region::new(32 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    for _ in 0..3_000 {
        let n = rng.below(200) as u64;
        if cache.get(&key(n), &mut [0; 64]).is_err() {
            cache.set(&key(n), &[1; 40], 0).unwrap();
        }
    }
    let mut other = copy_of(&mut region);
    let cache = Cache::new(region.bytes(), &config);
    drop(cache);
    // The same evictions from here on, in the region that went on and in the copy.
    let mut third = copy_of(&mut other);
    let (mine, _) = attach(&mut other, &config);
    let (theirs, _) = attach(&mut third, &config);
    let order = |cache: &Cache<'_>| {
        let mut gone: Vec<u64> = Vec::new();
        let mut n = 1_000;
        while cache.item_count() > 0 && gone.len() < 100 {
            let before: Vec<u64> = (0..200)
                .filter(|&n| cache.contains(&key(n)).unwrap())
                .collect();
            cache.set(&key(n), &[1; 40], 0).unwrap();
            n += 1;
            gone.extend(
                before
                    .iter()
                    .filter(|&&n| !cache.contains(&key(n)).unwrap()),
            );
            if before.is_empty() {
                break;
            }
        }
        gone
    };
    let gone = order(&mine);
    assert!(gone.len() > 50);
    assert_eq!(gone, order(&theirs));
}

#[test]
fn what_holds_no_such_cache_is_told_apart_and_left_alone() {
    let config = config(|_| {});
    let mut region = Region::new(64 * KIB);
    Cache::new(region.bytes(), &config).unwrap();
    let other = |found: Found, error: Error, region: &mut Region, change: &dyn Fn(&mut Config)| {
        let mut config = config;
        change(&mut config);
        let before = region.bytes().to_vec();
        let mut report = AttachReport::default();
        let attached = Cache::attach(region.bytes(), &config, &mut report);
        assert_eq!(attached.map(drop), Err(error));
        assert_eq!(report.found, found);
        assert!(region.bytes() == &before[..], "nothing was written");
    };
    let layout = (Found::OtherLayout, Error::VersionMismatch);
    other(layout.0, layout.1, &mut region, &|c| c.shards = 2);
    other(layout.0, layout.1, &mut region, &|c| c.checksum = true);
    other(layout.0, layout.1, &mut region, &|c| c.item_times = true);
    other(layout.0, layout.1, &mut region, &|c| {
        c.policy = PolicyKind::Lru
    });
    other(Found::OtherSeed, layout.1, &mut region, &|c| {
        c.hash_seed = 8
    });
    let mut empty = Region::new(64 * KIB);
    other(Found::Nothing, Error::NotFound, &mut empty, &|_| {});
    let mut longer = Region::new(65 * KIB);
    longer.bytes()[..64 * KIB].copy_from_slice(region.bytes());
    other(layout.0, layout.1, &mut longer, &|_| {});
    // The version's word.
    region.bytes()[4] ^= 1;
    other(Found::OtherVersion, layout.1, &mut region, &|_| {});
}

#[test]
fn ttls_go_on_where_the_clock_stood() {
    let config = Config::default().clock(now_ms);
    set_now(10_000);
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"a", b"1", 1_000).unwrap();
    cache.set(b"b", b"2", 60_000).unwrap();
    set_now(10_400);
    assert_eq!(cache.ttl(b"a"), Ok(600));

    let mut later = copy_of(&mut region);
    set_now(10_500);
    let (cache, _) = attach(&mut later, &config);
    assert_eq!(cache.ttl(b"a"), Ok(500));

    // A clock that has started anew.
    let mut anew = copy_of(&mut region);
    set_now(3);
    let (cache, _) = attach(&mut anew, &config);
    assert_eq!(cache.ttl(b"a"), Ok(600));
    set_now(603);
    assert_eq!(cache.get(b"a", &mut [0; 8]), Err(Error::NotFound));

    set_now(12_000);
    let (cache, _) = attach(&mut region, &config);
    assert_eq!(cache.get(b"a", &mut [0; 8]), Err(Error::NotFound));
    assert_eq!(cache.ttl(b"b"), Ok(58_000));
}

#[test]
fn a_time_set_by_hand_goes_on() {
    let config = Config::default();
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set_time(1_000).unwrap();
    cache.set(b"a", b"1", 1_000).unwrap();
    cache.set_time(1_100).unwrap();
    let (cache, _) = attach(&mut region, &config);
    cache.set_time(1_300).unwrap();
    assert_eq!(cache.ttl(b"a"), Ok(700));
}

#[test]
fn damage_is_found_by_the_checksum_and_the_item_goes() {
    for len in [10, 3_000, 20_000] {
        let config = config(|c| c.checksum = true);
        let mut region = Region::new(64 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let mark = value(9, 9, len);
        cache.set(b"key", &mark, 0).unwrap();
        assert_eq!(cache.get(b"key", &mut vec![0; len]), Ok(len));
        let tail = &mark[len - 8..];
        let at = region.bytes().windows(8).position(|w| w == tail).unwrap();
        region.bytes()[at + 3] ^= 0x10;

        let mut copy = copy_of(&mut region);
        let mut report = AttachReport::default();
        let cache = Cache::attach(copy.bytes(), &config, &mut report).unwrap();
        assert_eq!((report.items_recovered, report.items_corrupt), (0, 1));
        checked(&cache);
    }
}

// ---- regions that somebody made up: what no owner leaves does not come back ----------------------------

/// A page's descriptor while nobody has it; its class is byte 14, its flags are byte 15, its base is word 4.
const DESCRIPTOR: [u8; 24] = [
    255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0,
    0, 0,
];

/// Where the descriptor of the first page that nobody has lies.
fn free_descriptor(bytes: &[u8]) -> usize {
    let at = bytes.windows(24).position(|w| w == DESCRIPTOR);
    at.expect("some page is free")
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn change_word(bytes: &mut [u8], at: usize, change: impl FnOnce(u32) -> u32) {
    let new = change(word(bytes, at));
    bytes[at..at + 4].copy_from_slice(&new.to_ne_bytes());
}

/// Where the one item with this key starts, whose header has so many words.
fn item_at(bytes: &[u8], key: &[u8], words: usize) -> usize {
    let at = bytes.windows(key.len()).position(|w| w == key);
    at.expect("the item is there") - 4 * words
}

const TTL_BIT: u32 = 1 << 24;

/// A region of 4 KiB, with one item, which `forge` changes; what comes of it.
fn forged(
    value: &[u8],
    ttl: u64,
    forge: impl FnOnce(&mut [u8]),
    then: impl FnOnce(&Cache<'_>, &AttachReport),
) {
    set_now(1 << 41);
    let config = config(|_| {});
    let mut region = Region::new(4 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"the key", value, ttl).unwrap();
    forge(region.bytes());
    let (cache, report) = attach(&mut region, &config);
    then(&cache, &report);
    let _ = cache.touch(b"the key", 50_000);
    let _ = cache.increment(b"the key", 1);
    let _ = cache.optimize(0);
    checked(&cache);
    audited(&cache);
}

#[test]
fn a_free_page_of_a_class_that_is_none_is_free() {
    let forge = |bytes: &mut [u8]| {
        let at = free_descriptor(bytes);
        (bytes[at + 14], bytes[at + 15]) = (250, 2);
    };
    forged(b"value", 0, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_dropped()), (1, 0));
    });
}

#[test]
fn an_item_without_room_for_an_expiry_is_none() {
    // The largest slot has 128 bytes, of which an owner leaves four for the expiry.
    let forge = |bytes: &mut [u8]| {
        let at = item_at(bytes, b"the key", 1);
        change_word(bytes, at, |word| word + (4 << 8));
    };
    forged(&[1; 128 - 4 - 7 - 4], 0, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_torn), (0, 1));
    });
}

#[test]
fn a_chained_item_without_an_expiry_is_none() {
    let forge = |bytes: &mut [u8]| {
        let at = item_at(bytes, b"the key", 4);
        change_word(bytes, at, |word| word & !TTL_BIT);
        bytes.copy_within(at + 8..at + 128, at + 4);
        change_word(bytes, at + 4, |len| len + 4);
    };
    forged(&[1; 300], 0, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_torn), (0, 1));
    });
}

#[test]
fn a_chained_number_is_none() {
    let forge = |bytes: &mut [u8]| {
        let at = item_at(bytes, b"the key", 4);
        change_word(bytes, at, |word| word | 2 << 21);
        change_word(bytes, at + 8, |_| 8);
        change_word(bytes, at + 12, |_| u32::MAX);
    };
    forged(&[1; 300], 0, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_torn), (0, 1));
    });
}

#[test]
fn a_part_that_no_item_leads_to_is_free() {
    let forge = |bytes: &mut [u8]| {
        let at = item_at(bytes, b"the key", 4);
        let part = (0..bytes.len())
            .step_by(4)
            .rfind(|&at| word(bytes, at) == 2 << 29);
        // What an attach marks the parts of whole items with.
        change_word(bytes, part.expect("a part"), |_| 6 << 29);
        change_word(bytes, at, |_| 3 << 29);
    };
    forged(&[1; 300], 0, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_recovered), (0, 0));
    });
}

#[test]
fn no_base_of_a_page_gives_a_longer_life() {
    let forge = |bytes: &mut [u8]| {
        // The page of the item is the last one that was taken.
        let at = free_descriptor(bytes) - 24;
        assert_eq!(bytes[at + 15] & 1, 1);
        change_word(bytes, at + 16, |base| base + (1 << 20));
    };
    forged(b"value", 1_000, forge, |cache, report| {
        assert_eq!((cache.item_count(), report.items_torn), (0, 1));
    });
}

#[test]
fn an_item_in_a_shard_that_is_not_its_own_is_none() {
    let config = config(|c| c.shards = 2);
    let mut region = Region::new(32 * KIB);
    Cache::new(region.bytes(), &config).unwrap();
    let first = free_descriptor(region.bytes());
    let pages = region.bytes()[first..]
        .chunks_exact(24)
        .take_while(|chunk| *chunk == DESCRIPTOR)
        .count();
    let second = first + pages * 24 + free_descriptor(&region.bytes()[first + pages * 24..]);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    for n in 0..50 {
        cache.set(&key(n), &[1; 20], 0).unwrap();
    }
    // The two parts of the region change places, page descriptors first.
    let (one, other) = region.bytes().split_at_mut(second);
    let len = (second - first).min(other.len());
    one[first..first + len].swap_with_slice(&mut other[..len]);
    let (cache, report) = attach(&mut region, &config);
    assert_eq!(report.items_recovered, 0);
    assert!(report.items_torn > 20, "{report:?}");
    assert_eq!(cache.item_count(), 0);
}

#[test]
#[cfg(feature = "hosted")]
fn a_clock_that_nobody_set_is_not_waited_for() {
    let config = Config::default();
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set_time(1_000).unwrap();
    let by_hand = region
        .bytes()
        .windows(4)
        .position(|w| w == u32::from_le_bytes(*b"hand").to_ne_bytes())
        .unwrap();
    change_word(region.bytes(), by_hand, |_| 1);
    let (cache, _) = attach(&mut region, &config);
    cache.set(b"key", b"value", 1).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(cache.get(b"key", &mut [0; 8]), Err(Error::NotFound));
}

/// Memory that a cache has, changed behind its back, as a failing cell does it.
#[allow(unsafe_code)]
fn change_behind_its_back(base: *mut u8, at: usize, change: impl FnOnce(u32) -> u32) {
    // SAFETY: the offset lies inside the region that the pointer is of, and no call is under way.
    let word = unsafe { base.add(at).cast::<u32>() };
    // SAFETY: as above; offsets of words are multiples of four.
    let old = unsafe { word.read() };
    // SAFETY: as above.
    unsafe { word.write(change(old)) };
}

#[test]
fn a_chain_that_leads_anywhere_is_found_by_the_checksum() {
    let somewhere = |part: u32| [part + 1, part + 3, 0, 1 << 30, u32::MAX - 1, 64];
    for i in 0..6 {
        for policy in [PolicyKind::Default, PolicyKind::Lru] {
            let config = config(|c| (c.policy, c.checksum) = (policy, true));
            let mut region = Region::new(64 * KIB);
            let base = region.bytes().as_mut_ptr();
            let cache = Cache::new(region.bytes(), &config).unwrap();
            cache.set(b"the key", &[1; 5_000], 0).unwrap();
            cache.set(b"other", &[2; 500], 0).unwrap();
            let words = if policy == PolicyKind::Lru { 8 } else { 5 };
            let at = item_at(cache_bytes(base, 64 * KIB), b"the key", words);
            change_behind_its_back(base, at + 4 * words - 4, |part| somewhere(part)[i]);
            let mut buffer = [0; 5_000];
            assert_eq!(cache.get(b"the key", &mut buffer), Err(Error::Corrupt));
            assert_eq!(cache.get(b"the key", &mut buffer), Err(Error::NotFound));
            assert_eq!(cache.get(b"other", &mut buffer), Ok(500));
            assert_eq!(cache.stats().failed_corrupt, 1);
        }
    }
}

#[allow(unsafe_code)]
fn cache_bytes<'r>(base: *const u8, len: usize) -> &'r [u8] {
    // SAFETY: the region lives as long as its test, and no call is under way.
    unsafe { std::slice::from_raw_parts(base, len) }
}

#[test]
fn an_index_whose_items_are_all_gone_is_as_small_as_a_new_one() {
    for (seed, items) in (0..40).map(|i| (i, 100 + i * 5)) {
        let config = config(|c| (c.policy, c.hash_seed) = (PolicyKind::Lru, seed));
        let mut region = Region::new(1024 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let empty = cache.memory_usage();
        for n in 0..items {
            // In several parts, which need no place in the index.
            cache.set(&key(n), &[1; 2_500], 0).unwrap();
        }
        let (cache, _) = attach(&mut region, &config);
        for n in 0..items {
            cache.delete(&key(n)).unwrap();
        }
        cache.optimize(0).unwrap();
        assert_eq!(
            cache.memory_usage(),
            empty,
            "after {items} items, seed {seed}"
        );
    }
}
