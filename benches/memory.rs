//! The bytes that an item takes: all bytes of the region are divided by the number of items.
//!
//! A new cache is filled with new keys of 16 bytes, 1.4 times as many as fit. Prints the tables of
//! docs/choosing_a_limit.md, and ends with 1 if those of the page differ. Then, for each item in the cache:
//!
//! - `beside`: bytes of the region that are neither key nor value. It is the sum of the next two.
//! - `overhead`: header, index, rounding to slots, page tails, tables.
//! - `free`: free slots and pages. `free %` is their share of the region.
//! - `payload %`: the share of keys and values in the region.
//!
//! The numbers are the same on every run.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Region, Rng, audited, checked};
use larder::{Cache, CacheStats, Config, PolicyKind, TTL_NEVER};
use std::fs;
use std::process::ExitCode;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const HOUR_MS: u64 = 3_600_000;

/// In a full region, the number of items is averaged over this number of sets.
const SETS: u64 = 1_000;

/// A cache that is being filled with new keys.
struct Filling<'r> {
    cache: Cache<'r>,
    rng: Rng,
    /// The minimum and the maximum length of values; all orders of magnitude are equally likely.
    value_len: (usize, usize),
    ttl_ms: u64,
    sets: u64,
}

impl<'r> Filling<'r> {
    fn new(
        region: &'r mut Region,
        policy: PolicyKind,
        value_len: (usize, usize),
        ttl_ms: u64,
    ) -> Self {
        let mut config = Config::default();
        config.policy = policy;
        let cache = Cache::new(region.bytes(), &config).expect("the region is large enough");
        // The time never changes, so that nothing expires.
        cache.set_time(0).expect("the clock is the default one");
        Self {
            cache,
            rng: Rng::new(1),
            value_len,
            ttl_ms,
            sets: 0,
        }
    }

    fn set(&mut self) {
        static VALUE: [u8; 4 * KIB] = [0x5a; 4 * KIB];
        let (low, high) = self.value_len;
        let value = &VALUE[..self.rng.log_uniform(low, high)];
        let key = format!("{:016x}", self.sets);
        let done = self.cache.set(key.as_bytes(), value, self.ttl_ms);
        done.expect("there is always an item to evict");
        self.sets += 1;
    }

    /// Sets until one item in a hundred was evicted, then 0.4 times as many items again.
    fn fill(&mut self) {
        while self.sets - self.cache.item_count() <= self.sets / 100 {
            self.set();
        }
        for _ in 0..self.sets * 4 / 10 {
            self.set();
        }
    }

    /// Checks every invariant, then returns the statistics.
    fn stats(&self) -> CacheStats {
        checked(&self.cache);
        audited(&self.cache)
    }
}

fn percent(part: f64, whole: u64) -> f64 {
    part * 100.0 / whole as f64
}

/// Formats 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn region_name(size: usize) -> String {
    match size {
        size if size < MIB => format!("{} KiB", size / KIB),
        size => format!("{} MiB", size / MIB),
    }
}

fn value_name((low, high): (usize, usize)) -> String {
    match low == high {
        true => format!("{} B", grouped(low as u64)),
        false => format!("{low} to {} B", grouped(high as u64)),
    }
}

// ---- large regions ----

const LARGE: usize = 64 * MIB;
const MIXED: (usize, usize) = (16, 4 * KIB);
const VALUES: [(usize, usize); 6] = [
    (10, 10),
    (32, 32),
    (64, 64),
    (200, 200),
    (1_000, 1_000),
    MIXED,
];

/// A row of the page's table, and its configuration.
struct Setting {
    name: &'static str,
    policy: PolicyKind,
    ttl_ms: u64,
}

const SETTINGS: [Setting; 4] = [
    Setting {
        name: "no TTL",
        policy: PolicyKind::Default,
        ttl_ms: TTL_NEVER,
    },
    Setting {
        name: "with a TTL",
        policy: PolicyKind::Default,
        ttl_ms: HOUR_MS,
    },
    Setting {
        name: "exact LRU, no TTL",
        policy: PolicyKind::Lru,
        ttl_ms: TTL_NEVER,
    },
    Setting {
        name: "exact LRU, with a TTL",
        policy: PolicyKind::Lru,
        ttl_ms: HOUR_MS,
    },
];

fn large_region(setting: &Setting, value_len: (usize, usize)) -> CacheStats {
    let mut region = Region::new(LARGE);
    let mut filling = Filling::new(&mut region, setting.policy, value_len, setting.ttl_ms);
    filling.fill();
    filling.stats()
}

