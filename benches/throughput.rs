//! The time of a call through the C functions in one thread, with the default configuration: spin lock, library's
//! clock, default policy.
//!
//! - `lesson`: the two benchmarks of the lesson. The set has a time to live, so it reads the clock.
//! - `N_items`: keys of 16 to 32 bytes, values of 64 bytes, in a region for N items:
//!   0.9 MB, and 49 MB, which is more than most processor caches have.
//!
//! The time includes making the key of each call, and reading the key's number from a table.
#![allow(unsafe_code)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Region, Rng};
use core::ffi::c_void;
use core::hint::black_box;
use core::ptr;
use criterion::{Criterion, Throughput};
use larder::ffi::cache::{LARDER_TTL_NEVER, larder_cache_get, larder_cache_set};
use larder::ffi::cache_config::{
    larder_cache, larder_cache_config, larder_cache_init, larder_cache_required_size,
};
use larder::ffi::cache_stats::{larder_cache_stats, larder_cache_stats_t};
use larder::ffi::cache_whole::larder_cache_clear;
use larder::ffi::pool::{
    larder_block, larder_block_release, larder_pool, larder_pool_alloc, larder_pool_init,
};
use larder::ffi::status::{LARDER_NOT_FOUND, LARDER_OK, larder_status};
use std::time::Duration;

const KEY_LEN_MIN: usize = 16;
const KEY_LEN_MAX: usize = 32;
const VALUE_LEN: usize = 64;
const VALUE: [u8; VALUE_LEN] = [0x5a; VALUE_LEN];
const HOUR_MS: u64 = 3_600_000;
const MIB: usize = 1 << 20;

/// Length of a sequence of requests, after which it repeats. It has more keys than fit in the cache.
const REQUESTS: usize = 1 << 22;
/// A cache is filled with the keys of numbers below this one.
const OTHERS: u64 = 1 << 40;
/// The exponent of Zipf's law.
const ZIPF: f64 = 0.99;
/// Number of different keys requested, for each item that fits in the region.
const ZIPF_SPREAD: usize = 4;

// ---- keys and requests -------------------------------------------------------------------------

struct Key {
    bytes: [u8; KEY_LEN_MAX],
    len: usize,
}

/// The key of a number. Different numbers have different keys: the first eight bytes are a permutation of the number.
fn key(n: u64) -> Key {
    let mixed = Rng::new(n).next();
    let mut bytes = [0; KEY_LEN_MAX];
    let words = [mixed, n, !mixed, !n];
    for (part, word) in bytes.chunks_exact_mut(8).zip(words) {
        part.copy_from_slice(&word.to_le_bytes());
    }
    let lens = (KEY_LEN_MAX - KEY_LEN_MIN + 1) as u64;
    let len = KEY_LEN_MIN + (mixed % lens) as usize;
    Key { bytes, len }
}

/// A sequence of numbers that repeats.
struct Requests {
    numbers: Vec<u32>,
    at: usize,
}

impl Requests {
    fn new(draw: impl FnMut() -> u32) -> Self {
        let numbers = core::iter::repeat_with(draw).take(REQUESTS).collect();
        Self { numbers, at: 0 }
    }

    fn uniform(items: usize) -> Self {
        let mut rng = Rng::new(1);
        Self::new(|| rng.below(items) as u32)
    }

    /// Numbers by Zipf's law; lower ones are more frequent. J. Gray et al., "Quickly Generating Billion-Record
    /// Synthetic Databases", SIGMOD 1994.
    fn zipf(items: usize) -> Self {
        let n = items as f64;
        let zeta = |items| -> f64 { (1..=items).map(|i| f64::from(i).powf(-ZIPF)).sum() };
        let (zeta_2, zeta_n) = (zeta(2), zeta(items as u32));
        let eta = (1.0 - (2.0 / n).powf(1.0 - ZIPF)) / (1.0 - zeta_2 / zeta_n);
        let mut rng = Rng::new(1);
        Self::new(|| {
            let unit = rng.next() as f64 / u64::MAX as f64;
            match unit * zeta_n {
                ..1.0 => 0,
                place if place < zeta_2 => 1,
                _ => (n * (eta * unit - eta + 1.0).powf(1.0 / (1.0 - ZIPF))).min(n - 1.0) as u32,
            }
        })
    }

