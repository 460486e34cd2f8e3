//! The checksum of an item: 32 bits over its key, its value, and the lengths, type and times in its header.
//!
//! The checksum does not cover the policy's bits in the header, the links, and the positions of the parts. A new
//! expiry changes the checksum by a sum, so the value is not read again.
//!
//! The checksum uses the cache's own hash, so it needs no further code. It detects random damage, and changes by an
//! attacker who does not know the seed.

#![forbid(unsafe_code)]

use crate::hash::{KeyHasher, upper};

/// Odd factors: a multiplication by them loses no bit of a word.
const WORD: u32 = 0x9e37_79b1;
const LENGTH: u32 = 0x85eb_ca77;
const TIME: u32 = 0xc2b2_ae3d;
const EXPIRY: u32 = 0x27d4_eb2f;

/// The state of a checksum's computation.
pub(crate) struct Sum<'a> {
    hasher: &'a KeyHasher,
    sum: u32,
}

impl<'a> Sum<'a> {
    pub(crate) fn new(hasher: &'a KeyHasher) -> Self {
        Self { hasher, sum: 0 }
    }

    /// Adds the key, or a span of the value.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        let hash = self.hasher.hash(bytes);
        let folded = upper(hash) ^ hash as u32;
        self.sum = self.sum.rotate_left(7).wrapping_mul(WORD) ^ folded;
    }

    /// The checksum, with the first word's identity, the value's length, the set time and the expiry added.
    pub(crate) fn finish(self, word: u32, len: u32, time: u32, expiry: u32) -> u32 {
        self.sum
            .wrapping_add(word.wrapping_mul(WORD))
            .wrapping_add(len.wrapping_mul(LENGTH))
            .wrapping_add(time.wrapping_mul(TIME))
            .wrapping_add(expiry.wrapping_mul(EXPIRY))
    }
}

/// The checksum of the same item with the expiry `new` instead of `old`.
pub(crate) fn with_expiry(sum: u32, old: u32, new: u32) -> u32 {
    sum.wrapping_add(new.wrapping_sub(old).wrapping_mul(EXPIRY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_the_expiry_can_be_replaced() {
        let hasher = KeyHasher::new(7);
        let sum = |key: &[u8], spans: &[&[u8]], header: [u32; 4]| {
            let mut sum = Sum::new(&hasher);
            sum.add_bytes(key);
            spans.iter().for_each(|span| sum.add_bytes(span));
            let [word, len, time, expiry] = header;
            sum.finish(word, len, time, expiry)
        };
        let one = sum(b"key", &[b"value", b"more"], [1, 9, 3, 4]);
        for other in [
            sum(b"kez", &[b"value", b"more"], [1, 9, 3, 4]),
            sum(b"key", &[b"valve", b"more"], [1, 9, 3, 4]),
            sum(b"key", &[b"value", b"mare"], [1, 9, 3, 4]),
            sum(b"key", &[b"more", b"value"], [1, 9, 3, 4]),
            sum(b"key", &[b"value", b"more"], [0, 9, 3, 4]),
            sum(b"key", &[b"value", b"more"], [1, 8, 3, 4]),
            sum(b"key", &[b"value", b"more"], [1, 9, 7, 4]),
            sum(b"key", &[b"value", b"more"], [1, 9, 3, 5]),
        ] {
            assert_ne!(one, other);
        }
        let later = sum(b"key", &[b"value", b"more"], [1, 9, 3, 77]);
        assert_eq!(with_expiry(one, 4, 77), later);
    }
}
