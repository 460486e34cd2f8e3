//! Refused pages, segments, slots and locks, and clocks that jump. A stored item stays unchanged or is removed as a
//! whole. Every invariant holds, and the sums add up.

mod common;

use common::{Region, Rng, checked, key, now_ms, set_now};
use core::ffi::c_void;
use larder::{Cache, Config, Error, LockHooks, PolicyKind, Result};
use std::cell::Cell;

const KIB: usize = 1024;
const POLICIES: [PolicyKind; 2] = [PolicyKind::Default, PolicyKind::Lru];

fn config(policy: PolicyKind, seed: usize) -> Config {
    let mut config = Config::default().clock(now_ms);
    config.policy = policy;
    config.checksum = seed.is_multiple_of(2);
    config.zero_on_free = seed.is_multiple_of(3);
    config.item_times = seed.is_multiple_of(5);
    config
}

/// The value of a key for this length.
fn value(n: u64, len: usize) -> Vec<u8> {
    let mut rng = Rng::new(n << 32 | len as u64);
    (0..len).map(|_| rng.next() as u8).collect()
}

fn read(cache: &Cache<'_>, n: u64) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 64 * KIB];
    let len = cache.get(&key(n), &mut buffer);
    len.ok().map(|len| buffer[..len].to_vec())
}

/// Checks the sums and every invariant.
fn sound(cache: &Cache<'_>) {
    checked(cache);
    let s = cache.stats();
    assert_eq!(
        s.payload_bytes + s.free_bytes + s.overhead_bytes,
        s.region_bytes
    );
    assert_eq!(s.total_used + s.free_bytes, s.region_bytes);
    assert_eq!(s.failed_corrupt, 0);
}

/// Makes a call that stores a value. Checks that the key has the new value after success, else the old one.
fn stores(cache: &Cache<'_>, n: u64, len: usize, call: u64) -> Result<()> {
    let old = read(cache, n);
    let done = match call % 6 {
        0..=2 => cache.set(&key(n), &value(n, len), 0),
        3 => cache.set(&key(n), &value(n, len), 1_000_000),
        4 => cache.touch(&key(n), 1_000_000),
        _ => cache.reserve(&key(n), len, 0).and_then(|mut room| {
            let bytes = value(n, len);
            let mut rest = &bytes[..];
            for i in 0..room.span_count() {
                let span = room.span_mut(i)?;
                let (here, behind) = rest.split_at(span.len());
                span.copy_from_slice(here);
                rest = behind;
            }
            room.commit()
        }),
    };
    let new = read(cache, n);
    match done {
        Ok(()) if call % 6 == 4 => assert_eq!(new, old),
        Ok(()) => assert!(new == Some(value(n, len)), "the new value is missing"),
        Err(_) => assert!(new == old, "a failed call changed the value"),
    }
    done
}

/// Random calls in which a set may fail only because of its size.
fn work(cache: &Cache<'_>, size: usize, calls: u64) -> u64 {
    let mut rng = Rng::new(size as u64);
    let mut refused = 0;
    for call in 0..calls {
        let (n, len) = (rng.below(50) as u64, rng.log_uniform(1, size / 3));
        match stores(cache, n, len, call) {
            Ok(()) | Err(Error::NotFound) => {}
            Err(Error::TooLarge) => refused += 1,
            Err(error) => panic!("{error:?} for {len} bytes in {size}"),
        }
    }
    refused
}

#[test]
fn every_region_is_one_page_segment_or_slot_short_of_the_next() {
    let (mut made, mut refused) = (0, 0);
    for policy in POLICIES {
        let mut least = None;
        for size in (0..9 * KIB).step_by(16) {
            let config = config(policy, size / 16);
            let mut region = Region::new(size);
            match Cache::new(region.bytes(), &config) {
                Ok(cache) => {
                    least = least.or(Some(size));
                    work(&cache, size, 60);
                    sound(&cache);
                    made += 1;
                }
                Err(error) => {
                    assert_eq!(error, Error::NoMemory);
                    refused += 1;
                }
            }
        }
        assert!(least.is_some_and(|least| least <= 4 * KIB));
    }
    println!("{made} regions held a cache, {refused} were too small");
}

