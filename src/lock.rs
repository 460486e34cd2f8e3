//! The lock around a shard or a pool: a spin lock, the host's hooks, or none.
//!
//! # Invariants
//! 1. The value is reached only through [`Guarded::with`], between a lock and its unlock.
//!
//! # Source
//! The spin lock is the crate `spin`'s.
#![allow(unsafe_code)]

use crate::status::{Error, Result};
use core::cell::UnsafeCell;
use core::ffi::c_void;

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
}

/// A value behind a lock.
#[derive(Debug)]
pub(crate) struct Guarded<T> {
    #[cfg(feature = "spin")]
    spin: spin::mutex::SpinMutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only between a lock and its unlock (inv. 1); whoever chooses no lock
// promises one thread at a time (`Config::single_thread`, `Config::lock_hooks` are unsafe).
unsafe impl<T> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            #[cfg(feature = "spin")]
            spin: spin::mutex::SpinMutex::new(()),
            value: UnsafeCell::new(value),
        }
    }

    /// Calls with the value, under the lock. `Busy` where a hook did not lock.
    #[inline]
    pub(crate) fn with<R>(&self, kind: &LockKind, call: impl FnOnce(&mut T) -> R) -> Result<R> {
        match kind {
            LockKind::Default => self.with_default(call),
            LockKind::None => Ok(self.with_unlocked(call)),
            LockKind::Hooks(hooks) => self.with_hooks(hooks, call),
        }
    }

    #[cfg(feature = "spin")]
    #[inline]
    fn with_default<R>(&self, call: impl FnOnce(&mut T) -> R) -> Result<R> {
        let _guard = self.spin.lock();
        Ok(self.with_unlocked(call))
    }

    #[cfg(not(feature = "spin"))]
    #[inline]
    fn with_default<R>(&self, call: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(self.with_unlocked(call))
    }

    fn with_hooks<R>(&self, hooks: &LockHooks, call: impl FnOnce(&mut T) -> R) -> Result<R> {
        // SAFETY: the host gave hook and context together, and promised that they lock.
        if unsafe { (hooks.lock)(hooks.ctx) } != 0 {
            return Err(Error::Busy);
        }
        let _unlock = Unlock(hooks);
        Ok(self.with_unlocked(call))
    }

    #[inline]
    fn with_unlocked<R>(&self, call: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: all callers hold the lock, or were promised to be alone; a callback that calls
        // back is turned away before it gets here (cache, `Callbacks`).
        call(unsafe { &mut *self.value.get() })
    }
}

/// A hook's lock that is held, and given back even where a callback of the host's panics.
struct Unlock<'h>(&'h LockHooks);

impl Drop for Unlock<'_> {
    fn drop(&mut self) {
        // SAFETY: the host gave hook and context together, and this thread holds the lock.
        unsafe { (self.0.unlock)(self.0.ctx) };
    }
}
