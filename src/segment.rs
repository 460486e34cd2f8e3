//! One segment of the index: a hashbrown table of fixed capacity, in a slot.
//!
//! # Layout
//! ```text
//! word 0   | kind Segment | depth |     word 1   prefix
//! then     the table's head: pointer, mask, counts
//! then     the table's block: buckets, then control bytes
//! then     ghosts, four in a word, the newest in the low byte
//! ```
//!
//! # Invariants
//! 1. A table is made with its final capacity and never asked to grow: [`Segment::has_room`] is
//!    tested before each insert. So hashbrown's growing path is dead code and is not linked.
//! 2. The table's block lies in the segment's own slot, so the slot never moves: its entries do.
//!
//! # Source
//! hashbrown (Swiss tables, A. Kulukundis et al., CppCon 2017).
#![allow(unsafe_code)]

use crate::hash::{Hash, mixed, wide};
use crate::slab::{Id, Kind, Slab};
use allocator_api2::alloc::{AllocError, Allocator, Layout};
use core::ptr::NonNull;
use hashbrown::HashTable;
use search::{find, find_entry, find_mut};

type Entries = HashTable<u32, Block>;

/// The one block of a table, cut beforehand. Giving it back does nothing: the slot goes as a whole.
struct Block {
    at: NonNull<u8>,
}

// SAFETY: the block is handed out once, to the table that is made with it, lies in a slot that lives as
// long as the table, and is exactly what a table of that capacity asks for (a test compares).
unsafe impl Allocator for Block {
    #[inline]
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        debug_assert!(layout.align() <= 16);
        Ok(NonNull::slice_from_raw_parts(self.at, layout.size()))
    }

    #[inline]
    unsafe fn deallocate(&self, _: NonNull<u8>, _: Layout) {}
}

/// hashbrown's trait where the program enables `hashbrown/nightly`.
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

/// Control bytes behind the last bucket: as wide as the widest group that hashbrown probes with.
const GROUP: usize = 16;
const HEAD: usize = 8;
const BLOCK_AT: usize = (HEAD + size_of::<Entries>()).next_multiple_of(16);

/// Buckets of a segment. Few small ones in small pages, so that little of a page stays unused; in any page
/// where code has to be small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buckets {
    B32,
    B64,
    B128,
}

// A page of the smallest size holds a segment with its ghosts.
const _: () = assert!(Buckets::B32.slot_size() + Buckets::B32.ghosts_size() <= 256);

impl Buckets {
    pub(crate) fn for_page(page_size: usize) -> Self {
        match page_size {
            _ if cfg!(feature = "small") => Self::B32,
            ..2048 => Self::B32,
            2048..16384 => Self::B64,
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

    /// Entries that a table of so many buckets holds: hashbrown's maximal load is 7/8.
    pub(crate) const fn capacity(self) -> usize {
        self.count() / 8 * 7
    }

    /// Entries from which on a segment is split.
    pub(crate) const fn split_at(self) -> usize {
        self.count() * 13 / 16
    }

    /// Two neighbours that together have no more than this are merged.
    pub(crate) const fn merge_at(self) -> usize {
        self.count() / 2
    }

    /// Bytes of a segment's slot without ghosts, a multiple of 16.
    pub(crate) const fn slot_size(self) -> usize {
        BLOCK_AT + self.block_size()
    }

    /// Buckets of four ghosts behind the table, where the policy wants them: enough for as many ghosts
    /// as a segment has entries, but for the fullest segments.
    pub(crate) const fn ghost_buckets(self) -> u32 {
        match self {
            Self::B32 => 6,
            Self::B64 => 12,
            Self::B128 => 20,
        }
    }

    /// Bytes of the ghosts, a multiple of 16.
    pub(crate) const fn ghosts_size(self) -> usize {
        (self.ghost_buckets() as usize * 4).next_multiple_of(16)
    }

    const fn block_size(self) -> usize {
        self.count() * size_of::<u32>() + self.count() + GROUP
    }
}

/// hashbrown's three ways to search, each in its place.
#[cfg(not(feature = "small"))]
mod search {
    use super::{Block, Entries, Hash, Id, wide};
    use hashbrown::hash_table::OccupiedEntry;

    #[inline(always)]
    pub(super) fn find(table: &Entries, hash: Hash, mut is: impl FnMut(Id) -> bool) -> Option<Id> {
        table.find(wide(hash), |&id| is(Id(id))).map(|&id| Id(id))
    }

    #[inline(always)]
    pub(super) fn find_mut(
        table: &mut Entries,
        hash: Hash,
        mut is: impl FnMut(Id) -> bool,
    ) -> Option<&mut u32> {
        table.find_mut(wide(hash), |&id| is(Id(id)))
    }

    #[inline(always)]
    pub(super) fn find_entry(
        table: &mut Entries,
        hash: Hash,
        mut is: impl FnMut(Id) -> bool,
    ) -> Option<OccupiedEntry<'_, u32, Block>> {
        table.find_entry(wide(hash), |&id| is(Id(id))).ok()
    }
}

/// One search for all three.
#[cfg(feature = "small")]
mod search {
    use super::{Block, Entries, Hash, Id, wide};
    use hashbrown::hash_table::OccupiedEntry;

