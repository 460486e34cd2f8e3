//! Items with their tags and versions, in C.

use super::cache::{larder_cache, with_key, with_out};
use super::input::{buffer, bytes, put_sized, required, sized, status};
use super::status::{LARDER_BUFFER_TOO_SMALL, LARDER_OK, larder_status};
use crate::cache::{Cache, Put};
use crate::shard::{ItemMeta, PutMode, Reading};
use crate::status::{Error, Result};
use core::ffi::c_void;

/// larder_cache_get_item: neither count the read nor report it to the policy.
pub const LARDER_PEEK: u32 = 1;

/// larder_cache_get_item: also read an item that has expired, for larder_cache_config.grace_ms. Such a read is
/// neither counted nor reported to the policy.
pub const LARDER_STALE_OK: u32 = 2;

/// larder_cache_put: store always.
pub const LARDER_PUT_SET: u32 = 0;
/// larder_cache_put: store if no item has this key; else LARDER_EXISTS.
pub const LARDER_PUT_ADD: u32 = 1;
/// larder_cache_put: store if an item has this key; else LARDER_NOT_FOUND.
pub const LARDER_PUT_REPLACE: u32 = 2;
/// larder_cache_put: store if the item has this version. LARDER_STALE if it has another one, LARDER_NOT_FOUND
/// without an item.
pub const LARDER_PUT_IF_VERSION: u32 = 3;
/// larder_cache_put: return LARDER_NO_MEMORY rather than evict an item.
pub const LARDER_NO_EVICT: u32 = 1;

/// An item without its bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_item {
    /// sizeof(larder_item); must be set, as LARDER_ITEM_INIT does.
    pub struct_size: u32,
    /// LARDER_TYPE_..
    pub r#type: i32,
    /// Bytes of the value.
    pub value_len: u64,
    /// The item's version, with LARDER_ITEM_VERSIONS; else 0.
    pub version: u64,
    /// Milliseconds of the cache's clock until the item expires; LARDER_TTL_NEVER if it does not.
    pub ttl_ms: u64,
    /// Milliseconds since the last set, with LARDER_ITEM_TIMES; else UINT64_MAX.
    pub age_ms: u64,
    /// The host's tag, with LARDER_ITEM_TAGS; else 0.
    pub tag: u32,
    /// 1 if the item has expired and is within its grace, else 0.
    pub is_stale: u32,
}

/// A value to store, and under which condition.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_put {
    /// sizeof(larder_put); must be set, as LARDER_PUT_INIT does.
    pub struct_size: u32,
    /// LARDER_PUT_..
    pub mode: u32,
    /// The key.
    pub key: *const c_void,
    /// Bytes of the key.
    pub key_len: usize,
    /// The value.
    pub value: *const c_void,
    /// Bytes of the value.
    pub value_len: usize,
    /// Time to live in milliseconds, as for larder_cache_set; LARDER_TTL_KEEP keeps the old item's expiry.
    pub ttl_ms: u64,
    /// The version that the item must have, for LARDER_PUT_IF_VERSION; else 0.
    pub version: u64,
    /// The host's tag; 0 without LARDER_ITEM_TAGS.
    pub tag: u32,
    /// 0, or LARDER_NO_EVICT
    pub flags: u32,
}

fn convert(item: &ItemMeta) -> larder_item {
    larder_item {
        struct_size: size_of::<larder_item>() as u32,
        r#type: item.value_type as i32,
        value_len: item.value_len as u64,
        version: item.version,
        ttl_ms: item.ttl_ms,
        age_ms: item.age_ms.unwrap_or(u64::MAX),
        tag: item.tag,
        is_stale: item.is_stale.into(),
    }
}

