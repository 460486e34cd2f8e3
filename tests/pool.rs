//! The pool agrees with a model: a map of blocks, and a flag for each byte of the region.

mod common;

use common::{Region, Rng};
use larder::{Block, Error, Pool, PoolConfig, PoolStats};
use std::collections::BTreeMap;

/// Bytes of a block's header.
const HEAD: usize = 16;

/// A pool and its model.
struct Model<'p> {
    pool: &'p Pool<'p>,
    base: usize,
    keep_on_free: bool,
    /// By address.
    blocks: BTreeMap<usize, Block<'p>>,
    /// For each byte of the region, whether it was ever part of a block.
    touched: Vec<bool>,
    stats: PoolStats,
}

impl<'p> Model<'p> {
    fn new(pool: &'p Pool<'p>, base: usize, keep_on_free: bool) -> Self {
        let stats = pool.stats().unwrap();
        assert_eq!((stats.used_size, stats.allocations), (0, 0));
        assert_eq!(stats.peak_used_size, stats.overhead_size);
        let pages = stats.page_count as usize * stats.page_size as usize;
        assert_eq!(stats.free_size, pages);
        Self {
            pool,
            base,
            keep_on_free,
            blocks: BTreeMap::new(),
            touched: vec![false; stats.total_size],
            stats,
        }
    }

    fn alloc(&mut self, size: usize) {
        let before = self.stats;
        let (page, pages) = (before.page_size as usize, before.page_count as usize);
        match self.pool.alloc(size) {
            Ok(block) => {
                self.stats.allocations += 1;
                self.stats.used_size += block.capacity() + HEAD;
                self.accept(block, size);
            }
            Err(Error::NoMemory) => {
                self.stats.failures += 1;
                let small = size + HEAD <= page;
                assert!(!small || before.pages_free == 0, "a page was free");
                assert!(size + HEAD <= page * pages, "too large is another error");
            }
            Err(error) => {
                let expected = if size == 0 {
                    Error::Invalid
                } else {
                    Error::TooLarge
                };
                assert_eq!(error, expected);
                assert!(size == 0 || size + HEAD > page * pages, "{size}");
            }
        }
        self.check();
    }

    /// Checks that a new block overlaps no other, and is zero where it must be.
    fn accept(&mut self, mut block: Block<'p>, size: usize) {
        let at = block.as_ptr() as usize;
        let end = at + block.capacity();
        assert!(block.len() == size && block.capacity() >= size);
        assert!(at.is_multiple_of(larder::ALIGN) && at >= self.base + HEAD);
        let before = self.blocks.range(..at).next_back();
        let behind = self.blocks.range(at..).next();
        assert!(before.is_none_or(|(other, b)| other + b.capacity() <= at - HEAD));
        assert!(behind.is_none_or(|(other, _)| end <= other - HEAD));
        if !self.keep_on_free {
            assert!(block.iter().all(|&byte| byte == 0), "a block is not zero");
        }
        block.fill(at as u8 | 1);
        let bytes = &mut self.touched[at - HEAD - self.base..end - self.base];
        let (had_reuses, now) = (self.stats.reuses, self.pool.stats().unwrap());
        let reused = now.reuses - had_reuses;
        let was_touched = bytes.contains(&true);
        assert!(reused == 1 || !was_touched, "a reuse counts as a miss");
        assert!(now.reuses + now.misses == now.allocations && reused <= 1);
        bytes.fill(true);
        self.blocks.insert(at, block);
    }

    fn release(&mut self, at: usize) {
        let block = self.blocks.remove(&at).unwrap();
        assert!(block.iter().all(|&byte| byte == at as u8 | 1));
        self.stats.used_size -= block.capacity() + HEAD;
        self.stats.releases += 1;
        drop(block);
        self.check();
    }

    fn release_any(&mut self, rng: &mut Rng) {
        let at = *self
            .blocks
            .keys()
            .nth(rng.below(self.blocks.len()))
            .unwrap();
        self.release(at);
    }

    /// Checks all statistics that the model has, and sums and bounds of the others.
    fn check(&mut self) {
        let (old, now) = (self.stats, self.pool.stats().unwrap());
        let taken = now.total_size - now.free_size;
        let expected = PoolStats {
            allocations: old.allocations,
            releases: old.releases,
            failures: old.failures,
            used_size: old.used_size,
            overhead_size: taken - old.used_size,
            peak_used_size: old.peak_used_size.max(taken),
            total_size: old.total_size,
            page_count: old.page_count,
            page_size: old.page_size,
            class_count: old.class_count,
            ..now
        };
        assert_eq!(now, expected);
        self.pool.check().unwrap();
        self.stats = now;
    }