    #[inline(never)]
    fn place(table: &Entries, hash: Hash, is: &mut dyn FnMut(Id) -> bool) -> Option<usize> {
        table.find_bucket_index(wide(hash), |&id| is(Id(id)))
    }

    pub(super) fn find(table: &Entries, hash: Hash, mut is: impl FnMut(Id) -> bool) -> Option<Id> {
        let at = place(table, hash, &mut is)?;
        table.get_bucket(at).map(|&id| Id(id))
    }

    pub(super) fn find_mut(
        table: &mut Entries,
        hash: Hash,
        mut is: impl FnMut(Id) -> bool,
    ) -> Option<&mut u32> {
        let at = place(table, hash, &mut is)?;
        table.get_bucket_mut(at)
    }

    pub(super) fn find_entry(
        table: &mut Entries,
        hash: Hash,
        mut is: impl FnMut(Id) -> bool,
    ) -> Option<OccupiedEntry<'_, u32, Block>> {
        let at = place(table, hash, &mut is)?;
        table.get_bucket_entry(at).ok()
    }
}

/// A slot that holds a table. Made by [`Segment::create`] alone, or read back from the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment(pub(crate) Id);

impl Segment {
    /// Makes an empty table in a slot of [`Buckets::slot_size`] bytes.
    pub(crate) fn create(
        slab: &mut Slab,
        id: Id,
        buckets: Buckets,
        depth: u32,
        prefix: u32,
    ) -> Self {
        slab.set_word(id, 0, Kind::Segment.word(depth));
        slab.set_word(id, 1, prefix);
        let Some(slot) = slab.pointer(id, buckets.slot_size()) else {
            return Self(id);
        };
        // SAFETY: BLOCK_AT < slot_size.
        let at = unsafe { slot.add(BLOCK_AT) };
        let block = Block { at };
        // Constants, so that the compiler sees that no capacity can overflow.
        let table = match buckets {
            Buckets::B32 => Entries::with_capacity_in(const { Buckets::B32.capacity() }, block),
            Buckets::B64 => Entries::with_capacity_in(const { Buckets::B64.capacity() }, block),
            Buckets::B128 => Entries::with_capacity_in(const { Buckets::B128.capacity() }, block),
        };
        // SAFETY: HEAD < slot_size.
        let head = unsafe { slot.add(HEAD) }.cast::<Entries>();
        // SAFETY: the slot is the segment's alone, 16-aligned (page area and slot size are).
        unsafe { head.write(table) };
        Self(id)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn head(self, slab: &Slab) -> Option<NonNull<Entries>> {
        let slot = slab.pointer(self.0, BLOCK_AT)?;
        // SAFETY: HEAD < BLOCK_AT, inside the slot.
        Some(unsafe { slot.add(HEAD) }.cast())
    }

    /// The table, to read.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn entries(self, slab: &Slab) -> Option<&Entries> {
        let head = self.head(slab)?;
        // SAFETY: `create` wrote a table there, and a segment's slot is not freed while the
        // directory names it (index, inv. 1); `&Slab` keeps writers out.
        Some(unsafe { head.as_ref() })
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn entries_mut(self, slab: &mut Slab) -> Option<&mut Entries> {
        let mut head = self.head(slab)?;
        // SAFETY: as in `entries`; `&mut Slab` makes us the only user.
        Some(unsafe { head.as_mut() })
    }

    pub(crate) fn depth(self, slab: &Slab) -> u32 {
        slab.word(self.0, 0) & 63
    }

    pub(crate) fn prefix(self, slab: &Slab) -> u32 {
        slab.word(self.0, 1)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn len(self, slab: &Slab) -> usize {
        self.entries(slab).map_or(0, Entries::len)
    }

    /// Whether an insert needs no growing. Exactly this comparison lets the compiler drop
    /// hashbrown's growing path.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn has_room(self, slab: &Slab) -> bool {
        self.entries(slab).is_some_and(|t| t.capacity() != t.len())
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find(self, slab: &Slab, hash: Hash, is: impl FnMut(Id) -> bool) -> Option<Id> {
        find(self.entries(slab)?, hash, is)
    }

    /// Asks for the lines that a lookup of this hash reads. Where hashbrown has them is known well
    /// enough for a hint.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn prefetch(self, slab: &Slab, buckets: Buckets, hash: Hash) {
        let control = BLOCK_AT + buckets.count() * size_of::<u32>();
        let position = hash as usize & (buckets.count() - 1);
        // The entries of a group lie side by side, in two lines mostly, the last one first.
        let entry = control - (position + 1) * size_of::<u32>();
        let last = entry.saturating_sub(15 * size_of::<u32>()).max(BLOCK_AT);
        let ghost = Self::ghost_at(buckets, Self::ghost_of(buckets, hash).0);
        for at in [HEAD, control + position, entry, last, ghost as usize * 4] {
            slab.prefetch(self.0, at / 4);
        }
    }

    /// Asks for the lines of a probe that lie behind the table's head, so that they come with it and not
    /// after it. Few segments lie in the processor's caches anyway.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn prefetch_probe(self, slab: &Slab, buckets: Buckets, hash: Hash) {
        if matches!(buckets, Buckets::B128) {
            const CONTROL: usize = BLOCK_AT + Buckets::B128.count() * size_of::<u32>();
            let position = hash as usize & (Buckets::B128.count() - 1);
            slab.prefetch(self.0, (CONTROL + position) / 4);
            slab.prefetch(self.0, CONTROL / 4 - 1 - position);
        }
    }

