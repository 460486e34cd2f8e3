//! From the hash of a key to the item's slot: many small tables, reached through a directory that
//! grows by an entry at a time.
//!
//! # Layout
//! ```text
//! hash bits  | table position (hashbrown) | directory index | ...
//!
//! directory  entry i -> segment      i < len, 2^level <= len < 2^(level+1)
//!            index = hash mod 2^(level+1); if that is >= len: mod 2^level
//! entries    16 of them inline, the others in chunks, each a slot
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

use crate::hash::{Hash, upper};
use crate::region::{Cutter, Table};
use crate::segment::{Buckets, Segment};
use crate::slab::{Class, Extra, Id, Kind, Slab};

/// Directory bits start above those that hashbrown picks the bucket with.
const DIRECTORY_SHIFT: u32 = 7;
const LEVEL_MAX: u32 = 25;
const INLINE: u32 = 16;
/// Directory entries for each segment: so many that a segment due for a split finds its halves
/// addressed.
const AHEAD: u32 = 4;
/// Directory entries that one call adds: usually, and where a segment is about to be full.
const GROW_STEPS: u32 = 16;
const GROW_STEPS_MAX: u32 = 1024;
/// Words of a chunk before its entries: kind, number, padding.
const CHUNK_HEAD: u32 = 4;

/// How an index is laid out over a page area.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    buckets: Buckets,
    /// Whether segments remember what was evicted.
    ghosts: bool,
    /// Entries of a chunk: their number is a power of two.
    chunk_shift: u32,
    chunk_mask: u32,
    /// The directory's deepest level: it has two to that power of entries at most.
    level: u32,
    chunks_max: u32,
}

impl Plan {
    pub(crate) fn new(page_size: usize, area: usize, ghosts: bool) -> Self {
        let buckets = Buckets::for_page(page_size);
        let chunk_shift = match page_size {
            ..1024 => 4,
            1024..16384 => 6,
            _ => 8,
        };
        // Not even items of eight bytes could fill more segments.
        let segments = area / (buckets.split_at() * 8) + 1;
        let level = usize::BITS - segments.leading_zeros();
        let level = level.max(4).min(LEVEL_MAX).max(chunk_shift);
        Self {
            buckets,
            ghosts,
            chunk_shift,
            chunk_mask: (1 << chunk_shift) - 1,
            level,
            chunks_max: 1 << (level - chunk_shift),
        }
    }

    /// Buckets of a segment.
    #[inline(always)]
    pub(crate) fn buckets(&self) -> Buckets {
        if cfg!(feature = "small") {
            Buckets::B32
        } else {
            self.buckets
        }
    }

    fn segment_size(&self) -> usize {
        let ghosts = if self.ghosts {
            self.buckets().ghosts_size()
        } else {
            0
        };
        self.buckets().slot_size() + ghosts
    }

    /// Slot sizes that the index asks of the slab: segments, then chunks.
    pub(crate) fn extras(&self) -> [Extra; 2] {
        let chunk = (CHUNK_HEAD + (1 << self.chunk_shift)) * 4;
        [
            Extra {
                size: self.segment_size() as u32,
            },
            Extra { size: chunk },
        ]
    }

    /// Chunks of the directory over so many segments.
    pub(crate) fn chunks_for(&self, segments: u64) -> u64 {
        ((u64::from(AHEAD) * segments) >> self.chunk_shift) + 2
    }

    /// Depths that a segment can have: one more than the directory's deepest level.
    fn depths(&self) -> u32 {
        self.level + 2
    }

    pub(crate) fn table_size(&self) -> Option<usize> {
        let depths = Table::<u32>::size(self.depths() as usize)?;
        depths.checked_add(Table::<u32>::size(self.chunks_max as usize)?)
    }
}

