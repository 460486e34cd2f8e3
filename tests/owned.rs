//! The cache that owns its region: misses, time, limit, threads, closures, batches, views, items, freed memory.
#![cfg(feature = "alloc")]
#![allow(unsafe_code)]

mod common;

use common::{Rng, checked, key};
use larder::{Cache, Config, Error, Event, EventKind, OwnedCache, OwnedCacheBuilder, PolicyKind};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

thread_local! {
    /// Bytes that this thread allocated and has not freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The largest allocation of this thread; larger ones fail.
    static SIZE_MAX: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The system's heap, which counts bytes for each thread and fails above a size.
struct Heap;

// SAFETY: returns the system's answers, or NULL, which an allocator may return.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > SIZE_MAX.get() {
            return std::ptr::null_mut();
        }
        LIVE.set(LIVE.get() + layout.size() as isize);
        // SAFETY: guaranteed by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: guaranteed by the caller.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static HEAP: Heap = Heap;

/// The answer of a call while this thread's heap fails allocations above `bytes`.
fn refusing<R>(bytes: usize, call: impl FnOnce() -> R) -> R {
    SIZE_MAX.set(bytes);
    let answer = call();
    SIZE_MAX.set(usize::MAX);
    answer
}

/// A clock that a test sets, and a cache with this clock.
fn with_clock(builder: OwnedCacheBuilder) -> (Arc<AtomicU64>, OwnedCache) {
    let now = Arc::new(AtomicU64::new(5_000));
    let clock = now.clone();
    let cache = builder
        .clock(move || clock.load(Ordering::Relaxed))
        .build()
        .unwrap();
    (now, cache)
}

fn cache(bytes: usize) -> OwnedCache {
    OwnedCache::with_memory(bytes).unwrap()
}

// ---- one item --------------------------------------------------------------------------------------

#[test]
fn a_miss_is_no_error() {
    let cache = cache(64 << 10);
    assert_eq!(cache.get("key"), Ok(None));
    assert_eq!(cache.get_into("key", &mut vec![1]), Ok(false));
    assert_eq!(cache.remove("key"), Ok(false));
    assert_eq!(cache.contains("key"), Ok(false));
    assert_eq!(cache.ttl("key"), Ok(None));
    assert_eq!(cache.touch("key", Duration::from_secs(1)), Ok(false));
    assert!(cache.view("key").unwrap().is_none());
    assert!(cache.is_empty() && cache.iter().next().is_none());
}

#[test]
fn keys_and_values_have_any_type_with_bytes() {
    let cache = cache(64 << 10);
    cache.insert("text", String::from("owned")).unwrap();
    cache.insert([1u8, 2], vec![3u8, 4]).unwrap();
    cache.insert(vec![5u8], b"literal").unwrap();
    assert_eq!(cache.get(b"text"), Ok(Some(b"owned".to_vec())));
    assert_eq!(cache.get(&[1, 2][..]), Ok(Some(vec![3, 4])));
    assert_eq!(cache.get([5]), Ok(Some(b"literal".to_vec())));
    cache.insert("text", "").unwrap();
    assert_eq!(cache.get("text"), Ok(Some(vec![])));
    assert_eq!((cache.remove("text"), cache.len()), (Ok(true), 2));
    checked(cache.as_cache());
}

#[test]
fn values_of_every_length_are_read_back() {
    let cache = cache(1 << 20);
    let mut value = Vec::new();
    for len in [0, 1, 255, 256, 257, 1023, 4096, 20_000, 200_000] {
        let stored: Vec<u8> = (0..len).map(|n| n as u8).collect();
        cache.insert("key", &stored).unwrap();
        assert_eq!(cache.get("key").unwrap().as_ref(), Some(&stored));
        assert_eq!(cache.get_into("key", &mut value), Ok(true));
        assert_eq!(value, stored);
        assert_eq!(cache.get_many(&["key"]).unwrap(), [Some(stored)]);
    }
}

#[test]
fn a_vector_is_used_again_and_empty_after_a_miss() {
    let cache = cache(1 << 20);
    cache.insert("long", vec![7; 5000]).unwrap();
    cache.insert("short", [8]).unwrap();
    let mut value = Vec::with_capacity(8000);
    let place = value.as_ptr();
    for (key, found) in [
        ("long", true),
        ("short", true),
        ("long", true),
        ("none", false),
    ] {
        assert_eq!(cache.get_into(key, &mut value), Ok(found));
        assert_eq!(value.as_ptr(), place);
    }
    assert!(value.is_empty());
    value.push(1);
    assert_eq!(cache.get_into("", &mut value), Err(Error::Invalid));
    assert!(value.is_empty());
}

