//! The monitor checks at its interval and stores samples. Above the high watermark it optimizes, until pressure is
//! below the low one or the pass is complete. With the feature `hosted` it runs in a thread.

mod common;

use common::{Region, audited, checked, key, now_ms, set_now};
use larder::{Cache, Config, Error, HISTORY, Monitor, MonitorConfig, MonitorStats, Sample};
#[cfg(all(feature = "hosted", feature = "spin"))]
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn config(interval_ms: u64) -> MonitorConfig {
    let mut config = MonitorConfig::default();
    config.interval_ms = interval_ms;
    config
}

fn cache_on_test_clock(region: &mut Region) -> Cache<'_> {
    set_now(0);
    Cache::new(region.bytes(), &Config::default().clock(now_ms)).unwrap()
}

fn pressure(cache: &Cache<'_>) -> u32 {
    cache.stats().memory_pressure
}

/// Stores items with this TTL until pressure is `percent`.
fn press(cache: &Cache<'_>, percent: u32, ttl_ms: u64) {
    let mut n = cache.stats().sets;
    while pressure(cache) < percent {
        cache.set(&key(n), &[1; 500], ttl_ms).unwrap();
        n += 1;
    }
}

fn samples(monitor: &Monitor<'_>) -> Vec<Sample> {
    let mut samples = Vec::new();
    monitor.history(|sample| samples.push(*sample)).unwrap();
    samples
}

#[test]
fn a_poll_checks_first_and_then_once_an_interval() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(100)).unwrap();
    assert_eq!(monitor.stats(), Ok(MonitorStats::default()));
    let due: Vec<u64> = (1000..1350)
        .filter(|&now| monitor.poll(now).unwrap())
        .collect();
    assert_eq!(due, [1000, 1100, 1200, 1300]);
    let stats = monitor.stats().unwrap();
    assert_eq!((stats.checks_performed, stats.last_check_ms), (4, 1300));
}

#[test]
fn a_changed_interval_holds_from_the_next_poll() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(1000)).unwrap();
    assert_eq!(monitor.poll(0), Ok(true));
    assert_eq!(monitor.poll(50), Ok(false));
    monitor.set_interval(50).unwrap();
    assert_eq!(monitor.poll(50), Ok(true));
    monitor.set_interval(1000).unwrap();
    assert_eq!(monitor.poll(1049), Ok(false));
    assert_eq!(monitor.poll(1050), Ok(true));
    assert_eq!(monitor.set_interval(0), Err(Error::Invalid));
}

#[test]
fn a_clock_that_steps_back_delays_a_check_by_an_interval_at_most() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(100)).unwrap();
    assert_eq!(monitor.poll(1_000_000), Ok(true));
    assert_eq!(monitor.poll(500), Ok(false));
    assert_eq!(monitor.poll(599), Ok(false));
    assert_eq!(monitor.poll(600), Ok(true));
}

#[test]
fn watermarks_and_intervals_out_of_range_are_refused() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    for (interval_ms, high, low) in [(0, 80, 70), (1, 0, 0), (1, 101, 70), (1, 70, 80)] {
        let mut config = config(interval_ms);
        (config.high_percent, config.low_percent) = (high, low);
        assert_eq!(Monitor::new(&cache, &config).err(), Some(Error::Invalid));
    }
}

#[test]
fn pressure_above_the_high_watermark_is_optimized_away() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(100)).unwrap();
    press(&cache, 80, 1000);
    set_now(1000);
    monitor.poll(1000).unwrap();
    assert_eq!(
        monitor.stats().unwrap().optimizations,
        0,
        "80% is not above 80%"
    );
    press(&cache, 82, 1000);
    set_now(2000);
    let before = audited(&cache);
    monitor.poll(2000).unwrap();
    let after = audited(&cache);
    let stats = monitor.stats().unwrap();
    assert_eq!(
        (stats.optimizations, stats.peak_pressure),
        (1, before.memory_pressure)
    );
    assert_eq!(stats.memory_freed, before.total_used - after.total_used);
    assert_eq!(
        (after.item_count, after.evictions),
        (0, 0),
        "only expired items are removed"
    );
    assert!(after.memory_pressure < 70);
    monitor.poll(2100).unwrap();
    assert_eq!(
        monitor.stats().unwrap().optimizations,
        1,
        "there is no work left"
    );
    checked(&cache);
}

