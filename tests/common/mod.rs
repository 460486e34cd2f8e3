//! Tools of the tests: seeded randomness, aligned regions, a clock that tests set, sums that must hold after every
//! operation, and a picture of a cache.

// Every test is a separate crate and uses a part of this module.
#![allow(dead_code)]

#[cfg(all(feature = "hosted", target_os = "linux", target_pointer_width = "64"))]
pub(crate) mod mapping;

use larder::{Cache, CacheStats, PageOwner};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::Mutex;

/// SplitMix64 (G. L. Steele et al., OOPSLA 2014), which first uses up the given bytes.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
    given: VecDeque<u8>,
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self::of_bytes(seed, &[])
    }

    /// Numbers made from these bytes, with as few bytes for each as possible, then random numbers.
    pub(crate) fn of_bytes(seed: u64, bytes: &[u8]) -> Self {
        Self {
            state: seed,
            given: bytes.iter().copied().collect(),
        }
    }

    /// Whether the given bytes are used up.
    pub(crate) fn is_spent(&self) -> bool {
        self.given.is_empty()
    }

    fn next_given(&mut self, bytes: u32) -> u64 {
        (0..bytes).fold(0, |n, _| {
            n << 8 | u64::from(self.given.pop_front().unwrap_or(0))
        })
    }

    pub(crate) fn next(&mut self) -> u64 {
        if !self.given.is_empty() {
            return self.next_given(8);
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = n.max(1) as u64;
        let number = if self.given.is_empty() {
            self.next()
        } else {
            let bits = u64::BITS - (n - 1).leading_zeros();
            self.next_given(bits.div_ceil(8))
        };
        (number % n) as usize
    }

    /// A number from `low` to `high`; all orders of magnitude are equally likely.
    pub(crate) fn log_uniform(&mut self, low: usize, high: usize) -> usize {
        let (low_f, high_f) = (low.max(1) as f64, high.max(1) as f64);
        let unit = if self.given.is_empty() {
            self.next() as f64 / u64::MAX as f64
        } else {
            self.next_given(2) as f64 / 65_535.0
        };
        ((low_f * (high_f / low_f).powf(unit)) as usize).clamp(low, high)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// An aligned region between guard bytes, which must not change.
pub(crate) struct Region {
    bytes: Vec<u8>,
    at: usize,
    len: usize,
}

/// The minimum number of guard bytes before and behind a region.
const GUARD_LEN: usize = 64;
const GUARD: u8 = 0xc3;

impl Region {
    pub(crate) fn new(len: usize) -> Self {
        let mut bytes = vec![GUARD; len + 2 * GUARD_LEN + larder::ALIGN];
        let at = GUARD_LEN + bytes[GUARD_LEN..].as_ptr().align_offset(larder::ALIGN);
        bytes[at..at + len].fill(0);
        Self { bytes, at, len }
    }

    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[self.at..self.at + self.len]
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let (before, rest) = self.bytes.split_at(self.at);
        let mut guards = before.iter().chain(&rest[self.len..]);
        let holds = guards.all(|&byte| byte == GUARD);
        assert!(
            holds || std::thread::panicking(),
            "written outside of the region"
        );
    }
}

/// A value that lives as long as the program. A static refers to it, so that leak checkers count it as in use.
pub(crate) fn for_ever<T>(value: T) -> &'static mut T {
    static KEPT: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let kept = Box::leak(Box::new(value));
    KEPT.lock().unwrap().push(&raw const *kept as usize);
    kept
}

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// The clock of this thread's test, for [`larder::Config::clock`].
pub(crate) fn now_ms() -> u64 {
    NOW.get()
}

pub(crate) fn set_now(ms: u64) {
    NOW.set(ms);
}