    fn next(&mut self) -> u64 {
        self.at = (self.at + 1) % REQUESTS;
        u64::from(self.numbers[self.at])
    }
}

// ---- the C functions ---------------------------------------------------------------------------

// The functions are called through opaque pointers. Otherwise the compiler would inline them into the loops below
// with constant lengths, which a C program does not get.
type Set = unsafe extern "C" fn(
    *mut larder_cache,
    *const c_void,
    usize,
    *const c_void,
    usize,
    u64,
) -> larder_status;
type Get = unsafe extern "C" fn(
    *mut larder_cache,
    *const c_void,
    usize,
    *mut c_void,
    usize,
    *mut usize,
) -> larder_status;
type Alloc = unsafe extern "C" fn(*mut larder_pool, usize, *mut larder_block) -> larder_status;
type Release = unsafe extern "C" fn(*mut larder_block) -> larder_status;

/// A cache by its C handle, and its region.
struct Cache {
    handle: *mut larder_cache,
    set: Set,
    get: Get,
    _region: Region,
}

impl Cache {
    fn new(size: usize) -> Self {
        let mut region = Region::new(size);
        let mut handle = ptr::null_mut();
        let memory: *mut c_void = region.bytes().as_mut_ptr().cast();
        // SAFETY: the region lives as long as the handle, and only the library accesses it.
        let status = unsafe { larder_cache_init(memory, size, ptr::null(), &raw mut handle) };
        assert_eq!(status, LARDER_OK);
        Self {
            handle,
            set: black_box(larder_cache_set),
            get: black_box(larder_cache_get),
            _region: region,
        }
    }

    /// A cache with room for `items` items.
    fn for_items(items: usize) -> Self {
        let config: *const larder_cache_config = ptr::null();
        let mut size = 0;
        // SAFETY: no configuration is the default one, and `size` can be written.
        let status = unsafe {
            larder_cache_required_size(config, items as u64, KEY_LEN_MAX, VALUE_LEN, &raw mut size)
        };
        assert_eq!(status, LARDER_OK);
        Self::new(size)
    }

    fn set(&self, n: u64, ttl_ms: u64) {
        let Key { bytes, len } = key(n);
        let (key, value) = (bytes.as_ptr().cast(), VALUE.as_ptr().cast());
        // SAFETY: the handle is from `larder_cache_init`; key and value can be read.
        let status = unsafe { (self.set)(self.handle, key, len, value, VALUE_LEN, ttl_ms) };
        assert_eq!(status, LARDER_OK);
    }

    /// Gets an item. Returns whether it is a hit.
    fn get(&self, n: u64, buffer: &mut [u8; VALUE_LEN]) -> bool {
        let Key { bytes, len } = key(n);
        let (key, out) = (bytes.as_ptr().cast(), buffer.as_mut_ptr().cast());
        let mut value_len = 0;
        // SAFETY: the handle is from `larder_cache_init`; the key can be read, the rest written.
        let status =
            unsafe { (self.get)(self.handle, key, len, out, VALUE_LEN, &raw mut value_len) };
        assert!(status == LARDER_OK || status == LARDER_NOT_FOUND);
        status == LARDER_OK
    }

    /// Gets an item, and sets it on a miss. Returns whether it was a hit.
    fn get_or_fill(&self, n: u64, buffer: &mut [u8; VALUE_LEN]) -> bool {
        let hit = self.get(n, buffer);
        if !hit {
            self.set(n, LARDER_TTL_NEVER);
        }
        hit
    }

    fn clear(&self) {
        // SAFETY: the handle is from `larder_cache_init`.
        let status = unsafe { larder_cache_clear(self.handle) };
        assert_eq!(status, LARDER_OK);
    }

    fn evictions(&self) -> u64 {
        let mut stats = core::mem::MaybeUninit::<larder_cache_stats_t>::zeroed();
        // SAFETY: the handle is from `larder_cache_init`; `stats` can be written.
        let status = unsafe { larder_cache_stats(self.handle, stats.as_mut_ptr()) };
        assert_eq!(status, LARDER_OK);
        // SAFETY: the call wrote the structure, which has only integers.
        unsafe { stats.assume_init() }.evictions
    }
}

/// A pool by its C handle, and its region.
struct Pool {
    handle: *mut larder_pool,
    alloc: Alloc,
    release: Release,
    _region: Region,
}

