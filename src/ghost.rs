//! Ghosts: fingerprints of evicted keys, in buckets of four, first in first out.
//!
//! # Layout
//! ```text
//! bucket   | oldest 8 | .. | .. | newest 8 |    one word; 0 = none
//! ```
//! Ghosts are stored behind the table of the key's index segment (`segment`). So a miss has already loaded their
//! cache line, and ghosts split and merge with the index.

#![forbid(unsafe_code)]

use crate::hash::{Hash, mixed};

/// The bucket of a hash, below `buckets`, and the hash's fingerprint.
#[cfg_attr(not(feature = "small"), inline(always))]
pub(crate) fn of(hash: Hash, buckets: u32) -> (u32, u32) {
    let mixed = mixed(hash) >> 8;
    let bucket = ((mixed >> 8) * buckets) >> 16;
    (bucket, (mixed & 0xff).max(1))
}

/// The bucket with another fingerprint added and the oldest one removed.
#[inline]
pub(crate) fn add(bucket: u32, ghost: u32) -> u32 {
    bucket << 8 | ghost
}

/// Whether the bucket holds the fingerprint.
#[cfg_attr(not(feature = "small"), inline(always))]
pub(crate) fn holds(bucket: u32, ghost: u32) -> bool {
    let differs = bucket ^ (ghost * 0x0101_0101);
    // Not zero if some byte of `differs` is zero.
    differs.wrapping_sub(0x0101_0101) & !differs & 0x8080_8080 != 0
}

/// The bucket without the fingerprint. `None` if the fingerprint is not among the `newest` ones.
pub(crate) fn take(bucket: u32, ghost: u32, newest: u32) -> Option<u32> {
    let found = (0..newest.min(4)).find(|i| bucket >> (8 * i) & 0xff == ghost)?;
    let newer = bucket & ((1 << (8 * found)) - 1);
    let older = (u64::from(bucket) >> (8 * found + 8) << (8 * found)) as u32;
    Some(newer | older)
}

/// The newest fingerprints of two buckets.
pub(crate) fn join(one: u32, other: u32) -> u32 {
    match (one, other) {
        (all, 0) => all,
        (one, other) => one & 0xffff | other << 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_the_taken_one_leaves_no_gap() {
        let bucket = [1, 2, 3, 4, 5].into_iter().fold(0, add);
        assert_eq!(bucket, 0x0203_0405);
        assert!(holds(bucket, 3) && !holds(bucket, 1));
        assert_eq!(take(bucket, 3, 4), Some(0x0002_0405));
        assert_eq!(take(bucket, 3, 2), None);
        assert_eq!(take(bucket, 1, 4), None);
        assert_eq!(join(0x0102_0304, 0x0506_0708), 0x0708_0304);
    }
}