fn each(bytes: u64, stats: &CacheStats) -> f64 {
    bytes as f64 / stats.item_count as f64
}

fn beside(stats: &CacheStats) -> f64 {
    each(stats.region_bytes - stats.payload_bytes, stats)
}

/// The table of the bytes of each item beside its key and value.
fn table_of_items(results: &[Vec<CacheStats>]) -> String {
    let mut table = format!("| {}, key of 16 B, value of", region_name(LARGE));
    for len in VALUES {
        table += &format!(" | {}", value_name(len));
    }
    table += " |\n|---|---|---|---|---|---|---|\n";
    for (setting, row) in SETTINGS.iter().zip(results) {
        table += &format!("| {}", setting.name);
        for stats in row {
            table += &format!(" | {:.1}", beside(stats));
        }
        table += " |\n";
    }
    table
}

fn print_details(results: &[Vec<CacheStats>]) {
    println!(
        "{}, keys of 16 B; beside, overhead and free in bytes for each item",
        region_name(LARGE)
    );
    println!(
        "{:22} {:>13} {:>9} {:>8} {:>9} {:>8} {:>7} {:>10}",
        "", "value", "items", "beside", "overhead", "free", "free %", "payload %"
    );
    for (setting, row) in SETTINGS.iter().zip(results) {
        for (len, stats) in VALUES.into_iter().zip(row) {
            println!(
                "{:22} {:>13} {:>9} {:>8.2} {:>9.2} {:>8.2} {:>7.2} {:>10.2}",
                setting.name,
                value_name(len),
                stats.item_count,
                beside(stats),
                each(stats.overhead_bytes, stats),
                each(stats.free_bytes, stats),
                percent(stats.free_bytes as f64, stats.region_bytes),
                percent(stats.payload_bytes as f64, stats.region_bytes),
            );
        }
    }
}

// ---- regions of all sizes ----

const REGIONS: [(usize, (usize, usize)); 6] = [
    (4 * KIB, (16, 256)),
    (16 * KIB, (16, 256)),
    (64 * KIB, (16, 256)),
    (MIB, (16, 256)),
    (MIB, MIXED),
    (LARGE, MIXED),
];

/// Page size, number of items, and their share of the region in percent. In a small region the last two differ from set
/// to set, so both are means.
fn held(policy: PolicyKind, size: usize, value_len: (usize, usize)) -> (u32, f64, f64) {
    let mut region = Region::new(size);
    let mut filling = Filling::new(&mut region, policy, value_len, TTL_NEVER);
    filling.fill();
    let (mut items, mut payload) = (0, 0);
    for _ in 0..SETS {
        filling.set();
        let stats = audited(&filling.cache);
        items += stats.item_count;
        payload += stats.payload_bytes;
    }
    let stats = filling.stats();
    let mean = |sum: u64| sum as f64 / SETS as f64;
    (
        stats.page_size,
        mean(items),
        percent(mean(payload), stats.region_bytes),
    )
}

/// The table of the items in regions of all sizes, with the default policy and with exact LRU.
fn table_of_regions() -> String {
    let mut table = String::from(
        "| region | page | value, key of 16 B | items | payload share | exact LRU: items | payload share |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (size, len) in REGIONS {
        let (page_size, items, share) = held(PolicyKind::Default, size, len);
        let (_, lru_items, lru_share) = held(PolicyKind::Lru, size, len);
        table += &format!(
            "| {} | {} | {} | {} | {share:.0}% | {} | {lru_share:.0}% |\n",
            region_name(size),
            value_name((page_size as usize, page_size as usize)),
            value_name(len),
            grouped(items.round() as u64),
            grouped(lru_items.round() as u64),
        );
    }
    table
}

/// The page that shows the tables.
const PAGE: &str = "docs/choosing_a_limit.md";

fn main() -> ExitCode {
    let row = |setting| VALUES.map(|len| large_region(setting, len)).to_vec();
    let results: Vec<_> = SETTINGS.iter().map(row).collect();
    let tables = [table_of_items(&results), table_of_regions()];
    println!(
        "Bytes of an item beside its key and value:\n\n{}",
        tables[0]
    );
    println!(
        "What a region holds, mean over {SETS} sets:\n\n{}",
        tables[1]
    );
    print_details(&results);
    let page = fs::read_to_string(PAGE).expect("cargo runs benchmarks in the package's directory");
    if tables.iter().all(|table| page.contains(table)) {
        println!("\n{PAGE} shows these tables.");
        return ExitCode::SUCCESS;
    }
    println!("\n{PAGE} shows other tables: put these there.");
    ExitCode::FAILURE
}
