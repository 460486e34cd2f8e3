//! The monitor checks at its interval and stores samples. Above the high watermark it optimizes, until pressure is
//! below the low one or the pass is complete. With the feature `hosted` it runs in a thread.

mod common;

use common::{Region, audited, checked, key, now_ms, set_now};
use larder::{Cache, Config, Error, HISTORY, Monitor, MonitorConfig, MonitorStats, Rates, Sample};
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
        expected.push(Sample {
            time_ms: check * 10,
            usage: cache.memory_usage() as u64,
            limit: cache.memory_limit() as u64,
            ..Sample::default()
        });
        let from = expected.len().saturating_sub(HISTORY);
        assert_eq!(samples(&monitor), expected[from..]);
    }
}

/// Reads as many keys that are there, and that are not.
fn read(cache: &Cache<'_>, hits: u64, misses: u64) {
    cache.set(b"there", b"", larder::TTL_NEVER).unwrap();
    for _ in 0..hits {
        cache.get(b"there", &mut [0; 8]).unwrap();
    }
    for _ in 0..misses {
        assert_eq!(cache.get(b"not there", &mut [0; 8]), Err(Error::NotFound));
    }
}

#[test]
fn samples_count_what_happened_since_the_check_before() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(100)).unwrap();
    read(&cache, 50, 50);
    monitor.poll(1000).unwrap();
    let counts = |sample: &Sample| {
        [
            sample.hits,
            sample.misses,
            sample.evictions,
            sample.expirations,
        ]
    };
    assert_eq!(
        counts(&samples(&monitor)[0]),
        [0; 4],
        "what was before the first check is not counted"
    );
    read(&cache, 7, 3);
    cache.set(b"short", b"", 10).unwrap();
    set_now(20);
    monitor.poll(1100).unwrap();
    assert_eq!(
        counts(&samples(&monitor)[1]),
        [7, 3, 0, 1],
        "and what the check takes out is"
    );
    monitor.poll(1200).unwrap();
    assert_eq!(counts(&samples(&monitor)[2]), [0; 4]);
    let evictions = cache.stats().evictions;
    for n in 0..3000 {
        cache.set(&key(n), &[1; 500], larder::TTL_NEVER).unwrap();
    }
    monitor.poll(1300).unwrap();
    let evicted = cache.stats().evictions - evictions;
    assert!(evicted > 500);
    assert_eq!(counts(&samples(&monitor)[3]), [0, 0, evicted as u32, 0]);
}

#[test]
fn rates_are_events_a_second_over_the_remembered_samples() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(500)).unwrap();
    let rates = || monitor.stats().unwrap().rates;
    read(&cache, 100, 100);
    monitor.poll(0).unwrap();
    assert_eq!(rates(), Rates::default(), "one sample shows no rate");
    read(&cache, 10, 1);
    monitor.poll(500).unwrap();
    assert_eq!((rates().hits_milli, rates().misses_milli), (20_000, 2_000));
    read(&cache, 5, 0);
    monitor.poll(2000).unwrap();
    assert_eq!((rates().hits_milli, rates().misses_milli), (7_500, 500));
    assert_eq!((rates().evictions_milli, rates().expirations_milli), (0, 0));
    for check in 1..=HISTORY as u64 {
        read(&cache, 1, 0);
        monitor.poll(2000 + 2000 * check).unwrap();
    }
    assert_eq!(
        (rates().hits_milli, rates().misses_milli),
        (500, 0),
        "older samples are forgotten"
    );
}

#[test]
fn a_clock_that_steps_back_makes_no_rate_of_its_own() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    for (now, hits) in [(5000, 0), (6000, 10), (100, 1000), (1100, 30), (1100, 500)] {
        read(&cache, hits, 0);
        monitor.check_now(now).unwrap();
    }
    assert_eq!(
        monitor.stats().unwrap().rates.hits_milli,
        20_000,
        "40 in the two seconds that passed"
    );
}