    /// Checks that the classes add up to the pool's statistics, without the runs.
    fn check_classes(&self) {
        let classes: Vec<_> = (0..).map_while(|i| self.pool.class_stats(i).ok()).collect();
        assert_eq!(classes.len(), self.stats.class_count as usize);
        assert!(classes.is_sorted_by_key(|class| class.slot_size));
        let page = self.stats.page_size as usize;
        let runs = self.blocks.values().map(|b| b.capacity() + HEAD);
        let runs: usize = runs.filter(|&size| size > page).sum();
        let used: usize = classes.iter().map(|c| c.used * c.slot_size).sum();
        let free: usize = classes.iter().map(|c| c.free * c.slot_size).sum();
        let pages: usize = classes.iter().map(|c| c.pages).sum();
        let pages_free = self.stats.pages_free as usize;
        assert_eq!(used + runs, self.stats.used_size);
        assert_eq!(free + pages_free * page, self.stats.free_size);
        let all = pages + pages_free + runs / page;
        assert_eq!(all, self.stats.page_count as usize);
        assert!(
            classes
                .iter()
                .all(|c| c.used + c.free == c.pages * c.slots_per_page)
        );
    }

    fn release_all(&mut self) {
        while let Some(&at) = self.blocks.keys().next() {
            self.release(at);
        }
        assert_eq!(self.stats.used_size, 0);
        assert_eq!(self.stats.pages_free, self.stats.page_count);
    }
}

fn with_model(region_size: usize, keep_on_free: bool, test: impl FnOnce(&mut Model<'_>)) {
    let mut region = Region::new(region_size);
    let base = region.bytes().as_ptr() as usize;
    let mut config = PoolConfig::default();
    config.keep_on_free = keep_on_free;
    let pool = Pool::new(region.bytes(), &config).unwrap();
    test(&mut Model::new(&pool, base, keep_on_free));
}

#[test]
fn random_blocks_agree_with_the_model() {
    for (seed, region_size) in (0..).zip([2_000, 4 << 10, 20_000, 64 << 10, 256 << 10]) {
        for keep_on_free in [false, true] {
            with_model(region_size, keep_on_free, |model| {
                let mut rng = Rng::new(seed);
                let steps = 6_000;
                for step in 0..steps {
                    // The pool fills and empties by turns, and the sizes shift.
                    let filling = step / 200 % 2 == 0;
                    let most = region_size >> (step / 300 % 5 * 2);
                    if rng.one_in(if filling { 3 } else { 2 }) && !model.blocks.is_empty() {
                        model.release_any(&mut rng);
                    } else {
                        model.alloc(rng.log_uniform(1, most.max(1)) - usize::from(rng.one_in(99)));
                    }
                    if step % 64 == 0 {
                        model.check_classes();
                    }
                }
                model.release_all();
                model.check_classes();
            });
        }
    }
}

#[test]
fn an_empty_pool_is_one_run() {
    with_model(100_000, false, |model| {
        let mut rng = Rng::new(3);
        let all = model.stats.page_count as usize * model.stats.page_size as usize - HEAD;
        for _ in 0..20 {
            for _ in 0..100 {
                model.alloc(rng.log_uniform(1, 9_000));
            }
            model.release_all();
            model.alloc(all);
            assert_eq!((model.blocks.len(), model.stats.free_size), (1, 0));
            model.alloc(1);
            model.alloc(all + 1);
            assert_eq!(model.blocks.len(), 1);
            model.release_all();
        }
    });
}

#[test]
fn fresh_bytes_are_misses_and_all_others_reuses() {
    with_model(64 << 10, false, |model| {
        let page = model.stats.page_size as usize;
        while model.stats.failures == 0 {
            model.alloc(100);
        }
        assert_eq!(model.stats.reuses, 0);
        // Another class, and a run, over pages that were used.
        for size in [30, page, 3 * page] {
            model.release_all();
            let (misses, failures) = (model.stats.misses, model.stats.failures);
            while model.stats.failures == failures {
                model.alloc(size);
            }
            assert_eq!(model.stats.misses, misses);
        }
    });
}
