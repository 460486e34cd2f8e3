//! How much memory a cache needs: the layout's arithmetic, without the memory.

#![forbid(unsafe_code)]

use crate::config::{Config, SHARDS_MAX};
use crate::footprint::{Footprint, Needs};
use crate::region::ALIGN;
use crate::shard::Setup;
use crate::status::{Error, Result};

/// No line of the processor's caches is longer than this.
const LINE: usize = 64;

/// Bytes from one cell to the next: where there are several, two never share a line.
pub(crate) const fn cell_stride<C>(count: u32) -> usize {
    let gap = if count > 1 { LINE } else { 0 };
    (size_of::<C>() + gap).next_multiple_of(ALIGN)
}

pub(crate) const fn cells_size<C>(count: u32) -> usize {
    cell_stride::<C>(count) * count as usize
}

/// Bytes of each of `count` equal parts of what is left of a region, aligned.
pub(crate) fn part_size(left: usize, count: u32) -> usize {
    (left / count.max(1) as usize) & !(ALIGN - 1)
}

/// What each of `count` parts may use under a limit for the whole.
pub(crate) fn share(limit: usize, outside: usize, count: u32) -> usize {
    limit.saturating_sub(outside) / count.max(1) as usize
}

/// How each part is divided; `None` where the parts, or the configured limit's shares of them, are too small for
/// anything.
pub(crate) fn check_limit(
    config: &Config,
    setup: &Setup,
    region: usize,
    part: usize,
) -> Option<Footprint> {
    let count = config.shard_count(region);
    let footprint = Footprint::of(part, setup)?;
    let limit_min = footprint.limit_min(part)?;
    let outside = region.checked_sub(part.checked_mul(count as usize)?)?;
    let limit = if config.memory_limit == 0 {
        region
    } else {
        config.memory_limit
    };
    (share(limit, outside, count) >= limit_min).then_some(footprint)
}

/// See [`Cache::required_size`](crate::Cache::required_size). `H` and `C` are what lies at the start
/// of a region: a header, and a cell for each shard.
pub(crate) fn required_size<H, C>(
    config: &Config,
    items: u64,
    key_len: usize,
    value_len: usize,
) -> Result<usize> {
    let setup = config.setup();
    if key_len > setup.key_len_max || value_len > setup.value_len_max || items > 0 && key_len == 0 {
        return Err(Error::Invalid);
    }
    let ttl = true;
    let mut count = config.shard_count(0);
    loop {
        let needs = Needs {
            items: items_of_one_shard(items, count),
            key_len,
            value_len,
            ttl,
        };
        let part = smallest(|part| Footprint::of(part, &setup).is_some_and(|f| f.holds(&needs)))?;
        let head = size_of::<H>() + ALIGN + cells_size::<C>(count);
        let parts = part.checked_mul(count as usize).ok_or(Error::TooLarge)?;
        let sum = parts
            .checked_add(head)
            .and_then(|n| n.checked_add(3 * ALIGN));
        let size = sum.ok_or(Error::TooLarge)? & !(ALIGN - 1);
        if config.shard_count(size) == count {
            return Ok(size);
        }
        if count == SHARDS_MAX {
            return Err(Error::TooLarge);
        }
        count += 1;
    }
}

/// The hash spreads items over shards unevenly: an allowance of six standard deviations.
fn items_of_one_shard(items: u64, count: u32) -> u64 {
    let mean = items.div_ceil(u64::from(count.max(1)));
    if count <= 1 {
        mean
    } else {
        mean.saturating_add(6 * (u64::from(root_of(mean)) + 1))
    }
}

/// The square root, rounded down: `u64::isqrt` does it in fewer steps and twenty times the code.
fn root_of(n: u64) -> u32 {
    let mut root = 0u32;
    for bit in (0..u32::BITS).rev() {
        let more = root | 1 << bit;
        if u64::from(more) * u64::from(more) <= n {
            root = more;
        }
    }
    root
}

/// The smallest size found for which `fits` holds: doubling, then halving the gap down to 1/64.
/// The step at which the page size doubles may make a larger region hold less: all sizes that were
/// tried and found too small lie below the answer.
fn smallest(fits: impl Fn(usize) -> bool) -> Result<usize> {
    let mut high = 1024usize;
    while !fits(high) {
        high = high.checked_mul(2).ok_or(Error::TooLarge)?;
    }
    let mut low = high / 2;
    while high - low > (high / 64).max(ALIGN) {
        let middle = (low + (high - low) / 2) & !(ALIGN - 1);
        if fits(middle) {
            high = middle
        } else {
            low = middle
        }
    }
    Ok(high)
}
