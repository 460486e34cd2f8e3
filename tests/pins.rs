//! Views and reservations: their bytes neither move nor change during other calls of the cache.

mod common;

use common::{Region, Rng, checked, key, now_ms, set_now};
use larder::{Cache, Config, Error, PolicyKind, Reservation, TTL_NEVER, View};
use std::collections::HashMap;

const KIB: usize = 1024;

/// A value computed from its key and length.
fn value(n: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(n << 20 | len as u64);
    (0..len).map(|_| rng.next() as u8).collect()
}

fn read(view: &View<'_>) -> Vec<u8> {
    let spans = (0..view.span_count()).flat_map(|i| view.span(i).unwrap().to_vec());
    let bytes: Vec<u8> = spans.collect();
    assert_eq!(bytes.len(), view.len());
    assert_eq!(view.span(view.span_count()), Err(Error::NotFound));
    bytes
}

fn write(reservation: &mut Reservation<'_>, bytes: &[u8]) {
    let mut rest = bytes;
    for i in 0..reservation.span_count() {
        let span = reservation.span_mut(i).unwrap();
        let (here, behind) = rest.split_at(span.len());
        span.copy_from_slice(here);
        rest = behind;
    }
    assert!(rest.is_empty());
}

fn with_cache(size: usize, change: impl Fn(&mut Config), test: impl Fn(&Cache<'_>)) {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let mut region = Region::new(size);
        let mut config = Config::default().clock(now_ms);
        config.policy = policy;
        change(&mut config);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        test(&cache);
        checked(&cache);
    }
}

#[test]
fn a_view_outlives_delete_set_eviction_and_expiry() {
    with_cache(
        64 * KIB,
        |_| {},
        |cache| {
            set_now(1_000);
            for len in [0, 1, 100, 5_000] {
                let old = value(1, len);
                let held = |ttl| {
                    cache.set(b"held", &old, ttl).unwrap();
                    cache.pin(b"held").unwrap()
                };
                let view = held(TTL_NEVER);
                cache.delete(b"held").unwrap();
                assert_eq!(cache.get(b"held", &mut [0; 8]), Err(Error::NotFound));
                for n in 0..2_000 {
                    cache.set(&key(n), &[7; 60], 0).unwrap();
                }
                assert_eq!(read(&view), old);
                drop(view);
                checked(cache);

                let view = held(TTL_NEVER);
                cache.set(b"held", b"new", 0).unwrap();
                assert_eq!(read(&view), old);
                assert_eq!(read(&cache.pin(b"held").unwrap()), b"new");
                drop(view);
                checked(cache);

                let view = held(TTL_NEVER);
                for n in 0..5_000 {
                    cache
                        .set(&key(n), &value(n, 10 + n as usize % 300), 0)
                        .unwrap();
                }
                cache.optimize(0).unwrap();
                assert_eq!(
                    cache.contains(b"held"),
                    Ok(true),
                    "a pinned item is not evicted"
                );
                assert_eq!(read(&view), old);
                drop(view);
                checked(cache);

                let view = held(50);
                set_now(now_ms() + 100);
                cache.optimize(0).unwrap();
                assert_eq!(cache.contains(b"held"), Ok(false));
                assert_eq!(read(&view), old);
                drop(view);
                cache.optimize(0).unwrap();
                checked(cache);
                assert_eq!(cache.stats().views, 0);
            }
        },
    );
}

#[test]
fn an_expired_item_that_was_pinned_is_removed_after_any_time() {
    with_cache(
        64 * KIB,
        |_| {},
        |cache| {
            set_now(0);
            cache.set(b"held", b"value", 1_000).unwrap();
            let view = cache.pin(b"held").unwrap();
            // Later than an instant can express. The sweep and new items renew the page's base.
            for day in 1..40 {
                set_now(day * 86_400_000);
                cache.set(&key(day), b"other", 1_000).unwrap();
                cache.optimize(0).unwrap();
            }
            assert_eq!(view.bytes(), Some(&b"value"[..]));
            drop(view);
            assert_eq!(cache.contains(b"held"), Ok(false));
            set_now(41 * 86_400_000);
            cache.optimize(0).unwrap();
            assert_eq!(cache.item_count(), 0);
        },
    );
}

