//! With `zero_on_free` no byte of a key or value stays in the region after its item was removed, for any cause of
//! removal and after any moves. The cache's reports contain no bytes of keys or values.

mod common;

use common::{Region, Rng, checked, now_ms, set_now};
use larder::{
    AttachReport, Cache, Config, Cursor, Error, Monitor, MonitorConfig, PageOwner, PolicyKind,
    Reservation, View,
};
use std::collections::{HashMap, HashSet};

const KIB: usize = 1024;
const KEYS: usize = 90;
const CALLS: usize = 700;
/// The minimum length of a run that cannot match by chance.
const TRACE: usize = 6;
const MARKER: usize = 16;
const MARKED: u64 = (1 << (8 * TRACE)) - 1;

/// All runs of `TRACE` bytes in a value that repeats this marker.
fn traces(marker: &[u8]) -> impl Iterator<Item = u64> {
    let twice = marker.repeat(2);
    (0..marker.len()).map(move |at| {
        let run = twice[at..at + TRACE].iter().zip(0..);
        run.fold(0, |n, (&byte, i)| n | u64::from(byte) << (8 * i))
    })
}

/// The number of runs in these bytes that must not be there.
fn found(bytes: &[u8], gone: &HashSet<u64>) -> usize {
    let mut run = 0;
    let runs = bytes.iter().map(|&byte| {
        run = run >> 8 | u64::from(byte) << (8 * (TRACE - 1));
        run & MARKED
    });
    runs.skip(TRACE - 1)
        .filter(|run| gone.contains(run))
        .count()
}

fn marker(rng: &mut Rng) -> [u8; MARKER] {
    let mut marker = [0; MARKER];
    marker[..8].copy_from_slice(&rng.next().to_ne_bytes());
    marker[8..].copy_from_slice(&rng.next().to_ne_bytes());
    marker
}

fn value(marker: &[u8], len: usize) -> Vec<u8> {
    marker.iter().copied().cycle().take(len).collect()
}

/// A record of the values in the cache, and of the removed ones.
struct Witness {
    rng: Rng,
    keys: Vec<[u8; MARKER]>,
    /// The last value of each key; its item may have been removed.
    set: HashMap<usize, Vec<u8>>,
    /// Markers of pinned values.
    held: Vec<Vec<u8>>,
    gone: HashSet<u64>,
    longest: usize,
    last: usize,
}

impl Witness {
    fn new(seed: u64, size: usize) -> Self {
        let mut rng = Rng::new(seed);
        let keys = (0..KEYS).map(|_| marker(&mut rng)).collect();
        Self {
            rng,
            keys,
            set: HashMap::new(),
            held: Vec::new(),
            gone: HashSet::new(),
            longest: size / 8,
            last: 0,
        }
    }

    /// Records another value of a key.
    fn put(&mut self, n: usize, marker: &[u8]) {
        if let Some(old) = self.set.insert(n, marker.to_vec()) {
            self.lose(&old);
        }
    }

    fn lose(&mut self, marker: &[u8]) {
        if !self.held.iter().any(|held| held == marker) {
            self.gone.extend(traces(marker));
        }
    }

    /// Scans the cache, and records the items that the scan does not find as removed.
    fn count(&mut self, cache: &Cache<'_>) {
        let mut met = HashSet::new();
        let all = cache.scan(&mut Cursor::default(), |item| {
            met.insert(item.key.to_vec());
            true
        });
        assert_eq!(all, Ok(true));
        for n in 0..KEYS {
            if met.contains(&self.keys[n][..]) {
                continue;
            }
            if let Some(old) = self.set.remove(&n) {
                self.lose(&old);
            }
        }
    }

