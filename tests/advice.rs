//! Advice on the memory limit: what it predicts is what such limits hit, and where it is refused.

#![cfg(not(feature = "one-rule"))]

mod common;

use common::{Region, Rng, key, now_ms, set_now};
use larder::{Advice, Cache, Config, Error, PolicyKind};

const KIB: usize = 1 << 10;
const GETS: usize = 400_000;
/// Keys of the workload: about four times what the largest cache of a test holds.
const KEYS: usize = 24_000;

fn config(policy: PolicyKind) -> Config {
    let mut config = Config::default().clock(now_ms);
    config.policy = policy;
    config
}

/// Popular and less popular keys: a rank's frequency falls with its square root.
fn draw(rng: &mut Rng) -> u64 {
    let one = rng.below(1 << 20) as f64 / f64::from(1 << 20);
    (one * one * KEYS as f64) as u64
}

/// The share of gets that hit, of a workload whose misses are set.
fn replay(cache: &Cache<'_>, gets: usize) -> f64 {
    let mut rng = Rng::new(3);
    let before = cache.stats();
    for step in 0..gets {
        set_now(1_000_000 + step as u64);
        let id = draw(&mut rng);
        if cache.get(&key(id), &mut [0; 128]).is_err() {
            let value = vec![0; 40 + (id % 64) as usize];
            cache.set(&key(id), &value, 0).unwrap();
        }
    }
    let stats = cache.stats();
    (stats.hits - before.hits) as f64 / gets as f64
}

fn replayed(size: usize, config: &Config) -> (f64, Result<Advice, Error>) {
    set_now(1_000_000);
    let mut region = Region::new(size);
    let cache = Cache::new(region.bytes(), config).unwrap();
    (replay(&cache, GETS), cache.advise())
}

fn points(ratio: f64, ppm: u32) -> f64 {
    (100.0 * ratio - f64::from(ppm) / 10_000.0).abs()
}

#[test]
fn what_is_predicted_is_what_other_limits_hit() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let size = 320 * KIB;
        let config = config(policy);
        let (hits, advice) = replayed(size, &config);
        let advice = advice.unwrap();
        assert!(points(hits, advice.hit_ppm[2]) < 1.0, "{hits} {advice:?}");
        assert!((advice.gets as usize).abs_diff(GETS) < 100, "{advice:?}");
        assert!((advice.elapsed_ms as usize).abs_diff(GETS) < 100);
        assert!((64..128).contains(&advice.sample), "{advice:?}");
        let mut wrong = Vec::new();
        for (i, quarters) in [1, 2, 4, 8, 16].into_iter().enumerate() {
            assert_eq!(advice.limit[i], (size / 4 * quarters) as u64);
            let (hits, _) = replayed(size / 4 * quarters, &config);
            // Twice what such caches were seen to be off by, and less than what another limit makes.
            if points(hits, advice.hit_ppm[i]) > 4.0 {
                wrong.push((quarters, hits, advice.hit_ppm[i]));
            }
        }
        assert!(wrong.is_empty(), "{policy:?}: {wrong:?}");
        let rising = advice.hit_ppm.windows(2).all(|pair| pair[0] < pair[1]);
        assert!(rising, "{advice:?}");
        // A get each millisecond: a thousand a second.
        let of =
            |from: usize, to: usize| f64::from(advice.hit_ppm[to] - advice.hit_ppm[from]) / 1e6;
        let mib = size as f64 / f64::from(1 << 20);
        let near = |milli: u64, is: f64| (milli as f64 / 1e6 - is).abs() < 0.01 * is;
        assert!(near(advice.gained_milli, of(2, 3) / mib), "{advice:?}");
        assert!(
            near(advice.lost_milli, of(1, 2) / (mib / 2.0)),
            "{advice:?}"
        );
    }
}

#[test]
fn shards_are_added_up_and_another_limit_begins_anew() {
    let mut config = config(PolicyKind::Default);
    config.shards = 2;
    set_now(1_000_000);
    let mut region = Region::new(640 * KIB);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    assert_eq!(cache.advise(), Err(Error::Again));
    replay(&cache, 100_000);
    let advice = cache.advise().unwrap();
    assert!(advice.gets > 99_900 && advice.gets <= 100_000, "{advice:?}");
    cache.set_memory_limit(480 * KIB).unwrap();
    assert_eq!(cache.advise(), Err(Error::Again));
    while !cache.optimize(0).unwrap().done {}
    replay(&cache, 100_000);
    let advice = cache.advise().unwrap();
    assert!(advice.gets > 99_900 && advice.gets <= 100_000, "{advice:?}");
    assert_eq!(advice.limit[2], 480 * KIB as u64);
}

#[test]
fn too_small_a_cache_gives_none() {
    let mut without = config(PolicyKind::Default);
    without.no_advice = true;
    for (size, config) in [
        (128 * KIB, config(PolicyKind::Default)),
        (512 * KIB, without),
    ] {
        let mut region = Region::new(size);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        replay(&cache, 20_000);
        assert_eq!(cache.advise(), Err(Error::NoMemory));
    }
}

#[test]
fn few_large_items_give_none() {
    let mut region = Region::new(512 * KIB);
    let cache = Cache::new(region.bytes(), &config(PolicyKind::Default)).unwrap();
    for id in 0..20_000 {
        if cache.get(&key(id % 300), &mut [0; 4096]).is_err() {
            cache.set(&key(id % 300), &[0; 4096], 0).unwrap();
        }
    }
    assert_eq!(cache.advise(), Err(Error::NoMemory));
}

/// 2 KB of a shard, and no more.
#[test]
fn the_simulations_cost_what_is_said() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let overhead = |no_advice| {
            let mut config = config(policy);
            config.no_advice = no_advice;
            let mut region = Region::new(4096 * KIB);
            let cache = Cache::new(region.bytes(), &config).unwrap();
            cache.stats().total_allocated
        };
        let cost = overhead(false).abs_diff(overhead(true)) as usize;
        assert!((1500..2400).contains(&cost), "{policy:?}: {cost}");
    }
}
