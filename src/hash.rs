//! The hash of a key: as many bits as a pointer has, the same on every target of the same pointer width, and a secret to
//! whoever does not know the seed.
//!
//! Where a multiplication of 64 bits is one instruction, foldhash; elsewhere HalfSipHash, which needs none
//! and a tenth of the code.

#![forbid(unsafe_code)]

#[cfg(target_pointer_width = "64")]
mod fold;
#[cfg(any(not(target_pointer_width = "64"), test))]
mod half_sip;

#[cfg(target_pointer_width = "64")]
pub(crate) use fold::KeyHasher;
#[cfg(not(target_pointer_width = "64"))]
pub(crate) use half_sip::KeyHasher;

/// A hash: what the processor adds and compares at once.
#[cfg(target_pointer_width = "64")]
pub(crate) type Hash = u64;
/// As above.
#[cfg(not(target_pointer_width = "64"))]
pub(crate) type Hash = u32;

/// 32 bits of a hash that have little to do with those that the index goes by.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(crate) fn upper(hash: Hash) -> u32 {
    (hash >> 32) as u32
}

/// As above.
#[cfg(not(target_pointer_width = "64"))]
pub(crate) fn upper(hash: Hash) -> u32 {
    mixed(hash)
}

/// 32 bits that depend on all of a hash in yet another way.
#[cfg(target_pointer_width = "64")]
#[inline(always)]
pub(crate) fn mixed(hash: Hash) -> u32 {
    (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

/// As above.
#[cfg(not(target_pointer_width = "64"))]
pub(crate) fn mixed(hash: Hash) -> u32 {
    let product = hash.wrapping_mul(0x9e37_79b1);
    product ^ product >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_byte_counts(hash: impl Fn(u64, &[u8]) -> u64) {
        let zeros = [0u8; 64];
        for len in 1..64 {
            assert_ne!(hash(1, &zeros[..len]), hash(1, &zeros[..len + 1]));
            assert_ne!(hash(1, &zeros[..len]), hash(2, &zeros[..len]));
            for i in 0..len {
                let mut other = zeros;
                other[i] = 1;
                let (a, b) = (hash(1, &zeros[..len]), hash(1, &other[..len]));
                assert_ne!(a, b, "byte {i} of {len}");
                assert_ne!(a as u32, b as u32, "byte {i} of {len}, lower half");
            }
        }
    }

    #[test]
    fn length_seed_and_every_byte_count() {
        every_byte_counts(|seed, key| KeyHasher::new(seed).hash(key).into());
        every_byte_counts(|seed, key| half_sip::KeyHasher::new(seed).hash(key).into());
    }
}
