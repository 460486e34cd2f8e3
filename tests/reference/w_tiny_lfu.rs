//! A window of recent items before a main part, which admits only items with more requests than its victim.
//!
//! # Source
//! G. Einziger et al., "TinyLFU: A Highly Efficient Cache Admission Policy", 2017, and "Adaptive Software
//! Cache Management", 2018: as in Caffeine, with its hill climber for the size of the window.

use super::Policy;
use super::lists::Lists;
use super::sketch::Sketch;

const WINDOW: u8 = 0;
const PROBATION: u8 = 1;
const PROTECTED: u8 = 2;

/// A losing candidate with this number of requests is admitted at random, so that crafted keys cannot
/// keep it out without end.
const WARM: u8 = 6;
const WARM_ONE_IN: u32 = 128;

pub(crate) struct WTinyLfu {
    capacity: usize,
    window_max: usize,
    protected_max: usize,
    lists: Lists,
    sketch: Sketch,
    climber: Climber,
    random: u32,
}

impl WTinyLfu {
    pub(crate) fn new(capacity: usize, keys: usize) -> Self {
        let window_max = (capacity / 100).max(1);
        Self {
            capacity,
            window_max,
            protected_max: (capacity - window_max) * 4 / 5,
            lists: Lists::new(3, keys),
            sketch: Sketch::new(capacity),
            climber: Climber::new(capacity),
            random: 0x9e37_79b9,
        }
    }

    fn demote(&mut self) {
        while self.lists.len(PROTECTED) > self.protected_max {
            self.lists.shift(PROTECTED, PROBATION);
        }
    }

    /// Evicts an item after one was added to the window.
    fn evict(&mut self) {
        let mut candidate = None;
        while self.lists.len(WINDOW) > self.window_max {
            candidate = self.lists.shift(WINDOW, PROBATION);
        }
        if self.held() <= self.capacity {
            return;
        }
        let candidate = candidate.or(self.lists.oldest(WINDOW));
        let victim = self.lists.oldest(PROBATION);
        let victim = victim.or(self.lists.oldest(PROTECTED));
        let loser = match (candidate, victim) {
            (Some(candidate), Some(victim)) if !self.admits(candidate, victim) => candidate,
            (candidate, victim) => victim.or(candidate).expect("the cache is full"),
        };
        self.lists.remove(loser);
    }

    fn admits(&mut self, candidate: u32, victim: u32) -> bool {
        let asked = self.sketch.estimate(candidate);
        if asked > self.sketch.estimate(victim) {
            return true;
        }
        asked >= WARM && self.one_in(WARM_ONE_IN)
    }

    /// True once in `n` times, by an xorshift generator.
    fn one_in(&mut self, n: u32) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random.is_multiple_of(n)
    }

    fn widen(&mut self, by: usize) {
        let by = by.min(self.protected_max);
        self.protected_max -= by;
        self.window_max += by;
        self.demote();
        for _ in 0..by {
            if self.lists.shift(PROBATION, WINDOW).is_none() {
                self.lists.shift(PROTECTED, WINDOW);
            }
        }
    }

    fn narrow(&mut self, by: usize) {
        let by = by.min(self.window_max - 1);
        self.window_max -= by;
        self.protected_max += by;
        for _ in 0..by {
            self.lists.shift(WINDOW, PROBATION);
        }
    }

    fn hit(&mut self, list: u8, id: u32) {
        if list == WINDOW {
            self.lists.renew(WINDOW, id);
        } else {
            self.lists.renew(PROTECTED, id);
            self.demote();
        }
    }
}

impl Policy for WTinyLfu {
    fn access(&mut self, id: u32) -> bool {
        self.sketch.add(id);
        let list = self.lists.list_of(id);
        match list {
            Some(list) => self.hit(list, id),
            None => {
                self.lists.push(WINDOW, id);
                self.evict();
            }
        }
        let change = self.climber.step(list.is_some());
        if change > 0 {
            self.widen(change.unsigned_abs());
        } else {
            self.narrow(change.unsigned_abs());
        }
        list.is_some()
    }

    fn held(&self) -> usize {
        [WINDOW, PROBATION, PROTECTED]
            .map(|list| self.lists.len(list))
            .iter()
            .sum()
    }
}

/// Requests for each item of the cache between two steps.
const CLIMB_EVERY: u32 = 10;
/// The first step, as a share of the cache.
const STEP: f64 = 0.0625;
/// The factor from a step to the next one.
const DECAY: f64 = 0.98;
/// A change of the hit ratio of at least this size makes steps large again.
const RESTART: f64 = 0.05;

/// Continues in the direction in which the hit ratio rose.
struct Climber {
    capacity: f64,
    every: u32,
    requests: u32,
    hits: u32,
    before: f64,
    step: f64,
}

impl Climber {
    fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity as f64,
            every: CLIMB_EVERY * capacity as u32,
            requests: 0,
            hits: 0,
            before: 0.0,
            step: -STEP * capacity as f64,
        }
    }

    /// The number of items by which the window must grow.
    fn step(&mut self, hit: bool) -> isize {
        self.requests += 1;
        self.hits += u32::from(hit);
        if self.requests < self.every {
            return 0;
        }
        let ratio = f64::from(self.hits) / f64::from(self.requests);
        let change = ratio - self.before;
        let amount = if change >= 0.0 { self.step } else { -self.step };
        self.step = if change.abs() >= RESTART {
            (STEP * self.capacity).copysign(amount)
        } else {
            DECAY * amount
        };
        self.before = ratio;
        (self.requests, self.hits) = (0, 0);
        amount as isize
    }
}