#[test]
fn a_read_of_any_length_is_counted_once() {
    let cache = cache(1 << 20);
    let keys = ["short", "long"];
    cache.insert(keys[0], [1; 10]).unwrap();
    cache.insert(keys[1], [2; 10_000]).unwrap();
    let counts = || {
        let stats = cache.stats();
        (stats.hits, stats.misses, stats.failed_buffer_too_small)
    };
    for key in keys {
        cache.get(key).unwrap();
        cache.get_into(key, &mut Vec::new()).unwrap();
    }
    cache.get_many(&keys).unwrap();
    assert_eq!(counts(), (6, 0, 0));
    assert_eq!(cache.get_many(&["a", "b"]), Ok(vec![None, None]));
    assert_eq!(cache.get("c"), Ok(None));
    assert_eq!(counts(), (6, 3, 0));
    assert_eq!(cache.iter().count(), 2);
    assert_eq!(cache.contains("short"), Ok(true));
    assert_eq!(counts(), (6, 3, 0));
}

#[test]
fn bad_keys_are_errors() {
    let cache = cache(64 << 10);
    for (key, error) in [(vec![], Error::Invalid), (vec![1; 256], Error::TooLarge)] {
        assert_eq!(cache.get(&key), Err(error));
        assert_eq!(cache.insert(&key, "value"), Err(error));
        assert_eq!(cache.remove(&key), Err(error));
        assert_eq!(cache.contains(&key), Err(error));
        assert_eq!(cache.ttl(&key), Err(error));
        assert_eq!(cache.view(&key).err(), Some(error));
        assert_eq!(cache.get_many(&[b"key".to_vec(), key.clone()]), Err(error));
        let made = cache.get_or_insert_with(&key, || -> &str { unreachable!() });
        assert_eq!(made, Err(error));
        let items = [(key, "value"), (b"key".to_vec(), "value")];
        assert_eq!(cache.insert_many(&items), Err(error));
        assert_eq!(cache.remove("key"), Ok(true), "the others are stored");
    }
    assert_eq!(cache.insert("key", vec![0; 64 << 10]), Err(Error::TooLarge));
}

// ---- time ------------------------------------------------------------------------------------------

#[test]
fn items_expire_by_the_clock_that_was_given() {
    let (now, cache) = with_clock(OwnedCache::builder(64 << 10));
    cache.insert("stays", "value").unwrap();
    cache
        .insert_with_ttl("goes", "value", Duration::from_millis(100))
        .unwrap();
    assert_eq!(cache.ttl("stays"), Ok(Some(Duration::MAX)));
    assert_eq!(cache.ttl("goes"), Ok(Some(Duration::from_millis(100))));
    now.fetch_add(99, Ordering::Relaxed);
    assert_eq!(cache.ttl("goes"), Ok(Some(Duration::from_millis(1))));
    assert_eq!(cache.get("goes"), Ok(Some(b"value".to_vec())));
    now.fetch_add(1, Ordering::Relaxed);
    assert_eq!(cache.get("goes"), Ok(None));
    assert_eq!(cache.get_many(&["goes", "stays"]).unwrap()[0], None);
    assert_eq!(cache.iter().count(), 1);
    assert_eq!(cache.stats().expirations, 1);
}

#[test]
fn the_default_ttl_is_for_items_set_without_one() {
    let hour = Duration::from_secs(3600);
    let (now, cache) = with_clock(OwnedCache::builder(64 << 10).default_ttl(hour));
    cache.insert("default", "value").unwrap();
    cache.insert_many(&[("many", "value")]).unwrap();
    cache.get_or_insert_with("made", || "value").unwrap();
    cache
        .insert_with_ttl("stays", "value", Duration::MAX)
        .unwrap();
    for key in ["default", "many", "made"] {
        assert_eq!(cache.ttl(key), Ok(Some(hour)), "{key}");
    }
    assert_eq!(cache.touch("default", hour * 2), Ok(true));
    assert_eq!(cache.touch("many", Duration::MAX), Ok(true));
    now.fetch_add(3_600_000, Ordering::Relaxed);
    let held = ["default", "many", "made", "stays"].map(|key| cache.contains(key).unwrap());
    assert_eq!(held, [true, true, false, true]);
}

