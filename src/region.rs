//! The bytes of a region: the only module that turns raw memory into words, slices and tables.
//!
//! # Invariants
//! 1. `base .. base + len` is memory that the caller gave to larder alone. The callers of the `unsafe`
//!    constructors guarantee this: the region's `init` functions.
//! 2. No access leaves those bounds: this module checks each one. A read out of bounds returns zero, a write
//!    does nothing. So a broken invariant in a higher module cannot corrupt the host.
//!
//! # Not here
//! The owners of the bytes: `page`. Their meaning: `item`, `segment`.
#![allow(unsafe_code)]

mod runs;
#[cfg(feature = "hosted")]
mod shift;
#[cfg(not(feature = "one-rule"))]
mod slices;

pub(crate) use runs::copy;
use runs::{copy_short, same};
#[cfg(feature = "hosted")]
pub(crate) use shift::Shift;

use crate::status::{Error, Result};
use core::ops::Deref;
use core::ptr::NonNull;

/// Every region starts at a multiple of this many bytes.
pub const ALIGN: usize = 16;

/// Alignment of tables, and of other values that consist of words and pointers.
const TABLE_ALIGN: usize = 8;

/// Checks that a region may start at `base` and have `len` bytes: it is aligned and ends inside the address space.
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
    // SAFETY: a prefetch has no effect that a program can see, at any address.
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

/// Orders stores: those before the barrier reach memory before those behind it. So a process that attaches
/// to the region after a crash between two stores finds the earlier one.
#[inline]
pub(crate) fn barrier() {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// A run of bytes, read and written in words of four bytes and in slices.
#[derive(Debug)]
pub(crate) struct Bytes {
    base: NonNull<u8>,
    len: usize,
    /// Number of whole words.
    words: usize,
    /// `len`, or 0 once the run was found at another address: pointers that lie in it may be of before.
    #[cfg(feature = "hosted")]
    settled: usize,
}

impl Bytes {
    /// # Safety
    /// `base .. base + len` is initialised memory, aligned to [`ALIGN`]. Only this value accesses that memory
    /// while the value lives.
    pub(crate) unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self {
            base,
            len,
            words: len / 4,
            #[cfg(feature = "hosted")]
            settled: len,
        }
    }

    /// As [`Bytes::pointer`]; `None` also where pointers behind it may be of another address.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn settled_pointer(&self, at: usize, len: usize) -> Option<NonNull<u8>> {
        #[cfg(feature = "hosted")]
        if at.checked_add(len).is_none_or(|end| end > self.settled) {
            return None;
        }
        #[cfg(not(feature = "hosted"))]
        if !self.holds(at, len) {
            return None;
        }
        // SAFETY: at + len <= self.len: `settled` is no more (checked above).
        Some(unsafe { self.base.add(at) })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The word at index `at`, counted in words; zero outside the bounds.
    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn word(&self, at: usize) -> u32 {
        if at >= self.words {
            return 0;
        }
        // SAFETY: at < words (checked above), so the word is inside the run (inv. 1).
        let p = unsafe { self.base.cast::<u32>().add(at) };
        // SAFETY: the word is inside the run, and aligned since `base` is.
        unsafe { p.read() }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn set_word(&mut self, at: usize, word: u32) {
        if at >= self.words {
            return;
        }
        // SAFETY: at < words (checked above), so the word is inside the run (inv. 1).
        let p = unsafe { self.base.cast::<u32>().add(at) };
        // SAFETY: the word is inside the run, and aligned since `base` is; `&mut self` excludes other accesses.
        unsafe { p.write(word) }
    }

    /// The `len` bytes from byte offset `at`; an empty slice if they leave the run.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn slice(&self, at: usize, len: usize) -> &[u8] {
        if !self.holds(at, len) {
            return &[];
        }
        // SAFETY: at <= self.len (checked above).
        let p = unsafe { self.base.add(at) };
        // SAFETY: at + len <= self.len (checked above); `&self` excludes writers (inv. 1).
        unsafe { core::slice::from_raw_parts(p.as_ptr(), len) }
    }

    /// Whether `at .. at + len` is inside the run.
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
        // SAFETY: at + len <= self.len (checked above); `&mut self` excludes other accesses (inv. 1).
        unsafe { core::slice::from_raw_parts_mut(p.as_ptr(), len) }
    }

    /// Whether the bytes from byte offset `at` equal `other`.
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

    /// Hints the processor to fetch the cache line of byte offset `at`. Does nothing on processors without the hint.
    #[inline(always)]
    pub(crate) fn prefetch(&self, at: usize) {
        if let Some(p) = self.pointer(at, 1) {
            prefetch(p);
        }
    }

    /// Copies `to.len()` bytes from byte offset `at` to `to`. Does nothing if they leave the run.
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

    /// Copies `from` to byte offset `at`. Does nothing if the bytes leave the run.
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

    /// Copies `len` bytes from one byte offset to another; the two ranges may overlap.
    pub(crate) fn copy_within(&mut self, from: usize, to: usize, len: usize) {
        if !self.holds(from, len) || !self.holds(to, len) {
            return;
        }
        // SAFETY: from <= self.len (checked above).
        let source = unsafe { self.base.add(from) };
        // SAFETY: to <= self.len (checked above).
        let target = unsafe { self.base.add(to) };
        // SAFETY: both ranges are inside the run (checked above), and `copy_to` allows overlap.
        unsafe { source.copy_to(target, len) }
    }

    pub(crate) fn zero(&mut self, at: usize, len: usize) {
        self.slice_mut(at, len).fill(0);
    }

    /// A pointer to byte offset `at`. `None` if the `len` bytes from there leave the run.
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
/// Callers pass indices below `len`. An index out of range accesses the first element, so no access can
/// panic or leave the table.
#[derive(Debug)]
pub(crate) struct Table<T> {
    first: NonNull<T>,
    len: u32,
}

