//! A directory that grows by one entry at a time. Its segments split, merge, and move out of sparse pages.
//!
//! # Layout
//! ```text
//! hash bits  | table position (hashbrown) | directory index | ...
//!
//! directory  entry i -> segment      i < len, 2^level <= len < 2^(level+1)
//!            index = hash mod 2^(level+1); if that is >= len: mod 2^level
//! entries    16 of them inline, the others in chunks; each chunk is a page
//! segments   the first one before the pages; the others in a slab
//! ```
//! A segment of depth d with prefix p holds the hashes whose directory bits end in p (d bits). All
//! entries i with i mod 2^d == p name the segment.
//!
//! # Invariants (walked by [`Index::check`])
//! 1. Every entry below `len` names a live segment. The entry's number ends in the segment's prefix.
//! 2. No segment is deeper than `level`, or than `level + 1` if the directory has its upper half's entry.
//! 3. `depths[d]` counts the segments of depth d.
//!
//! # Source
//! Extendible hashing: R. Fagin et al., ACM TODS 4 (1979). The addressing of a directory that doubles one entry
//! at a time is that of linear hashing: W. Litwin, VLDB 1980.

#![forbid(unsafe_code)]

#[path = "plan.rs"]
mod plan;

pub(crate) use plan::Plan;

use super::{NEAR, Rehash, pour};
use crate::hash::Hash;
use crate::page::{GRANULE, Id, Owner, Pages};
use crate::region::{Cutter, Table};
use crate::segment::{Buckets, Segment};
use crate::slab::Slab;
use plan::{AHEAD, LEVEL_MAX};

/// The directory's bits of a hash start above the bits that select hashbrown's bucket.
const DIRECTORY_SHIFT: u32 = 7;
const INLINE: u32 = 16;
/// Directory entries that one call adds. The larger number is for a segment that is almost full.
const GROW_STEPS: u32 = 16;
const GROW_STEPS_MAX: u32 = 1024;

/// The index of one shard.
#[derive(Debug)]
pub(crate) struct Index {
    plan: Plan,
    /// Whether segments keep ghosts.
    pub(super) ghosts: bool,
    /// Whether the part is larger than the processor's caches are likely to be.
    pub(super) is_far: bool,
    level: u32,
    /// A mask of the lowest `level + 1` bits.
    wide: u32,
    len: u32,
    inline: [Id; INLINE as usize],
    /// The first granule of each chunk.
    chunks: Table<Id>,
    chunks_held: u32,
    depths: Table<u32>,
    slab: Slab,
    pub(crate) segments: u32,
    /// Number of times that directory entries changed to another segment.
    pub(crate) moves: u32,
    pub(crate) rebuilds: u64,
    pub(crate) splits: u64,
}

/// The first segment.
const ROOT: Segment = Segment(Id(0));

/// The root, of 16, for each value of eight bits of the hash. The share of root i is proportional to 2^(i/16).
///
/// With equal shares all segments would fill up and split at the same time. After these splits the index
/// would take twice the memory. With these shares the segments' loads are spread evenly at any time.
const ROOTS: [u8; 256] = {
    // 2^(i/16), scaled so that the sixteen add up to 256.
    let shares = [
        11, 12, 12, 13, 14, 14, 15, 15, 16, 17, 17, 18, 19, 20, 21, 22,
    ];
    let mut roots = [0; 256];
    let (mut at, mut root) = (0, 0);
    while root < shares.len() {
        let mut n = 0;
        while n < shares[root] {
            roots[at] = root as u8;
            (at, n) = (at + 1, n + 1);
        }
        root += 1;
    }
    assert!(at == 256);
    roots
};

/// The root's number in the lowest four bits, further bits of the hash above it.
#[inline(always)]
fn directory_bits(hash: Hash) -> u32 {
    let bits = (hash >> DIRECTORY_SHIFT) as u32;
    let root = ROOTS.get((bits & 0xff) as usize).copied().unwrap_or(0);
    u32::from(root) | (bits >> 8) << 4
}

