//! A region for tests of what is cut from one.

#![allow(unsafe_code)]

use super::{ALIGN, Cutter};
use core::ptr::NonNull;

/// Calls with a region of `len` bytes, all zero.
pub(crate) fn with_cutter<R>(len: usize, test: impl FnOnce(&mut Cutter) -> R) -> R {
    extern crate std;
    let mut memory = std::vec![0; len + ALIGN];
    let at = memory.as_ptr().align_offset(ALIGN);
    let base = NonNull::from(&mut memory[at..at + len]).cast();
    // SAFETY: `memory` is initialised, aligned from `at` on, and nobody else's until the call ends.
    test(&mut unsafe { Cutter::new(base, len) })
}
