//! The bytes of a region: the only place where raw memory becomes words, slices and tables.
//!
//! # Invariants
//! 1. `base .. base + len` is memory that the caller gave to larder alone (guaranteed by whoever
//!    calls the `unsafe` constructors: the region's `init` functions).
//! 2. Nothing outside those bounds is ever touched: each access is checked here. One that is out of
//!    bounds reads zero or does nothing, so a broken invariant above can never corrupt the host.
//!
//! # Not here
//! Who owns which bytes: `page`. What they mean: `item`, `segment`.
#![allow(unsafe_code)]

mod runs;

pub(crate) use runs::copy;
use runs::{copy_short, same};

use crate::status::{Error, Result};
use core::ops::Deref;
use core::ptr::NonNull;

/// Every region starts at a multiple of this many bytes.
pub const ALIGN: usize = 16;

/// What tables, and other values of words and pointers, are aligned to.
const TABLE_ALIGN: usize = 8;

/// Whether `base` may be the start of a region of `len` bytes: aligned, and not longer than memory.
pub(crate) fn check_region(base: NonNull<u8>, len: usize) -> Result<()> {
    let address = base.as_ptr() as usize;
    if !address.is_multiple_of(ALIGN) {
        return Err(Error::Misaligned);
    }
    if len > isize::MAX as usize || address.checked_add(len).is_none() {
        return Err(Error::Invalid);
    }
    Ok(())
}

/// Rounds up to a multiple of a power of two; `None` on overflow.
#[inline]
pub(crate) const fn align_up(n: usize, align: usize) -> Option<usize> {
    match n.checked_add(align - 1) {
        Some(sum) => Some(sum & !(align - 1)),
        None => None,
    }
}

#[inline(always)]
fn prefetch(p: NonNull<u8>) {
    #[cfg(all(target_arch = "x86_64", target_feature = "sse"))]
    // SAFETY: a prefetch reads nothing that a program can see, whatever the address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(p.as_ptr().cast())
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("prfm pldl1keep, [{p}]", p = in(reg) p.as_ptr(), options(nostack, readonly, preserves_flags))
    };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = p;
}

/// What was stored before lies in memory before what is stored from here on, for whoever finds the region
/// after its owner was stopped between two stores.
#[inline]
pub(crate) fn barrier() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// A run of bytes, read and written in words of four bytes and in slices.
#[derive(Debug)]
pub(crate) struct Bytes {
    base: NonNull<u8>,
    len: usize,
    /// Whole words in it.
    words: usize,
}

impl Bytes {
    /// # Safety
    /// `base .. base + len` is initialised memory, aligned to [`ALIGN`], that nobody else touches
    /// while the value lives.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self {
            base,
            len,
            words: len / 4,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The word at a word index; zero outside the bounds.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn word(&self, at: usize) -> u32 {
        if at >= self.words {
            return 0;
        }
        // SAFETY: at < words (checked above), so the word lies inside the run (inv. 1).
        let p = unsafe { self.base.cast::<u32>().add(at) };
        // SAFETY: inside the run, and aligned since `base` is.
        unsafe { p.read() }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn set_word(&mut self, at: usize, word: u32) {
        if at >= self.words {
            return;
        }
        // SAFETY: at < words (checked above), so the word lies inside the run (inv. 1).
        let p = unsafe { self.base.cast::<u32>().add(at) };
        // SAFETY: inside the run, aligned since `base` is, and `&mut self` makes us the only writer.
        unsafe { p.write(word) }
    }

    /// `len` bytes at byte offset `at`; an empty slice if they leave the run.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn slice(&self, at: usize, len: usize) -> &[u8] {
        if !self.holds(at, len) {
            return &[];
        }
        // SAFETY: at <= self.len (checked above).
        let p = unsafe { self.base.add(at) };
        // SAFETY: at + len <= self.len (checked above); nobody writes while `&self` is held (inv. 1).
        unsafe { core::slice::from_raw_parts(p.as_ptr(), len) }
    }

    /// Whether `at .. at + len` lies inside.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn holds(&self, at: usize, len: usize) -> bool {
        at.checked_add(len).is_some_and(|end| end <= self.len)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn slice_mut(&mut self, at: usize, len: usize) -> &mut [u8] {
        if !self.holds(at, len) {
            return &mut [];
        }
        // SAFETY: at <= self.len (checked above).
        let p = unsafe { self.base.add(at) };
        // SAFETY: at + len <= self.len (checked above); `&mut self` makes us the only user (inv. 1).
        unsafe { core::slice::from_raw_parts_mut(p.as_ptr(), len) }
    }

