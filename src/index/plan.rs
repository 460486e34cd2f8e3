//! The sizes of a growing index over the pages of a part.

#![forbid(unsafe_code)]

use crate::page::{GRANULE, Id, shares};
use crate::region::Table;
use crate::segment::Buckets;

pub(super) const LEVEL_MAX: u32 = 25;
/// Directory entries for each segment: with that number, most segments due for a split find their halves' entries.
pub(super) const AHEAD: u32 = 4;

/// The sizes of an index over the pages of a part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) buckets: Buckets,
    /// A chunk has `1 << chunk_shift` entries.
    pub(super) chunk_shift: u32,
    /// The directory has at most `1 << level` entries.
    level: u32,
    pub(super) chunks_max: u32,
}

impl Plan {
    pub(crate) fn new(page_size: usize, area: usize, _: usize) -> Self {
        let buckets = Buckets::for_page(page_size);
        let chunk_shift = (page_size / GRANULE).trailing_zeros();
        // Even items of eight bytes, the smallest, cannot fill more segments.
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

    /// Number of depths that a segment can have: 0 to `level + 1`.
    pub(super) fn depths(&self) -> u32 {
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

    /// The maximum number of pages of an index over `items` items, in any order of their sets.
    pub(crate) fn pages_for(&self, items: u64, page_size: usize) -> u64 {
        // Loads are between half of `split_at` and all of it, 0.72 of it on average.
        let segments = items / (self.buckets.split_at() as u64 * 11 / 20).max(1) + 2;
        let per_page = (page_size / self.buckets.size()) as u64;
        let chunks = ((u64::from(AHEAD) * segments) >> self.chunk_shift) + 2;
        if per_page == 0 {
            return 0;
        }
        shares(segments, per_page) + chunks
    }

    /// The maximum number of items of an index with its first segment alone.
    pub(crate) fn root_capacity(&self) -> u64 {
        self.buckets.capacity() as u64
    }
}
