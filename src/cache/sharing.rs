//! One cache that several processes use at a time, in memory that they share.
//!
//! # Layout
//! ```text
//! region   | header | cell 0, lock and holders beside it | cell 1, .. | hasher | part 0 | part 1 | ..
//! handle   | header | addresses here, hooks, whose turn it is to visit a shard |      a process's own memory
//! ```
//! The region's header says what all processes are to see: the limit. What a process knows the cache by is the handle's
//! header.
//!
//! # Invariants
//! 1. Under a shard's lock its pointers are those of the process that has the lock: `mapped_at` says for which address
//!    of the region they were written, and a process that finds another one there moves them first.
//! 2. `mapped_at` is 0 from when a process is found to have died with the lock until the shard is adopted: no
//!    process reads such a shard.
//! 3. A [`Holder`] names each view and reservation, and the process that has it; a lease's token names its process.
//!
//! # Time
//! Adopting a shard: as attaching to a region of its size.

mod holders;
mod locks;
mod untold;

use super::making::Making;
use super::{Cache, Header};
use crate::callbacks::Turn;
use crate::clock::Clock;
use crate::config::{Config, EventHook, SHARDS_MAX};
use crate::hash::KeyHasher;
use crate::hosted::{RobustMutex, lives, this_process};
use crate::layout::Layout;
use crate::lock::{Guarded, LockKind, LockSlot, Locks, ProcessShared};
use crate::pins::{Holder, PINS_DEFAULT, Pins};
use crate::region::{ALIGN, Cutter, Shared};
use crate::shard::Shard;
use crate::sizing;
use crate::stamp::{Found, MAGIC, Stamp};
use crate::status::{Error, Result};
use crate::store::Store;
use core::marker::PhantomData;
use core::mem::offset_of;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A process's own part of a cache.
#[repr(C)]
struct Handle {
    header: Header,
    own: Own,
}

/// What a process knows of a cache besides its header.
#[repr(C)]
pub(crate) struct Own {
    /// First: who has these has the rest.
    locks: Locks,
    handle: NonNull<Header>,
    places: Places,
    config: Config,
    /// Which process has this: after a fork, not the one that the child's copy names. Twice its number, and one more
    /// while it forgets what the threads of its parent were about.
    process: AtomicU32,
    /// Shards adopted that the host was not told of.
    pub(super) adopted: AtomicU32,
    untold: untold::Untold,
    turns: [Turn; SHARDS_MAX as usize],
}

/// Where the slot of a cell lies; [`Holder`]s follow it.
const SLOT_AT: usize = size_of::<Guarded<Shard>>().next_multiple_of(ALIGN);

/// More than any page has entries for: a configuration that asks for more is refused by its layout.
const HOLDERS_MAX: u32 = 1 << 16;

/// Bytes behind a shard's cell.
fn beside(config: &Config) -> usize {
    let gap = SLOT_AT - size_of::<Guarded<Shard>>();
    gap + size_of::<LockSlot>() + holders(config) as usize * size_of::<Holder>()
}

fn holders(config: &Config) -> u32 {
    match config.pins_max {
        0 => PINS_DEFAULT as u32,
        most => most.min(HOLDERS_MAX),
    }
}

/// The places of one region's parts, for a process that has it at this address.
#[derive(Clone, Copy)]
struct Places {
    common: NonNull<Header>,
    cells: NonNull<u8>,
    stride: usize,
    hasher: Shared<KeyHasher>,
    parts: NonNull<u8>,
    part: usize,
    layout: Layout,
}

impl Places {
    /// # Safety
    /// A cache is to be, or was, laid out there with this configuration.
    unsafe fn of(base: NonNull<u8>, len: usize, config: &Config) -> Option<Self> {
        let (count, beside) = (config.shard_count(len), beside(config));
        // SAFETY: nothing is written.
        let mut cutter = unsafe { Cutter::new(base, len) };
        let common = cutter.cut(size_of::<Header>())?.cast();
        let cells = cutter.cut(sizing::cells_size::<Guarded<Shard>>(count, beside))?;
        let hasher = cutter.place()?.filled();
        let part = sizing::part_size(len.checked_sub(Cache::head_size(count, beside))?, count);
        let layout = sizing::check_limit(config, &config.setup(), len, part)?;
        Some(Self {
            common,
            cells,
            stride: sizing::cell_stride::<Guarded<Shard>>(count, beside),
            hasher,
            parts: cutter.cut(part)?,
            part,
            layout,
        })
    }
}

// ---- making and joining --------------------------------------------------------------------------