/// Copies a value and writes what is known of its item, in one lookup; set `out->struct_size` first. `flags`: 0, or
/// LARDER_PEEK and LARDER_STALE_OK added.
///
/// Returns LARDER_NOT_FOUND on a miss. Returns LARDER_BUFFER_TOO_SMALL if the value is longer than `capacity`: the
/// buffer is unchanged and `out` is written; (NULL, 0) asks for that. Returns LARDER_INVALID for an unknown flag,
/// or if `out->struct_size` is not set. O(value length).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read, `buffer .. buffer + capacity` and `out` written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_get_item(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    buffer: *mut c_void,
    capacity: usize,
    flags: u32,
    out: *mut larder_item,
) -> larder_status {
    let get = |cache: &Cache<'_>, key: &[u8]| -> Result<bool> {
        let out = required(out)?;
        // SAFETY: the caller's promise.
        let buffer = unsafe { self::buffer(buffer, capacity) }?;
        if flags & !(LARDER_PEEK | LARDER_STALE_OK) != 0 {
            return Err(Error::Invalid);
        }
        let how = Reading {
            peeks: flags & LARDER_PEEK != 0,
            stale: flags & LARDER_STALE_OK != 0,
        };
        // Asked before anything is counted.
        // SAFETY: the caller's promise.
        unsafe { sized(out, &[]) }?;
        let (item, copied) = cache.get_item(key, buffer, how)?;
        // SAFETY: the caller's promise.
        unsafe { put_sized(out, &convert(&item), &[]) }?;
        Ok(copied)
    };
    // SAFETY: the caller's promise.
    match unsafe { with_key(cache, key, key_len, get) } {
        Ok(true) => LARDER_OK,
        Ok(false) => LARDER_BUFFER_TOO_SMALL,
        Err(error) => error.code(),
    }
}

/// Stores a value under a condition, with a tag, and writes its version: 0 without LARDER_ITEM_VERSIONS. `version`
/// may be NULL. With LARDER_NO_EVICT no item is evicted that has not expired.
///
/// Returns what the mode says if the condition does not hold. Returns LARDER_NO_MEMORY if LARDER_NO_EVICT leaves no
/// room. Returns LARDER_INVALID for an unknown mode or flag, a tag without LARDER_ITEM_TAGS, or
/// LARDER_PUT_IF_VERSION without LARDER_ITEM_VERSIONS. Else as larder_cache_set: on any error the key has its old
/// value. O(n) as larder_cache_set.
///
/// # Safety
/// `cache` is what larder_cache_init gave; `put` can be read, and so can key and value; `version` is NULL or can be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_put(
    cache: *mut larder_cache,
    put: *const larder_put,
    version: *mut u64,
) -> larder_status {
    let stored = required(put.cast_mut()).and_then(|put| {
        // SAFETY: the caller's promise.
        unsafe { sized(put, &[]) }?;
        // SAFETY: as long as it says.
        let put = unsafe { put.read() };
        let mode = mode(&put)?;
        // SAFETY: the caller's promise.
        let value = unsafe { bytes(put.value, put.value_len) }?;
        let store = |cache: &Cache<'_>, key: &[u8]| {
            cache.put(&Put {
                key,
                value,
                ttl_ms: put.ttl_ms,
                mode,
                tag: put.tag,
                no_evict: put.flags & LARDER_NO_EVICT != 0,
            })
        };
        // SAFETY: the caller's promise.
        unsafe { with_key(cache, put.key, put.key_len, store) }
    });
    status(stored.map(|given| {
        if let Some(version) = core::ptr::NonNull::new(version) {
            // SAFETY: the caller's promise.
            unsafe { super::input::put(version, given) };
        }
    }))
}

fn mode(put: &larder_put) -> Result<PutMode> {
    if put.flags & !LARDER_NO_EVICT != 0 {
        return Err(Error::Invalid);
    }
    match (put.mode, put.version) {
        (LARDER_PUT_SET, 0) => Ok(PutMode::Set),
        (LARDER_PUT_ADD, 0) => Ok(PutMode::Add),
        (LARDER_PUT_REPLACE, 0) => Ok(PutMode::Replace),
        (LARDER_PUT_IF_VERSION, version) => Ok(PutMode::IfVersion(version)),
        _ => Err(Error::Invalid),
    }
}

/// Changes the bits of an item's tag that are set in `mask` to those of `bits`, in place, and writes the old tag.
/// `old` may be NULL. Version and TTL stay. Neither counted nor reported to the policy.
///
/// Returns LARDER_NOT_FOUND on a miss, LARDER_INVALID without LARDER_ITEM_TAGS. O(1).
///
/// # Safety
/// `cache` is what larder_cache_init gave; the key can be read; `old` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_cache_set_tag(
    cache: *mut larder_cache,
    key: *const c_void,
    key_len: usize,
    mask: u32,
    bits: u32,
    old: *mut u32,
) -> larder_status {
    let mut unasked = 0;
    let old = if old.is_null() { &raw mut unasked } else { old };
    let set = |cache: &Cache<'_>, key: &[u8]| cache.set_tag(key, mask, bits);
    // SAFETY: the caller's promise; our own word where there is none.
    unsafe { with_out(cache, key, key_len, old, set) }
}