impl Pool {
    fn new(size: usize) -> Self {
        let mut region = Region::new(size);
        let mut handle = ptr::null_mut();
        let memory: *mut c_void = region.bytes().as_mut_ptr().cast();
        // SAFETY: the region lives as long as the handle, and only the library accesses it.
        let status = unsafe { larder_pool_init(memory, size, ptr::null(), &raw mut handle) };
        assert_eq!(status, LARDER_OK);
        Self {
            handle,
            alloc: black_box(larder_pool_alloc),
            release: black_box(larder_block_release),
            _region: region,
        }
    }

    fn alloc(&self, size: usize) -> larder_block {
        let mut block = core::mem::MaybeUninit::uninit();
        // SAFETY: the handle is from `larder_pool_init`; `block` can be written.
        let status = unsafe { (self.alloc)(self.handle, size, block.as_mut_ptr()) };
        assert_eq!(status, LARDER_OK);
        // SAFETY: the successful call wrote the block.
        unsafe { block.assume_init() }
    }

    fn release(&self, mut block: larder_block) {
        // SAFETY: the block is from `larder_pool_alloc`.
        let status = unsafe { (self.release)(&raw mut block) };
        assert_eq!(status, LARDER_OK);
    }
}

// ---- the benchmarks ----------------------------------------------------------------------------

fn lesson(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lesson");
    group.throughput(Throughput::Elements(1));

    // BenchmarkMemoryAllocation: sets of new keys, in a cache that is cleared before it is full.
    const LAP: u64 = 500_000;
    let (cache, mut fresh) = (Cache::new(64 * MIB), 0);
    let mut set = || {
        if fresh % LAP == 0 {
            cache.clear();
        }
        cache.set(fresh, HOUR_MS);
        fresh += 1;
    };
    // The first lap makes the operating system allocate the region's memory.
    (0..LAP).for_each(|_| set());
    group.bench_function("set_fresh", |b| b.iter(&mut set));
    assert!(cache.evictions() <= fresh / 1_000);

    // BenchmarkMemoryPool: allocates a block and releases it.
    let (pool, mut i) = (Pool::new(MIB), 0);
    let mut get_put = || {
        pool.release(pool.alloc(100 + i % 1000));
        i += 1;
    };
    group.bench_function("pool_get_put", |b| b.iter(&mut get_put));
    group.finish();
}

fn on_one_cache(criterion: &mut Criterion, items: usize) {
    let mut group = criterion.benchmark_group(format!("{items}_items"));
    group.throughput(Throughput::Elements(1));
    let mut buffer = [0; VALUE_LEN];
    let mut requests = Requests::uniform(items);
    let cache = Cache::for_items(items);
    (0..items as u64).for_each(|n| cache.set(n, LARDER_TTL_NEVER));
    assert!(cache.evictions() <= items as u64 / 1_000);

    group.bench_function("get_hit", |b| {
        b.iter(|| cache.get(requests.next(), &mut buffer));
    });
    group.bench_function("get_miss", |b| {
        b.iter(|| cache.get(OTHERS + requests.next(), &mut buffer));
    });

    let mut fresh = OTHERS;
    let mut set = || {
        cache.set(fresh, LARDER_TTL_NEVER);
        fresh += 1;
    };
    (0..items).for_each(|_| set());
    assert!(cache.evictions() > items as u64 / 2);
    group.bench_function("set_evict", |b| b.iter(&mut set));
    group.finish();
}

fn zipf(criterion: &mut Criterion, items: usize) {
    let mut group = criterion.benchmark_group(format!("{items}_items"));
    group.throughput(Throughput::Elements(1));
    let mut buffer = [0; VALUE_LEN];
    let mut requests = Requests::zipf(ZIPF_SPREAD * items);
    let cache = Cache::for_items(items);
    let mut call = || cache.get_or_fill(requests.next(), &mut buffer);
    // The first half fills the cache.
    let half = REQUESTS / 2;
    let hits = (0..REQUESTS).filter(|&i| call() && i >= half).count();
    group.bench_function("get_or_fill_zipf", |b| b.iter(&mut call));
    println!("hits: {:.1}%", hits as f64 * 100.0 / half as f64);
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .nresamples(10_000)
        .without_plots()
        .configure_from_args();
    lesson(&mut criterion);
    for items in [6_500, 400_000] {
        on_one_cache(&mut criterion, items);
        zipf(&mut criterion, items);
    }
    criterion.final_summary();
}
