//! The index with the feature `small`: as many segments as the region is likely to need, before the pages.
//!
//! If a segment is full, one of its items is evicted. Segments are never split, merged or moved.

#![forbid(unsafe_code)]

use super::Rehash;
use crate::hash::Hash;
use crate::page::{GRANULE, Id, Pages};
use crate::region::Cutter;
use crate::segment::{Buckets, Segment};

/// Bytes of a part for each entry of the index; fewer if no item can have that size.
const ITEM_SIZE: usize = 64;
const BUCKETS: Buckets = Buckets::B64;
const SEGMENT: u32 = (BUCKETS.size() / GRANULE) as u32;
/// The bits of a hash that select the segment start above the bits that select hashbrown's bucket.
const SHIFT: u32 = 7;
const BITS: u32 = 16;

/// The number of segments of a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    segments: u32,
}

impl Plan {
    /// A plan for a part of `area` bytes and items of at most `item_max` bytes.
    pub(crate) fn new(_: usize, area: usize, item_max: usize) -> Self {
        let segments = area / (ITEM_SIZE.min(item_max) * BUCKETS.capacity()) + 1;
        Self {
            segments: segments.min(1 << BITS) as u32,
        }
    }

    /// Bytes of tables.
    pub(crate) fn table_size(&self) -> Option<usize> {
        Some(0)
    }

    /// Granules of the segments.
    pub(crate) fn root_granules(&self) -> u32 {
        self.segments * SEGMENT
    }

    /// Pages that the index takes: none.
    pub(crate) fn pages_for(&self, _: u64, _: usize) -> u64 {
        0
    }

    /// Items that the index holds when hashes are random. A single segment can become full. Of several segments'
    /// capacity two fifths count, since the fullest segment is the limit.
    pub(crate) fn root_capacity(&self) -> u64 {
        let most = BUCKETS.capacity() as u64;
        match self.segments {
            1 => most,
            segments => u64::from(segments) * (most * 2 / 5),
        }
    }
}

/// The index of one shard.
#[derive(Debug)]
pub(crate) struct Index {
    segments: u32,
    /// Whether segments keep ghosts.
    pub(super) ghosts: bool,
    /// Always false here; see `growing`.
    pub(super) is_far: bool,
    /// Always 0 here; see `growing`.
    pub(crate) moves: u32,
    pub(crate) rebuilds: u64,
    pub(crate) splits: u64,
}

impl Index {
    /// An index without segments. [`Index::start`] makes them, before the pages.
    pub(crate) fn new(
        _: &mut Cutter,
        plan: Plan,
        _: usize,
        _: usize,
        ghosts: bool,
    ) -> Option<Self> {
        Some(Self {
            segments: plan.segments,
            ghosts,
            is_far: false,
            moves: 0,
            rebuilds: 0,
            splits: 0,
        })
    }

    /// Starts with empty segments.
    pub(crate) fn start(&mut self, pages: &mut Pages) {
        for i in 0..self.segments {
            Segment::create(pages, Id(i * SEGMENT), BUCKETS, 0, i);
        }
    }

    /// There is no table that lies elsewhere now.
    #[cfg(feature = "hosted")]
    pub(crate) fn shift(&mut self, _: &crate::region::Shift) {}

    /// Pages that the index has.
    pub(crate) fn pages(&self) -> u32 {
        0
    }

    pub(crate) fn grow(&mut self, _: &mut Pages, _: Hash, _: Rehash<'_>) {}

    pub(super) fn is_sparse(&self, _: usize) -> bool {
        false
    }

    pub(crate) fn merge(&mut self, _: &mut Pages, _: Hash, _: Rehash<'_>) {}

    pub(crate) fn compact(&mut self, _: &mut Pages, _: Rehash<'_>) -> u32 {
        0
    }

    pub(super) fn buckets(&self) -> Buckets {
        BUCKETS
    }

    /// The segment of a hash.
    pub(crate) fn segment(&self, _: &Pages, hash: Hash) -> Segment {
        let share = (hash >> SHIFT) as u32 & ((1 << BITS) - 1);
        Segment(Id(((share * self.segments) >> BITS) * SEGMENT))
    }

    /// Checks the segments: `is_item` must hold for each entry, and the hash from `rehash` must find the entry.
    /// Returns the number of entries, `None` if one is wrong.
    pub(crate) fn check(
        &self,
        pages: &Pages,
        is_item: impl Fn(Id) -> bool,
        rehash: Rehash<'_>,
    ) -> Option<u64> {
        let mut entries = 0;
        for i in 0..self.segments {
            let segment = Segment(Id(i * SEGMENT));
            entries += self.check_segment(pages, segment, &is_item, rehash)?;
        }
        Some(entries)
    }
}