    /// Makes a random call that stores, removes, moves or changes items.
    fn call<'c>(&mut self, cache: &'c Cache<'c>, guests: &mut Guests<'c>) {
        let n = self.rng.below(KEYS);
        let key = self.keys[n];
        let ttl = [0, 0, 500, 40_000, 2_000_000_000][self.rng.below(5)];
        let len = self.rng.log_uniform(TRACE, self.longest);
        let new = marker(&mut self.rng);
        self.last = self.rng.below(20);
        match self.last {
            0..8 => {
                if cache.set(&key, &value(&new, len), ttl).is_ok() {
                    self.put(n, &new);
                }
            }
            // Shorter and longer values in place.
            8 => {
                for len in [40, 20, 36, 8, 41] {
                    let new = marker(&mut self.rng);
                    if cache.set(&key, &value(&new, len), ttl).is_ok() {
                        self.put(n, &new);
                    }
                }
            }
            9 => {
                let number = self.rng.next() as i64;
                if cache.set_i64(&key, number, ttl).is_ok() {
                    self.put(n, &number.to_ne_bytes());
                }
            }
            10 => {
                let by = self.rng.next() as i64;
                if let Ok(sum) = cache.increment(&key, by) {
                    self.put(n, &sum.to_ne_bytes());
                }
            }
            11 => {
                let _ = cache.touch(&key, ttl);
            }
            12 | 13 => {
                let _ = cache.delete(&key);
            }
            14 => drop(cache.optimize([0, 20, 200][self.rng.below(3)])),
            15 => {
                set_now(now_ms() + self.rng.log_uniform(1, 2_000) as u64);
                cache.optimize(0).expect("nobody else is inside");
            }
            16 => {
                if let (Ok(view), Some(marker)) = (cache.pin(&key), self.set.get(&n)) {
                    guests.views.push(view);
                    self.held.push(marker.clone());
                }
            }
            17 => self.reserve(cache, n, len, ttl, &new, guests),
            18 => {
                self.let_go(guests);
                // Removes the items that expired meanwhile.
                cache.optimize(0).expect("nobody else is inside");
            }
            _ if self.rng.one_in(20) && guests.none() => cache.clear().expect("nothing is held"),
            _ => {
                let limit = self.longest * (4 + self.rng.below(5));
                let _ = cache.set_memory_limit(limit);
            }
        }
    }

    /// Reserves and fills a value, then commits it, drops it, or keeps the reservation.
    fn reserve<'c>(
        &mut self,
        cache: &'c Cache<'c>,
        n: usize,
        len: usize,
        ttl: u64,
        new: &[u8],
        guests: &mut Guests<'c>,
    ) {
        let Ok(mut room) = cache.reserve(&self.keys[n], len, ttl) else {
            return;
        };
        for i in 0..room.span_count() {
            let span = room.span_mut(i).expect("it has so many");
            let bytes = value(new, span.len());
            span.copy_from_slice(&bytes);
        }
        match self.rng.below(3) {
            0 => {
                if room.commit().is_ok() {
                    self.put(n, new);
                }
            }
            1 => {
                drop(room);
                self.lose(new);
            }
            _ => {
                guests.rooms.push(room);
                self.held.push(new.to_vec());
            }
        }
    }

    /// Releases all views and reservations.
    fn let_go(&mut self, guests: &mut Guests<'_>) {
        guests.views.clear();
        guests.rooms.clear();
        for marker in std::mem::take(&mut self.held) {
            if !self.set.values().any(|live| *live == marker) {
                self.lose(&marker);
            }
        }
    }
}

/// Views and reservations in use.
#[derive(Default)]
struct Guests<'c> {
    views: Vec<View<'c>>,
    rooms: Vec<Reservation<'c>>,
}

impl Guests<'_> {
    fn none(&self) -> bool {
        self.views.is_empty() && self.rooms.is_empty()
    }
}

fn config(policy: PolicyKind, seed: u64) -> Config {
    let mut config = Config::default().clock(now_ms);
    (config.policy, config.zero_on_free) = (policy, true);
    (config.hash_seed, config.checksum) = (seed, seed.is_multiple_of(2));
    config.item_times = seed.is_multiple_of(3);
    config
}

