//! What the hit ratio would be under other limits.
//!
//! The difference between a simulated cache of another size and one of this size is added to what the cache itself
//! hits.
//!
//! # Not here
//! The simulations: `advisor`.

#![forbid(unsafe_code)]

use crate::status::{Error, Result};

/// Limits that are advised on: so many quarters of the present one.
pub(crate) const QUARTERS: [u32; 5] = [1, 2, 4, 8, 16];
/// Fewer sampled gets say nothing.
const SAMPLED_MIN: u64 = 256;
const MILLION: u64 = 1_000_000;
const MIB: u64 = 1 << 20;

/// What the hit ratio would be under other limits.
// Laid out as the C structure's fields are: see `ffi::cache_advice`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Advice {
    /// 1/4, 1/2, 1, 2 and 4 times the limit, in bytes.
    pub limit: [u64; 5],
    /// Hits in a million gets that each of them would bring; at the present limit, those that were counted.
    pub hit_ppm: [u32; 5],
    /// Of how many keys one is simulated.
    pub sample: u32,
    /// Gets since the limit was set.
    pub gets: u64,
    /// Milliseconds in which they were made; 0 where the cache's clock stands still.
    pub elapsed_ms: u64,
    /// Thousandths of a hit a second that each MiB more would bring, up to twice the limit.
    pub gained_milli: u64,
    /// Thousandths of a hit a second that each MiB less would cost, down to half the limit.
    pub lost_milli: u64,
}

/// What was simulated, and what the cache itself did meanwhile.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    /// Sampled gets, and how many they would be if each key were asked for as often as the mean.
    pub(crate) sampled: u64,
    pub(crate) expected: u64,
    /// Those that a cache of [`QUARTERS`] hits.
    pub(crate) hits: [u64; QUARTERS.len()],
    /// The cache's own gets and hits.
    pub(crate) gets: u64,
    pub(crate) own_hits: u64,
    /// Its gets since the limit was set, and the time in which they were made.
    pub(crate) all_gets: u64,
    pub(crate) elapsed_ms: u64,
}

/// The cache's own counts at a moment.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(
    feature = "one-rule",
    expect(dead_code, reason = "no advisor reads them")
)]
pub(crate) struct Moment {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) now_ms: u64,
}

#[cfg(not(feature = "one-rule"))]
impl Moment {
    pub(crate) fn gets(&self) -> u64 {
        self.hits + self.misses
    }
}

impl Sums {
    /// With those of another shard.
    #[must_use]
    pub(crate) fn and(&self, other: &Self) -> Self {
        let mut hits = self.hits;
        for (hits, more) in hits.iter_mut().zip(other.hits) {
            *hits += more;
        }
        Self {
            sampled: self.sampled + other.sampled,
            expected: self.expected + other.expected,
            hits,
            gets: self.gets + other.gets,
            own_hits: self.own_hits + other.own_hits,
            all_gets: self.all_gets + other.all_gets,
            elapsed_ms: self.elapsed_ms.max(other.elapsed_ms),
        }
    }

    /// `Again` where too little was seen.
    pub(crate) fn advice(&self, limit: u64) -> Result<Advice> {
        if self.sampled < SAMPLED_MIN || self.gets == 0 {
            return Err(Error::Again);
        }
        let own = ppm(self.own_hits, self.gets);
        // Keys that are asked for all the time are in the sample or not: they hit in caches of all sizes.
        let [.., present, _, _] = self.hits.map(|hits| ppm(hits, self.expected));
        let at = |hits: u64| {
            let predicted = (own + ppm(hits, self.expected)).saturating_sub(present);
            predicted.min(MILLION) as u32
        };
        let mut advice = Advice {
            limit: QUARTERS.map(|quarters| (limit / 4).saturating_mul(quarters.into())),
            hit_ppm: self.hits.map(at),
            sample: (self.gets / self.expected.max(1)).min(u32::MAX.into()) as u32,
            gets: self.all_gets,
            elapsed_ms: self.elapsed_ms,
            ..Advice::default()
        };
        let [_, half, _, twice, _] = advice.hit_ppm.map(u64::from);
        advice.gained_milli = self.rate(twice.saturating_sub(own), limit);
        advice.lost_milli = self.rate(own.saturating_sub(half), limit / 2);
        Ok(advice)
    }

    /// Thousandths of a hit a second and MiB, where so many gets in a million are hits for so many bytes.
    fn rate(&self, ppm: u64, bytes: u64) -> u64 {
        let milli_gets = self.all_gets.saturating_mul(MILLION);
        let milli_gets = milli_gets.checked_div(self.elapsed_ms).unwrap_or(0);
        let milli_hits = (milli_gets / 1024).saturating_mul(ppm) / (MILLION / 1024);
        milli_hits
            .saturating_mul(MIB)
            .checked_div(bytes)
            .unwrap_or(0)
    }
}

fn ppm(part: u64, whole: u64) -> u64 {
    part.saturating_mul(MILLION).checked_div(whole).unwrap_or(0)
}
