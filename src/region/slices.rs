//! Elements of a table as slices: for the simulations alone.

use super::Table;

impl<T: Copy> Table<T> {
    /// The `count` elements from index `from`; an empty slice if they leave the table.
    #[inline]
    pub(crate) fn slice(&self, from: u32, count: u32) -> &[T] {
        if from.checked_add(count).is_none_or(|end| end > self.len) {
            return &[];
        }
        // SAFETY: from <= len (checked above).
        let first = unsafe { self.first.add(from as usize) };
        // SAFETY: from + count <= len, initialised in `new`; `&self` excludes writers.
        unsafe { core::slice::from_raw_parts(first.as_ptr(), count as usize) }
    }

    /// As [`Table::slice`].
    #[inline]
    pub(crate) fn slice_mut(&mut self, from: u32, count: u32) -> &mut [T] {
        if from.checked_add(count).is_none_or(|end| end > self.len) {
            return &mut [];
        }
        // SAFETY: from <= len (checked above).
        let first = unsafe { self.first.add(from as usize) };
        // SAFETY: from + count <= len, initialised in `new`; `&mut self` makes us the only user.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), count as usize) }
    }
}
