//! The use of memory: headers, page ends, dead bytes; huge and sparse regions.

mod common;

use common::Region;
use larder::{Cache, Config, PageOwner, PolicyKind};

/// Keys of 8 bytes, numbered.
fn key(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

/// The n-th of `count` sizes between two, evenly spread over their logarithm.
fn log_uniform(n: u64, count: u64, least: f64, most: f64) -> usize {
    let share = (n * 2_654_435_761 % count) as f64 / count as f64;
    (least * (most / least).powf(share)) as usize
}

/// Headers, rounding and page ends over log-uniform values of 8 B to 64 KiB, the index aside.
#[test]
fn headers_and_page_ends_take_at_most_four_percent() {
    let mut region = Region::new(64 << 20);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let value = vec![7; 64 << 10];
    let mut n = 0;
    while cache.stats().evictions == 0 {
        let len = log_uniform(n, 20_000, 8.0, 65_536.0);
        cache.set(&key(n), &value[..len], 0).unwrap();
        n += 1;
    }
    let stats = cache.stats();
    let logs = [PageOwner::Window, PageOwner::Main].map(|owner| cache.owner_stats(owner).unwrap());
    let pages: u64 = logs
        .iter()
        .map(|log| log.pages * log.page_size as u64)
        .sum();
    let free: u64 = logs.iter().map(|log| log.free_bytes).sum();
    let waste = pages - free - stats.payload_bytes;
    println!(
        "{waste} of {pages} bytes, {:.2} %",
        waste as f64 * 100.0 / pages as f64
    );
    // An item's header has at least four bytes.
    assert!(waste >= 4 * stats.item_count && waste * 100 <= pages * 4);
}

/// After a pass, at most one in 64 bytes in use is dead.
#[test]
fn optimize_leaves_hardly_a_dead_byte() {
    for policy in [PolicyKind::Default, PolicyKind::Lru] {
        let mut region = Region::new(16 << 20);
        let mut config = Config::default();
        config.policy = policy;
        let cache = Cache::new(region.bytes(), &config).unwrap();
        let value = vec![7; 4096];
        let mut held = 0;
        while cache.stats().evictions == 0 {
            let len = log_uniform(held, 4096, 16.0, 4096.0);
            cache.set(&key(held), &value[..len], 0).unwrap();
            held += 1;
        }
        for n in (0..held).filter(|n| n % 2 == 0) {
            let _ = cache.delete(&key(n));
        }
        let before = cache.stats();
        assert!(before.dead_bytes > (4 << 20), "{} dead", before.dead_bytes);
        let report = cache.optimize(0).unwrap();
        let after = cache.stats();
        assert!(report.done && report.pages_freed > 0 && report.items_moved > 0);
        assert_eq!(after.item_count, before.item_count);
        let used = (u64::from(after.page_count - after.pages_free)) * u64::from(after.page_size);
        // Heads, tails and pages not worth cleaning may stay.
        let most = used / 64 + 4 * u64::from(after.page_size);
        assert!(
            after.dead_bytes <= most,
            "{} of {used} dead",
            after.dead_bytes
        );
        cache.check().unwrap();
    }
}

#[test]
fn no_set_fails_while_sizes_shift() {
    let mut region = Region::new(1 << 20);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let value = vec![7; 200_000];
    for round in 0..40u64 {
        let len = log_uniform(round * 7, 40, 1.0, 200_000.0);
        for n in 0..((2 << 20) / (len as u64 + 100)).min(20_000) {
            cache.set(&key(round << 32 | n), &value[..len], 0).unwrap();
        }
    }
    assert_eq!(cache.stats().failed_no_memory, 0);
    cache.check().unwrap();
}

/// Address space that takes no memory until it is written.
#[cfg(all(feature = "hosted", target_os = "linux", target_pointer_width = "64"))]
#[test]
fn forty_gibibytes_are_reached() {
    let Some(mut region) = common::mapping::Mapping::new(40 << 30) else {
        println!("SKIPPED: no address space of 40 GiB here");
        return;
    };
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let value = vec![7; 100_000];
    for n in 0..5_000 {
        cache
            .set(&key(n), &value[..log_uniform(n, 5_000, 8.0, 100_000.0)], 0)
            .unwrap();
    }
    let stats = cache.stats();
    assert_eq!(stats.item_count, 5_000);
    assert_eq!(
        stats.payload_bytes + stats.free_bytes + stats.overhead_bytes,
        40 << 30
    );
    assert!(stats.shards >= 3, "a shard reaches 16 GiB");
    assert!(
        stats.free_bytes > 39 << 30,
        "{} of 40 GiB can be used",
        stats.free_bytes
    );
    let mut buffer = vec![0; 100_000];
    for n in 0..5_000 {
        let len = cache.get(&key(n), &mut buffer).unwrap();
        assert_eq!(len, log_uniform(n, 5_000, 8.0, 100_000.0));
        assert!(buffer[..len].iter().all(|&b| b == 7));
    }
}
