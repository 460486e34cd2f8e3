//! The C interface with all arguments that are memory-safe: any lengths, flags, unknown numbers, NULL, configurations
//! of any bytes.
#![no_main]
#![allow(dead_code)]

#[path = "../common/mod.rs"]
mod common;

use common::Rng;
use core::ffi::{c_char, c_void};
use core::mem::MaybeUninit;
use core::ptr::{null, null_mut};
use larder::ffi::{
    cache::*, cache_advice::*, cache_attach::*, cache_change::*, cache_config::*, cache_item::*,
    cache_print::*, cache_stats::*, cache_typed::*, cache_view::*,
    cache_whole::*, status::*,
};
use libfuzzer_sys::fuzz_target;

/// A region, aligned by its type.
#[repr(C, align(16))]
struct Memory([u8; SIZE]);

const SIZE: usize = 20 * 1024;
const BYTES: usize = 4 * 1024;

/// The state from which arguments are made.
struct Caller {
    rng: Rng,
    key: Vec<u8>,
    buffer: Vec<u8>,
    views: Vec<larder_view>,
    rooms: Vec<larder_reservation>,
    leases: Vec<larder_lease>,
}

/// A struct of any bytes.
///
/// # Safety
/// Any bytes are a valid `T`.
unsafe fn any<T>(rng: &mut Rng) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    let start = value.as_mut_ptr().cast::<u8>();
    for i in 0..size_of::<T>() {
        // SAFETY: inside the value.
        unsafe { start.add(i).write(rng.below(256) as u8) };
    }
    // SAFETY: initialised above; the caller guarantees that any bytes are a valid `T`.
    unsafe { value.assume_init() }
}

impl Caller {
    /// A pointer to `len` bytes or fewer, or NULL.
    fn bytes(&mut self, longest: usize) -> (*const u8, usize) {
        let len = match self.rng.below(8) {
            0 => return (null(), self.rng.below(3)),
            1 => 0,
            2 => longest,
            _ => self.rng.log_uniform(1, longest),
        };
        (self.buffer.as_ptr(), len.min(self.buffer.len()))
    }

    fn key(&mut self) -> (*const c_void, usize) {
        if self.rng.one_in(16) {
            let (at, len) = self.bytes(300);
            return (at.cast(), len);
        }
        let n = self.rng.below(40);
        self.key = vec![n as u8; 1 + n % 30];
        (self.key.as_ptr().cast(), self.key.len())
    }

    fn ttl(&mut self) -> u64 {
        [0, 1, 5_000, u64::MAX, u64::MAX - 1, 1 << 40][self.rng.below(6)]
    }

    /// The output's pointer, or sometimes NULL.
    fn out<T>(&mut self, at: *mut T) -> *mut T {
        if self.rng.one_in(8) { null_mut() } else { at }
    }

    fn config(&mut self) -> larder_cache_config {
        // SAFETY: the call below initialises the configuration.
        let mut config = unsafe { core::mem::zeroed() };
        // SAFETY: `config` has room for a configuration.
        unsafe { larder_cache_config_init(&mut config, size_of::<larder_cache_config>()) };
        let rng = &mut self.rng;
        match rng.below(12) {
            0 => config.struct_size = rng.next() as u32,
            1 => config.abi_version = rng.below(4) as u32,
            2 => config.memory_limit = rng.log_uniform(0, 2 * SIZE),
            3 => config.key_len_max = rng.below(300),
            4 => config.value_len_max = rng.log_uniform(0, SIZE),
            5 => config.policy = rng.below(4) as u32,
            6 => config.shards = rng.below(70) as u32,
            7 => config.default_ttl_ms = rng.next(),
            8 => config.pins_max = rng.below(70) as u32,
            9 => config.reserved[rng.below(7)] = rng.below(2) as u64,
            10 => config.expected_items = rng.next(),
            _ => {}
        }
        config.grace_ms = if rng.one_in(2) { 0 } else { rng.next() % 10_000 };
        config.flags = rng.below(128) as u32 & !LARDER_SINGLE_THREAD;
        config
    }

