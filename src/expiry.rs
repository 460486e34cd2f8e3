//! Time, and when an item expires.
//!
//! The host's milliseconds come in as `u64`. Inside, time counts from the cache's first look at the
//! clock and never goes back: where the host's clock steps back, or wraps, time stands still for that
//! look and goes on from there. Nothing is returned late, and nothing lives longer than its TTL plus the step.
//!
//! # Layout
//! ```text
//! an instant in 32 bits   | 0 | milliseconds modulo 2^31 |          TTLs below 12.4 days
//!                         | 1 | ticks of 1,024 ms modulo 2^31 |     longer ones, up to TTL_MAX
//! ```
//! A page's `era` (now / 2^39 ms, when the page was opened) and `due` (a tick of that era before which nothing in
//! the page expires) tell the bits that are left out. So a TTL is exact to a millisecond, or to a tick in 12 days,
//! whatever the host's clock shows.
//!
//! # Invariants
//! 1. No instant of a page lies before its `due`, nor 2^41 ms or more behind the start of its era.
//! 2. An instant in milliseconds lies less than 2^31 ms behind its page's `due`: [`Time::fits`] tells whether a page
//!    takes another one.

#![forbid(unsafe_code)]

use crate::page::{Descriptor, NO_DUE};
use crate::region::barrier;

/// A TTL of this many milliseconds never ends.
pub const TTL_NEVER: u64 = u64::MAX;
/// As a time to live: the item keeps the one that it has; a new one gets the cache's default.
pub const TTL_KEEP: u64 = u64::MAX - 1;

/// The longest TTL in milliseconds, 34.8 years; longer ones are this long.
pub const TTL_MAX: u64 = 1 << 40;

/// An item's expiry, as it stands in the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant(pub(crate) u32);

/// The instant that never comes.
pub(crate) const NEVER: Instant = Instant(u32::MAX);
const COARSE: u32 = 1 << 31;
const TICK_SHIFT: u32 = 10;
/// TTLs of fewer milliseconds are exact. Twice as much, and a tick, is less than an instant's reach.
const SHORT: u64 = (1 << 30) - (1 << TICK_SHIFT);
const ERA_SHIFT: u32 = 39;
/// Milliseconds that instants in ticks reach from the start of their era.
const REACH: u64 = 1 << (31 + TICK_SHIFT);

/// A step of the host's clock counts as so many milliseconds at most: after them, everything with a TTL has expired.
const LEAP_MAX: u64 = REACH;

const _: () = assert!(TTL_MAX + (1 << ERA_SHIFT) < REACH);

/// A look at the host's clock.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Look {
    now: u64,
    /// What the host's clock showed.
    host: u64,
    /// Whether both were written whole.
    check: u64,
}

impl Look {
    fn new(now: u64, host: u64) -> Self {
        let check = now.wrapping_add(host.wrapping_mul(3)) ^ HIDE;
        Self { now, host, check }
    }

    fn is_whole(&self) -> bool {
        Self::new(self.now, self.host).check == self.check
    }
}

/// The cache's time.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Time {
    last: Look,
    /// The same look, written once it is whole: one of the two always is.
    spare: Look,
}

/// Makes of what was wiped or filled no check.
const HIDE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Default for Time {
    /// The first look is never behind: nothing has passed by then.
    fn default() -> Self {
        Self::of(Look::new(0, u64::MAX))
    }
}

impl Time {
    /// One that no owner takes over.
    pub(crate) const UNKNOWN: Self = {
        let look = Look {
            now: 0,
            host: 0,
            check: 0,
        };
        Self {
            last: look,
            spare: look,
        }
    };

    fn of(look: Look) -> Self {
        Self {
            last: look,
            spare: look,
        }
    }

    /// The time that an earlier owner left, wherever it was stopped.
    pub(crate) fn left_behind(words: [u64; 6]) -> Option<Self> {
        let look = |at: usize| {
            let word = |i: usize| words.get(at + i).copied().unwrap_or(0);
            Look {
                now: word(0),
                host: word(1),
                check: word(2),
            }
        };
        [look(0), look(3)]
            .into_iter()
            .find(Look::is_whole)
            .map(Self::of)
    }

    fn look(&mut self, now: u64, host: u64) {
        let look = Look::new(now, host);
        barrier();
        self.last = look;
        barrier();
        self.spare = look;
    }

