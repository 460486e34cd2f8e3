//! Making room: slots for whoever asks, by eviction, and pages from the class that needs them least.
//!
//! Who needs a slot and finds none free evicts from its own class, so that a steady workload moves
//! no page; before it evicts, it lets the sweep look for something that has expired. Pages follow what
//! they are worth to the classes ([`Policy::worth`](crate::policy::Policy::worth)): a class to which
//! one is worth much more than to another takes the free page kept in reserve, and the class to which
//! it is worth least gives one up for it. A page is emptied in slices, some slots with each set: its
//! items are evicted in the policy's order, and those that the policy keeps move into the slots of the
//! evicted ones.
//!
//! # Time
//! One set evicts what it needs, and does at most [`DRAIN_STEPS_MAX`] steps of emptying and
//! [`SHRINK_STEPS`] evictions towards a lowered limit. A whole page is emptied at once only where a
//! class without any item finds no free page.

#![forbid(unsafe_code)]

use crate::item::Items;
use crate::policy::Worth;
use crate::shard::Shard;
use crate::slab::{Class, Id, Kind, Page, Slab};

/// Items that one call evicts at most because the limit was lowered.
pub(crate) const SHRINK_STEPS: u32 = 8;
/// Slots that one set empties of a page: at least, and at most.
const DRAIN_STEPS: u32 = 8;
const DRAIN_STEPS_MAX: u32 = 64;
/// A class that has found itself no younger than the others compares again after so many evictions.
const COMPARE_EVERY: u64 = 16;

/// A page that is being emptied, and the next slot to look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    pub(crate) page: Page,
    slot: u16,
    /// Whether items are evicted for it, or all of them move.
    evicts: bool,
    /// Slots of so many classes above the page's own are good enough, too.
    classes_above: u8,
}

/// What became of a page that is being emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// There is more in it.
    NotYet,
    /// It is free.
    Free,
    /// It holds what cannot be moved or evicted now; it serves its class again.
    Refused,
}

impl Shard {
    /// A slot of this class, whatever has to go for it; `None` where nothing is left to go.
    #[inline]
    pub(crate) fn take_slot(&mut self, class: Class) -> Option<Id> {
        let keep = if self.holds_items(class) {
            self.reserve
        } else {
            0
        };
        match self.slab.alloc(class, keep) {
            Some(id) => Some(id),
            None => self.make_slot(class),
        }
    }

    fn make_slot(&mut self, class: Class) -> Option<Id> {
        loop {
            if !self.slab.fits(class) {
                if !self.sweep_until(|shard| shard.slab.fits(class)) {
                    self.evict_least()?;
                }
                continue;
            }
            let keep = if self.may_take_reserve(class) {
                0
            } else {
                self.reserve
            };
            if let Some(id) = self.slab.alloc(class, keep) {
                return Some(id);
            }
            let pages = self.slab.pages_free();
            if self.sweep_until(|s| s.slab.has_open_slot(class) || s.slab.pages_free() > pages) {
                continue;
            }
            if self.holds_items(class) && self.evict_from(class).is_some() {
                continue;
            }
            if self.slab.pages_free() == 0 && !self.empty_some_page() {
                return None;
            }
            if let Some(id) = self.slab.alloc(class, 0) {
                return Some(id);
            }
        }
    }

    /// Evicts the item that this class can spare best.
    fn evict_from(&mut self, class: Class) -> Option<()> {
        let (layout, time) = (self.layout, self.time);
        let expired = |slab: &Slab, id| {
            let instant = layout.expiry(slab, id);
            instant.is_some_and(|e| time.is_past(e, slab.base(slab.page_of(id))))
        };
        let id = self.policy.victim(&mut self.slab, class, expired)?;
        self.evict(id);
        Some(())
    }

    /// Evicts from the class that can spare a page best, or else from any that has an item.
    pub(crate) fn evict_least(&mut self) -> Option<()> {
        let class = self.least_class()?;
        self.evict_from(class)
            .or_else(|| (0..self.slab.item_class_count()).find_map(|c| self.evict_from(Class(c))))
    }

    /// Throws an item out, or counts it as expired where it is.
    pub(crate) fn evict(&mut self, id: Id) {
        let hash = self.hash_of(id);
        if self.is_expired(id) {
            self.expire(id, hash);
            return;
        }
        self.counters.evictions += 1;
        self.slab.count_eviction(self.slab.class_of(id));
        self.counters.evicted_bytes += self.layout.payload(&self.slab, id) as u64;
        self.remove(id, hash);
        self.index.add_ghost(&mut self.slab, hash);
    }

