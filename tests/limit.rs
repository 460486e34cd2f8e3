//! The memory limit. A lowered limit is reached in bounded slices, a raised one holds at once. An item that cannot
//! fit is refused before any eviction.

mod common;

use common::{NEW_KEY, Region, Rng, audited, checked, fill, key, picture};
use larder::{Cache, CacheStats, Config, Error, PolicyKind};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// The maximum number of items that one call evicts because of a lowered limit.
const SLICE: u64 = 8;

fn config(policy: PolicyKind, shards: u32) -> Config {
    let mut config = Config::default();
    config.policy = policy;
    config.shards = shards;
    config
}

/// Calls `test` for both policies in regions of several sizes, with a cache full of items of 100 bytes.
fn with_full_caches(shards: u32, regions: &[usize], test: impl Fn(&Cache<'_>)) {
    for &size in regions {
        for policy in [PolicyKind::Default, PolicyKind::Lru] {
            let mut region = Region::new(size);
            let cache = Cache::new(region.bytes(), &config(policy, shards)).unwrap();
            fill(&cache, &[100]);
            test(&cache);
            checked(&cache);
        }
    }
}

fn evicted(before: &CacheStats, after: &CacheStats) -> u64 {
    after.evictions - before.evictions
}

/// Checks the slice's bound: one item for the new one, and some if the index grew by a segment.
fn assert_slice(before: &CacheStats, after: &CacheStats) {
    let grown = after.index_splits > before.index_splits;
    let need = if grown { 8 } else { 1 };
    assert!(
        evicted(before, after) <= SLICE + need,
        "{} evictions {before:?} {after:?}",
        evicted(before, after)
    );
}

/// Lowers the limit to a quarter. Returns the statistics from before.
fn lower(cache: &Cache<'_>, shards: u64) -> CacheStats {
    let before = audited(cache);
    cache.set_memory_limit(cache.memory_limit() / 4).unwrap();
    let after = audited(cache);
    // `set_memory_limit` itself makes the first slice.
    assert!((1..=SLICE * shards).contains(&evicted(&before, &after)));
    assert!(
        after.total_used > after.limit_bytes,
        "the region is too small to show anything"
    );
    before
}

/// The bound at a million items equals the one at a thousand. Evictions are counted, not timed.
#[test]
fn a_million_items_make_no_call_longer() {
    let mut region = Region::new(112 * MIB);
    let cache = Cache::new(region.bytes(), &config(PolicyKind::Default, 1)).unwrap();
    let mut n = 0;
    while cache.item_count() < 1_000_000 {
        cache.set(&key(n), &[9; 64], 0).unwrap();
        n += 1;
    }
    cache.set_memory_limit(cache.memory_usage()).unwrap();
    let mut before = lower(&cache, 1);
    for n in NEW_KEY..NEW_KEY + 20_000 {
        cache.set(&key(n), &[9; 64], 0).unwrap();
        let after = cache.stats();
        if n > NEW_KEY {
            assert_slice(&before, &after);
            assert!(after.total_used <= before.total_used, "usage rises");
        }
        before = after;
    }
    while !cache.optimize(10_000).unwrap().done {}
    assert!(audited(&cache).total_used <= cache.memory_limit() as u64);
    checked(&cache);
}

#[test]
fn a_lowered_limit_is_reached_by_sets_of_eight_more_evictions_at_most() {
    with_full_caches(1, &[64 * KIB, MIB, 8 * MIB], |cache| {
        lower(cache, 1);
        let mut n = NEW_KEY;
        let mut before = audited(cache);
        while before.total_used > before.limit_bytes {
            cache.set(&key(n), &[1; 100], 0).unwrap();
            let after = audited(cache);
            assert!(
                after.total_used <= before.total_used,
                "usage rises\n{}",
                picture(cache)
            );
            assert_slice(&before, &after);
            assert_eq!(cache.contains(&key(n)), Ok(true));
            (n, before) = (n + 1, after);
        }
        fill_again(cache, n);
    });
}

/// Runs of dead bytes lie between the items, more than a slice has steps.
#[test]
fn usage_does_not_rise_where_items_lie_far_apart() {
    for (policy, kept) in [
        (PolicyKind::Default, 100),
        (PolicyKind::Default, 250),
        (PolicyKind::Lru, 250),
    ] {
        let mut region = Region::new(8 * MIB);
        let cache = Cache::new(region.bytes(), &config(policy, 1)).unwrap();
        let mut n = 0;
        while cache.stats().evictions == 0 {
            cache.set(&key(n), b"12345678", 0).unwrap();
            n += 1;
        }
        for n in (0..n).filter(|n| n % kept != 0) {
            let _ = cache.delete(&key(n));
        }
        cache.set_memory_limit(cache.memory_usage() / 2).unwrap();
        let (mut before, mut above) = (audited(&cache), 0);
        for n in NEW_KEY.. {
            cache.set(&key(n), b"12345678", 0).unwrap();
            let after = cache.stats();
            assert!(evicted(&before, &after) <= SLICE + 4);
            if after.total_used <= after.limit_bytes {
                break;
            }
            assert!(after.total_used <= before.total_used, "usage rises");
            (before, above) = (after, above + 1);
        }
        assert!(
            above > 10,
            "{policy:?}, 1 of {kept}: {above} sets above the limit"
        );
        checked(&cache);
    }
}

/// Fills the cache again and checks that usage stays within the limit.
fn fill_again(cache: &Cache<'_>, first: u64) {
    for n in first..first + 2000 {
        cache.set(&key(n), &[1; 100], 0).unwrap();
        assert!(audited(cache).total_used <= cache.memory_limit() as u64);
    }
}

#[test]
fn overwriting_reaches_a_lowered_limit_too() {
    with_full_caches(1, &[MIB], |cache| {
        cache.set(b"same", &[1; 100], 0).unwrap();
        lower(cache, 1);
        for _ in 0..2000 {
            cache.set(b"same", &[2; 100], 0).unwrap();
        }
        let s = audited(cache);
        assert!(
            s.total_used <= s.limit_bytes,
            "{} of {} used",
            s.total_used,
            s.limit_bytes
        );
        assert_eq!(
            cache.contains(b"same"),
            Ok(true),
            "an item in use was evicted"
        );
    });
}

#[test]
fn with_shards_sets_reach_a_lowered_limit_too() {
    with_full_caches(4, &[MIB, 8 * MIB], |cache| {
        lower(cache, 4);
        let mut n = NEW_KEY;
        while cache.memory_usage() > cache.memory_limit() {
            let before = audited(cache);
            cache.set(&key(n), &[1; 100], 0).unwrap();
            assert_slice(&before, &audited(cache));
            n += 1;
            assert!(
                n < NEW_KEY + 100_000,
                "the limit is never reached\n{}",
                picture(cache)
            );
        }
    });
}

#[test]
fn optimize_reaches_a_lowered_limit_in_slices() {
    with_full_caches(1, &[64 * KIB, MIB], |cache| {
        lower(cache, 1);
        let mut slices = 0;
        loop {
            let before = audited(cache);
            let report = cache.optimize(64).unwrap();
            let after = audited(cache);
            assert!(report.steps <= 64 && evicted(&before, &after) <= 64);
            assert!(after.total_used <= before.total_used);
            assert_eq!(report.bytes_freed, before.total_used - after.total_used);
            slices += 1;
            if report.done {
                break;
            }
        }
        assert!(cache.memory_usage() <= cache.memory_limit());
        assert!(slices > 2, "too few slices to show anything");
    });
}

#[test]
fn a_whole_optimize_meets_a_lowered_limit_in_every_shard() {
    for shards in [1, 4] {
        with_full_caches(shards, &[MIB], |cache| {
            lower(cache, u64::from(shards));
            assert!(cache.optimize(0).unwrap().done);
            assert!(cache.memory_usage() <= cache.memory_limit());
            fill_again(cache, NEW_KEY);
        });
    }
}

#[test]
fn a_raised_limit_holds_at_once() {
    with_full_caches(1, &[MIB], |cache| {
        let before = lower(cache, 1);
        assert!(cache.optimize(0).unwrap().done);
        cache.set_memory_limit(MIB).unwrap();
        let raised = audited(cache);
        for n in 0..before.item_count - raised.item_count - 100 {
            cache.set(&key(NEW_KEY + n), &[1; 100], 0).unwrap();
        }
        assert_eq!(
            audited(cache).evictions,
            raised.evictions,
            "evicted below the limit {}",
            picture(cache)
        );
    });
}

#[test]
fn usage_never_passes_a_configured_limit() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for limit in [300 * KIB, 700 * KIB, MIB - 1] {
            let mut region = Region::new(MIB);
            let mut config = config(policy, 1);
            config.memory_limit = limit;
            let cache = Cache::new(region.bytes(), &config).unwrap();
            fill(&cache, &[10, 100, 1000, 10_000, 50]);
            assert!(audited(&cache).peak_used <= limit as u64);
            // With exact LRU, a tenth of the granules may be dead.
            let least = if policy == PolicyKind::Lru { 80 } else { 90 };
            assert!(
                audited(&cache).total_used >= limit as u64 * least / 100,
                "{}",
                picture(&cache)
            );
        }
    }
}

