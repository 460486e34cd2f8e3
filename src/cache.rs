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
//! What can be asked of a cache: `cache::verbs`, of one item, and `cache::whole`. What one shard does: `shard`. The C
//! face: `ffi`.
#![allow(unsafe_code)]

mod items;
mod making;
#[cfg(feature = "hosted")]
mod sharing;
mod telling;
mod verbs;
mod whole;

pub use items::Put;
pub use whole::Cursor;
pub(crate) use whole::pressure;

use crate::callbacks::{Callbacks, Inside};
use crate::clock::Clock;
use crate::config::EventHook;
use crate::hash::{Hash, KeyHasher, Place};
use crate::lock::{Guarded, LockKind, Locked};
use crate::policy::PolicyKind;
use crate::region::{ALIGN, Shared};
use crate::shard::Shard;
use crate::stamp::{MAGIC, Stamp};
use crate::status::{Error, Result};
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
    /// From one shard's cell to the next.
    cell_stride: u32,
    cell_count: u32,
    /// Cells right behind the header: all, or none where the header is a process's own.
    #[cfg(feature = "hosted")]
    cells_near: u32,
    #[cfg(feature = "hosted")]
    cells: NonNull<u8>,
    /// The header in the region.
    #[cfg(feature = "hosted")]
    common: NonNull<Header>,
    /// What a process has of its own of a cache that others share.
    #[cfg(feature = "hosted")]
    own: Option<NonNull<sharing::Own>>,
    policy: PolicyKind,
    item_times: bool,
    default_ttl: bool,
    cuts: u16,
    hasher: Shared<KeyHasher>,
    lock: LockKind,
    clock: Clock,
    callbacks: Callbacks,
    on_event: Option<EventHook>,
    busy: AtomicU32,
}

// The cells, aligned, lie right behind it.
const CELLS_AT: usize = size_of::<Header>().next_multiple_of(ALIGN);

impl Header {
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn cells_near(&self) -> u32 {
        #[cfg(feature = "hosted")]
        return self.cells_near;
        #[cfg(not(feature = "hosted"))]
        self.cell_count
    }
}

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

