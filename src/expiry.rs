//! Time, and when an item expires.
//!
//! The host's milliseconds come in as `u64`. Inside, time counts from the cache's first look at the
//! clock and never goes back: where the host's clock steps back, or wraps, time stands still for that
//! look and goes on from there, so that nothing is returned late and nothing lives longer than its
//! TTL plus the step.
//!
//! # Layout
//! ```text
//! an instant in 32 bits   | 0 | milliseconds modulo 2^31 |     TTLs below 12.4 days
//!                         | 1 | ticks of 1,024 ms, 31 bits |   longer ones, up to 69 years
//! ```
//! The milliseconds are read from the *base* of the page that the item lies in: a tick before which no
//! item of the page expires. So a TTL of any length is exact to a millisecond, or to one tick in 12
//! days, however long the cache runs.
//!
//! # Invariants
//! 1. No instant of a page lies before the page's base.
//! 2. When an item comes into a page, the base is at most [`SHORT`] ms old; [`is_old`] tells when not,
//!    and then the items that have expired get [`PAST`] and the base becomes now.

#![forbid(unsafe_code)]

use crate::region::barrier;
use crate::slab::NO_BASE;

/// A TTL of this many milliseconds never ends.
pub const TTL_NEVER: u64 = u64::MAX;

/// An item's expiry, as it stands in the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) u32);

/// The instant that never comes.
pub(crate) const NEVER: Instant = Instant(u32::MAX);
/// One that has come, whatever the page's base.
pub(crate) const PAST: Instant = Instant(COARSE);
const COARSE: u32 = 1 << 31;
const TICK_SHIFT: u32 = 10;
/// The last tick at which an item can expire.
const LAST_TICK: u32 = COARSE - 2;
/// TTLs of fewer milliseconds are exact. Twice as much, and a tick, is less than an instant's reach.
const SHORT: u64 = (1 << 30) - (1 << TICK_SHIFT);

/// A look at the host's clock.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Look {
    now: u64,
    /// What the host's clock showed.
    host: u64,
    /// Whether both were written whole, for whoever finds them.
    check: u64,
}

impl Look {
    fn new(now: u64, host: u64) -> Self {
        let check = now.wrapping_add(host.wrapping_mul(3)) ^ HIDE;
        Self { now, host, check }
    }

    fn spare(&self) -> [u64; 2] {
        // No bit of the check is lost.
        let check = self.check ^ self.check << 22 ^ self.check << 44;
        [self.now & NOW | check & !NOW, self.host]
    }

    fn of_spare(spare: [u64; 2]) -> Option<Self> {
        let look = Self::new(spare[0] & NOW, spare[1]);
        (look.spare() == spare).then_some(look)
    }
}

/// The cache's time.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Time {
    last: Look,
    /// Its first two words, written once it is whole: one of the two always is. Above the bits of a time stand
    /// those of a check.
    spare: [u64; 2],
}

/// Makes of what was wiped or filled no check.
const HIDE: u64 = 0x9e37_79b9_7f4a_7c15;
/// The bits of a time after which something can still expire.
const NOW_BITS: u32 = 32 + TICK_SHIFT;
const NOW: u64 = (1 << NOW_BITS) - 1;

impl Default for Time {
    /// The first look is never behind: nothing has passed by then.
    fn default() -> Self {
        Self::of(Look::new(0, u64::MAX))
    }
}

impl Time {
    /// One that nobody can take over.
    pub(crate) const UNKNOWN: Self = Self {
        last: Look {
            now: 0,
            host: 0,
            check: 0,
        },
        spare: [0, 0],
    };

    fn of(look: Look) -> Self {
        Self {
            last: look,
            spare: look.spare(),
        }
    }

