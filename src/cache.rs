//! The cache: shards over parts of one region, and the verbs of the interface.
//!
//! # Layout
//! ```text
//! region   | header: stamp, .. | shard cells | part 0: tables, pages | part 1: .. | .. | tail |
//! ```
//! The hash of a key picks the shard. Everything lies inside the region; a [`Cache`] is its address.
//!
//! # Invariants (walked by [`Cache::check`])
//! 1. The parts and what lies before, between and behind them add up to the region.
//! 2. Those of each shard.
//!
//! # Not here
//! What can be asked of a cache: `cache::verbs`, of one item, and `cache::whole`. What one shard does: `shard`. The C face: `ffi`.
#![allow(unsafe_code)]

mod verbs;
mod whole;

pub use whole::Cursor;
pub(crate) use whole::pressure;

use crate::attach::{Adopt, AttachReport};
use crate::callbacks::{Callbacks, Inside};
use crate::config::{Clock, Config, Event, EventHook, EventKind, REGION_MAX};
use crate::expiry::Time;
use crate::hash::{Hash, KeyHasher};
use crate::lock::{Guarded, LockKind, Locked};
use crate::policy::PolicyKind;
use crate::region::{ALIGN, Cutter, Shared, barrier, check_region, clean};
use crate::shard::{Origin, Place, Shard};
use crate::sizing;
use crate::stamp::{Found, MAGIC, Stamp};
use crate::stats::Gone;
use crate::status::{Error, Result};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What lies at the start of a cache's region.
#[repr(C)]
pub(crate) struct Header {
    stamp: Stamp,
    region: usize,
    /// Bytes of the region before the shards' parts and behind them.
    outside: usize,
    limit: AtomicUsize,
    /// From one shard's cell to the next; the first lies behind the header.
    cell_stride: u32,
    cell_count: u32,
    policy: PolicyKind,
    item_times: bool,
    default_ttl: bool,
    cuts: u16,
    hasher: Shared<KeyHasher>,
    lock: LockKind,
    clock: Clock,
    callbacks: Callbacks,
    on_event: UnsafeCell<Option<EventHook>>,
    busy: AtomicU32,
    clock_by_hand: AtomicU32,
}

// The cells, aligned, lie right behind it.
const CELLS_AT: usize = size_of::<Header>().next_multiple_of(ALIGN);

/// A cache inside a region that the caller gave.
///
/// A call is bounded: the work of one lookup, one store, the evictions that the store needs, and a slice of
/// the sweep under way.
///
#[cfg_attr(
    feature = "spin",
    doc = "Threads can share a cache: each call may come from any of them.
```
fn is_shareable<T: Send + Sync>() {}
is_shareable::<larder::Cache<'static>>();
```"
)]
#[cfg_attr(
    not(feature = "spin"),
    doc = "Without the feature `spin` there is no lock, and a cache is not `Sync`: it moves between threads, but two
cannot share it. A `Mutex` around it makes it shareable.
```
fn is_movable<T: Send>() {}
is_movable::<larder::Cache<'static>>();
```
```compile_fail,E0277
fn is_shareable<T: Sync>() {}
is_shareable::<larder::Cache<'static>>();
```"
)]
/// What borrows a cache stays on its thread.
/// ```compile_fail,E0277
/// fn is_movable<T: Send>() {}
/// is_movable::<larder::View<'static>>();
/// ```
/// ```compile_fail,E0277
/// fn is_movable<T: Send>() {}
/// is_movable::<larder::Reservation<'static>>();
/// ```
/// ```compile_fail,E0277
/// fn is_movable<T: Send>() {}
/// is_movable::<larder::Monitor<'static>>();
/// ```
#[derive(Debug)]
#[repr(transparent)]
pub struct Cache<'r> {
    header: NonNull<Header>,
    region: PhantomData<&'r mut [u8]>,
}

