//! The hit ratio on generated workloads with items of one size. It is compared with LRU, other policies and the
//! optimum at the same number of items, by lower and upper bounds.

mod common;
#[path = "reference/mod.rs"]
mod reference;

use common::{Region, Rng, checked, key};
use larder::{Cache, Config, PolicyKind};
use reference::{Kind, optimum_hits};

const REQUESTS: usize = 200_000;
const VALUE: [u8; 24] = [0x5a; 24];

/// Generates requests for a cache of about this number of items.
type Workload = fn(&mut Rng, usize) -> Vec<u32>;

/// A number below `keys`; the n-th number is requested 1/n as often as the first.
fn zipf(rng: &mut Rng, keys: usize) -> u32 {
    rng.log_uniform(1, keys) as u32 - 1
}

fn times(mut request: impl FnMut(usize) -> u32) -> Vec<u32> {
    (0..REQUESTS).map(&mut request).collect()
}

fn loops(_: &mut Rng, items: usize) -> Vec<u32> {
    times(|i| (i % (items * 3 / 2)) as u32)
}

/// Popular keys, interrupted by scans of a large table in order.
fn scans(rng: &mut Rng, items: usize) -> Vec<u32> {
    let (popular, table) = (4 * items, 3 * items);
    times(|i| match i % (5 * items) {
        at if at < table => (popular + at) as u32,
        _ => zipf(rng, popular),
    })
}

fn plain_zipf(rng: &mut Rng, items: usize) -> Vec<u32> {
    times(|_| zipf(rng, 20 * items))
}

/// Popular keys that change: after a cache's worth of requests one key in twenty is another.
fn drift(rng: &mut Rng, items: usize) -> Vec<u32> {
    let keys = 10 * items;
    times(|i| {
        let n = zipf(rng, keys) as usize;
        let age = (i + n * items * 20 / keys) / (20 * items);
        (n + keys * (age % 16)) as u32
    })
}

/// The two-pool workload of LRU-2: requests to a small and a large pool by turns, uniform inside each pool.
fn two_pools(rng: &mut Rng, items: usize) -> Vec<u32> {
    let (small, large) = (items * 3 / 4, 30 * items);
    times(|i| match i % 2 {
        0 => rng.below(small) as u32,
        _ => (small + rng.below(large)) as u32,
    })
}

/// A pool that shifts: each key is requested a few times, at distances longer than the cache, then never again.
fn visits(rng: &mut Rng, items: usize) -> Vec<u32> {
    let pool = items * 5 / 4;
    times(|i| {
        let from = i / 8;
        (from + rng.below(pool)) as u32
    })
}

/// Recently requested keys are requested again.
fn recent(rng: &mut Rng, items: usize) -> Vec<u32> {
    let mut last: Vec<u32> = Vec::new();
    times(|i| {
        let back = rng.log_uniform(1, 8 * items);
        let id = match last.len().checked_sub(back) {
            Some(at) if !rng.one_in(4) => last[at],
            _ => i as u32,
        };
        last.push(id);
        id
    })
}

/// Popular keys and a loop by turns, so that the rule must change.
fn phases(rng: &mut Rng, items: usize) -> Vec<u32> {
    times(|i| match i / (REQUESTS / 4) % 2 {
        0 => zipf(rng, 10 * items),
        _ => (10 * items + i % (items * 5 / 4)) as u32,
    })
}

/// Each key is requested six times, with more than a cache's worth of other keys in between. Only ghosts show that a
/// key was requested before.
fn revisits(_: &mut Rng, items: usize) -> Vec<u32> {
    let between = items * 5 / 4;
    times(|i| {
        let (lap, place) = (i / between, i % between);
        (place + between * ((lap + place % 6) / 6)) as u32
    })
}

/// Seeds of the hash: which keys are sampled decides the rule, and in a small cache that is worth points.
const SEEDS: u64 = 7;

/// Hits, and the average number of items over the second half: the means over the seeds.
fn larder(ids: &[u32], region: usize, policy: PolicyKind) -> (u64, usize) {
    let runs = (0..SEEDS).map(|seed| larder_with(ids, region, (policy, seed)));
    let (hits, held) = runs.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
    (hits / SEEDS, held / SEEDS as usize)
}

fn larder_with(ids: &[u32], region: usize, (policy, seed): (PolicyKind, u64)) -> (u64, usize) {
    let mut region = Region::new(region);
    let mut config = Config::default();
    (config.policy, config.hash_seed) = (policy, seed);
    let cache = Cache::new(region.bytes(), &config).unwrap();
    let (mut hits, mut held, mut looks) = (0, 0, 0);
    for (i, &id) in ids.iter().enumerate() {
        let key = key(u64::from(id));
        if cache.get(&key, &mut [0; 24]).is_ok() {
            hits += 1;
        } else {
            cache.set(&key, &VALUE, 0).unwrap();
        }
        if i % 64 == 0 && i > ids.len() / 2 {
            held += cache.item_count() as usize;
            looks += 1;
        }
    }
    checked(&cache);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses + hits), (hits, ids.len() as u64));
    (hits, held / looks)
}

