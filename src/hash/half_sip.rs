//! HalfSipHash-1-3 with 32 bits of output, for processors of 32 bits: additions, rotations and nothing else.
//!
//! # Source
//! SipHash (J.-P. Aumasson, D. J. Bernstein, INDOCRYPT 2012) and its variant of words of 32 bits; the number
//! of rounds is that of the hash maps of Rust and Ruby.

#![forbid(unsafe_code)]

/// Rounds for each word, and at the end.
const ROUNDS: u32 = 1;
const LAST_ROUNDS: u32 = 3;

/// Hashes the keys of one cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyHasher {
    key: [u32; 2],
}

#[derive(Clone, Copy)]
struct State([u32; 4]);

impl State {
    #[cfg_attr(feature = "small", inline(never))]
    fn rounds(&mut self, count: u32) {
        let [mut a, mut b, mut c, mut d] = self.0;
        for _ in 0..count {
            a = a.wrapping_add(b);
            b = b.rotate_left(5) ^ a;
            a = a.rotate_left(16);
            c = c.wrapping_add(d);
            d = d.rotate_left(8) ^ c;
            a = a.wrapping_add(d);
            d = d.rotate_left(7) ^ a;
            c = c.wrapping_add(b);
            b = b.rotate_left(13) ^ c;
            c = c.rotate_left(16);
        }
        self.0 = [a, b, c, d];
    }

    fn take(&mut self, word: u32, rounds: u32) {
        self.0[3] ^= word;
        self.rounds(rounds);
        self.0[0] ^= word;
    }
}

/// Up to four bytes as a word, the first one lowest.
fn word(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn half_sip_hash(key: [u32; 2], bytes: &[u8], rounds: u32, last_rounds: u32) -> u32 {
    let [low, high] = key;
    let mut state = State([low, high, low ^ 0x6c79_6765, high ^ 0x7465_6462]);
    let (words, rest) = bytes.as_chunks::<4>();
    for bytes in words {
        state.take(u32::from_le_bytes(*bytes), rounds);
    }
    state.take(word(rest) | (bytes.len() as u32) << 24, rounds);
    state.0[2] ^= 0xff;
    state.rounds(last_rounds);
    state.0[1] ^ state.0[3]
}

impl KeyHasher {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            key: [seed as u32, (seed >> 32) as u32],
        }
    }

    pub(crate) fn hash(&self, key: &[u8]) -> u32 {
        half_sip_hash(self.key, key, ROUNDS, LAST_ROUNDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference implementation's first vectors, of HalfSipHash-2-4 with 32 bits of output.
    #[test]
    fn agrees_with_the_reference() {
        let key = [0x0302_0100, 0x0706_0504];
        let bytes: [u8; 4] = [0, 1, 2, 3];
        for (len, hash) in [
            (0, [0xa9, 0x35, 0x9f, 0x5b]),
            (1, [0x27, 0x47, 0x5a, 0xb8]),
            (2, [0xfa, 0x62, 0xa6, 0x03]),
            (3, [0x8a, 0xfe, 0xe7, 0x04]),
            (4, [0x2a, 0x6e, 0x46, 0x89]),
        ] {
            let got = half_sip_hash(key, &bytes[..len], 2, 4);
            assert_eq!(got.to_le_bytes(), hash, "{len} bytes");
        }
    }
}
