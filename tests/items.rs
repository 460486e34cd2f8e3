//! Tags, versions, values that change in place, leases, deletion by rule. Every invariant holds after every step.

mod common;

use common::{Region, Rng, key, now_ms, set_now};
use larder::{
    AttachReport, Cache, Config, Cursor, Error, Overflow, PolicyKind, Put, PutMode, Reading,
    TTL_KEEP, TTL_NEVER,
};
use std::collections::HashMap;

const KIB: usize = 1 << 10;
const PEEK: Reading = Reading {
    peeks: true,
    stale: false,
};
const STALE_OK: Reading = Reading {
    peeks: false,
    stale: true,
};

fn configs() -> Vec<Config> {
    let mut all = Vec::new();
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for words in [0, 1, 2, 3] {
            let mut config = Config::default().clock(now_ms);
            config.policy = policy;
            (config.item_tags, config.item_versions) = (true, true);
            (config.checksum, config.item_times) = (words & 1 != 0, words & 2 != 0);
            all.push(config);
        }
    }
    all
}

fn with_caches(size: usize, test: impl Fn(&Cache<'_>)) {
    for config in configs() {
        set_now(1_000_000);
        let mut region = Region::new(size);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        test(&cache);
        cache.check().unwrap();
    }
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Put<'a> {
    Put {
        key,
        value,
        ..Put::default()
    }
}

fn value_of(cache: &Cache<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 1 << 16];
    let len = cache.get(key, &mut buffer).ok()?;
    buffer.truncate(len);
    Some(buffer)
}

#[test]
fn a_put_stores_where_its_mode_says() {
    with_caches(64 * KIB, |cache| {
        let with = |mode, value| {
            cache.put(&Put {
                mode,
                tag: 7,
                ..put(b"k", value)
            })
        };
        assert_eq!(with(PutMode::Replace, b"no"), Err(Error::NotFound));
        assert_eq!(with(PutMode::IfVersion(1), b"no"), Err(Error::NotFound));
        let first = with(PutMode::Add, b"one").unwrap();
        assert_eq!(with(PutMode::Add, b"no"), Err(Error::Exists));
        let second = with(PutMode::Replace, b"twotwo").unwrap();
        assert!(second > first);
        assert_eq!(with(PutMode::IfVersion(first), b"no"), Err(Error::Stale));
        let third = with(PutMode::IfVersion(second), b"three").unwrap();
        assert!(third > second);
        let (item, copied) = cache
            .get_item(b"k", &mut [0; 8], Reading::default())
            .unwrap();
        assert!(copied);
        assert_eq!((item.version, item.tag, item.value_len), (third, 7, 5));
        assert_eq!(
            (item.ttl_ms, value_of(cache, b"k")),
            (TTL_NEVER, Some(b"three".to_vec()))
        );
    });
}

/// Every change of a value gives it a new version. A change of tag or TTL does not.
#[test]
fn versions_grow_with_every_change() {
    with_caches(64 * KIB, |cache| {
        let version = |key: &[u8]| cache.get_item(key, &mut [], PEEK).unwrap().0.version;
        cache.set(b"k", b"v", 0).unwrap();
        let mut last = version(b"k");
        let mut grown = |what: &str| {
            let now = version(b"k");
            assert!(now > last, "{what}: {last}, then {now}");
            last = now;
        };
        cache.set(b"k", b"w", 0).unwrap();
        grown("over the old one");
        cache.append(b"k", b"more").unwrap();
        grown("append");
        let mut reservation = cache.reserve(b"k", 3, 0).unwrap();
        reservation.bytes_mut().unwrap().copy_from_slice(b"abc");
        reservation.commit().unwrap();
        grown("commit");
        cache.delete(b"k").unwrap();
        cache.set_u64(b"k", 1, 0).unwrap();
        grown("another item");
        cache.increment(b"k", 1).unwrap();
        grown("increment");
        cache.set_tag(b"k", u32::MAX, 5).unwrap();
        cache.touch(b"k", 5000).unwrap();
        assert_eq!(version(b"k"), last);
    });
}

