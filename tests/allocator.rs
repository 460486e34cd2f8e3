//! Collections in arena and pool, under each version of the allocator trait. Blocks never overlap, and reused blocks
//! are zeroed.
#![cfg_attr(feature = "nightly", feature(allocator_api, btreemap_alloc))]

mod common;

use common::{Region, Rng};
use hashbrown::HashMap;
use larder::allocator_api2::{alloc::Allocator, vec::Vec as VecIn};
use larder::{Arena, Block, Error, Pool, PoolConfig};
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

type MapIn<A> = HashMap<u32, u32, BuildHasherDefault<DefaultHasher>, A>;

/// Grows a vector and a map in an allocator, and reads both back.
fn live_in<A: Allocator + Copy>(allocator: A) {
    let mut vector = VecIn::new_in(allocator);
    let mut map: MapIn<A> = MapIn::with_hasher_in(BuildHasherDefault::default(), allocator);
    for n in 0..1000u32 {
        vector.push(n * 3);
        map.insert(n, n * 7);
    }
    assert!((0..1000).all(|n| vector[n as usize] == n * 3 && map[&n] == n * 7));
}

#[test]
fn vectors_and_maps_live_in_an_arena() {
    let mut region = Region::new(256 << 10);
    let mut arena = Arena::new(region.bytes()).unwrap();
    live_in(&arena);
    let used = arena.stats().used;
    assert!(used > 0 && arena.stats().peak >= used);
    arena.reset();
    assert_eq!(arena.stats().used, 0);
    live_in(&arena);
}

#[test]
fn vectors_and_maps_live_in_a_pool_and_leave_it() {
    let mut region = Region::new(256 << 10);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    live_in(&pool);
    let stats = pool.stats().unwrap();
    assert_eq!((stats.used_size, stats.releases), (0, stats.allocations));
    assert!(stats.reuses > 0);
    pool.check().unwrap();
}

/// Grows and shrinks a vector, whose type has the usual methods, in an allocator.
#[cfg(any(feature = "alloc", feature = "nightly"))]
macro_rules! exercise {
    ($vector:expr) => {{
        let mut vector = $vector;
        for n in 0..1000u32 {
            vector.push(n * 3);
        }
        vector.truncate(10);
        vector.shrink_to_fit();
        assert!((0..10).all(|n| vector[n as usize] == n * 3));
    }};
}

#[cfg(feature = "alloc")]
#[test]
fn the_newest_allocator_api2_lives_in_arena_and_pool() {
    use allocator_api2_04::{boxed::Box, vec::Vec};
    let (mut first, mut second) = (Region::new(64 << 10), Region::new(64 << 10));
    let arena = Arena::new(first.bytes()).unwrap();
    let pool = Pool::new(second.bytes(), &PoolConfig::default()).unwrap();
    exercise!(Vec::new_in(&arena));
    exercise!(Vec::new_in(&pool));
    assert_eq!(*Box::new_in(7, &pool), 7);
    assert!(Box::try_new_in([0u8; 100_000], &arena).is_err());
    assert!(arena.stats().allocs > 0);
    assert_eq!(pool.stats().unwrap().used_size, 0);
}

#[cfg(feature = "nightly")]
#[test]
fn the_standard_collections_live_in_arena_and_pool() {
    use std::collections::{BTreeMap, VecDeque};
    let (mut first, mut second) = (Region::new(64 << 10), Region::new(64 << 10));
    let arena = Arena::new(first.bytes()).unwrap();
    let pool = Pool::new(second.bytes(), &PoolConfig::default()).unwrap();
    exercise!(Vec::new_in(&arena));
    exercise!(Vec::new_in(&pool));
    let mut map = BTreeMap::new_in(&pool);
    let mut queue = VecDeque::new_in(&arena);
    for n in 0..100u32 {
        map.insert(n, n * 7);
        queue.push_back(n);
    }
    assert!((0..100).all(|n| map[&n] == n * 7 && queue[n as usize] == n));
    drop(map);
    assert_eq!(*Box::new_in(7, &pool), 7);
    assert!(Box::try_new_in([0u8; 100_000], &arena).is_err());
    assert_eq!(pool.stats().unwrap().used_size, 0);
}

