//! What a cache can hold at most: shards, the longest key and value, the longest time to live.
//!
//! Key and value are independent: each key of at most `key_len_max` bytes can be stored with each value of at
//! most `value_len_max` bytes and any TTL. So one comparison each decides, and one number each says it.

#![forbid(unsafe_code)]

use crate::item::{Format, LINK_SIZE};

/// The limits of a cache, as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Parts with a lock each. A region above 16 GiB has more than were asked for.
    pub shards: u32,
    /// Longest key in bytes.
    pub key_len_max: usize,
    /// Longest value in bytes under the memory limit, for a key of any length up to `key_len_max`. It grows
    /// with the memory limit, and shrinks with the number of shards.
    pub value_len_max: usize,
    /// Longest time to live in milliseconds, but for [`TTL_NEVER`](crate::TTL_NEVER). A longer one is
    /// shortened to it.
    pub ttl_ms_max: u64,
}

/// Longest key that leaves room for every header in a slot of `slot` bytes.
pub(crate) fn key_len_max(format: Format, slot: usize) -> usize {
    slot.saturating_sub(format.header_size(true, true))
}

/// Longest value that fits beside a key of `key_len` bytes in `slots` slots of `slot` bytes. Its length has
/// 32 bits in the item.
pub(crate) fn value_len_max(format: Format, slot: usize, slots: usize, key_len: usize) -> usize {
    let head = key_len_max(format, slot).saturating_sub(key_len);
    let rest = slots
        .saturating_sub(1)
        .saturating_mul(slot.saturating_sub(LINK_SIZE));
    head.saturating_add(rest).min(u32::MAX as usize)
}

/// Pages of a shard that one value can fill: its last part may be of another size class, and need a page of
/// its own.
pub(crate) fn pages_for_value(pages: usize) -> usize {
    pages.saturating_sub(1).max(1)
}
