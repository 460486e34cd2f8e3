//! From the hash of a key to the item: many small tables, reached through a directory that grows by an entry at a
//! time.
//!
//! # Layout
//! ```text
//! hash bits  | table position (hashbrown) | directory index | ...
//!
//! directory  entry i -> segment      i < len, 2^level <= len < 2^(level+1)
//!            index = hash mod 2^(level+1); if that is >= len: mod 2^level
//! entries    16 of them inline, the others in chunks, each a page
//! segments   the first one before the pages; the others in a slab
//! ```
//! A segment of depth d with prefix p holds the hashes whose directory bits end in p (d bits); all
//! entries i with i mod 2^d == p name it.
//!
//! # Invariants (walked by [`Index::check`])
//! 1. Every entry below `len` names a live segment whose prefix it ends in.
//! 2. No segment is deeper than `level`, or than `level + 1` where its upper half is addressed.
//! 3. `depths[d]` counts the segments of depth d.
//!
//! # Time
//! Find, insert, remove: one table. A split, a rebuild or a merge moves the entries of one or two
//! segments, and touches the few directory entries that name them.
//!
//! # Source
//! Extendible hashing: R. Fagin et al., ACM TODS 4 (1979); the directory that doubles an entry at a
//! time borrows its addressing from linear hashing: W. Litwin, VLDB 1980.

#![forbid(unsafe_code)]

mod growth;

use crate::hash::{Hash, upper};
use crate::page::{GRANULE, Id, Owner, Pages, shares};
use crate::region::{Cutter, Table};
use crate::segment::{Buckets, Segment};
use crate::slab::Slab;

/// Directory bits start above those that hashbrown picks the bucket with.
const DIRECTORY_SHIFT: u32 = 7;
const LEVEL_MAX: u32 = 25;
/// A part of so few bytes lies in the processor's caches: to ask for its lines costs more than it brings.
const NEAR: usize = 4 << 20;
const INLINE: u32 = 16;
/// Directory entries for each segment: enough that a segment due for a split finds its halves addressed.
const AHEAD: u32 = 4;
/// Directory entries that one call adds: usually, and where a segment is about to be full.
const GROW_STEPS: u32 = 16;
const GROW_STEPS_MAX: u32 = 1024;

/// How an index is laid out over the pages of a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) buckets: Buckets,
    /// Entries of a chunk: their number is a power of two.
    chunk_shift: u32,
    /// The directory's deepest level: it has two to that power of entries at most.
    level: u32,
    chunks_max: u32,
}

impl Plan {
    pub(crate) fn new(page_size: usize, area: usize) -> Self {
        let buckets = Buckets::for_page(page_size);
        let chunk_shift = (page_size / GRANULE).trailing_zeros();
        // Not even items of eight bytes could fill more segments.
        let segments = area / (buckets.split_at() * 8) + 1;
        let level = (usize::BITS - segments.leading_zeros())
            .max(4)
            .min(LEVEL_MAX)
            .max(chunk_shift);
        Self {
            buckets,
            chunk_shift,
            level,
            chunks_max: 1 << (level - chunk_shift),
        }
    }

    /// Depths that a segment can have: one more than the directory's deepest level.
    fn depths(&self) -> u32 {
        self.level + 2
    }

    /// Bytes of tables.
    pub(crate) fn table_size(&self) -> Option<usize> {
        let depths = Table::<u32>::size(self.depths() as usize)?;
        depths.checked_add(Table::<Id>::size(self.chunks_max as usize)?)
    }

    /// Granules of the first segment.
    pub(crate) fn root_granules(&self) -> u32 {
        (self.buckets.size() / GRANULE) as u32
    }

    /// Pages that the index over so many items takes at most, whatever the order in which they came.
    pub(crate) fn pages_for(&self, items: u64, page_size: usize) -> u64 {
        // Loads lie between half of the load that splits a segment and all of it, 0.72 on average.
        let segments = items / (self.buckets.split_at() as u64 * 11 / 20).max(1) + 2;
        let per_page = (page_size / self.buckets.size()) as u64;
        let chunks = ((u64::from(AHEAD) * segments) >> self.chunk_shift) + 2;
        if per_page == 0 {
            return 0;
        }
        shares(segments, per_page) + chunks
    }

    /// Items that an index without pages of its own holds.
    pub(crate) fn root_capacity(&self) -> u64 {
        self.buckets.capacity() as u64
    }
}

/// The index of one shard.
#[derive(Debug)]
pub(crate) struct Index {
    plan: Plan,
    /// Whether segments remember what was evicted.
    ghosts: bool,
    /// Whether the part is larger than the processor's caches are likely to be.
    is_far: bool,
    level: u32,
    /// The lowest `level + 1` bits.
    wide: u32,
    len: u32,
    inline: [Id; INLINE as usize],
    /// Where each chunk begins.
    chunks: Table<Id>,
    chunks_held: u32,
    depths: Table<u32>,
    slab: Slab,
    pub(crate) segments: u32,
    /// How often hashes were given other segments.
    pub(crate) moves: u32,
    pub(crate) rebuilds: u64,
    pub(crate) splits: u64,
}