    /// # Safety
    /// `cache` is a live cache, or NULL.
    unsafe fn call(&mut self, cache: *mut larder_cache) {
        let cache = if self.rng.one_in(24) {
            null_mut()
        } else {
            cache
        };
        let (key, len) = self.key();
        let ttl = self.ttl();
        let (value, value_len) = self.bytes(BYTES);
        let mut out = 0usize;
        let mut numbers = (0i64, 0u64, 0f64, 0i32);
        let room = self.buffer.as_mut_ptr();
        let some = self.rng.next() as i64;
        let out_len = self.out(&raw mut out);
        // SAFETY: key, value and outputs have these lengths, or are NULL.
        unsafe {
            let _: larder_status = match self.rng.below(44) {
                0..6 => larder_cache_set(cache, key, len, value.cast(), value_len, ttl),
                6 => larder_cache_add(cache, key, len, value.cast(), value_len, ttl),
                7 => larder_cache_replace(cache, key, len, value.cast(), value_len, ttl),
                8 => larder_cache_get(cache, key, len, room.cast(), value_len, out_len),
                9 => larder_cache_try_get(cache, key, len, room.cast(), value_len, out_len),
                10 => larder_cache_try_set(cache, key, len, value.cast(), value_len, ttl),
                11 => larder_cache_try_delete(cache, key, len),
                12 => {
                    let offset = some as usize % (2 * BYTES);
                    let room = room.cast();
                    larder_cache_get_range(cache, key, len, offset, room, value_len, out_len)
                }
                13 => larder_cache_delete(cache, key, len),
                14 => larder_cache_touch(cache, key, len, ttl),
                15 => larder_cache_ttl(cache, key, len, self.out(&raw mut numbers.1)),
                16 => larder_cache_set_i64(cache, key, len, some, ttl),
                17 => larder_cache_set_u64(cache, key, len, some as u64, ttl),
                18 => larder_cache_set_f64(cache, key, len, some as f64, ttl),
                19 => larder_cache_get_i64(cache, key, len, self.out(&raw mut numbers.0)),
                20 => larder_cache_get_u64(cache, key, len, self.out(&raw mut numbers.1)),
                21 => larder_cache_get_f64(cache, key, len, self.out(&raw mut numbers.2)),
                22 => larder_cache_type(cache, key, len, self.out(&raw mut numbers.3)),
                23 => {
                    let out = self.out(&raw mut numbers.0);
                    larder_cache_increment(cache, key, len, some, out)
                }
                24 => {
                    larder_cache_set_str(cache, key, len, c"a text".as_ptr(), ttl);
                    let out = self.out(&raw mut out);
                    let text = room.cast::<c_char>();
                    larder_cache_get_str(cache, key, len, text, value_len, out)
                }
                25 => larder_cache_clear(cache),
                26 => larder_cache_set_memory_limit(cache, some as usize % (SIZE + 99)),
                27 => larder_cache_optimize(cache, some as u32 % 100, null_mut()),
                28 => larder_cache_set_time(cache, some as u64),
                29 => self.pin(cache, key, len),
                30 => self.unpin(cache),
                31 => self.reserve(cache, key, len, value_len),
                32 => self.finish(cache),
                33 => self.item(cache, key, len, value_len),
                34 => self.put(cache, (key, len), (value, value_len), ttl),
                35 => larder_cache_set_tag(cache, key, len, some as u32, (some >> 32) as u32, null_mut()),
                36 => larder_cache_append(cache, key, len, value.cast(), value_len % 300),
                37 => larder_cache_prepend(cache, key, len, value.cast(), value_len % 300),
                38 => {
                    let (mode, out) = (self.rng.below(4) as u32, self.out(&raw mut numbers.1));
                    larder_cache_add_u64(cache, key, len, some, mode, out)
                }
                39 => self.lease(cache, key, len),
                40 => self.fill(cache, (value, value_len), ttl),
                41 => self.delete_if(cache),
                _ => self.ask(cache),
            };
        }
    }

    /// # Safety
    /// As for `pin`; the buffer has `capacity` bytes.
    unsafe fn item(
        &mut self,
        cache: *mut larder_cache,
        key: *const c_void,
        len: usize,
        capacity: usize,
    ) -> larder_status {
        // SAFETY: any bytes are a valid struct.
        let mut item: larder_item = unsafe { any(&mut self.rng) };
        item.struct_size = size_of::<larder_item>() as u32 + self.rng.below(2) as u32;
        let (flags, out) = (self.rng.below(5) as u32, self.out(&raw mut item));
        let room = self.buffer.as_mut_ptr().cast();
        // SAFETY: guaranteed by the caller.
        unsafe { larder_cache_get_item(cache, key, len, room, capacity, flags, out) }
    }

