//! Arena and pool as allocators: collections live in them, blocks never overlap, every byte is
//! accounted for, and what was released comes back clean.

mod common;

use allocator_api2::alloc::{Allocator, Layout};
use allocator_api2::vec::Vec as AVec;
use common::{Region, Rng, key};
use foldhash::quality::FixedState;
use hashbrown::HashMap;
use larder::{ALIGN, Arena, Block, Cache, Config, Error, Pool, PoolConfig, PoolStats};
use std::collections::BTreeMap;

const KIB: usize = 1024;
/// What owners write into their blocks.
const INK: u8 = 0xa5;

fn audited(pool: &Pool<'_>) -> PoolStats {
    let s = pool.stats().unwrap();
    assert_eq!(s.used_size + s.free_size + s.overhead_size, s.total_size);
    assert_eq!(s.allocations, s.reuses + s.misses);
    assert!(s.peak_used_size >= s.used_size + s.overhead_size && s.peak_used_size <= s.total_size);
    s
}

// ---- collections ---------------------------------------------------------------------------------

/// A vector and a map that grow, shrink and are checked against what they should hold.
fn collections_live_in<A: Allocator + Copy>(allocator: A) {
    let mut numbers = AVec::new_in(allocator);
    let mut squares = HashMap::with_hasher_in(FixedState::default(), allocator);
    for n in 0..2000u64 {
        numbers.push(n);
        squares.insert(n, n * n);
    }
    numbers.retain(|n| n % 3 == 0);
    squares.retain(|n, _| n % 3 == 0);
    numbers.shrink_to_fit();
    squares.shrink_to_fit();
    assert!(numbers.iter().copied().eq((0..2000).step_by(3)));
    assert!(numbers.iter().all(|n| squares.get(n) == Some(&(n * n))));
    assert_eq!(squares.len(), numbers.len());
}

#[test]
fn collections_live_in_an_arena() {
    let mut region = Region::new(512 * KIB);
    let mut arena = Arena::new(region.bytes()).unwrap();
    collections_live_in(&arena);
    assert!(arena.stats().used > 0);
    arena.reset();
    assert_eq!(arena.stats().used, 0);
    collections_live_in(&arena);
}

#[test]
fn collections_live_in_a_pool_and_give_everything_back() {
    let mut region = Region::new(512 * KIB);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    let empty = audited(&pool);
    for _ in 0..10 {
        collections_live_in(&pool);
        let s = audited(&pool);
        assert_eq!((s.used_size, s.pages_free), (0, empty.pages_free));
        assert_eq!(s.allocations, s.releases);
        pool.check().unwrap();
    }
    assert!(audited(&pool).reuses > 0);
}

#[test]
fn values_are_read_into_an_arena_and_a_pool() {
    let mut regions = [64, 64, 64].map(|kib| Region::new(kib * KIB));
    let [cache, arena, pool] = &mut regions;
    let cache = Cache::new(cache.bytes(), &Config::default()).unwrap();
    let arena = Arena::new(arena.bytes()).unwrap();
    let pool = Pool::new(pool.bytes(), &PoolConfig::default()).unwrap();
    for len in [0, 1, 100, 1000, 10_000] {
        let value: Vec<u8> = (0..len).map(|i| i as u8).collect();
        cache.set(&key(1), &value, 0).unwrap();
        assert_eq!(cache.get_in(&key(1), &arena).unwrap()[..], value[..]);
        assert_eq!(cache.get_in(&key(1), &pool).unwrap()[..], value[..]);
    }
    assert_eq!(cache.get_in(&key(2), &arena).err(), Some(Error::NotFound));
    assert_eq!(audited(&pool).used_size, 0);
}

#[test]
fn an_allocator_that_is_full_refuses_and_goes_on() {
    let mut regions = [Region::new(4 * KIB), Region::new(4 * KIB)];
    let [arena, pool] = &mut regions;
    let arena = Arena::new(arena.bytes()).unwrap();
    let pool = Pool::new(pool.bytes(), &PoolConfig::default()).unwrap();
    let (mut in_arena, mut in_pool) = (AVec::<u8, _>::new_in(&arena), AVec::<u8, _>::new_in(&pool));
    assert!(in_arena.try_reserve(64 * KIB).is_err());
    assert!(in_pool.try_reserve(64 * KIB).is_err());
    in_arena.extend([1, 2, 3]);
    in_pool.extend([1, 2, 3]);
    assert_eq!(in_arena[..], in_pool[..]);
    let wide = Layout::from_size_align(64, 4 * ALIGN).unwrap();
    assert!(
        (&pool).allocate(wide).is_err(),
        "a block is aligned to {ALIGN}"
    );
    assert!(
        (&arena).allocate(wide).is_ok(),
        "an arena aligns as it is told"
    );
}

