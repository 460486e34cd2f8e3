//! A region for the tests of values that are cut from a region.

#![allow(unsafe_code)]

use super::{ALIGN, Cutter};
use core::ptr::NonNull;

/// Calls `test` with a region of `len` zero bytes.
pub(crate) fn with_cutter<R>(len: usize, test: impl FnOnce(&mut Cutter) -> R) -> R {
    extern crate std;
    let mut memory = std::vec![0; len + ALIGN];
    let at = memory.as_ptr().align_offset(ALIGN);
    let base = NonNull::from(&mut memory[at..at + len]).cast();
    // SAFETY: `memory` is initialised, aligned from `at`, and borrowed until the call ends.
    test(&mut unsafe { Cutter::new(base, len) })
}