#[test]
fn a_ttl_is_rounded_up_and_never_means_the_default() {
    let (_, cache) = with_clock(OwnedCache::builder(64 << 10));
    let ttl_of = |ttl| {
        cache.insert_with_ttl("key", "value", ttl)?;
        cache.ttl("key").map(Option::unwrap)
    };
    assert_eq!(
        ttl_of(Duration::from_nanos(1)),
        Ok(Duration::from_millis(1))
    );
    assert_eq!(
        ttl_of(Duration::from_micros(1001)),
        Ok(Duration::from_millis(2))
    );
    assert_eq!(ttl_of(Duration::ZERO), Err(Error::Invalid));
    assert_eq!(cache.touch("key", Duration::ZERO), Err(Error::Invalid));
    for long in [
        Duration::MAX - Duration::from_nanos(1),
        Duration::from_secs(1 << 40),
    ] {
        let held = ttl_of(long).unwrap().as_millis();
        assert!(held > u128::from(larder::TTL_MAX) - 2048, "{held}");
    }
    let none = OwnedCache::builder(64 << 10).default_ttl(Duration::ZERO);
    assert_eq!(none.build().err(), Some(Error::Invalid));
    let forever = OwnedCache::builder(64 << 10).default_ttl(Duration::MAX);
    let cache = forever.build().unwrap();
    cache.insert("key", "value").unwrap();
    assert_eq!(cache.ttl("key"), Ok(Some(Duration::MAX)));
}

// ---- limit and memory ------------------------------------------------------------------------------

#[test]
fn a_full_cache_evicts_and_stays_within_its_limit() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let builder = OwnedCache::builder(256 << 10).policy(policy).shards(2);
        let cache = builder
            .memory_limit(128 << 10)
            .checksums(true)
            .build()
            .unwrap();
        let (mut rng, mut model) = (Rng::new(1), BTreeMap::new());
        for _ in 0..20_000 {
            let n = rng.below(5_000) as u64;
            let value = vec![rng.next() as u8; rng.log_uniform(1, 2_000)];
            cache.insert(key(n), &value).unwrap();
            model.insert(n, value);
            let n = rng.below(5_000) as u64;
            if let Some(value) = cache.get(key(n)).unwrap() {
                assert_eq!(model.get(&n), Some(&value));
            }
            assert!(cache.memory_usage() <= cache.memory_limit());
        }
        assert!(cache.stats().evictions > 1_000);
        cache.set_memory_limit(64 << 10).unwrap();
        cache.as_cache().optimize(0).unwrap();
        assert!(cache.memory_usage() <= 64 << 10);
        checked(cache.as_cache());
        cache.clear().unwrap();
        assert!(cache.is_empty());
    }
}

#[test]
fn the_builder_starts_from_a_configuration() {
    let mut config = Config::default();
    (config.default_ttl_ms, config.item_tags, config.shards) = (1_000, true, 2);
    let (_, cache) = with_clock(OwnedCache::builder(64 << 10).config(&config).shards(3));
    cache.insert("key", "value").unwrap();
    assert_eq!(cache.ttl("key"), Ok(Some(Duration::from_secs(1))));
    assert_eq!(cache.as_cache().set_tag(b"key", 1, 1), Ok(0));
    assert_eq!(cache.stats().shards, 3);
    let two = Duration::from_secs(2);
    let builder = OwnedCache::builder(64 << 10).default_ttl(two);
    let (_, cache) = with_clock(builder.config(&config));
    cache.insert("key", "value").unwrap();
    assert_eq!(cache.ttl("key"), Ok(Some(two)));
}

#[test]
fn numbers_out_of_range_are_refused() {
    let build = |builder: OwnedCacheBuilder| builder.build().err();
    assert_eq!(build(OwnedCache::builder(0)), Some(Error::NoMemory));
    assert_eq!(build(OwnedCache::builder(100)), Some(Error::NoMemory));
    assert_eq!(build(OwnedCache::builder(usize::MAX)), Some(Error::Invalid));
    let limit = OwnedCache::builder(64 << 10).memory_limit(65 << 10);
    assert_eq!(build(limit), Some(Error::Invalid));
    assert_eq!(
        build(OwnedCache::builder(64 << 10).shards(65)),
        Some(Error::Invalid)
    );
    let refused = refusing(1000, || build(OwnedCache::builder(64 << 10)));
    assert_eq!(refused, Some(Error::NoMemory));
}