#[cfg(feature = "alloc")]
#[test]
fn a_value_is_read_into_the_allocator_of_choice() {
    use larder::{Cache, Config};
    let (mut memory, mut bytes) = (Region::new(64 << 10), Region::new(16 << 10));
    let cache = Cache::new(memory.bytes(), &Config::default()).unwrap();
    let arena = Arena::new(bytes.bytes()).unwrap();
    let value: Vec<u8> = (0..5000u32).map(|n| n as u8).collect();
    cache.set(b"long", &value, 0).unwrap();
    cache.set(b"empty", b"", 0).unwrap();
    assert_eq!(&cache.get_in(b"long", &arena).unwrap()[..], &value[..]);
    assert!(cache.get_in(b"empty", &arena).unwrap().is_empty());
    assert_eq!(cache.get_in(b"none", &arena).unwrap_err(), Error::NotFound);
    let mut small = Region::new(1024);
    let small = Arena::new(small.bytes()).unwrap();
    assert_eq!(cache.get_in(b"long", &small).unwrap_err(), Error::NoMemory);
}

#[test]
fn an_arena_allocates_the_requested_size_and_alignment() {
    let (mut first, mut second) = (Region::new(4096), Region::new(8192));
    let arena = Arena::new(first.bytes()).unwrap();
    arena.add_region(second.bytes()).unwrap();
    for align in (0..=10).map(|shift| 1 << shift) {
        let place = arena.alloc(3, align).unwrap().as_ptr() as usize;
        assert_eq!(place % align, 0);
    }
    assert_eq!(arena.alloc(0, 1), Err(Error::Invalid));
    assert_eq!(arena.alloc(1, 3), Err(Error::Invalid));
    assert_eq!(arena.alloc(10_000, 1), Err(Error::TooLarge));
    assert!(arena.alloc(6000, 16).is_ok());
    assert_eq!(arena.alloc(6000, 16), Err(Error::NoMemory));
    let stats = arena.stats();
    assert!(stats.used <= stats.capacity && stats.regions == 2 && stats.allocs == 12);
}

/// Checks that blocks, sorted by address, do not overlap and still hold their patterns.
fn assert_apart(blocks: &BTreeMap<usize, Block<'_>>) {
    let mut end = 0;
    for (at, block) in blocks {
        assert!(*at >= end, "blocks overlap");
        assert_eq!(at % larder::ALIGN, 0);
        assert!(
            block.iter().all(|&b| b == *at as u8 | 1),
            "a block's bytes changed"
        );
        end = at + block.len();
    }
}

#[test]
fn blocks_never_overlap_are_zeroed_and_add_up() {
    let mut region = Region::new(512 << 10);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    let mut rng = Rng::new(7);
    let mut blocks: BTreeMap<usize, Block<'_>> = BTreeMap::new();
    for step in 0..200_000 {
        if rng.one_in(2) && !blocks.is_empty() {
            let place = *blocks.keys().nth(rng.below(blocks.len())).unwrap();
            blocks.remove(&place);
        } else if let Ok(mut block) = pool.alloc(rng.log_uniform(1, 20_000)) {
            assert!(block.iter().all(|&b| b == 0), "a block is not zero");
            assert!(block.capacity() >= block.len());
            let at = block.as_ptr() as usize;
            block.fill(at as u8 | 1);
            blocks.insert(at, block);
        }
        let stats = pool.stats().unwrap();
        let sum = stats.used_size + stats.free_size + stats.overhead_size;
        assert_eq!(sum, stats.total_size);
        assert_eq!(stats.allocations - stats.releases, blocks.len() as u64);
        assert_eq!(stats.allocations, stats.reuses + stats.misses);
        if step % 1000 == 0 {
            assert_apart(&blocks);
            pool.check().unwrap();
        }
    }
    blocks.clear();
    assert_eq!(pool.stats().unwrap().used_size, 0);
    pool.check().unwrap();
}