/// Bytes of the region outside free pages.
fn touched(stats: &CacheStats) -> u64 {
    stats.region_bytes - u64::from(stats.pages_free) * u64::from(stats.page_size)
}

#[test]
fn pages_in_use_never_hold_more_than_a_configured_limit() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        for limit in [64 * KIB, 150 * KIB, 256 * KIB - 1] {
            let mut region = Region::new(256 * KIB);
            let mut config = config(policy, 1);
            config.memory_limit = limit;
            let cache = Cache::new(region.bytes(), &config).unwrap();
            let mut rng = Rng::new(limit as u64);
            let value = vec![5; cache.limits().unwrap().value_len_max];
            for _ in 0..5_000 {
                let len = rng.log_uniform(1, value.len());
                let key = key(rng.below(2_000) as u64);
                cache.set(&key, &value[..len], 0).unwrap();
                let stats = cache.stats();
                assert!(touched(&stats) <= limit as u64, "{len} {stats:?}");
            }
            checked(&cache);
        }
    }
}

/// Pinned items cannot be evicted, so the sets end at the limit.
#[test]
fn pinned_items_do_not_raise_a_configured_limit() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let mut region = Region::new(300 * KIB);
        let mut config = config(policy, 1);
        (config.memory_limit, config.pins_max) = (64 * KIB, 100);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let mut views = Vec::new();
        let refused = (0..100).find_map(|n| {
            let set = cache.set(&key(n), &[5; 900], 0);
            assert!(touched(&cache.stats()) <= 64 * KIB as u64);
            views.extend(cache.pin(&key(n)));
            set.err()
        });
        assert_eq!(refused, Some(Error::NoMemory));
        assert!(views.len() > 30, "{}", views.len());
    }
}

