//! What an item costs in bytes: the whole region counts, whatever became of it.
//!
//! A fresh cache is filled with fresh keys of 16 bytes to 1.4 times what fits. Then, for each item held:
//!
//! - `beside`: bytes of the region that are neither key nor value. It is the sum of the next two.
//! - `overhead`: header, index, rounding to slots, page tails, tables.
//! - `free`: slots and pages that hold nothing. `free %` is their share of the region.
//! - `payload %`: the share of keys and values in the region.
//!
//! The numbers are the same on every run.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Region, Rng, audited, checked};
use larder::{Cache, CacheStats, Config, PolicyKind, TTL_NEVER};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const HOUR_MS: u64 = 3_600_000;
const POLICIES: [(PolicyKind, &str); 2] =
    [(PolicyKind::Default, "default"), (PolicyKind::Lru, "lru")];

/// Sets over which the items of a small region are averaged, once it is full.
const SMALL_SETS: u64 = 1_000;

/// A cache that is being filled with fresh keys.
struct Filling<'r> {
    cache: Cache<'r>,
    rng: Rng,
    /// The lengths that values have, from and to; each order of magnitude as likely as the next.
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
        // Time stands still, so that nothing expires.
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

    /// Sets until one item in a hundred had to go, and four tenths of that again.
    fn fill(&mut self) {
        while self.sets - self.cache.item_count() <= self.sets / 100 {
            self.set();
        }
        for _ in 0..self.sets * 4 / 10 {
            self.set();
        }
    }

    /// The statistics, once every invariant has been walked.
    fn stats(&self) -> CacheStats {
        checked(&self.cache);
        audited(&self.cache)
    }
}

fn percent(part: f64, whole: u64) -> f64 {
    part * 100.0 / whole as f64
}

fn large_region(policy: (PolicyKind, &str), ttl_ms: u64, value_len: (usize, usize)) {
    let mut region = Region::new(64 * MIB);
    let mut filling = Filling::new(&mut region, policy.0, value_len, ttl_ms);
    filling.fill();
    let stats = filling.stats();
    let ttl = if ttl_ms == TTL_NEVER { "no" } else { "yes" };
    let value = match value_len {
        (low, high) if low == high => format!("{low}"),
        (low, high) => format!("{low}..{high}"),
    };
    let each = |bytes: u64| bytes as f64 / stats.item_count as f64;
    println!(
        "{:8} {ttl:>4} {value:>9} {:>9} {:>8.2} {:>9.2} {:>8.2} {:>7.2} {:>10.2}",
        policy.1,
        stats.item_count,
        each(stats.region_bytes - stats.payload_bytes),
        each(stats.overhead_bytes),
        each(stats.free_bytes),
        percent(stats.free_bytes as f64, stats.region_bytes),
        percent(stats.payload_bytes as f64, stats.region_bytes),
    );
}

fn large_regions() {
    println!("64 MiB, keys of 16 B; beside, overhead and free in bytes for each item");
    println!(
        "{:8} {:>4} {:>9} {:>9} {:>8} {:>9} {:>8} {:>7} {:>10}",
        "policy", "ttl", "value B", "items", "beside", "overhead", "free", "free %", "payload %"
    );
    for policy in POLICIES {
        for ttl_ms in [TTL_NEVER, HOUR_MS] {
            for len in [10, 32, 64, 200, 1_000] {
                large_region(policy, ttl_ms, (len, len));
            }
        }
    }
    for policy in POLICIES {
        large_region(policy, TTL_NEVER, (16, 4_096));
    }
}

/// Which items a small region holds differs from set to set, so a mean is printed.
fn small_region(policy: (PolicyKind, &str), size: usize) {
    let mut region = Region::new(size);
    let mut filling = Filling::new(&mut region, policy.0, (16, 256), TTL_NEVER);
    filling.fill();
    let (mut items, mut payload) = (0, 0);
    for _ in 0..SMALL_SETS {
        filling.set();
        let stats = audited(&filling.cache);
        items += stats.item_count;
        payload += stats.payload_bytes;
    }
    let stats = filling.stats();
    let mean = |sum: u64| sum as f64 / SMALL_SETS as f64;
    println!(
        "{:8} {:>5} KiB {:>9.1} {:>10.2}",
        policy.1,
        size / KIB,
        mean(items),
        percent(mean(payload), stats.region_bytes),
    );
}

fn small_regions() {
    println!("Small regions, keys of 16 B, values of 16..256 B; mean over {SMALL_SETS} sets");
    println!(
        "{:8} {:>9} {:>9} {:>10}",
        "policy", "region", "items", "payload %"
    );
    for policy in POLICIES {
        for size in [4 * KIB, 16 * KIB, 64 * KIB, MIB] {
            small_region(policy, size);
        }
    }
}

fn main() {
    large_regions();
    println!();
    small_regions();
}
