//! Expired items are never returned, their memory becomes free, and no call expires many at once.

mod common;

use common::{Region, key, now_ms, set_now};
use larder::{Cache, Config, Error, Monitor, MonitorConfig, PolicyKind, TTL_NEVER};

const DAY: u64 = 24 * 3600 * 1000;

fn cache(region: &mut Region) -> Cache<'_> {
    set_now(1_000_000);
    Cache::new(region.bytes(), &Config::default().clock(now_ms)).unwrap()
}

#[test]
fn times_to_live_end_on_time_and_never_late() {
    for ttl in [
        1,
        10,
        999,
        60_000,
        DAY,
        24 * DAY,
        25 * DAY,
        365 * DAY,
        3650 * DAY,
    ] {
        let mut region = Region::new(64 << 10);
        let cache = cache(&mut region);
        cache.set(b"k", b"v", ttl).unwrap();
        let left = cache.ttl(b"k").unwrap();
        // A TTL above 12.4 days is rounded down to a tick of 1,024 ms.
        assert!(left <= ttl && (ttl - left) * 1000 < ttl, "{ttl}: {left}");
        set_now(1_000_000 + left - 1);
        assert_eq!(cache.contains(b"k"), Ok(true), "{ttl}");
        set_now(1_000_000 + ttl);
        assert_eq!(cache.get(b"k", &mut [0; 8]), Err(Error::NotFound), "{ttl}");
        assert_eq!((cache.item_count(), cache.stats().expirations), (0, 1));
    }
}

#[test]
fn a_clock_that_steps_back_makes_nothing_late_or_lost() {
    let mut region = Region::new(64 << 10);
    let cache = cache(&mut region);
    cache.set(b"k", b"v", 1000).unwrap();
    set_now(1_000_600);
    assert_eq!(cache.ttl(b"k"), Ok(400));
    set_now(3);
    assert_eq!(cache.ttl(b"k"), Ok(400));
    set_now(402);
    assert_eq!(cache.ttl(b"k"), Ok(1));
    set_now(403);
    assert_eq!(cache.ttl(b"k"), Err(Error::NotFound));
}

#[test]
fn touch_gives_takes_and_replaces_a_time_to_live() {
    let mut region = Region::new(64 << 10);
    let cache = cache(&mut region);
    for len in 0..700 {
        let value = vec![len as u8; len];
        cache.set(b"k", &value, TTL_NEVER).unwrap();
        cache.touch(b"k", 500).unwrap();
        assert_eq!(cache.ttl(b"k"), Ok(500));
        cache.touch(b"k", 900).unwrap();
        assert_eq!(cache.ttl(b"k"), Ok(900));
        cache.touch(b"k", TTL_NEVER).unwrap();
        assert_eq!(cache.ttl(b"k"), Ok(TTL_NEVER));
        let mut buffer = vec![0; 700];
        assert_eq!(cache.get(b"k", &mut buffer), Ok(len));
        assert_eq!(&buffer[..len], &value[..]);
        cache.check().unwrap();
    }
}

#[test]
fn a_ttl_is_as_exact_after_years_as_at_the_start() {
    let mut region = Region::new(64 << 10);
    let cache = cache(&mut region);
    let mut now = 1_000_000;
    // Only the pages' bases make TTLs in milliseconds exact after these steps.
    for step in [0, 1, 13 * DAY, 25 * DAY, 50 * DAY, 1000 * DAY, 2600 * DAY] {
        now += step;
        set_now(now);
        for ttl in [1, 500, 60_000, DAY, 12 * DAY, 13 * DAY, 800 * DAY] {
            cache.set(b"k", b"v", ttl).unwrap();
            let early = ttl - cache.ttl(b"k").unwrap();
            assert!(early == 0 || early * 1000 < ttl, "{ttl} after {now}");
            set_now(now + ttl - early - 1);
            assert_eq!(cache.contains(b"k"), Ok(true), "{ttl} after {now}");
            now += ttl;
            set_now(now);
            assert_eq!(cache.contains(b"k"), Ok(false), "{ttl} after {now}");
        }
        cache.check().unwrap();
    }
}

/// Expired items without requests stay between others for the whole life of the cache.
#[test]
fn an_expired_item_is_never_returned_again() {
    for step in [DAY, 5 * DAY, 13 * DAY, 30 * DAY] {
        let mut region = Region::new(64 << 10);
        let cache = cache(&mut region);
        let mut now = 1_000_000;
        for round in 0..40 {
            for n in 0..3 {
                let ttl = [2000, DAY, 11 * DAY][n as usize];
                cache.set(&key(round << 8 | n), b"v", ttl).unwrap();
            }
            now += step;
            set_now(now);
            let live = (0..=round)
                .flat_map(|r| (0..3).map(move |n| (r, n)))
                .filter(|&(r, n)| {
                    let age = (round - r + 1) * step;
                    age < [2000, DAY, 11 * DAY][n as usize]
                });
            let mut found = 0;
            cache
                .scan(&mut larder::Cursor::default(), |_| {
                    found += 1;
                    true
                })
                .unwrap();
            assert_eq!(found, live.count(), "round {round} of {step}");
            cache.check().unwrap();
        }
    }
}

#[test]
fn a_counter_of_32_bits_that_wraps_loses_nothing() {
    let mut region = Region::new(64 << 10);
    set_now(u64::from(u32::MAX) - 99);
    let cache = Cache::new(region.bytes(), &Config::default().clock(now_ms)).unwrap();
    cache.set(b"k", b"v", 300).unwrap();
    set_now(u64::from(u32::MAX));
    assert_eq!(cache.ttl(b"k"), Ok(201));
    // The host's counter restarts at 0: the wrap itself takes no time.
    set_now(0);
    assert_eq!(cache.ttl(b"k"), Ok(201));
    set_now(200);
    assert_eq!(cache.ttl(b"k"), Ok(1));
    set_now(201);
    assert_eq!(cache.ttl(b"k"), Err(Error::NotFound));
}

