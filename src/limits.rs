//! What a cache can hold at most: shards, the longest key and value, the longest time to live.
//!
//! Key and value are independent: each key of at most `key_len_max` bytes can be stored with each value of at
//! most `value_len_max` bytes and any TTL. So one comparison each decides, and one number each says it.

#![forbid(unsafe_code)]

/// A length that was checked before: it has 32 bits.
#[inline(always)]
pub(crate) fn narrow(len: usize) -> u32 {
    debug_assert!(u32::try_from(len).is_ok(), "a length is cut off");
    len as u32
}

/// The limits of a cache, as they are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Limits {
    /// Parts with a lock each. A region above 4 GiB - 128 KiB has more than were asked for.
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
