//! No call makes more steps than the documented table allows. The steps are counted after a million random calls on a
//! cache that is always full.

mod common;

use common::{Region, Rng, checked, key, now_ms, set_now};
use larder::{Cache, CacheStats, Config, Error, PolicyKind, Result};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Calls of all caches of a test before the steps are counted.
const WARM_UP: usize = 1_000_000;
/// Counted calls of each cache.
const COUNTED: usize = 20_000;

/// The minimum granules of an item: header, a key of 8 bytes, a value of one byte.
const ITEM_MIN: u64 = 4;

/// The maximum number of items that a call evicts, copies or expires for an item of n granules. Evicted: 3 n + 32
/// granules. Copied: 16 n + 512 granules. Expired: 64 steps.
fn items_for(granules: u64) -> u64 {
    (3 * granules + 32 + 16 * granules + 512) / ITEM_MIN + 64 + 2
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Get,
    Contains,
    Ttl,
    Delete,
    Touch,
    Set { value_len: usize },
    Optimize { steps: u32 },
    Limit,
    Pin,
    Reserve { value_len: usize, commit: bool },
}

/// The steps of a call.
#[derive(Clone, Copy, Debug)]
struct Steps {
    /// Items evicted, expired or moved.
    items: u64,
    /// Segments of the index that were rebuilt or split.
    segments: u64,
    /// Items evicted.
    evicted: u64,
}

/// The maximum number of items evicted by a set of an item of `granules` granules.
fn evictions_for(granules: u64) -> u64 {
    (3 * granules + 32) / ITEM_MIN + 2
}

fn steps_between(before: &CacheStats, after: &CacheStats) -> Steps {
    let items = |s: &CacheStats| s.evictions + s.expirations + s.items_moved;
    let segments = |s: &CacheStats| s.index_rebuilds + s.index_splits;
    Steps {
        items: items(after) - items(before),
        segments: segments(after) - segments(before),
        evicted: after.evictions - before.evictions,
    }
}

/// The table's bounds for a call: items and segments. `longest`: bytes of the longest value.
fn bound(call: Call, longest: usize) -> (u64, u64) {
    let granules = |value_len: usize| (value_len as u64 + 8 + 16).div_ceil(4);
    match call {
        Call::Get | Call::Contains | Call::Ttl | Call::Delete => (1, 0),
        Call::Touch => (items_for(granules(longest)), 2),
        // A pin may acquire a page for the table of pins.
        Call::Pin => (items_for(256), 2),
        Call::Set { value_len } | Call::Reserve { value_len, .. } => {
            (items_for(granules(value_len)), 2)
        }
        Call::Optimize { steps } => (u64::from(steps), u64::from(steps)),
        Call::Limit => (8, 0),
    }
}

struct Driver<'c, 'r> {
    cache: &'c Cache<'r>,
    rng: Rng,
    keys: usize,
    value_max: usize,
    buffer: Vec<u8>,
    value: Vec<u8>,
    region: usize,
}

impl<'c, 'r> Driver<'c, 'r> {
    fn new(cache: &'c Cache<'r>, region: usize, seed: u64) -> Self {
        let value_max = (region / 64).min(16 * KIB);
        Self {
            cache,
            rng: Rng::new(seed),
            keys: region / 40,
            value_max,
            buffer: vec![0; value_max],
            value: vec![7; value_max],
            region,
        }
    }

    fn value_len(&mut self) -> usize {
        // The sizes shift, so that pages change owners.
        let shift = (now_ms() / 500) % 3;
        match shift {
            0 => self.rng.log_uniform(1, 100),
            1 => self.rng.log_uniform(1, self.value_max),
            _ => self.rng.log_uniform(self.value_max / 8, self.value_max / 4),
        }
    }