// ---- arena -----------------------------------------------------------------------------------------

#[test]
fn arena_allocations_are_aligned_and_never_overlap() {
    let mut regions = [
        Region::new(4 * KIB),
        Region::new(16 * KIB),
        Region::new(KIB),
    ];
    let [first, second, third] = &mut regions;
    let mut arena = Arena::new(first.bytes()).unwrap();
    arena.add_region(second.bytes()).unwrap();
    arena.add_region(third.bytes()).unwrap();
    let mut rng = Rng::new(5);
    for round in 1..50 {
        let mut taken = BTreeMap::new();
        let mut sum = 0;
        loop {
            let (size, align) = (rng.log_uniform(1, 600), 1 << rng.below(9));
            let Ok(place) = arena.alloc(size, align) else {
                break;
            };
            let start = place.as_ptr() as usize;
            assert_eq!(start % align, 0);
            claim(&mut taken, start, size);
            sum += size;
            assert!(arena.stats().used >= sum && arena.stats().used <= arena.stats().capacity);
        }
        assert!(sum > 15 * KIB, "only {sum} bytes fit");
        arena.reset();
        assert_eq!((arena.stats().used, arena.stats().resets), (0, round));
    }
}

#[test]
fn an_arena_refuses_what_makes_no_sense() {
    let mut region = Region::new(4 * KIB);
    let arena = Arena::new(region.bytes()).unwrap();
    assert_eq!(arena.alloc(0, 1), Err(Error::Invalid));
    assert_eq!(arena.alloc(1, 3), Err(Error::Invalid));
    assert_eq!(arena.alloc(1, 0), Err(Error::Invalid));
    assert_eq!(arena.alloc(4 * KIB, 1), Err(Error::TooLarge));
    assert_eq!(arena.alloc(usize::MAX, 16), Err(Error::TooLarge));
    arena.alloc(2 * KIB, 1).unwrap();
    assert_eq!(arena.alloc(2 * KIB, 1), Err(Error::NoMemory));
    assert_eq!(arena.stats().allocs, 1);
}

// ---- pool ------------------------------------------------------------------------------------------

/// Notes an interval of addresses that no other one meets.
fn claim(taken: &mut BTreeMap<usize, usize>, start: usize, len: usize) {
    let before = taken.range(..start + len).next_back();
    assert!(
        before.is_none_or(|(_, &end)| end <= start),
        "two blocks share bytes"
    );
    taken.insert(start, start + len);
}

/// The pool beside a map of the addresses that it handed out.
struct Model<'p> {
    pool: &'p Pool<'p>,
    blocks: Vec<(Block<'p>, u8)>,
    taken: BTreeMap<usize, usize>,
    rng: Rng,
    largest: usize,
    clean: bool,
}

impl<'p> Model<'p> {
    fn alloc(&mut self) {
        let size = match self.rng.below(4) {
            0 => self.rng.log_uniform(1, self.largest),
            1 => self.rng.log_uniform(1, 4 * KIB),
            _ => self.rng.log_uniform(1, 200),
        };
        let pool = self.pool;
        let before = audited(pool);
        match pool.alloc(size) {
            Ok(block) => self.keep(block, size),
            Err(error) => {
                assert_eq!(error, Error::NoMemory);
                assert_eq!(
                    audited(pool),
                    PoolStats {
                        failures: before.failures + 1,
                        ..before
                    }
                );
                self.release_half();
            }
        }
    }

    fn keep(&mut self, mut block: Block<'p>, size: usize) {
        let start = block.as_ptr() as usize;
        assert_eq!((block.len(), start % ALIGN), (size, 0));
        assert!(block.capacity() >= size);
        assert!(!self.clean || is_clean(&block), "{size} bytes: {block:?}");
        claim(&mut self.taken, start, block.capacity());
        let tag = self.rng.next() as u8 | 0x80;
        block.fill(tag);
        self.blocks.push((block, tag));
    }

    fn release(&mut self) {
        if !self.blocks.is_empty() {
            let at = self.rng.below(self.blocks.len());
            let (block, tag) = self.blocks.swap_remove(at);
            assert!(
                block.iter().all(|&byte| byte == tag),
                "somebody wrote into a block in use"
            );
            self.taken.remove(&(block.as_ptr() as usize));
        }
    }