#[test]
fn a_tag_changes_in_place_and_stays_with_its_item() {
    with_caches(64 * KIB, |cache| {
        assert_eq!(cache.set_tag(b"k", 1, 1), Err(Error::NotFound));
        cache
            .put(&Put {
                tag: 0xff00,
                ..put(b"k", b"v")
            })
            .unwrap();
        assert_eq!(cache.set_tag(b"k", 0x0ff0, 0xabcd), Ok(0xff00));
        let tag = || cache.get_item(b"k", &mut [], PEEK).unwrap().0.tag;
        assert_eq!(tag(), 0xfbc0);
        // The item gets a word for its TTL, then a longer value.
        cache.touch(b"k", 10_000).unwrap();
        cache.append(b"k", &[1; 3000]).unwrap();
        assert_eq!(tag(), 0xfbc0);
        cache.set(b"k", b"w", 0).unwrap();
        assert_eq!(tag(), 0, "only a put sets a tag");
    });
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let tagged = Put {
        tag: 1,
        ..put(b"k", b"v")
    };
    assert_eq!(cache.put(&tagged), Err(Error::Invalid));
    assert_eq!(cache.put(&put(b"k", b"v")), Ok(0));
    assert_eq!(cache.set_tag(b"k", 1, 1), Err(Error::Invalid));
    let versioned = Put {
        mode: PutMode::IfVersion(0),
        ..put(b"k", b"v")
    };
    assert_eq!(cache.put(&versioned), Err(Error::Invalid));
}

#[test]
fn a_peek_is_not_counted() {
    with_caches(16 * KIB, |cache| {
        cache.set(b"k", b"value", 3000).unwrap();
        let before = cache.stats();
        assert_eq!(cache.get_item(b"l", &mut [], PEEK), Err(Error::NotFound));
        let (item, copied) = cache.get_item(b"k", &mut [0; 2], PEEK).unwrap();
        assert!(!copied && item.value_len == 5 && item.ttl_ms == 3000);
        let after = cache.stats();
        assert_eq!((after.hits, after.misses), (before.hits, before.misses));
        cache
            .get_item(b"k", &mut [0; 5], Reading::default())
            .unwrap();
        assert_eq!(cache.stats().hits, before.hits + 1);
    });
}

#[test]
fn a_time_to_live_is_kept_on_request() {
    with_caches(64 * KIB, |cache| {
        cache.set(b"k", b"v", 10_000).unwrap();
        set_now(1_004_000);
        for value in [&b"w"[..], &[3; 900]] {
            cache.set(b"k", value, TTL_KEEP).unwrap();
            assert_eq!(cache.ttl(b"k"), Ok(6000), "{}", value.len());
        }
        cache.touch(b"k", TTL_KEEP).unwrap();
        let reservation = cache.reserve(b"k", 4, TTL_KEEP).unwrap();
        reservation.commit().unwrap();
        assert_eq!(cache.ttl(b"k"), Ok(6000));
        cache.set(b"new", b"v", TTL_KEEP).unwrap();
        assert_eq!(cache.ttl(b"new"), Ok(TTL_NEVER));
        set_now(1_010_000);
        assert_eq!(cache.contains(b"k"), Ok(false));
    });
}