    /// # Safety
    /// As for `pin`, `value` with `value_len` bytes.
    unsafe fn put(
        &mut self,
        cache: *mut larder_cache,
        (key, key_len): (*const c_void, usize),
        (value, value_len): (*const u8, usize),
        ttl_ms: u64,
    ) -> larder_status {
        // SAFETY: any bytes are a valid struct.
        let mut put: larder_put = unsafe { any(&mut self.rng) };
        put.struct_size = size_of::<larder_put>() as u32 + self.rng.below(2) as u32;
        (put.key, put.key_len) = (key, key_len);
        (put.value, put.value_len) = (value.cast(), value_len);
        (put.ttl_ms, put.mode) = (ttl_ms, self.rng.below(5) as u32);
        put.flags = self.rng.below(5) as u32;
        let mut version = 0;
        let out = self.out(&raw mut version);
        // SAFETY: guaranteed by the caller.
        unsafe { larder_cache_put(cache, &raw const put, out) }
    }

    /// # Safety
    /// As for `pin`.
    unsafe fn lease(
        &mut self,
        cache: *mut larder_cache,
        key: *const c_void,
        len: usize,
    ) -> larder_status {
        // SAFETY: any bytes are a valid struct.
        let mut lease: larder_lease = unsafe { any(&mut self.rng) };
        let (ttl, out) = (self.ttl(), self.out(&raw mut lease));
        // SAFETY: guaranteed by the caller.
        let done = unsafe { larder_cache_lease(cache, key, len, ttl, out) };
        self.leases.push(lease);
        done
    }

    /// # Safety
    /// As for `put`.
    unsafe fn fill(
        &mut self,
        cache: *mut larder_cache,
        (value, value_len): (*const u8, usize),
        ttl_ms: u64,
    ) -> larder_status {
        let Some(lease) = self.leases.pop() else {
            return LARDER_OK;
        };
        // SAFETY: guaranteed by the caller.
        unsafe { larder_cache_fill(cache, &raw const lease, value.cast(), value_len, ttl_ms) }
    }

    /// # Safety
    /// As for `call`.
    unsafe fn delete_if(&mut self, cache: *mut larder_cache) -> larder_status {
        unsafe extern "C" fn matches(_: *mut c_void, item: *const larder_item_info) -> i32 {
            // SAFETY: the library gives an item.
            i32::from(unsafe { (*item).value_len } % 3 == 0)
        }
        // SAFETY: any bytes are a valid cursor.
        let mut cursor: larder_cursor = unsafe { any(&mut self.rng) };
        let (steps, mut deleted) = (self.rng.below(40) as u32, 0);
        let out = self.out(&raw mut deleted);
        // SAFETY: guaranteed by the caller.
        unsafe {
            larder_cache_delete_if(cache, &raw mut cursor, steps, Some(matches), null_mut(), out)
        }
    }

    /// # Safety
    /// As for `call`, `key` with `len` bytes.
    unsafe fn pin(
        &mut self,
        cache: *mut larder_cache,
        key: *const c_void,
        len: usize,
    ) -> larder_status {
        // SAFETY: any bytes are a valid struct; the library refuses a stale view.
        let mut view: larder_view = unsafe { any(&mut self.rng) };
        let out = self.out(&raw mut view);
        // SAFETY: guaranteed by the caller.
        let done = unsafe { larder_cache_pin(cache, key, len, out) };
        if done == LARDER_OK {
            self.views.push(view);
        }
        done
    }

    /// # Safety
    /// As for `call`.
    unsafe fn unpin(&mut self, cache: *mut larder_cache) -> larder_status {
        let mut view = match self.views.len() {
            0 => return LARDER_OK,
            count => self.views[self.rng.below(count)],
        };
        let (mut at, mut len) = (null(), 0);
        // SAFETY: the library returned this view; it may be released already.
        unsafe {
            let (at, len) = (self.out(&raw mut at), self.out(&raw mut len));
            larder_cache_view_span(cache, &view, self.rng.below(5) as u32, at, len);
            larder_cache_unpin(cache, &mut view)
        }
    }