    fn release_half(&mut self) {
        for _ in 0..self.blocks.len() / 2 {
            self.release();
        }
    }

    fn audit(&self) {
        let s = audited(self.pool);
        let capacities: usize = self
            .blocks
            .iter()
            .map(|(block, _)| block.capacity() + ALIGN)
            .sum();
        assert_eq!(
            s.used_size, capacities,
            "used are the blocks and a header for each"
        );
        assert_eq!(s.allocations - s.releases, self.blocks.len() as u64);
    }
}

/// Zero but for the pool's own links, which lie where no owner could write: in the first words of
/// slots that the page was cut into before.
fn is_clean(block: &[u8]) -> bool {
    block.chunks(ALIGN).all(|cell| {
        let (link, rest) = cell.split_at(cell.len().min(4));
        rest.iter().all(|&byte| byte == 0) && link.iter().skip(2).all(|&byte| byte == 0)
    })
}

fn follow_the_map(size: usize, ops: usize, keep_on_free: bool) {
    let mut region = Region::new(size);
    let mut config = PoolConfig::default();
    config.keep_on_free = keep_on_free;
    let pool = Pool::new(region.bytes(), &config).unwrap();
    let empty = audited(&pool);
    let largest = 4 * empty.page_size as usize;
    let (blocks, taken, rng) = (Vec::new(), BTreeMap::new(), Rng::new(size as u64));
    let mut model = Model {
        pool: &pool,
        blocks,
        taken,
        rng,
        largest,
        clean: !keep_on_free,
    };
    for op in 0..ops {
        // The pool fills up and empties in turn.
        let share = if op / 2000 % 2 == 0 { 6 } else { 4 };
        if model.rng.below(10) < share {
            model.alloc()
        } else {
            model.release()
        }
        model.audit();
        if op % 64 == 0 {
            pool.check().unwrap();
        }
    }
    model.blocks.clear();
    pool.check().unwrap();
    let s = audited(&pool);
    assert_eq!((s.used_size, s.pages_free), (0, empty.pages_free));
    assert!(s.failures > 0 && s.reuses > 0, "{s:?}");
}

#[test]
fn blocks_of_a_small_pool_never_overlap_and_come_back_clean() {
    follow_the_map(16 * KIB, 100_000, false);
}

#[test]
fn blocks_of_a_larger_pool_never_overlap_and_come_back_clean() {
    follow_the_map(256 * KIB, 60_000, false);
}

#[test]
fn blocks_of_a_pool_that_keeps_bytes_never_overlap() {
    follow_the_map(64 * KIB, 60_000, true);
}

#[test]
fn nothing_that_was_written_into_a_block_outlives_it() {
    let mut region = Region::new(64 * KIB);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    for size in [1, 100, 1000, 3000, 10_000] {
        let mut blocks: Vec<Block<'_>> = std::iter::from_fn(|| pool.alloc(size).ok()).collect();
        blocks.iter_mut().for_each(|block| block.fill(INK));
    }
    assert!(!region.bytes().windows(4).any(|window| window == [INK; 4]));
}

#[test]
fn a_pool_refuses_what_it_can_never_hold() {
    let mut region = Region::new(16 * KIB);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    for (size, error) in [
        (0, Error::Invalid),
        (16 * KIB, Error::TooLarge),
        (usize::MAX, Error::TooLarge),
    ] {
        assert_eq!(pool.alloc(size).err(), Some(error), "{size} bytes");
    }
    let s = audited(&pool);
    let all = s.page_count as usize * s.page_size as usize - ALIGN;
    assert_eq!(pool.alloc(all + 1).err(), Some(Error::TooLarge));
    assert_eq!(pool.alloc(all).unwrap().capacity(), all);
}

#[test]
fn threads_share_a_pool() {
    let mut region = Region::new(256 * KIB);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    std::thread::scope(|scope| {
        for seed in 0..3 {
            let pool = &pool;
            scope.spawn(move || {
                let mut rng = Rng::new(seed);
                for _ in 0..5_000 {
                    let Ok(mut block) = pool.alloc(rng.log_uniform(1, 5000)) else {
                        continue;
                    };
                    block.fill(seed as u8);
                    assert!(block.iter().all(|&byte| byte == seed as u8));
                }
            });
        }
    });
    pool.check().unwrap();
    assert_eq!(audited(&pool).used_size, 0);
}
