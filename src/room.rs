//! Making room for new items: a slice of sweeping, cleaning and evicting before each append.
//!
//! A set of n granules needs n granules beside a reserve. If granules are missing, a slice makes them available:
//! expired items first, then pages with dead bytes, then the policy's choice. The slice is bounded in proportion to
//! n. If it is too short, the reserve covers the rest and later sets refill the reserve.
//!
//! # Invariants
//! 1. A slice evicts at most 3/2 n + 32 granules and one item (3 n + 32 while a lowered limit is reached).
//! 2. Cleaning in a slice copies at most 4 n + 128 granules and one item (16 n + 512 if items have expired). The
//!    policy copies at most as many again.
//!
//! # Not here
//! Copying items out of pages: `clean`. Expired items: `sweep`. Choosing evicted items: `evict`, `policy`.

#![forbid(unsafe_code)]

use crate::item::{Draft, Head, Shape};
use crate::page::{Id, Owner, Page};
use crate::planted;
use crate::progress::Work;
use crate::status::{Error, Result};
use crate::store::Store;

/// Pages, of `count`, in reserve for relocations: two heads and two tails; one less below 64 pages.
pub(crate) const fn reserve_pages(count: u32) -> u32 {
    if count < 64 { 3 } else { 4 }
}

/// The number of longest items that a cache of `count` pages holds at once. With two, a longest item does not evict
/// all others. Below 64 pages it is one.
pub(crate) const fn items_at_once(count: u32) -> u32 {
    if count < 64 { 1 } else { 2 }
}

/// The minimum number of pages: for one item, the reserve, the index and the table of pins.
pub(crate) const PAGES_MIN: u32 = 8;
/// Dead granules that exact LRU allows, in 1,024ths of all.
const DEAD_SHARE_LRU: u32 = 102;
/// Additional granules of an item that is split over two pages.
const SPLIT_GRANULES: u32 = 3;
/// The maximum number of sweeps of a slice.
const SWEEPS: u32 = 2;
/// Granules that a slice may evict in addition to the part proportional to the need.
const BOUND_MIN: u32 = 32;
/// A slice ends after this number of successive steps without progress.
const IDLE_MAX: u32 = 3;

impl Store {
    /// Granules that items can still take, when the pages of the tails and of the cleaner are released.
    #[inline]
    pub(crate) fn available(&self) -> u32 {
        let pages = &self.pages;
        pages.granules_of(pages.free_count())
            + self.logs.window.room()
            + self.logs.main.room()
            + self.logs.window.passed()
            + self.logs.main.passed()
            + self.room.cleaner.passed(pages)
    }

    /// Granules that must be available beside those needed.
    #[inline]
    fn reserve(&self) -> u32 {
        let beyond = self.pages.count() - self.pages.limit();
        let kept = reserve_pages(self.pages.count());
        self.pages.granules_of(kept + beyond)
    }

    /// The maximum number of pages for items.
    pub(crate) fn item_pages(&self) -> u32 {
        let others = self.index.pages() + u32::from(self.held > 0);
        self.pages.limit().saturating_sub(others)
    }

    /// The maximum number of granules of one item. Two heads and the page of a rest may be partly full, so three pages
    /// do not count. The index always leaves half of the pages free; for a longer item its pages are subtracted.
    pub(crate) fn item_granules_max(&self) -> u32 {
        let items = items_at_once(self.pages.count());
        let pages = match items {
            1 => self.item_pages(),
            _ => self.pages.limit(),
        };
        self.pages.granules_of(pages.saturating_sub(3)) / items
    }

    /// The maximum number of granules of two items, of which one stays while the other is appended. Six pages do not
    /// count: both items begin and end in shared pages, and the logs have heads.
    pub(crate) fn pair_granules_max(&self) -> u32 {
        self.pages.granules_of(self.item_pages().saturating_sub(6))
    }

    // ---- appending -----------------------------------------------------------------------------

    /// Makes room for an item and appends it.
    pub(crate) fn append_with_room(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        self.make_room(shape.granules().saturating_add(self.chain_granules(shape)));
        self.append_somehow(owner, shape, draft)
    }

