//! Growing and shrinking: segments split, are written anew, merge, and move out of sparse pages.

#![forbid(unsafe_code)]

use super::{GROW_STEPS, GROW_STEPS_MAX, Index, ROOT, Rehash, directory_bits};
use crate::hash::Hash;
use crate::limits::narrow;
use crate::page::{Id, Owner, Pages};
use crate::segment::{Buckets, ENTRIES_MAX, Segment};

impl Index {
    /// Whether the segment of this hash is due for a split and the directory can name its halves.
    pub(crate) fn wants_split(&mut self, pages: &mut Pages, hash: Hash) -> bool {
        let segment = self.segment(pages, hash);
        let len = segment.len(pages);
        if len < self.plan.buckets.split_at() || self.slab.per_page() == 0 {
            return false;
        }
        // The nearer the segment is to being full, the more entries are added at once.
        let steps = if len + 4 < self.plan.buckets.capacity() {
            GROW_STEPS
        } else {
            GROW_STEPS_MAX
        };
        for _ in 0..steps {
            if self.can_split(pages, segment) {
                return true;
            }
            if !self.extend(pages) {
                return false;
            }
        }
        self.can_split(pages, segment)
    }

    fn can_split(&self, pages: &Pages, segment: Segment) -> bool {
        let depth = segment.depth(pages);
        depth < self.level
            || depth == self.level && segment.prefix(pages) + (1 << self.level) < self.len
    }

    /// Splits the segment of this hash, if a slot is to be had for its other half. The caller asked
    /// [`Index::wants_split`] with nothing in between.
    pub(crate) fn split(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) -> bool {
        let Some((slot, _)) = self.slab.alloc(pages) else {
            return false;
        };
        let low = self.segment(pages, hash);
        let (depth, prefix) = (low.depth(pages), low.prefix(pages));
        let high_prefix = prefix | 1 << depth;
        let high = Segment::create(pages, slot, self.plan.buckets, depth + 1, high_prefix);
        high.join_ghosts(pages, self.plan.buckets, low);
        low.set_place(pages, depth + 1, prefix);
        self.point(pages, depth + 1, high_prefix, high);
        pour((pages, self.plan.buckets), &[low], rehash, &|hash| {
            if directory_bits(hash) >> depth & 1 == 0 {
                low
            } else {
                high
            }
        });
        self.count_depth(depth, -1);
        self.count_depth(depth + 1, 2);
        self.segments += 1;
        self.splits += 1;
        self.grow_ahead(pages);
        true
    }

    /// Clears the segment of the marks that removed entries left behind.
    pub(crate) fn rebuild(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) {
        let segment = self.segment(pages, hash);
        pour((pages, self.plan.buckets), &[segment], rehash, &|_| segment);
        self.rebuilds += 1;
    }

    /// Joins the segment of this hash with its neighbour, if the two are nearly empty.
    #[cold]
    pub(crate) fn merge(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) {
        let segment = self.segment(pages, hash);
        let (depth, prefix) = (segment.depth(pages), segment.prefix(pages));
        if depth == 0 {
            return;
        }
        let twin = self.entry(pages, prefix ^ 1 << (depth - 1));
        let len = segment.len(pages) + twin.len(pages);
        if twin.depth(pages) != depth || len > self.plan.buckets.merge_at() {
            return;
        }
        // The first segment is in no slab: it stays.
        let (stays, goes) = if twin == ROOT {
            (twin, segment)
        } else {
            (segment, twin)
        };
        let prefix = prefix & !(1 << (depth - 1));
        stays.set_place(pages, depth - 1, prefix);
        stays.join_ghosts(pages, self.plan.buckets, goes);
        self.point(pages, depth - 1, prefix, stays);
        pour((pages, self.plan.buckets), &[stays, goes], rehash, &|_| {
            stays
        });
        goes.retire(pages);
        self.slab.free(pages, goes.0);
        self.count_depth(depth, -2);
        self.count_depth(depth - 1, 1);
        self.segments -= 1;
        self.shrink(pages);
    }

    /// Moves the segments of the sparsest page to others, where they have room for all of them; returns how many
    /// entries moved. O(pages of segments).
    pub(crate) fn compact(&mut self, pages: &mut Pages, rehash: Rehash<'_>) -> u32 {
        let Some(page) = self.slab.sparsest(pages) else {
            return 0;
        };
        let used = u32::from(pages.get(page).live);
        let free_here = self.slab.per_page() - used;
        if self.slab.free_slots() - free_here < used {
            return 0;
        }
        self.slab.avoid(pages, page);
        let mut moved = 0;
        for number in 0..self.slab.per_page() {
            let slot = Id(pages.start_of(page) + number * self.slab.slot_granules());
            if pages.get(page).owner != Owner::Slab || !Segment::is_in(pages, slot) {
                continue;
            }
            if let Some((to, _)) = self.slab.alloc(pages) {
                moved += self.relocate(pages, Segment(slot), to, rehash);
            }
        }
        moved
    }

    fn relocate(&mut self, pages: &mut Pages, from: Segment, to: Id, rehash: Rehash<'_>) -> u32 {
        let (depth, prefix) = (from.depth(pages), from.prefix(pages));
        let to = Segment::create(pages, to, self.plan.buckets, depth, prefix);
        to.join_ghosts(pages, self.plan.buckets, from);
        let moved = pour((pages, self.plan.buckets), &[from], rehash, &|_| to);
        self.point(pages, depth, prefix, to);
        from.retire(pages);
        self.slab.free(pages, from.0);
        moved
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
