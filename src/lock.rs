//! The lock around a shard or a pool: a spin lock, the host's hooks, none, or one that processes share.
//!
//! # Invariants
//! 1. The value is reached only through a [`Locked`], which is made by a lock and unlocks at its end.
//! 2. Without a lock, `held` is set while there is a [`Locked`]: a second user, from inside a hook or from an
//!    interrupt handler, is turned away as busy.
//! 3. `visitor` is taken under the lock alone, by a thread that calls a function of the host's from there. Where
//!    processes share the lock, each has a visitor of its own.
//!
//! # Source
//! The spin lock is the crate `spin`'s.
#![allow(unsafe_code)]

#[cfg(feature = "hosted")]
mod process_shared;

#[cfg(feature = "hosted")]
pub(crate) use process_shared::{LockSlot, Locks, ProcessShared};

use crate::callbacks::{Callbacks, Turn};
use crate::status::{Error, Result};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ops::{Deref, DerefMut};
#[cfg(feature = "hosted")]
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering, compiler_fence};

/// Locks of the host's: an RTOS mutex, a pthread mutex, interrupts off.
#[derive(Clone, Copy, Debug)]
pub struct LockHooks {
    /// Waits for the lock. Returns 0 where it was taken; anything else fails the call as busy.
    pub lock: unsafe extern "C" fn(ctx: *mut c_void) -> i32,
    /// Gives the lock back.
    pub unlock: unsafe extern "C" fn(ctx: *mut c_void),
    /// Takes the lock without waiting. Returns 0 where it was taken.
    pub try_lock: Option<unsafe extern "C" fn(ctx: *mut c_void) -> i32>,
    /// Handed to each of them.
    pub ctx: *mut c_void,
}

/// Which lock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum LockKind {
    /// The spin lock where it is built in, else none.
    #[default]
    Default,
    /// None: the owner promises that one thread at a time calls.
    None,
    /// The host's.
    Hooks(LockHooks),
    /// Those of a region that processes share.
    #[cfg(feature = "hosted")]
    ProcessShared(ProcessShared),
}

impl LockKind {
    #[cfg(feature = "hosted")]
    /// Whether nothing keeps a second thread out.
    pub(crate) fn is_none(&self) -> bool {
        match self {
            Self::Default => cfg!(not(feature = "spin")),
            Self::None => true,
            Self::Hooks(_) | Self::ProcessShared(_) => false,
        }
    }
}

/// Looks at a lock that is taken before another thread is let run.
#[cfg(feature = "spin")]
const SPINS: u32 = 200;

#[cfg(all(feature = "spin", feature = "hosted"))]
fn give_way() {
    crate::hosted::give_way();
}

#[cfg(all(feature = "spin", not(feature = "hosted")))]
fn give_way() {}

/// A value behind a lock.
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    #[cfg(feature = "spin")]
    spin: spin::mutex::SpinMutex<()>,
    held: AtomicBool,
    visitor: Turn,
    value: UnsafeCell<T>,
}

impl<T> Guarded<T> {
    /// Where the value lies, in bytes.
    pub(crate) const VALUE_AT: usize = core::mem::offset_of!(Self, value);

    pub(crate) fn new(value: T) -> Self {
        Self {
            #[cfg(feature = "spin")]
            spin: spin::mutex::SpinMutex::new(()),
            held: AtomicBool::new(false),
            visitor: Turn::default(),
            value: UnsafeCell::new(value),
        }
    }