impl<T: Copy> Table<T> {
    /// Bytes of a table of `len` elements, padded to [`TABLE_ALIGN`] for the next table.
    pub(crate) const fn size(len: usize) -> Option<usize> {
        let len = if len == 0 { 1 } else { len };
        match len.checked_mul(size_of::<T>()) {
            Some(size) => align_up(size, TABLE_ALIGN),
            None => None,
        }
    }

    /// # Safety
    /// `at` is aligned for `T`. The `Self::size(len)` bytes from `at` belong to the table alone while the
    /// value lives.
    pub(crate) unsafe fn new(at: NonNull<u8>, len: u32, fill: T) -> Self {
        let first = at.cast::<T>();
        for i in 0..len.max(1) as usize {
            // SAFETY: i < max(len, 1), and the caller gave memory for that number of elements.
            let element = unsafe { first.add(i) };
            // SAFETY: the caller gave this memory, aligned.
            unsafe { element.write(fill) };
        }
        Self { first, len }
    }

    /// As [`Table::new`], but `make` computes each element from the words already in its place.
    ///
    /// # Safety
    /// As for [`Table::new`]; also, the bytes are initialised.
    unsafe fn remake<const WORDS: usize>(
        at: NonNull<u8>,
        len: u32,
        mut make: impl FnMut(&[u32; WORDS]) -> T,
    ) -> Self {
        const { assert!(size_of::<T>() == 4 * WORDS && align_of::<T>() >= 4) };
        let first = at.cast::<T>();
        for i in 0..len as usize {
            // SAFETY: i < len, and the caller gave memory for `len` elements.
            let element = unsafe { first.add(i) };
            // SAFETY: the caller gave this memory, aligned and initialised; any bits are a valid `u32`.
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
        // SAFETY: initialised in `new`; `&self` excludes writers.
        unsafe { element.as_ref() }
    }

    #[cfg_attr(not(feature = "small"), inline)]
    #[cfg_attr(feature = "small", inline(never))]
    pub(crate) fn at_mut(&mut self, i: u32) -> &mut T {
        debug_assert!(i < self.len);
        let i = if i < self.len { i } else { 0 };
        // SAFETY: i < len, or 0; max(len, 1) elements were initialised in `new`.
        let mut element = unsafe { self.first.add(i as usize) };
        // SAFETY: initialised in `new`; `&mut self` excludes other accesses.
        unsafe { element.as_mut() }
    }
}

/// A value in a region that is written once and only read afterwards.
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
        // SAFETY: `Place::fill` wrote the value into bytes cut for it alone; the value never changes.
        unsafe { self.0.as_ref() }
    }
}