    /// # Safety
    /// As for `pin`.
    unsafe fn reserve(
        &mut self,
        cache: *mut larder_cache,
        key: *const c_void,
        len: usize,
        n: usize,
    ) -> larder_status {
        // SAFETY: as in `pin`.
        let mut room: larder_reservation = unsafe { any(&mut self.rng) };
        let (ttl, out) = (self.ttl(), self.out(&raw mut room));
        // SAFETY: guaranteed by the caller.
        let done = unsafe { larder_cache_reserve(cache, key, len, n, ttl, out) };
        if done == LARDER_OK {
            self.rooms.push(room);
        }
        done
    }

    /// # Safety
    /// As for `call`.
    unsafe fn finish(&mut self, cache: *mut larder_cache) -> larder_status {
        let Some(mut room) = self.rooms.pop() else {
            return LARDER_OK;
        };
        let (mut at, mut len) = (null_mut::<c_void>(), 0);
        // SAFETY: the library returned this reservation, used once here; its owner may write its span.
        unsafe {
            let index = self.rng.below(3) as u32;
            if larder_cache_reservation_span(cache, &room, index, &mut at, &mut len) == LARDER_OK {
                at.cast::<u8>().write_bytes(7, len);
            }
            if self.rng.one_in(2) {
                larder_cache_commit(cache, &mut room);
            }
            larder_cache_abort(cache, &mut room)
        }
    }

    /// # Safety
    /// As for `call`.
    unsafe fn ask(&mut self, cache: *mut larder_cache) -> larder_status {
        let index = self.rng.next() as u32 % 70;
        // SAFETY: outputs have room for one value, or are NULL.
        unsafe {
            larder_cache_memory_limit(cache);
            larder_cache_memory_usage(cache);
            larder_cache_item_count(cache);
            let mut advice: larder_advice = any(&mut self.rng);
            advice.struct_size = size_of::<larder_advice>() as u32;
            larder_cache_advise(cache, self.out(&raw mut advice));
            let (text, capacity) = (self.buffer.as_mut_ptr(), self.rng.below(BYTES));
            let mut len = 0;
            let format = self.rng.below(4) as u32;
            larder_cache_stats_print(cache, format, text.cast(), capacity, &raw mut len);
            let mut stats: larder_cache_stats_t = any(&mut self.rng);
            let mut class: larder_class_stats = any(&mut self.rng);
            if !self.rng.one_in(8) {
                stats.struct_size = size_of::<larder_cache_stats_t>() as u32;
                class.struct_size = size_of::<larder_class_stats>() as u32;
            }
            larder_cache_stats(cache, self.out(&raw mut stats));
            larder_cache_class_stats(cache, index, self.out(&raw mut class))
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut caller = Caller {
        rng: Rng::of_bytes(1, data),
        key: Vec::new(),
        buffer: (0..BYTES).map(|i| i as u8).collect(),
        views: Vec::new(),
        rooms: Vec::new(),
        leases: Vec::new(),
    };
    let mut memory = Box::new(Memory([0; SIZE]));
    let mut cache = null_mut();
    let region = memory.0.as_mut_ptr().cast::<c_void>();
    for owner in 0..3 {
        let config = caller.config();
        let len = SIZE - caller.rng.below(2) * caller.rng.below(SIZE);
        let mut needed = 0;
        // SAFETY: the region has at least this size, is aligned, and is used by the cache alone; hooks are NULL.
        let made = unsafe {
            larder_cache_required_size(&config, 10, len % 300, len, &mut needed);
            if owner == 0 {
                larder_cache_init(region, len, &config, &mut cache)
            } else {
                larder_cache_attach(region, len, &config, &mut cache, null_mut())
            }
        };
        if made != LARDER_OK {
            continue;
        }
        // Views and reservations of the last owner are void.
        (caller.views, caller.rooms) = (Vec::new(), Vec::new());
        for _ in 0..80 {
            // SAFETY: `cache` is a live cache.
            unsafe { caller.call(cache) };
            if caller.rng.is_spent() {
                break;
            }
        }
        // SAFETY: as above.
        assert_eq!(unsafe { larder_cache_check(cache) }, LARDER_OK);
    }
});