#[test]
fn a_limit_out_of_range_is_refused_and_changes_nothing() {
    with_full_caches(1, &[8 * KIB, 64 * KIB, MIB], |cache| {
        let before = audited(cache);
        let region = before.region_bytes as usize;
        for (limit, error) in [
            (0, Error::Invalid),
            (1, Error::NoMemory),
            (
                region - before.page_count as usize * before.page_size as usize,
                Error::NoMemory,
            ),
            (region + 1, Error::Invalid),
            (usize::MAX, Error::Invalid),
        ] {
            assert_eq!(cache.set_memory_limit(limit), Err(error), "limit {limit}");
            assert_eq!(audited(cache), before);
        }
    });
}

#[test]
fn a_limit_too_low_for_one_item_is_refused_at_the_start() {
    let mut config = config(PolicyKind::Default, 1);
    config.memory_limit = 1000;
    let mut region = Region::new(MIB);
    assert_eq!(
        Cache::new(region.bytes(), &config).err(),
        Some(Error::NoMemory)
    );
    config.memory_limit = MIB + 1;
    assert_eq!(
        Cache::new(region.bytes(), &config).err(),
        Some(Error::Invalid)
    );
}

#[test]
fn the_lowest_limit_still_stores_an_item() {
    with_full_caches(1, &[8 * KIB, 64 * KIB, MIB], |cache| {
        let accepted = (1..cache.memory_limit()).step_by(64);
        let lowest = accepted
            .into_iter()
            .find(|&limit| cache.set_memory_limit(limit).is_ok());
        assert!(cache.optimize(0).unwrap().done);
        for n in NEW_KEY..NEW_KEY + 100 {
            assert_eq!(
                cache.set(&key(n), &[3; 50], 0),
                Ok(()),
                "{lowest:?}\n{}",
                picture(cache)
            );
            assert!(cache.memory_usage() <= cache.memory_limit());
            assert_eq!(cache.contains(&key(n)), Ok(true));
        }
    });
}

