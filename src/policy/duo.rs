//! The default policy: two queues in the slots of each size class, a gate between them, no links.
//!
//! A new item comes into the *window*, a tenth of the class; one that is used there passes to *main*,
//! one that is not goes. Main is a clock. An item that went is remembered for a while by a
//! fingerprint (its *ghost*, kept in the index); one that comes back goes to main at once. Who passes to
//! main needs one who gives way: the *gate* looks at the next two main items only, so a newcomer
//! enters where one of them went unused for a whole lap. Which queue an item is in is a bit in its
//! header, and so is the count of its uses: nothing moves. The window's slots are found by their bits in
//! the pages' planes.
//!
//! Shares, thresholds and gate are a [`Rule`]; miniature simulations choose it (`shadow`). Pages go from
//! the class whose items live longest before they go to the one whose items live much shorter, but not
//! to sizes that nobody asks for (`sizes`).
//!
//! # Invariants
//! 1. The bit of every window item's slot is set in its page's plane. Other bits may be, too: the hand
//!    clears those that it comes by.
//! 2. `count` is the number of the class's items, `window_count` that of those whose main bit is not set.
//!
//! # Time
//! Hit: O(1), in the header that the hit has in hand. Victim: at most [`WINDOW_STEPS`] items of the
//! window, each with one search of main of at most [`MAIN_STEPS`], and at most [`LOOKS`] slots in all;
//! then the best victim seen goes.
//!
//! # Source
//! Two queues with ghosts: 2Q, T. Johnson and D. Shasha, VLDB 1994, and S3-FIFO, J. Yang et al., SOSP
//! 2023; the comparison of reuse distances: LIRS, S. Jiang and X. Zhang, SIGMETRICS 2002; the choice of
//! the rule: miniature simulations, C. Waldspurger et al., USENIX ATC 2017.

#![forbid(unsafe_code)]

use super::Worth;
use super::rule::{Dice, FREQ_MAX, MAIN_STEPS, RULES, Rule, WINDOW_STEPS};
use super::shadow::Shadows;
use super::sizes::{GROUPS, Sizes, group_of};
use crate::hash::Hash;
use crate::item::{Items, marks};
use crate::region::{Cutter, Table, clean};
use crate::slab::{Class, Id, Kind, Page, Slab};

/// A class counts as idle after so many inserts of other sizes, and a sixteenth of all items more.
const IDLE_MIN: u32 = 256;

/// The most slots looked at for one victim. Of the smallest window's slots, there is one in 33.
pub(super) const LOOKS: u32 = 256;
/// A period lasts for so many inserts more than there are items.
const PERIOD_MIN: u32 = 256;
/// Inserts after which the shadows learn anew how many items there may be.
const SCALE_EVERY: u32 = 16;

/// About so many items fill the slab up to its ceiling, where so many are in it now.
fn capacity(slab: &Slab, items: u32) -> u32 {
    let usage = slab.usage() - slab.fixed();
    let most = slab.ceiling().saturating_sub(slab.fixed());
    let full = (u64::from(items) * most as u64).checked_div(usage as u64);
    full.map_or(items, |full| u32::try_from(full).unwrap_or(u32::MAX))
}

/// Where a hand stands.
#[derive(Clone, Copy, Debug)]
struct Hand {
    page: Page,
    slot: u16,
}

const NOWHERE: Hand = Hand {
    page: Page::NONE,
    slot: 0,
};

/// One class's two queues.
#[derive(Clone, Copy, Debug)]
struct Queues {
    main: Hand,
    window: Hand,
    /// Items, and those of them in the window.
    count: u32,
    window_count: u32,
    /// Items that went since the lap began: at `count` of them a lap is over.
    gone: u32,
    /// When this lap began, and how long the last one took: in inserts of the shard.
    lap_start: u32,
    lap: u32,
    /// When an item came last.
    last_insert: u32,
}