#[allow(unsafe_code)]
fn bytes_of<'r>(base: *const u8, len: usize) -> &'r [u8] {
    // SAFETY: the region lives as long as its test, and no call is under way.
    unsafe { std::slice::from_raw_parts(base, len) }
}

fn no_trace_stays(policy: PolicyKind, size: usize, seed: u64) {
    set_now(1 << 40);
    let config = config(policy, seed);
    let mut witness = Witness::new(seed, size);
    let mut region = Region::new(size);
    let base = region.bytes().as_ptr();
    Cache::new(region.bytes(), &config).expect("large enough");
    // Three owners of the region; each leaves views or reservations behind.
    for _ in 0..3 {
        let mut report = AttachReport::default();
        let cache = Cache::attach(region.bytes(), &config, &mut report).expect("a cache");
        let mut guests = Guests::default();
        for call in 0..CALLS {
            witness.call(&cache, &mut guests);
            witness.count(&cache);
            if call % 4 == 0 || size <= 8 * KIB {
                let traces = found(bytes_of(base, size), &witness.gone);
                assert_eq!(
                    traces, 0,
                    "{policy:?}, {size}, seed {seed}, call {call}: {}",
                    witness.last
                );
            }
        }
        checked(&cache);
        std::mem::forget(guests);
        // The attach voids all views and reservations.
        let cache = Cache::attach(region.bytes(), &config, &mut report).expect("a cache");
        witness.count(&cache);
        witness.let_go(&mut Guests::default());
        assert_eq!(
            found(bytes_of(base, size), &witness.gone),
            0,
            "after an attach"
        );
    }
    let cache = Cache::attach(region.bytes(), &config, &mut AttachReport::default()).unwrap();
    cache.clear().unwrap();
    witness.count(&cache);
    assert!(witness.set.is_empty() && witness.gone.len() > 10_000);
    assert_eq!(
        found(bytes_of(base, size), &witness.gone),
        0,
        "after a clear"
    );
}

#[test]
fn no_trace_of_removed_items_stays_by_default() {
    for seed in 0..6 {
        no_trace_stays(
            PolicyKind::Default,
            [5, 8, 32][seed as usize % 3] * KIB,
            seed,
        );
    }
}

#[test]
fn no_trace_of_removed_items_stays_under_lru() {
    for seed in 6..12 {
        no_trace_stays(PolicyKind::Lru, [5, 8, 32][seed as usize % 3] * KIB, seed);
    }
}

#[test]
fn traces_are_found_without_zero_on_free() {
    let mut config = config(PolicyKind::Default, 1);
    config.zero_on_free = false;
    let mut region = Region::new(8 * KIB);
    let base = region.bytes().as_ptr();
    let cache = Cache::new(region.bytes(), &config).unwrap();
    let marker = marker(&mut Rng::new(1));
    cache.set(b"key", &value(&marker, 100), 0).unwrap();
    cache.delete(b"key").unwrap();
    let gone: HashSet<u64> = traces(&marker).collect();
    assert!(found(bytes_of(base, 8 * KIB), &gone) > 80);
}

#[test]
fn a_deleted_key_is_gone_too() {
    let mut region = Region::new(8 * KIB);
    let base = region.bytes().as_ptr();
    let cache = Cache::new(region.bytes(), &config(PolicyKind::Default, 1)).unwrap();
    let mut rng = Rng::new(3);
    let mut gone = HashSet::new();
    for _ in 0..2_000 {
        let key = marker(&mut rng);
        cache.set(&key, b"value", 0).unwrap();
        if rng.one_in(2) {
            cache.delete(&key).unwrap();
            gone.extend(traces(&key).take(MARKER - TRACE + 1));
        }
        assert_eq!(found(bytes_of(base, 8 * KIB), &gone), 0);
    }
}