// SAFETY: the region moves with the cache; what borrows the cache (`View`, `Reservation`, `Monitor`) keeps it
// where it is. Hooks of the host's that are not safe to move come in through unsafe functions alone.
unsafe impl Send for Cache<'_> {}
// SAFETY: the header is changed through atomics alone after `new`, the shards under their locks. A cache without
// a lock is the caller's promise then (`Config::single_thread` is unsafe).
#[cfg(feature = "spin")]
unsafe impl Sync for Cache<'_> {}

/// Whoever sets the time by hand. No damage to a word is likely to make this of another: a cache that waits for
/// a time that nobody sets would return what has expired.
const BY_HAND: u32 = u32::from_le_bytes(*b"hand");

impl<'r> Cache<'r> {
    /// Makes a cache in `region`, which it uses for as long as it lives; nothing needs to be freed.
    ///
    /// # Errors
    /// `Misaligned` unless the region starts at a multiple of [`ALIGN`](crate::ALIGN); `NoMemory` where it is too
    /// small for anything ([`Cache::required_size`] says what is needed); `Invalid` for a
    /// configuration out of range, which a limit above the region is, or a region above 1,095,216,660,480 bytes.
    ///
    /// # Time
    /// O(pages of the region).
    pub fn new(region: &'r mut [u8], config: &Config) -> Result<Self> {
        let len = region.len();
        let base = NonNull::from(region).cast();
        // SAFETY: the region is borrowed for as long as the cache lives.
        unsafe { Self::new_at(base, len, config) }
    }

    /// # Safety
    /// `base .. base + len` is memory that nobody else touches for `'r`.
    pub(crate) unsafe fn new_at(base: NonNull<u8>, len: usize, config: &Config) -> Result<Self> {
        Self::check_arguments(base, len, config)?;
        // SAFETY: the caller gave this memory.
        let cutter = unsafe { Cutter::new(base, len) };
        let cache = Self::lay_out(cutter, len, config, None).ok_or(Error::NoMemory)?;
        cache.begin(config)
    }

    /// Takes over the cache that an earlier owner left in `region`, made with the same `config` (limit,
    /// hooks, `zero_on_free`, lengths and default TTL may differ): after a reset, in another process, at
    /// another address, wherever the owner was stopped. What is whole comes back, with its TTL; a value that
    /// was being written over in its slot does not, nor may a large one of which a part was being moved. Views,
    /// reservations, locks and statistics of the earlier owner are void, and so is what the default policy
    /// remembers of evicted items.
    ///
    /// Time goes on from where the clock stood at the owner's last look at it: a clock that has started
    /// anew since then, as after a reset, counts as one that stood still meanwhile.
    ///
    /// One owner at a time is the caller's to ensure: two processes must not use one mapping at once. The child of
    /// a fork attaches to its copy before any other call: a thread of the parent may have held a lock.
    ///
    /// # Errors
    /// The report's `found` tells what is there instead, and nothing was changed: `NotFound` where there is no
    /// cache, `VersionMismatch` where there is one that was made otherwise. Else as [`Cache::new`].
    ///
    /// # Time
    /// O(slots), and a hash of each key; O(bytes) with checksums; O(n log n) with exact LRU.
    pub fn attach(
        region: &'r mut [u8],
        config: &Config,
        report: &mut AttachReport,
    ) -> Result<Self> {
        let len = region.len();
        let base = NonNull::from(region).cast();
        // SAFETY: the region is borrowed for as long as the cache lives.
        unsafe { Self::attach_at(base, len, config, report) }
    }