const EMPTY: Queues = Queues {
    main: NOWHERE,
    window: NOWHERE,
    count: 0,
    window_count: 0,
    gone: 0,
    lap_start: 0,
    lap: 0,
    last_insert: 0,
};

/// What is known of the item that a victim is sought for.
#[derive(Clone, Copy, Debug, Default)]
struct Newcomer {
    /// It has a ghost.
    remembered: bool,
    /// It goes to main.
    main: bool,
    /// It starts with uses enough to pass the window.
    again: bool,
    /// There is one.
    expected: bool,
    /// A victim was found for it: the queue is settled.
    settled: bool,
}

#[derive(Debug)]
pub(crate) struct Duo {
    queues: Table<Queues>,
    /// None in the smallest caches.
    shadows: Option<Shadows>,
    newcomer: Newcomer,
    dice: Dice,
    inserts: u32,
    /// Number of the present period, and when it began.
    period: u16,
    period_start: u32,
    sizes: [Sizes; GROUPS],
    /// Items of all classes.
    items: u32,
    /// Slots, and words of planes, looked at for the present victim.
    looks: u32,
    /// A slot whose bit is known to be set.
    flagged: Id,
    /// The last item of the window, or part of an item, among those that the hand of main looked at.
    passed: Id,
}

impl Duo {
    pub(crate) fn table_size(classes: usize, area: usize) -> Option<usize> {
        Table::<Queues>::size(classes)?.checked_add(Shadows::table_size(area)?)
    }

    pub(crate) fn new(cutter: &mut Cutter, classes: u8, area: usize) -> Option<Self> {
        Some(Self {
            queues: cutter.table(u32::from(classes), EMPTY)?,
            shadows: if Shadows::table_size(area)? > 0 {
                Some(Shadows::new(cutter, area)?)
            } else {
                None
            },
            newcomer: Newcomer::default(),
            dice: Dice::new(),
            inserts: 0,
            period: 0,
            period_start: 0,
            sizes: [Sizes::default(); GROUPS],
            items: 0,
            looks: 0,
            flagged: Id::NONE,
            passed: Id::NONE,
        })
    }

    /// Shadows that are not there leave their place as it was.
    pub(crate) fn clean(&mut self) {
        if self.shadows.is_none() {
            clean(&mut self.shadows, None);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.items = 0;
        for c in 0..self.queues.len() {
            *self.queues.at_mut(c) = Queues {
                lap_start: self.inserts,
                ..EMPTY
            };
        }
    }

    #[inline]
    fn rule(&self) -> &'static Rule {
        match &self.shadows {
            Some(shadows) => shadows.rule(),
            // Where nobody finds out what suits, the clock does the least harm.
            None => &RULES[1],
        }
    }

    #[inline]
    fn of(&self, class: Class) -> &Queues {
        self.queues.at(u32::from(class.0))
    }

    #[inline]
    fn of_mut(&mut self, class: Class) -> &mut Queues {
        self.queues.at_mut(u32::from(class.0))
    }

