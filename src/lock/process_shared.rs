//! Locks that lie beside their values, in memory that processes share.
//!
//! # Layout
//! ```text
//! region   | value 0, slot 0 | value 1, slot 1 | ..         a process's own memory   | Locks |
//! ```
//!
//! # Invariants
//! 1. A process reads a value only where `mapped_at` of its slot is the address at which this process has the region.
//!
//! # Not here
//! What is to be done where it is another one, or where the last owner died: the functions of [`Locks`].

use super::LockHooks;
use crate::callbacks::Turn;
use crate::hosted::{RobustMutex, Taken};
use crate::status::Result;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What lies beside a value; others of its owner's may follow.
#[repr(C)]
pub(crate) struct LockSlot {
    pub(crate) lock: RobustMutex,
    /// The address of the region for which the value's pointers were written; 0 where the value is not to be believed.
    pub(crate) mapped_at: AtomicUsize,
    pub(crate) recoveries: AtomicU32,
}

/// What a process knows of the locks of one region.
#[repr(C)]
pub(crate) struct Locks {
    /// Bytes from a value's cell to its slot.
    pub(crate) slot_at: usize,
    /// Where the region lies here.
    pub(crate) region: NonNull<u8>,
    /// The host's lock in place of the slots' own.
    pub(crate) hooks: Option<LockHooks>,
    /// Makes a value this process's own, whose lock was taken like this; else gives the lock back.
    pub(crate) take_over:
        unsafe fn(NonNull<Locks>, value: NonNull<()>, Taken, waits: bool) -> Result<()>,
    /// Whose turn it is to visit the value, of the threads of this process.
    pub(crate) turn: unsafe fn(NonNull<Locks>, value: NonNull<()>) -> NonNull<Turn>,
}

/// The locks of a region that processes share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessShared(NonNull<Locks>);

impl ProcessShared {
    /// # Safety
    /// They stay there for as long as one of them is used, and each value that is locked by them has a slot.
    pub(crate) unsafe fn new(locks: NonNull<Locks>) -> Self {
        Self(locks)
    }

    fn locks(&self) -> &Locks {
        // SAFETY: the promise of `new`; they do not change.
        unsafe { self.0.as_ref() }
    }

    /// Takes the lock of a value; `Busy` where it was not taken.
    #[inline(always)]
    pub(super) fn take(&self, value: NonNull<()>, waits: bool) -> Result<()> {
        let slot = self.locks().slot(value);
        let taken = match &self.locks().hooks {
            None => slot.lock.try_lock(),
            Some(hooks) => Taken::of(hooks.call(waits)?, LockHooks::OWNER_DIED),
        };
        if taken == Taken::Well && self.locks().is_mapped_here(slot) {
            return Ok(());
        }
        self.take_otherwise(value, taken, waits)
    }

    /// The lock is taken, or the value is not this process's.
    #[cold]
    #[inline(never)]
    fn take_otherwise(&self, value: NonNull<()>, mut taken: Taken, waits: bool) -> Result<()> {
        let locks = self.locks();
        if taken == Taken::No && waits && locks.hooks.is_none() {
            taken = locks.slot(value).lock.wait();
        }
        // SAFETY: the function is theirs, and the value one of their values.
        unsafe { (locks.take_over)(self.0, value, taken, waits) }
    }

    /// Gives the lock of a value back.
    #[inline(always)]
    pub(super) fn give(&self, value: NonNull<()>) {
        let locks = self.locks();
        locks.give(locks.slot(value));
    }

    #[cold]
    pub(super) fn turn(&self, value: NonNull<()>) -> &Turn {
        // SAFETY: the function is theirs, and the value one of their values.
        let turn = unsafe { (self.locks().turn)(self.0, value) };
        // SAFETY: turns live as long as the locks.
        unsafe { turn.as_ref() }
    }
}

impl Locks {
    /// The slot of a value, which is one of these locks'.
    #[inline(always)]
    pub(crate) fn slot(&self, value: NonNull<()>) -> &LockSlot {
        // SAFETY: each value that is locked by them has a slot there.
        let slot = unsafe { value.cast::<u8>().add(self.slot_at) };
        // SAFETY: written before the region was shared; its fields change by atomics, and the lock by itself.
        unsafe { slot.cast().as_ref() }
    }

    /// The region's address here.
    #[inline(always)]
    pub(crate) fn mapped_at(&self) -> usize {
        self.region.as_ptr() as usize
    }

    /// Whether the pointers of the slot's value are this process's; its lock is taken.
    #[inline(always)]
    pub(crate) fn is_mapped_here(&self, slot: &LockSlot) -> bool {
        slot.mapped_at.load(Ordering::Relaxed) == self.mapped_at()
    }

    /// Gives a lock back that the calling thread has.
    #[inline(always)]
    pub(crate) fn give(&self, slot: &LockSlot) {
        match &self.hooks {
            None => slot.lock.unlock(),
            Some(hooks) => hooks.give(),
        }
    }
}