    /// Appends an item after a slice made room. If the slice was not enough, makes room without a bound.
    pub(crate) fn append_somehow(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        match self.append_item(owner, shape, draft) {
            Some(item) => Ok(item),
            None if planted::is("NoMemory when full") => Err(Error::NoMemory),
            None => self.append_by_force(owner, shape, draft),
        }
    }

    #[inline]
    pub(crate) fn chain_granules(&self, shape: &Shape) -> u32 {
        if shape.chain == 0 {
            0
        } else {
            self.pages.granules_of(shape.chain)
        }
    }

    /// Cleans and evicts until pages are available for an item. The work has no bound.
    #[cold]
    fn append_by_force(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        let mut cleanings = self.pages.granules();
        loop {
            // Nothing gained may still leave room: the last items had expired and were removed.
            let gained = self.gain_by_force(&mut cleanings);
            if let Some(item) = self.append_item(owner, shape, draft) {
                return Ok(item);
            }
            if !gained {
                return Err(Error::NoMemory);
            }
        }
    }

    /// Makes room for `granules` without evicting. Returns whether there is enough room.
    pub(crate) fn clean_for(&mut self, granules: u32) -> bool {
        self.room.work = Work::for_granules(granules);
        let wanted = self.reserve().saturating_add(granules);
        while self.available() < wanted
            && (self.sweep_before_eviction() || self.may_work() && self.clean_step())
        {}
        let fits = !self.policy.is_lru() || self.live() + granules <= self.live_max_lru();
        fits && self.available() >= wanted && self.pages.excess() == 0
    }

    /// Acquires a page that is not for items, and makes room for it.
    pub(crate) fn take_page(&mut self, owner: Owner) -> Option<Page> {
        self.make_room(self.pages.granules());
        let mut cleanings = self.pages.granules();
        while self.pages.available() == 0 && self.gain_by_force(&mut cleanings) {}
        self.pages.take(owner)
    }

    /// Makes a step of cleaning, or evicts an item regardless of its uses. `false` if nothing can be evicted.
    pub(crate) fn gain_by_force(&mut self, cleanings: &mut u32) -> bool {
        self.room.work = Work::FORCED;
        if *cleanings > 0 && self.dead() > self.pages.granules() && self.clean_step() {
            *cleanings -= 1;
            return true;
        }
        // The evicted item may be in any page, so its bytes become available by cleaning.
        *cleanings += self.pages.granules() / 8;
        self.evict_some() || self.evict_from_heads()
    }

    // ---- a slice -------------------------------------------------------------------------------