/// Fills the cache; one item in `among` gets a TTL of 100 ms.
fn fill(cache: &Cache<'_>, among: u64) -> u64 {
    let mut n = 0;
    while cache.stats().evictions == 0 {
        let ttl = if n % among == 0 { 100 } else { 0 };
        cache.set(&key(n), &[1; 64], ttl).unwrap();
        n += 1;
    }
    n
}

#[test]
fn expired_items_are_evicted_before_others() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for size in [8 << 10, 64 << 10, 1 << 20, 8 << 20] {
            for among in [1, 2, 10] {
                let mut region = Region::new(size);
                set_now(1_000_000);
                let mut config = Config::default().clock(now_ms);
                config.policy = policy;
                let cache = Cache::new(region.bytes(), &config).unwrap();
                let n = fill(&cache, among);
                set_now(1_000_100);
                let (before, expired) = (cache.stats(), n / among);
                for fresh in 0..expired * 9 / 10 {
                    cache.set(&key(1 << 32 | fresh), &[1; 64], 0).unwrap();
                }
                let after = cache.stats();
                let evicted = after.evictions - before.evictions;
                // Allowed evictions: for the index, for items with a part in a cleaned page, and, if few items have
                // expired, for steps that found none.
                let allowed = 16 + expired / 50;
                assert!(
                    evicted <= allowed,
                    "{evicted} of {n} evicted, {expired} had expired, {size} B, {policy:?}"
                );
                cache.check().unwrap();
            }
        }
    }
}

#[test]
fn pages_of_expired_items_go_back_whole_without_any_access() {
    let mut region = Region::new(1 << 20);
    let cache = cache(&mut region);
    for n in 0..6000 {
        cache.set(&key(n), &[1; 64], 100).unwrap();
    }
    for n in 6000..7000 {
        cache.set(&key(n), &[1; 64], 0).unwrap();
    }
    set_now(1_000_100);
    let before = cache.stats();
    let monitor = Monitor::new(&cache, &MonitorConfig::default()).unwrap();
    monitor.poll(0).unwrap();
    assert_eq!(monitor.stats().unwrap().optimizations, 0, "no pressure");
    let after = cache.stats();
    assert_eq!((after.item_count, after.expirations), (1000, 6000));
    let pages = 6000 * 80 / u64::from(after.page_size);
    assert!(u64::from(after.pages_free - before.pages_free) >= pages);
    cache.check().unwrap();
}

#[test]
fn a_check_of_the_monitor_sweeps_no_more_than_its_steps() {
    let mut region = Region::new(1 << 20);
    let cache = cache(&mut region);
    for n in 0..6000 {
        cache.set(&key(n), &[1; 64], 100).unwrap();
    }
    set_now(1_000_100);
    let mut config = MonitorConfig::default();
    (config.interval_ms, config.step_max) = (1, 100);
    let monitor = Monitor::new(&cache, &config).unwrap();
    let mut checks = 0;
    while cache.item_count() > 0 {
        let before = cache.item_count();
        checks += 1;
        monitor.poll(checks).unwrap();
        let gone = before - cache.item_count();
        assert!((1..=100).contains(&gone), "{gone} in check {checks}");
    }
}

/// Items are counted; time is not measured.
#[test]
fn a_million_at_once_make_no_call_long() {
    let mut region = Region::new(96 << 20);
    let cache = cache(&mut region);
    for n in 0..1_000_000 {
        cache.set(&key(n), &[1; 32], 1000).unwrap();
    }
    assert_eq!(cache.item_count(), 1_000_000);
    set_now(1_002_000);
    let (mut last, mut most) = (0, 0);
    let mut call = |what: &dyn Fn()| {
        what();
        let now = cache.stats().expirations;
        (most, last) = (most.max(now - last), now);
    };
    for n in 0..100_000 {
        call(&|| cache.set(&key(1 << 32 | n), &[1; 200], 0).unwrap());
        call(&|| assert_eq!(cache.get(&key(n), &mut [0; 64]), Err(Error::NotFound)));
        call(&|| assert_eq!(cache.contains(&key(1 << 40 | n)), Ok(false)));
    }
    println!("at most {most} expired in one call");
    // The items of a page being emptied, and those of a sweep.
    assert!(most <= 128, "{most} expired in one call");
    let mut report = cache.optimize(1000).unwrap();
    assert!(report.items_expired <= 1000 && !report.done);
    while !report.done {
        report = cache.optimize(1000).unwrap();
        assert!(report.items_expired <= 1000);
    }
    let stats = cache.stats();
    assert_eq!((stats.expirations, stats.evictions), (1_000_000, 0));
    assert_eq!(stats.item_count, 100_000);
    cache.check().unwrap();
}

/// A slice ends in the middle of a page, and the page's first items expire afterwards. A whole pass must walk that
/// page from its start.
#[test]
fn a_whole_pass_leaves_nothing_that_has_expired() {
    for steps in 1..60 {
        let mut region = Region::new(64 << 10);
        let cache = cache(&mut region);
        for n in 0..40 {
            let ttl = if n % 2 == 0 { 5_000 } else { 100 };
            cache.set(&key(n), b"value", ttl).unwrap();
        }
        set_now(1_000_000 + 200);
        cache.optimize(steps).unwrap();
        set_now(1_000_000 + 6_000);
        cache.optimize(0).unwrap();
        assert_eq!(cache.item_count(), 0, "after a slice of {steps}");
    }
}