    /// Whether the bytes at byte offset `at` are these.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn equal(&self, at: usize, other: &[u8]) -> bool {
        if !self.holds(at, other.len()) {
            return false;
        }
        // SAFETY: at <= self.len (checked above).
        let p = unsafe { self.base.add(at) };
        // SAFETY: as in `slice`.
        let here = unsafe { core::slice::from_raw_parts(p.as_ptr(), other.len()) };
        same(here, other)
    }

    /// Asks the processor to fetch the line that byte offset `at` lies in; a hint, where there is one.
    #[inline(always)]
    pub(crate) fn prefetch(&self, at: usize) {
        if let Some(p) = self.pointer(at, 1) {
            prefetch(p);
        }
    }

    /// Copies bytes from byte offset `at`; nothing if they leave the run.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn copy_out(&self, at: usize, to: &mut [u8]) {
        if !self.holds(at, to.len()) {
            return;
        }
        // SAFETY: at <= self.len (checked above).
        let p = unsafe { self.base.add(at) };
        // SAFETY: as in `slice`.
        let from = unsafe { core::slice::from_raw_parts(p.as_ptr(), to.len()) };
        copy_short(to, from);
    }

    /// Copies bytes to byte offset `at`; nothing if they leave the run.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn copy_in(&mut self, at: usize, from: &[u8]) {
        if !self.holds(at, from.len()) {
            return;
        }
        // SAFETY: at <= self.len (checked above).
        let p = unsafe { self.base.add(at) };
        // SAFETY: as in `slice_mut`.
        let to = unsafe { core::slice::from_raw_parts_mut(p.as_ptr(), from.len()) };
        copy_short(to, from);
    }

    /// Copies `len` bytes from one byte offset to another; the two runs may overlap.
    pub(crate) fn copy_within(&mut self, from: usize, to: usize, len: usize) {
        if !self.holds(from, len) || !self.holds(to, len) {
            return;
        }
        // SAFETY: from <= self.len (checked above).
        let source = unsafe { self.base.add(from) };
        // SAFETY: to <= self.len (checked above).
        let target = unsafe { self.base.add(to) };
        // SAFETY: both runs lie inside (checked above), and `copy_to` allows overlap.
        unsafe { source.copy_to(target, len) }
    }

    pub(crate) fn zero(&mut self, at: usize, len: usize) {
        self.slice_mut(at, len).fill(0);
    }

    /// A pointer to byte offset `at`, with `len` bytes behind it inside the run.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn pointer(&self, at: usize, len: usize) -> Option<NonNull<u8>> {
        if !self.holds(at, len) {
            return None;
        }
        // SAFETY: at + len <= self.len (checked above).
        Some(unsafe { self.base.add(at) })
    }
}

/// A table of `len` elements cut from a region.
///
/// No index is ever out of range; one that were would reach the first element, so that no access can
/// panic or leave the table.
#[derive(Debug)]
pub(crate) struct Table<T> {
    first: NonNull<T>,
    len: u32,
}

impl<T: Copy> Table<T> {
    /// Bytes that a table of `len` elements takes, with what the next table is padded by.
    pub(crate) const fn size(len: usize) -> Option<usize> {
        let len = if len == 0 { 1 } else { len };
        match len.checked_mul(size_of::<T>()) {
            Some(size) => align_up(size, TABLE_ALIGN),
            None => None,
        }
    }

    /// # Safety
    /// `at` is aligned for `T`, `Self::size(len)` bytes behind it are nobody else's while the value
    /// lives.
    pub(crate) unsafe fn new(at: NonNull<u8>, len: u32, fill: T) -> Self {
        let first = at.cast::<T>();
        for i in 0..len.max(1) as usize {
            // SAFETY: i < max(len, 1), and the caller gave so many elements.
            let element = unsafe { first.add(i) };
            // SAFETY: the caller gave this memory, aligned.
            unsafe { element.write(fill) };
        }
        Self { first, len }
    }