impl Index {
    /// An index without segments. [`Index::start`] makes the first segment, before the pages.
    pub(crate) fn new(
        cutter: &mut Cutter,
        plan: Plan,
        page_size: usize,
        area: usize,
        ghosts: bool,
    ) -> Option<Self> {
        let granules = |size: usize| (size / GRANULE) as u32;
        Some(Self {
            slab: Slab::new(granules(plan.buckets.size()), granules(page_size)),
            chunks: cutter.table(plan.chunks_max, Id::NONE)?,
            depths: cutter.table(plan.depths(), 0)?,
            plan,
            ghosts,
            is_far: area > NEAR,
            level: 0,
            wide: 1,
            len: 1,
            inline: [ROOT.0; INLINE as usize],
            chunks_held: 0,
            segments: 0,
            moves: 0,
            rebuilds: 0,
            splits: 0,
        })
    }

    /// Starts with one empty segment. No page belongs to the index.
    pub(crate) fn start(&mut self, pages: &mut Pages) {
        self.chunks_held = 0;
        self.slab.forget();
        self.set_level(0);
        self.len = 1;
        for depth in 0..self.depths.len() {
            *self.depths.at_mut(depth) = 0;
        }
        Segment::create(pages, ROOT.0, self.plan.buckets, 0, 0);
        self.segments = 1;
        self.count_depth(0, 1);
        self.set_entry(pages, 0, ROOT);
    }