    /// What came of items of such sizes, in the present period.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn sizes(&mut self, size: usize) -> &mut Sizes {
        let sizes = &mut self.sizes[group_of(size)];
        sizes.go_on(self.period);
        sizes
    }

    /// A request for a key: hit or miss.
    #[inline]
    pub(crate) fn requested(&mut self, hash: Hash) {
        if let Some(shadows) = &mut self.shadows {
            shadows.requested(hash);
        }
    }

    /// A slot is sought for a new item, which is remembered or not.
    #[inline]
    pub(crate) fn expect(&mut self, remembered: bool) {
        self.newcomer = Newcomer {
            remembered,
            main: remembered,
            expected: true,
            ..Newcomer::default()
        };
        self.flagged = Id::NONE;
    }

    /// A new item comes, whose slot was found before.
    pub(crate) fn arrived(&mut self, remembered: bool) {
        self.expect(remembered);
        self.newcomer.settled = true;
    }

    /// An item that was taken out comes back, with its marks.
    pub(crate) fn returned(&mut self, slab: &mut Slab, id: Id, class: Class) {
        self.items += 1;
        let window = !marks::is_main(slab, id);
        let queues = self.of_mut(class);
        queues.count += 1;
        queues.window_count += u32::from(window);
        if window {
            slab.set_flag(id);
        }
    }

    #[inline]
    pub(crate) fn inserted(&mut self, slab: &mut Slab, id: Id, class: Class) {
        self.inserts = self.inserts.wrapping_add(1);
        self.items += 1;
        let (rule, now) = (self.rule(), self.inserts);
        let Newcomer {
            remembered,
            mut main,
            again,
            settled,
            ..
        } = core::mem::take(&mut self.newcomer);
        let queues = self.of_mut(class);
        if queues.count == 0 {
            *queues = Queues {
                lap_start: now,
                ..EMPTY
            };
        }
        queues.count += 1;
        queues.last_insert = now;
        if !settled {
            // Where there is room, main fills up beside a window that has its share.
            main |= queues.window_count >= rule.window_of(queues.count);
        }
        queues.window_count += u32::from(!main);
        if now.is_multiple_of(SCALE_EVERY) {
            if let Some(shadows) = &mut self.shadows {
                shadows.scale(capacity(slab, self.items));
            }
            self.pass_period(now);
        }
        self.sizes(slab.slot_size(class)).count(remembered);
        marks::start(slab, id, main, if again && !main { rule.uses } else { 0 });
        if !main && self.flagged != id {
            slab.set_flag(id);
        }
    }

    fn pass_period(&mut self, now: u32) {
        if now.wrapping_sub(self.period_start) > self.items.saturating_add(PERIOD_MIN) {
            (self.period, self.period_start) = (self.period.wrapping_add(1), now);
        }
    }

    /// Lets an item be in one of the queues.
    #[inline]
    fn put(&mut self, slab: &mut Slab, id: Id, main: bool) {
        marks::set_main(slab, id, main);
        if !main && self.flagged != id {
            slab.set_flag(id);
        }
    }

    pub(crate) fn check(&self, slab: &Slab, id: Id) -> bool {
        slab.flag(id) || marks::is_main(slab, id)
    }

    /// The new item is in the queue of the old one, with its uses and one more.
    pub(crate) fn replaced(&mut self, slab: &mut Slab, old: Id, new: Id) {
        let (main, freq) = (marks::is_main(slab, old), marks::freq(slab, old));
        let queues = self.of_mut(slab.class_of(new));
        match (marks::is_main(slab, new), main) {
            (true, false) => queues.window_count += 1,
            (false, true) => queues.window_count = queues.window_count.saturating_sub(1),
            _ => {}
        }
        self.put(slab, new, main);
        marks::set_freq(slab, new, (freq + 1).min(FREQ_MAX));
    }

    /// An item was read or overwritten whose header starts with this word.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn hit(&mut self, slab: &mut Slab, id: Id, word: u32) {
        marks::count_use(slab, id, word);
        if marks::is_unused(word) {
            self.sizes(marks::size(slab, id, word)).count_use();
        }
    }

    /// The slot for the new item is not that of the latest victim: its page may be another by now.
    #[inline]
    pub(crate) fn not_a_victims(&mut self) {
        self.flagged = Id::NONE;
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn removed(&mut self, slab: &Slab, id: Id, class: Class) {
        self.items = self.items.saturating_sub(1);
        let main = marks::is_main(slab, id);
        let queues = self.of_mut(class);
        queues.count = queues.count.saturating_sub(1);
        queues.window_count = queues.window_count.saturating_sub(u32::from(!main));
    }

    /// An item of the class goes to make room, and not because its page is taken away.
    #[inline]
    fn count_gone(&mut self, class: Class) {
        let now = self.inserts;
        let queues = self.of_mut(class);
        queues.gone += 1;
        if queues.gone > queues.count {
            queues.lap = now.wrapping_sub(queues.lap_start);
            (queues.lap_start, queues.gone) = (now, 0);
        }
    }

    /// An item lies in another slot, perhaps of a larger class.
    pub(crate) fn moved(&mut self, slab: &mut Slab, from: Id, to: Id) {
        let window = !marks::is_main(slab, to);
        if window {
            slab.set_flag(to);
        }
        let (from, class) = (slab.class_of(from), slab.class_of(to));
        if from == class {
            return;
        }
        let window = u32::from(window);
        let old = self.of_mut(from);
        old.count = old.count.saturating_sub(1);
        old.window_count = old.window_count.saturating_sub(window);
        let new = self.of_mut(class);
        new.count += 1;
        new.window_count += window;
    }

    // ---- victims -------------------------------------------------------------------------------

    /// The victim in the usual case, in few instructions: a newcomer that nobody remembers, and a next
    /// item of a full window that nobody used enough, that is in one piece and never expires. In any other
    /// case `None`, and [`Duo::victim`] finds out.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn usual_victim(&mut self, slab: &Slab, class: Class) -> Option<(Id, u32)> {
        let rule = self.rule();
        let queues = self.of(class);
        let share = rule.window_of(queues.count);
        if self.newcomer.main || queues.window_count < share || queues.window_count == 0 {
            return None;
        }
        let hand = queues.window;
        let (slot, id) = slab.near_flag(hand.page, class, u32::from(hand.slot))?;
        let word = slab.word(id, 0);
        if !marks::is_plain_in_window(word, rule.uses) || self.dice.one_in(rule.lucky) {
            return None;
        }
        self.newcomer.settled = true;
        self.flagged = id;
        self.of_mut(class).window.slot = slot as u16 + 1;
        self.count_gone(class);
        Some((id, word))
    }

    /// The item that the window's hand comes to next, if it is near.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn next_up(&self, slab: &Slab, class: Class) -> Option<Id> {
        let hand = self.of(class).window;
        let (_, id) = slab.near_flag(hand.page, class, u32::from(hand.slot))?;
        marks::is_in_window(slab.word(id, 0)).then_some(id)
    }

    pub(crate) fn victim(
        &mut self,
        slab: &mut Slab,
        class: Class,
        expired: impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        let rule = self.rule();
        (self.looks, self.passed) = (0, Id::NONE);
        self.newcomer.settled = true;
        if self.newcomer.expected {
            self.count_gone(class);
        }
        if self.newcomer.main && self.main_is_full(class, rule) {
            if let Some(id) = self.gate(slab, class, rule, &expired) {
                return Some(id);
            }
            self.newcomer.main = false;
            self.newcomer.again = rule.again;
        }
        self.evict(slab, class, rule, &expired)
            .or_else(|| self.anyone(slab, class))
    }

    fn main_is_full(&self, class: Class, rule: &Rule) -> bool {
        let queues = self.of(class);
        let share = queues.count - rule.window_of(queues.count).min(queues.count);
        queues.count - queues.window_count.min(queues.count) >= share
    }

    /// A main item that gives way, if the gate finds one.
    fn gate(
        &mut self,
        slab: &mut Slab,
        class: Class,
        rule: &Rule,
        expired: &impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        let steps = if rule.looks == 0 {
            MAIN_STEPS
        } else {
            rule.looks
        };
        self.search_main(slab, class, steps, rule.looks == 0, expired)
    }

    /// The next main item without a use, ageing those passed; after `steps` of them, the one with the
    /// fewest uses if somebody must go.
    fn search_main(
        &mut self,
        slab: &mut Slab,
        class: Class,
        steps: u32,
        must: bool,
        expired: &impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        let mut best: Option<(u32, Id)> = None;
        for _ in 0..steps {
            let Some(id) = self.next_main(slab, class) else {
                break;
            };
            let freq = marks::freq(slab, id);
            if freq == 0 || expired(slab, id) {
                return Some(id);
            }
            marks::set_freq(slab, id, freq - 1);
            if best.is_none_or(|(least, _)| freq - 1 < least) {
                best = Some((freq - 1, id));
            }
        }
        best.filter(|_| must).map(|(_, id)| id)
    }

    fn evict(
        &mut self,
        slab: &mut Slab,
        class: Class,
        rule: &Rule,
        expired: &impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        for left in (0..WINDOW_STEPS).rev() {
            let queues = *self.of(class);
            let main_count = queues.count.saturating_sub(queues.window_count);
            let short = queues.window_count < rule.window_of(queues.count) && main_count > 0;
            let next = if short {
                None
            } else {
                self.next_window(slab, class)
            };
            let Some(id) = next else {
                return self.search_main(slab, class, MAIN_STEPS, true, expired);
            };
            if expired(slab, id) || left == 0 {
                return Some(id);
            }
            let freq = marks::freq(slab, id);
            if freq < rule.uses && !self.dice.one_in(rule.lucky) {
                return Some(id);
            }
            if !self.main_is_full(class, rule) {
                self.pass(slab, class, id);
                continue;
            }
            if let Some(victim) = self.gate(slab, class, rule, expired) {
                self.pass(slab, class, id);
                return Some(victim);
            }
            if !rule.stay || freq == 0 {
                return Some(id);
            }
            marks::set_freq(slab, id, freq - 1);
        }
        None
    }

    /// A window item is a main item from now on, where it lies.
    fn pass(&mut self, slab: &mut Slab, class: Class, id: Id) {
        marks::start(slab, id, true, 0);
        let queues = self.of_mut(class);
        queues.window_count = queues.window_count.saturating_sub(1);
    }

    /// The next item of the window, from its hand on; `None` where there is none, or none was come by
    /// before the looks ran out.
    #[inline]
    fn next_window(&mut self, slab: &mut Slab, class: Class) -> Option<Id> {
        let queues = self.of(class);
        if queues.window_count == 0 {
            return None;
        }
        let mut hand = Self::valid(slab, class, queues.window)?;
        let (mut looks, mut found) = (self.looks, None);
        while found.is_none() && looks < LOOKS {
            let slot = slab.next_flag(hand.page, u32::from(hand.slot), &mut looks);
            if let Some(slot) = slot {
                let id = slab.slot(hand.page, slot);
                if marks::is_in_window(slab.word(id, 0)) {
                    found = Some(id);
                } else {
                    slab.clear_flag(hand.page, slot);
                }
            }
            hand = match slot {
                Some(slot) if slot + 1 < slab.page_touched(hand.page) => Hand {
                    page: hand.page,
                    slot: slot as u16 + 1,
                },
                _ => Hand {
                    page: slab.next_page(hand.page),
                    slot: 0,
                },
            };
        }
        // The next search starts there.
        slab.prefetch(slab.slot(hand.page, u32::from(hand.slot)), 0);
        self.looks = looks;
        self.flagged = found.unwrap_or(Id::NONE);
        self.of_mut(class).window = hand;
        found
    }

    /// The next item of main, from its hand on; `None` as for the window.
    fn next_main(&mut self, slab: &Slab, class: Class) -> Option<Id> {
        let queues = self.of(class);
        if queues.count <= queues.window_count {
            return None;
        }
        self.go_round(slab, class)
    }

    /// Moves the hand of main, up to a main item, or until the looks have run out and something else was
    /// passed.
    fn go_round(&mut self, slab: &Slab, class: Class) -> Option<Id> {
        let mut hand = Self::valid(slab, class, self.of(class).main)?;
        let mut found = None;
        // Every page of a class has something in it, so the looks that see nothing end soon.
        while found.is_none() && (self.looks < LOOKS || self.passed.is_none()) {
            found = self.next_main_in_page(slab, &mut hand);
            if u32::from(hand.slot) >= slab.page_touched(hand.page) {
                hand = Hand {
                    page: slab.next_page(hand.page),
                    slot: 0,
                };
            }
        }
        self.of_mut(class).main = hand;
        found
    }

    /// As [`Duo::next_main`], as far as the hand's page reaches.
    fn next_main_in_page(&mut self, slab: &Slab, hand: &mut Hand) -> Option<Id> {
        let step = slab.slot(hand.page, 1).0 - slab.slot(hand.page, 0).0;
        let touched = slab.page_touched(hand.page);
        let (mut id, mut slot) = (slab.slot(hand.page, u32::from(hand.slot)), hand.slot);
        let (mut looks, mut passed) = (self.looks, self.passed);
        let mut found = None;
        while found.is_none() && u32::from(slot) < touched && (looks < LOOKS || passed.is_none()) {
            looks += 1;
            slot += 1;
            match slab.kind(id) {
                Kind::Item if marks::is_main(slab, id) => found = Some(id),
                Kind::Item | Kind::Link => passed = id,
                _ => {}
            }
            id = Id(id.0.wrapping_add(step));
        }
        (self.looks, self.passed, hand.slot) = (looks, passed, slot);
        found
    }

    /// Where all looks were in vain: the last item of the window that was passed, or one that has a part
    /// there.
    #[cold]
    fn anyone(&mut self, slab: &Slab, class: Class) -> Option<Id> {
        if self.passed.is_none()
            && self.of(class).count > 0
            && let Some(id) = self.go_round(slab, class)
        {
            return Some(id);
        }
        match self.passed.some() {
            Some(passed) => Items::head_of(slab, passed),
            None => super::head_of_any_part(slab, class),
        }
    }

    /// A hand, put on the class's first page where its own is gone.
    fn valid(slab: &Slab, class: Class, hand: Hand) -> Option<Hand> {
        let stands = hand.page != Page::NONE
            && slab.is_claimed(hand.page)
            && slab.page_class(hand.page) == class
            && u32::from(hand.slot) < slab.page_touched(hand.page);
        if stands {
            return Some(hand);
        }
        let page = slab.first_page(class)?;
        Some(Hand { page, slot: 0 })
    }

    /// Slots looked at for the latest victim.
    #[cfg(test)]
    pub(super) fn looks(&self) -> u32 {
        self.looks
    }

    /// In turns, the next slots of the window and of main, in the hands' pages.
    #[cfg(not(feature = "small"))]
    pub(crate) fn upcoming(&self, slab: &Slab, class: Class, mut visit: impl FnMut(Id) -> bool) {
        let queues = self.of(class);
        let hands =
            Self::valid(slab, class, queues.window).zip(Self::valid(slab, class, queues.main));
        let Some((window, main)) = hands else { return };
        let (mut slot, mut next) = (u32::from(window.slot), u32::from(main.slot));
        while let Some(found) = slab.next_flag(window.page, slot, &mut 0) {
            if !visit(slab.slot(window.page, found)) || !visit(slab.slot(main.page, next)) {
                return;
            }
            slot = found + 1;
            next = (next + 1).min(slab.page_touched(main.page).saturating_sub(1));
        }
    }

    // ---- pages ---------------------------------------------------------------------------------

    /// By whether such sizes are asked for, and by the time in which as many items go as the class holds.
    pub(crate) fn worth(&self, slab: &Slab, class: Class) -> Option<Worth> {
        let queues = self.of(class);
        if queues.count == 0 {
            return None;
        }
        let lap = queues.lap.max(self.inserts.wrapping_sub(queues.lap_start));
        // Nobody sets items of this size any more: what is left of them can go sooner.
        let idle = self.inserts.wrapping_sub(queues.last_insert) > self.items / 16 + IDLE_MIN;
        let sizes = self.sizes[group_of(slab.slot_size(class))].at(self.period);
        let cold = sizes.are_cold() || idle && !sizes.are_used();
        let age = if idle { lap.saturating_mul(4) } else { lap };
        Some(Worth::new(cold, age))
    }

    pub(crate) fn page_to_empty(&self, slab: &Slab, class: Class) -> Option<Page> {
        Self::valid(slab, class, self.of(class).main).map(|hand| hand.page)
    }
}