impl<'r> Cache<'r> {
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
        // SAFETY: i < cell_count, and so many cells were written in `lay_out`.
        let cell = unsafe { self.cells().add(at) };
        // SAFETY: as above; cells are never moved or dropped.
        unsafe { cell.cast().as_ref() }
    }

    /// Where the cells lie.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn cells(&self) -> NonNull<u8> {
        #[cfg(feature = "hosted")]
        return self.head().cells;
        #[cfg(not(feature = "hosted"))]
        // SAFETY: right behind the header, as `lay_out` cut them.
        unsafe {
            self.header.cast::<u8>().add(CELLS_AT)
        }
    }

    /// What the header in the region says: where processes share it, this one's own says what does not change.
    fn common(&self) -> &Header {
        #[cfg(feature = "hosted")]
        // SAFETY: written in `lay_out`, for as long as the cache lives.
        return unsafe { self.head().common.as_ref() };
        #[cfg(not(feature = "hosted"))]
        self.head()
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

    /// The lock for what belongs to the cache, and to this process.
    pub(crate) fn lock_kind(&self) -> LockKind {
        match self.head().lock {
            #[cfg(feature = "hosted")]
            LockKind::ProcessShared(_) => LockKind::Default,
            kind => kind,
        }
    }

    /// What the cache's clock shows.
    #[cfg(feature = "hosted")]
    pub(crate) fn now_ms(&self) -> Option<u64> {
        self.head().clock.read()
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
        if self.head().cells_near() == 1 {
            // SAFETY: there is one, right behind the header. The lock need not wait for the hash then.
            let cell = unsafe { self.header.cast::<u8>().add(CELLS_AT) };
            // SAFETY: as in `cell_at`.
            return unsafe { cell.cast().as_ref() };
        }
        self.cell_of_many(hash)
    }

    #[inline(never)]
    fn cell_of_many(&self, hash: Hash) -> &Guarded<Shard> {
        let i = self.shard_of(hash);
        // SAFETY: a number below 2^16, times cell_count, over 2^16, is below cell_count.
        unsafe { self.cell_at(i) }
    }

    /// A shard under its lock. Where it does not wait for that, it is busy while another caller is inside.
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
        if self.hook().is_some() && self.has_to_tell(&shard, waits) {
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
        self.head().on_event.as_ref()
    }

    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn turn_away(&self) -> Result<()> {
        if self.head().callbacks.is_quiet() {
            Ok(())
        } else {
            self.turn_away_from_inside()
        }
    }

    #[cold]
    #[inline(never)]
    fn turn_away_from_inside(&self) -> Result<()> {
        self.forget_parent();
        let checked = self.head().callbacks.check(|| self.is_visited());
        checked.inspect_err(|_| self.count_busy())
    }

    /// Whether the calling thread is inside a scan's or an inspection's callback.
    #[cold]
    fn is_visited(&self) -> bool {
        let head = self.head();
        (0..head.cell_count).any(|i| self.cell(i).is_visited(&head.lock))
    }

    #[cfg(target_has_atomic = "32")]
    #[cold]
    fn count_busy(&self) {
        self.common().busy.fetch_add(1, Ordering::Relaxed);
    }

    /// Without such instructions there is one core; an interrupt may make a count of two one.
    #[cfg(not(target_has_atomic = "32"))]
    #[cold]
    fn count_busy(&self) {
        let busy = &self.common().busy;
        let count = busy.load(Ordering::Relaxed).wrapping_add(1);
        busy.store(count, Ordering::Relaxed);
    }

    /// Which process this is, where that matters: in a cache that processes share.
    fn process(&self) -> u32 {
        #[cfg(feature = "hosted")]
        return self.own().map_or(0, |_| crate::hosted::this_process());
        #[cfg(not(feature = "hosted"))]
        0
    }

    /// `Busy` where the caller is the child of a fork inside the callback that it was called with: the lock is its
    /// parent's.
    fn still(&self, process: u32) -> Result<()> {
        if self.process() == process {
            Ok(())
        } else {
            Err(Error::Busy)
        }
    }

    /// Tells the other processes that share the cache who holds an entry of a shard's table now.
    pub(crate) fn note(&self, number: u32, shard: &Shard, entry: u32) {
        #[cfg(feature = "hosted")]
        self.note_holder(number, shard, entry);
        #[cfg(not(feature = "hosted"))]
        let _ = (number, shard, entry);
    }

    /// A turn for a monitor's report; `None` where two other monitors have one.
    pub(crate) fn try_report(&self) -> Option<Inside<'_>> {
        self.forget_parent();
        self.head().callbacks.try_report()
    }

    /// Lets the shard look at the clock, where it has something that can expire, or is to get it.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn look_at_clock(&self, shard: &mut Shard, needed: bool) {
        if needed || shard.store.ttl_items > 0 {
            self.observe(shard);
        }
    }

    fn observe(&self, shard: &mut Shard) {
        let head = self.head();
        if head.clock.is_default() && shard.store.kept.is_by_hand() {
            return;
        }
        if let Some(now) = head.clock.read() {
            shard.store.kept.observe(now);
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
        self.with_key_if(key, needs_time, true, call)
    }

    /// As [`Cache::with_key`]; `waits`: for the lock, rather than be busy.
    #[inline(always)]
    fn with_key_if<R>(
        &self,
        key: &[u8],
        needs_time: bool,
        waits: bool,
        call: impl FnOnce(&mut Shard, Hash) -> Result<R>,
    ) -> Result<R> {
        let (mut shard, hash) = self.lock_for(key, needs_time, waits)?;
        let result = call(&mut shard, hash);
        self.leave(shard, waits);
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