#[test]
fn a_put_without_eviction_evicts_nothing() {
    with_caches(16 * KIB, |cache| {
        let mut stored = 0;
        let full = loop {
            let key = key(stored);
            match cache.put(&Put {
                no_evict: true,
                ..put(&key, &[1; 50])
            }) {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((full, cache.stats().evictions), (Error::NoMemory, 0));
        assert!(
            stored > 60 && (0..stored).all(|n| cache.contains(&key(n)) == Ok(true)),
            "{stored}"
        );
        // Overwriting needs no eviction, and deleted items make room.
        cache
            .put(&Put {
                no_evict: true,
                ..put(&key(0), &[2; 50])
            })
            .unwrap();
        for n in 0..stored / 2 {
            cache.delete(&key(n)).unwrap();
        }
        cache
            .put(&Put {
                no_evict: true,
                ..put(b"again", &[1; 50])
            })
            .unwrap();
        assert_eq!(cache.stats().evictions, 0);
    });
}

/// Values of no byte up to several pages grow at both ends.
#[test]
fn added_bytes_are_at_their_end() {
    with_caches(MANY, |cache| {
        let mut rng = Rng::new(1);
        for n in 0..200 {
            let key = key(n % 7);
            let mut expected = value_of(cache, &key).unwrap_or_default();
            if expected.is_empty() || expected.len() > 30_000 {
                expected = vec![n as u8; rng.below(9)];
                cache.set(&key, &expected, 60_000).unwrap();
            }
            let added = vec![n as u8; rng.log_uniform(1, 6000) - 1];
            if rng.below(2) == 0 {
                cache.append(&key, &added).unwrap();
                expected.extend(&added);
            } else {
                cache.prepend(&key, &added).unwrap();
                expected.splice(0..0, added);
            }
            assert!(value_of(cache, &key) == Some(expected), "{n}");
            assert_eq!(cache.ttl(&key), Ok(60_000));
            cache.check().unwrap();
        }
        assert_eq!(cache.append(b"none", b"x"), Err(Error::NotFound));
        cache.set_str(b"text", "x", 0).unwrap();
        assert_eq!(cache.append(b"text", b"x"), Err(Error::TypeMismatch));
        cache.set(b"k", b"x", 0).unwrap();
        let too_long = vec![0; MANY];
        assert_eq!(cache.append(b"k", &too_long), Err(Error::TooLarge));
        assert_eq!(value_of(cache, b"k"), Some(b"x".to_vec()));
    });
}

const MANY: usize = 400 * KIB;

/// A view still reads the value that it pins.
#[test]
fn a_pinned_value_grows_beside_its_view() {
    with_caches(64 * KIB, |cache| {
        cache.set(b"k", b"held", 0).unwrap();
        let view = cache.pin(b"k").unwrap();
        cache.append(b"k", b" and more").unwrap();
        assert_eq!(view.bytes(), Some(&b"held"[..]));
        drop(view);
        assert_eq!(value_of(cache, b"k"), Some(b"held and more".to_vec()));
    });
}

#[test]
fn an_unsigned_sum_wraps_or_stays() {
    with_caches(16 * KIB, |cache| {
        cache.set_u64(b"n", u64::MAX - 1, 9000).unwrap();
        assert_eq!(cache.add_u64(b"n", 1, Overflow::Saturate), Ok(u64::MAX));
        assert_eq!(cache.add_u64(b"n", 5, Overflow::Saturate), Ok(u64::MAX));
        assert_eq!(cache.add_u64(b"n", 5, Overflow::Wrap), Ok(4));
        assert_eq!(cache.add_u64(b"n", -5, Overflow::Saturate), Ok(0));
        assert_eq!(cache.add_u64(b"n", -1, Overflow::Wrap), Ok(u64::MAX));
        assert_eq!(
            (cache.get_u64(b"n"), cache.ttl(b"n")),
            (Ok(u64::MAX), Ok(9000))
        );
        cache.set_i64(b"i", 1, 0).unwrap();
        assert_eq!(
            cache.add_u64(b"i", 1, Overflow::Wrap),
            Err(Error::TypeMismatch)
        );
        assert_eq!(
            cache.add_u64(b"none", 1, Overflow::Wrap),
            Err(Error::NotFound)
        );
    });
}

#[test]
fn one_of_many_gets_the_lease() {
    with_caches(64 * KIB, |cache| {
        let lease = cache.lease(b"k", 1000).unwrap();
        assert_eq!(cache.lease(b"k", 1000), Err(Error::Busy));
        // No call returns a lease as a value.
        assert_eq!(cache.get(b"k", &mut [0; 99]), Err(Error::NotFound));
        assert_eq!(cache.contains(b"k"), Ok(false));
        assert_eq!(cache.pin(b"k").err(), Some(Error::NotFound));
        assert_eq!(cache.replace(b"k", b"v", 0), Err(Error::NotFound));
        assert_eq!(cache.append(b"k", b"v"), Err(Error::NotFound));
        assert_eq!(cache.touch(b"k", 5), Err(Error::NotFound));
        assert_eq!(cache.increment(b"k", 5), Err(Error::NotFound));
        let mut seen = 0;
        cache
            .scan(&mut Cursor::default(), |_| {
                seen += 1;
                true
            })
            .unwrap();
        assert_eq!(seen, 0);
        cache.fill(&lease, b"value", 5000).unwrap();
        assert_eq!(value_of(cache, b"k"), Some(b"value".to_vec()));
        assert_eq!(cache.ttl(b"k"), Ok(5000));
        assert_eq!(cache.lease(b"k", 1000), Err(Error::Exists));
        assert_eq!(cache.fill(&lease, b"again", 0), Err(Error::Stale));
        for none in [0, TTL_KEEP, TTL_NEVER] {
            assert_eq!(cache.lease(b"l", none), Err(Error::Invalid));
        }
    });
}

/// A change of the key between lease and fill.
type Between = fn(&Cache<'_>);

#[test]
fn a_value_fetched_before_a_change_is_not_stored_after_it() {
    let changes: [(&str, Between, Option<&[u8]>); 6] = [
        (
            "delete",
            |cache| assert_eq!(cache.delete(b"k"), Err(Error::NotFound)),
            None,
        ),
        (
            "set",
            |cache| cache.set(b"k", b"new", 0).unwrap(),
            Some(b"new"),
        ),
        (
            "add",
            |cache| cache.add(b"k", b"new", 0).unwrap(),
            Some(b"new"),
        ),
        ("clear", |cache| cache.clear().unwrap(), None),
        ("time", |_| set_now(1_001_000), None),
        (
            "the next lease",
            |cache| {
                set_now(1_001_000);
                cache.lease(b"k", 1000).unwrap();
            },
            None,
        ),
    ];
    for (what, change, after) in changes {
        with_caches(64 * KIB, |cache| {
            let lease = cache.lease(b"k", 1000).unwrap();
            change(cache);
            assert_eq!(cache.fill(&lease, b"old", 0), Err(Error::Stale), "{what}");
            assert_eq!(value_of(cache, b"k").as_deref(), after, "{what}");
        });
    }
}

/// Leases are moved, evicted and cleaned as items are, and are never returned as values.
#[test]
fn leases_live_as_items_do() {
    with_caches(24 * KIB, |cache| {
        let mut rng = Rng::new(3);
        let mut leases = HashMap::new();
        for n in 0..4000 {
            let number = rng.below(300) as u64;
            match rng.below(3) {
                0 => drop(cache.set(&key(1000 + number), &vec![1; rng.below(200)], 0)),
                1 => {
                    if let Ok(lease) = cache.lease(&key(number), 1 << 30) {
                        leases.insert(number, lease);
                    }
                }
                _ => {
                    if let Some(lease) = leases.remove(&number) {
                        match cache.fill(&lease, &number.to_le_bytes(), 0) {
                            Ok(()) => assert_eq!(
                                value_of(cache, &key(number)),
                                Some(number.to_le_bytes().to_vec())
                            ),
                            Err(error) => assert_eq!(error, Error::Stale),
                        }
                    }
                }
            }
            for number in leases.keys().take(3) {
                assert_eq!(cache.contains(&key(*number)), Ok(false));
            }
            if n % 50 == 0 {
                cache.check().unwrap();
                cache.optimize(if n % 100 == 0 { 0 } else { 30 }).unwrap();
            }
        }
        assert!(cache.stats().evictions > 100);
    });
}

#[test]
fn versions_and_tags_outlive_their_owner_and_leases_do_not() {
    for config in configs() {
        set_now(1_000_000);
        let mut region = Region::new(64 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let version = cache
            .put(&Put {
                tag: 9,
                ..put(b"k", &[7; 900])
            })
            .unwrap();
        cache.lease(b"l", 1 << 30).unwrap();
        cache.set(b"gone", b"v", 0).unwrap();
        let last = cache.get_item(b"gone", &mut [], PEEK).unwrap().0.version;
        cache.delete(b"gone").unwrap();
        let mut report = AttachReport::default();
        let cache = Cache::attach(region.bytes(), &config, &mut report).unwrap();
        cache.check().unwrap();
        let (item, _) = cache
            .get_item(b"k", &mut [0; 900], Reading::default())
            .unwrap();
        assert_eq!((item.version, item.tag), (version, 9));
        assert_eq!(cache.item_count(), 1);
        cache.lease(b"l", 1000).unwrap();
        assert!(
            cache.put(&put(b"gone", b"v")).unwrap() > last,
            "a version was used twice"
        );
    }
}

#[test]
fn items_selected_by_a_rule_are_deleted_in_slices() {
    with_caches(MANY, |cache| {
        for n in 0..600 {
            cache.set(&key(n), &n.to_le_bytes(), 0).unwrap();
        }
        cache.lease(b"lease", 1000).unwrap();
        let view = cache.pin(&key(1)).unwrap();
        let odd = |item: &larder::ItemInfo<'_>| item.span.first().is_some_and(|n| n % 2 == 1);
        let (mut cursor, mut gone, mut calls) = (Cursor::default(), 0, 0);
        loop {
            let (deleted, done) = cache.delete_if(&mut cursor, 50, odd).unwrap();
            (gone, calls) = (gone + deleted, calls + 1);
            assert!(deleted <= 50);
            cache.check().unwrap();
            if done {
                break;
            }
        }
        assert_eq!((gone, calls), (300, 13));
        assert_eq!(view.bytes(), Some(&1_u64.to_le_bytes()[..]));
        drop(view);
        for n in 0..600 {
            assert_eq!(cache.contains(&key(n)), Ok(n % 2 == 0));
        }
        let all = cache
            .delete_if(&mut Cursor::default(), 0, |_| true)
            .unwrap();
        assert_eq!(all, (300, true));
        assert_eq!(cache.stats().deletes, 600);
    });
}

#[test]
fn clear_removes_every_item_and_keeps_the_bytes_of_views() {
    with_caches(64 * KIB, |cache| {
        for n in 0..300 {
            cache
                .set(&key(n), &[n as u8; 40], u64::from(n % 3 == 0) * 50)
                .unwrap();
        }
        let view = cache.pin(&key(299)).unwrap();
        let mut reservation = cache.reserve(b"r", 3, 0).unwrap();
        set_now(1_000_100);
        cache.clear().unwrap();
        cache.check().unwrap();
        assert_eq!((cache.item_count(), view.bytes()), (0, Some(&[43; 40][..])));
        assert_eq!(cache.contains(&key(299)), Ok(false));
        drop(view);
        reservation.bytes_mut().unwrap().copy_from_slice(b"new");
        assert_eq!(reservation.commit(), Err(Error::Stale));
        assert_eq!((cache.item_count(), cache.stats().reservations), (0, 0));
    });
}

/// Also in a cache without TTLs, whose other calls do not read the clock.
#[test]
fn an_age_ends_at_the_present_time() {
    set_now(1_000_000);
    let mut region = Region::new(16 * KIB);
    let mut config = Config::default().clock(now_ms);
    config.item_times = true;
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"k", b"v", 0).unwrap();
    set_now(1_000_250);
    assert_eq!(
        cache.get_item(b"k", &mut [], PEEK).unwrap().0.age_ms,
        Some(250)
    );
    set_now(1_000_500);
    assert_eq!(cache.inspect(b"k", |item| item.age_ms), Ok(Some(500)));
    set_now(1_000_750);
    let mut ages = Vec::new();
    let visit = |item: &larder::ItemInfo<'_>| {
        ages.push(item.age_ms);
        true
    };
    cache.scan(&mut Cursor::default(), visit).unwrap();
    assert_eq!(ages, [Some(750)]);
}

/// During its grace only a request for stale items returns an expired item. Afterwards the item is removed.
#[test]
fn an_expired_item_is_read_in_its_grace_alone() {
    for mut config in configs() {
        set_now(1_000_000);
        config.grace_ms = 500;
        let mut region = Region::new(64 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let tagged = Put {
            tag: 3,
            ttl_ms: 1000,
            ..put(b"k", b"value")
        };
        cache.put(&tagged).unwrap();
        cache.set(b"other", b"value", 1000).unwrap();
        let stale = || cache.get_item(b"k", &mut [0; 8], STALE_OK);
        assert_eq!(stale().map(|(item, _)| item.is_stale), Ok(false));
        set_now(1_001_499);
        cache.optimize(0).unwrap();
        let none = Err(Error::NotFound);
        assert_eq!(cache.get(b"k", &mut [0; 8]), none);
        assert_eq!(
            cache.get_item(b"k", &mut [0; 8], PEEK),
            Err(Error::NotFound)
        );
        assert_eq!(
            (cache.contains(b"k"), cache.ttl(b"k")),
            (Ok(false), Err(Error::NotFound))
        );
        assert_eq!(cache.replace(b"none", b"v", 0), Err(Error::NotFound));
        let hits = cache.stats().hits;
        let (item, copied) = stale().unwrap();
        assert!(copied && item.is_stale && item.tag == 3 && item.ttl_ms == 0);
        assert_eq!((cache.stats().hits, cache.stats().expirations), (hits, 0));
        let mut seen = 0;
        let count = |_: &larder::ItemInfo<'_>| {
            seen += 1;
            true
        };
        cache.scan(&mut Cursor::default(), count).unwrap();
        assert_eq!(seen, 0);
        // A deletion ends the grace, and so does a new value.
        assert_eq!(cache.delete(b"other"), Err(Error::NotFound));
        assert_eq!(
            cache.get_item(b"other", &mut [0; 8], STALE_OK),
            Err(Error::NotFound)
        );
        cache.check().unwrap();
        set_now(1_001_500);
        assert_eq!(stale().map(|(item, _)| item.is_stale), Err(Error::NotFound));
        assert_eq!((cache.item_count(), cache.stats().expirations), (0, 2));
        cache.put(&tagged).unwrap();
        set_now(1_002_600);
        cache.set(b"k", b"new", 0).unwrap();
        assert_eq!(
            stale().map(|(item, _)| (item.is_stale, item.value_len)),
            Ok((false, 3))
        );
    }
}

/// A sweep skips a page until the grace is over, then removes all its expired items.
#[test]
fn a_grace_ends_by_itself() {
    for mut config in configs() {
        set_now(1_000_000);
        config.grace_ms = 5000;
        let mut region = Region::new(64 * KIB);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        for n in 0..200 {
            cache.set(&key(n), b"value", 1000 + n).unwrap();
        }
        set_now(1_005_999);
        cache.optimize(0).unwrap();
        assert_eq!(cache.item_count(), 200);
        set_now(1_006_199);
        cache.optimize(0).unwrap();
        assert_eq!((cache.item_count(), cache.stats().expirations), (0, 200));
        cache.check().unwrap();
        // Items in their grace can be evicted, and are evicted before others.
        for n in 0..200 {
            cache.set(&key(n), &[1; 90], 10).unwrap();
        }
        set_now(1_007_000);
        for n in 1000..1300 {
            cache.set(&key(n), &[1; 90], 0).unwrap();
        }
        let stats = cache.stats();
        assert!(stats.expirations > 220 && stats.evictions < 20, "{stats:?}");
    }
}

/// A value that grows needs no further entry, so it grows in a full index, too.
#[test]
fn values_grow_in_a_full_index() {
    with_caches(64 * KIB, |cache| {
        for n in 0..8_000 {
            cache.set(&key(n), b"v", 0).unwrap();
            let grown = key(n - n % 5);
            if cache.contains(&grown) == Ok(true) {
                let before = value_of(cache, &grown).unwrap();
                cache.append(&grown, b"w").unwrap();
                assert_eq!(value_of(cache, &grown), Some([&before[..], b"w"].concat()));
            }
            if n % 500 == 0 {
                cache.check().unwrap();
            }
        }
        assert!(cache.stats().evictions > 1_000);
    });
}

/// An increment voids a reservation as a set does.
#[test]
fn a_reservation_of_an_incremented_number_is_stale() {
    with_caches(64 * KIB, |cache| {
        cache.set_u64(b"n", 1, 0).unwrap();
        let changes: [fn(&Cache<'_>); 2] = [
            |cache| assert_eq!(cache.increment(b"n", 1), Ok(2)),
            |cache| assert_eq!(cache.add_u64(b"n", 1, Overflow::Wrap), Ok(3)),
        ];
        for change in changes {
            let reservation = cache.reserve(b"n", 3, 0).unwrap();
            change(cache);
            assert_eq!(reservation.commit(), Err(Error::Stale));
        }
        assert_eq!(cache.get_u64(b"n"), Ok(3));
    });
}

/// A deletion by condition voids the reservations of what goes, and of nothing else.
#[test]
fn a_reservation_of_what_a_condition_deletes_is_stale() {
    with_caches(64 * KIB, |cache| {
        for key in [b"goes", b"left"] {
            cache.set(key, b"old", 0).unwrap();
        }
        let gone = cache.reserve(b"goes", 3, 0).unwrap();
        let mut left = cache.reserve(b"left", 3, 0).unwrap();
        let done = cache.delete_if(&mut Cursor::default(), 0, |item| item.key == b"goes");
        assert_eq!(done, Ok((1, true)));
        assert_eq!(gone.commit(), Err(Error::Stale));
        left.bytes_mut().unwrap().copy_from_slice(b"new");
        assert_eq!(left.commit(), Ok(()));
        assert_eq!(cache.contains(b"goes"), Ok(false));
        cache.check().unwrap();
    });
}

/// Stored items are read first, replaced unread, deleted unread, evicted unread, expired unread, or still there unread.
#[test]
fn items_that_no_caller_read_are_counted_to_the_last_one() {
    with_caches(16 * KIB, |cache| {
        let mut rng = Rng::new(7);
        let mut unread = HashMap::new();
        let (mut first_reads, mut unread_replaced, mut unread_deleted) = (0, 0, 0);
        let is_there = |key: &[u8; 8]| cache.get_item(key, &mut [], PEEK) != Err(Error::NotFound);
        for step in 0..9_000u64 {
            set_now(1_000_000 + step * 10);
            let key = key(rng.below(800) as u64);
            let was_there = is_there(&key);
            let was_unread = was_there && unread.get(&key) == Some(&true);
            match rng.below(8) {
                0..5 => {
                    let ttl = if rng.one_in(3) { 2_000 } else { TTL_NEVER };
                    let value = vec![1; rng.below(60)];
                    let updates = cache.stats().updates;
                    cache.set(&key, &value, ttl).unwrap();
                    // An old value may be evicted for the new one: then it is not replaced.
                    let replaced = cache.stats().updates > updates;
                    unread_replaced += u64::from(was_unread && replaced);
                    unread.insert(key, true);
                }
                5 | 6 => {
                    let found = cache.get(&key, &mut [0; 64]).is_ok();
                    assert_eq!(found, was_there);
                    first_reads += u64::from(was_unread);
                    unread.insert(key, false);
                }
                _ => {
                    assert_eq!(cache.delete(&key).is_ok(), was_there);
                    unread_deleted += u64::from(was_unread);
                }
            }
            if step % 500 == 0 {
                cache.optimize(64).unwrap();
            }
        }
        // Whatever has expired is counted by now.
        while !cache.optimize(1_000).unwrap().done {}
        let left = unread
            .iter()
            .filter(|(key, unread)| **unread && is_there(key))
            .count();
        let stats = cache.stats();
        let gone = stats.evicted_unread + stats.expired_unread;
        assert_eq!(
            stats.sets,
            first_reads + unread_replaced + unread_deleted + gone + left as u64
        );
        assert!(stats.evicted_unread > 0 && stats.evicted_unread < stats.evictions);
        assert!(stats.expired_unread > 0 && stats.expired_unread < stats.expirations);
        let logs = [larder::PageOwner::Window, larder::PageOwner::Main];
        let sums = logs.map(|owner| cache.owner_stats(owner).unwrap());
        assert_eq!(sums[0].evictions + sums[1].evictions, stats.evictions);
        assert_eq!(sums[0].expirations + sums[1].expirations, stats.expirations);
    });
}

#[test]
fn misses_that_find_an_expired_item_are_counted_apart() {
    with_caches(64 * KIB, |cache| {
        cache.set(b"short", b"value", 100).unwrap();
        cache.set(b"long", b"value", 10_000).unwrap();
        set_now(1_000_500);
        assert_eq!(cache.get(b"short", &mut [0; 8]), Err(Error::NotFound));
        assert_eq!(cache.get(b"short", &mut [0; 8]), Err(Error::NotFound));
        assert_eq!(cache.get(b"never set", &mut [0; 8]), Err(Error::NotFound));
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.misses_expired), (3, 1));
        assert_eq!((stats.expirations, stats.expired_unread), (1, 1));
        let oldest = |owner| cache.owner_stats(owner).unwrap().oldest_age_ms;
        let age = oldest(larder::PageOwner::Window).max(oldest(larder::PageOwner::Main));
        let times = cache.get_item(b"long", &mut [0; 8], PEEK).unwrap().0.age_ms;
        assert_eq!(age, times.unwrap_or(0));
    });
}
