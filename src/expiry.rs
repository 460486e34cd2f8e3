//! Time, and when an item expires.
//!
//! The host's milliseconds come in as `u64`. Inside, time counts from the cache's first look at the
//! clock and never goes back: where the host's clock steps back, time stands still for that look and
//! goes on from there, so that nothing is returned late and nothing lives longer than its TTL plus
//! the step.
//!
//! # Layout
//! ```text
//! an instant in 32 bits   | 0 | milliseconds, 31 bits |    the first 24.8 days
//!                         | 1 | ticks of 1,024 ms, 31 bits |   up to 69 years
//! ```
//! Instants round down: an item expires up to one tick early, never late.

#![forbid(unsafe_code)]

/// A TTL of this many milliseconds never ends.
pub const TTL_NEVER: u64 = u64::MAX;

/// The instant that never comes.
pub(crate) const EXPIRY_NEVER: u32 = u32::MAX;

const COARSE: u32 = 1 << 31;
const COARSE_SHIFT: u32 = 10;

/// The cache's time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Time {
    host: u64,
    now: u64,
    seen: bool,
}

impl Time {
    /// The host's clock shows `host` milliseconds.
    #[inline]
    pub(crate) fn observe(&mut self, host: u64) {
        if self.seen {
            self.now = self.now.saturating_add(host.saturating_sub(self.host));
        }
        self.host = host;
        self.seen = true;
    }

    /// Another clock takes over: nothing has passed since the last look at the old one.
    pub(crate) fn restart(&mut self, host: u64) {
        self.host = host;
        self.seen = true;
    }

    /// Milliseconds since the first look.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// The instant `ttl_ms` from now; `None` = never.
    #[inline]
    pub(crate) fn expiry(&self, ttl_ms: u64) -> Option<u32> {
        if ttl_ms == TTL_NEVER {
            return None;
        }
        Some(encode(self.now.saturating_add(ttl_ms)))
    }

    #[inline]
    pub(crate) fn is_past(&self, instant: u32) -> bool {
        decode(instant) <= self.now && instant != EXPIRY_NEVER
    }

    /// Milliseconds until the instant; 0 if it is past, [`TTL_NEVER`] if it never comes.
    pub(crate) fn until(&self, instant: u32) -> u64 {
        if instant == EXPIRY_NEVER {
            return TTL_NEVER;
        }
        decode(instant).saturating_sub(self.now)
    }

    /// Milliseconds since the instant.
    pub(crate) fn since(&self, instant: u32) -> u64 {
        self.now.saturating_sub(decode(instant))
    }
}

/// An instant in 32 bits, rounded down.
#[inline]
pub(crate) fn encode(ms: u64) -> u32 {
    if ms < u64::from(COARSE) {
        return ms as u32;
    }
    let ticks = ms >> COARSE_SHIFT;
    COARSE | ticks.min(u64::from(COARSE - 2)) as u32
}

#[inline]
fn decode(instant: u32) -> u64 {
    if instant & COARSE == 0 {
        return u64::from(instant);
    }
    u64::from(instant & !COARSE) << COARSE_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_at_most_one_tick_early_and_never_late() {
        for ms in [
            0,
            1,
            999,
            (1 << 31) - 1,
            1 << 31,
            315_360_000_000,
            2_000_000_000_000,
        ] {
            let back = decode(encode(ms));
            assert!(back <= ms && ms - back < 1024, "{ms} came back as {back}");
        }
        assert!(decode(encode(u64::MAX)) < u64::MAX);
    }

    #[test]
    fn time_never_goes_back() {
        let mut time = Time::default();
        time.observe(5_000);
        assert_eq!(time.now(), 0);
        time.observe(5_700);
        let expiry = time.expiry(100).unwrap();
        time.observe(1_000);
        assert_eq!(time.now(), 700);
        assert!(!time.is_past(expiry));
        time.observe(1_100);
        assert!(time.is_past(expiry));
    }
}