#[test]
fn every_limit_holds_what_it_can() {
    let mut taken = 0;
    for policy in POLICIES {
        for size in [4 * KIB, 8 * KIB] {
            for limit in (16..=size).step_by(16) {
                let config = config(policy, limit / 16);
                let mut region = Region::new(size);
                let cache = Cache::new(region.bytes(), &config).unwrap();
                work(&cache, size, 40);
                let before = cache.stats();
                match cache.set_memory_limit(limit) {
                    Ok(()) => {
                        taken += 1;
                        cache.optimize(0).unwrap();
                        work(&cache, limit, 40);
                        assert!(cache.memory_usage() <= limit);
                    }
                    Err(error) => {
                        assert_eq!(error, Error::NoMemory);
                        assert_eq!(cache.stats().item_count, before.item_count);
                    }
                }
                sound(&cache);
            }
        }
    }
    assert!(taken > 100);
    println!("{taken} limits");
}

#[test]
fn where_nothing_can_go_calls_fail_and_change_nothing() {
    let mut failed = 0;
    for policy in POLICIES {
        for size in [4 * KIB, 5 * KIB, 8 * KIB, 16 * KIB] {
            for held in 0..15 {
                let mut config = config(policy, held);
                config.pins_max = 15;
                let mut region = Region::new(size);
                let cache = Cache::new(region.bytes(), &config).unwrap();
                work(&cache, size, 80);
                // Reservations and views, until there are `held` of each or no room is left.
                let mut rng = Rng::new(held as u64);
                let (mut rooms, mut views) = (Vec::new(), Vec::new());
                for n in 0..held as u64 {
                    let len = size / 15 + rng.below(size / 12);
                    if n % 2 == 0 {
                        rooms.extend(cache.reserve(&key(100 + n), len, 0));
                    } else if cache.set(&key(100 + n), &value(100 + n, len), 0).is_ok() {
                        views.extend(cache.pin(&key(100 + n)).map(|view| (n, len, view)));
                    }
                }
                for call in 0..60 {
                    let (n, len) = (rng.below(50) as u64, rng.log_uniform(1, size / 3));
                    failed += u64::from(stores(&cache, n, len, call) == Err(Error::NoMemory));
                    let _ = cache.optimize(rng.below(50) as u32);
                    if call % 8 == 0 {
                        let _ = cache.set_memory_limit(size - rng.below(size / 3));
                    }
                    sound(&cache);
                }
                for (n, len, view) in &views {
                    let spans = (0..view.span_count()).map(|i| view.span(i).unwrap());
                    let seen: Vec<u8> = spans.flatten().copied().collect();
                    assert!(seen == value(100 + n, *len), "a viewed value changed");
                }
                drop((rooms, views));
                cache.set_memory_limit(size).unwrap();
                let no_memory = cache.stats().failed_no_memory;
                work(&cache, size, 40);
                assert_eq!(
                    cache.stats().failed_no_memory,
                    no_memory,
                    "bytes are not free again"
                );
                sound(&cache);
            }
        }
    }
    assert!(failed > 500);
    println!("{failed} calls found no memory");
}

