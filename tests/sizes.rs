//! Large items without further requests do not evict small items in use.

mod common;

use common::{Region, Rng, key};
use larder::{Cache, Config, PolicyKind};

const LARGE: usize = 6 << 10;

/// The hit ratio of requests for small items. One large item is set for `every` requests; 0 = none.
fn small_hit_ratio(policy: PolicyKind, size: usize, every: u64) -> f64 {
    let mut region = Region::new(size);
    let mut config = Config::default();
    config.policy = policy;
    let cache = Cache::new(region.bytes(), &config).unwrap();
    let (mut rng, mut value) = (Rng::new(3), [0; LARGE]);
    let keys = size / 20;
    let (mut hits, mut counted) = (0, 0);
    for n in 0..30 * keys as u64 {
        if every > 0 && n % every == 0 {
            cache.set(&key(1 << 40 | n), &value, 0).unwrap();
        }
        let small = key(rng.log_uniform(1, keys) as u64);
        let hit = cache.get(&small, &mut value[..]).is_ok();
        if !hit {
            cache.set(&small, &[1; 64], 0).unwrap();
        }
        if n > 10 * keys as u64 {
            (hits, counted) = (hits + u32::from(hit), counted + 1);
        }
    }
    cache.check().unwrap();
    f64::from(hits) / f64::from(counted)
}

#[test]
fn large_cold_items_push_out_few_small_warm_ones() {
    for size in [256 << 10, 1 << 20] {
        let without = small_hit_ratio(PolicyKind::Default, size, 0);
        let lru = small_hit_ratio(PolicyKind::Lru, size, 0);
        for every in [50, 10] {
            let with = small_hit_ratio(PolicyKind::Default, size, every);
            let lru_with = small_hit_ratio(PolicyKind::Lru, size, every);
            println!("{size} {every}: {without:.3} -> {with:.3}; LRU {lru:.3} -> {lru_with:.3}");
            assert!(with > without - 0.05);
            // There are enough large items to harm LRU.
            assert!(lru_with < lru - 0.1);
        }
    }
}
