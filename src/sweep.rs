//! The sweep: what has expired goes without anybody asking for it.
//!
//! Each page's descriptor tells a tick before which nothing in the page expires. A hand goes over the
//! pages; it passes by those that are not due yet, walks the slots of the others, takes out what has
//! expired, and notes the page's next due tick. A page whose last item goes is free.
//! After a lap from the first page on, the hand rests until the first of the pages is due.
//!
//! The hand moves, some steps at a time, when a set finds no room, at the monitor's checks, and in
//! `optimize`. There is one hand, so none of them does another's work again.
//!
//! # Time
//! A step is a descriptor or a slot looked at. Where nothing is due, no step is made.
//!
//! # Source
//! Expiry by the page is Segcache's idea: J. Yang et al., NSDI 2021; here the items of a page may have
//! any TTLs.

#![forbid(unsafe_code)]

use crate::expiry::{Instant, PAST, Time, tick};
use crate::region::barrier;
use crate::shard::Shard;
use crate::slab::{Id, Kind, NO_BASE, Page};

/// Steps of the hand before an item is evicted that has not expired.
const SWEEP_STEPS: u32 = 64;
/// Evictions in the same millisecond that do without, once those steps found nothing.
const SWEEP_REST: u32 = 8;

/// Where the hand stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sweep {
    page: u16,
    slot: u16,
    /// Of the slots of this page that it has passed, and of what came since: when the first is due.
    next_due: u32,
    /// The same of the pages passed in this lap.
    lap_due: u32,
    /// A tick before which nothing expires anywhere, as the last lap saw it.
    due: u32,
    /// Evictions still to come without a sweep, in this millisecond.
    rest: u32,
    rest_at: u32,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            page: 0,
            slot: 0,
            next_due: NO_BASE,
            lap_due: NO_BASE,
            due: 0,
            rest: 0,
            rest_at: 0,
        }
    }
}

impl Shard {
    /// At most `steps` steps of a lap over all pages, of which `pages` are left; `u32::MAX` at its
    /// start, 0 at its end. Returns the steps made.
    pub(crate) fn sweep_lap(&mut self, pages: &mut u32, steps: u32) -> u32 {
        // From wherever the hand stands, it has passed every page whole after a lap and one page.
        *pages = (*pages).min(self.slab.pages_cut() + 2);
        let mut done = 0;
        while done < steps && *pages > 0 && self.any_due() {
            let page = self.sweep.page;
            self.sweep_step();
            *pages -= u32::from(self.sweep.page != page);
            done += 1;
        }
        if !self.any_due() {
            *pages = 0;
        }
        done
    }

    /// A few steps before an item is evicted that has not expired; whether they were enough to spare it.
    pub(crate) fn sweep_until(&mut self, enough: impl Fn(&Self) -> bool) -> bool {
        if !self.any_due() {
            return false;
        }
        let now = self.time.now() as u32;
        if self.sweep.rest > 0 && self.sweep.rest_at == now {
            self.sweep.rest -= 1;
            return false;
        }
        let expired = self.counters.expirations;
        self.sweep_for(&enough);
        if self.counters.expirations == expired {
            (self.sweep.rest, self.sweep.rest_at) = (SWEEP_REST, now);
        }
        enough(self)
    }

    /// Those steps: fewer where that was enough, and at most one lap, after which nothing is due.
    fn sweep_for(&mut self, enough: impl Fn(&Self) -> bool) {
        let mut pages = self.slab.pages_cut() + 1;
        for _ in 0..SWEEP_STEPS {
            let (page, expired) = (self.sweep.page, self.counters.expirations);
            self.sweep_step();
            pages -= u32::from(self.sweep.page != page);
            if pages == 0 || self.counters.expirations != expired && enough(self) {
                return;
            }
        }
    }

    fn sweep_step(&mut self) {
        let page = Page(self.sweep.page);
        if u32::from(page.0) >= self.slab.pages_cut() {
            (self.sweep.due, self.sweep.lap_due) = (self.sweep.lap_due, NO_BASE);
            self.sweep_from(0);
        } else if self.due(page) > self.time.tick() {
            self.sweep_past(page);
        } else if u32::from(self.sweep.slot) >= self.slab.page_touched(page) {
            // The page may have changed hands under the walk: its own base holds for what came since.
            let base = self.slab.base(page).max(self.sweep.next_due);
            self.slab.set_base(page, base);
            self.sweep_past(page);
        } else {
            let id = self.slab.slot(page, u32::from(self.sweep.slot));
            self.sweep.slot += 1;
            self.sweep_slot(id);
        }
    }

    fn sweep_past(&mut self, page: Page) {
        self.sweep.lap_due = self.sweep.lap_due.min(self.due(page));
        self.sweep_from(page.0 + 1);
    }

    fn sweep_from(&mut self, page: u16) {
        self.sweep = Sweep {
            page,
            slot: 0,
            next_due: NO_BASE,
            ..self.sweep
        };
    }

    /// Whether anything may have expired.
    #[inline]
    pub(crate) fn any_due(&self) -> bool {
        self.ttl_items > 0 && self.sweep.due <= self.time.tick()
    }

    /// A tick before which nothing in a page expires.
    fn due(&self, page: Page) -> u32 {
        let holds = self.slab.is_claimed(page) && self.holds_items(self.slab.page_class(page));
        if holds { self.slab.base(page) } else { NO_BASE }
    }