    /// # Safety
    /// As for [`Cache::new_at`].
    pub(crate) unsafe fn attach_at(
        base: NonNull<u8>,
        len: usize,
        config: &Config,
        report: &mut AttachReport,
    ) -> Result<Self> {
        *report = AttachReport {
            found: Found::Nothing,
            ..AttachReport::default()
        };
        Self::check_arguments(base, len, config)?;
        if len < size_of::<Header>() {
            return Err(Error::NotFound);
        }
        let hasher = KeyHasher::new(config.hash_seed);
        // SAFETY: at least so many bytes, aligned; words may be any bits.
        let words = unsafe { base.cast::<[u32; 4]>().read() };
        report.found = Self::stamp(config, len, &hasher).compare(&Stamp::of_words(words));
        match report.found {
            Found::Cache => {}
            Found::Nothing => return Err(Error::NotFound),
            _ => return Err(Error::VersionMismatch),
        }
        // SAFETY: the caller gave this memory.
        let cutter = unsafe { Cutter::new(base, len) };
        let left = Some((report, Adopt::new()));
        let cache = Self::lay_out(cutter, len, config, left).ok_or(Error::NoMemory)?;
        cache.begin(config)
    }

    fn check_arguments(base: NonNull<u8>, len: usize, config: &Config) -> Result<()> {
        config.check()?;
        check_region(base, len)?;
        if config.memory_limit > len || len as u64 > REGION_MAX {
            return Err(Error::Invalid);
        }
        Ok(())
    }

    fn begin(self, config: &Config) -> Result<Self> {
        self.observe_time();
        if config.memory_limit != 0 {
            self.set_memory_limit(config.memory_limit)?;
        }
        Ok(self)
    }

    /// What tells this cache from others.
    fn stamp(config: &Config, len: usize, hasher: &KeyHasher) -> Stamp {
        let build = [
            size_of::<usize>(),
            size_of::<Header>(),
            size_of::<Guarded<Shard>>(),
            Self::TIME_AT,
        ];
        let Config {
            policy,
            item_times,
            checksum,
            ..
        } = *config;
        let layout = [
            len,
            config.shard_count(len) as usize,
            policy as usize,
            usize::from(item_times),
            usize::from(checksum),
        ];
        let wide = |n: usize| n as u64;
        Stamp::new(&build.map(wide), &layout.map(wide), hasher)
    }

    /// Bytes before the parts of `count` shards: header, cells, hasher.
    fn head_size(count: u32) -> usize {
        let cells = sizing::cells_size::<Guarded<Shard>>(count);
        CELLS_AT + cells + size_of::<KeyHasher>().next_multiple_of(ALIGN)
    }

    /// Where a shard's time lies in its cell.
    const TIME_AT: usize = Guarded::<Shard>::VALUE_AT + Shard::TIME_AT;

