//! Bytes, hit ratio and speed.

use crate::contenders::{Contender, KEY, Key, Kind, VALUE, Value};

/// Splitmix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

fn key(id: u64) -> Key {
    let mut key = [0; KEY];
    key[..8].copy_from_slice(&mix(id).to_le_bytes());
    key[8..].copy_from_slice(&id.to_le_bytes());
    key
}

/// The first bytes of a value are its key's number, so that a wrong value is detected.
fn value(id: u64) -> Value {
    let mut value = [7; VALUE];
    value[..8].copy_from_slice(&id.to_le_bytes());
    value
}

fn get(cache: &mut dyn Contender, id: u64) -> bool {
    let mut found = [0; VALUE];
    let hit = cache.get(&key(id), &mut found);
    assert!(!hit || found == value(id), "a wrong value");
    hit
}

fn set(cache: &mut dyn Contender, id: u64) {
    cache.set(&key(id), &value(id));
}

/// Keys by a power law; key 0 is the most frequent.
pub struct Zipf {
    shares: Vec<f64>,
}

impl Zipf {
    pub fn new(keys: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let shares = (1..=keys).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self {
            shares: shares.collect(),
        }
    }

    fn draw(&self, random: u64) -> u64 {
        let at = (random >> 11) as f64 / (1u64 << 53) as f64 * self.shares.last().expect("keys");
        self.shares.partition_point(|&share| share < at) as u64
    }
}

// ---- bytes -------------------------------------------------------------------------------------

/// Bytes of the heap in use, as glibc counts them.
fn heap() -> usize {
    // SAFETY: reads the allocator's own counters.
    let info = unsafe { libc::mallinfo2() };
    info.uordblks + info.hblkhd
}

/// The bytes and the number of items of a full cache for about `items` items.
fn weigh(kind: &Kind, items: usize) -> (usize, usize) {
    let before = heap();
    let mut cache = (kind.make)(items);
    let keys = 3 * items as u64;
    for id in 0..keys {
        set(&mut *cache, id);
    }
    cache.settle();
    let bytes = heap() - before;
    let held = (0..keys).filter(|&id| get(&mut *cache, id)).count();
    (bytes, held)
}

/// Bytes of an item beside its key and value.
pub fn overhead(kind: &Kind, items: usize) -> f64 {
    let (bytes, held) = weigh(kind, items);
    bytes as f64 / held as f64 - (KEY + VALUE) as f64
}

// ---- hit ratio ---------------------------------------------------------------------------------

/// The share of hits in percent, of a cache that takes `bytes` when full.
pub fn hit_ratio(kind: &Kind, bytes: usize, zipf: &Zipf, requests: u64) -> f64 {
    let guess = bytes / (KEY + VALUE + 32);
    let (taken, _) = weigh(kind, guess);
    let items = (guess as f64 * bytes as f64 / taken as f64) as usize;
    let mut cache = (kind.make)(items);
    let mut hits = 0;
    for n in 0..requests {
        let id = zipf.draw(mix(n));
        if get(&mut *cache, id) {
            hits += u64::from(n >= requests / 2);
        } else {
            set(&mut *cache, id);
        }
    }
    hits as f64 * 200.0 / requests as f64
}

// ---- speed -------------------------------------------------------------------------------------

/// A workload whose time is measured.
#[derive(Clone, Copy)]
pub enum Load {
    Get,
    Set,
    GetOrSet,
}

impl Load {
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Get, "get"),
        (Self::Set, "set of a new key"),
        (Self::GetOrSet, "get or set"),
    ];
}

const SLICES: usize = 15;
const SLICE_CALLS: u64 = 40_000;

/// One cache that runs a load in slices.
struct Runner {
    cache: Box<dyn Contender>,
    held: Vec<u64>,
    next: u64,
}

impl Runner {
    fn new(kind: &Kind, items: usize) -> Self {
        let mut cache = (kind.make)(items);
        let keys = 2 * items as u64;
        (0..keys).for_each(|id| set(&mut *cache, id));
        cache.settle();
        let held = (0..keys).filter(|&id| get(&mut *cache, id)).collect();
        Self {
            cache,
            held,
            next: keys,
        }
    }

    /// Nanoseconds of this thread for a call.
    fn slice(&mut self, load: Load, zipf: &Zipf) -> f64 {
        let start = thread_time();
        for n in 0..SLICE_CALLS {
            let random = mix(self.next);
            self.next += 1;
            match load {
                Load::Get => {
                    let at = random as usize % self.held.len();
                    get(&mut *self.cache, self.held[at]);
                }
                Load::Set => set(&mut *self.cache, self.next),
                Load::GetOrSet => {
                    let id = zipf.draw(random ^ n);
                    if !get(&mut *self.cache, id) {
                        set(&mut *self.cache, id);
                    }
                }
            }
        }
        (thread_time() - start) / SLICE_CALLS as f64
    }
}

fn thread_time() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes one structure.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The speed of each kind relative to the first one under a load: the median over slices that run by turns.
pub fn speeds(kinds: &[Kind], items: usize, load: Load) -> Vec<f64> {
    let zipf = Zipf::new(4 * items, 0.99);
    let mut runners: Vec<Runner> = kinds.iter().map(|kind| Runner::new(kind, items)).collect();
    let mut ratios = vec![Vec::new(); kinds.len()];
    for slice in 0..=SLICES {
        let times: Vec<f64> = runners.iter_mut().map(|r| r.slice(load, &zipf)).collect();
        // The first slice is a warm-up.
        for (i, time) in times.iter().enumerate().filter(|_| slice > 0) {
            ratios[i].push(times[0] / time);
        }
    }
    ratios.into_iter().map(median).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