/// Hit ratios in percent at equal items.
struct Cell {
    larder: f64,
    lru: f64,
    /// The best of the reference policies.
    best: f64,
    optimum: f64,
}

fn measure(name: &str, workload: Workload, region: usize) -> Cell {
    let items = region / 50;
    let ids = workload(&mut Rng::new(7), items);
    let keys = *ids.iter().max().unwrap() as usize + 1;
    let percent = |hits: u64| hits as f64 * 100.0 / ids.len() as f64;
    let (hits, held) = larder(&ids, region, PolicyKind::Default);
    let all = Kind::ALL.map(|kind| percent(kind.hits(&ids, keys, held)));
    let cell = Cell {
        larder: percent(hits),
        lru: percent(Kind::Lru.hits(&ids, keys, held)),
        best: all.into_iter().fold(0.0, f64::max),
        optimum: percent(optimum_hits(&ids, keys, held)),
    };
    println!(
        "{name:10} {region:7} {held:6} larder {:5.1} lru {:5.1} best {:5.1} optimum {:5.1} {all:.1?}",
        cell.larder, cell.lru, cell.best, cell.optimum
    );
    cell
}

/// Whether a cell is within its bounds: at least `above_lru` points above LRU, and at most `below_best` below the best
/// reference.
fn holds(name: &str, workload: Workload, region: usize, above_lru: f64, below_best: f64) -> bool {
    let cell = measure(name, workload, region);
    cell.larder >= cell.lru + above_lru
        && cell.larder >= cell.best - below_best
        // No policy exceeds the optimum; larder holds a few items more at times than on average.
        && cell.larder <= cell.optimum + 0.5
}

/// Checks a workload in regions of 16, 64 and 256 KiB.
fn assert_within(name: &str, workload: Workload, bounds: [(f64, f64); 3]) {
    let sizes = [16 << 10, 64 << 10, 256 << 10];
    let cells = sizes.into_iter().zip(bounds);
    let wrong: Vec<usize> = cells
        .filter(|&(size, (lru, best))| !holds(name, workload, size, lru, best))
        .map(|(size, _)| size)
        .collect();
    assert!(wrong.is_empty(), "{name}: out of its bounds in {wrong:?}");
}

#[test]
fn scans_leave_popular_keys() {
    assert_within("scans", scans, [(6.5, 2.0), (6.0, 3.5), (3.5, 7.0)]);
}

#[test]
fn popular_keys_stay() {
    assert_within("zipf", plain_zipf, [(9.8, 1.0), (6.8, 1.0), (4.2, 1.5)]);
}

#[test]
fn popular_keys_may_change() {
    assert_within("drift", drift, [(1.2, 3.0), (0.0, 2.5), (0.5, 1.8)]);
}

#[test]
fn the_small_pool_stays() {
    let bounds = [(17.5, 2.0), (20.5, 2.0), (16.0, 4.0)];
    assert_within("two pools", two_pools, bounds);
}

#[test]
fn a_pool_that_moves_on_is_followed() {
    assert_within("visits", visits, [(-1.5, 1.5), (-2.0, 2.0), (-3.2, 3.2)]);
}

#[test]
fn recent_keys_are_requested_again() {
    assert_within("recent", recent, [(0.2, 1.5), (0.0, 1.6), (-0.3, 2.0)]);
}

#[test]
fn popular_keys_and_loops_by_turns() {
    let bounds = [(14.0, 9.0), (15.0, 4.0), (10.0, 4.0)];
    assert_within("phases", phases, bounds);
}

#[test]
fn as_many_evicted_items_are_remembered_as_are_held() {
    let bounds = [(12.0, 0.0), (11.5, 0.0), (16.0, 0.0)];
    assert_within("revisits", revisits, bounds);
}

/// A loop is LRU's worst case. The default policy is not the best one for loops.
#[test]
fn loops_are_no_worse_than_under_lru() {
    assert_within("loops", loops, [(0.0, 100.0); 3]);
}

#[test]
fn exact_lru_is_the_reference() {
    let ids = plain_zipf(&mut Rng::new(7), 1000);
    let (hits, held) = larder(&ids, 64 << 10, PolicyKind::Lru);
    let keys = *ids.iter().max().unwrap() as usize + 1;
    let [below, above] = [held * 49 / 50, held * 51 / 50].map(|n| Kind::Lru.hits(&ids, keys, n));
    assert!((below..=above).contains(&hits), "{below} {hits} {above}");
}