#[test]
fn a_value_that_never_fits_evicts_nothing_and_keeps_the_old_one() {
    let too_large = vec![1; MIB];
    with_full_caches(1, &[8 * KIB, 64 * KIB, MIB], |cache| {
        cache.set(b"key", b"old", 0).unwrap();
        let before = audited(cache);
        let pages = before.page_count as usize * before.page_size as usize;
        for len in [pages, before.region_bytes as usize] {
            assert_eq!(
                cache.set(b"key", &too_large[..len], 0),
                Err(Error::TooLarge)
            );
            assert_eq!(
                cache.set(b"new", &too_large[..len], 0),
                Err(Error::TooLarge)
            );
        }
        let after = audited(cache);
        assert_eq!(after.failed_too_large, 4);
        assert_eq!(
            CacheStats {
                failed_too_large: 0,
                ..after
            },
            before
        );
        let mut buffer = [0; 8];
        assert_eq!(cache.get(b"key", &mut buffer), Ok(3));
        assert_eq!(&buffer[..3], b"old");
    });
}

/// Stores successive values of a quarter of the limit in a cache full of smaller ones.
fn store_quarters(cache: &Cache<'_>, lens: &[usize]) {
    fill(cache, lens);
    let value = vec![0x77; cache.memory_limit() / 4];
    let mut buffer = vec![0; value.len()];
    for n in NEW_KEY..NEW_KEY + 8 {
        assert_eq!(
            cache.set(&key(n), &value, 0),
            Ok(()),
            "{lens:?}\n{}",
            picture(cache)
        );
        assert_eq!(cache.get(&key(n), &mut buffer), Ok(value.len()));
        assert!(buffer == value);
        checked(cache);
        audited(cache);
    }
}

#[test]
fn a_value_of_a_quarter_of_the_limit_is_stored_in_any_full_cache() {
    let sizes = (12..=23).flat_map(|shift| [1 << shift, (1 << shift) + (1 << shift) / 3]);
    // In 4 KiB, the longest value is a few bytes shorter than a quarter of the limit.
    let sizes = sizes.map(|size| size.max(4096 + 32));
    for size in sizes.filter(|&size| size <= 8 * MIB) {
        for policy in [PolicyKind::Default, PolicyKind::Lru] {
            for lens in [
                &[1][..],
                &[20, 90],
                &[size / 40],
                &[size / 100, size / 10, 5],
            ] {
                let mut region = Region::new(size);
                let cache = Cache::new(region.bytes(), &config(policy, 1)).unwrap();
                store_quarters(&cache, lens);
            }
        }
    }
}

#[test]
fn a_pass_over_a_lowered_limit_ends() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let size = [4, 5, 6, 8][rng.below(4)] << 10;
        let mut config = Config::default();
        config.policy = [PolicyKind::Default, PolicyKind::Lru][rng.below(2)];
        let mut region = Region::new(size);
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let mut held = Vec::new();
        for round in 0..12 {
            held.truncate(rng.below(4));
            held.extend(cache.pin(&key(rng.below(size / 64) as u64)));
            for _ in 0..rng.below(400) {
                let key = key(rng.below(size / 64) as u64);
                let value = vec![7; rng.log_uniform(1, size / 12)];
                let _ = cache.set(&key, &value, 0);
                if rng.one_in(4) {
                    let _ = cache.delete(&key);
                }
            }
            let _ = cache.set_memory_limit(size - rng.log_uniform(1, size / 2));
            // Each step looks at a granule or copies one, so the number of steps is bounded.
            let mut steps = 0;
            while !cache.optimize(64).unwrap().done {
                steps += 64;
                assert!(steps < 8 * size, "seed {seed}, round {round}");
            }
            checked(&cache);
        }
    }
}
