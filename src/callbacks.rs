//! Calling the host back: one call at a time for each cache, and never into the same cache again.
//!
//! # Invariants
//! 1. `owner` is the thread inside a callback, 0 if none. A thread that finds itself there when it
//!    enters the cache is turned away as busy: so a callback can never wait for its own lock.

#![forbid(unsafe_code)]

use crate::status::{Error, Result};
#[cfg(not(loom))]
use core::hint::spin_loop as pause;
#[cfg(not(loom))]
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering;
#[cfg(loom)]
use loom::{sync::atomic::AtomicUsize, thread::yield_now as pause};

/// Who is inside a callback.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    owner: AtomicUsize,
}

#[cfg(all(feature = "hosted", not(loom)))]
fn this_thread() -> usize {
    crate::hosted::this_thread()
}

#[cfg(loom)]
fn this_thread() -> usize {
    crate::interleavings::this_thread()
}

/// Without threads of our own to tell apart, whoever calls during a callback is turned away.
#[cfg(all(not(feature = "hosted"), not(loom)))]
fn this_thread() -> usize {
    1
}

impl Callbacks {
    /// `Busy` where the caller is inside a callback of this cache.
    #[inline]
    pub(crate) fn check(&self) -> Result<()> {
        let owner = self.owner.load(Ordering::Relaxed);
        if owner != 0 && owner == this_thread() {
            return Err(Error::Busy);
        }
        Ok(())
    }

    /// Runs a callback; waits for another thread's to end.
    pub(crate) fn run<R>(&self, call: impl FnOnce() -> R) -> R {
        let _inside = loop {
            if let Some(inside) = self.try_enter() {
                break inside;
            }
            pause();
        };
        call()
    }

    /// The right to run callbacks until the value goes, unless another thread has it.
    #[cfg(target_has_atomic = "ptr")]
    pub(crate) fn try_enter(&self) -> Option<Inside<'_>> {
        self.owner
            .compare_exchange(0, this_thread(), Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
            .then(|| Inside(self))
    }

    /// Without compare-and-swap there is one core, and the lock hooks keep others out.
    #[cfg(not(target_has_atomic = "ptr"))]
    pub(crate) fn try_enter(&self) -> Option<Inside<'_>> {
        self.owner.store(this_thread(), Ordering::Release);
        Some(Inside(self))
    }
}

/// A thread inside a callback, which it leaves by a panic of the host's too.
pub(crate) struct Inside<'c>(&'c Callbacks);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.owner.store(0, Ordering::Release);
    }
}
