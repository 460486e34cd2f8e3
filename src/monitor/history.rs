//! The samples that a monitor remembers, and the rates that they show.

#![forbid(unsafe_code)]

use crate::stats::CacheStats;

/// Samples that the monitor remembers.
pub const HISTORY: usize = 16;

/// One remembered check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Sample {
    /// When.
    pub time_ms: u64,
    /// Bytes taken, after the check.
    pub usage: u64,
    /// The limit.
    pub limit: u64,
    /// Reads that found their item since the check before; 0 in the monitor's first one.
    pub hits: u32,
    /// Reads that did not, since then.
    pub misses: u32,
    /// Items evicted since then.
    pub evictions: u32,
    /// Items taken out since then because their time had come.
    pub expirations: u32,
}

/// Events a second, in thousandths, over the time that the remembered samples span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Rates {
    /// Reads that found their item.
    pub hits_milli: u64,
    /// Reads that did not.
    pub misses_milli: u64,
    /// Items evicted.
    pub evictions_milli: u64,
    /// Items taken out because their time had come.
    pub expirations_milli: u64,
}

#[derive(Clone, Default)]
pub(super) struct History {
    samples: heapless::Deque<Sample, HISTORY>,
    /// Hits, misses, evictions and expirations until the last sample.
    before: Option<[u64; 4]>,
}

impl History {
    /// At most `count` samples, the oldest of them first.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = &Sample> {
        let others = self.samples.len().saturating_sub(count);
        self.samples.iter().skip(others)
    }

    /// Adds a sample; the oldest one makes room for it.
    pub(super) fn note(&mut self, time_ms: u64, limit: u64, stats: &CacheStats) {
        let now = [stats.hits, stats.misses, stats.evictions, stats.expirations];
        let mut since = self.before.replace(now).unwrap_or(now);
        for (since, now) in since.iter_mut().zip(now) {
            *since = now.saturating_sub(*since);
        }
        let [hits, misses, evictions, expirations] =
            since.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        if self.samples.is_full() {
            self.samples.pop_front();
        }
        // There is room now: this cannot fail.
        let _ = self.samples.push_back(Sample {
            time_ms,
            usage: stats.total_used,
            limit,
            hits,
            misses,
            evictions,
            expirations,
        });
    }

    /// All 0 before the second sample. Where the clock stepped back between two samples, what happened between them
    /// is left out.
    pub(super) fn rates(&self) -> Rates {
        let (mut sums, mut elapsed_ms, mut before_ms) = (Rates::default(), 0u64, u64::MAX);
        for sample in self.samples.iter() {
            if sample.time_ms > before_ms {
                elapsed_ms = elapsed_ms.saturating_add(sample.time_ms - before_ms);
                sums.hits_milli += u64::from(sample.hits);
                sums.misses_milli += u64::from(sample.misses);
                sums.evictions_milli += u64::from(sample.evictions);
                sums.expirations_milli += u64::from(sample.expirations);
            }
            before_ms = sample.time_ms;
        }
        // Sixteen counts of 32 bits, times a million: 57 bits.
        let milli = |sum: u64| (sum * 1_000_000).checked_div(elapsed_ms).unwrap_or(0);
        Rates {
            hits_milli: milli(sums.hits_milli),
            misses_milli: milli(sums.misses_milli),
            evictions_milli: milli(sums.evictions_milli),
            expirations_milli: milli(sums.expirations_milli),
        }
    }
}
