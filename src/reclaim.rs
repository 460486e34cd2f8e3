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
//! [`SHRINK_STEPS`] evictions towards a lowered limit. A class without any item that finds no free page,
//! and none that holds little, lodges in a larger one meanwhile; a whole page is emptied at once only where no larger class has an
//! item either. A segment of the index waits for its page.

#![forbid(unsafe_code)]

use crate::item::Items;
use crate::policy::Worth;
use crate::shard::Shard;
use crate::slab::{Class, Id, Kind, Page, Slab};

/// Items that one call evicts at most because the limit was lowered.
pub(crate) const SHRINK_STEPS: u32 = 8;
/// Slots that one set empties of a page: at least, and at most.
const DRAIN_STEPS: u32 = 8;
const DRAIN_STEPS_MAX: u32 = 24;
/// Classes are compared again after so many evictions for each item that there is, but at least and at
/// most after so many.
const COMPARE_SHARE: u32 = 256;
const COMPARE_MIN: u32 = 16;
const COMPARE_MAX: u32 = 512;

/// Whether a count that wraps has not come to `at` yet.
#[cfg_attr(not(feature = "small"), inline(always))]
fn is_before(count: u32, at: u32) -> bool {
    (count.wrapping_sub(at) as i32) < 0
}

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

/// What an eviction brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evicted {
    /// A slot of the class that was asked for, of kind pending.
    Slot(Id),
    /// Some slots are free now.
    Item,
    /// There is nobody to evict.
    Nothing,
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
    /// A slot of this class, or where the class has none of a larger one, whatever has to go for it; and
    /// its class. `None` where nothing is left to go.
    #[inline(always)]
    pub(crate) fn take_slot(&mut self, class: Class) -> Option<(Id, Class)> {
        // The steady state: the class evicts an item of its own, and nobody compares. What follows would
        // do the same in more instructions.
        if !cfg!(feature = "small")
            && !self.any_due()
            && self.slab.is_stuck(class, self.kept())
            && self.is_settled(class)
        {
            if let Some((id, word)) = self.policy.usual_victim(&self.slab, class) {
                let bytes = self.layout.plain_payload(word).unwrap_or(0);
                self.hand_over(id, class, word, bytes);
                return Some((id, class));
            }
            if let Evicted::Slot(id) = self.evict_from(class) {
                return Some((id, class));
            }
        }
        let id = self.find_slot(class)?;
        Some((id, self.slab.class_of(id)))
    }

    /// As [`Shard::take_slot`], in any state.
    #[cfg_attr(feature = "small", inline(never))]
    fn find_slot(&mut self, class: Class) -> Option<Id> {
        let keep = if self.holds_items(class) {
            self.kept()
        } else {
            0
        };
        match self.free_slot(class, keep) {
            Some(id) => Some(id),
            None => self.make_slot(class),
        }
    }

    /// A slot that is free already.
    fn free_slot(&mut self, class: Class, keep: u32) -> Option<Id> {
        let id = self.slab.alloc(class, keep)?;
        self.policy.not_a_victims();
        Some(id)
    }

    /// Items that went so far without being deleted; it wraps.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn gone(&self) -> u32 {
        (self.counters.evictions as u32).wrapping_add(self.counters.expirations as u32)
    }

    /// Whether the class does not compare itself with others yet.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn is_settled(&self, class: Class) -> bool {
        self.holds_items(class)
            && is_before(self.gone(), self.compare_at)
            && self.slab.class_used(class) > 0
    }

    fn make_slot(&mut self, class: Class) -> Option<Id> {
        let mut in_vain = 0;
        loop {
            let has_open = self.slab.has_open_slot(class);
            let grows = !has_open && self.may_take_reserve(class);
            if !self.slab.fits(class) && (has_open || grows && self.slab.pages_free() > 0) {
                if !self.sweep_until(|shard| shard.slab.fits(class)) {
                    self.evict_least()?;
                }
                continue;
            }
            let keep = if grows { 0 } else { self.kept() };
            if let Some(id) = self.free_slot(class, keep) {
                return Some(id);
            }
            let pages = self.slab.pages_free();
            if self.sweep_until(|s| s.slab.has_open_slot(class) || s.slab.pages_free() > pages) {
                continue;
            }
            if self.holds_items(class) {
                match self.evict_from(class) {
                    Evicted::Slot(id) => return Some(id),
                    Evicted::Item => {
                        in_vain += 1;
                        if in_vain >= SHRINK_STEPS {
                            self.keep_page(class);
                        }
                        continue;
                    }
                    Evicted::Nothing => {}
                }
            }
            if !self.slab.fits(class) {
                self.evict_least()?;
                continue;
            }
            if self.slab.pages_free() == 0
                && self.is_long_to_empty()
                && let Some(id) = self.lodge(class)
            {
                return Some(id);
            }
            if self.slab.pages_free() == 0 && !self.empty_some_page() {
                return None;
            }
            if let Some(id) = self.free_slot(class, 0) {
                return Some(id);
            }
        }
    }

    /// What the class evicts lies in the page that is being emptied, for longer than one call can wait: it
    /// keeps the page.
    #[cold]
    fn keep_page(&mut self, class: Class) {
        if let Some(drain) = self.drain
            && self.slab.page_class(drain.page) == class
        {
            self.slab.stop_drain(drain.page);
            self.drain = None;
        }
    }

    /// A slot for a segment of the index, if a few evictions make room for it. No page is emptied for it
    /// at once: the segment waits, and the next free page is its.
    pub(crate) fn segment_slot(&mut self, class: Class) -> Option<Id> {
        for _ in 0..=SHRINK_STEPS {
            if let Some(id) = self.slab.alloc(class, 0) {
                self.split_waits = false;
                return Some(id);
            }
            if self.slab.fits(class) {
                self.split_waits = true;
                if self.drain.is_none() {
                    self.start_drain();
                }
                return None;
            }
            self.evict_least()?;
        }
        None
    }

    /// Free pages that a class of items leaves to others.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn kept(&self) -> u32 {
        self.reserve + u32::from(self.split_waits)
    }

    /// Whether the page that can be spared best holds more than one call empties.
    fn is_long_to_empty(&mut self) -> bool {
        let page = match (self.drain, self.least_class()) {
            (Some(drain), _) => Some(drain.page),
            (None, Some(least)) => self.policy.page_to_empty(&self.slab, least),
            (None, None) => None,
        };
        page.is_none_or(|page| self.slab.page_used(page) > DRAIN_STEPS_MAX)
    }

    /// A slot of a larger class, for a class that has no item and finds no page: a page is emptied for it
    /// in slices meanwhile. O(classes).
    #[cfg_attr(feature = "small", inline(never))]
    fn lodge(&mut self, class: Class) -> Option<Id> {
        if !self.holds_items(class) {
            return None;
        }
        if self.drain.is_none() {
            self.start_drain();
        }
        for larger in (class.0 + 1..self.slab.item_class_count()).map(Class) {
            if self.slab.class_used(larger) == 0 {
                continue;
            }
            let slot = match self.evict_from(larger) {
                Evicted::Slot(id) => Some(id),
                Evicted::Item => self.free_slot(larger, self.kept()),
                Evicted::Nothing => None,
            };
            if slot.is_some() {
                return slot;
            }
        }
        None
    }

    /// Evicts the item that this class can spare best. Its slot is handed over, not freed, where it is
    /// of the class and the value in one piece.
    fn evict_from(&mut self, class: Class) -> Evicted {
        let (layout, time) = (self.layout, self.time);
        let expired = |slab: &Slab, id| {
            let instant = layout.expiry(slab, id);
            instant.is_some_and(|e| time.is_past(e, slab.base(slab.page_of(id))))
        };
        let Some(id) = self.policy.victim(&mut self.slab, class, expired) else {
            return Evicted::Nothing;
        };
        let word = self.slab.word(id, 0);
        let page = self.slab.page_of(id);
        let stays = self.slab.page_class(page) == class && !self.slab.is_draining(page);
        match layout.plain_payload(word) {
            Some(bytes) if stays && !(Items::word_has_ttl(word) && self.is_expired(id)) => {
                self.hand_over(id, class, word, bytes);
                Evicted::Slot(id)
            }
            _ => {
                self.evict(id);
                Evicted::Item
            }
        }
    }

    /// Evicts an item, and keeps its slot.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn hand_over(&mut self, id: Id, class: Class, word: u32, bytes: usize) {
        let hash = self.hash_of(id);
        self.counters.count_eviction(bytes);
        self.items -= 1;
        self.ttl_items -= u32::from(Items::word_has_ttl(word));
        self.policy.removed(&mut self.slab, id, class);
        let sparse = self.index.evict(&mut self.slab, hash, id);
        self.slab.hand_over(id, class, bytes);
        if sparse {
            self.merge_segments(hash);
        }
    }

    /// Evicts, and gives the slot back.
    fn evict_and_free(&mut self, class: Class) -> Option<()> {
        match self.evict_from(class) {
            Evicted::Slot(id) => {
                self.slab.free(id);
                Some(())
            }
            Evicted::Item => Some(()),
            Evicted::Nothing => None,
        }
    }

    /// Evicts from the class that can spare a page best, or else from any that has an item.
    pub(crate) fn evict_least(&mut self) -> Option<()> {
        let class = self.least_class()?;
        self.evict_and_free(class).or_else(|| {
            (0..self.slab.item_class_count()).find_map(|c| self.evict_and_free(Class(c)))
        })
    }

    /// Throws an item out, or counts it as expired where it is.
    pub(crate) fn evict(&mut self, id: Id) {
        let hash = self.hash_of(id);
        if self.is_expired(id) {
            self.expire(id, hash);
            return;
        }
        self.slab.count_eviction(self.slab.class_of(id));
        self.counters
            .count_eviction(self.layout.payload(&self.slab, id));
        let sparse = self.index.evict(&mut self.slab, hash, id);
        self.drop_item(id);
        if sparse {
            self.merge_segments(hash);
        }
    }

    // ---- whose page ----------------------------------------------------------------------------

    /// The item class that can spare a page best, as of the last few evictions. O(classes).
    fn least_class(&mut self) -> Option<Class> {
        let gone = self.gone();
        if !is_before(gone, self.least_until) || self.slab.class_used(self.least) == 0 {
            self.least = (0..self.slab.item_class_count())
                .map(Class)
                .filter(|&class| self.slab.class_used(class) > 0)
                .filter_map(|class| Some((self.policy.worth(&self.slab, class)?, class)))
                .min_by_key(|&(worth, _)| worth)
                .map(|(_, class)| class)?;
            self.least_until = gone.wrapping_add(self.compare_every());
        }
        Some(self.least)
    }

    /// Evictions after which the classes are compared again: the fewer the items, the more each counts.
    fn compare_every(&self) -> u32 {
        (self.items / COMPARE_SHARE)
            .max(COMPARE_MIN)
            .min(COMPARE_MAX)
    }

    /// Whether a class takes the page in reserve, or the next one to be emptied, rather than evict
    /// items of its own. Asked when it is out of slots.
    fn may_take_reserve(&mut self, class: Class) -> bool {
        if !self.holds_items(class) || self.slab.class_used(class) == 0 {
            return true;
        }
        let gone = self.gone();
        if is_before(gone, self.compare_at) || self.split_waits {
            return false;
        }
        let least = self.least_class().filter(|&least| least != class);
        let worth = |class| self.policy.worth(&self.slab, class).unwrap_or(Worth::NEW);
        if !least.is_some_and(|least| self.policy.may_take(worth(class), worth(least))) {
            self.compare_at = gone.wrapping_add(self.compare_every());
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
        let least = self.least_class();
        let page = self
            .spare_page()
            .or_else(|| self.policy.page_to_empty(&self.slab, least?))
            .and_then(|page| self.page_not_held(page));
        if let Some(page) = page {
            self.start_drain_of(page);
        }
    }

    /// This page, or the next one of its class in which nothing is held outside the lock.
    /// O(pages and slots held).
    fn page_not_held(&self, page: Page) -> Option<Page> {
        let mut page = page;
        for _ in 0..self.slab.class_pages(self.slab.page_class(page)) {
            if !self.is_held(page) {
                return Some(page);
            }
            page = self.slab.next_page(page);
        }
        None
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
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn has_work(&self) -> bool {
        self.slab.ceiling() > self.limit
            || self.drain.is_some()
            || self.slab.pages_free() < self.reserve
    }

    /// What every set does before its own work: a slice of what is under way, in proportion to the
    /// `slots` of this class that the set is going to need.
    #[cold]
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
        self.drain_some(share.max(least).min(most));
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
            if self.is_held(page) {
                page = next;
                continue;
            }
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
        if self.slab.kind(id) == Kind::Pinned {
            return false;
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
                    || self.evict_and_free(class).is_some()
            }
            _ => false,
        }
    }

    /// Moves whatever lies in a slot to another one, of its class or of a larger one, which is given
    /// back where that cannot be done.
    #[cfg_attr(feature = "small", inline(never))]
    fn move_slot(&mut self, from: Id, to: Id) -> bool {
        let (old, new) = (self.slab.class_of(from), self.slab.class_of(to));
        let live = if old == new {
            0
        } else {
            self.layout.live_in(&self.slab, from) as isize
        };
        match self.slab.kind(from) {
            Kind::Item => {
                let (hash, at) = (self.hash_of(from), self.expiry_at(from));
                self.slab.copy_slot(from, to);
                self.expiry_moved(to, at);
                self.slab
                    .publish(to, Kind::Item.word(self.slab.word(to, 0)));
                self.index.replace(&mut self.slab, hash, from, to);
                self.policy.moved(&mut self.slab, from, to);
                self.layout.head_moved(&mut self.slab, to);
                self.slab.free(from);
            }
            Kind::Link if Items::head_of(&self.slab, from).is_some() => {
                self.slab.copy_slot(from, to);
                self.slab.publish(to, Kind::Link.word(0));
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