/// Uninitialised bytes of a region that [`Place::fill`] turns into a [`Shared`] value.
#[derive(Debug)]
pub(crate) struct Place<T>(NonNull<T>);

impl<T> Place<T> {
    /// Another process has filled it.
    #[cfg(feature = "hosted")]
    pub(crate) fn filled(self) -> Shared<T> {
        Shared(self.0)
    }

    pub(crate) fn fill(self, value: T) -> Shared<T> {
        // SAFETY: `Cutter::place` cut aligned bytes for this value alone.
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
    /// As for [`Bytes::new`]; values made from the cuts do not outlive larder's use of the region.
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
        // SAFETY: at <= end <= len (checked above), so the address is inside the caller's region.
        Some(unsafe { self.base.add(at) })
    }

    /// A table of `len` elements.
    pub(crate) fn table<T: Copy>(&mut self, len: u32, fill: T) -> Option<Table<T>> {
        const { assert!(align_of::<T>() <= TABLE_ALIGN) };
        let at = self.cut_aligned(Table::<T>::size(len as usize)?, TABLE_ALIGN)?;
        // SAFETY: `cut_aligned` aligned the bytes, and cuts each byte once.
        Some(unsafe { Table::new(at, len, fill) })
    }

    /// A table of `len` elements, at least one. `make` computes each element from the words that an earlier
    /// owner of the region left in its place.
    pub(crate) fn table_from<T: Copy, const WORDS: usize>(
        &mut self,
        len: u32,
        make: impl FnMut(&[u32; WORDS]) -> T,
    ) -> Option<Table<T>> {
        const { assert!(align_of::<T>() <= TABLE_ALIGN) };
        let at = self.cut_aligned(Table::<T>::size(len as usize)?, TABLE_ALIGN)?;
        // SAFETY: `cut_aligned` aligned the bytes, and cuts each byte once; the region is initialised
        // memory.
        (len > 0).then(|| unsafe { Table::remake(at, len, make) })
    }

    /// The place of a value that all handles read.
    pub(crate) fn place<T>(&mut self) -> Option<Place<T>> {
        const { assert!(align_of::<T>() <= TABLE_ALIGN) };
        let at = self.cut_aligned(size_of::<T>(), TABLE_ALIGN)?;
        Some(Place(at.cast()))
    }

    /// A run of bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Option<Bytes> {
        let at = self.cut(len)?;
        // SAFETY: `cut` aligned the bytes, and cuts each byte once.
        Some(unsafe { Bytes::new(at, len) })
    }
}

/// Writes a value and sets its unused bytes to zero. A plain assignment would copy bytes of the stack there.
#[inline(always)]
pub(crate) fn clean<T>(at: &mut T, value: T) {
    let at = core::ptr::from_mut(at);
    // SAFETY: `at` is a valid `&mut T`; the next statement writes a value over the zeroes.
    unsafe { at.write_bytes(0, 1) };
    // SAFETY: as above.
    unsafe { at.write(value) };
}

#[cfg(test)]
pub(crate) use tests::with_cutter;

#[cfg(test)]
mod tests;
