//! The size of a region for given items, computed by the arithmetic of `layout` without a region.

#![forbid(unsafe_code)]

use crate::config::{Config, REGION_MAX};
use crate::layout::{Layout, Needs, PART_STEPS, Setup};
use crate::page::shares;
use crate::region::{ALIGN, align_up};
use crate::status::{Error, Result};

/// The longest cache line of a processor.
const LINE: usize = 64;

/// Bytes from one cell to the next: where there are several, two never share a line.
/// `beside`: bytes behind each.
pub(crate) const fn cell_stride<C>(count: u32, beside: usize) -> usize {
    let gap = if count > 1 { LINE } else { 0 };
    (size_of::<C>() + beside + gap).next_multiple_of(ALIGN)
}

pub(crate) const fn cells_size<C>(count: u32, beside: usize) -> usize {
    cell_stride::<C>(count, beside) * count as usize
}

/// Bytes of each of `count` equal, aligned parts of `left` bytes.
pub(crate) fn part_size(left: usize, count: u32) -> usize {
    (left / count.max(1) as usize) & !(ALIGN - 1)
}

/// The share of each of `count` parts in the memory limit, without the `outside` bytes outside the parts.
pub(crate) fn share(limit: usize, outside: usize, count: u32) -> usize {
    limit.saturating_sub(outside) / count.max(1) as usize
}

/// The layout of each part. `None` if the parts, or their shares in the configured limit, are too small for a cache.
pub(crate) fn check_limit(
    config: &Config,
    setup: &Setup,
    region: usize,
    part: usize,
) -> Option<Layout> {
    let count = config.shard_count(region);
    let layout = Layout::of(part, setup)?;
    let outside = region.checked_sub(part.checked_mul(count as usize)?)?;
    (share(limit_of(config, region), outside, count) >= layout.limit_min()).then_some(layout)
}

/// See [`Cache::required_size`](crate::Cache::required_size). `head` returns the bytes before the parts, for a
/// number of shards.
pub(crate) fn required_size(
    config: &Config,
    items: u64,
    key_len: usize,
    value_len: usize,
    head: impl Fn(u32) -> usize,
) -> Result<usize> {
    let setup = config.setup();
    if key_len > setup.key_len_max || value_len > setup.value_len_max || items > 0 && key_len == 0 {
        return Err(Error::Invalid);
    }
    let layout = |size: usize| {
        let head = head(config.shard_count(size));
        region_layout(config, &setup, size, head)
    };
    let holds = |size: usize| {
        let needs = Needs {
            items: items_of_one_shard(items, config.shard_count(size)),
            key_len,
            value_len,
            ttl: true,
        };
        layout(size).is_some_and(|(layout, share)| layout.holds(share, &needs))
    };
    // Right where it holds two longest items at once, it holds fewer others.
    let is_small = |size| layout(size).is_none_or(|(layout, _)| layout.is_small());
    let most = (isize::MAX as u64).min(REGION_MAX) as usize & !(ALIGN - 1);
    if config.memory_limit == 0 {
        return smallest(most, page_steps(config, &head), is_small, holds);
    }
    // A region must be at least as large as the limit, and a larger one holds no more items.
    align_up(config.memory_limit, ALIGN)
        .filter(|&size| size <= most && holds(size))
        .ok_or(Error::TooLarge)
}

/// The layout of each shard of a region, and its share in the limit. `head`: bytes before the parts. `None` if no cache
/// fits in the region.
fn region_layout(
    config: &Config,
    setup: &Setup,
    region: usize,
    head: usize,
) -> Option<(Layout, usize)> {
    let count = config.shard_count(region);
    let part = part_size(region.checked_sub(head)?, count);
    let layout = check_limit(config, setup, region, part)?;
    let outside = region - part * count as usize;
    Some((layout, share(limit_of(config, region), outside, count)))
}

/// The memory limit of a cache in a region of `region` bytes.
pub(crate) fn limit_of(config: &Config, region: usize) -> usize {
    match config.memory_limit {
        0 => region,
        limit => limit,
    }
}

/// The items of the fullest shard: the mean and six standard deviations, since hashes spread items unevenly.
fn items_of_one_shard(items: u64, count: u32) -> u64 {
    let mean = shares(items, count.into());
    if count <= 1 || items == 0 {
        mean
    } else {
        mean.saturating_add(6 * (u64::from(root_of(mean)) + 1))
    }
}

/// The square root, rounded down. `u64::isqrt` takes fewer steps but twenty times the code.
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

/// For each page size but the largest, the largest region with pages of that size.
fn page_steps(config: &Config, head: impl Fn(u32) -> usize) -> impl Iterator<Item = usize> {
    PART_STEPS.into_iter().map_while(move |step| {
        let count = config.shards.max(1);
        let region = (step - ALIGN)
            .checked_mul(count as usize)?
            .checked_add(head(count))?;
        Some(region & !(ALIGN - 1))
    })
}

/// The smallest size up to `most` for which `holds` is true, exact to 1/64. A larger region holds more, except where
/// the page size doubles, right above each of `steps`, and where it is not small any more.
fn smallest(
    most: usize,
    steps: impl Iterator<Item = usize>,
    is_small: impl Fn(usize) -> bool,
    holds: impl Fn(usize) -> bool,
) -> Result<usize> {
    let mut low = 0;
    for step in steps.take_while(|&step| step < most) {
        let (small, _) = between(low, step, |size| !is_small(size));
        for high in [small, step] {
            if holds(high) {
                return Ok(between(low, high, holds).1);
            }
        }
        low = step;
    }
    let mut high = low.max(1024);
    while !holds(high) {
        if high == most {
            return Err(Error::TooLarge);
        }
        (low, high) = (high, high.saturating_mul(2).min(most));
    }
    Ok(between(low, high, holds).1)
}

/// Two sizes close to each other between `low`, which is too small, and `high`, which is large enough: so are they.
fn between(mut low: usize, mut high: usize, holds: impl Fn(usize) -> bool) -> (usize, usize) {
    while high - low > (high / 64).max(ALIGN) {
        let middle = (low + (high - low) / 2) & !(ALIGN - 1);
        if holds(middle) {
            high = middle
        } else {
            low = middle
        }
    }
    (low, high)
}