    // ---- whose page ----------------------------------------------------------------------------

    /// The item class that can spare a page best. O(classes).
    fn least_class(&self) -> Option<Class> {
        (0..self.slab.item_class_count())
            .map(Class)
            .filter_map(|class| Some((self.policy.worth(&self.slab, class)?, class)))
            .min_by_key(|&(worth, _)| worth)
            .map(|(_, class)| class)
    }

    /// Whether a class takes the page in reserve, or the next one to be emptied, rather than evict
    /// items of its own. Asked when it is out of slots.
    fn may_take_reserve(&mut self, class: Class) -> bool {
        if !self.holds_items(class) || self.slab.class_used(class) == 0 {
            return true;
        }
        let gone = self.counters.evictions + self.counters.expirations;
        if gone < self.compare_at {
            return false;
        }
        let worth = |class| self.policy.worth(&self.slab, class).unwrap_or(Worth::NEW);
        let Some(least) = self.least_class().filter(|&least| least != class) else {
            return false;
        };
        if !self.policy.may_take(worth(class), worth(least)) {
            self.compare_at = gone + COMPARE_EVERY;
            return false;
        }
        if self.slab.pages_free() == 0 && self.drain.is_none() {
            self.start_drain();
        }
        true
    }

    /// Starts emptying the page that is needed least: one of a class that has slots to spare, or else
    /// of the item class that can spare one best. O(classes).
    fn start_drain(&mut self) {
        let page = self.spare_page().or_else(|| {
            let least = self.least_class()?;
            self.policy.page_to_empty(&self.slab, least)
        });
        if let Some(page) = page {
            self.start_drain_of(page);
        }
    }

    /// A page with free slots of a class that has two pages' worth of them.
    fn spare_page(&self) -> Option<Page> {
        (0..self.slab.class_count())
            .map(Class)
            .find(|&class| {
                self.slab.free_slots(class) >= 2 * self.slab.slots_per_page(class).max(1)
            })
            .and_then(|class| self.slab.open_page_of(class))
    }

    fn start_drain_of(&mut self, page: Page) {
        self.slab.start_drain(page);
        self.drain = Some(Drain {
            page,
            slot: 0,
            evicts: true,
            classes_above: 0,
        });
    }

    /// Starts emptying a page into its own class's slots and those of a few classes above; nothing is
    /// evicted for it.
    pub(crate) fn start_drain_into(&mut self, page: Page, classes_above: u8) {
        self.slab.start_drain(page);
        self.drain = Some(Drain {
            page,
            slot: 0,
            evicts: false,
            classes_above,
        });
    }

