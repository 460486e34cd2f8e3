//! One segment of the index: a hashbrown table of fixed capacity.
//!
//! # Layout
//! ```text
//! word 0   | segment 1 | depth 31 |     word 1   prefix
//! then     the table's head: pointer, mask, counts
//! then     the table's block: buckets, then control bytes
//! then     ghosts, four in a word
//! ```
//!
//! # Invariants
//! 1. A table is made with its final capacity and never grows: each insert checks [`Segment::has_room`]
//!    first. So hashbrown's growing path is dead code and is not linked.
//! 2. The head points to the block beside it, so a segment never moves. Its entries may move to another segment.
//!
//! # Source
//! hashbrown (Swiss tables, A. Kulukundis et al., CppCon 2017).
#![allow(unsafe_code)]

use crate::ghost;
use crate::hash::{Hash, wide};
use crate::limits::narrow;
use crate::page::{GRANULE, Id, Pages};
use crate::planted;
use allocator_api2::alloc::{AllocError, Allocator, Layout};
use core::ptr::NonNull;
use hashbrown::HashTable;

type Entries = HashTable<u32, Block>;

/// The only block of a table, inside the segment's slot. Freeing the block does nothing: the slab frees the slot.
struct Block {
    at: NonNull<u8>,
}

// SAFETY: a block is allocated once, by the table made with it. Its slot lives as long as the table. A table of
// that capacity requests no more than the block (test `a_table_takes_exactly_its_block`).
unsafe impl Allocator for Block {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(layout.align() <= 16);
        Ok(NonNull::slice_from_raw_parts(self.at, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

/// hashbrown uses this trait if the program enables `hashbrown/nightly`.
// SAFETY: as above.
#[cfg(feature = "nightly")]
unsafe impl core::alloc::Allocator for Block {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, core::alloc::AllocError> {
        Allocator::allocate(self, layout).map_err(|_| core::alloc::AllocError)
    }

    #[inline]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

/// Control bytes behind the last bucket: the widest group that hashbrown probes at once.
const GROUP: usize = 16;
const HEAD: usize = 8;
const BLOCK_AT: usize = (HEAD + size_of::<Entries>()).next_multiple_of(16);

/// Number of buckets of a segment. Small pages have small segments, so that little of a page stays unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buckets {
    B32,
    B64,
    B128,
}

/// The maximum number of entries of a segment.
pub(crate) const ENTRIES_MAX: usize = if cfg!(feature = "small") {
    Buckets::B64.capacity()
} else {
    Buckets::B128.capacity()
};

// A page of 256 bytes holds a segment with its ghosts.
const _: () = assert!(Buckets::B32.size() <= 256);

impl Buckets {
    pub(crate) fn for_page(page_size: usize) -> Self {
        match page_size {
            // No segment fits in such a page: the index has its first segment alone.
            ..256 => Self::B64,
            256..2048 => Self::B32,
            2048..8192 => Self::B64,
            _ => Self::B128,
        }
    }

    const fn count(self) -> usize {
        match self {
            Self::B32 => 32,
            Self::B64 => 64,
            Self::B128 => 128,
        }
    }

    /// The maximum number of entries of a table: hashbrown's highest load is 7/8.
    pub(crate) const fn capacity(self) -> usize {
        self.count() / 8 * 7
    }

    /// The number of entries at which a segment is due for a split. In a table with narrow groups, or few groups,
    /// removed entries leave many marks. There a fuller segment would be rebuilt too often.
    pub(crate) const fn split_at(self) -> usize {
        match self {
            Self::B128 if cfg!(target_feature = "sse2") => self.capacity(),
            _ => self.count() * 13 / 16,
        }
    }

    /// Two neighbours are merged if together they have at most this number of entries.
    pub(crate) const fn merge_at(self) -> usize {
        self.count() / 2
    }

    /// Bytes of a segment, a multiple of 16.
    pub(crate) const fn size(self) -> usize {
        self.table_size() + self.ghosts_size()
    }

    const fn table_size(self) -> usize {
        BLOCK_AT + self.block_size()
    }

    /// Buckets of four ghosts behind the table. Except in the fullest segments, there are as many ghosts as entries.
    const fn ghost_buckets(self) -> u32 {
        match self {
            Self::B32 => 6,
            Self::B64 => 12,
            Self::B128 => 20,
        }
    }

    const fn ghosts_size(self) -> usize {
        (self.ghost_buckets() as usize * 4).next_multiple_of(16)
    }

    const fn block_size(self) -> usize {
        self.count() * size_of::<u32>() + self.count() + GROUP
    }
}

/// Which word of a table's head is the pointer to its control bytes. Without buckets, counts and mask are zero.
#[cfg(feature = "hosted")]
#[inline]
fn pointer_word() -> usize {
    const WORDS: usize = size_of::<Entries>() / size_of::<usize>();
    let at = NonNull::dangling();
    let table = core::mem::ManuallyDrop::new(Entries::new_in(Block { at }));
    let words = core::ptr::from_ref(&table).cast::<[usize; WORDS]>();
    // SAFETY: as many words as the head has, initialised; it has no padding (a test compares).
    let words = unsafe { words.read() };
    let is_pointer = |&word: &usize| word != 0 && word != at.as_ptr() as usize;
    words.iter().position(is_pointer).unwrap_or(0)
}

/// The bucket of an entry.
#[cfg(not(feature = "small"))]
#[inline(always)]
fn place(table: &Entries, hash: Hash, mut is: impl FnMut(Id) -> bool) -> Option<usize> {
    table.find_bucket_index(wide(hash), |&id| is(Id(id)))
}

/// The bucket of an entry. All callers share one copy of the search.
#[cfg(feature = "small")]
fn place(table: &Entries, hash: Hash, mut is: impl FnMut(Id) -> bool) -> Option<usize> {
    #[inline(never)]
    fn place(table: &Entries, hash: Hash, is: &mut dyn FnMut(Id) -> bool) -> Option<usize> {
        table.find_bucket_index(wide(hash), |&id| is(Id(id)))
    }
    place(table, hash, &mut is)
}

/// A segment's position. Only [`Segment::create`] makes one, or the directory stores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment(pub(crate) Id);

const IS_SEGMENT: u32 = 1 << 31;

impl Segment {
    /// Makes an empty table in [`Buckets::size`] bytes.
    pub(crate) fn create(
        pages: &mut Pages,
        id: Id,
        buckets: Buckets,
        depth: u32,
        prefix: u32,
    ) -> Self {
        let segment = Self(id);
        segment.set_place(pages, depth, prefix);
        segment.write_table(pages, buckets);
        for bucket in 0..buckets.ghost_buckets() {
            segment.set_ghosts(pages, buckets, bucket, 0);
        }
        segment
    }

    /// Overwrites the segment's table with an empty one.
    fn write_table(self, pages: &mut Pages, buckets: Buckets) {
        let Some(slot) = pages.bytes().pointer(self.at(0), buckets.size()) else {
            debug_assert!(false);
            return;
        };
        // SAFETY: BLOCK_AT < size.
        let at = unsafe { slot.add(BLOCK_AT) };
        let block = Block { at };
        // With constant capacities the compiler removes the overflow checks.
        let table = match buckets {
            Buckets::B32 => Entries::with_capacity_in(const { Buckets::B32.capacity() }, block),
            Buckets::B64 => Entries::with_capacity_in(const { Buckets::B64.capacity() }, block),
            Buckets::B128 => Entries::with_capacity_in(const { Buckets::B128.capacity() }, block),
        };
        // SAFETY: HEAD < size.
        let head = unsafe { slot.add(HEAD) }.cast::<Entries>();
        // SAFETY: the bytes belong to the segment alone. They are aligned to 16, as page area, pages and slots are.
        unsafe { head.write(table) };
    }

    /// Whether the slot holds a segment. The slot may be free.
    pub(crate) fn is_in(pages: &Pages, slot: Id) -> bool {
        pages.word(slot.0) & IS_SEGMENT != 0
    }

    /// Marks the slot as one without a segment.
    pub(crate) fn retire(self, pages: &mut Pages) {
        pages.set_word(self.0.0, 0);
    }

    pub(crate) fn set_place(self, pages: &mut Pages, depth: u32, prefix: u32) {
        pages.set_word(self.0.0, IS_SEGMENT | depth);
        pages.set_word(self.0.0 + 1, prefix);
    }

    fn at(self, byte: usize) -> usize {
        self.0.0 as usize * GRANULE + byte
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn head(self, pages: &Pages) -> Option<NonNull<Entries>> {
        let Some(slot) = pages.bytes().settled_pointer(self.at(0), BLOCK_AT) else {
            return self.head_elsewhere(pages);
        };
        // SAFETY: HEAD < BLOCK_AT, inside the slot.
        Some(unsafe { slot.add(HEAD) }.cast())
    }

    #[cfg(not(feature = "hosted"))]
    #[inline(always)]
    fn head_elsewhere(self, _: &Pages) -> Option<NonNull<Entries>> {
        None
    }

    /// The table of a region that several processes have at several addresses: its pointer is made this one's.
    #[cfg(feature = "hosted")]
    #[cold]
    fn head_elsewhere(self, pages: &Pages) -> Option<NonNull<Entries>> {
        let slot = pages.bytes().pointer(self.at(0), BLOCK_AT)?;
        // SAFETY: HEAD < BLOCK_AT, inside the slot.
        let head = unsafe { slot.add(HEAD) }.cast::<Entries>();
        // SAFETY: as in `entries`; that its pointer is of another address does not matter for the count.
        let buckets = unsafe { head.as_ref() }.num_buckets();
        let control = BLOCK_AT + buckets * size_of::<u32>();
        let control = pages.bytes().pointer(self.at(control), GROUP)?;
        // SAFETY: `pointer_word` is one of the head's words.
        let word = unsafe { head.cast::<NonNull<u8>>().add(pointer_word()) };
        // SAFETY: the reader of a segment holds the lock of its shard, and has no reference to the head yet.
        unsafe { word.write(control) };
        Some(head)
    }

    /// The table, to read.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn entries(self, pages: &Pages) -> Option<&Entries> {
        let head = self.head(pages)?;
        // SAFETY: `create` wrote a table there, and a segment is not freed while the directory names it
        // (index, inv. 1); `&Pages` excludes writers.
        Some(unsafe { head.as_ref() })
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn entries_mut(self, pages: &mut Pages) -> Option<&mut Entries> {
        let mut head = self.head(pages)?;
        // SAFETY: as in `entries`; `&mut Pages` excludes other accesses.
        Some(unsafe { head.as_mut() })
    }

    pub(crate) fn depth(self, pages: &Pages) -> u32 {
        pages.word(self.0.0) & 63
    }

    pub(crate) fn prefix(self, pages: &Pages) -> u32 {
        pages.word(self.0.0 + 1)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn len(self, pages: &Pages) -> usize {
        self.entries(pages).map_or(0, Entries::len)
    }

    /// Whether an insert does not need a larger table. This exact comparison lets the compiler remove
    /// hashbrown's growing path.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn has_room(self, pages: &Pages) -> bool {
        self.entries(pages).is_some_and(|t| t.capacity() != t.len())
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find(
        self,
        pages: &Pages,
        hash: Hash,
        mut is: impl FnMut(Id) -> bool,
    ) -> Option<Id> {
        let table = self.entries(pages)?;
        let found = if cfg!(feature = "small") {
            table.get_bucket(place(table, hash, is)?)
        } else {
            table.find(wide(hash), |&id| is(Id(id)))
        };
        found.map(|&id| Id(id))
    }

    /// The bucket of an entry.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn place(
        self,
        pages: &Pages,
        hash: Hash,
        is: impl FnMut(Id) -> bool,
    ) -> Option<usize> {
        place(self.entries(pages)?, hash, is)
    }

    /// Prefetches the cache lines that a lookup of this hash reads. hashbrown does not promise their positions,
    /// which are hints only.
    #[inline(always)]
    pub(crate) fn prefetch(self, pages: &Pages, buckets: Buckets, hash: Hash) {
        let control = BLOCK_AT + buckets.count() * size_of::<u32>();
        let position = hash as usize & (buckets.count() - 1);
        // The entries of a group are adjacent, in descending order.
        let entry = control - (position + 1) * size_of::<u32>();
        for at in [HEAD, control + position, entry] {
            pages.bytes().prefetch(self.at(at));
        }
    }

    /// Inserts an entry. Returns false if there is no room.
    #[inline(never)]
    pub(crate) fn insert(self, pages: &mut Pages, hash: Hash, id: Id) -> bool {
        let Some(table) = self.entries_mut(pages) else {
            return false;
        };
        if table.capacity() == table.len() {
            return false;
        }
        table.insert_unique(wide(hash), id.0, |_| 0);
        true
    }

    /// Changes the entry of a bucket to another item. Returns whether there is one.
    #[inline]
    pub(crate) fn replace(self, pages: &mut Pages, at: usize, to: Id) -> bool {
        let table = self.entries_mut(pages);
        let entry = table.and_then(|table| table.get_bucket_mut(at));
        entry.map(|entry| *entry = to.0).is_some()
    }

    /// Removes the entry of a bucket. Returns the number of entries left.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn remove(self, pages: &mut Pages, at: usize) -> Option<usize> {
        let table = self.entries_mut(pages)?;
        table.get_bucket_entry(at).ok()?.remove();
        Some(table.len())
    }

    /// Removes all entries, and the marks of removed entries. hashbrown's `clear` keeps the marks of a table
    /// without entries.
    pub(crate) fn clear(self, pages: &mut Pages, buckets: Buckets) {
        if planted::is("marks stay") {
            self.entries_mut(pages).into_iter().for_each(Entries::clear);
        } else {
            self.write_table(pages, buckets);
        }
    }

    // ---- ghosts --------------------------------------------------------------------------------

    fn ghosts_at(self, buckets: Buckets, bucket: u32) -> u32 {
        self.0.0 + (buckets.table_size() / GRANULE) as u32 + bucket
    }

    fn ghosts(self, pages: &Pages, buckets: Buckets, bucket: u32) -> u32 {
        pages.word(self.ghosts_at(buckets, bucket))
    }

    fn set_ghosts(self, pages: &mut Pages, buckets: Buckets, bucket: u32, ghosts: u32) {
        pages.set_word(self.ghosts_at(buckets, bucket), ghosts);
    }

    /// Adds a ghost for an evicted item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn add_ghost(self, pages: &mut Pages, buckets: Buckets, hash: Hash) {
        let (bucket, ghost) = ghost::of(hash, buckets.ghost_buckets());
        let mut ghosts = self.ghosts(pages, buckets, bucket);
        if planted::is("ghost added twice") {
            ghosts = ghost::add(ghosts, ghost);
        }
        self.set_ghosts(pages, buckets, bucket, ghost::add(ghosts, ghost));
    }

    /// Removes the ghost of this hash. Returns whether there was one.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn take_ghost(self, pages: &mut Pages, buckets: Buckets, hash: Hash) -> bool {
        let (bucket, ghost) = ghost::of(hash, buckets.ghost_buckets());
        let ghosts = self.ghosts(pages, buckets, bucket);
        if planted::is("ghosts never consulted") || !ghost::holds(ghosts, ghost) {
            return false;
        }
        // Only as many ghosts count as the segment has entries. With more, too many new items would match a ghost.
        let all = buckets.ghost_buckets();
        let newest = (narrow(self.len(pages)) + all - 1 - bucket) / all;
        let left = ghost::take(ghosts, ghost, newest);
        if let Some(left) = left {
            self.set_ghosts(pages, buckets, bucket, left);
        }
        left.is_some()
    }

    /// Adds the ghosts of another segment.
    pub(crate) fn join_ghosts(self, pages: &mut Pages, buckets: Buckets, other: Self) {
        for bucket in 0..buckets.ghost_buckets() {
            let (mine, theirs) = (
                self.ghosts(pages, buckets, bucket),
                other.ghosts(pages, buckets, bucket),
            );
            self.set_ghosts(pages, buckets, bucket, ghost::join(mine, theirs));
        }
    }

    /// The entry in bucket `at`, which is below [`Segment::buckets`].
    pub(crate) fn bucket(self, pages: &Pages, at: usize) -> Option<Id> {
        self.entries(pages)?.get_bucket(at).map(|&id| Id(id))
    }

    pub(crate) fn buckets(self, pages: &Pages) -> usize {
        self.entries(pages).map_or(0, Entries::num_buckets)
    }
}

#[cfg(test)]
mod tests;