    /// Cuts the region; `left`: where an earlier owner left something there.
    fn lay_out(
        mut cutter: Cutter,
        len: usize,
        config: &Config,
        mut left: Option<(&mut AttachReport, Adopt)>,
    ) -> Option<Self> {
        let count = config.shard_count(len);
        let mut header = cutter.cut(size_of::<Header>())?.cast::<Header>();
        let cells = cutter.cut(sizing::cells_size::<Guarded<Shard>>(count))?;
        let setup = config.setup();
        let hasher = cutter.place()?;
        debug_assert!(cutter.used() <= Self::head_size(count));
        let part = sizing::part_size(len.checked_sub(Self::head_size(count))?, count);
        let footprint = sizing::check_limit(config, &setup, len, part)?;
        // Nothing was written before this.
        let by_hand = match &left {
            // SAFETY: the header that the earlier owner wrote was cut above.
            Some(_) => unsafe { Self::clock_left_by_hand(header) },
            None => {
                // Until the end, there is no cache.
                // SAFETY: cut above; the stamp's magic comes first.
                unsafe { header.cast::<u32>().write(0) };
                barrier();
                0
            }
        };
        let stamp = Self::stamp(config, len, &KeyHasher::new(setup.seed));
        let hasher = hasher.fill(KeyHasher::new(setup.seed));
        let stride = sizing::cell_stride::<Guarded<Shard>>(count);
        let mut cuts = cutter.cuts();
        for number in 0..count {
            let place = Place { number, count };
            let at = cutter.cut(part)?;
            // SAFETY: `cut` hands out each byte once.
            let mut cutter = unsafe { Cutter::new(at, part) };
            // SAFETY: number < count, and room for count cells was cut.
            let cell = unsafe { cells.add(number as usize * stride) };
            let origin = match &mut left {
                None => Origin::Fresh,
                Some((report, adopt)) => {
                    // SAFETY: a cell that the earlier owner wrote.
                    let time = unsafe { Self::time_left(cell) };
                    Origin::Left(time, place, report, *adopt)
                }
            };
            let slab = origin.slab(&mut cutter, part, &footprint)?;
            let time = origin.time();
            let mut cell = cell.cast::<Guarded<Shard>>();
            let make = |cutter: &mut Cutter| {
                Shard::new(slab, cutter, part, &setup, &footprint, hasher, time)
            };
            // SAFETY: cut above; start and stride are aligned to ALIGN.
            unsafe { Self::write_cell(cell, &mut cutter, make) }?;
            cuts += cutter.cuts();
            // SAFETY: written above, and nobody else knows of it yet.
            if !unsafe { cell.as_mut() }.get_mut().start(origin) {
                return None;
            }
        }
        let mut value = Self::header(config, len, part * count as usize, hasher, cuts);
        value.clock_by_hand = AtomicU32::new(by_hand);
        // A region that is taken over holds a cache all the time.
        let magic = stamp.magic;
        value.stamp = match left {
            Some(_) => stamp,
            None => stamp.unfinished(),
        };
        // SAFETY: cut above, aligned to ALIGN.
        unsafe { header.write(value) };
        // SAFETY: written just now, and nobody knows of it yet.
        Self::clean_hooks(unsafe { header.as_mut() });
        barrier();
        // SAFETY: as above; the stamp's magic comes first.
        unsafe { header.cast::<u32>().write(magic) };
        Some(Self {
            header,
            region: PhantomData,
        })
    }

    /// Puts a new shard into its cell. Apart, so that its copies leave the stack before it starts.
    ///
    /// # Safety
    /// `cell` is a place for one, aligned, and nobody else's.
    #[inline(never)]
    unsafe fn write_cell(
        mut cell: NonNull<Guarded<Shard>>,
        cutter: &mut Cutter,
        make: impl FnOnce(&mut Cutter) -> Option<Shard>,
    ) -> Option<()> {
        let shard = make(cutter)?;
        // SAFETY: by the caller's promise.
        unsafe { cell.write(Guarded::new(shard)) };
        // SAFETY: written just now.
        unsafe { cell.as_mut() }.get_mut().policy.clean();
        Some(())
    }

    /// Where the host gave no hooks, their places have bytes of the stack: the region may be a file, or others' too.
    fn clean_hooks(header: &mut Header) {
        match header.lock {
            LockKind::Default => clean(&mut header.lock, LockKind::Default),
            LockKind::None => clean(&mut header.lock, LockKind::None),
            LockKind::Hooks(_) => {}
        }
        if header.on_event.get_mut().is_none() {
            clean(header.on_event.get_mut(), None);
        }
    }

    /// The time that lies in a shard's cell, if it can be one.
    ///
    /// # Safety
    /// `cell` has as many bytes as a cell, initialised.
    unsafe fn time_left(cell: NonNull<u8>) -> Option<Time> {
        // SAFETY: inside the cell.
        let time = unsafe { cell.add(Self::TIME_AT) };
        // SAFETY: as above, aligned as the time that lies there; words may be any bits.
        Time::left_behind(unsafe { time.cast::<[u64; 5]>().read() })
    }

    /// # Safety
    /// `header` has as many bytes as one, initialised.
    unsafe fn clock_left_by_hand(header: NonNull<Header>) -> u32 {
        let at = core::mem::offset_of!(Header, clock_by_hand);
        // SAFETY: inside the header, by the caller's promise.
        let word = unsafe { header.cast::<u8>().add(at) };
        // SAFETY: as above, and aligned as the header is; a word may be any bits.
        unsafe { word.cast::<u32>().read() }
    }

