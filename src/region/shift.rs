//! A region that one process after another uses, each at an address of its own: the pointers in it follow.

use super::{Bytes, Shared, Table};
use core::ptr::NonNull;

/// How far a region lies from where it lay for those who wrote the pointers in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shift {
    from: usize,
    to: NonNull<u8>,
}

impl Shift {
    /// From the region's address by then to the one that it has now.
    pub(crate) fn new(from: usize, to: NonNull<u8>) -> Self {
        Self { from, to }
    }

    /// Where that lies now.
    fn of<T>(&self, pointer: NonNull<T>) -> NonNull<T> {
        let at = (pointer.as_ptr() as usize).wrapping_sub(self.from);
        NonNull::new(self.to.as_ptr().wrapping_add(at).cast()).unwrap_or(pointer)
    }
}

impl Bytes {
    /// The run lies elsewhere now, and so may what its own pointers say.
    pub(crate) fn shift(&mut self, by: &Shift) {
        (self.base, self.settled) = (by.of(self.base), 0);
    }
}

impl<T> Table<T> {
    /// The table lies elsewhere now.
    pub(crate) fn shift(&mut self, by: &Shift) {
        self.first = by.of(self.first);
    }
}

impl<T> Shared<T> {
    /// The value lies elsewhere now.
    pub(crate) fn shift(&mut self, by: &Shift) {
        self.0 = by.of(self.0);
    }
}
