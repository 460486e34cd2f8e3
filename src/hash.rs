//! The hash of a key: seeded, 64 bits, the same on every target of the same pointer width.
//!
//! # Source
//! foldhash (O. Peters, 2024), fed by two overlapping reads of 16 bytes, which is what keys of up to
//! 32 bytes take; longer keys go through its own loop.

#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hasher};
use foldhash::quality::FixedState;

/// Hashes the keys of one cache.
#[derive(Clone, Debug)]
pub(crate) struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        // The length goes into the seed, since the two reads of a short key overlap.
        let mut hasher = FixedState::with_seed(self.seed ^ key.len() as u64).build_hasher();
        match (key.first_chunk::<16>(), key.last_chunk::<16>()) {
            (Some(first), Some(last)) if key.len() <= 32 => {
                hasher.write_u128(u128::from_le_bytes(*first));
                hasher.write_u128(u128::from_le_bytes(*last));
            }
            _ => hasher.write(key),
        }
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