/// The index of one shard.
#[derive(Debug)]
pub(crate) struct Index {
    plan: Plan,
    segment_class: Class,
    chunk_class: Class,
    level: u32,
    /// The lowest `level + 1` bits.
    wide: u32,
    len: u32,
    /// A slot that holds no table: where rebuilds go.
    spare: Id,
    inline: [u32; INLINE as usize],
    chunks: Table<u32>,
    chunks_held: u32,
    depths: Table<u32>,
    epoch: u32,
    pub(crate) segments: u32,
    pub(crate) rebuilds: u64,
    pub(crate) splits: u64,
}

/// The hash of the key in a slot.
pub(crate) type Rehash<'a> = &'a dyn Fn(&Slab, Id) -> Hash;

const ROOT_BITS: u32 = 4;
const ROOT_COUNT: usize = 1 << ROOT_BITS;

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
    /// An index that [`Index::start`] is to give its first segment. The slab's last two classes are those of
    /// [`Plan::extras`].
    pub(crate) fn new(cutter: &mut Cutter, slab: &Slab, plan: Plan) -> Option<Self> {
        let chunks = cutter.table(plan.chunks_max, Id::NONE.0)?;
        let classes = slab.class_count();
        Some(Self {
            plan,
            segment_class: Class(classes - 2),
            chunk_class: Class(classes - 1),
            level: 0,
            wide: 1,
            len: 1,
            spare: Id::NONE,
            inline: [Id::NONE.0; INLINE as usize],
            chunks,
            chunks_held: 0,
            depths: cutter.table(plan.depths(), 0)?,
            epoch: 0,
            segments: 0,
            rebuilds: 0,
            splits: 0,
        })
    }

    /// Starts anew, with one segment, in a slab that holds none. Returns whether the first two slots were
    /// there.
    pub(crate) fn start(&mut self, slab: &mut Slab) -> bool {
        for c in 0..self.chunks_held {
            *self.chunks.at_mut(c) = Id::NONE.0;
        }
        self.chunks_held = 0;
        self.set_level(0);
        self.len = 1;
        for depth in 0..self.depths.len() {
            *self.depths.at_mut(depth) = 0;
        }
        let (Some(first), Some(spare)) = (
            slab.alloc(self.segment_class, 0),
            slab.alloc(self.segment_class, 0),
        ) else {
            return false;
        };
        let segment = Segment::create(slab, first, self.plan.buckets(), 0, 0);
        self.inherit_ghosts(slab, segment, None, None);
        self.spare = spare;
        self.segments = 1;
        self.count_depth(0, 1);
        self.set_entry(slab, 0, segment);
        true
    }

    /// As [`Index::start`], with segments for so many items where there is room for them, so that none has
    /// to be split while they come; where code has to be small, they are.
    pub(crate) fn start_for(&mut self, slab: &mut Slab, items: u32) -> bool {
        if !self.start(slab) {
            return false;
        }
        if cfg!(feature = "small") {
            return true;
        }
        let mut depths = [0; ROOT_COUNT];
        for (root, depth) in (0..).zip(&mut depths) {
            *depth = self.depth_for(items, root);
        }
        let deepest = depths.iter().fold(0, |most, &depth| depth.max(most));
        // Few segments come by splitting soon enough.
        if depths.iter().any(|&depth| depth <= ROOT_BITS) || !self.fits(slab, &depths, deepest) {
            return true;
        }
        self.fan_out(slab, &depths, deepest)
    }

    /// The depth at which the segments of a root are not due for a split yet, once its share of so many
    /// items has come.
    fn depth_for(&self, items: u32, root: u32) -> u32 {
        let share = ROOTS.iter().filter(|&&r| u32::from(r) == root).count() as u64;
        // One in twenty less than a split's, since no two segments get the same number.
        let most = self.plan.buckets().split_at() as u64 * 19 / 20;
        let mut depth = ROOT_BITS;
        while u64::from(items) * share > (most * 256) << (depth - ROOT_BITS) && depth < LEVEL_MAX {
            depth += 1;
        }
        depth
    }

    /// Whether free pages hold the segments of these depths and the directory over them.
    fn fits(&self, slab: &Slab, depths: &[u32], deepest: u32) -> bool {
        let segments: u32 = depths.iter().map(|depth| 1 << (depth - ROOT_BITS)).sum();
        let chunks = 1 << deepest.saturating_sub(self.plan.chunk_shift);
        let pages = segments.div_ceil(slab.slots_per_page(self.segment_class).max(1))
            + chunks / slab.slots_per_page(self.chunk_class).max(1);
        chunks <= self.plan.chunks_max && pages + 2 <= slab.pages_free()
    }

    /// Replaces the first segment by those of these depths.
    fn fan_out(&mut self, slab: &mut Slab, depths: &[u32], deepest: u32) -> bool {
        let first = self.entry(slab, 0);
        while self.level < deepest {
            if !self.extend(slab) {
                return false;
            }
        }
        for (root, &depth) in (0..).zip(depths) {
            for upper in 0..1 << (depth - ROOT_BITS) {
                let prefix = root | upper << ROOT_BITS;
                let Some(slot) = slab.alloc(self.segment_class, 0) else {
                    return false;
                };
                let segment = Segment::create(slab, slot, self.plan.buckets(), depth, prefix);
                self.inherit_ghosts(slab, segment, None, None);
                self.point(slab, depth, prefix, segment);
                self.count_depth(depth, 1);
                self.segments += 1;
            }
        }
        self.count_depth(0, -1);
        self.segments -= 1;
        slab.free(first.0);
        true
    }

    pub(crate) fn segment_class(&self) -> Class {
        self.segment_class
    }

    // ---- directory -----------------------------------------------------------------------------

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn entry(&self, slab: &Slab, i: u32) -> Segment {
        if let Some(&id) = self.inline.get(i as usize) {
            return Segment(Id(id));
        }
        let chunk = Id(*self.chunks.at(i >> self.plan.chunk_shift));
        Segment(Id(slab.word(chunk, CHUNK_HEAD + (i & self.plan.chunk_mask))))
    }

    fn set_entry(&mut self, slab: &mut Slab, i: u32, segment: Segment) {
        if let Some(entry) = self.inline.get_mut(i as usize) {
            *entry = segment.0.0;
            return;
        }
        let chunk = Id(*self.chunks.at(i >> self.plan.chunk_shift));
        let at = CHUNK_HEAD + (i & self.plan.chunk_mask);
        slab.set_word(chunk, at, segment.0.0);
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn segment(&self, slab: &Slab, hash: Hash) -> Segment {
        let i = directory_bits(hash) & self.wide;
        self.entry(
            slab,
            if i < self.len {
                i
            } else {
                i & (self.wide >> 1)
            },
        )
    }

    fn set_level(&mut self, level: u32) {
        self.level = level;
        self.wide = (2 << level) - 1;
    }

    /// Lets every entry that names a segment of this depth and prefix name another one.
    fn point(&mut self, slab: &mut Slab, depth: u32, prefix: u32, to: Segment) {
        let mut i = prefix;
        while i < self.len {
            self.set_entry(slab, i, to);
            i += 1 << depth;
        }
    }

    /// Adds one entry to the directory.
    fn extend(&mut self, slab: &mut Slab) -> bool {
        let i = self.len;
        if self.level >= LEVEL_MAX || i >> self.plan.chunk_shift >= self.plan.chunks_max {
            return false;
        }
        if i >= INLINE && !self.hold_chunk(slab, i >> self.plan.chunk_shift) {
            return false;
        }
        let twin = self.entry(slab, i - (1 << self.level));
        self.set_entry(slab, i, twin);
        self.len += 1;
        if self.len == 2 << self.level {
            self.set_level(self.level + 1);
        }
        true
    }

    fn hold_chunk(&mut self, slab: &mut Slab, number: u32) -> bool {
        if number < self.chunks_held {
            return true;
        }
        let Some(id) = slab.alloc(self.chunk_class, 0) else {
            return false;
        };
        slab.set_word(id, 0, Kind::Chunk.word(0));
        slab.set_word(id, 1, number);
        *self.chunks.at_mut(number) = id.0;
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
    fn grow_ahead(&mut self, slab: &mut Slab) {
        for _ in 0..GROW_STEPS {
            if self.len >= AHEAD * self.segments || !self.extend(slab) {
                break;
            }
        }
    }

    /// Halves a directory that is twice as large as it has to be where no segment needs its
    /// upper half, and gives one chunk back.
    fn shrink(&mut self, slab: &mut Slab) {
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
            // Where the inline entries fill a chunk, the first chunk is never taken.
            if let Some(chunk) = Id(*self.chunks.at(self.chunks_held)).some() {
                slab.free(chunk);
            }
            *self.chunks.at_mut(self.chunks_held) = Id::NONE.0;
        }
    }

    // ---- entries -------------------------------------------------------------------------------

    /// The segment of a hash: until [`Index::epoch`] changes.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn segment_of(&self, slab: &Slab, hash: Hash) -> Segment {
        let segment = self.segment(slab, hash);
        segment.prefetch_probe(slab, self.plan.buckets(), hash);
        segment
    }

    /// Asks for the lines that a lookup of this hash reads.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn prefetch(&self, slab: &Slab, segment: Segment, hash: Hash) {
        segment.prefetch(slab, self.plan.buckets(), hash);
    }

    /// Whether the index is too large for the processor's caches, so that hints about its lines pay.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_far(&self) -> bool {
        self.plan.buckets() == Buckets::B128
    }

    /// Counts whatever lets a hash belong to another segment.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn find(&self, slab: &Slab, hash: Hash, is: impl FnMut(Id) -> bool) -> Option<Id> {
        self.segment(slab, hash).find(slab, hash, is)
    }

    /// Whether the next insert finds room in a segment, which is not due for a split.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn is_ready(&self, slab: &Slab, segment: Segment) -> bool {
        segment.len(slab) < self.plan.buckets().split_at() && segment.has_room(slab)
    }

    #[inline]
    pub(crate) fn has_room(&self, slab: &Slab, hash: Hash) -> bool {
        self.segment(slab, hash).has_room(slab)
    }

    /// Whether the segment of this hash has as many entries as it can ever have.
    pub(crate) fn is_full(&self, slab: &Slab, hash: Hash) -> bool {
        self.segment(slab, hash).len(slab) >= self.plan.buckets().capacity()
    }

    /// Inserts, if there is room.
    pub(crate) fn insert(&mut self, slab: &mut Slab, hash: Hash, id: Id) -> bool {
        self.segment(slab, hash).insert(slab, hash, id)
    }

    #[inline]
    pub(crate) fn replace(&mut self, slab: &mut Slab, hash: Hash, from: Id, to: Id) -> bool {
        self.segment(slab, hash).replace(slab, hash, from, to)
    }

    /// Takes an entry out. Returns whether the segment is nearly empty now: [`Index::merge`] then.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn remove(&mut self, slab: &mut Slab, hash: Hash, id: Id) -> bool {
        let segment = self.segment(slab, hash);
        segment.remove(slab, hash, id);
        self.is_sparse(slab, segment)
    }

    /// As [`Index::remove`], and remembers the item.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn evict(&mut self, slab: &mut Slab, hash: Hash, id: Id) -> bool {
        let segment = self.segment_of(slab, hash);
        segment.remove(slab, hash, id);
        if self.plan.ghosts {
            segment.add_ghost(slab, self.plan.buckets(), hash);
        }
        self.is_sparse(slab, segment)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn is_sparse(&self, slab: &Slab, segment: Segment) -> bool {
        // Now and then is often enough to look at the neighbour.
        let len = segment.len(slab);
        len * 2 <= self.plan.buckets().merge_at() && len.is_multiple_of(8)
    }

    // ---- ghosts --------------------------------------------------------------------------------

    fn inherit_ghosts(
        &self,
        slab: &mut Slab,
        to: Segment,
        from: Option<Segment>,
        other: Option<Segment>,
    ) {
        if self.plan.ghosts {
            to.inherit_ghosts(slab, self.plan.buckets(), from, other);
        }
    }

    /// Whether an item was evicted not long ago; from then on it is not remembered.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn take_ghost(&self, slab: &mut Slab, segment: Segment, hash: Hash) -> bool {
        self.plan.ghosts && segment.take_ghost(slab, self.plan.buckets(), hash)
    }

    /// An item in the segment of this hash that is not pinned: somebody to evict where the segment is
    /// full.
    pub(crate) fn neighbour(&self, slab: &Slab, hash: Hash) -> Option<Id> {
        let segment = self.segment(slab, hash);
        let buckets = segment.buckets(slab).max(1);
        let start = (upper(hash) >> 8) as usize % buckets;
        (0..buckets)
            .filter_map(|i| segment.bucket(slab, (start + i) % buckets))
            .find(|&id| slab.kind(id) == Kind::Item)
    }

    // ---- growing and shrinking -----------------------------------------------------------------

    /// Whether the segment of this hash is due for a split and the directory can name its halves.
    pub(crate) fn wants_split(&mut self, slab: &mut Slab, hash: Hash) -> bool {
        let segment = self.segment(slab, hash);
        let len = segment.len(slab);
        if len < self.plan.buckets().split_at() {
            return false;
        }
        // The nearer the segment is to being full, the more entries are added at once.
        let steps = if len + 4 < self.plan.buckets().capacity() {
            GROW_STEPS
        } else {
            GROW_STEPS_MAX
        };
        for _ in 0..steps {
            if self.can_split(slab, segment) {
                return true;
            }
            if !self.extend(slab) {
                return false;
            }
        }
        self.can_split(slab, segment)
    }

    fn can_split(&self, slab: &Slab, segment: Segment) -> bool {
        let depth = segment.depth(slab);
        depth < self.level
            || depth == self.level && segment.prefix(slab) + (1 << self.level) < self.len
    }

    /// Splits the segment of this hash into the spare slot and `slot`. The caller asked
    /// [`Index::wants_split`] with nothing in between.
    pub(crate) fn split(&mut self, slab: &mut Slab, hash: Hash, slot: Id, rehash: Rehash<'_>) {
        let old = self.segment(slab, hash);
        let (depth, prefix) = (old.depth(slab), old.prefix(slab));
        let low = self.make(slab, self.spare, (depth + 1, prefix), old, None);
        let high = self.make(slab, slot, (depth + 1, prefix | 1 << depth), old, None);
        Self::pour(slab, old, rehash, depth, [low, high]);
        self.retire(slab, old);
        self.count_depth(depth, -1);
        self.count_depth(depth + 1, 2);
        self.segments += 1;
        self.splits += 1;
        self.grow_ahead(slab);
    }

    /// Clears the segment of the marks that removed entries left behind.
    pub(crate) fn rebuild(&mut self, slab: &mut Slab, hash: Hash, rehash: Rehash<'_>) {
        let old = self.segment(slab, hash);
        self.remake(slab, self.spare, old, rehash);
        self.retire(slab, old);
        self.rebuilds += 1;
    }

    /// Joins the segment of this hash with its neighbour, if the two are nearly empty.
    #[cold]
    pub(crate) fn merge(&mut self, slab: &mut Slab, hash: Hash, rehash: Rehash<'_>) {
        let segment = self.segment(slab, hash);
        let (depth, prefix) = (segment.depth(slab), segment.prefix(slab));
        if depth == 0 {
            return;
        }
        let twin = self.entry(slab, prefix ^ 1 << (depth - 1));
        let len = segment.len(slab) + twin.len(slab);
        if twin.depth(slab) != depth || len > self.plan.buckets().merge_at() {
            return;
        }
        let low = prefix & !(1 << (depth - 1));
        let new = self.make(slab, self.spare, (depth - 1, low), segment, Some(twin));
        for old in [segment, twin] {
            Self::pour(slab, old, rehash, 0, [new, new]);
        }
        self.retire(slab, segment);
        slab.free(twin.0);
        self.count_depth(depth, -2);
        self.count_depth(depth - 1, 1);
        self.segments -= 1;
        self.shrink(slab);
    }

    /// A new segment in this slot: the directory names it instead of the old ones, whose ghosts it takes over.
    fn make(
        &mut self,
        slab: &mut Slab,
        slot: Id,
        (depth, prefix): (u32, u32),
        old: Segment,
        other: Option<Segment>,
    ) -> Segment {
        let new = Segment::create(slab, slot, self.plan.buckets(), depth, prefix);
        self.inherit_ghosts(slab, new, Some(old), other);
        self.point(slab, depth, prefix, new);
        new
    }

    /// The same segment in another slot.
    fn remake(&mut self, slab: &mut Slab, slot: Id, old: Segment, rehash: Rehash<'_>) {
        let place = (old.depth(slab), old.prefix(slab));
        let new = self.make(slab, slot, place, old, None);
        Self::pour(slab, old, rehash, 0, [new, new]);
    }

    /// Copies every entry of a segment into the one of two that a bit of its hash names.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn pour(
        slab: &mut Slab,
        from: Segment,
        rehash: Rehash<'_>,
        bit: u32,
        [low, high]: [Segment; 2],
    ) {
        for bucket in 0..from.buckets(slab) {
            if let Some(id) = from.bucket(slab, bucket) {
                let hash = rehash(slab, id);
                let to = if directory_bits(hash) >> bit & 1 == 0 {
                    low
                } else {
                    high
                };
                // A table of the same capacity with fewer entries always has room.
                to.insert(slab, hash, id);
            }
        }
    }

    fn retire(&mut self, slab: &mut Slab, segment: Segment) {
        self.epoch = self.epoch.wrapping_add(1);
        slab.set_word(segment.0, 0, Kind::Pending.word(0));
        self.spare = segment.0;
    }

    // ---- moving --------------------------------------------------------------------------------

    /// Moves a segment, a chunk or the spare slot to another slot of its class, and frees its own.
    /// Returns whether the slot is the index's.
    pub(crate) fn relocate(
        &mut self,
        slab: &mut Slab,
        from: Id,
        to: Id,
        rehash: Rehash<'_>,
    ) -> bool {
        match slab.kind(from) {
            Kind::Segment => {
                self.remake(slab, to, Segment(from), rehash);
                self.epoch = self.epoch.wrapping_add(1);
            }
            Kind::Chunk => {
                slab.copy_slot(from, to);
                slab.set_kind(to, Kind::Chunk);
                let number = slab.word(from, 1);
                *self.chunks.at_mut(number) = to.0;
            }
            _ if from == self.spare => self.spare = to,
            _ => return false,
        }
        slab.free(from);
        true
    }

    // ---- walker --------------------------------------------------------------------------------

    /// Walks directory and segments; calls `visit` with each entry, and its hash by `rehash` must
    /// lead back to the same segment. Returns the number of entries, `None` where one is wrong.
    pub(crate) fn check(&self, slab: &Slab, rehash: Rehash<'_>) -> Option<u64> {
        let (mut entries, mut segments) = (0, 0);
        for i in 0..self.len {
            let segment = self.entry(slab, i);
            let (depth, prefix) = (segment.depth(slab), segment.prefix(slab));
            let ok = slab.kind(segment.0) == Kind::Segment
                && depth <= self.level + 1
                && i & ((1 << depth) - 1) == prefix;
            if !ok {
                return None;
            }
            if i != prefix {
                continue;
            }
            segments += 1;
            for bucket in 0..segment.buckets(slab) {
                let Some(id) = segment.bucket(slab, bucket) else {
                    continue;
                };
                let hash = rehash(slab, id);
                let is_item = matches!(slab.kind(id), Kind::Item | Kind::Pinned);
                if !is_item || self.find(slab, hash, |e| e == id) != Some(id) {
                    return None;
                }
                entries += 1;
            }
        }
        let counted: u32 = (0..self.depths.len())
            .map(|depth| self.depth_count(depth))
            .sum();
        (segments == self.segments && counted == segments).then_some(entries)
    }
}
