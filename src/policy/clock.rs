//! The default policy: a clock for each size class, with two-bit use counts in the item headers.
//!
//! A hit raises the count, up to three. The hand passes over the slots of the class's pages; an item
//! with a count loses one and stays, one without goes. After [`LOOKS`] items without a victim, the
//! one with the lowest count goes.
//!
//! # Time
//! Hit: O(1), in the header that the hit has in hand. Victim: at most [`LOOKS`] items, and the free
//! slots between them.
//!
//! # Source
//! F. J. Corbato, "A Paging Experiment with the Multics System", 1968; the counts: GCLOCK, A. J.
//! Smith, ACM TODS 3 (1978).

#![forbid(unsafe_code)]

use crate::item::{Items, marks};
use crate::region::{Cutter, Table};
use crate::slab::{Class, Id, Kind, Page, Slab};

/// Items that one search looks at.
const LOOKS: u32 = 16;
const FREQ_MAX: u32 = 3;

/// Where a class's hand stands.
#[derive(Clone, Copy, Debug)]
struct Hand {
    page: Page,
    slot: u16,
    /// When this lap began, and how long the last one took: in inserts of the shard.
    lap_start: u32,
    lap: u32,
}

const START: Hand = Hand {
    page: Page::NONE,
    slot: 0,
    lap_start: 0,
    lap: 0,
};

#[derive(Debug)]
pub(crate) struct Clock {
    hands: Table<Hand>,
    inserts: u32,
}

impl Clock {
    pub(crate) fn table_size(classes: usize) -> Option<usize> {
        Table::<Hand>::size(classes)
    }

    pub(crate) fn new(cutter: &mut Cutter, classes: u8) -> Option<Self> {
        Some(Self {
            hands: cutter.table(u32::from(classes), START)?,
            inserts: 0,
        })
    }

    pub(crate) fn clear(&mut self) {
        for c in 0..self.hands.len() {
            *self.hands.at_mut(c) = Hand {
                lap_start: self.inserts,
                ..START
            };
        }
    }

    #[inline]
    pub(crate) fn inserted(&mut self, slab: &mut Slab, id: Id) {
        self.inserts = self.inserts.wrapping_add(1);
        let class = slab.class_of(id);
        if slab.class_used(class) == 1 {
            // The class starts anew, and with it its age.
            *self.hands.at_mut(u32::from(class.0)) = Hand {
                lap_start: self.inserts,
                ..START
            };
        }
    }

    #[inline]
    pub(crate) fn hit(&mut self, slab: &mut Slab, id: Id) {
        let freq = marks::freq(slab, id);
        if freq < FREQ_MAX {
            marks::set_freq(slab, id, freq + 1);
        }
    }

    #[inline]
    pub(crate) fn removed(&mut self, _: &mut Slab, _: Id) {}

    pub(crate) fn moved(&mut self, _: &mut Slab, _: Id, _: Id) {}

    pub(crate) fn victim(
        &mut self,
        slab: &mut Slab,
        class: Class,
        expired: impl Fn(&Slab, Id) -> bool,
    ) -> Option<Id> {
        let mut best: Option<(u32, Id)> = None;
        let mut part = None;
        let (mut looks, mut laps) = (0, 0);
        let mut hand = self.valid_hand(slab, class)?;
        while looks < LOOKS && laps < 2 {
            let id = slab.slot(hand.page, u32::from(hand.slot));
            laps += u32::from(self.advance(slab, class, &mut hand));
            match slab.kind(id) {
                Kind::Item => {
                    looks += 1;
                    let freq = marks::freq(slab, id);
                    if freq == 0 || expired(slab, id) {
                        best = Some((0, id));
                        break;
                    }
                    marks::set_freq(slab, id, freq - 1);
                    if best.is_none_or(|(least, _)| freq - 1 < least) {
                        best = Some((freq - 1, id));
                    }
                }
                Kind::Link => {
                    looks += 1;
                    part = Some(id);
                }
                _ => {}
            }
        }
        *self.hands.at_mut(u32::from(class.0)) = hand;
        best.map(|(_, id)| id)
            .or_else(|| Items::head_of(slab, part?))
    }

    /// The hand, put on the class's first page where its own is gone.
    fn valid_hand(&self, slab: &Slab, class: Class) -> Option<Hand> {
        let mut hand = *self.hands.at(u32::from(class.0));
        let first = slab.first_page(class)?;
        let stands = hand.page != Page::NONE
            && slab.is_claimed(hand.page)
            && slab.page_class(hand.page) == class
            && u32::from(hand.slot) < slab.page_touched(hand.page);
        if !stands {
            (hand.page, hand.slot) = (first, 0);
        }
        Some(hand)
    }

    /// Steps to the next slot; returns whether a lap ends.
    fn advance(&self, slab: &Slab, class: Class, hand: &mut Hand) -> bool {
        hand.slot += 1;
        if u32::from(hand.slot) < slab.page_touched(hand.page) {
            return false;
        }
        (hand.page, hand.slot) = (slab.next_page(hand.page), 0);
        if slab.first_page(class) != Some(hand.page) {
            return false;
        }
        hand.lap = self.inserts.wrapping_sub(hand.lap_start);
        hand.lap_start = self.inserts;
        true
    }

    /// The time of a lap is how long an unused item stays.
    pub(crate) fn age(&self, _: &Slab, class: Class) -> u32 {
        let hand = self.hands.at(u32::from(class.0));
        hand.lap.max(self.inserts.wrapping_sub(hand.lap_start))
    }

    pub(crate) fn page_to_empty(&self, slab: &Slab, class: Class) -> Option<Page> {
        self.valid_hand(slab, class).map(|hand| hand.page)
    }
}
