//! Comparing and copying short runs of bytes without a call.
#![allow(unsafe_code)]

/// Compares two runs of the same length. Runs of 16 to 32 bytes take two overlapping reads; most keys have
/// this length.
#[cfg_attr(not(feature = "small"), inline(always))]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    match (a.first_chunk::<16>(), b.first_chunk::<16>()) {
        (Some(first), Some(other)) if a.len() <= 32 => {
            first == other && a.last_chunk::<16>() == b.last_chunk::<16>()
        }
        _ => a == b,
    }
}

/// Copies as many bytes as the shorter run has. `copy_from_slice` contains a panic for different lengths,
/// which a compiler that optimizes for size does not remove.
#[cfg_attr(not(feature = "small"), inline(always))]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let len = to.len().min(from.len());
    // SAFETY: both runs have `len` bytes, and `&mut` keeps them apart.
    unsafe { core::ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), len) };
}

/// Copies `from` by two overlapping moves if it has `N` to `2 * N` bytes. Returns whether it did.
#[inline(always)]
fn copy_twice<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
    if from.len() > 2 * N {
        return false;
    }
    let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
        return false;
    };
    if let Some(to) = to.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = to.last_chunk_mut() {
        *to = *last;
    }
    true
}

/// Copies a run to another of the same length. Keys and short values are copied without a call.
#[cfg_attr(not(feature = "small"), inline(always))]
pub(super) fn copy_short(to: &mut [u8], from: &[u8]) {
    let is_done = !cfg!(feature = "small")
        && (copy_twice::<16>(to, from) || copy_twice::<32>(to, from) || copy_twice::<8>(to, from));
    if !is_done {
        copy(to, from);
    }
}
