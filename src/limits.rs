//! The limits of a cache: number of shards, longest key, longest value, longest time to live.
//!
//! The limits are independent: a key of up to `key_len_max` bytes can be stored with any TTL and any value of up
//! to `value_len_max` bytes. So each limit is one number, checked by one comparison.

#![forbid(unsafe_code)]

/// A length as 32 bits. The caller has checked that it fits.
#[inline(always)]
pub(crate) fn narrow(len: usize) -> u32 {
    debug_assert!(u32::try_from(len).is_ok(), "a length is cut off");
    len as u32
}

/// Bits of a process's number: Linux has 22 at most, FreeBSD and macOS 17.
pub(crate) const PROCESS_BITS: u32 = 24;

/// The present limits of a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Limits {
    /// Number of shards, each with its own lock. A region above 4 GiB - 128 KiB has more shards than configured.
    pub shards: u32,
    /// Longest key in bytes.
    pub key_len_max: usize,
    /// Longest value in bytes under the memory limit, for a key of any length up to `key_len_max`. A higher
    /// memory limit increases it; more shards decrease it.
    pub value_len_max: usize,
    /// Longest time to live in milliseconds. A longer TTL is shortened to it, except
    /// [`TTL_NEVER`](crate::TTL_NEVER).
    pub ttl_ms_max: u64,
}
