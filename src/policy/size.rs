//! What an item's size is worth: small ones are kept longer than their uses say, large ones shorter.
//!
//! Sizes are compared by *half octaves*: twice the logarithm of the granules, rounded down. The *credit* of an item is
//! about half the logarithm of the mean size over its own.
//!
//! # Source
//! Size and frequency in one order: Greedy-Dual-Size-Frequency, L. Cherkasova, HP Labs 1998. The exponent of one
//! half was chosen by simulation.

#![forbid(unsafe_code)]

use super::rule::Dice;

const CREDIT_MIN: i32 = -4;
const CREDIT_MAX: i32 = 3;
/// Credit that passes an unused item from the window to main.
const CREDIT_FOR_USE: i32 = 2;

/// Twice the logarithm of a size, rounded down.
pub(crate) fn half_octaves(granules: u32) -> i32 {
    let granules = granules.max(2);
    let log = 31 - granules.leading_zeros();
    (2 * log + (granules >> (log - 1) & 1)) as i32
}

/// The credit of an item of so many half octaves beside a mean of so many.
#[inline]
pub(crate) fn credit(mean: i32, own: i32) -> i32 {
    ((2 * (mean - own) + 4) >> 3)
        .max(CREDIT_MIN)
        .min(CREDIT_MAX)
}

/// Uses with which an item starts in main.
pub(crate) fn first_uses(credit: i32) -> u32 {
    credit.max(0) as u32
}

/// Whether an item of the window passes to main under a rule that asks for so many uses.
#[inline]
pub(crate) fn passes(uses: u32, asked: u32, credit: i32) -> bool {
    uses as i32 + credit >= asked as i32 && (uses >= asked.min(1) || credit >= CREDIT_FOR_USE)
}

/// What is left of an item's uses when main's tail passes it; `None`: it goes.
#[inline]
pub(crate) fn aged(uses: u32, credit: i32, dice: &mut Dice) -> Option<u32> {
    if credit > 0 && !dice.one_in(1 << credit) {
        return Some(uses);
    }
    uses.checked_sub(1 + (-credit).max(0) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_falls_by_one_for_each_fourfold_size() {
        let mean = half_octaves(16);
        let credits =
            [1, 4, 16, 64, 256, 1024, 4096, 1 << 20].map(|n| credit(mean, half_octaves(n)));
        assert_eq!(credits, [2, 1, 0, -1, -2, -3, -4, -4]);
    }

    #[test]
    fn sizes_are_half_octaves_apart() {
        assert_eq!(
            [2, 3, 4, 6, 8, 12, 16].map(half_octaves),
            [2, 3, 4, 5, 6, 7, 8]
        );
    }
}