#[test]
fn peaks_are_the_highest_that_checks_found_with_the_first_time() {
    let mut region = Region::new(MIB);
    let cache = cache_on_test_clock(&mut region);
    let monitor = Monitor::new(&cache, &config(1)).unwrap();
    let peaks = || {
        let stats = monitor.stats().unwrap();
        (
            stats.peak_pressure,
            stats.peak_pressure_ms,
            stats.peak_usage,
            stats.peak_usage_ms,
        )
    };
    press(&cache, 60, 1000);
    let (percent, usage) = (pressure(&cache), cache.memory_usage() as u64);
    monitor.poll(10).unwrap();
    assert_eq!(peaks(), (percent, 10, usage, 10));
    monitor.poll(20).unwrap();
    assert_eq!(
        peaks(),
        (percent, 10, usage, 10),
        "the same again is no new peak"
    );
    set_now(1000);
    monitor.poll(30).unwrap();
    assert_eq!(
        peaks(),
        (percent, 10, usage, 10),
        "it found as much, and took it out"
    );
    assert!(cache.memory_usage() as u64 * 2 < usage);
    cache.set_memory_limit(MIB / 4).unwrap();
    press(&cache, 90, larder::TTL_NEVER);
    let percent = pressure(&cache);
    monitor.poll(40).unwrap();
    assert_eq!(
        peaks(),
        (percent, 40, usage, 10),
        "a lower limit is a higher pressure with fewer bytes"
    );
}

#[test]
fn no_check_makes_more_steps_than_step_max_however_many_shards_there_are() {
    for (high_percent, shards) in [(100, 1), (100, 8), (1, 1), (1, 8)] {
        let mut region = Region::new(MIB);
        set_now(0);
        let mut config_of_cache = Config::default().clock(now_ms);
        config_of_cache.shards = shards;
        let cache = Cache::new(region.bytes(), &config_of_cache).unwrap();
        let mut config = config(1);
        (config.high_percent, config.low_percent, config.step_max) = (high_percent, 0, 20);
        let monitor = Monitor::new(&cache, &config).unwrap();
        for n in 0..1000 {
            cache.set(&key(n), &[1; 200], 1000).unwrap();
        }
        set_now(5000);
        let mut checks = 0;
        while cache.item_count() > 0 {
            let before = cache.stats();
            monitor.poll(checks).unwrap();
            let after = cache.stats();
            let taken =
                after.expirations - before.expirations + after.items_moved - before.items_moved;
            assert!(taken <= 20, "{taken} steps of one check, {shards} shards");
            checks += 1;
            assert!(
                checks < 1000,
                "{} items stay, {shards} shards",
                after.item_count
            );
        }
        assert!(checks >= 1000 / 20);
        checked(&cache);
    }
}

#[test]
fn no_shard_waits_for_ever_for_one_that_always_has_something_to_expire() {
    let mut region = Region::new(MIB);
    set_now(0);
    let mut config_of_cache = Config::default().clock(now_ms);
    config_of_cache.shards = 4;
    let cache = Cache::new(region.bytes(), &config_of_cache).unwrap();
    let mut config = config(1);
    (config.high_percent, config.step_max) = (100, 10);
    let monitor = Monitor::new(&cache, &config).unwrap();
    for n in 0..400 {
        cache.set(&key(n), &[1; 20], 1000).unwrap();
    }
    // More items expire in each shard than a check takes out.
    for n in 400..9400u64 {
        set_now(5000 + n);
        cache.set(&key(n), &[1; 20], 1).unwrap();
        if n % 100 == 0 {
            monitor.poll(n).unwrap();
        }
    }
    assert!(cache.item_count() > 1000, "no shard is kept busy");
    let before = cache.stats().expirations;
    for n in 0..400 {
        let old = cache.get(&key(n), &mut [0; 20]);
        assert_eq!(old, Err(Error::NotFound));
    }
    let met = cache.stats().expirations - before;
    assert_eq!(met, 0, "items of some shard were never taken out");
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
