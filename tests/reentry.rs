//! Closures that the cache calls. A call of the cache from inside a closure is `Busy` and does not deadlock. A panic
//! in a closure leaves the cache as it was.

mod common;

use common::{Region, checked};
use larder::{Cache, Config, Cursor, Error, Format, STATS_PRINT_MAX};
use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn with_cache(shards: u32, test: impl FnOnce(&Cache<'_>)) {
    let mut region = Region::new(64 << 10);
    let mut config = Config::default();
    config.shards = shards;
    let cache = Cache::new(region.bytes(), &config).unwrap();
    cache.set(b"key", b"value", 0).unwrap();
    test(&cache);
    assert_eq!(cache.get(b"key", &mut [0; 8]), Ok(5), "the cache works");
    checked(&cache);
}

/// Checks that every call is `Busy`.
fn all_busy(cache: &Cache<'_>) {
    let busy = Err(Error::Busy);
    assert_eq!(cache.get(b"key", &mut [0; 8]), Err(Error::Busy));
    assert_eq!(cache.set(b"key", b"other", 0), busy);
    assert_eq!(cache.delete(b"key"), busy);
    assert_eq!(cache.clear(), busy);
    assert_eq!(cache.check(), busy);
    assert_eq!(cache.set_memory_limit(32 << 10), busy);
    assert_eq!(cache.set_time(1), busy);
    assert_eq!(cache.optimize(0).err(), Some(Error::Busy));
    assert_eq!(cache.inspect(b"key", |_| ()), busy);
    let print = cache.print_stats(Format::Json, &mut [0; STATS_PRINT_MAX]);
    assert_eq!(print, Err(Error::Busy));
    assert_eq!(
        cache.scan(&mut Cursor::default(), |_| true),
        Err(Error::Busy)
    );
}

#[test]
fn a_call_from_inside_a_scan_is_busy() {
    for shards in [1, 4] {
        with_cache(shards, |cache| {
            let all = cache.scan(&mut Cursor::default(), |_| {
                all_busy(cache);
                true
            });
            assert_eq!(all, Ok(true));
        });
    }
}

#[test]
fn a_call_from_inside_an_inspection_is_busy() {
    for shards in [1, 4] {
        with_cache(shards, |cache| {
            assert_eq!(cache.inspect(b"key", |_| all_busy(cache)), Ok(()))
        });
    }
}

type Call = fn() -> Result<(), Error>;

thread_local! {
    /// The call that a clock makes inside the call that reads the clock, and its result.
    static FROM_CLOCK: Cell<Option<Call>> = const { Cell::new(None) };
    static ANSWER: Cell<Option<Result<(), Error>>> = const { Cell::new(None) };
    static CACHE: OnceCell<&'static Cache<'static>> = const { OnceCell::new() };
}

fn clock_that_calls_back() -> u64 {
    if let Some(call) = FROM_CLOCK.take() {
        ANSWER.set(Some(call()));
    }
    0
}

/// Without a lock, a hook's call is `Busy`, so no state is borrowed twice.
#[test]
#[allow(unsafe_code)]
fn a_call_from_inside_a_clock_is_busy_without_a_lock() {
    let region = common::for_ever(Region::new(64 << 10)).bytes();
    let config = Config::default().clock(clock_that_calls_back);
    // SAFETY: this thread alone calls the cache.
    let config = unsafe { config.single_thread() };
    let cache = common::for_ever(Cache::new(region, &config).unwrap());
    CACHE.with(|place| place.set(cache).unwrap());
    let set = || CACHE.with(|cache| cache.get().unwrap().set(b"key", b"from inside", 5));
    FROM_CLOCK.set(Some(set));
    assert_eq!(cache.set(b"key", b"value", 5), Ok(()));
    assert_eq!(ANSWER.get(), Some(Err(Error::Busy)));
    assert_eq!(cache.get(b"key", &mut [0; 16]), Ok(5));
    checked(cache);
}

#[test]
#[cfg(feature = "hosted")]
fn a_busy_set_time_leaves_the_clock_running() {
    with_cache(1, |cache| {
        cache.set(b"short", b"value", 5).unwrap();
        let refused = cache.inspect(b"short", |_| cache.set_time(0)).unwrap();
        assert_eq!(refused, Err(Error::Busy));
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(cache.contains(b"short"), Ok(false));
    });
}

#[test]
fn busy_calls_are_counted() {
    with_cache(1, |cache| {
        cache
            .inspect(b"key", |_| assert!(cache.contains(b"key").is_err()))
            .unwrap();
        assert_eq!(cache.stats().failed_busy, 1);
    });
}

#[test]
fn a_closure_that_panics_leaves_the_cache_open() {
    with_cache(2, |cache| {
        let scan = || cache.scan(&mut Cursor::default(), |_| panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(scan)).is_err());
        let inspect = || cache.inspect(b"key", |_| panic!("on purpose"));
        assert!(catch_unwind(AssertUnwindSafe(inspect)).is_err());
    });
}
