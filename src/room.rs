//! Making room: the policy passes items at the tails of the logs.
//!
//! A set of n granules asks for n granules beside a reserve. What is missing is made up in a slice: expired items
//! first, then pages with dead bytes, then the policy's choice. The slice is bounded in proportion to n; the
//! reserve carries the debt over to the next sets.
//!
//! # Invariants
//! 1. A slice evicts at most 3/2 n + 32 granules and an item more (3 n + 32 while a lowered limit is reached), and
//!    copies at most 4 n + 128 and an item more when it cleans (16 n + 512 where items have expired); the policy copies at most as many again.
//!
//! # Not here
//! Copying items out of pages: `clean`. What has expired: `sweep`. Who goes: `evict`. The rules: `policy`.

#![forbid(unsafe_code)]

use crate::item::{Draft, Head, Shape};
use crate::page::{Id, Owner, Page};
use crate::planted;
use crate::progress::Work;
use crate::status::{Error, Result};
use crate::store::Store;

/// Pages of `count` that are kept for relocations: two heads and two tails; one less where there are few.
pub(crate) const fn reserve_pages(count: u32) -> u32 {
    if count < 64 { 3 } else { 4 }
}

/// Items of the longest kind that a cache of so many pages holds at once, so that none drives all others out: two; one
/// where there are few pages.
pub(crate) const fn items_at_once(count: u32) -> u32 {
    if count < 64 { 1 } else { 2 }
}

/// Fewer pages hold nothing: one item between the reserve, the index and the table of what is held.
pub(crate) const PAGES_MIN: u32 = 8;
/// Dead granules with exact LRU, in 1,024ths of all.
const DEAD_SHARE_LRU: u32 = 102;
/// Granules that an item takes more where it lies in two pages.
const SPLIT_GRANULES: u32 = 3;
/// Sweeps of a slice, at most.
const SWEEPS: u32 = 2;
/// Granules that a slice may evict beside those in proportion to what was asked for.
const BOUND_MIN: u32 = 32;
/// Steps that find nothing to do, after which a slice ends.
const IDLE_MAX: u32 = 3;

impl Store {
    /// Granules that items can still take, once the tails and the cleaner are through with their pages.
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

    /// Granules that are to be available beside those asked for.
    #[inline]
    fn reserve(&self) -> u32 {
        let beyond = self.pages.count() - self.pages.limit();
        let kept = reserve_pages(self.pages.count());
        self.pages.granules_of(kept + beyond)
    }

    /// Pages that hold items at most.
    pub(crate) fn item_pages(&self) -> u32 {
        let others = self.index.pages() + u32::from(self.held > 0);
        self.pages.limit().saturating_sub(others)
    }

    /// The most granules of one item. Two heads, and the page of a rest, may be filled in part. Half of the pages are
    /// there whatever the index has; all but a few are what it leaves.
    pub(crate) fn item_granules_max(&self) -> u32 {
        let items = items_at_once(self.pages.count());
        let pages = match items {
            1 => self.item_pages(),
            _ => self.pages.limit(),
        };
        self.pages.granules_of(pages.saturating_sub(3)) / items
    }

    /// The most granules of two items of which one stays where it is while the other comes: both begin and end in pages
    /// that they share, and the logs have their heads.
    pub(crate) fn pair_granules_max(&self) -> u32 {
        self.pages.granules_of(self.item_pages().saturating_sub(6))
    }

    // ---- appending -----------------------------------------------------------------------------

    /// Appends an item, after making room for it.
    pub(crate) fn append_with_room(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        self.make_room(shape.granules().saturating_add(self.chain_granules(shape)));
        self.append_somehow(owner, shape, draft)
    }

    /// Appends an item for which room was made, as far as a slice allowed.
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

    /// Cleans and evicts until pages are free for an item, whatever it takes.
    #[cold]
    fn append_by_force(
        &mut self,
        owner: Owner,
        shape: &Shape,
        draft: &Draft<'_>,
    ) -> Result<(Id, Head)> {
        let mut cleanings = self.pages.granules();
        loop {
            // The last items may have gone because they had expired: nothing more to gain, and room all the same.
            let gained = self.gain_by_force(&mut cleanings);
            if let Some(item) = self.append_item(owner, shape, draft) {
                return Ok(item);
            }
            if !gained {
                return Err(Error::NoMemory);
            }
        }
    }

