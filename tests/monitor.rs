//! The monitor checks at its interval, optimizes above its watermark, and counts.

mod common;

use common::{Region, key, now_ms, set_now};
use larder::{Cache, Config, Error, HISTORY, Monitor, MonitorConfig};
use std::pin::Pin;
use std::time::Duration;

fn every(interval_ms: u64) -> MonitorConfig {
    let mut config = MonitorConfig::default();
    config.interval_ms = interval_ms;
    config
}

/// Items of 100 bytes that live for `ttl_ms`, up to this share of the limit.
fn fill_to(cache: &Cache<'_>, percent: u32, ttl_ms: u64) {
    let mut n = cache.item_count();
    while cache.stats().memory_pressure < percent {
        cache.set(&key(n), &[7; 100], ttl_ms).unwrap();
        n += 1;
    }
}

#[test]
fn a_poll_checks_once_in_an_interval() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let monitor = Monitor::new(&cache, &every(100)).unwrap();
    let polls = [
        (1000, true),
        (1099, false),
        (1100, true),
        (1150, false),
        (5000, true),
    ];
    for (now, checks) in polls {
        assert_eq!(monitor.poll(now), Ok(checks), "at {now}");
    }
    // The clock steps back: a new interval begins.
    assert_eq!(monitor.poll(50), Ok(false));
    assert_eq!(monitor.poll(150), Ok(true));
    monitor.set_interval(1000).unwrap();
    assert_eq!(monitor.poll(1149), Ok(false));
    assert_eq!(monitor.poll(1150), Ok(true));
    assert_eq!(monitor.set_interval(0), Err(Error::Invalid));
    let stats = monitor.stats().unwrap();
    assert_eq!((stats.checks_performed, stats.last_check_ms), (5, 1150));
    assert_eq!((stats.optimizations, stats.running), (0, false));
}

#[test]
fn pressure_above_the_watermark_leads_to_an_optimize() {
    let mut region = Region::new(256 << 10);
    let cache = Cache::new(region.bytes(), &Config::default().clock(now_ms)).unwrap();
    let monitor = Monitor::new(&cache, &every(10)).unwrap();
    set_now(1000);
    fill_to(&cache, 79, 500);
    monitor.poll(1000).unwrap();
    assert_eq!(monitor.stats().unwrap().optimizations, 0);
    fill_to(&cache, 90, 500);
    set_now(2000);
    monitor.poll(2000).unwrap();
    let stats = monitor.stats().unwrap();
    assert_eq!((stats.optimizations, stats.peak_pressure), (1, 90));
    assert!(stats.memory_freed > 100_000 && cache.stats().memory_pressure < 20);
    assert_eq!(cache.item_count(), 0);
    cache.check().unwrap();
}

#[test]
fn a_pass_in_slices_goes_on_below_the_watermark() {
    let mut region = Region::new(256 << 10);
    let cache = Cache::new(region.bytes(), &Config::default().clock(now_ms)).unwrap();
    let mut config = every(10);
    (config.step_max, config.low_percent) = (300, 5);
    let monitor = Monitor::new(&cache, &config).unwrap();
    set_now(0);
    fill_to(&cache, 90, 500);
    set_now(10_000);
    let mut checks = 0;
    while cache.item_count() > 0 {
        monitor.poll(10_000 + checks * 10).unwrap();
        checks += 1;
        assert!(checks < 100);
    }
    let stats = monitor.stats().unwrap();
    assert!(checks > 3 && stats.optimizations == checks, "{stats:?}");
}

#[test]
fn the_last_samples_are_remembered_in_order() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let monitor = Monitor::new(&cache, &every(1)).unwrap();
    (0..40).for_each(|now| assert_eq!(monitor.poll(now), Ok(true)));
    let mut times = Vec::new();
    monitor
        .history(|sample| times.push(sample.time_ms))
        .unwrap();
    assert_eq!(times, (40 - HISTORY as u64..40).collect::<Vec<_>>());
}

#[test]
fn watermarks_and_interval_are_checked() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    for (low, high, interval) in [(70, 0, 1), (70, 101, 1), (81, 80, 1), (70, 80, 0)] {
        let mut config = every(interval);
        (config.low_percent, config.high_percent) = (low, high);
        assert_eq!(Monitor::new(&cache, &config).err(), Some(Error::Invalid));
    }
}

#[test]
fn the_thread_starts_stops_and_starts_again() {
    let mut region = Region::new(64 << 10);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let monitor = Monitor::new(&cache, &every(3_600_000)).unwrap();
    let pinned = Pin::new(&monitor);
    for round in 1..=2 {
        pinned.start().unwrap();
        assert_eq!(pinned.start(), Err(Error::Busy));
        assert!(monitor.stats().unwrap().running);
        // A running thread follows a new interval at once.
        monitor.set_interval(1).unwrap();
        while monitor.stats().unwrap().checks_performed < round * 3 {
            std::thread::sleep(Duration::from_millis(1));
        }
        monitor.stop();
        monitor.stop();
        let stats = monitor.stats().unwrap();
        assert!(!stats.running);
        monitor.set_interval(3_600_000).unwrap();
        assert_eq!(
            monitor.stats().unwrap().checks_performed,
            stats.checks_performed
        );
    }
}
