//! The index: from the hash of a key to its item, by many small tables (segments).
//!
//! `growing` maps a hash to its segment; with the feature `small`, `fixed` does.
//!
//! # Time
//! Find, insert and remove use one segment. A split, a rebuild or a merge moves the entries of one or two
//! segments, and changes the few directory entries that name them.

#![forbid(unsafe_code)]

#[cfg_attr(feature = "small", path = "index/fixed.rs")]
#[cfg_attr(not(feature = "small"), path = "index/growing.rs")]
mod directory;

pub(crate) use directory::{Index, Plan};

use crate::hash::{Hash, upper};
use crate::limits::narrow;
use crate::page::{Id, Pages};
use crate::segment::{Buckets, ENTRIES_MAX, Segment};

/// A part of at most this size is mostly in the processor's caches, where a prefetch costs more than it saves.
const NEAR: usize = 4 << 20;

/// A function that returns the hash of an item's key.
pub(crate) type Rehash<'a> = &'a dyn Fn(&Pages, Id) -> Hash;

impl Index {
    /// Whether the part is larger than the processor's caches are likely to be.
    #[inline(always)]
    pub(crate) fn is_far(&self) -> bool {
        !cfg!(feature = "small") && self.is_far
    }

    /// Prefetches all cache lines that a lookup of this hash reads, if the part is larger than the caches.
    #[inline(always)]
    pub(crate) fn prefetch(&self, pages: &Pages, segment: Segment, hash: Hash) {
        if self.is_far() {
            segment.prefetch(pages, self.buckets(), hash);
        }
    }

    /// As [`Index::prefetch`], for an unknown segment.
    #[inline(always)]
    pub(crate) fn prefetch_hash(&self, pages: &Pages, hash: Hash) {
        if self.is_far() {
            self.prefetch(pages, self.segment(pages, hash), hash);
        }
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find(&self, pages: &Pages, hash: Hash, is: impl FnMut(Id) -> bool) -> Option<Id> {
        self.segment(pages, hash).find(pages, hash, is)
    }

    /// Whether the segment has room for an insert and is not due for a split.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_ready(&self, pages: &Pages, segment: Segment) -> bool {
        segment.len(pages) < self.buckets().split_at() && segment.has_room(pages)
    }

    pub(crate) fn has_room(&self, pages: &Pages, hash: Hash) -> bool {
        self.segment(pages, hash).has_room(pages)
    }

    /// Whether the segment of this hash has its maximum number of entries.
    pub(crate) fn is_full(&self, pages: &Pages, hash: Hash) -> bool {
        self.segment(pages, hash).len(pages) >= self.buckets().capacity()
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn replace(&mut self, pages: &mut Pages, hash: Hash, from: Id, to: Id) -> bool {
        let segment = self.segment(pages, hash);
        let at = segment.place(pages, hash, |id| id == from);
        at.is_some_and(|at| segment.replace(pages, at, to))
    }

    /// The segment and the bucket of an item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn place(&self, pages: &Pages, hash: Hash, id: Id) -> (Segment, usize) {
        let segment = self.segment(pages, hash);
        let at = segment.place(pages, hash, |e| e == id);
        debug_assert!(at.is_some());
        (segment, at.unwrap_or(usize::MAX))
    }

    /// Removes an entry. Returns whether the segment is nearly empty now, so that [`Index::merge`] may help.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn remove(&mut self, pages: &mut Pages, (segment, at): (Segment, usize)) -> bool {
        let left = segment.remove(pages, at);
        debug_assert!(left.is_some());
        left.is_some_and(|len| self.is_sparse(len))
    }

    /// As [`Index::remove`], and adds a ghost for the item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn evict(&mut self, pages: &mut Pages, hash: Hash, id: Id) -> bool {
        let place = self.place(pages, hash, id);
        let sparse = self.remove(pages, place);
        if self.ghosts {
            place.0.add_ghost(pages, self.buckets(), hash);
        }
        sparse
    }

    /// Removes the ghost of this hash. Returns whether there was one: the item was evicted recently.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn take_ghost(&self, pages: &mut Pages, segment: Segment, hash: Hash) -> bool {
        self.ghosts && segment.take_ghost(pages, self.buckets(), hash)
    }

    /// An item in the segment of this hash for which `may_go` holds. O(buckets of a segment).
    pub(crate) fn neighbour(
        &self,
        pages: &Pages,
        hash: Hash,
        may_go: impl Fn(Id) -> bool,
    ) -> Option<Id> {
        let segment = self.segment(pages, hash);
        let buckets = segment.buckets(pages).max(1);
        let start = (upper(hash) >> 8) as usize;
        (0..buckets)
            .filter_map(|i| segment.bucket(pages, (start + i) & (buckets - 1)))
            .find(|&id| may_go(id))
    }

    /// Rebuilds the segment of this hash without the marks of removed entries.
    pub(crate) fn rebuild(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) {
        let segment = self.segment(pages, hash);
        pour((pages, self.buckets()), &[segment], rehash, &|_| segment);
        self.rebuilds += 1;
    }

    /// The number of a segment's entries. `None` if an entry is no item, or if its hash does not find the entry.
    fn check_segment(
        &self,
        pages: &Pages,
        segment: Segment,
        is_item: &impl Fn(Id) -> bool,
        rehash: Rehash<'_>,
    ) -> Option<u64> {
        let mut entries = 0;
        for id in (0..segment.buckets(pages)).filter_map(|at| segment.bucket(pages, at)) {
            let found = is_item(id) && self.find(pages, rehash(pages, id), |e| e == id) == Some(id);
            entries += u64::from(found);
            if !found {
                return None;
            }
        }
        Some(entries)
    }
}

/// Moves all entries of one or two segments, at most [`ENTRIES_MAX`], to the segments that `to` returns for their
/// hashes. Those segments have the same capacity and enough room. Returns the number of entries.
#[inline(never)]
fn pour(
    (pages, buckets): (&mut Pages, Buckets),
    from: &[Segment],
    rehash: Rehash<'_>,
    to: &dyn Fn(Hash) -> Segment,
) -> u32 {
    let mut ids = heapless::Vec::<u32, ENTRIES_MAX>::new();
    for segment in from {
        for bucket in 0..segment.buckets(pages) {
            if let Some(id) = segment.bucket(pages, bucket) {
                let _ = ids.push(id.0);
            }
        }
        segment.clear(pages, buckets);
    }
    for &id in &ids {
        let hash = rehash(pages, Id(id));
        let inserted = to(hash).insert(pages, hash, Id(id));
        debug_assert!(inserted);
    }
    narrow(ids.len())
}