    fn header(
        config: &Config,
        region: usize,
        parts: usize,
        hasher: Shared<KeyHasher>,
        cuts: u32,
    ) -> Header {
        Header {
            stamp: Stamp::NONE,
            region,
            outside: region - parts,
            limit: AtomicUsize::new(region),
            cell_stride: sizing::cell_stride::<Guarded<Shard>>(config.shard_count(region)) as u32,
            cell_count: config.shard_count(region),
            policy: config.policy,
            item_times: config.item_times,
            default_ttl: config.default_ttl_ms != 0,
            cuts: cuts as u16,
            hasher,
            lock: config.lock,
            clock: config.clock,
            callbacks: Callbacks::default(),
            on_event: UnsafeCell::new(config.on_event),
            busy: AtomicU32::new(0),
            clock_by_hand: AtomicU32::new(0),
        }
    }

    /// The size of a region in which a cache of this configuration keeps `items` items of these
    /// lengths, index and headers included, without evicting any. With 0 items: the smallest region
    /// that makes a cache at all. With a memory limit: the limit's own size, rounded up to [`ALIGN`].
    ///
    /// # Errors
    /// `Invalid` for a configuration, key or value length out of range; `TooLarge` where no region could be
    /// large enough: for the memory limit, for pins, or for ids.
    pub fn required_size(
        config: &Config,
        items: u64,
        key_len: usize,
        value_len: usize,
    ) -> Result<usize> {
        config.check()?;
        sizing::required_size(config, items, key_len, value_len, Self::head_size)
    }

    /// The address that C knows the cache by.
    pub(crate) fn as_ptr(&self) -> *mut Header {
        self.header.as_ptr()
    }

    /// # Safety
    /// `header` is what [`Cache::as_ptr`] gave, and its region is still the cache's.
    #[inline]
    pub(crate) unsafe fn from_ptr(header: NonNull<Header>) -> Result<Self> {
        let cache = Self {
            header,
            region: PhantomData,
        };
        if cache.head().stamp.magic != MAGIC {
            Err(Error::Invalid)
        } else {
            Ok(cache)
        }
    }

    #[inline]
    fn head(&self) -> &Header {
        // SAFETY: written in `lay_out`; its fields change through atomics and locks alone.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn cell(&self, i: u32) -> &Guarded<Shard> {
        let head = self.head();
        let i = if i < head.cell_count { i } else { 0 };
        // SAFETY: i < cell_count.
        unsafe { self.cell_at(i) }
    }

    /// # Safety
    /// `i` is below `cell_count`.
    #[cfg_attr(not(feature = "small"), inline(always))]
    unsafe fn cell_at(&self, i: u32) -> &Guarded<Shard> {
        let at = i as usize * self.head().cell_stride as usize;
        // SAFETY: i < cell_count, and so many cells were written in `lay_out`, right behind the header.
        let cell = unsafe { self.header.cast::<u8>().add(CELLS_AT + at) };
        // SAFETY: as above; cells are never moved or dropped.
        unsafe { cell.cast().as_ref() }
    }