#[test]
fn integers_and_ttls_change_beside_a_view() {
    with_cache(
        64 * KIB,
        |_| {},
        |cache| {
            cache.set_i64(b"n", 41, 0).unwrap();
            let view = cache.pin(b"n").unwrap();
            assert_eq!(cache.increment(b"n", 1), Ok(42));
            assert_eq!(cache.get_i64(b"n"), Ok(42));
            assert_eq!(view.bytes(), Some(&41i64.to_ne_bytes()[..]));
            cache.touch(b"n", 5_000).unwrap();
            let other = cache.pin(b"n").unwrap();
            cache.touch(b"n", 9_000).unwrap();
            assert_eq!(cache.increment(b"n", 8), Ok(50));
            assert!(cache.ttl(b"n").unwrap() <= 9_000);
            assert_eq!(other.bytes(), Some(&42i64.to_ne_bytes()[..]));
        },
    );
}

#[test]
fn pins_are_limited_by_the_configuration() {
    for most in [0, 1, 7, 15] {
        with_cache(
            4 * KIB,
            |config| config.pins_max = most,
            |cache| {
                let most = if most == 0 { 16 } else { most as usize };
                cache.set(b"k", b"v", 0).unwrap();
                let mut views: Vec<_> = (0..most).map(|_| cache.pin(b"k").unwrap()).collect();
                assert_eq!(cache.pin(b"k").err(), Some(Error::NoMemory));
                assert_eq!(cache.reserve(b"l", 3, 0).err(), Some(Error::NoMemory));
                assert_eq!(cache.stats().views as usize, most);
                cache.clear().unwrap();
                cache.set(b"k", b"v", 0).unwrap();
                views.pop();
                assert!(cache.pin(b"k").is_ok());
                drop(views);
                assert_eq!(cache.stats().views, 0);
                assert_eq!(cache.clear(), Ok(()));
            },
        );
    }
    let mut region = Region::new(4 * KIB);
    let mut config = Config::default();
    config.pins_max = 17;
    assert_eq!(
        Cache::new(region.bytes(), &config).err(),
        Some(Error::NoMemory)
    );
}

#[test]
fn pinned_items_count_against_the_limit_and_never_exceed_it() {
    with_cache(
        256 * KIB,
        |_| {},
        |cache| {
            for n in 0..16 {
                cache.set(&key(n), &value(n, 8 * KIB), 0).unwrap();
            }
            let views: Vec<_> = (0..16).map(|n| cache.pin(&key(n)).unwrap()).collect();
            // In the end only pinned items and the newest ones are left.
            let mut refused = 0;
            for n in 100..3_000 {
                let set = cache.set(&key(n), &value(n, 1_000), 0);
                assert!(matches!(set, Ok(()) | Err(Error::NoMemory)));
                refused += u32::from(set.is_err());
                assert!(cache.memory_usage() <= cache.memory_limit());
            }
            assert_eq!(refused, 0, "unpinned items can be evicted");
            cache.set_memory_limit(128 * KIB).unwrap();
            cache.optimize(0).unwrap();
            assert_eq!(
                cache.set(&key(5_000), &value(1, 16 * KIB), 0),
                Err(Error::NoMemory)
            );
            for (n, view) in (0..).zip(&views) {
                assert_eq!(read(view), value(n, 8 * KIB));
            }
            drop(views);
            cache.optimize(0).unwrap();
            assert!(cache.memory_usage() <= 128 * KIB);
            cache.set(&key(5_000), &value(1, 16 * KIB), 0).unwrap();
        },
    );
}