    /// The tables lie elsewhere now.
    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, by: &crate::region::Shift) {
        self.chunks.shift(by);
        self.depths.shift(by);
    }

    /// Pages that the index has.
    pub(crate) fn pages(&self) -> u32 {
        self.slab.pages + self.chunks_held
    }

    #[inline(always)]
    pub(super) fn buckets(&self) -> Buckets {
        self.plan.buckets
    }

    /// Whether a segment with `len` entries left may be due for [`Index::merge`].
    #[inline(always)]
    pub(super) fn is_sparse(&self, len: usize) -> bool {
        // A look at the neighbour at every eighth length is enough.
        len.is_multiple_of(8) && len <= self.plan.buckets.merge_at() / 2
    }

    // ---- directory -----------------------------------------------------------------------------

    /// The granule of entry `i`, which is not inline.
    #[inline(always)]
    fn entry_at(&self, i: u32) -> u32 {
        let chunk = *self.chunks.at(i >> self.plan.chunk_shift);
        chunk.0 + (i & !(u32::MAX << self.plan.chunk_shift))
    }

    #[inline(always)]
    fn entry(&self, pages: &Pages, i: u32) -> Segment {
        if let Some(&id) = self.inline.get(i as usize) {
            return Segment(id);
        }
        Segment(Id(pages.word(self.entry_at(i))))
    }

    fn set_entry(&mut self, pages: &mut Pages, i: u32, segment: Segment) {
        if let Some(entry) = self.inline.get_mut(i as usize) {
            *entry = segment.0;
            return;
        }
        pages.set_word(self.entry_at(i), segment.0.0);
    }

    /// The segment of a hash. Valid until a segment is split, merged or moved.
    #[inline(always)]
    pub(crate) fn segment(&self, pages: &Pages, hash: Hash) -> Segment {
        let i = directory_bits(hash) & self.wide;
        let i = if i < self.len {
            i
        } else {
            i & (self.wide >> 1)
        };
        self.entry(pages, i)
    }

    fn set_level(&mut self, level: u32) {
        self.level = level;
        self.wide = (2 << level) - 1;
    }

    /// Sets every directory entry for this depth and prefix to the segment `to`.
    fn point(&mut self, pages: &mut Pages, depth: u32, prefix: u32, to: Segment) {
        self.moves = self.moves.wrapping_add(1);
        let mut i = prefix;
        while i < self.len {
            self.set_entry(pages, i, to);
            i += 1 << depth;
        }
    }

    /// Adds one entry to the directory.
    fn extend(&mut self, pages: &mut Pages) -> bool {
        let i = self.len;
        if self.level >= LEVEL_MAX || i >> self.plan.chunk_shift >= self.plan.chunks_max {
            return false;
        }
        if i >= INLINE && !self.hold_chunk(pages, i >> self.plan.chunk_shift) {
            return false;
        }
        let twin = self.entry(pages, i - (1 << self.level));
        self.set_entry(pages, i, twin);
        self.len += 1;
        if self.len == 2 << self.level {
            self.set_level(self.level + 1);
        }
        true
    }

    fn hold_chunk(&mut self, pages: &mut Pages, number: u32) -> bool {
        if number < self.chunks_held {
            return true;
        }
        let Some(page) = pages.take(Owner::Directory) else {
            return false;
        };
        *self.chunks.at_mut(number) = Id(pages.start_of(page));
        self.chunks_held = number + 1;
        true
    }

    fn count_depth(&mut self, depth: u32, by: i32) {
        let count = self.depths.at_mut(depth);
        *count = count.wrapping_add_signed(by);
    }

    fn depth_count(&self, depth: u32) -> u32 {
        *self.depths.at(depth)
    }

    /// Adds directory entries after a split, so that later splits find the entries for their halves.
    fn grow_ahead(&mut self, pages: &mut Pages) {
        for _ in 0..GROW_STEPS {
            if self.len >= AHEAD * self.segments || !self.extend(pages) {
                break;
            }
        }
    }

    /// Halves a directory of more than twice the planned size, if no segment needs its upper half. Then
    /// releases one unused chunk.
    fn shrink(&mut self, pages: &mut Pages) {
        if self.len <= 2 * AHEAD * self.segments {
            return;
        }
        if self.len > 1 << self.level && self.depth_count(self.level + 1) == 0 {
            self.len = 1 << self.level;
        }
        while self.len == 1 << self.level && self.level > 0 && self.depth_count(self.level) == 0 {
            self.set_level(self.level - 1);
            self.len = 1 << self.level;
        }
        let needed = if self.len > INLINE {
            ((self.len - 1) >> self.plan.chunk_shift) + 1
        } else {
            0
        };
        if self.chunks_held > needed {
            self.chunks_held -= 1;
            pages.give(pages.page_of(*self.chunks.at(self.chunks_held)));
        }
    }

    // ---- growing -------------------------------------------------------------------------------

    /// Splits the segment of this hash if it is due for a split.
    pub(crate) fn grow(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) {
        if self.wants_split(pages, hash) {
            self.split(pages, hash, rehash);
        }
    }

    /// Whether the segment of this hash is due for a split and the directory can name its halves.
    fn wants_split(&mut self, pages: &mut Pages, hash: Hash) -> bool {
        let segment = self.segment(pages, hash);
        let len = segment.len(pages);
        if len < self.plan.buckets.split_at() || self.slab.per_page() == 0 {
            return false;
        }
        // A nearly full segment may add more entries in one call.
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

    /// Splits the segment of this hash. Does nothing if no slot is available for the other half.
    fn split(&mut self, pages: &mut Pages, hash: Hash, rehash: Rehash<'_>) {
        let Some((slot, _)) = self.slab.alloc(pages) else {
            return;
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
    }

    /// Merges the segment of this hash with its neighbour, if both are nearly empty.
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
        // The first segment is in no slab, so it must stay.
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

    /// Moves the segments of the sparsest page to other pages, if these have enough free slots. Returns the number
    /// of entries moved. O(pages of segments).
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

    // ---- walker --------------------------------------------------------------------------------

    /// Checks directory and segments: `is_item` must hold for each entry, and the hash from `rehash` must
    /// find the entry. Returns the number of entries, `None` if one is wrong.
    pub(crate) fn check(
        &self,
        pages: &Pages,
        is_item: impl Fn(Id) -> bool,
        rehash: Rehash<'_>,
    ) -> Option<u64> {
        let (mut entries, mut segments) = (0, 0);
        for i in 0..self.len {
            let segment = self.entry(pages, i);
            let (depth, prefix) = (segment.depth(pages), segment.prefix(pages));
            let ok = Segment::is_in(pages, segment.0)
                && depth <= self.level + 1
                && i & ((1 << depth) - 1) == prefix;
            if !ok {
                return None;
            }
            if i != prefix {
                continue;
            }
            segments += 1;
            entries += self.check_segment(pages, segment, &is_item, rehash)?;
        }
        let counted: u32 = (0..self.depths.len())
            .map(|depth| self.depth_count(depth))
            .sum();
        let sound = segments == self.segments
            && counted == segments
            && self.slab.used + 1 == segments
            && self.slab.check(pages, |_| true);
        sound.then_some(entries)
    }
}
