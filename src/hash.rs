//! The hash of a key: 64 bits, the same on every target of the same pointer width, and a secret to
//! whoever does not know the seed.
//!
//! # Source
//! foldhash (O. Peters, 2024), fed by two overlapping reads of 16 bytes, which is what keys of 16 to
//! 32 bytes take, and by the length; other keys go through its own loop. Its constants are public, and
//! keys made of them would collide under any start value: so they come from the seed, too.

#![forbid(unsafe_code)]

use core::hash::Hasher;
use foldhash::{SharedSeed, fast};

/// 2^64 over the golden ratio: any odd number of many bits would do.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes the keys of one cache.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher {
    start: u64,
    constants: SharedSeed,
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> Self {
        // Neither multiplication below is to see a zero, for any seed that is likely.
        let constants = SharedSeed::from_u64(seed ^ GOLDEN);
        let mut hasher = fast::FoldHasher::with_seed(!GOLDEN, &constants);
        hasher.write_u64(seed);
        Self {
            start: hasher.finish(),
            constants,
        }
    }

    #[inline(always)]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = fast::FoldHasher::with_seed(self.start, &self.constants);
        match (key.first_chunk::<16>(), key.last_chunk::<16>()) {
            (Some(first), Some(last)) if key.len() <= 32 => {
                hasher.write_u128(u128::from_le_bytes(*first));
                hasher.write_u128(u128::from_le_bytes(*last));
            }
            _ => hasher.write(key),
        }
        // The length comes last: the two reads of a short key overlap, and one more multiplication
        // spreads the last bytes over the whole hash.
        hasher.write_u64(key.len() as u64);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_seed_and_every_byte_count() {
        let hasher = KeyHasher::new(1);
        let zeros = [0u8; 64];
        for len in 1..64 {
            assert_ne!(hasher.hash(&zeros[..len]), hasher.hash(&zeros[..len + 1]));
            assert_ne!(
                hasher.hash(&zeros[..len]),
                KeyHasher::new(2).hash(&zeros[..len])
            );
            for i in 0..len {
                let mut other = zeros;
                other[i] = 1;
                assert_ne!(
                    hasher.hash(&zeros[..len]),
                    hasher.hash(&other[..len]),
                    "byte {i} of {len}"
                );
            }
        }
    }
}