#[test]
fn a_clock_that_jumps_takes_nothing_that_never_expires() {
    let jumps = [
        0,
        1,
        1 << 20,
        (1 << 30) - 1,
        1 << 31,
        1 << 41,
        1 << 42,
        1 << 52,
        u64::MAX,
    ];
    let mut tried = 0;
    for policy in POLICIES {
        for &first in &jumps {
            for &second in &jumps {
                for &third in &jumps {
                    set_now(first);
                    let mut region = Region::new(8 * KIB);
                    let cache = Cache::new(region.bytes(), &config(policy, 1)).unwrap();
                    for n in 0..20 {
                        let ttl = [larder::TTL_NEVER, 500, 1 << 31][n as usize % 3];
                        cache.set(&key(n), &value(n, 20), ttl).unwrap();
                    }
                    for now in [second, third, first] {
                        set_now(now);
                        for n in 0..20 {
                            let found = read(&cache, n);
                            assert!(found.is_none() || found == Some(value(n, 20)));
                            assert!(found.is_some() || n % 3 != 0, "an item without TTL expired");
                        }
                        cache.set(&key(1), &value(1, 20), 500).unwrap();
                        cache.touch(&key(0), larder::TTL_NEVER).unwrap();
                        cache.optimize(0).unwrap();
                        sound(&cache);
                    }
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} clocks");
}

thread_local! {
    /// Number of locks before one is refused; number of locks taken and not released; number refused.
    static UNTIL: Cell<u32> = const { Cell::new(u32::MAX) };
    static TAKEN: Cell<u32> = const { Cell::new(0) };
    static REFUSED: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn lock(_: *mut c_void) -> i32 {
    let until = UNTIL.get();
    UNTIL.set(until.wrapping_sub(1));
    if until == 0 {
        REFUSED.set(REFUSED.get() + 1);
        return -1;
    }
    TAKEN.set(TAKEN.get() + 1);
    0
}

extern "C" fn unlock(_: *mut c_void) {
    TAKEN.set(TAKEN.get() - 1);
}

#[allow(unsafe_code)]
fn with_hooks(config: Config) -> Config {
    let hooks = LockHooks {
        lock,
        unlock,
        try_lock: Some(lock),
        ctx: core::ptr::null_mut(),
    };
    // SAFETY: one thread calls each cache of this test.
    unsafe { config.lock_hooks(hooks) }
}

/// Makes the call of this number. Returns whether it was `Busy`.
fn call(cache: &Cache<'_>, number: u64) -> bool {
    let (n, len) = (number % 23, 1 + number as usize * 7 % 300);
    let done = match number % 15 {
        0..=4 => cache.set(&key(n), &value(n, len), 0),
        5 => cache.try_set(&key(n), &value(n, len), 0),
        6 => cache.delete(&key(n)),
        7 => cache.touch(&key(n), 1_000_000),
        8 => cache.optimize(20).map(drop),
        9 => cache.set_memory_limit(15 * KIB + len),
        10 => cache.pin(&key(n)).map(drop),
        11 => cache.reserve(&key(n), len, 0).map(drop),
        12 => cache.scan(&mut Default::default(), |_| true).map(drop),
        13 => cache.inspect(&key(n), |_| ()),
        _ => cache.get(&key(n), &mut [0; 400]).map(drop),
    };
    assert!(
        matches!(
            done,
            Ok(()) | Err(Error::Busy | Error::NotFound | Error::TypeMismatch)
        ),
        "{done:?}"
    );
    done == Err(Error::Busy)
}

#[test]
fn any_lock_may_be_refused() {
    let (mut refused, mut left) = (0, 0);
    for policy in POLICIES {
        for nth in 0..400 {
            UNTIL.set(u32::MAX);
            let mut config = with_hooks(config(policy, nth as usize));
            config.shards = 2;
            let mut region = Region::new(16 * KIB);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            UNTIL.set(nth);
            REFUSED.set(0);
            let mut busy = 0;
            for number in 0..150 {
                let before = REFUSED.get();
                let turned_away = call(&cache, number);
                // A drop cannot return an error: if its lock is refused, the item stays pinned.
                left += u32::from(REFUSED.get() > before && !turned_away);
                busy += u32::from(turned_away);
            }
            assert!(busy <= 1 && TAKEN.get() == 0, "a lock was not released");
            refused += busy;
            UNTIL.set(u32::MAX);
            sound(&cache);
            for n in 0..23 {
                if let Some(found) = read(&cache, n) {
                    assert!(found == value(n, found.len()));
                }
            }
        }
    }
    println!("{refused} calls were Busy, {left} views or reservations could not be released");
    assert!(refused > 300);
}