impl Cache<'_> {
    /// Bytes of a handle.
    pub(crate) fn handle_size() -> usize {
        size_of::<Handle>()
    }

    /// Makes a cache that other processes can join.
    ///
    /// # Safety
    /// `base .. base + len` is mapped while the cache is used, and only caches of this library touch it; the handle
    /// is this process's alone.
    pub(crate) unsafe fn share_at(
        (base, len): (NonNull<u8>, usize),
        config: &Config,
        handle: (NonNull<u8>, usize),
    ) -> Result<Self> {
        Self::check_sharing((base, len), config, handle)?;
        // SAFETY: the caller's promise; nothing is written.
        if unsafe { Places::of(base, len, config) }.is_none() {
            return Err(Error::NoMemory);
        }
        let stamp = Self::shared_stamp(config, len);
        // SAFETY: as many bytes as a header has, aligned.
        let magic = unsafe { Self::magic_at(base) };
        claim(magic, stamp).map_err(|error| match error {
            // SAFETY: as above.
            Error::Exists if stamp.compare(&unsafe { Self::stamp_at(base) }) != Found::Cache => {
                Error::VersionMismatch
            }
            error => error,
        })?;
        let plain = Config {
            lock: LockKind::Default,
            clock: Clock::default(),
            on_event: None,
            ..*config
        };
        let making = Making {
            config: &plain,
            stamp: stamp.made_by(this_process()),
            beside: beside(config),
            left: None,
        };
        // SAFETY: the caller's promise, and this process alone has claimed it.
        let cutter = unsafe { Cutter::new(base, len) };
        let shared = Self::lay_out(cutter, len, making).and_then(|_| {
            // SAFETY: laid out just now.
            unsafe { Self::enter(base, len, config, handle.0, stamp) }
        });
        let Some(cache) = shared.filter(Self::set_up) else {
            magic.store(0, Ordering::Release);
            return Err(Error::NoMemory);
        };
        cache.begin(config);
        magic.store(MAGIC, Ordering::Release);
        Ok(cache)
    }

    /// Joins a cache that another process made.
    ///
    /// # Safety
    /// As for [`Cache::share_at`].
    pub(crate) unsafe fn join_at(
        (base, len): (NonNull<u8>, usize),
        config: &Config,
        handle: (NonNull<u8>, usize),
    ) -> Result<Self> {
        Self::check_sharing((base, len), config, handle)?;
        let stamp = Self::shared_stamp(config, len);
        // SAFETY: as many bytes as a header has, aligned.
        let there = unsafe { Self::stamp_at(base) };
        if let Some(maker) = Stamp::maker(there.magic) {
            let is_under_way = lives(maker);
            return Err(if is_under_way {
                Error::Busy
            } else {
                Error::NotFound
            });
        }
        match stamp.compare(&there) {
            Found::Cache => {}
            Found::Nothing => return Err(Error::NotFound),
            Found::OtherLayout => {
                // SAFETY: the stamp says that a header of this build lies there.
                let region = unsafe { base.cast::<Header>().as_ref() }.region;
                let is_short = len < region;
                return Err(if is_short {
                    Error::NoMemory
                } else {
                    Error::VersionMismatch
                });
            }
            _ => return Err(Error::VersionMismatch),
        }
        // SAFETY: the stamp says that it was laid out like this.
        let cache = unsafe { Self::enter(base, len, config, handle.0, stamp) };
        cache.ok_or(Error::NoMemory)
    }

    fn check_sharing(
        (base, len): (NonNull<u8>, usize),
        config: &Config,
        (handle, handle_len): (NonNull<u8>, usize),
    ) -> Result<()> {
        Self::check_arguments(base, len, config)?;
        if !handle.as_ptr().cast::<u64>().is_aligned() {
            return Err(Error::Misaligned);
        }
        let has_lock = match config.lock {
            LockKind::Default => RobustMutex::EXISTS,
            LockKind::Hooks(_) => true,
            _ => false,
        };
        if !has_lock {
            return Err(Error::Invalid);
        }
        if handle_len < size_of::<Handle>() || len < size_of::<Header>() {
            return Err(Error::NoMemory);
        }
        Ok(())
    }

    /// What tells a shared cache from others: all that its processes have to agree upon.
    fn shared_stamp(config: &Config, len: usize) -> Stamp {
        let setup = config.setup();
        let build = [
            size_of::<LockSlot>(),
            size_of::<Shard>(),
            Shard::KEPT_AT,
            COUNTERS_AT,
            GENERATION_AT,
            offset_of!(Store, pages),
            offset_of!(Store, index),
            offset_of!(Store, policy),
            offset_of!(Store, logs),
            offset_of!(Store, room),
            usize::from(cfg!(target_env = "musl")),
        ];
        let layout = [
            u64::from(matches!(config.lock, LockKind::Hooks(_))),
            setup.key_len_max as u64,
            setup.value_len_max as u64,
            setup.default_ttl_ms,
            u64::from(setup.grace_ms),
            u64::from(holders(config)),
            u64::from(setup.zero_on_free),
            config.memory_limit as u64,
        ];
        let stamp = Self::stamp(config, len, &KeyHasher::new(config.hash_seed));
        stamp.further(&build.map(|n| n as u64), &layout)
    }

    /// Writes a handle to a region that was laid out.
    ///
    /// # Safety
    /// As for [`Cache::share_at`]; the handle has as many bytes as one, aligned.
    unsafe fn enter(
        base: NonNull<u8>,
        len: usize,
        config: &Config,
        handle: NonNull<u8>,
        stamp: Stamp,
    ) -> Option<Self> {
        // SAFETY: the caller's promise.
        let places = unsafe { Places::of(base, len, config) }?;
        let count = config.shard_count(len);
        let mut handle = handle.cast::<Handle>();
        // SAFETY: inside the handle.
        let own = unsafe { handle.cast::<u8>().add(offset_of!(Handle, own)) }.cast::<Own>();
        let locks = Locks {
            slot_at: SLOT_AT,
            region: base,
            hooks: match config.lock {
                LockKind::Hooks(hooks) => Some(hooks),
                _ => None,
            },
            take_over: locks::take_over,
            turn: locks::turn,
        };
        let value = Own {
            locks,
            handle: handle.cast(),
            places,
            config: *config,
            process: AtomicU32::new(this_process() << 1),
            adopted: AtomicU32::new(0),
            untold: untold::Untold::default(),
            turns: core::array::from_fn(|_| Turn::default()),
        };
        // SAFETY: the caller's promise.
        unsafe { own.write(value) };
        let outer = Config {
            // SAFETY: written just now, for as long as the handle is used; each cell has a slot.
            lock: LockKind::ProcessShared(unsafe { ProcessShared::new(own.cast()) }),
            // A hook in any case: else other processes were told of what goes in this one's calls.
            on_event: config.on_event.or(Some(EventHook::NONE)),
            ..*config
        };
        let sizes = (len, places.part * count as usize, places.stride);
        // SAFETY: as above.
        unsafe { Self::write_header(handle.cast(), &outer, sizes, places.hasher, stamp) };
        // SAFETY: written just now.
        let header = &mut unsafe { handle.as_mut() }.header;
        // SAFETY: the header of the region was laid out.
        header.cuts = unsafe { places.common.as_ref() }.cuts;
        header.cells_near = 0;
        header.cells = places.cells;
        header.common = places.common;
        header.own = Some(own);
        Some(Self {
            header: handle.cast(),
            region: PhantomData,
        })
    }

    /// Makes locks and holders of a region that no process has joined yet.
    fn set_up(&self) -> bool {
        let Some(own) = self.own() else { return false };
        (0..self.shard_count()).all(|number| {
            let slot = own.place(number, SLOT_AT).cast::<LockSlot>();
            // SAFETY: so many bytes lie beside a cell, and are not in use yet.
            let made =
                own.locks.hooks.is_some() || unsafe { RobustMutex::make(slot.as_ptr().cast()) };
            // SAFETY: as above; the lock is as it is.
            let slot = unsafe { &mut *slot.as_ptr() };
            slot.mapped_at = AtomicUsize::new(own.locks.mapped_at());
            slot.recoveries = AtomicU32::new(0);
            // SAFETY: no process has joined yet.
            unsafe { own.holders(number) }.fill(Holder::NONE);
            // SAFETY: as above.
            unsafe { own.shard(number) }.keep_old();
            made
        })
    }

    /// Where this is a child's copy of a handle: the parent's threads, which were inside callbacks, are not here. It is
    /// called before the child notes anything of its own there.
    #[cold]
    pub(super) fn forget_parent(&self) {
        let Some(own) = self.own() else { return };
        let mine = this_process() << 1;
        loop {
            let now = own.process.load(Ordering::Acquire);
            if now == mine {
                return;
            }
            // Another thread does it.
            if now == mine | 1 {
                core::hint::spin_loop();
                continue;
            }
            let (order, failed) = (Ordering::AcqRel, Ordering::Relaxed);
            if (own.process.compare_exchange(now, mine | 1, order, failed)).is_ok() {
                own.turns.iter().for_each(Turn::forget);
                own.adopted.store(0, Ordering::Relaxed);
                own.untold.take();
                self.head().callbacks.forget();
                own.process.store(mine, Ordering::Release);
            }
        }
    }

    pub(super) fn own(&self) -> Option<&Own> {
        // SAFETY: written in `enter`, for as long as the handle is used.
        self.head().own.map(|own| unsafe { &*own.as_ptr() })
    }
}

/// Lets one process alone make the cache.
fn claim(magic: &AtomicU32, stamp: Stamp) -> Result<()> {
    let mine = stamp.made_by(this_process()).magic;
    let mut now = magic.load(Ordering::Acquire);
    loop {
        if now == MAGIC {
            return Err(Error::Exists);
        }
        if Stamp::maker(now).is_some_and(lives) {
            return Err(Error::Busy);
        }
        match magic.compare_exchange(now, mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(()),
            Err(other) => now = other,
        }
    }
}

const COUNTERS_AT: usize =
    Guarded::<Shard>::VALUE_AT + offset_of!(Shard, store) + offset_of!(Store, counters);
const GENERATION_AT: usize =
    Guarded::<Shard>::VALUE_AT + offset_of!(Shard, pins) + Pins::GENERATION_AT;
