//! Damage to a region: random changes of bits, words, runs and pages, and changes aimed at descriptors and headers.

use crate::common::{DESCRIPTOR, Rng};
use crate::image::Image;

/// Numbers at the ends of ranges.
const ENDS: [u32; 12] = [
    0,
    1,
    2,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    u32::MAX,
];

/// Makes one random change.
pub(crate) fn damage(image: &mut Image, rng: &mut Rng) {
    match rng.below(20) {
        0 => flip(&mut image.bytes, rng),
        1 => set_byte(&mut image.bytes, rng),
        2..5 => set_word(&mut image.bytes, rng),
        5 => fill(&mut image.bytes, rng),
        6 => copy(&mut image.bytes, rng),
        7 => swap_blocks(&mut image.bytes, rng),
        8 if rng.one_in(4) => resize(&mut image.bytes, rng),
        8..13 => change_descriptor(image, rng),
        _ => change_header(&mut image.bytes, rng),
    }
}

/// An offset of a multiple of four bytes.
fn place(bytes: &[u8], rng: &mut Rng) -> usize {
    // The first words of a region are more important, so they are more likely.
    let words = bytes.len() / 4;
    let word = if rng.one_in(3) {
        rng.log_uniform(1, words) - 1
    } else {
        rng.below(words)
    };
    word * 4
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn put_word(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
}

/// A random word, one of `ENDS`, another word of the region, or the old word with a small change.
fn some_word(bytes: &[u8], at: usize, rng: &mut Rng) -> u32 {
    match rng.below(5) {
        0 => rng.next() as u32,
        1 => ENDS[rng.below(ENDS.len())],
        2 => word_at(bytes, place(bytes, rng)),
        3 => word_at(bytes, at) ^ 1 << rng.below(32),
        _ => word_at(bytes, at)
            .wrapping_add(rng.below(33) as u32)
            .wrapping_sub(16),
    }
}

fn flip(bytes: &mut [u8], rng: &mut Rng) {
    let at = place(bytes, rng) + rng.below(4);
    bytes[at] ^= 1 << rng.below(8);
}

fn set_byte(bytes: &mut [u8], rng: &mut Rng) {
    let at = place(bytes, rng) + rng.below(4);
    bytes[at] = rng.below(256) as u8;
}

fn set_word(bytes: &mut [u8], rng: &mut Rng) {
    let at = place(bytes, rng);
    let word = some_word(bytes, at, rng);
    put_word(bytes, at, word);
}

/// A random start and length; all orders of magnitude of the length are equally likely.
fn run(bytes: &[u8], rng: &mut Rng) -> (usize, usize) {
    let at = place(bytes, rng);
    (at, rng.log_uniform(1, bytes.len() - at))
}

fn fill(bytes: &mut [u8], rng: &mut Rng) {
    let (at, len) = run(bytes, rng);
    let with = rng.below(3);
    for byte in &mut bytes[at..at + len] {
        *byte = [0, 0xff, rng.below(256) as u8][with];
    }
}

fn copy(bytes: &mut [u8], rng: &mut Rng) {
    let (from, len) = run(bytes, rng);
    let to = place(bytes, rng);
    let len = len.min(bytes.len() - to);
    bytes.copy_within(from..from + len, to);
}

fn swap_blocks(bytes: &mut [u8], rng: &mut Rng) {
    let size = 16 << rng.below(10);
    let blocks = bytes.len() / size;
    if blocks < 2 {
        return;
    }
    let skew = if rng.one_in(2) { bytes.len() % size } else { 0 };
    let (a, b) = (rng.below(blocks), rng.below(blocks));
    for i in 0..size {
        bytes.swap(a * size + skew + i, b * size + skew + i);
    }
}

/// Shortens the region, or adds bytes to its end.
fn resize(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let len = rng.log_uniform(1, bytes.len() * 2);
    let with = rng.below(256) as u8;
    bytes.resize(len, with);
}

/// Changes a field of a page's descriptor: its neighbours, `live`, `first`, `due`, `era` or owner.
fn change_descriptor(image: &mut Image, rng: &mut Rng) {
    let (start, count) = image.descriptors[rng.below(image.descriptors.len())];
    let at = start + rng.below(count) * DESCRIPTOR;
    let other = start + rng.below(count) * DESCRIPTOR;
    let bytes = &mut image.bytes;
    if start + count * DESCRIPTOR > bytes.len() {
        return;
    }
    match rng.below(8) {
        0 => bytes[at + 14] = rng.below(8) as u8,
        1 => bytes[at + 14] = bytes[other + 14],
        2 | 3 => {
            let field = at + 2 * rng.below(4);
            let half = match rng.below(3) {
                0 => rng.log_uniform(0, 65_535),
                1 => rng.below(count + 2),
                _ => 65_535,
            };
            bytes[field..field + 2].copy_from_slice(&(half as u16).to_ne_bytes());
        }
        4 => {
            let due = some_word(bytes, at + 8, rng);
            put_word(bytes, at + 8, due);
        }
        5 => bytes[at + 12] = rng.below(6) as u8,
        6 => bytes.copy_within(at..at + DESCRIPTOR, other),
        _ => {
            for i in 0..DESCRIPTOR {
                bytes.swap(at + i, other + i);
            }
        }
    }
}

/// Changes a word that may be an item's first one (lengths, uses, state, type), or a word after it.
fn change_header(bytes: &mut [u8], rng: &mut Rng) {
    let start = place(bytes, rng);
    let last = bytes.len().saturating_sub(3);
    let is_head = |word: u32| (4..=90).contains(&(word & 0xff)) && word >> 8 != 0;
    let Some(at) = (start..last)
        .step_by(4)
        .take(200)
        .find(|&at| is_head(word_at(bytes, at)))
    else {
        return;
    };
    let word = word_at(bytes, at);
    let word = match rng.below(8) {
        0 => word ^ 1 << 26,
        1 => word ^ 1 << (27 + rng.below(2)),
        2 => word ^ 3 << 24,
        3 => word & !0xff | rng.below(256) as u32,
        4 => word & !(0xffff << 8) | (rng.log_uniform(0, 65_535) as u32) << 8,
        5 => {
            word & !(0xffff << 8)
                | (word >> 8)
                    .wrapping_add(rng.below(9) as u32)
                    .wrapping_sub(4)
                    << 8
                    & 0xff_ff00
        }
        _ => (rng.below(8) as u32) << 29 | word & 0x1fff_ffff,
    };
    put_word(bytes, at, word);
    if rng.one_in(3) {
        // The next words are links, expiry, lengths and pages.
        let at = (at + 4 * (1 + rng.below(6))).min(last / 4 * 4 - 4);
        let word = some_word(bytes, at, rng);
        put_word(bytes, at, word);
    }
}