    /// As [`Table::new`], each element made of the words that lie in its place.
    ///
    /// # Safety
    /// As for [`Table::new`]; the bytes are initialised.
    unsafe fn remake<const WORDS: usize>(
        at: NonNull<u8>,
        len: u32,
        mut make: impl FnMut(&[u32; WORDS]) -> T,
    ) -> Self {
        const { assert!(size_of::<T>() == 4 * WORDS && align_of::<T>() >= 4) };
        let first = at.cast::<T>();
        for i in 0..len as usize {
            // SAFETY: i < len, and the caller gave so many elements.
            let element = unsafe { first.add(i) };
            // SAFETY: the caller gave this memory, aligned and initialised; words may be any bits.
            let words = unsafe { element.cast::<[u32; WORDS]>().read() };
            // SAFETY: as above.
            unsafe { element.write(make(&words)) };
        }
        Self { first, len }
    }

    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn at(&self, i: u32) -> &T {
        debug_assert!(i < self.len);
        let i = if i < self.len { i } else { 0 };
        // SAFETY: i < len, or 0; max(len, 1) elements were initialised in `new`.
        let element = unsafe { self.first.add(i as usize) };
        // SAFETY: initialised in `new`; `&self` forbids writers.
        unsafe { element.as_ref() }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn at_mut(&mut self, i: u32) -> &mut T {
        debug_assert!(i < self.len);
        let i = if i < self.len { i } else { 0 };
        // SAFETY: i < len, or 0; max(len, 1) elements were initialised in `new`.
        let mut element = unsafe { self.first.add(i as usize) };
        // SAFETY: initialised in `new`; `&mut self` makes us the only user.
        unsafe { element.as_mut() }
    }
}

#[cfg(not(feature = "one-rule"))]
impl<T: Copy> Table<T> {
    /// `count` elements from `from` on; none where they are not all there.
    #[inline]
    pub(crate) fn slice(&self, from: u32, count: u32) -> &[T] {
        if from.checked_add(count).is_none_or(|end| end > self.len) {
            return &[];
        }
        // SAFETY: from <= len (checked above).
        let first = unsafe { self.first.add(from as usize) };
        // SAFETY: from + count <= len, initialised in `new`; `&self` forbids writers.
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

/// A value that was written into a region once and is only read from then on.
#[derive(Debug)]
pub(crate) struct Shared<T>(NonNull<T>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: written by `Place::fill` into bytes that nobody else gets, and never changed.
        unsafe { self.0.as_ref() }
    }
}

/// Where a [`Shared`] value is to be.
#[derive(Debug)]
pub(crate) struct Place<T>(NonNull<T>);

impl<T> Place<T> {
    pub(crate) fn fill(self, value: T) -> Shared<T> {
        // SAFETY: cut for this value alone, aligned (`Cutter::place`).
        unsafe { self.0.write(value) };
        Shared(self.0)
    }
}

/// Cuts a region from its start: headers and tables first, the page area last.
#[derive(Debug)]
pub(crate) struct Cutter {
    base: NonNull<u8>,
    len: usize,
    used: usize,
    cuts: u32,
}

impl Cutter {
    /// # Safety
    /// As for [`Bytes::new`]; what is cut lives as long as the region is larder's.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self {
            base,
            len,
            used: 0,
            cuts: 0,
        }
    }

    /// Bytes cut so far, padding included.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Number of cuts made.
    pub(crate) fn cuts(&self) -> u32 {
        self.cuts
    }

    /// The next `size` bytes, aligned to [`ALIGN`].
    pub(crate) fn cut(&mut self, size: usize) -> Option<NonNull<u8>> {
        self.cut_aligned(size, ALIGN)
    }

    fn cut_aligned(&mut self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let at = align_up(self.used, align)?;
        let end = at.checked_add(size)?;
        if end > self.len {
            return None;
        }
        self.used = end;
        self.cuts += 1;
        // SAFETY: at <= end <= len (checked above), inside the caller's region.
        Some(unsafe { self.base.add(at) })
    }

    /// A table of `len` elements.
    pub(crate) fn table<T: Copy>(&mut self, len: u32, fill: T) -> Option<Table<T>> {
        const { assert!(align_of::<T>() <= TABLE_ALIGN) };
        let at = self.cut_aligned(Table::<T>::size(len as usize)?, TABLE_ALIGN)?;
        // SAFETY: `cut_aligned` aligned the bytes, and hands out each byte once.
        Some(unsafe { Table::new(at, len, fill) })
    }

    /// A table of `len` elements, each made of the words that an earlier owner of the region left in its
    /// place. At least one.
    pub(crate) fn table_from<T: Copy, const WORDS: usize>(
        &mut self,
        len: u32,
        make: impl FnMut(&[u32; WORDS]) -> T,
    ) -> Option<Table<T>> {
        const { assert!(align_of::<T>() <= TABLE_ALIGN) };
        let at = self.cut_aligned(Table::<T>::size(len as usize)?, TABLE_ALIGN)?;
        // SAFETY: `cut_aligned` aligned the bytes, and hands out each byte once; the region is
        // initialised memory.
        (len > 0).then(|| unsafe { Table::remake(at, len, make) })
    }

    /// A place for a value that everybody is to read.
    pub(crate) fn place<T>(&mut self) -> Option<Place<T>> {
        const { assert!(align_of::<T>() <= TABLE_ALIGN) };
        let at = self.cut_aligned(size_of::<T>(), TABLE_ALIGN)?;
        Some(Place(at.cast()))
    }

    /// A run of bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Option<Bytes> {
        let at = self.cut(len)?;
        // SAFETY: `cut` aligned the bytes, and hands out each byte once.
        Some(unsafe { Bytes::new(at, len) })
    }
}

/// Writes a value that uses few of its bytes, and zero to the others, where bytes of the stack would lie.
#[inline(always)]
pub(crate) fn clean<T>(at: &mut T, value: T) {
    let at = core::ptr::from_mut(at);
    // SAFETY: the bytes of `at`, which get a value right behind this.
    unsafe { at.write_bytes(0, 1) };
    // SAFETY: as above.
    unsafe { at.write(value) };
}

#[cfg(test)]
pub(crate) use tests::with_cutter;

#[cfg(test)]
mod tests;
