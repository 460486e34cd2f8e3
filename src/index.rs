//! From the hash of a key to the item: many small tables.
//!
//! Which of them a hash belongs to: `growing`, or where code is to be small, `fixed`.
//!
//! # Time
//! Find, insert, remove: one table. A split, a rebuild or a merge moves the entries of one or two
//! segments, and touches the few directory entries that name them.

#![forbid(unsafe_code)]

#[cfg_attr(feature = "small", path = "index/fixed.rs")]
#[cfg_attr(not(feature = "small"), path = "index/growing.rs")]
mod directory;

pub(crate) use directory::{Index, Plan};

use crate::hash::{Hash, upper};
use crate::limits::narrow;
use crate::page::{Id, Pages};
use crate::segment::{Buckets, ENTRIES_MAX, Segment};

/// A part of so few bytes lies in the processor's caches: to ask for its lines costs more than it brings.
const NEAR: usize = 4 << 20;

/// The hash of an item's key.
pub(crate) type Rehash<'a> = &'a dyn Fn(&Pages, Id) -> Hash;

impl Index {
    /// Whether the part is larger than the processor's caches are likely to be.
    #[inline(always)]
    pub(crate) fn is_far(&self) -> bool {
        !cfg!(feature = "small") && self.is_far
    }

    /// Asks for the lines that a lookup of this hash reads, all at once, where they are likely to be in memory alone.
    #[inline(always)]
    pub(crate) fn prefetch(&self, pages: &Pages, segment: Segment, hash: Hash) {
        if self.is_far() {
            segment.prefetch(pages, self.buckets(), hash);
        }
    }

    /// The same where the segment is not known.
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

    /// Whether the next insert finds room in a segment, which is not due for a split.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_ready(&self, pages: &Pages, segment: Segment) -> bool {
        segment.len(pages) < self.buckets().split_at() && segment.has_room(pages)
    }

    pub(crate) fn has_room(&self, pages: &Pages, hash: Hash) -> bool {
        self.segment(pages, hash).has_room(pages)
    }

    /// Whether the segment of this hash has as many entries as it can ever have.
    pub(crate) fn is_full(&self, pages: &Pages, hash: Hash) -> bool {
        self.segment(pages, hash).len(pages) >= self.buckets().capacity()
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn replace(&mut self, pages: &mut Pages, hash: Hash, from: Id, to: Id) -> bool {
        self.segment(pages, hash).replace(pages, hash, from, to)
    }

    /// The segment and the bucket of an item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn place(&self, pages: &Pages, hash: Hash, id: Id) -> (Segment, usize) {
        let segment = self.segment(pages, hash);
        let at = segment.place(pages, hash, |e| e == id);
        debug_assert!(at.is_some());
        (segment, at.unwrap_or(usize::MAX))
    }

    /// Takes an entry out. Returns whether the segment is nearly empty now: [`Index::merge`] then.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn remove(&mut self, pages: &mut Pages, (segment, at): (Segment, usize)) -> bool {
        let left = segment.remove(pages, at);
        debug_assert!(left.is_some());
        left.is_some_and(|len| self.is_sparse(len))
    }

    /// As [`Index::remove`], and remembers the item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn evict(&mut self, pages: &mut Pages, hash: Hash, id: Id) -> bool {
        let place = self.place(pages, hash, id);
        let sparse = self.remove(pages, place);
        if self.ghosts {
            place.0.add_ghost(pages, self.buckets(), hash);
        }
        sparse
    }

    /// Whether an item was evicted not long ago; from then on it is not remembered.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn take_ghost(&self, pages: &mut Pages, segment: Segment, hash: Hash) -> bool {
        self.ghosts && segment.take_ghost(pages, self.buckets(), hash)
    }

    /// An item in the segment of this hash that may go, where the segment is full. O(buckets of a segment).
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

    /// Clears the segment of the marks that removed entries left behind.
    pub(crate) fn rebuild(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) {
        let segment = self.segment(pages, hash);
        pour((pages, self.buckets()), &[segment], rehash, &|_| segment);
        self.rebuilds += 1;
    }

    /// The number of a segment's entries: each is an item, and its hash leads back to it. `None` where one is wrong.
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

/// Takes all entries out of one segment, or of two that together have no more than one holds, and puts each into the
/// segment that its hash belongs to: tables of the same capacity, which have room. Returns how many there were.
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