    /// Makes room for so many granules without evicting; whether there is.
    pub(crate) fn clean_for(&mut self, granules: u32) -> bool {
        self.room.work = Work::for_granules(granules);
        let wanted = self.reserve().saturating_add(granules);
        while self.available() < wanted
            && (self.sweep_before_eviction() || self.may_work() && self.clean_step())
        {}
        let fits = !self.policy.is_lru() || self.live() + granules <= self.live_max_lru();
        fits && self.available() >= wanted && self.pages.excess() == 0
    }

    /// A page for other uses than items'.
    pub(crate) fn take_page(&mut self, owner: Owner) -> Option<Page> {
        self.make_room(self.pages.granules());
        let mut cleanings = self.pages.granules();
        while self.pages.available() == 0 && self.gain_by_force(&mut cleanings) {}
        self.pages.take(owner)
    }

    /// A page is cleaned a step further, or an item goes whatever its uses; `false` where nothing can go.
    pub(crate) fn gain_by_force(&mut self, cleanings: &mut u32) -> bool {
        self.room.work = Work::FORCED;
        if *cleanings > 0 && self.dead() > self.pages.granules() && self.clean_step() {
            *cleanings -= 1;
            return true;
        }
        // What goes may lie anywhere: its bytes come back by cleaning.
        *cleanings += self.pages.granules() / 8;
        self.evict_some() || self.evict_from_heads()
    }

    // ---- a slice -------------------------------------------------------------------------------

    /// Makes room for so many granules, as far as a slice allows.
    #[cfg_attr(not(feature = "small"), inline)]
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

    /// Granules that may live with exact LRU: its dead bytes lie anywhere, so some of them wait to be cleaned.
    fn live_max_lru(&self) -> u32 {
        let all = self
            .item_pages()
            .saturating_sub(reserve_pages(self.pages.count()));
        let all = self.pages.granules_of(all);
        all - (all >> 10) * DEAD_SHARE_LRU
    }

    /// As [`Store::make_room`], where `wanted` granules are to be available and fewer are, or a lowered limit is
    /// reached. Usage never rises then, and what the policy keeps is not copied: a copy may take a little more than the
    /// item did.
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
                return;
            }
        }
    }

    /// Granules that a slice may evict.
    #[inline]
    fn bound(&self, shrinks: bool) -> u32 {
        let need = self.room.work.need;
        let share = if shrinks { need * 3 } else { need + need / 2 };
        share + BOUND_MIN
    }

    /// The same with exact LRU: the oldest items go until few enough live that some of the dead bytes can wait.
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

    /// Whether items may still be copied for their page: four times what was asked for, and where items have expired
    /// sixteen times.
    fn may_work(&self) -> bool {
        let work = &self.room.work;
        let most = match self.room.cleaner.is_owed() {
            false => work.need * 4 + 128,
            true => work.need * 16 + 512,
        };
        work.steps > 0 && work.copied < most
    }

    /// Whether a sweep took items out instead.
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

    /// Whether a page may be cleaned before an item goes, where so many granules are available.
    #[inline]
    fn cleans_now(&self, available: u32) -> bool {
        self.cleans_first(available) && self.may_work()
    }

    /// Whether dead bytes are to be given back before an item goes: not where more lives than a lowered limit holds.
    #[inline]
    fn cleans_first(&self, available: u32) -> bool {
        if self.pages.excess() > 0 {
            let kept = reserve_pages(self.pages.count());
            let most = self.item_pages().saturating_sub(kept);
            return self.live() <= self.pages.granules_of(most);
        }
        self.wants_cleaning(available) || self.room.cleaner.is_wanted(&self.pages)
    }

    /// Gives back what lies above a lowered limit, in a slice of so many steps; `cleans`: by copying, too, where that
    /// gives pages back. Returns the steps made.
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