    fn draw(&mut self) -> Call {
        if self.rng.one_in(10) {
            set_now(now_ms() + 1);
        }
        match self.rng.below(40) {
            0..=11 => Call::Get,
            12 => Call::Contains,
            13 => Call::Ttl,
            14..=15 => Call::Delete,
            16 => Call::Touch,
            17 => Call::Pin,
            18 => Call::Reserve {
                value_len: self.value_len(),
                commit: self.rng.one_in(2),
            },
            19 if self.rng.one_in(20) => Call::Optimize {
                steps: self.rng.below(300) as u32 + 1,
            },
            20 if self.rng.one_in(200) => Call::Limit,
            _ => Call::Set {
                value_len: self.value_len(),
            },
        }
    }

    fn run(&mut self, call: Call) {
        let key = key(self.rng.log_uniform(1, self.keys) as u64);
        let ttl = if self.rng.one_in(4) {
            1 + self.rng.below(3_000) as u64
        } else {
            0
        };
        let cache = self.cache;
        match call {
            Call::Get => may_miss(cache.get(&key, &mut self.buffer)),
            Call::Contains => drop(cache.contains(&key).unwrap()),
            Call::Ttl => may_miss(cache.ttl(&key)),
            Call::Delete => may_miss(cache.delete(&key)),
            Call::Touch => may_miss(cache.touch(&key, 1_000)),
            Call::Set { value_len } => cache.set(&key, &self.value[..value_len], ttl).unwrap(),
            Call::Optimize { steps } => drop(cache.optimize(steps).unwrap()),
            Call::Limit => {
                let limit = self.region / 2 + self.rng.below(self.region / 2);
                cache.set_memory_limit(limit).unwrap();
            }
            Call::Pin => may_miss(cache.pin(&key)),
            Call::Reserve { value_len, commit } => {
                let reservation = cache.reserve(&key, value_len, ttl).unwrap();
                if commit {
                    reservation.commit().unwrap();
                }
            }
        }
    }
}

/// Checks that a call succeeded or found no such item.
fn may_miss<T>(result: Result<T>) {
    if let Err(error) = result {
        assert_eq!(error, Error::NotFound);
    }
}

/// Whether the cache was full: most of its sets removed an item.
fn was_full(before: &CacheStats, after: &CacheStats) -> bool {
    let sets = after.sets - before.sets;
    let gone = after.evictions + after.expirations - before.evictions - before.expirations;
    sets > COUNTED as u64 / 4 && gone * 4 > sets
}

fn calls_stay_within_the_table(policy: PolicyKind) {
    let sizes = [16 * KIB, 64 * KIB, MIB, 16 * MIB];
    for (seed, size) in (1..).zip(sizes) {
        let mut region = Region::new(size);
        let mut config = Config::default().clock(now_ms);
        config.policy = policy;
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let mut driver = Driver::new(&cache, size, seed);
        for _ in 0..WARM_UP / sizes.len() {
            let call = driver.draw();
            driver.run(call);
        }
        checked(&cache);
        let (mut most, mut worst) = (0, None);
        let mut before = cache.stats();
        let warm = before;
        for _ in 0..COUNTED {
            let call = driver.draw();
            driver.run(call);
            let after = cache.stats();
            let steps = steps_between(&before, &after);
            let (items, segments) = bound(call, driver.value_max);
            if let Call::Set { value_len } | Call::Reserve { value_len, .. } = call {
                let granules = (value_len as u64 + 8 + 16).div_ceil(4);
                let most = evictions_for(granules);
                assert!(steps.evicted <= most, "{call:?}: {steps:?}, not {most}");
            }
            assert!(
                steps.items <= items && steps.segments <= segments,
                "{policy:?} {size}: {call:?} did {steps:?}"
            );
            if matches!(call, Call::Set { .. }) && steps.items > most {
                (most, worst) = (steps.items, Some(call));
            }
            before = after;
        }
        assert!(was_full(&warm, &before), "{warm:?}, then {before:?}");
        println!("{policy:?}, {size} B: at most {most} items by {worst:?}");
        checked(&cache);
    }
}

#[test]
fn calls_stay_within_the_table_by_default() {
    calls_stay_within_the_table(PolicyKind::Default);
}

#[test]
fn calls_stay_within_the_table_under_lru() {
    calls_stay_within_the_table(PolicyKind::Lru);
}
