//! The cache agrees with a model: a map of values, types and deadlines, compared after every operation.
//!
//! The cache may lack an item of the model only if its statistics show an eviction since. Every hit equals the
//! model's value. No expired or deleted item is returned, and every sum is right after every operation.
//!
//! At random times a new owner attaches to a copy of the region, which must hold all items.
//!
//! `LARDER_MODEL_OPS=10` runs ten times as many operations, `0.1` a tenth of them. A failure prints geometry,
//! seed, a picture of the cache, and the shortest program of those operations that fails.

mod calls;
#[path = "../common/mod.rs"]
mod common;
mod ops;
mod oracle;
mod shorten;

use common::{Region, Rng, picture, set_now};
use larder::{AttachReport, Cache, Config, Error, PolicyKind};
use ops::{Op, Script, Sizes};
use oracle::{Model, Oracle};
use shorten::{fails_quietly, shortest};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

const KIB: usize = 1024;
/// Operations in each geometry of a region size; the environment may multiply them.
const OPS: usize = 50_000;
/// Geometries of one region size.
const GEOMETRIES: usize = 12;
/// Geometries drawn at random, and operations in each.
const DRAWN: usize = 100;
const DRAWN_OPS: usize = 8_000;

#[derive(Clone, Copy, Debug)]
struct Geometry {
    region: usize,
    policy: PolicyKind,
    shards: u32,
    item_times: bool,
    zero_on_free: bool,
    checksum: bool,
    item_tags: bool,
    item_versions: bool,
    default_ttl_ms: u64,
    memory_limit: usize,
    sizes: Sizes,
    /// Operations between two checks of every invariant.
    check_every: usize,
    seed: u64,
}

impl Geometry {
    fn config(&self) -> Config {
        let mut config = Config::default().clock(common::now_ms);
        config.policy = self.policy;
        config.shards = self.shards;
        config.item_times = self.item_times;
        config.zero_on_free = self.zero_on_free;
        config.checksum = self.checksum;
        config.item_tags = self.item_tags;
        config.item_versions = self.item_versions;
        config.default_ttl_ms = self.default_ttl_ms;
        config.memory_limit = self.memory_limit;
        config.hash_seed = self.seed;
        config
    }
}

/// All combinations of policies, shard counts and sizes. The switches are set by turns.
fn geometries(region: usize, check_every: usize) -> impl Iterator<Item = Geometry> {
    (0..GEOMETRIES).map(move |i| Geometry {
        region,
        policy: if i % 2 == 0 {
            PolicyKind::Default
        } else {
            PolicyKind::Lru
        },
        shards: if i / 2 % 2 == 0 { 1 } else { 4 },
        sizes: [Sizes::Fixed, Sizes::Mixed, Sizes::Shifting][i / 4],
        item_times: (i + i / 4) % 2 == 0,
        zero_on_free: (i / 2 + i / 4) % 2 == 0,
        checksum: (i / 2 + i / 3) % 2 == 0,
        item_tags: i % 3 == 1,
        item_versions: i % 4 == 3,
        default_ttl_ms: 0,
        memory_limit: 0,
        check_every,
        seed: (region + i) as u64,
    })
}

/// A random geometry of up to half a MiB.
fn drawn(seed: u64) -> Geometry {
    let mut rng = Rng::new(seed);
    let region = rng.log_uniform(4 * KIB, 512 * KIB);
    Geometry {
        region,
        policy: [PolicyKind::Default, PolicyKind::Lru][rng.below(2)],
        shards: rng.log_uniform(0, 9) as u32,
        item_times: rng.one_in(2),
        zero_on_free: rng.one_in(2),
        checksum: rng.one_in(3),
        item_tags: rng.one_in(4),
        item_versions: rng.one_in(4),
        default_ttl_ms: if rng.one_in(4) {
            rng.log_uniform(1, 100_000) as u64
        } else {
            0
        },
        memory_limit: if rng.one_in(4) {
            region - rng.below(region / 3)
        } else {
            0
        },
        sizes: [Sizes::Fixed, Sizes::Mixed, Sizes::Shifting][rng.below(3)],
        check_every: region / (4 * KIB),
        seed,
    }
}

/// `count` times the environment's factor.
fn scaled(count: usize) -> usize {
    let factor = std::env::var("LARDER_MODEL_OPS").map_or(1.0, |n| n.parse().expect("a number"));
    (count as f64 * factor) as usize
}

/// Prints geometry and cache after a failure.
struct Story<'a> {
    geometry: Geometry,
    cache: &'a Cache<'a>,
}

impl Drop for Story<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() && !shorten::is_quiet() {
            eprintln!("{:?}\n{}", self.geometry, picture(self.cache));
        }
    }
}