    /// The same cache, for a shorter life.
    pub(crate) fn alias(&self) -> Cache<'_> {
        Cache {
            header: self.header,
            region: PhantomData,
        }
    }

    pub(crate) fn shard_count(&self) -> u32 {
        self.head().cell_count
    }

    pub(crate) fn lock_kind(&self) -> LockKind {
        self.head().lock
    }

    /// What the cache's clock shows, unless the host sets it by hand.
    #[cfg(feature = "hosted")]
    pub(crate) fn now_ms(&self) -> Option<u64> {
        let head = self.head();
        let by_hand =
            head.clock.is_default() && head.clock_by_hand.load(Ordering::Relaxed) == BY_HAND;
        if by_hand { None } else { head.clock.read() }
    }

    // ---- entering a shard ----------------------------------------------------------------------

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn hash(&self, key: &[u8]) -> Hash {
        self.head().hasher.hash(key)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn shard_of(&self, hash: Hash) -> u32 {
        Place::number_for(hash, self.head().cell_count)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn cell_of(&self, hash: Hash) -> &Guarded<Shard> {
        if self.head().cell_count == 1 {
            // SAFETY: there is one. The lock need not wait for the hash then.
            return unsafe { self.cell_at(0) };
        }
        self.cell_of_many(hash)
    }

    #[inline(never)]
    fn cell_of_many(&self, hash: Hash) -> &Guarded<Shard> {
        let i = self.shard_of(hash);
        // SAFETY: a number below 2^16, times cell_count, over 2^16, is below cell_count.
        unsafe { self.cell_at(i) }
    }

    /// A shard under its lock. Where it does not wait for that, it is busy while somebody is inside.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn lock<'a>(&'a self, cell: &'a Guarded<Shard>, waits: bool) -> Result<Locked<'a, Shard>> {
        self.turn_away()?;
        let kind = &self.head().lock;
        let shard = if waits {
            cell.lock(kind)
        } else {
            cell.try_lock(kind)
        };
        shard.inspect_err(|&error| {
            if error == Error::Busy {
                self.count_busy();
            }
        })
    }

    /// Gives the lock back, and tells the host what else happened.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn leave(&self, shard: Locked<'_, Shard>, waits: bool) {
        if self.hook().is_some() {
            self.tell(shard, waits);
        }
    }

    /// Calls with a shard under its lock.
    #[inline(always)]
    pub(crate) fn with_shard<R>(&self, i: u32, call: impl FnOnce(&mut Shard) -> R) -> Result<R> {
        let mut shard = self.lock(self.cell(i), true)?;
        let result = call(&mut shard);
        self.leave(shard, true);
        Ok(result)
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn hook(&self) -> Option<&EventHook> {
        // SAFETY: written in `new` and by `set_event_hook`, whose caller is alone.
        unsafe { (*self.head().on_event.get()).as_ref() }
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn turn_away(&self) -> Result<()> {
        self.head()
            .callbacks
            .check(|| self.is_visited())
            .inspect_err(|_| self.count_busy())
    }

    /// Whether the calling thread is inside a scan's or an inspection's callback.
    #[cold]
    fn is_visited(&self) -> bool {
        (0..self.head().cell_count).any(|i| self.cell(i).is_visited())
    }

    #[cfg(target_has_atomic = "32")]
    #[cold]
    fn count_busy(&self) {
        self.head().busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Without such instructions there is one core; an interrupt may make a count of two one.
    #[cfg(not(target_has_atomic = "32"))]
    #[cold]
    fn count_busy(&self) {
        let busy = &self.head().busy;
        let count = busy.load(Ordering::Relaxed).wrapping_add(1);
        busy.store(count, Ordering::Relaxed);
    }

    /// Gives the lock back and tells the host what went. Where another thread is telling, the counts stay in the
    /// shard: that thread tells them after its own, or the next call does.
    #[cold]
    fn tell(&self, mut shard: Locked<'_, Shard>, waits: bool) {
        let callbacks = &self.head().callbacks;
        let gathers = |more: bool| waits && more;
        if shard.counters.gone.is_nothing() && !gathers(callbacks.has_more()) {
            return;
        }
        let Some(inside) = callbacks.try_tell() else {
            return;
        };
        let gone = core::mem::take(&mut shard.counters.gone);
        drop(shard);
        self.tell_of(&gone);
        // Once: what is added from here on is the next call's, so that this one ends.
        if gathers(callbacks.has_more()) {
            callbacks.gather(&inside);
            self.tell_of(&self.gather_gone());
        }
    }

    /// What went and was not told, of all shards.
    fn gather_gone(&self) -> Gone {
        let mut sum = Gone::default();
        for i in 0..self.head().cell_count {
            match self.cell(i).lock(&self.head().lock) {
                Ok(mut shard) => sum.add(&core::mem::take(&mut shard.counters.gone)),
                Err(_) => self.head().callbacks.leave_more(),
            }
        }
        sum
    }

    fn tell_of(&self, gone: &Gone) {
        let evicted = Event {
            kind: EventKind::Evicted,
            items: u64::from(gone.evicted),
            bytes: gone.evicted_bytes,
        };
        let expired = Event {
            kind: EventKind::Expired,
            items: u64::from(gone.expired),
            bytes: gone.expired_bytes,
        };
        let Some(hook) = self.hook() else { return };
        for event in [evicted, expired] {
            if event.items > 0 {
                // SAFETY: hook, target and context were given together.
                unsafe { (hook.call)(hook.target, hook.ctx, &event) };
            }
        }
    }

    /// A turn for a monitor's report; `None` where two other monitors have one.
    pub(crate) fn try_report(&self) -> Option<Inside<'_>> {
        self.head().callbacks.try_report()
    }

    /// Lets the shard look at the clock, where it has something that can expire, or is to get it.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn look_at_clock(&self, shard: &mut Shard, needed: bool) {
        if needed || shard.ttl_items > 0 {
            self.observe(shard);
        }
    }

    fn observe(&self, shard: &mut Shard) {
        let head = self.head();
        if head.clock.is_default() && head.clock_by_hand.load(Ordering::Relaxed) == BY_HAND {
            return;
        }
        if let Some(now) = head.clock.read() {
            shard.time.observe(now);
        }
    }

    fn observe_time(&self) {
        for i in 0..self.head().cell_count {
            let _ = self
                .cell(i)
                .with(&LockKind::None, |shard| self.observe(shard));
        }
    }

    /// The shard of a key under its lock, with the time looked at where it matters; and the key's hash.
    #[cfg_attr(not(feature = "small"), inline(always))]
    #[cfg_attr(feature = "small", inline(never))]
    fn lock_for(
        &self,
        key: &[u8],
        needs_time: bool,
        waits: bool,
    ) -> Result<(Locked<'_, Shard>, Hash)> {
        let hash = self.hash(key);
        let mut shard = self.lock(self.cell_of(hash), waits)?;
        shard.check_key(key)?;
        self.look_at_clock(&mut shard, needs_time);
        Ok((shard, hash))
    }

    /// Calls with the shard of a key under its lock, and the key's hash.
    #[inline(always)]
    pub(crate) fn with_key<R>(
        &self,
        key: &[u8],
        needs_time: bool,
        call: impl FnOnce(&mut Shard, Hash) -> Result<R>,
    ) -> Result<R> {
        let (mut shard, hash) = self.lock_for(key, needs_time, true)?;
        let result = call(&mut shard, hash);
        self.leave(shard, true);
        result
    }

    /// As [`Cache::with_key`], without waiting.
    #[inline(always)]
    fn try_with_key<R>(
        &self,
        key: &[u8],
        needs_time: bool,
        call: impl FnOnce(&mut Shard, Hash) -> Result<R>,
    ) -> Result<R> {
        let (mut shard, hash) = self.lock_for(key, needs_time, false)?;
        let result = call(&mut shard, hash);
        self.leave(shard, false);
        result
    }

    pub(crate) fn each_shard(&self, mut call: impl FnMut(&mut Shard)) -> Result<()> {
        self.call_each(&mut call)
    }

    fn call_each(&self, mut call: &mut dyn FnMut(&mut Shard)) -> Result<()> {
        for i in 0..self.head().cell_count {
            self.with_shard(i, &mut call)?;
        }
        Ok(())
    }
}