/// The shorter value has the same number of granules, so it replaces the longer one in place.
#[test]
fn nothing_stays_behind_a_shorter_value() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let mut region = Region::new(8 * KIB);
        let base = region.bytes().as_ptr();
        let cache = Cache::new(region.bytes(), &config(policy, 1)).unwrap();
        cache.set(b"some key", b"123456789xyz", 0).unwrap();
        cache.set(b"some key", b"123456789", 0).unwrap();
        let region = bytes_of(base, 8 * KIB);
        assert!(region.windows(9).any(|bytes| bytes == b"123456789"));
        assert!(!region.windows(3).any(|bytes| bytes == b"xyz"));
    }
}

#[test]
fn no_report_has_bytes_of_keys_or_values() {
    let mut region = Region::new(16 * KIB);
    let cache = Cache::new(region.bytes(), &config(PolicyKind::Default, 1)).unwrap();
    let monitor = Monitor::new(&cache, &MonitorConfig::default()).unwrap();
    let (key, value) = (b"XKEYXKEYXKEYX", "XVALUEXVALUEXVALUEX".repeat(20));
    let mut told = String::new();
    for n in 0..200u32 {
        let key = [&key[..], &n.to_ne_bytes()].concat();
        cache.set_str(&key, &value, u64::from(n)).unwrap();
        let (view, small) = (cache.pin(&key), &mut [0; 4][..]);
        told += &format!(
            "{view:?} {:?} {:?}",
            cache.get(&key, small),
            cache.get_i64(&key)
        );
        told += &format!("{:?}", cache.reserve(&key, 100, 0));
        set_now(now_ms() + 1);
        monitor.check_now(now_ms() + 2_000 * u64::from(n)).unwrap();
    }
    told += &format!("{:?} {cache:?} {:?}", cache.stats(), cache.optimize(0));
    told += &format!("{:?}", monitor.stats());
    let history = monitor.history(|sample| told += &format!("{sample:?}"));
    assert_eq!(history, Ok(()));
    for i in 0..100 {
        told += &format!("{:?}", cache.page_info(i));
    }
    for owner in PageOwner::ALL {
        told += &format!("{:?}", cache.owner_stats(owner));
    }
    let errors = (-20..0).filter_map(Error::from_code);
    errors.for_each(|error| told += &format!("{error:?} {error} {:?}", error.text()));
    drop(monitor);
    let mut report = AttachReport::default();
    drop(Cache::attach(
        region.bytes(),
        &config(PolicyKind::Default, 1),
        &mut report,
    ));
    told += &format!("{report:?}");
    assert!(told.len() > 10_000);
    for secret in ["XKEY", "VALUE", "88, 75, 69, 89", "88, 86, 65, 76"] {
        assert!(!told.contains(secret), "{secret}");
    }
}

/// Fills the stack with bytes that must not appear in a region.
#[inline(never)]
fn soil_the_stack() {
    let mut dirt = [0x5c_u8; 64 * KIB];
    std::hint::black_box(&mut dirt);
}

/// The minimum size of a hook with its context.
const HOOK: usize = 16;

/// The longest run of the stack's bytes.
fn longest_dirt(bytes: &[u8]) -> usize {
    let runs = bytes.split(|&byte| byte != 0x5c);
    runs.map(<[u8]>::len).max().unwrap_or(0)
}

#[test]
fn a_new_region_has_no_bytes_of_the_stack() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for size in [3 * KIB, 4 * KIB, 64 * KIB, 1024 * KIB] {
            soil_the_stack();
            let config = config(policy, 1);
            let mut region = Region::new(size);
            soil_the_stack();
            Cache::new(region.bytes(), &config).unwrap();
            // Only padding, and unused bytes of enums, may hold such bytes.
            assert!(longest_dirt(region.bytes()) < HOOK);
            soil_the_stack();
            Cache::attach(region.bytes(), &config, &mut AttachReport::default()).unwrap();
            assert!(longest_dirt(region.bytes()) < HOOK);
        }
    }
}