#[test]
fn a_drop_frees_region_and_closures() {
    let told = Arc::new(());
    let (before, held) = (LIVE.get(), told.clone());
    {
        let (_now, cache) =
            with_clock(OwnedCache::builder(1 << 20).on_event(move |_| drop(held.clone())));
        assert!(LIVE.get() - before >= 1 << 20);
        cache.insert("key", "value").unwrap();
        std::mem::forget(cache.view("key").unwrap());
        let moved = Box::new(cache);
        assert_eq!(moved.get("key"), Ok(Some(b"value".to_vec())));
    }
    assert_eq!(LIVE.get(), before);
    let held = told.clone();
    drop(OwnedCache::builder(1 << 20).on_event(move |_| drop(held.clone())));
    assert_eq!(Arc::strong_count(&told), 1, "the builder's, too");
    assert!(OwnedCache::with_memory(100).is_err());
    assert_eq!(LIVE.get(), before);
}

#[test]
fn a_heap_that_refuses_is_an_error_and_nothing_else() {
    let cache = cache(1 << 20);
    cache.insert("short", [1; 200]).unwrap();
    cache.insert("long", [2; 50_000]).unwrap();
    let view = cache.view("long").unwrap().unwrap();
    let refused = refusing(100, || {
        (
            cache.get("short").err(),
            cache.get("long").err(),
            cache.get_into("long", &mut Vec::new()).err(),
            cache.get_many(&["short"]).err(),
            cache.iter().find_map(Result::err),
            view.to_vec().err(),
        )
    });
    let no = Some(Error::NoMemory);
    assert_eq!(refused, (no, no, no, no, no, no));
    let stored = refusing(100, || cache.insert("other", [3; 20_000]));
    assert_eq!(stored, Ok(()), "an insert allocates nothing");
    assert_eq!(cache.get("short"), Ok(Some(vec![1; 200])));
    assert_eq!(cache.get("long"), Ok(Some(vec![2; 50_000])));
}

// ---- threads ---------------------------------------------------------------------------------------

#[test]
fn a_cache_moves_to_another_thread() {
    let cache = cache(64 << 10);
    cache.insert("key", "value").unwrap();
    let cache = std::thread::spawn(move || {
        cache.insert("other", "value").unwrap();
        cache
    });
    assert_eq!(cache.join().unwrap().len(), 2);
}