    fn sweep_slot(&mut self, id: Id) {
        let kind = self.slab.kind(id);
        if !matches!(kind, Kind::Item | Kind::Pinned) {
            return;
        }
        let Some(at) = self.expiry_at(id) else { return };
        if at <= self.time.now() && kind == Kind::Pinned {
            // It goes when it is not pinned any more; the page's base may pass it by until then.
            self.layout.set_expiry(&mut self.slab, id, PAST);
        } else if at <= self.time.now() {
            let hash = self.hash_of(id);
            self.expire(id, hash);
        } else {
            self.sweep.next_due = self.sweep.next_due.min(tick(at));
        }
    }

    // ---- the pages' due ticks --------------------------------------------------------------------

    /// When an item expires, in milliseconds of the cache's time; `None` if it has no expiry.
    #[inline]
    pub(crate) fn expiry_at(&self, id: Id) -> Option<u64> {
        let instant = self.layout.expiry(&self.slab, id)?;
        Some(Time::at(instant, self.slab.base(self.slab.page_of(id))))
    }

    /// An item with an expiry `at` lies in this slot now: its page is due by then.
    pub(crate) fn note_expiry(&mut self, id: Id, at: u64) {
        let page = self.slab.page_of(id);
        if self.time.is_old(self.slab.base(page)) {
            self.renew_base(page);
        }
        let due = tick(at);
        self.slab.set_base(page, self.slab.base(page).min(due));
        self.sweep.due = self.sweep.due.min(due);
        self.sweep.lap_due = self.sweep.lap_due.min(due);
        if self.sweep.page == page.0 {
            self.sweep.next_due = self.sweep.next_due.min(due);
        }
    }

    /// An item that is to have this expiry, if any, is being written in this slot.
    #[inline]
    pub(crate) fn note_new_expiry(&mut self, id: Id, expiry: Option<Instant>) {
        if let Some(instant) = expiry {
            // The page's base may be too old for it yet; now is not.
            self.note_expiry(id, Time::at(instant, self.time.tick()));
        }
    }

    /// Gives an item that has an expiry another one: the page is due by then before the item is.
    pub(crate) fn change_expiry(&mut self, id: Id, expiry: Instant) {
        self.note_new_expiry(id, Some(expiry));
        barrier();
        self.layout.set_expiry(&mut self.slab, id, expiry);
    }

    /// Lets a page's base be now: what has expired would be misread from then on, and is marked before. Once
    /// in 12 days for each page at most. O(slots of the page).
    #[cold]
    fn renew_base(&mut self, page: Page) {
        for slot in 0..self.slab.page_touched(page) {
            let id = self.slab.slot(page, slot);
            let is_item = matches!(self.slab.kind(id), Kind::Item | Kind::Pinned);
            if is_item && self.is_expired(id) {
                self.layout.set_expiry(&mut self.slab, id, PAST);
            }
        }
        let now = self.time.tick();
        barrier();
        self.slab.set_base(page, now);
        if self.sweep.page == page.0 {
            self.sweep.next_due = self.sweep.next_due.max(now);
        }
    }

    /// Whether the page's base lies before an item's expiry, and near enough; and what is due anywhere before both.
    pub(crate) fn check_expiry(&self, id: Id) -> bool {
        let Some(at) = self.expiry_at(id) else {
            return true;
        };
        let instant = self.layout.expiry(&self.slab, id);
        let base = self.slab.base(self.slab.page_of(id));
        let is_before =
            at == u64::MAX || instant == Some(PAST) || base <= tick(at) && base != NO_BASE;
        is_before && self.sweep.due <= base
    }

    /// An item that had this expiry in another page is coming here.
    pub(crate) fn expiry_moved(&mut self, to: Id, at: Option<u64>) {
        let Some(at) = at.filter(|&at| at != u64::MAX) else {
            return;
        };
        if at <= self.time.now() {
            self.layout.set_expiry(&mut self.slab, to, PAST);
        }
        self.note_expiry(to, at.max(self.time.now()));
    }
}

#[cfg(test)]
mod tests {
    use crate::{Cache, Config};
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static NOW: AtomicU32 = AtomicU32::new(1_000_000);

    #[repr(align(16))]
    struct Region([u8; 64 << 10]);

    #[test]
    fn the_hand_rests_until_the_first_item_is_due() {
        let mut region = Region([0; 64 << 10]);
        let config = Config::default().clock(|| NOW.load(Relaxed).into());
        let cache = Cache::new(&mut region.0, &config).unwrap();
        let lap = || {
            let steps =
                |shard: &mut crate::shard::Shard| shard.sweep_lap(&mut u32::MAX.clone(), u32::MAX);
            cache.contains(b"the clock is looked at").ok();
            cache.with_shard(0, steps).unwrap()
        };
        assert_eq!(lap(), 0, "nothing has a TTL");
        for n in 0..200_u32 {
            cache.set(&n.to_ne_bytes(), &[1; 64], 600_000).unwrap();
        }
        assert!(lap() > 0, "nobody has looked yet");
        assert_eq!(lap(), 0, "nothing is due for ten minutes");
        cache.set(b"sooner", b"", 5_000).unwrap();
        assert_eq!(lap(), 0, "nothing is due for five seconds");
        NOW.fetch_add(5_000, Relaxed);
        assert!(lap() > 0 && cache.item_count() == 200, "one is due");
        lap();
        assert_eq!(
            lap(),
            0,
            "a lap from the first page on has seen that it is gone"
        );
        NOW.fetch_add(600_000, Relaxed);
        assert!(lap() > 0 && cache.item_count() == 0, "all are due");
    }
}