    /// The time that an earlier owner left, wherever it was stopped, if anything can still expire after it.
    pub(crate) fn left_behind([now, host, check, spare_now, spare_host]: [u64; 5]) -> Option<Self> {
        let last = Look::new(now, host);
        let look = if last.check == check {
            last
        } else {
            Look::of_spare([spare_now, spare_host])?
        };
        (tick(look.now) < NO_BASE - 1).then(|| Self::of(look))
    }

    fn look(&mut self, now: u64, host: u64) {
        let Self { last, spare } = Self::of(Look::new(now, host));
        barrier();
        self.last = last;
        barrier();
        self.spare = spare;
    }

    /// The host's clock shows `host` milliseconds.
    #[inline]
    pub(crate) fn observe(&mut self, host: u64) {
        if host != self.last.host {
            let passed = host.saturating_sub(self.last.host);
            self.look(self.now().saturating_add(passed), host);
        }
    }

    /// Another clock takes over: nothing has passed since the last look at the old one.
    pub(crate) fn restart(&mut self, host: u64) {
        self.look(self.now(), host);
    }

    /// Whether no clock was ever looked at.
    pub(crate) fn is_unset(&self) -> bool {
        self.last.host == u64::MAX
    }

    /// Whether an item that is there now can have been given an instant that stands for this time: none that
    /// is read from its page's base reaches further.
    pub(crate) fn may_set(&self, Instant(bits): Instant, at: u64) -> bool {
        bits & COARSE != 0 || at.saturating_sub(self.now()) < SHORT
    }

    /// Milliseconds since the first look.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.last.now
    }

    /// The tick that now is in: the base of a page in which nothing expires before now.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn tick(&self) -> u32 {
        tick(self.now())
    }

    /// The instant `ttl_ms` from now; `None` = never.
    #[inline]
    pub(crate) fn expiry(&self, ttl_ms: u64) -> Option<Instant> {
        if ttl_ms == TTL_NEVER {
            return None;
        }
        let at = self.now().saturating_add(ttl_ms);
        Some(if ttl_ms < SHORT {
            Instant(at as u32 & !COARSE)
        } else {
            Instant(COARSE | (at >> TICK_SHIFT).min(u64::from(LAST_TICK)) as u32)
        })
    }

    /// The longest TTL that ends when it is due: a longer one ends then, too.
    pub(crate) fn ttl_max(&self) -> u64 {
        (u64::from(LAST_TICK) << TICK_SHIFT).saturating_sub(self.now())
    }

    /// Milliseconds from the first look to an instant in a page of this base; `u64::MAX` = never.
    #[inline]
    pub(crate) fn at(instant: Instant, base: u32) -> u64 {
        let Instant(bits) = instant;
        if instant == NEVER {
            return u64::MAX;
        }
        if bits & COARSE != 0 {
            return u64::from(bits & !COARSE) << TICK_SHIFT;
        }
        let base = u64::from(base) << TICK_SHIFT;
        base + u64::from(bits.wrapping_sub(base as u32) & !COARSE)
    }

    #[inline]
    pub(crate) fn is_past(&self, instant: Instant, base: u32) -> bool {
        Self::at(instant, base) <= self.now() && instant != NEVER
    }

    /// Whether a page's base is too old for another item.
    #[inline]
    pub(crate) fn is_old(&self, base: u32) -> bool {
        self.now().saturating_sub(u64::from(base) << TICK_SHIFT) > SHORT
    }

    /// Now, to ask later how long ago it was.
    pub(crate) fn stamp(&self) -> u32 {
        match u32::try_from(self.now()) {
            Ok(ms) if ms < COARSE => ms,
            _ => COARSE | (self.now() >> TICK_SHIFT).min(u64::from(!COARSE)) as u32,
        }
    }

    /// Milliseconds since a stamp; more exactly than to a tick in the first 24 days only.
    pub(crate) fn since(&self, stamp: u32) -> u64 {
        let then = if stamp & COARSE == 0 {
            u64::from(stamp)
        } else {
            u64::from(stamp & !COARSE) << TICK_SHIFT
        };
        self.now().saturating_sub(then)
    }
}

