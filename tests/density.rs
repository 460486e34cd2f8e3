//! What memory goes where: rounding, page tails, huge and sparse regions.

mod common;

use common::Region;
use larder::{Cache, CacheStats, ClassKind, ClassStats, Config};

fn classes(cache: &Cache<'_>) -> Vec<ClassStats> {
    (0..).map_while(|i| cache.class_stats(i).ok()).collect()
}

/// Keys of 8 bytes, numbered.
fn key(n: u64) -> [u8; 8] {
    n.to_le_bytes()
}

/// The n-th of `count` sizes between two, evenly spread over their logarithm.
fn log_uniform(n: u64, count: u64, least: f64, most: f64) -> usize {
    let share = (n * 2_654_435_761 % count) as f64 / count as f64;
    (least * (most / least).powf(share)) as usize
}

/// Rounding and page tails over log-uniform values of 8 B to 64 KiB, free slots aside.
#[test]
fn rounding_and_page_tails_waste_at_most_eight_percent() {
    let mut region = Region::new(64 << 20);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let value = vec![7; 64 << 10];
    for n in 0..20_000 {
        cache
            .set(&key(n), &value[..log_uniform(n, 20_000, 8.0, 65_536.0)], 0)
            .unwrap();
    }
    let page_size = u64::from(cache.stats().page_size);
    let (mut taken, mut waste) = (0, 0);
    println!("slot   pages    used    live B   waste B  waste %");
    for class in classes(&cache)
        .iter()
        .filter(|c| c.kind == ClassKind::Items && c.pages > 0)
    {
        let free = (class.free * class.slot_size) as u64;
        let bytes = class.pages as u64 * page_size - free;
        assert_eq!(class.live + class.waste, bytes);
        taken += bytes;
        waste += class.waste;
        let percent = class.waste as f64 * 100.0 / bytes as f64;
        println!(
            "{:5} {:6} {:7} {:9} {:9} {:7.2}",
            class.slot_size, class.pages, class.used, class.live, class.waste, percent
        );
    }
    println!(
        "all: {waste} of {taken} bytes, {:.2} %",
        waste as f64 * 100.0 / taken as f64
    );
    assert!(waste * 100 <= taken * 8);
    let mean = mean_rounding(&cache);
    println!("an item, on average: {mean:.2} % of its slots");
    assert!(mean <= 8.0);
}

/// Percent of an item's slots that hold neither key, value nor the header of four bytes.
fn mean_rounding(cache: &Cache<'_>) -> f64 {
    let (mut sum, mut items) = (0.0, 0);
    let visited = cache.scan(&mut larder::Cursor::default(), |item| {
        let idle = item.memory - item.key.len() - item.value_len - 4;
        sum += idle as f64 * 100.0 / item.memory as f64;
        items += 1;
        true
    });
    assert_eq!(visited, Ok(true));
    sum / f64::from(items)
}

/// After an optimize, free bytes are whole pages, but for what is left in one page of each class.
#[test]
fn optimize_leaves_hardly_a_free_byte_in_slots() {
    let mut region = Region::new(16 << 20);
    let cache = Cache::new(region.bytes(), &Config::default()).unwrap();
    let value = vec![7; 4096];
    let mut held = 0;
    while cache.stats().evictions == 0 {
        cache
            .set(
                &key(held),
                &value[..log_uniform(held, 4096, 16.0, 4096.0)],
                0,
            )
            .unwrap();
        held += 1;
    }
    for n in (0..held).filter(|n| n % 2 == 0) {
        let _ = cache.delete(&key(n));
    }
    let before = cache.stats();
    let report = cache.optimize(0).unwrap();
    let after = cache.stats();
    let in_slots: usize = classes(&cache).iter().map(|c| c.free * c.slot_size).sum();
    let share = |stats: &CacheStats| in_slots as f64 * 100.0 / stats.free_bytes as f64;
    println!(
        "{} pages free, then {}; {in_slots} of {} free bytes in slots, {:.2} %",
        before.pages_free,
        after.pages_free,
        after.free_bytes,
        share(&after)
    );
    assert!(report.done && report.pages_freed > 0 && report.items_moved > 0);
    for class in classes(&cache) {
        assert!(
            class.pages <= 1 || class.free < class.slots_per_page,
            "{class:?}"
        );
    }
    cache.check().unwrap();
    // Whoever asks takes a free page; only bytes in another class's slots are of no use to it.
    assert!(share(&after) <= 2.0);
}

/// Slots come back to whoever needs them: no set fails while sizes shift.
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

/// Address space without memory behind it, until it is touched.
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