    /// The host's clock shows `host` milliseconds.
    #[inline]
    pub(crate) fn observe(&mut self, host: u64) {
        if host != self.last.host {
            let passed = host.saturating_sub(self.last.host).min(LEAP_MAX);
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

    /// Milliseconds since the first look.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        self.last.now
    }

    // ---- eras ----------------------------------------------------------------------------------

    /// The era that a page opened now is of.
    #[inline]
    pub(crate) fn era(&self) -> u16 {
        (self.now() >> ERA_SHIFT) as u16
    }

    /// When a page's era began.
    fn start_of(&self, era: u16) -> u64 {
        let age = u64::from(self.era().wrapping_sub(era));
        (self.now() >> ERA_SHIFT).saturating_sub(age) << ERA_SHIFT
    }

    /// Whether a page takes an item that is given a TTL now. A page without such items always does: its era becomes
    /// the present one.
    pub(crate) fn fits(&self, page: &mut Descriptor) -> bool {
        if page.due == NO_DUE {
            page.era = self.era();
            return true;
        }
        page.era == self.era() && self.now().saturating_sub(self.due_of(page)) < SHORT
    }

    /// When the first item of a page may expire; `u64::MAX` = never.
    pub(crate) fn due_of(&self, page: &Descriptor) -> u64 {
        if page.due == NO_DUE {
            return u64::MAX;
        }
        self.start_of(page.era)
            .saturating_add(u64::from(page.due) << TICK_SHIFT)
    }

    /// An item of the page expires at `at`.
    pub(crate) fn note(&self, page: &mut Descriptor, at: u64) {
        page.due = page.due.min(self.due_at(page.era, at));
    }

    /// The `due` of a page whose first item expires at `at`; `u64::MAX` = none does.
    pub(crate) fn due_at(&self, era: u16, at: u64) -> u32 {
        if at == u64::MAX {
            return NO_DUE;
        }
        let ticks = at.saturating_sub(self.start_of(era)) >> TICK_SHIFT;
        ticks.min(u64::from(NO_DUE - 1)) as u32
    }

    // ---- instants ------------------------------------------------------------------------------

    /// The instant `ttl_ms` from now, and when that is; `None` = never.
    #[inline]
    pub(crate) fn expiry(&self, ttl_ms: u64) -> Option<(Instant, u64)> {
        if ttl_ms == TTL_NEVER {
            return None;
        }
        let at = self.now().saturating_add(ttl_ms.min(TTL_MAX));
        Some(if ttl_ms < SHORT {
            (Instant(at as u32 & !COARSE), at)
        } else {
            let mut ticks = at >> TICK_SHIFT;
            if ticks as u32 | COARSE == NEVER.0 {
                ticks -= 1;
            }
            (Instant(ticks as u32 | COARSE), ticks << TICK_SHIFT)
        })
    }

    /// When an instant of a page is; `u64::MAX` = never.
    #[inline]
    pub(crate) fn at(&self, instant: Instant, page: &Descriptor) -> u64 {
        let Instant(bits) = instant;
        if instant == NEVER {
            return u64::MAX;
        }
        if bits & COARSE != 0 {
            let start = self.start_of(page.era);
            let ticks = u64::from(bits & !COARSE) << TICK_SHIFT;
            return start.saturating_add(ticks.wrapping_sub(start) & (REACH - 1));
        }
        let due = self.due_of(page);
        due.saturating_add(u64::from(bits.wrapping_sub(due as u32) & !COARSE))
    }

    /// Whether an item that is there now can have been given this instant in this page: neither lets it live longer
    /// than any TTL did.
    pub(crate) fn may_set(&self, instant: Instant, page: &Descriptor) -> bool {
        let most = if instant.0 & COARSE == 0 {
            SHORT
        } else {
            TTL_MAX
        };
        let at = self.at(instant, page);
        let age = self.era().wrapping_sub(page.era);
        at == u64::MAX
            || at.saturating_sub(self.now()) <= most
                && self.due_of(page) <= at
                && u64::from(age) << ERA_SHIFT < REACH
    }

    /// Now, to ask later how long ago it was.
    pub(crate) fn stamp(&self) -> u32 {
        match u32::try_from(self.now()) {
            Ok(ms) if ms < COARSE => ms,
            _ => COARSE | (self.now() >> TICK_SHIFT) as u32,
        }
    }

    /// Milliseconds since a stamp: to a tick exactly after 24 days, and up to 69 years.
    pub(crate) fn since(&self, stamp: u32) -> u64 {
        if stamp & COARSE == 0 {
            return self.now().saturating_sub(u64::from(stamp));
        }
        let ticks = ((self.now() >> TICK_SHIFT) as u32).wrapping_sub(stamp) & !COARSE;
        u64::from(ticks) << TICK_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400_000;

    fn time(now: u64) -> Time {
        Time::of(Look::new(now, now))
    }

    /// A page opened at `opened` with an item that expires at `first`.
    fn page(opened: &Time, first: u64) -> Descriptor {
        let mut page = Descriptor::FREE;
        assert!(opened.fits(&mut page));
        opened.note(&mut page, first);
        page
    }

    #[test]
    fn a_ttl_is_exact_to_a_millisecond_or_a_thousandth_after_any_uptime() {
        for now in [
            0,
            1,
            1023,
            (1 << 30) - 1,
            1 << 31,
            25 * DAY,
            3_650 * DAY,
            (1 << 39) - 1,
            1 << 39,
            (1 << 41) + 7,
            1 << 42,
            (1 << 62) + 12_345,
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
                TTL_MAX,
            ] {
                let time = time(now);
                let (instant, at) = time.expiry(ttl).unwrap();
                assert!(at <= now + ttl && (now + ttl - at) * 1000 < ttl.max(1));
                // The page's first item may be due long before this one.
                for due in [at, now + 1, now.saturating_sub(SHORT - 2048)] {
                    let mut page = page(&time, due);
                    if !time.fits(&mut page) {
                        continue;
                    }
                    time.note(&mut page, at);
                    assert_eq!(time.at(instant, &page), at, "{now} {ttl} {due}");
                }
            }
        }
    }

    #[test]
    fn an_item_stays_expired_whatever_the_clock_shows_then() {
        for opened in [0, 1 << 38, (1 << 39) - 1, 1 << 50] {
            for ttl in [1, SHORT - 1, SHORT, TTL_MAX] {
                let then = time(opened);
                let (instant, at) = then.expiry(ttl).unwrap();
                let page = page(&then, at);
                for step in (10..63).map(|bits| 1 << bits) {
                    let mut now = then;
                    now.observe(opened + step);
                    let due = now.at(instant, &page) <= now.now();
                    assert_eq!(due, step >= at - then.now(), "{opened} {ttl} {step}");
                }
            }
        }
    }

    #[test]
    fn a_page_is_too_old_before_an_instant_could_be_misread() {
        let first = time(100 * DAY);
        let (_, at) = first.expiry(5).unwrap();
        let mut old = page(&first, at);
        assert!(time(100 * DAY + SHORT - 2048).fits(&mut old));
        assert!(!time(100 * DAY + SHORT + 2048).fits(&mut old));
        assert!(!time((1 << 39) + 1).fits(&mut old));
    }

    #[test]
    fn never_holds_whatever_the_page() {
        let mut page = Descriptor::FREE;
        for due in [0, 5, NO_DUE] {
            page.due = due;
            assert_eq!(time(u64::MAX).at(NEVER, &page), u64::MAX);
        }
    }

    #[test]
    fn time_never_goes_back() {
        let mut time = Time::default();
        time.observe(5_000);
        assert_eq!(time.now(), 0);
        time.observe(5_700);
        let (instant, at) = time.expiry(100).unwrap();
        let page = page(&time, at);
        time.observe(1_000);
        assert_eq!(time.now(), 700);
        assert!(time.at(instant, &page) > time.now());
        time.observe(1_100);
        assert!(time.at(instant, &page) <= time.now());
    }

    #[test]
    fn a_stamp_tells_its_age_after_any_uptime() {
        for now in [0, 5, 1 << 31, 1 << 41, 1 << 60] {
            let stamp = time(now).stamp();
            for age in [0, 1_024, DAY, 3_650 * DAY] {
                let since = time(now + age).since(stamp);
                assert!(since.abs_diff(age) <= 1_024, "{now} {age}: {since}");
            }
        }
    }

    fn words(time: &Time) -> [u64; 6] {
        let (a, b) = (time.last, time.spare);
        [a.now, a.host, a.check, b.now, b.host, b.check]
    }

    #[test]
    fn a_damaged_time_is_the_other_look_or_none() {
        for now in [0, 700, 1 << 33, 3_650 * DAY, 1 << 63] {
            let left = words(&time(now));
            let found = |words| Time::left_behind(words).map(|time| time.now());
            assert_eq!(found(left), Some(now));
            for bit in 0..6 * 64 {
                let mut one = left;
                one[bit / 64] ^= 1 << (bit % 64);
                assert_eq!(found(one), Some(now), "bit {bit}");
                one[0] ^= 1;
                assert_eq!(
                    found(one).is_none(),
                    bit >= 3 * 64,
                    "bit {bit} and the first"
                );
            }
        }
        for with in [0, u64::MAX] {
            assert!(Time::left_behind([with; 6]).is_none());
        }
        assert!(Time::left_behind(words(&Time::UNKNOWN)).is_none());
    }
}
