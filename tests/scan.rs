//! A scan of keys that are requested once does not evict the items in use.

mod common;

use common::{Region, Rng, key};
use larder::{Cache, Config, PolicyKind};

/// Hits of `count` requests, in which the n-th key is requested 1/n as often as the first.
fn zipf_hits(cache: &Cache<'_>, rng: &mut Rng, keys: u64, count: u64) -> u64 {
    let mut hits = 0;
    for _ in 0..count {
        let n = rng.log_uniform(1, keys as usize) as u64;
        hits += u64::from(fetch(cache, n));
    }
    hits
}

/// Gets an item, and sets it on a miss. Returns whether it was a hit.
fn fetch(cache: &Cache<'_>, n: u64) -> bool {
    if cache.get(&key(n), &mut [0; 64]).is_ok() {
        return true;
    }
    cache.set(&key(n), &[n as u8; 64], 0).unwrap();
    false
}

/// Points of hit ratio lost after a scan of ten times the cache, for two numbers of requests: as many as the cache has
/// items, and ten times as many.
fn cost_of_a_scan(policy: PolicyKind, size: usize) -> [f64; 2] {
    let run = |scan: bool| {
        let mut region = Region::new(size);
        let mut config = Config::default();
        config.policy = policy;
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let mut rng = Rng::new(7);
        let keys = size as u64 / 10;
        zipf_hits(&cache, &mut rng, keys, 8 * keys);
        let items = cache.item_count();
        if scan {
            for n in 0..10 * items {
                fetch(&cache, 1 << 40 | n);
            }
        }
        [items, 9 * items].map(|count| (zipf_hits(&cache, &mut rng, keys, count), count))
    };
    let (without, with) = (run(false), run(true));
    let points = |a: u64, b: u64, count: u64| (a as f64 - b as f64) * 100.0 / count as f64;
    let ([near, far], [with_near, with_far]) = (without, with);
    [
        points(near.0, with_near.0, near.1),
        points(near.0 + far.0, with_near.0 + with_far.0, near.1 + far.1),
    ]
}

#[test]
fn a_scan_of_ten_times_the_cache_costs_two_points_at_most() {
    for size in [64 << 10, 1 << 20, 4 << 20] {
        let [near, far] = cost_of_a_scan(PolicyKind::Default, size);
        let [lru_near, lru_far] = cost_of_a_scan(PolicyKind::Lru, size);
        println!("{size}: {near:.2} and {far:.2} points; LRU {lru_near:.2} and {lru_far:.2}");
        assert!(near <= 2.0 && far <= 2.0);
        // The scan harms LRU, so the workload can show a difference.
        assert!(lru_near > 10.0);
    }
}