    /// The value, whose only user has it.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Waits for the lock. `Busy` where a hook did not lock, or where there is no lock and the value is in use.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn lock<'a>(&'a self, kind: &'a LockKind) -> Result<Locked<'a, T>> {
        match kind {
            #[cfg(feature = "spin")]
            LockKind::Default => match self.spin.try_lock() {
                Some(guard) => core::mem::forget(guard),
                None => self.wait(),
            },
            #[cfg(not(feature = "spin"))]
            LockKind::Default => self.hold()?,
            LockKind::None => self.hold()?,
            _ => self.take_otherwise(kind, true)?,
        }
        Ok(Locked { cell: self, kind })
    }

    /// Takes a lock of the host's, or one that processes share.
    #[cold]
    #[inline(never)]
    fn take_otherwise(&self, kind: &LockKind, waits: bool) -> Result<()> {
        match kind {
            LockKind::Hooks(hooks) => hooks.take(waits),
            #[cfg(feature = "hosted")]
            LockKind::ProcessShared(locks) => locks.take(NonNull::from(self).cast(), waits),
            _ => Err(Error::Invalid),
        }
    }

    /// Gives it back.
    #[cold]
    #[inline(never)]
    fn give_otherwise(&self, kind: &LockKind) {
        match kind {
            LockKind::Hooks(hooks) => hooks.give(),
            #[cfg(feature = "hosted")]
            LockKind::ProcessShared(locks) => locks.give(NonNull::from(self).cast()),
            _ => {}
        }
    }

    /// Marks the value as in use, where there is no lock. One thread calls: an interrupt handler between the two
    /// steps has given the value back when it returns.
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn hold(&self) -> Result<()> {
        if self.held.load(Ordering::Acquire) {
            return Err(Error::Busy);
        }
        self.held.store(true, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        Ok(())
    }

    /// Waits for the spin lock: a while, and from then on lets other threads run, since one that was
    /// interrupted may have it.
    #[cfg(feature = "spin")]
    #[cold]
    fn wait(&self) {
        let mut spins = 0u32;
        loop {
            while self.spin.is_locked() {
                spins = spins.wrapping_add(1);
                if spins.is_multiple_of(SPINS) {
                    give_way();
                }
                core::hint::spin_loop();
            }
            if let Some(guard) = self.spin.try_lock() {
                return core::mem::forget(guard);
            }
        }
    }

    /// Takes the lock, if it is free; else `Busy`. `Invalid` where the host gave no hook for this.
    #[cfg_attr(not(feature = "small"), inline(always))]
    pub(crate) fn try_lock<'a>(&'a self, kind: &'a LockKind) -> Result<Locked<'a, T>> {
        match kind {
            #[cfg(feature = "spin")]
            LockKind::Default => core::mem::forget(self.spin.try_lock().ok_or(Error::Busy)?),
            #[cfg(not(feature = "spin"))]
            LockKind::Default => self.hold()?,
            LockKind::None => self.hold()?,
            _ => self.take_otherwise(kind, false)?,
        }
        Ok(Locked { cell: self, kind })
    }

    /// Calls with the value, under the lock. `Busy` where a hook did not lock.
    pub(crate) fn with<R>(&self, kind: &LockKind, call: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(call(&mut *self.lock(kind)?))
    }

    /// The same for a `call` that calls a function of the host's. `Busy` also where a hook locked for two at once.
    pub(crate) fn visit<R>(
        &self,
        kind: &LockKind,
        callbacks: &Callbacks,
        call: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let mut value = self.lock(kind)?;
        let _inside = callbacks.enter(self.visitor(kind)).ok_or(Error::Busy)?;
        Ok(call(&mut value))
    }

    /// Whether the calling thread is inside [`Guarded::visit`].
    pub(crate) fn is_visited(&self, kind: &LockKind) -> bool {
        self.visitor(kind).is_mine()
    }

    fn visitor<'a>(&'a self, kind: &'a LockKind) -> &'a Turn {
        match kind {
            #[cfg(feature = "hosted")]
            LockKind::ProcessShared(locks) => locks.turn(NonNull::from(self).cast()),
            _ => &self.visitor,
        }
    }
}

impl LockHooks {
    /// As the hooks answer that took the lock of an owner that died.
    #[cfg(feature = "hosted")]
    pub(crate) const OWNER_DIED: i32 = 130;

    /// Takes the lock; `Busy` where the hook did not.
    fn take(&self, waits: bool) -> Result<()> {
        match self.call(waits)? {
            0 => Ok(()),
            _ => Err(Error::Busy),
        }
    }

    /// What a hook answers; `Invalid` where the host gave none for this.
    fn call(&self, waits: bool) -> Result<i32> {
        let lock = if waits {
            self.lock
        } else {
            self.try_lock.ok_or(Error::Invalid)?
        };
        // SAFETY: the host gave hook and context together, and promised that they lock.
        Ok(unsafe { lock(self.ctx) })
    }

    fn give(&self) {
        // SAFETY: as in `call`, and this thread has the lock.
        unsafe { (self.unlock)(self.ctx) };
    }
}

/// A value whose lock is held; it is given back at the end, by a panic of the host's callbacks too.
pub(crate) struct Locked<'a, T> {
    cell: &'a Guarded<T>,
    kind: &'a LockKind,
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    #[cfg_attr(not(feature = "small"), inline(always))]
    fn deref(&self) -> &T {
        // SAFETY: as in `deref_mut`.
        unsafe { &*self.cell.value.get() }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: made under the lock; without one, by a thread that is alone (`Config::single_thread` is
        // unsafe, and without a lock the cache and the pool are not `Sync`) and holds the value (inv. 2).
        unsafe { &mut *self.cell.value.get() }
    }
}

impl<T> Locked<'_, T> {
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn release(&mut self) {
        match self.kind {
            #[cfg(feature = "spin")]
            // SAFETY: this value was made with the lock held, and gives it back once.
            LockKind::Default => unsafe { self.cell.spin.force_unlock() },
            #[cfg(not(feature = "spin"))]
            LockKind::Default => self.cell.held.store(false, Ordering::Release),
            LockKind::None => self.cell.held.store(false, Ordering::Release),
            _ => self.cell.give_otherwise(self.kind),
        }
    }
}

impl<T> Drop for Locked<'_, T> {
    #[cfg_attr(not(feature = "small"), inline(always))]
    fn drop(&mut self) {
        self.release();
    }
}