/// Without `hosted`, all threads count as one: while one reports an event, calls of the others are `Busy`.
#[test]
#[cfg(all(feature = "spin", feature = "hosted"))]
fn threads_share_a_cache() {
    let evicted = Arc::new(AtomicU64::new(0));
    let count = evicted.clone();
    let builder = OwnedCache::builder(256 << 10).shards(4);
    let builder = builder.on_event(move |event| {
        count.fetch_add(event.items, Ordering::Relaxed);
    });
    let cache = Arc::new(builder.build().unwrap());
    let rounds = if cfg!(miri) { 50 } else { 10_000 };
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let cache = cache.clone();
            std::thread::spawn(move || {
                let (mut rng, mut value) = (Rng::new(thread), Vec::new());
                for _ in 0..rounds {
                    let n = rng.below(500) as u64;
                    let len = rng.log_uniform(1, 2_000);
                    match rng.below(8) {
                        0..3 => cache.insert(key(n), vec![n as u8; len]).unwrap(),
                        3 => drop(cache.remove(key(n)).unwrap()),
                        4 => {
                            let made = cache.get_or_insert_with(key(n), || vec![n as u8; len]);
                            assert!(made.unwrap().iter().all(|&byte| byte == n as u8));
                        }
                        5 => {
                            let view = cache.view(key(n)).unwrap();
                            let value = view.map(|view| view.to_vec().unwrap());
                            assert!(value.iter().flatten().all(|&byte| byte == n as u8));
                        }
                        6 if rng.one_in(50) => cache.iter().for_each(|item| drop(item.unwrap())),
                        _ => {
                            cache.get_into(key(n), &mut value).unwrap();
                            assert!(value.iter().all(|&byte| byte == n as u8));
                        }
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    checked(cache.as_cache());
    cache.insert("last", "value").unwrap();
    assert_eq!(evicted.load(Ordering::Relaxed), cache.stats().evictions);
}

// ---- closures --------------------------------------------------------------------------------------

#[test]
fn a_value_is_made_on_a_miss_alone() {
    let cache = cache(64 << 10);
    assert_eq!(
        cache.get_or_insert_with("key", || "made"),
        Ok(b"made".to_vec())
    );
    let again = cache.get_or_insert_with("key", || -> Vec<u8> { unreachable!() });
    assert_eq!(again, Ok(b"made".to_vec()));
    let failed = cache.try_get_or_insert_with("other", || Err::<Vec<u8>, _>(Error::Stale));
    assert_eq!(failed, Err(Error::Stale));
    assert_eq!(cache.contains("other"), Ok(false));
}

#[test]
fn all_threads_return_the_value_that_is_stored_first() {
    let cache = cache(64 << 10);
    let second = cache.get_or_insert_with("key", || {
        cache.insert("key", "first").unwrap();
        "second"
    });
    assert_eq!(second, Ok(b"first".to_vec()));
    assert_eq!(cache.get("key"), Ok(Some(b"first".to_vec())));
}

#[test]
fn a_value_that_the_cache_cannot_store_is_still_returned() {
    let cache = cache(64 << 10);
    let large = vec![7; 64 << 10];
    assert_eq!(cache.get_or_insert_with("key", || large.clone()), Ok(large));
    assert_eq!(cache.contains("key"), Ok(false));
    assert_eq!(cache.stats().failed_too_large, 1);
}

#[test]
fn a_closure_that_panics_leaves_the_cache_usable() {
    let panics = Arc::new(AtomicU64::new(0));
    let count = panics.clone();
    let builder = OwnedCache::builder(64 << 10).on_event(move |_| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            panic!("on the first event");
        }
    });
    let cache = builder.build().unwrap();
    let make = || cache.get_or_insert_with("key", || -> Vec<u8> { panic!("while making") });
    assert!(catch_unwind(AssertUnwindSafe(make)).is_err());
    assert_eq!(cache.get("key"), Ok(None));
    let fill = || (0..1000).for_each(|n| cache.insert(key(n), [1; 500]).unwrap());
    assert!(catch_unwind(AssertUnwindSafe(fill)).is_err());
    fill();
    assert!(panics.load(Ordering::Relaxed) > 1, "told again");
    checked(cache.as_cache());
}

#[test]
fn events_are_reported_and_a_call_from_inside_is_busy() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let place = Arc::new(std::sync::OnceLock::<std::sync::Weak<AtCache>>::new());
    let (told, inside) = (events.clone(), place.clone());
    let on_event = move |event: &Event| {
        let cache = inside.get().and_then(std::sync::Weak::upgrade).unwrap();
        assert_eq!(cache.0.get("key"), Err(Error::Busy));
        assert_eq!(cache.0.iter().next(), Some(Err(Error::Busy)));
        told.lock().unwrap().push(*event);
    };
    let (now, cache) = with_clock(OwnedCache::builder(64 << 10).on_event(on_event));
    let cache = Arc::new(AtCache(cache));
    assert!(place.set(Arc::downgrade(&cache)).is_ok());
    let second = Duration::from_secs(1);
    cache.0.insert_with_ttl("key", "value", second).unwrap();
    now.fetch_add(1000, Ordering::Relaxed);
    assert_eq!(cache.0.get("key"), Ok(None));
    let expired = Event {
        kind: EventKind::Expired,
        items: 1,
        bytes: 8,
    };
    assert_eq!(*events.lock().unwrap(), [expired]);
    (0..200).for_each(|n| cache.0.insert(key(n), [1; 500]).unwrap());
    let items: u64 = events.lock().unwrap()[1..]
        .iter()
        .map(|event| event.items)
        .sum();
    assert_eq!(cache.0.stats().evictions, items);
}

/// A cache that is `Sync` without the feature `spin`, too. Only one thread uses it.
struct AtCache(OwnedCache);

// SAFETY: the test above has one thread.
unsafe impl Send for AtCache {}
// SAFETY: as above.
unsafe impl Sync for AtCache {}

// ---- batches, views, items -------------------------------------------------------------------------

#[test]
fn batches_answer_as_single_calls_do() {
    let mut rng = Rng::new(2);
    let builder = OwnedCache::builder(1 << 20).shards(3);
    let (many, single) = (builder.build().unwrap(), cache(1 << 20));
    for _ in 0..100 {
        let items: Vec<_> = (0..rng.below(40))
            .map(|_| {
                let value = vec![rng.next() as u8; rng.log_uniform(1, 1_000)];
                (key(rng.below(300) as u64), value)
            })
            .collect();
        many.insert_many(&items).unwrap();
        for (key, value) in &items {
            single.insert(key, value).unwrap();
        }
        let keys: Vec<_> = (0..rng.below(40))
            .map(|_| key(rng.below(400) as u64))
            .collect();
        let singly: Vec<_> = keys.iter().map(|key| single.get(key).unwrap()).collect();
        assert_eq!(many.get_many(&keys).unwrap(), singly);
    }
    assert_eq!(many.stats().hits, single.stats().hits);
    let none: [&str; 0] = [];
    assert_eq!(many.get_many(&none), Ok(vec![]));
}

#[test]
fn a_view_is_a_slice_or_pieces() {
    let cache = cache(1 << 20);
    let long: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
    cache.insert("short", "value").unwrap();
    cache.insert("long", &long).unwrap();
    cache.insert("empty", "").unwrap();
    let view = |key| cache.view(key).unwrap().unwrap();

    let short = view("short");
    assert_eq!(short.pieces().unwrap().collect::<Vec<_>>(), [b"value"]);
    let slice = short.contiguous().unwrap();
    assert_eq!(
        (slice.len(), slice.as_ref(), slice.first()),
        (5, &b"value"[..], Some(&b'v'))
    );

    let pieces = view("long");
    assert!(pieces.span_count() > 1);
    assert_eq!(pieces.pieces().unwrap().len(), pieces.span_count() as usize);
    assert_eq!(pieces.pieces().unwrap().collect::<Vec<_>>().concat(), long);
    let pieces = pieces.contiguous().expect_err("several");
    cache.insert("long", "another").unwrap();
    assert_eq!(pieces.to_vec(), Ok(long), "the view keeps its bytes");
    assert_eq!(view("empty").to_vec(), Ok(vec![]));
    assert_eq!(view("empty").contiguous().unwrap().as_ref(), b"");

    assert_eq!((cache.clear(), cache.len()), (Ok(()), 0));
    assert_eq!(slice.as_ref(), b"value", "the view still keeps its bytes");
    drop((slice, pieces));
    assert_eq!(cache.stats().views, 0);
}

#[test]
fn the_iterator_returns_every_item_once() {
    let builder = OwnedCache::builder(4 << 20).shards(3);
    let cache = builder.build().unwrap();
    let mut rng = Rng::new(3);
    let mut model = BTreeMap::new();
    for n in 0..500 {
        let value = vec![rng.next() as u8; rng.log_uniform(1, 20_000)];
        cache.insert(key(n), &value).unwrap();
        model.insert(key(n).to_vec(), value);
    }
    assert_eq!(cache.stats().evictions, 0);
    let items: Vec<_> = cache.iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(items.len(), model.len());
    assert_eq!(items.into_iter().collect::<BTreeMap<_, _>>(), model);
    for item in &cache {
        let (key, _) = item.unwrap();
        assert_eq!(cache.remove(key), Ok(true));
    }
    assert!(cache.is_empty());
}

// ---- the rest --------------------------------------------------------------------------------------

/// The borrowed cache and the owned one have the same statistics.
#[test]
fn the_borrowed_cache_is_the_same_one() {
    fn set(cache: &Cache<'_>) {
        cache.set_i64(b"number", -1, 0).unwrap();
    }
    let cache = cache(64 << 10);
    set(cache.as_cache());
    assert_eq!(
        cache.get("number"),
        Ok(Some((-1i64).to_ne_bytes().to_vec()))
    );
    assert_eq!(cache.memory_limit(), 64 << 10);
    assert_eq!(
        format!("{cache:?}"),
        "OwnedCache { memory_limit: 65536, .. }"
    );
    assert!(format!("{:?}", OwnedCache::builder(1)).starts_with("OwnedCacheBuilder"));
}

#[test]
#[cfg(feature = "serde")]
fn statistics_are_serialized_by_the_names_of_their_fields() {
    let cache = cache(64 << 10);
    cache.insert("key", "value").unwrap();
    cache.get("key").unwrap();
    let stats = serde_json::to_value(cache.stats()).unwrap();
    assert_eq!(
        (&stats["hits"], &stats["policy"]),
        (&1.into(), &"Default".into())
    );
    assert_eq!(stats["region_bytes"], 64 << 10);
    let page = serde_json::to_string(&cache.as_cache().page_info(0).unwrap()).unwrap();
    assert!(page.starts_with(r#"{"owner":""#), "{page}");
    let report = cache.as_cache().optimize(0).unwrap();
    assert_eq!(serde_json::to_value(report).unwrap()["done"], true);
    let limits = cache.as_cache().limits().unwrap();
    assert_eq!(serde_json::to_value(limits).unwrap()["shards"], 1);
}
