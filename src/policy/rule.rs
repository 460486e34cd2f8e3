//! The rules that the two queues can follow. Which one suits a workload, the shadows find out.

#![forbid(unsafe_code)]

/// One way to run the two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The window's share of the items, in 1,024ths.
    pub(crate) window: u32,
    /// Uses that let an item pass from the window to main.
    pub(crate) uses: u32,
    /// Main items that the gate looks at for one to give way; 0 = no gate, one always does.
    pub(crate) looks: u32,
    /// One in so many of the window's losers passes all the same; 0 = none.
    pub(crate) lucky: u32,
    /// A remembered item that the gate refused needs no further use to try again.
    pub(crate) again: bool,
    /// A refused item with a use left stays in the window for another lap.
    pub(crate) stay: bool,
}

/// The first is the start rule; the second is a clock, the guard for workloads of mere recency.
pub(crate) static RULES: [Rule; 4] = [
    Rule {
        window: 102,
        uses: 1,
        looks: 2,
        lucky: 64,
        again: true,
        stay: true,
    },
    Rule {
        window: 102,
        uses: 0,
        looks: 0,
        lucky: 0,
        again: false,
        stay: false,
    },
    Rule {
        window: 102,
        uses: 2,
        looks: 2,
        lucky: 0,
        again: false,
        stay: false,
    },
    Rule {
        window: 31,
        uses: 2,
        looks: 2,
        lucky: 0,
        again: false,
        stay: true,
    },
];

impl Rule {
    /// Items that the window may hold of `count` in all: at least one, and not all.
    #[inline]
    pub(crate) fn window_of(&self, count: u32) -> u32 {
        let share = ((u64::from(count) * u64::from(self.window)) >> 10) as u32;
        share.max(1).min(count.saturating_sub(1))
    }
}

/// The most steps of the main hand in one search, and of the window hand in one eviction.
pub(crate) const MAIN_STEPS: u32 = 16;
pub(crate) const WINDOW_STEPS: u32 = 8;
pub(crate) const FREQ_MAX: u32 = 3;

/// Random enough to let one in so many through (xorshift, G. Marsaglia, 2003).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u32);

impl Dice {
    pub(crate) const fn new() -> Self {
        Self(2_463_534_242)
    }

    /// True once in `n` times; never for 0.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        let Some(mask) = n.checked_sub(1) else {
            return false;
        };
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        // Every `lucky` is a power of two.
        (self.0 >> 8) & mask == 0
    }
}