/// The hash of an item's key.
pub(crate) type Rehash<'a> = &'a dyn Fn(&Pages, Id) -> Hash;

/// The first segment.
const ROOT: Segment = Segment(Id(0));

/// Which of 16 roots eight bits of the hash belong to: root i gets a share of 2^(i/16) of them.
///
/// Were all shares equal, all segments would fill up, and split, at the same time, and the index would
/// cost twice as much after a storm of splits as before. With these shares the segments' loads are
/// spread evenly at any time.
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

/// The root's number, and above it further bits of the hash.
#[cfg_attr(not(feature = "small"), inline(always))]
fn directory_bits(hash: Hash) -> u32 {
    let bits = (hash >> DIRECTORY_SHIFT) as u32;
    let root = ROOTS.get((bits & 0xff) as usize).copied().unwrap_or(0);
    u32::from(root) | (bits >> 8) << 4
}

impl Index {
    /// An index that [`Index::start`] is to give its first segment, which lies before the pages.
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

    /// Starts anew with one segment, over pages that hold none.
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

    /// Pages that the index has.
    pub(crate) fn pages(&self) -> u32 {
        self.slab.pages + self.chunks_held
    }

    // ---- directory -----------------------------------------------------------------------------

    /// Where entry `i` lies behind the inline ones.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn entry_at(&self, i: u32) -> u32 {
        let chunk = *self.chunks.at(i >> self.plan.chunk_shift);
        chunk.0 + (i & !(u32::MAX << self.plan.chunk_shift))
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
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

    /// The segment of a hash: until segments are split, joined or moved.
    #[cfg_attr(not(feature = "small"), inline(always))]
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

    /// Lets every entry that names a segment of this depth and prefix name another one.
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

    /// Adds entries after a split, so that the next segments find their halves addressed.
    fn grow_ahead(&mut self, pages: &mut Pages) {
        for _ in 0..GROW_STEPS {
            if self.len >= AHEAD * self.segments || !self.extend(pages) {
                break;
            }
        }
    }

    /// Halves a directory that is twice as large as it has to be where no segment needs its
    /// upper half, and gives one chunk back.
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

    // ---- entries -------------------------------------------------------------------------------

    /// Whether the part is larger than the processor's caches are likely to be.
    #[inline(always)]
    pub(crate) fn is_far(&self) -> bool {
        !cfg!(feature = "small") && self.is_far
    }

    /// Asks for the lines that a lookup of this hash reads, all at once, where they are likely to be in memory alone.
    #[inline(always)]
    pub(crate) fn prefetch(&self, pages: &Pages, segment: Segment, hash: Hash) {
        if self.is_far() {
            segment.prefetch(pages, self.plan.buckets, hash);
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
        segment.len(pages) < self.plan.buckets.split_at() && segment.has_room(pages)
    }

    pub(crate) fn has_room(&self, pages: &Pages, hash: Hash) -> bool {
        self.segment(pages, hash).has_room(pages)
    }

    /// Whether the segment of this hash has as many entries as it can ever have.
    pub(crate) fn is_full(&self, pages: &Pages, hash: Hash) -> bool {
        self.segment(pages, hash).len(pages) >= self.plan.buckets.capacity()
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn replace(&mut self, pages: &mut Pages, hash: Hash, from: Id, to: Id) -> bool {
        self.segment(pages, hash).replace(pages, hash, from, to)
    }

    /// Takes an entry out. Returns whether the segment is nearly empty now: [`Index::merge`] then.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn remove(&mut self, pages: &mut Pages, hash: Hash, id: Id) -> bool {
        let segment = self.segment(pages, hash);
        let left = segment.remove(pages, hash, id);
        debug_assert!(left.is_some());
        self.is_sparse(left)
    }

    /// As [`Index::remove`], and remembers the item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn evict(&mut self, pages: &mut Pages, hash: Hash, id: Id) -> bool {
        let segment = self.segment(pages, hash);
        let left = segment.remove(pages, hash, id);
        debug_assert!(left.is_some());
        if self.ghosts {
            segment.add_ghost(pages, self.plan.buckets, hash);
        }
        self.is_sparse(left)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn is_sparse(&self, len: Option<usize>) -> bool {
        // Now and then is often enough to look at the neighbour.
        let most = self.plan.buckets.merge_at() / 2;
        len.is_some_and(|len| len.is_multiple_of(8) && len <= most)
    }

    /// Whether an item was evicted not long ago; from then on it is not remembered.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn take_ghost(&self, pages: &mut Pages, segment: Segment, hash: Hash) -> bool {
        self.ghosts && segment.take_ghost(pages, self.plan.buckets, hash)
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

    // ---- walker --------------------------------------------------------------------------------

    /// Walks directory and segments; calls `is_item` with each entry, and its hash by `rehash` must
    /// lead back to the same segment. Returns the number of entries, `None` where one is wrong.
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
            for bucket in 0..segment.buckets(pages) {
                let Some(id) = segment.bucket(pages, bucket) else {
                    continue;
                };
                let found =
                    is_item(id) && self.find(pages, rehash(pages, id), |e| e == id) == Some(id);
                if !found {
                    return None;
                }
                entries += 1;
            }
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