#[test]
fn live_items_are_not_evicted_for_pressure() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(100)).unwrap();
    press(&cache, 95, 0);
    let before = audited(&cache);
    for now in 0..10 {
        monitor.poll(now * 100).unwrap();
    }
    let after = audited(&cache);
    assert_eq!((after.item_count, after.evictions), (before.item_count, 0));
    assert!(after.total_used <= before.total_used);
}

#[test]
fn a_pass_in_slices_continues_from_the_high_to_the_low_watermark() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let mut config = config(1);
    (config.high_percent, config.low_percent, config.step_max) = (80, 40, 20);
    let monitor = Monitor::new(&cache, &config).unwrap();
    press(&cache, 90, 1000);
    set_now(1000);
    let (mut levels, mut rest) = (Vec::new(), 0);
    for now in 0..1000 {
        let before = monitor.stats().unwrap().optimizations;
        monitor.poll(now).unwrap();
        levels.push(pressure(&cache));
        if monitor.stats().unwrap().optimizations > before {
            rest = pressure(&cache);
        }
    }
    assert!(levels.is_sorted_by(|a, b| a >= b), "pressure only falls");
    assert!(
        levels.windows(2).all(|pair| pair[0] - pair[1] <= 3),
        "one check freed more than a slice"
    );
    assert!(
        (30..40).contains(&rest),
        "stopped at {rest}%, not below 40%"
    );
    assert!(
        levels.last().is_some_and(|&level| level < 5),
        "every check removes expired items"
    );
    assert!(monitor.stats().unwrap().optimizations > 10);
    press(&cache, 79, 1_000_000);
    let before = monitor.stats().unwrap().optimizations;
    monitor.poll(5000).unwrap();
    assert_eq!(
        monitor.stats().unwrap().optimizations,
        before,
        "optimizing starts again only above 80%"
    );
}

#[test]
fn a_lowered_limit_is_met_by_the_monitor() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    press(&cache, 90, 0);
    cache.set_memory_limit(MIB / 2).unwrap();
    assert!(pressure(&cache) > 100);
    monitor.poll(0).unwrap();
    assert!(pressure(&cache) <= 100);
    assert!(monitor.stats().unwrap().peak_pressure > 150);
}

#[test]
fn the_last_samples_are_remembered_oldest_first() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(10)).unwrap();
    let mut expected = Vec::new();
    for check in 0..HISTORY as u64 + 5 {
        cache.set(&key(check), &[0; 3000], 0).unwrap();
        monitor.poll(check * 10).unwrap();
        let (usage, limit) = (cache.memory_usage() as u64, cache.memory_limit() as u64);
        expected.push(Sample {
            time_ms: check * 10,
            usage,
            limit,
        });
        let from = expected.len().saturating_sub(HISTORY);
        assert_eq!(samples(&monitor), expected[from..]);
    }
}

// ---- the thread ------------------------------------------------------------------------------------

