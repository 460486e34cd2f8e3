//! What has expired is never returned, comes back as memory, and never makes a call long.

mod common;

use common::{Region, key, now_ms, set_now};
use larder::{Cache, Config, Error, TTL_NEVER};

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
        // Rounded down to a tick of 1,024 ms where it lies more than 24.8 days ahead.
        assert!(left <= ttl && ttl - left < 1024, "{ttl}: {left}");
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
fn expired_items_that_are_met_go_first() {
    let mut region = Region::new(1 << 20);
    let cache = cache(&mut region);
    let mut n = 0;
    while cache.stats().evictions == 0 {
        cache
            .set(&key(n), &[1; 64], if n % 2 == 0 { 100 } else { 0 })
            .unwrap();
        n += 1;
    }
    set_now(1_000_200);
    let before = cache.stats();
    for fresh in 0..n / 4 {
        cache.set(&key(1 << 32 | fresh), &[1; 64], 0).unwrap();
    }
    let after = cache.stats();
    let (expired, evicted) = (
        after.expirations - before.expirations,
        after.evictions - before.evictions,
    );
    println!("{expired} expired, {evicted} evicted");
    assert!(expired > 0);
}

/// Counted in items, not in time.
#[test]
fn all_at_once_makes_no_call_long() {
    let mut region = Region::new(9 << 20);
    let cache = cache(&mut region);
    for n in 0..100_000 {
        cache.set(&key(n), &[1; 64], 1000).unwrap();
    }
    set_now(1_002_000);
    let mut last = cache.stats().expirations;
    let mut most = 0;
    for n in 0..20_000 {
        cache.set(&key(1 << 32 | n), &[1; 64], 0).unwrap();
        let now = cache.stats().expirations;
        (most, last) = (most.max(now - last), now);
    }
    println!("at most {most} expired in one call");
    // Where a page is emptied for a class that has none, that is what goes at once.
    assert!(most <= 16384 / 76);
    let mut report = cache.optimize(1000).unwrap();
    assert!(report.items_expired <= 1000 && !report.done);
    while !report.done {
        report = cache.optimize(1000).unwrap();
        assert!(report.items_expired <= 1000);
    }
    assert!(cache.item_count() <= 20_000);
    assert_eq!(
        cache.stats().expirations + cache.stats().evictions + cache.item_count(),
        120_000
    );
    cache.check().unwrap();
}