    /// Whether anything is under way that every set does a slice of.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.slab.ceiling() > self.limit
            || self.drain.is_some()
            || self.slab.pages_free() < self.reserve
    }

    /// What every set does before its own work: a slice of what is under way, in proportion to the
    /// `slots` of this class that the set is going to need.
    #[inline]
    pub(crate) fn work_ahead(&mut self, class: Class, slots: u32) {
        if self.slab.ceiling() > self.limit {
            // It leaves room enough: no page has to be emptied meanwhile.
            self.shrink(SHRINK_STEPS);
        } else if self.drain.is_some() || self.slab.pages_free() < self.reserve {
            self.refill_reserve(class, slots);
        }
    }

    #[cold]
    fn refill_reserve(&mut self, class: Class, slots: u32) {
        if self.drain.is_none() {
            self.start_drain();
        }
        let Some(drain) = self.drain else { return };
        let draining = self.slab.page_class(drain.page);
        let mine = self.slab.slots_per_page(class).max(1);
        // A step evicts or moves, and a set may need more slots than one.
        let share = 4 * self.slab.slots_per_page(draining) * slots / mine;
        // To move a segment is to write it anew.
        let least = if self.holds_items(draining) {
            DRAIN_STEPS
        } else {
            1
        };
        let most = if self.holds_items(draining) {
            DRAIN_STEPS_MAX
        } else {
            2
        };
        self.drain_some(share.clamp(least, most));
    }

    /// Evicts towards a lowered limit.
    #[cold]
    pub(crate) fn shrink(&mut self, steps: u32) {
        if steps > 0 && self.slab.usage() > self.limit {
            self.sweep_until(|shard| shard.slab.usage() <= shard.limit);
        }
        for _ in 0..steps {
            if self.slab.usage() <= self.limit || self.evict_least().is_none() {
                break;
            }
        }
        self.slab.set_ceiling(self.slab.usage().max(self.limit));
    }

    /// Sets the limit; what lies above it goes in slices.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.slab.set_ceiling(self.slab.usage().max(limit));
        self.shrink(SHRINK_STEPS);
    }

    // ---- emptying a page -----------------------------------------------------------------------

    /// Empties pages until one is free, of the class that can spare one best, or else of any that has one
    /// to give.
    fn empty_some_page(&mut self) -> bool {
        if self.drain.is_some() && self.drain_some(u32::MAX) == Drained::Free {
            return true;
        }
        let least = self.least_class();
        least.is_some_and(|class| self.empty_page_of(class))
            || (0..self.slab.item_class_count()).any(|class| self.empty_page_of(Class(class)))
    }

    /// Empties the page that the class can spare best; the next ones where that holds a slot which
    /// is just being filled.
    fn empty_page_of(&mut self, class: Class) -> bool {
        let Some(mut page) = self.policy.page_to_empty(&self.slab, class) else {
            return false;
        };
        for _ in 0..self.slab.class_pages(class) {
            let next = self.slab.next_page(page);
            self.start_drain_of(page);
            if self.drain_some(u32::MAX) == Drained::Free || self.slab.pages_free() > 0 {
                return true;
            }
            page = next;
        }
        false
    }

    /// Goes on emptying the page that is under way, at most `steps` slots of it.
    pub(crate) fn drain_some(&mut self, steps: u32) -> Drained {
        let Some(mut drain) = self.drain else {
            return Drained::Free;
        };
        for _ in 0..steps {
            if !self.slab.is_draining(drain.page) {
                self.drain = None;
                return Drained::Free;
            }
            if u32::from(drain.slot) >= self.slab.page_touched(drain.page)
                || !self.drain_slot(&mut drain)
            {
                self.slab.stop_drain(drain.page);
                self.drain = None;
                return Drained::Refused;
            }
        }
        if self.slab.is_draining(drain.page) {
            self.drain = Some(drain);
            return Drained::NotYet;
        }
        self.drain = None;
        Drained::Free
    }

    /// One step on the slot at hand: skip it, move it, or evict somebody so that it can move.
    fn drain_slot(&mut self, drain: &mut Drain) -> bool {
        let id = self.slab.slot(drain.page, u32::from(drain.slot));
        if self.slab.kind(id) == Kind::Free {
            drain.slot += 1;
            return true;
        }
        if self.slab.kind(id) == Kind::Item && self.is_expired(id) {
            self.evict(id);
            return true;
        }
        let class = self.slab.page_class(drain.page);
        let place = self.slab.alloc_to_move(class).or_else(|| {
            (1..=drain.classes_above).find_map(|above| self.slab.alloc_open(Class(class.0 + above)))
        });
        if let Some(to) = place {
            drain.slot += 1;
            return self.move_slot(id, to);
        }
        match self.slab.kind(id) {
            Kind::Item | Kind::Link if !drain.evicts => false,
            Kind::Item | Kind::Link => {
                self.sweep_until(|shard| shard.slab.has_open_slot(class))
                    || self.evict_from(class).is_some()
            }
            _ => false,
        }
    }

    /// Moves whatever lies in a slot to another one, of its class or of a larger one, which is given
    /// back where that cannot be done.
    fn move_slot(&mut self, from: Id, to: Id) -> bool {
        let (old, new) = (self.slab.class_of(from), self.slab.class_of(to));
        let live = if old == new {
            0
        } else {
            self.layout.live_in(&self.slab, from) as i64
        };
        match self.slab.kind(from) {
            Kind::Item => {
                let (hash, at) = (self.hash_of(from), self.expiry_at(from));
                self.slab.copy_slot(from, to);
                self.expiry_moved(to, at);
                self.index.replace(&mut self.slab, hash, from, to);
                self.policy.moved(&mut self.slab, old, to);
                self.layout.head_moved(&mut self.slab, to);
                self.slab.free(from);
            }
            Kind::Link if Items::head_of(&self.slab, from).is_some() => {
                self.slab.copy_slot(from, to);
                self.layout.part_moved(&mut self.slab, from, to);
                self.slab.free(from);
            }
            _ => {
                let moved =
                    self.with_index(|index, slab, rehash| index.relocate(slab, from, to, rehash));
                if !moved {
                    self.slab.free(to);
                    return false;
                }
            }
        }
        self.slab.add_live(old, -live);
        self.slab.add_live(new, live);
        self.counters.items_moved += 1;
        true
    }
}