#[test]
fn a_reservation_is_not_found_before_its_commit() {
    with_cache(
        64 * KIB,
        |_| {},
        |cache| {
            set_now(0);
            for len in [0, 1, 100, 5_000] {
                cache.set(b"k", b"old", 0).unwrap();
                let mut reservation = cache.reserve(b"k", len, 1_000).unwrap();
                write(&mut reservation, &value(3, len));
                for n in 0..3_000 {
                    cache.set(&key(n), &value(n, n as usize % 200), 0).unwrap();
                }
                cache.optimize(0).unwrap();
                checked(cache);
                assert_eq!(cache.stats().reservations, 1);
                set_now(now_ms() + 600);
                reservation.commit().unwrap();
                assert_eq!(read(&cache.pin(b"k").unwrap()), value(3, len));
                assert_eq!(cache.ttl(b"k"), Ok(1_000), "a TTL starts at the commit");
                assert_eq!(cache.stats().reservations, 0);
                checked(cache);

                // After any change of the key the commit of an older reservation is stale.
                let late = [0; 3].map(|_| cache.reserve(b"k", len, 0).unwrap());
                let changes: [fn(&Cache<'_>); 3] = [
                    |cache| cache.set(b"k", b"newer", 0).unwrap(),
                    |cache| cache.delete(b"k").unwrap(),
                    |cache| cache.reserve(b"k", 0, 0).unwrap().commit().unwrap(),
                ];
                for (reservation, change) in late.into_iter().zip(changes) {
                    change(cache);
                    let now = cache.pin(b"k").map(|view| read(&view));
                    assert_eq!(reservation.commit(), Err(Error::Stale));
                    assert_eq!(cache.pin(b"k").map(|view| read(&view)), now);
                }
                assert_eq!(cache.stats().reservations, 0);
                checked(cache);

                let before = cache.stats();
                drop(cache.reserve(b"gone", len, 0).unwrap());
                let after = cache.stats();
                assert_eq!(cache.contains(b"gone"), Ok(false));
                assert_eq!(
                    before.payload_bytes.max(after.payload_bytes),
                    before.payload_bytes
                );
                let _ = cache.delete(b"k");
            }
            assert_eq!(
                cache.reserve(b"k", 64 * KIB, 0).err(),
                Some(Error::TooLarge)
            );
            assert_eq!(cache.reserve(b"", 1, 0).err(), Some(Error::Invalid));
            assert_eq!(cache.pin(b"nobody").err(), Some(Error::NotFound));
        },
    );
}

/// Random operations with up to a dozen views and reservations. A model stores every value.
fn stress(seed: u64, size: usize, policy: PolicyKind, shards: u32, zero_on_free: bool) {
    let mut region = Region::new(size);
    let mut config = Config::default().clock(now_ms);
    (config.policy, config.shards, config.zero_on_free) = (policy, shards, zero_on_free);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    let (mut rng, mut model) = (Rng::new(seed), HashMap::new());
    let mut views: Vec<(View<'_>, Vec<u8>)> = Vec::new();
    let mut reservations: Vec<(Reservation<'_>, u64, Vec<u8>)> = Vec::new();
    let mut buffer = vec![0; size];
    for n in 0..6_000 {
        let id = rng.log_uniform(1, 400) as u64;
        let bytes = value(n, rng.log_uniform(1, size / 40));
        match rng.below(12) {
            0..=3 if cache.set(&key(id), &bytes, 0).is_ok() => {
                model.insert(id, bytes);
            }
            4..=6 => {
                if let Ok(len) = cache.get(&key(id), &mut buffer) {
                    assert_eq!(Some(&buffer[..len]), model.get(&id).map(|v| &v[..]));
                }
            }
            7 => {
                let _ = cache.delete(&key(id));
                model.remove(&id);
            }
            8 if views.len() < 6 => {
                if let Ok(view) = cache.pin(&key(id)) {
                    let bytes = read(&view);
                    assert_eq!(Some(&bytes), model.get(&id));
                    views.push((view, bytes));
                }
            }
            9 if reservations.len() < 4 => {
                if let Ok(mut reservation) = cache.reserve(&key(id), bytes.len(), 0) {
                    write(&mut reservation, &bytes);
                    reservations.push((reservation, id, bytes));
                }
            }
            10 if !views.is_empty() => {
                let (view, bytes) = views.swap_remove(rng.below(views.len()));
                assert_eq!(read(&view), bytes);
            }
            11 if !reservations.is_empty() => {
                let (reservation, id, bytes) =
                    reservations.swap_remove(rng.below(reservations.len()));
                if !rng.one_in(3) && reservation.commit().is_ok() {
                    model.insert(id, bytes);
                }
            }
            _ if rng.one_in(8) => {
                cache.optimize(rng.below(200) as u32 + 1).unwrap();
            }
            _ => {}
        }
        if n % 16 == 0 {
            checked(&cache);
            assert!(cache.memory_usage() <= cache.memory_limit());
        }
        assert_eq!(cache.stats().views as usize, views.len());
        assert_eq!(cache.stats().reservations as usize, reservations.len());
    }
    for (view, bytes) in &views {
        assert_eq!(&read(view), bytes);
    }
    drop((views, reservations));
    checked(&cache);
    cache.clear().unwrap();
    assert_eq!(cache.item_count(), 0);
}

#[test]
fn views_keep_their_bytes_through_random_operations() {
    let mut seed = 0;
    for size in [8 * KIB, 24 * KIB, 100 * KIB, 1024 * KIB] {
        for policy in [PolicyKind::Default, PolicyKind::Lru] {
            for (shards, zero_on_free) in [(1, false), (1, true), (2, false)] {
                seed += 1;
                stress(seed, size, policy, shards, zero_on_free);
            }
        }
    }
}

/// Pages with pinned items cannot be cleaned. A pass must detect this in the first shard and continue with the
/// others.
#[test]
fn a_pass_in_slices_reaches_every_shard() {
    let mut region = Region::new(256 * KIB);
    let mut config = Config::default();
    (config.shards, config.pins_max) = (4, 32);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    for n in 0..1_200 {
        cache.set(&key(n), &[1; 100], TTL_NEVER).unwrap();
    }
    // About one item in ten stays in each page, and some pages have a pinned item.
    let held: Vec<View<'_>> = (0..1_200)
        .step_by(24)
        .filter_map(|n| cache.pin(&key(n)).ok())
        .collect();
    assert!(held.len() > 30, "{}", held.len());
    for n in (0..1_200).filter(|n| n % 12 > 0) {
        let _ = cache.delete(&key(n));
    }
    let whole = cache.optimize(0).unwrap();
    assert!(whole.done && cache.stats().dead_bytes > 4 * KIB as u64);
    for step_max in [1, 7, 64] {
        let calls = (0..)
            .map(|_| cache.optimize(step_max).unwrap())
            .take_while(|report| !report.done)
            .take(20_000)
            .count();
        let most = 2 * whole.steps / step_max + 8;
        assert!(
            (calls as u32) < most,
            "{calls} calls of {step_max}: {whole:?}"
        );
    }
    drop(held);
    checked(&cache);
}

/// `spans` returns the same spans as single calls of `span`.
#[test]
fn spans_returns_all_spans_in_order() {
    with_cache(
        64 * KIB,
        |_| {},
        |cache| {
            let old = value(1, 9_000);
            cache.set(b"key", &old, TTL_NEVER).unwrap();
            let view = cache.pin(b"key").unwrap();
            let mut spans = [&[][..]; 64];
            let count = view.spans(&mut spans).unwrap();
            assert_eq!(count, view.span_count() as usize);
            assert_eq!(spans[..count].concat(), old);
            assert_eq!(
                view.spans(&mut spans[..count - 1]),
                Err(Error::BufferTooSmall)
            );
            let mut reservation = cache.reserve(b"other", 9_000, TTL_NEVER).unwrap();
            let mut spans: [&mut [u8]; 64] = std::array::from_fn(|_| Default::default());
            let count = reservation.spans_mut(&mut spans).unwrap();
            let mut rest = &old[..];
            for span in &mut spans[..count] {
                let (here, behind) = rest.split_at(span.len());
                span.copy_from_slice(here);
                rest = behind;
            }
            assert!(rest.is_empty());
            reservation.commit().unwrap();
            assert_eq!(read(&cache.pin(b"other").unwrap()), old);
        },
    );
}