/// A key of eight bytes.
pub(crate) fn key(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

/// The statistics. Checks their sums, and that they agree with the cache's other answers.
pub(crate) fn audited(cache: &Cache<'_>) -> CacheStats {
    let s = cache.stats();
    let sum = s.payload_bytes + s.free_bytes + s.overhead_bytes;
    assert_eq!(
        sum,
        s.region_bytes,
        "payload + free + overhead is not the region's size\n{}",
        picture(cache)
    );
    assert_eq!(
        s.total_used + s.free_bytes,
        s.region_bytes,
        "used + free is not the region's size"
    );
    assert_eq!(s.total_used, cache.memory_usage() as u64);
    assert_eq!(s.item_count, cache.item_count());
    assert_eq!(s.limit_bytes, cache.memory_limit() as u64);
    assert_eq!(
        s.failed_no_memory,
        0,
        "a set failed for want of memory\n{}",
        picture(cache)
    );
    assert!(s.total_used <= s.total_allocated && s.total_allocated <= s.region_bytes);
    assert!(s.peak_used >= s.total_used);
    s
}

/// Checks every invariant.
pub(crate) fn checked(cache: &Cache<'_>) {
    assert_eq!(
        cache.check(),
        Ok(()),
        "an invariant is broken\n{}",
        picture(cache)
    );
}

/// A picture of a cache's pages, with a line for each owner.
pub(crate) fn picture(cache: &Cache<'_>) -> String {
    let s = cache.stats();
    let mut lines = format!(
        "region {} limit {} used {} | items {} payload {} | pages {} of {} B, {} free\n",
        s.region_bytes,
        s.limit_bytes,
        s.total_used,
        s.item_count,
        s.payload_bytes,
        s.page_count,
        s.page_size,
        s.pages_free
    );
    for owner in PageOwner::ALL {
        let Ok(owned) = cache.owner_stats(owner) else {
            continue;
        };
        let all = owned.pages as usize * owned.page_size;
        let bar = "#".repeat((owned.live_bytes as usize * 40).div_ceil(all.max(1)));
        let _ = writeln!(
            lines,
            "  {owner:8?} | pages {:5} | items {:7} | dead {:7} |{bar:40}|",
            owned.pages, owned.items, owned.dead_bytes
        );
    }
    lines
}

/// Stores values of these lengths, in turn, until the cache has evicted some hundred items.
pub(crate) fn fill(cache: &Cache<'_>, lens: &[usize]) {
    let longest = lens.iter().max().copied().unwrap_or(0);
    let value = vec![0x5a; longest];
    let mut n = 0;
    while cache.stats().evictions < 200 {
        let len = lens[n as usize % lens.len()];
        assert_eq!(
            cache.set(&key(n), &value[..len], 0),
            Ok(()),
            "{len} bytes\n{}",
            picture(cache)
        );
        n += 1;
    }
}

/// The first key that [`fill`] has not used.
pub(crate) const NEW_KEY: u64 = 1 << 40;

/// Bytes of a page's descriptor: next 2, prev 2, live 2, first 2, due 4, era 2, owner 1, mark 1.
pub(crate) const DESCRIPTOR: usize = 16;

/// The page tables of a new region, one for each shard: offset and number of descriptors. In a new region each free
/// page names the next one.
pub(crate) fn page_tables(bytes: &[u8]) -> Vec<(usize, usize)> {
    let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let is_free = |at: usize| {
        at + DESCRIPTOR <= bytes.len()
            && half(at + 2) == u16::MAX
            && bytes[at + 4..at + DESCRIPTOR] == [0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]
    };
    let (mut tables, mut at) = (Vec::new(), 0);
    while at + DESCRIPTOR <= bytes.len() {
        let place = |n: usize| at + n * DESCRIPTOR;
        let linked =
            (0..).take_while(|&n| is_free(place(n)) && usize::from(half(place(n))) == n + 1);
        match linked.count() {
            0 => at += 4,
            // The last one names none.
            n if is_free(place(n)) && half(place(n)) == u16::MAX => {
                tables.push((at, n + 1));
                at = place(n + 1);
            }
            n => at = place(n),
        }
    }
    assert!(!tables.is_empty(), "no page table was found");
    tables
}