    /// Inserts, if there is room.
    #[inline(never)]
    pub(crate) fn insert(self, slab: &mut Slab, hash: Hash, id: Id) -> bool {
        let Some(table) = self.entries_mut(slab) else {
            return false;
        };
        if table.capacity() == table.len() {
            return false;
        }
        table.insert_unique(wide(hash), id.0, |_| 0);
        true
    }

    /// Lets an entry name another slot.
    #[inline]
    pub(crate) fn replace(self, slab: &mut Slab, hash: Hash, from: Id, to: Id) -> bool {
        let entry = self
            .entries_mut(slab)
            .and_then(|t| find_mut(t, hash, |id| id == from));
        match entry {
            Some(entry) => {
                *entry = to.0;
                true
            }
            None => false,
        }
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn remove(self, slab: &mut Slab, hash: Hash, id: Id) -> bool {
        let entry = self
            .entries_mut(slab)
            .and_then(|t| find_entry(t, hash, |e| e == id));
        match entry {
            Some(entry) => {
                entry.remove();
                true
            }
            None => false,
        }
    }

    // ---- ghosts --------------------------------------------------------------------------------

    /// The bucket of four ghosts that this hash belongs to, and its fingerprint.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn ghost_of(buckets: Buckets, hash: Hash) -> (u32, u32) {
        let mixed = mixed(hash) >> 8;
        let bucket = ((mixed >> 8) * buckets.ghost_buckets()) >> 16;
        (bucket, (mixed & 0xff).max(1))
    }

    /// The word of a bucket.
    fn ghost_at(buckets: Buckets, bucket: u32) -> u32 {
        buckets.slot_size() as u32 / 4 + bucket
    }

    /// Remembers an item that was evicted.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn add_ghost(self, slab: &mut Slab, buckets: Buckets, hash: Hash) {
        let (bucket, ghost) = Self::ghost_of(buckets, hash);
        let at = Self::ghost_at(buckets, bucket);
        let word = slab.word(self.0, at);
        slab.set_word(self.0, at, word << 8 | ghost);
    }

    /// Whether an item is remembered; from then on it is not.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn take_ghost(self, slab: &mut Slab, buckets: Buckets, hash: Hash) -> bool {
        let (bucket, ghost) = Self::ghost_of(buckets, hash);
        let word = slab.word(self.0, Self::ghost_at(buckets, bucket));
        // A byte of the four is the ghost where this has a zero byte.
        let differs = word ^ (ghost * 0x0101_0101);
        let none = differs.wrapping_sub(0x0101_0101) & !differs & 0x8080_8080 == 0;
        !none && self.take_ghost_of(slab, buckets, bucket, ghost)
    }

    /// As many ghosts count as the segment has entries, the newest of each bucket: were there more, too
    /// many newcomers would seem known.
    fn take_ghost_of(self, slab: &mut Slab, buckets: Buckets, bucket: u32, ghost: u32) -> bool {
        let at = Self::ghost_at(buckets, bucket);
        let word = slab.word(self.0, at);
        let all = buckets.ghost_buckets();
        let count = (self.len(slab) as u32 + all - 1 - bucket) / all;
        let Some(found) = (0..count.min(4)).find(|i| word >> (8 * i) & 0xff == ghost) else {
            return false;
        };
        let newer = word & ((1 << (8 * found)) - 1);
        let older = (u64::from(word) >> (8 * found + 8) << (8 * found)) as u32;
        slab.set_word(self.0, at, newer | older);
        true
    }

    /// Takes over the ghosts of one segment, or the newest of two.
    pub(crate) fn inherit_ghosts(
        self,
        slab: &mut Slab,
        buckets: Buckets,
        from: Option<Self>,
        other: Option<Self>,
    ) {
        for bucket in 0..buckets.ghost_buckets() {
            let at = Self::ghost_at(buckets, bucket);
            let word = |from: Option<Self>| from.map_or(0, |from| slab.word(from.0, at));
            let ghosts = match (word(from), word(other)) {
                (all, 0) => all,
                (new, also) => new & 0xffff | also << 16,
            };
            slab.set_word(self.0, at, ghosts);
        }
    }

    /// The entry in bucket `at`; buckets are numbered from 0 to [`Segment::buckets`].
    pub(crate) fn bucket(self, slab: &Slab, at: usize) -> Option<Id> {
        self.entries(slab)?.get_bucket(at).map(|&id| Id(id))
    }

    pub(crate) fn buckets(self, slab: &Slab) -> usize {
        self.entries(slab).map_or(0, Entries::num_buckets)
    }
}

#[cfg(test)]
mod tests;