/// Waits until a monitor has made `checks` checks. Panics after ten seconds.
#[cfg(all(feature = "hosted", feature = "spin"))]
fn wait_for_checks(monitor: &Monitor<'_>, checks: u64) {
    let start = Instant::now();
    while monitor.stats().unwrap().checks_performed < checks {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the thread does not check"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A cache and a monitor for as long as the program.
#[cfg(all(feature = "hosted", feature = "spin"))]
fn for_ever(interval_ms: u64) -> std::pin::Pin<&'static Monitor<'static>> {
    let region = common::for_ever(Region::new(MIB)).bytes();
    let cache = common::for_ever(Cache::new(region, &Config::default()).unwrap());
    let monitor = Monitor::new(cache, &config(interval_ms)).unwrap();
    std::pin::Pin::static_ref(common::for_ever(monitor))
}

#[test]
#[cfg(all(feature = "hosted", feature = "spin"))]
fn a_thread_checks_until_it_is_stopped_and_can_start_again() {
    let monitor = for_ever(2);
    for round in 1..=3 {
        assert!(!monitor.stats().unwrap().running);
        monitor.start().unwrap();
        assert_eq!(monitor.start(), Err(Error::Busy), "the thread runs");
        assert_eq!(monitor.during(|| ()), Err(Error::Busy), "the thread runs");
        assert!(monitor.stats().unwrap().running);
        wait_for_checks(&monitor, round * 5);
        monitor.stop().unwrap();
        monitor.stop().unwrap();
        let checks = monitor.stats().unwrap().checks_performed;
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(
            monitor.stats().unwrap().checks_performed,
            checks,
            "the thread checked after its end"
        );
    }
}

#[test]
#[cfg(all(feature = "hosted", feature = "spin"))]
fn a_running_thread_follows_a_new_interval_at_once() {
    let mut region = Region::new(MIB);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let monitor = Monitor::new(&cache, &config(3_600_000)).unwrap();
    let stopped = monitor.during(|| {
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(
            monitor.stats().unwrap().checks_performed,
            0,
            "the first check is an hour away"
        );
        monitor.set_interval(2).unwrap();
        wait_for_checks(&monitor, 5);
        monitor.set_interval(3_600_000).unwrap();
        Instant::now()
    });
    assert!(
        stopped.unwrap().elapsed() < Duration::from_secs(1),
        "the thread waits for the old interval"
    );
}

#[test]
#[cfg(all(feature = "hosted", feature = "spin"))]
fn a_thread_optimizes_beside_others_that_use_the_cache() {
    let mut region = Region::new(MIB);
    let mut config_of_cache = Config::default();
    config_of_cache.shards = 2;
    let cache = Cache::new(region.bytes(), &config_of_cache).unwrap();
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    let work = |thread: u64| {
        for n in 0..20_000 {
            // Items without a TTL fill the cache even on the slowest machine.
            let ttl_ms = if n % 2 == 0 { 5 } else { larder::TTL_NEVER };
            cache
                .set(&key(thread + 2 * (n % 3000)), &[thread as u8; 400], ttl_ms)
                .unwrap();
            let mut buffer = [9; 400];
            if cache
                .get(&key(thread + 2 * (n * 7 % 3000)), &mut buffer)
                .is_ok()
            {
                assert_eq!(buffer, [thread as u8; 400]);
            }
        }
    };
    let both = || {
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let work = &work;
                scope.spawn(move || work(thread));
            }
        });
        wait_for_checks(&monitor, 3);
    };
    monitor.during(both).unwrap();
    assert!(monitor.stats().unwrap().optimizations > 0);
    checked(&cache);
}

#[test]
#[cfg(all(feature = "hosted", feature = "spin"))]
fn a_thread_ends_with_the_closure_of_during() {
    let mut region = Region::new(MIB);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    for _ in 0..20 {
        let running = monitor.during(|| monitor.stats().unwrap().running);
        assert_eq!(running, Ok(true));
        assert!(!monitor.stats().unwrap().running);
    }
    let body = || monitor.during(|| panic!("on purpose"));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
    assert!(panicked.is_err() && !monitor.stats().unwrap().running);
    checked(&cache);
}

#[test]
#[cfg(feature = "hosted")]
#[allow(unsafe_code)]
fn a_cache_without_a_lock_gets_no_thread() {
    let mut region = Region::new(MIB);
    let config_of_cache = if cfg!(feature = "spin") {
        // SAFETY: this thread alone calls the cache.
        unsafe { Config::default().single_thread() }
    } else {
        Config::default()
    };
    let cache = Cache::new(region.bytes(), &config_of_cache).unwrap();
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    assert_eq!(monitor.during(|| ()), Err(Error::Invalid));
    assert!(!monitor.stats().unwrap().running);
    assert_eq!(monitor.poll(0), Ok(true), "the host's tick works");
}

#[test]
fn a_history_is_visited_outside_of_the_lock() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    monitor.poll(1).unwrap();
    let mut visits = 0;
    let visit = |_: &Sample| {
        visits += 1;
        assert_eq!(monitor.stats().unwrap().checks_performed, visits);
        assert_eq!(monitor.poll(2), Ok(true));
    };
    monitor.history(visit).unwrap();
    assert_eq!(visits, 1);
}