/// The tick that a number of milliseconds lies in.
#[inline]
pub(crate) fn tick(ms: u64) -> u32 {
    (ms >> TICK_SHIFT).min(u64::from(NO_BASE - 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn time(now: u64) -> Time {
        let mut time = Time::default();
        time.observe(0);
        time.observe(now);
        time
    }

    #[test]
    fn a_ttl_is_exact_to_a_millisecond_or_a_thousandth_after_any_uptime() {
        for now in [
            0,
            1,
            1023,
            (1 << 30) - 1,
            (1 << 31) - 1,
            1 << 31,
            25 * DAY,
            3_650 * DAY,
        ] {
            for ttl in [
                1,
                2,
                999,
                60_000,
                DAY,
                SHORT - 1,
                SHORT,
                400 * DAY,
                3_650 * DAY,
            ] {
                let time = time(now);
                let instant = time.expiry(ttl).unwrap();
                // The page may have a base as old as is allowed, or a newer one.
                for age in [0, 1024, SHORT] {
                    let base = tick(now.saturating_sub(age));
                    let error = now + ttl - Time::at(instant, base);
                    assert!(
                        error == 0 || error * 1000 < ttl,
                        "{now} {ttl} {age}: {error}"
                    );
                    assert!(!time.is_past(instant, base));
                }
            }
        }
    }

    #[test]
    fn a_base_is_old_before_an_instant_could_be_misread() {
        let now = 100 * DAY;
        let base = tick(now - SHORT) - 1;
        assert!(time(now).is_old(base));
        assert!(!time(now).is_old(base + 2));
        // The latest instant that a page with the oldest base takes.
        let last = time(now).expiry(SHORT - 1).unwrap();
        assert_eq!(Time::at(last, base + 1), now + SHORT - 1);
    }

    #[test]
    fn past_and_never_hold_whatever_the_base() {
        for base in [0, 5, NO_BASE - 1] {
            assert!(time(0).is_past(PAST, base));
            assert!(!time(u64::MAX).is_past(NEVER, base));
            assert_eq!(Time::at(NEVER, base), u64::MAX);
        }
    }

    #[test]
    fn time_never_goes_back() {
        let mut time = Time::default();
        time.observe(5_000);
        assert_eq!(time.now(), 0);
        time.observe(5_700);
        let (expiry, base) = (time.expiry(100).unwrap(), time.tick());
        time.observe(1_000);
        assert_eq!(time.now(), 700);
        assert!(!time.is_past(expiry, base));
        time.observe(1_100);
        assert!(time.is_past(expiry, base));
    }

    fn words(time: &Time) -> [u64; 5] {
        let Look { now, host, check } = time.last;
        [now, host, check, time.spare[0], time.spare[1]]
    }

    #[test]
    fn a_damaged_time_is_the_other_look_or_none() {
        for now in [0, 700, 1 << 33, 3_650 * DAY] {
            let left = words(&time(now));
            let found = |words| Time::left_behind(words).map(|time| time.now());
            assert_eq!(found(left), Some(now));
            for bit in 0..5 * 64 {
                let mut one = left;
                one[bit / 64] ^= 1 << (bit % 64);
                assert_eq!(found(one), Some(now), "bit {bit}");
                one[0] ^= 1;
                let is_spare = bit >= 3 * 64;
                assert_eq!(found(one).is_none(), is_spare, "bit {bit} and the first");
            }
            for with in [0, u64::MAX] {
                assert_eq!(found([left[0], left[1], with, with, with]), None);
            }
        }
        for with in [0, u64::MAX] {
            assert!(Time::left_behind([with; 5]).is_none());
        }
        assert!(Time::left_behind(words(&Time::UNKNOWN)).is_none());
        assert!(Time::left_behind(words(&time(u64::MAX))).is_none());
    }
}
