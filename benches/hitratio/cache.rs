//! A larder cache, used by its C functions, with its own region.
#![allow(unsafe_code)]

use crate::common::Region;
use larder::ffi::cache::{
    LARDER_TTL_NEVER, larder_cache_delete, larder_cache_get, larder_cache_set,
};
use larder::ffi::cache_advice::{larder_advice, larder_cache_advise};
use larder::ffi::cache_config::{
    LARDER_POLICY_DEFAULT, LARDER_POLICY_LRU, larder_cache, larder_cache_config,
    larder_cache_config_init, larder_cache_init, larder_cache_required_size,
};
use larder::ffi::cache_whole::{
    larder_cache_check, larder_cache_item_count, larder_cache_set_time,
};
use larder::ffi::status::{LARDER_NOT_FOUND, LARDER_OK, LARDER_TOO_LARGE};
use std::ptr;

/// Bytes of a key's number. Each key starts with the number, and so does each value that is long enough.
const NUMBER: usize = size_of::<u32>();
const KEY_LEN_MAX: usize = 250;

/// The eviction policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    Default,
    Lru,
}

/// The configuration of a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) policy: Policy,
    /// Seed of the hash.
    pub(crate) seed: u64,
}

impl Setup {
    fn config(&self) -> larder_cache_config {
        let mut config = std::mem::MaybeUninit::uninit();
        let size = size_of::<larder_cache_config>();
        // SAFETY: there is room for a configuration.
        let status = unsafe { larder_cache_config_init(config.as_mut_ptr(), size) };
        assert_eq!(status, LARDER_OK);
        // SAFETY: the call wrote the configuration.
        let mut config = unsafe { config.assume_init() };
        config.policy = match self.policy {
            Policy::Default => LARDER_POLICY_DEFAULT,
            Policy::Lru => LARDER_POLICY_LRU,
        };
        config.hash_seed = self.seed;
        config
    }

    /// Bytes of a region for `items` items.
    pub(crate) fn region_size(&self, items: usize, item: Item) -> usize {
        let mut size = 0;
        let (items, key_len) = (items as u64, item.key_len());
        let config = self.config();
        let config = &raw const config;
        // SAFETY: locals are read and written.
        let status = unsafe {
            larder_cache_required_size(config, items, key_len, item.value_len, &raw mut size)
        };
        assert_eq!(status, LARDER_OK);
        size
    }
}

/// The lengths of an item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) key_len: usize,
    pub(crate) value_len: usize,
}

impl Item {
    /// The key's length, at least that of its number and at most the maximum of every cache.
    pub(crate) fn key_len(self) -> usize {
        self.key_len.clamp(NUMBER, KEY_LEN_MAX)
    }
}

pub(crate) struct Cache {
    handle: *mut larder_cache,
    key: [u8; KEY_LEN_MAX],
    value: Vec<u8>,
    buffer: Vec<u8>,
    /// The memory that `handle` points to.
    _region: Region,
}

impl Cache {
    /// A cache for values of at most `value_len_max` bytes. `None` if the region is too small for a cache.
    pub(crate) fn new(region_size: usize, setup: &Setup, value_len_max: usize) -> Option<Self> {
        let mut region = Region::new(region_size);
        let memory = region.bytes().as_mut_ptr().cast();
        let mut handle = ptr::null_mut();
        let config = setup.config();
        // SAFETY: the region lives as long as the cache, and only the cache accesses it.
        let status =
            unsafe { larder_cache_init(memory, region_size, &raw const config, &raw mut handle) };
        let value_len_max = value_len_max.max(NUMBER);
        (status == LARDER_OK).then(|| Self {
            handle,
            key: [0; KEY_LEN_MAX],
            value: vec![0; value_len_max],
            buffer: vec![0; value_len_max],
            _region: region,
        })
    }

    fn key(&mut self, id: u32) -> *const std::ffi::c_void {
        self.key[..NUMBER].copy_from_slice(&id.to_le_bytes());
        self.key.as_ptr().cast()
    }

    /// Whether the item exists. Checks that its value starts with its number.
    pub(crate) fn get(&mut self, id: u32, key_len: usize) -> bool {
        let key = self.key(id);
        let (buffer, capacity) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
        let mut len = 0;
        // SAFETY: the key can be read, the buffer and a local written.
        let status =
            unsafe { larder_cache_get(self.handle, key, key_len, buffer, capacity, &raw mut len) };
        if status == LARDER_NOT_FOUND {
            return false;
        }
        assert_eq!(status, LARDER_OK, "get");
        let stamp = len.min(NUMBER);
        assert_eq!(self.buffer[..stamp], id.to_le_bytes()[..stamp]);
        true
    }

    /// Stores an item. If it is too large, deletes the key instead.
    pub(crate) fn set(&mut self, id: u32, item: Item, ttl_ms: Option<u64>) {
        self.value[..NUMBER].copy_from_slice(&id.to_le_bytes());
        let (key, key_len) = (self.key(id), item.key_len());
        let (value, value_len) = (self.value.as_ptr().cast(), item.value_len);
        let ttl_ms = ttl_ms.unwrap_or(LARDER_TTL_NEVER);
        let status = if value_len > self.value.len() {
            LARDER_TOO_LARGE
        } else {
            // SAFETY: key and value can be read.
            unsafe { larder_cache_set(self.handle, key, key_len, value, value_len, ttl_ms) }
        };
        if status == LARDER_TOO_LARGE {
            self.delete(id, key_len);
        } else {
            assert_eq!(status, LARDER_OK, "set");
        }
    }

    pub(crate) fn delete(&mut self, id: u32, key_len: usize) {
        let key = self.key(id);
        // SAFETY: the key can be read.
        let status = unsafe { larder_cache_delete(self.handle, key, key_len) };
        assert!(matches!(status, LARDER_OK | LARDER_NOT_FOUND));
    }

    pub(crate) fn set_time(&mut self, now_ms: u64) {
        // SAFETY: the cache lives as long as its region.
        let status = unsafe { larder_cache_set_time(self.handle, now_ms) };
        assert_eq!(status, LARDER_OK);
    }

    pub(crate) fn item_count(&self) -> usize {
        // SAFETY: as above.
        unsafe { larder_cache_item_count(self.handle) as usize }
    }

    /// Hits in a million gets that 1/4, 1/2, 1, 2 and 4 times the limit would bring, by the cache itself.
    pub(crate) fn advise(&self) -> Option<[u32; 5]> {
        let mut advice = std::mem::MaybeUninit::<larder_advice>::zeroed();
        // SAFETY: the structure's first field.
        unsafe {
            advice
                .as_mut_ptr()
                .cast::<u32>()
                .write(size_of::<larder_advice>() as u32)
        };
        // SAFETY: the cache lives as long as its region; the structure can be written.
        let status = unsafe { larder_cache_advise(self.handle, advice.as_mut_ptr()) };
        // SAFETY: zeroed, or written by the call.
        (status == LARDER_OK).then(|| unsafe { advice.assume_init() }.hit_ppm)
    }

    /// Walks every invariant.
    pub(crate) fn check(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { larder_cache_check(self.handle) }, LARDER_OK);
    }
}
