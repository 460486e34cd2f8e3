//! The caches, behind one interface. Larder's size is a number of bytes, the others' a number of items.

use larder::{Cache, Config};

/// Bytes of a key and of a value.
pub const KEY: usize = 16;
pub const VALUE: usize = 64;

pub type Key = [u8; KEY];
pub type Value = [u8; VALUE];

/// A cache of items of one size.
pub trait Contender {
    fn set(&mut self, key: &Key, value: &Value);
    /// Copies the key's value. Returns whether the key exists.
    fn get(&mut self, key: &Key, value: &mut Value) -> bool;
    /// Does the work that the cache has postponed.
    fn settle(&mut self) {}
}

/// A kind of cache, with a function that makes one for about this number of items.
pub struct Kind {
    pub name: &'static str,
    pub make: fn(usize) -> Box<dyn Contender>,
}

pub fn all() -> Vec<Kind> {
    let mut kinds = vec![
        Kind {
            name: "larder",
            make: |items| Box::new(Larder::new(items)),
        },
        Kind {
            name: "schnellru",
            make: |items| Box::new(Schnellru::new(items)),
        },
        Kind {
            name: "hashlink",
            make: |items| Box::new(Hashlink::new(items)),
        },
        Kind {
            name: "quick_cache",
            make: |items| Box::new(Quick::new(items)),
        },
        Kind {
            name: "moka",
            make: |items| Box::new(Moka::new(items)),
        },
    ];
    if cfg!(leveldb) {
        kinds.push(Kind {
            name: "leveldb",
            make: leveldb,
        });
    }
    kinds
}

fn copy(from: Option<&[u8]>, to: &mut Value) -> bool {
    from.map(|value| to.copy_from_slice(value)).is_some()
}

struct Larder {
    cache: Cache<'static>,
    region: *mut [u8],
}

/// Larder's region is a multiple of this size, and aligned to it.
#[repr(align(4096))]
#[derive(Clone)]
struct Part(#[allow(dead_code)] [u8; 4096]);

impl Larder {
    fn new(items: usize) -> Self {
        let config = Config::default();
        let size = Cache::required_size(&config, items as u64, KEY, VALUE).expect("a size");
        let parts = vec![Part([0; 4096]); size.div_ceil(4096)].into_boxed_slice();
        let parts = Box::into_raw(parts);
        let region = std::ptr::slice_from_raw_parts_mut(parts.cast::<u8>(), size);
        // SAFETY: `size` bytes of `parts`, which only the cache uses; `drop` frees them after the cache.
        let cache = Cache::new(unsafe { &mut *region }, &config).expect("a cache");
        Self { cache, region }
    }
}

impl Drop for Larder {
    fn drop(&mut self) {
        let count = self.region.len().div_ceil(4096);
        let parts = std::ptr::slice_from_raw_parts_mut(self.region.cast::<Part>(), count);
        // SAFETY: `new` made this box; the cache is no longer used.
        drop(unsafe { Box::from_raw(parts) });
    }
}

impl Contender for Larder {
    fn set(&mut self, key: &Key, value: &Value) {
        self.cache.set(key, value, 0).expect("room");
    }

    fn get(&mut self, key: &Key, value: &mut Value) -> bool {
        self.cache.get(key, value).is_ok()
    }
}

struct Schnellru(schnellru::LruMap<Vec<u8>, Box<[u8]>, schnellru::ByLength>);

impl Schnellru {
    fn new(items: usize) -> Self {
        Self(schnellru::LruMap::new(schnellru::ByLength::new(
            items as u32,
        )))
    }
}

impl Contender for Schnellru {
    fn set(&mut self, key: &Key, value: &Value) {
        self.0.insert(key.to_vec(), Box::from(&value[..]));
    }

    fn get(&mut self, key: &Key, value: &mut Value) -> bool {
        copy(self.0.get(&key[..]).map(|v| &**v), value)
    }
}

struct Hashlink(hashlink::LruCache<Box<[u8]>, Box<[u8]>>);

impl Hashlink {
    fn new(items: usize) -> Self {
        Self(hashlink::LruCache::new(items))
    }
}

impl Contender for Hashlink {
    fn set(&mut self, key: &Key, value: &Value) {
        self.0.insert(Box::from(&key[..]), Box::from(&value[..]));
    }

    fn get(&mut self, key: &Key, value: &mut Value) -> bool {
        copy(self.0.get(&key[..]).map(|v| &**v), value)
    }
}

struct Quick(quick_cache::unsync::Cache<Box<[u8]>, Box<[u8]>>);

impl Quick {
    fn new(items: usize) -> Self {
        Self(quick_cache::unsync::Cache::new(items))
    }
}

impl Contender for Quick {
    fn set(&mut self, key: &Key, value: &Value) {
        self.0.insert(Box::from(&key[..]), Box::from(&value[..]));
    }

    fn get(&mut self, key: &Key, value: &mut Value) -> bool {
        copy(self.0.get(&key[..]).map(|v| &**v), value)
    }
}

struct Moka(moka::sync::Cache<Box<[u8]>, std::sync::Arc<[u8]>>);

impl Moka {
    fn new(items: usize) -> Self {
        Self(moka::sync::Cache::new(items as u64))
    }
}

impl Contender for Moka {
    fn set(&mut self, key: &Key, value: &Value) {
        self.0
            .insert(Box::from(&key[..]), std::sync::Arc::from(&value[..]));
    }

    fn get(&mut self, key: &Key, value: &mut Value) -> bool {
        copy(self.0.get(&key[..]).as_deref(), value)
    }

    fn settle(&mut self) {
        self.0.run_pending_tasks();
    }
}

#[cfg(not(leveldb))]
fn leveldb(_: usize) -> Box<dyn Contender> {
    unreachable!("not built in")
}

#[cfg(leveldb)]
fn leveldb(items: usize) -> Box<dyn Contender> {
    // SAFETY: every charge is valid.
    Box::new(Leveldb(unsafe { peer_leveldb_new(items * (KEY + VALUE)) }))
}

#[cfg(leveldb)]
struct Leveldb(*mut std::ffi::c_void);

#[cfg(leveldb)]
unsafe extern "C" {
    fn peer_leveldb_new(charge: usize) -> *mut std::ffi::c_void;
    fn peer_leveldb_free(cache: *mut std::ffi::c_void);
    fn peer_leveldb_set(
        cache: *mut std::ffi::c_void,
        key: *const u8,
        key_len: usize,
        value: *const u8,
        len: usize,
    );
    fn peer_leveldb_get(
        cache: *mut std::ffi::c_void,
        key: *const u8,
        key_len: usize,
        buffer: *mut u8,
    ) -> bool;
}

#[cfg(leveldb)]
impl Contender for Leveldb {
    fn set(&mut self, key: &Key, value: &Value) {
        // SAFETY: the cache is live, and the bytes can be read.
        unsafe { peer_leveldb_set(self.0, key.as_ptr(), KEY, value.as_ptr(), VALUE) };
    }

    fn get(&mut self, key: &Key, value: &mut Value) -> bool {
        // SAFETY: as above; every value is as long as the buffer.
        unsafe { peer_leveldb_get(self.0, key.as_ptr(), KEY, value.as_mut_ptr()) }
    }
}

#[cfg(leveldb)]
impl Drop for Leveldb {
    fn drop(&mut self) {
        // SAFETY: made by `leveldb`, freed once.
        unsafe { peer_leveldb_free(self.0) };
    }
}