    /// Makes room for `granules`, within the bounds of a slice.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn make_room(&mut self, granules: u32) {
        let available = self.available();
        let wanted = self.reserve().saturating_add(granules);
        if self.policy.is_lru() {
            self.make_room_lru(granules, wanted);
        } else if available < wanted || self.pages.excess() > 0 {
            self.make_room_slice(granules, available, wanted);
        }
    }

    /// The maximum number of live granules with exact LRU. Its dead bytes are in all pages, so a share of them waits
    /// for cleaning.
    fn live_max_lru(&self) -> u32 {
        let all = self
            .item_pages()
            .saturating_sub(reserve_pages(self.pages.count()));
        let all = self.pages.granules_of(all);
        all - (all >> 10) * DEAD_SHARE_LRU
    }

    /// As [`Store::make_room`], if fewer than `wanted` granules are available, or usage is above a lowered limit.
    /// Above a lowered limit usage never rises, so the policy copies no item: a copy may be larger than the item.
    #[inline(never)]
    fn make_room_slice(&mut self, granules: u32, mut available: u32, wanted: u32) {
        if planted::is("make_room does nothing") {
            return;
        }
        let shrinks = self.pages.excess() > 0;
        self.room.full = true;
        self.room.work = Work::for_granules(granules);
        let (bound, live_max) = if shrinks {
            self.room.work.copied_max = 0;
            let live_max = self.live().saturating_sub(granules + SPLIT_GRANULES);
            (self.bound(true), live_max)
        } else {
            (self.bound(false), u32::MAX)
        };
        let goal = wanted.min(available.saturating_add(bound));
        let live_least = self.live().saturating_sub(bound);
        let (mut idle, mut sweeps) = (0, SWEEPS);
        loop {
            let worked = self.cleans_now(available) && self.clean_step()
                || self.sweeps_first(&mut sweeps)
                || self.evict_a_step();
            idle = if worked { 0 } else { idle + 1 };
            available = self.available();
            let reached = available >= goal && self.live() <= live_max;
            let gone = self.live() <= live_least || self.room.work.steps == 0;
            if reached || gone || idle == IDLE_MAX {
                break;
            }
        }
        if shrinks && self.live() > live_max {
            self.insist(live_max);
        }
    }

    /// Evicts on where dead runs took all the steps of a slice: above a lowered limit usage does not rise. For each
    /// item that goes, the search passes the dead runs of a page, each of them once.
    #[cold]
    fn insist(&mut self, live_max: u32) {
        self.room.work = Work::FORCED;
        while self.live() > live_max && self.evict_some() {}
    }

    /// The maximum number of granules that a slice evicts.
    #[inline]
    fn bound(&self, shrinks: bool) -> u32 {
        let need = self.room.work.need;
        let share = if shrinks { need * 3 } else { need + need / 2 };
        share + BOUND_MIN
    }

    /// As [`Store::make_room`], with exact LRU: evicts the oldest items until at most `live_max_lru` granules are
    /// live. Then cleans.
    #[cold]
    fn make_room_lru(&mut self, granules: u32, wanted: u32) {
        let shrinks = self.pages.excess() > 0;
        let mut live_max = self.live_max_lru();
        if self.available() >= wanted
            && !shrinks
            && self.live().saturating_add(granules) <= live_max
        {
            return;
        }
        self.room.full = true;
        self.room.work = Work::for_granules(granules);
        let bound = self.bound(shrinks);
        let goal = wanted.min(self.available().saturating_add(bound));
        let live_least = self.live().saturating_sub(bound);
        live_max = live_max.saturating_sub(granules);
        if shrinks {
            live_max = live_max.min(self.live().saturating_sub(granules + SPLIT_GRANULES));
        }
        self.sweep_before_eviction();
        while self.live() > live_max.max(live_least) && self.evict_oldest() {}
        while self.available() < goal && self.may_work() && self.clean_step() {}
    }

    /// Whether cleaning may copy more items. The bound is four times the need, or sixteen times if items have expired.
    fn may_work(&self) -> bool {
        let work = &self.room.work;
        let most = match self.room.cleaner.is_owed() {
            false => work.need * 4 + 128,
            true => work.need * 16 + 512,
        };
        work.steps > 0 && work.copied < most
    }

    /// Sweeps, at most `SWEEPS` times a slice. Returns whether the sweep removed items.
    fn sweeps_first(&mut self, sweeps: &mut u32) -> bool {
        *sweeps > 0 && {
            *sweeps -= 1;
            self.sweep_before_eviction()
        }
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn evict_a_step(&mut self) -> bool {
        self.room.work.steps = self.room.work.steps.saturating_sub(1);
        self.evict_one()
    }

    /// Whether the slice cleans before it evicts, and may still clean.
    #[inline]
    fn cleans_now(&self, available: u32) -> bool {
        self.cleans_first(available) && self.may_work()
    }

    /// Whether cleaning has priority over evicting. Not if the live items alone are above a lowered limit.
    #[inline]
    fn cleans_first(&self, available: u32) -> bool {
        if self.pages.excess() > 0 {
            let kept = reserve_pages(self.pages.count());
            let most = self.item_pages().saturating_sub(kept);
            return self.live() <= self.pages.granules_of(most);
        }
        self.wants_cleaning(available) || self.room.cleaner.is_wanted(&self.pages)
    }

    /// Releases pages above a lowered limit, in at most `steps` steps. With `cleans`, also copies items if that
    /// releases pages. Returns the steps made.
    pub(crate) fn shrink(&mut self, steps: u32, cleans: bool) -> u32 {
        self.room.work = Work::FORCED;
        let mut left = steps;
        while left > 0 && self.pages.excess() > 0 {
            let gained = cleans && self.cleans_first(self.available()) && self.clean_step();
            if !(gained || self.evict_some() || self.evict_from_heads()) {
                break;
            }
            left -= 1;
        }
        steps - left
    }
}
