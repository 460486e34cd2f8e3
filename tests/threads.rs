//! Many threads use one cache or pool, with any features. With a lock, the library's or the host's, they share it.
//! Without a lock it is behind a mutex.
#![allow(unsafe_code)]

mod common;

use common::{Region, Rng, checked, key};
use larder::{Cache, Config, LockHooks, Pool, PoolConfig};
use std::ffi::c_void;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

const THREADS: u64 = 4;
const ROUNDS: usize = if cfg!(debug_assertions) {
    20_000
} else {
    200_000
};

/// Calls `work` in four threads, with the thread's number.
fn on_threads(work: impl Fn(u64) + Sync) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let work = &work;
            scope.spawn(move || work(thread));
        }
    });
}

fn config(shards: u32) -> Config {
    let mut config = Config::default();
    config.shards = shards;
    config
}

/// Sets, gets and deletes. Checks that each value read was set for its key.
fn use_cache(thread: u64, with: impl Fn(&mut dyn FnMut(&Cache<'_>))) {
    let mut rng = Rng::new(thread);
    for _ in 0..ROUNDS {
        let n = rng.below(500) as u64;
        let len = rng.log_uniform(1, 2000);
        with(&mut |cache| match rng.below(8) {
            0..4 => {
                let mut buffer = [0; 2000];
                if let Ok(len) = cache.get(&key(n), &mut buffer) {
                    assert!(buffer[..len].iter().all(|&byte| byte == n as u8));
                }
            }
            4..7 => assert_eq!(cache.set(&key(n), &vec![n as u8; len], 0), Ok(())),
            _ => drop(cache.delete(&key(n))),
        });
    }
}

/// Allocates and frees blocks. Checks that no other thread changes them.
fn use_pool(thread: u64, pool: &Pool<'_>) {
    let mut rng = Rng::new(thread);
    let mut blocks = Vec::new();
    for _ in 0..ROUNDS / 4 {
        if let Ok(mut block) = pool.alloc(rng.log_uniform(1, 4000)) {
            block.fill(thread as u8 + 1);
            blocks.push(block);
        }
        if blocks.len() > 8 {
            let block = blocks.swap_remove(rng.below(8));
            assert!(block.iter().all(|&byte| byte == thread as u8 + 1));
        }
    }
}

#[test]
#[cfg(feature = "spin")]
fn threads_share_a_cache_under_the_librarys_lock() {
    for shards in [1, 4] {
        let mut region = Region::new(256 << 10);
        let cache = Cache::new(region.bytes(), &config(shards)).unwrap();
        on_threads(|thread| use_cache(thread, |call| call(&cache)));
        checked(&cache);
    }
}

#[test]
#[cfg(feature = "spin")]
fn threads_share_a_pool_under_the_librarys_lock() {
    let mut region = Region::new(256 << 10);
    let pool = Pool::new(region.bytes(), &PoolConfig::default()).unwrap();
    on_threads(|thread| use_pool(thread, &pool));
    assert_eq!(pool.check(), Ok(()));
    assert_eq!(pool.stats().unwrap().used_size, 0);
}

#[test]
fn threads_share_a_cache_behind_a_mutex() {
    let mut region = Region::new(256 << 10);
    let cache = Mutex::new(Cache::new(region.bytes(), &config(1)).unwrap());
    on_threads(|thread| use_cache(thread, |call| call(&cache.lock().unwrap())));
    checked(&cache.lock().unwrap());
}

#[test]
fn threads_share_a_pool_behind_a_mutex() {
    let mut region = Region::new(256 << 10);
    let pool = Mutex::new(Pool::new(region.bytes(), &PoolConfig::default()).unwrap());
    on_threads(|thread| {
        for _ in 0..100 {
            let pool = pool.lock().unwrap();
            let mut block = pool.alloc(100).unwrap();
            block.fill(thread as u8);
        }
    });
    assert_eq!(pool.lock().unwrap().check(), Ok(()));
}

// ---- the host's lock -------------------------------------------------------------------------------

static LOCKS: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];

unsafe extern "C" fn try_lock(ctx: *mut c_void) -> i32 {
    i32::from(LOCKS[ctx as usize].swap(true, Ordering::Acquire))
}

unsafe extern "C" fn lock(ctx: *mut c_void) -> i32 {
    while LOCKS[ctx as usize].swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
    0
}

unsafe extern "C" fn unlock(ctx: *mut c_void) {
    LOCKS[ctx as usize].store(false, Ordering::Release);
}

fn hooks(lock_number: usize) -> LockHooks {
    LockHooks {
        lock,
        unlock,
        try_lock: Some(try_lock),
        ctx: lock_number as *mut c_void,
    }
}

/// A value that threads share under the host's lock.
struct Shared<T>(T);

// SAFETY: the hooks exclude each other.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn get(&self) -> &T {
        &self.0
    }
}

#[test]
fn threads_share_a_cache_under_the_hosts_lock() {
    let mut region = Region::new(256 << 10);
    // SAFETY: the hooks exclude each other.
    let config = unsafe { config(4).lock_hooks(hooks(0)) };
    let cache = Shared(Cache::new(region.bytes(), &config).unwrap());
    on_threads(|thread| use_cache(thread, |call| call(cache.get())));
    checked(cache.get());
}

#[test]
fn threads_share_a_pool_under_the_hosts_lock() {
    let mut region = Region::new(256 << 10);
    // SAFETY: the hooks exclude each other.
    let config = unsafe { PoolConfig::default().lock_hooks(hooks(1)) };
    let pool = Shared(Pool::new(region.bytes(), &config).unwrap());
    on_threads(|thread| use_pool(thread, pool.get()));
    assert_eq!(pool.get().check(), Ok(()));
    assert_eq!(pool.get().stats().unwrap().used_size, 0);
}