fn copy_of(region: &mut Region) -> Region {
    let mut copy = Region::new(region.bytes().len());
    copy.bytes().copy_from_slice(region.bytes());
    copy
}

/// Applies the operations of `next` to a cache of this geometry, and compares. `next` gets the limit.
fn play(geometry: Geometry, mut next: impl FnMut(usize) -> Option<Op>) {
    set_now(1_000_000);
    let mut config = geometry.config();
    let mut region = Region::new(geometry.region);
    let mut known: Option<Model> = None;
    let mut number = 0;
    loop {
        let mut report = AttachReport::default();
        let cache = match &known {
            None => Cache::new(region.bytes(), &config),
            Some(_) => Cache::attach(region.bytes(), &config, &mut report),
        };
        let cache = match cache {
            Ok(cache) => cache,
            Err(error) => return check_refusal(&geometry, &config, error, known.is_some()),
        };
        let story = Story {
            geometry,
            cache: &cache,
        };
        let adopted = known.is_some();
        let model = known.unwrap_or_else(|| Model::new(&config, geometry.region));
        let mut oracle = Oracle::new(&cache, model);
        if adopted {
            oracle.check_adopted(&report);
            common::checked(&cache);
        }
        let mut leaves = false;
        while !leaves && let Some(op) = next(cache.memory_limit()) {
            oracle.apply(&op);
            if number % geometry.check_every == 0 {
                common::checked(&cache);
            }
            number += 1;
            leaves = matches!(op, Op::Attach);
        }
        if leaves {
            config.memory_limit = cache.memory_limit();
            known = Some(oracle.leave());
            drop(story);
            region = copy_of(&mut region);
            continue;
        }
        oracle.delete_everything();
        common::checked(&cache);
        drop(story);
        break;
    }
    if geometry.zero_on_free {
        assert_eq!(
            ops::traces_of_values(region.bytes()),
            0,
            "{geometry:?}: bytes left behind"
        );
    }
}

/// Checks a refusal: the region is too small, and did not hold a cache before.
fn check_refusal(geometry: &Geometry, config: &Config, error: Error, adopted: bool) {
    assert!(error == Error::NoMemory && !adopted, "{error:?}");
    let needed = Cache::required_size(config, 0, 0, 0);
    let limited = geometry.memory_limit > 0;
    assert!(
        match needed {
            Ok(needed) => geometry.region < needed || limited,
            Err(error) => error == Error::TooLarge && limited,
        },
        "{geometry:?}: {needed:?}"
    );
}

fn replay(geometry: Geometry, program: &[Op]) {
    let mut ops = program.iter().copied();
    play(geometry, |_| ops.next());
}

/// The maximum time of the search for a shorter program that fails.
const PATIENCE: Duration = Duration::from_secs(120);

fn run(geometry: Geometry, ops: usize) {
    let rng = Rng::new(geometry.seed);
    let mut script = Script::new(geometry.region, geometry.sizes, ops, rng);
    let program = RefCell::new(Vec::new());
    let played = catch_unwind(AssertUnwindSafe(|| {
        play(geometry, |limit| {
            if program.borrow().len() == ops {
                return None;
            }
            let op = script.next(limit);
            program.borrow_mut().push(op);
            Some(op)
        });
    }));
    let Err(cause) = played else { return };
    let program = shortest(program.into_inner(), PATIENCE, |program| {
        fails_quietly(|| replay(geometry, program))
    });
    eprintln!(
        "the shortest program that fails, of {} operations:",
        program.len()
    );
    program.iter().for_each(|op| eprintln!("  {op:?}"));
    replay(geometry, &program);
    resume_unwind(cause);
}

fn run_all(region: usize, check_every: usize) {
    geometries(region, check_every).for_each(|geometry| run(geometry, scaled(OPS)));
}

#[test]
fn a_cache_of_any_geometry_agrees_with_the_model() {
    (0..scaled(DRAWN)).for_each(|seed| run(drawn(seed as u64), DRAWN_OPS));
}

#[test]
fn a_cache_in_4_kib_agrees_with_the_model() {
    run_all(4 * KIB, 1);
}

#[test]
fn a_cache_in_8_kib_agrees_with_the_model() {
    run_all(8 * KIB, 1);
}

#[test]
fn a_cache_in_64_kib_agrees_with_the_model() {
    run_all(64 * KIB, 16);
}

#[test]
fn a_cache_in_1_mib_agrees_with_the_model() {
    run_all(1024 * KIB, 500);
}

#[test]
fn a_cache_in_8_mib_agrees_with_the_model() {
    run_all(8 * 1024 * KIB, 4_000);
}
