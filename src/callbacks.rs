//! Callbacks to the host. No call waits for a callback, and a thread inside a callback cannot call the cache.
//!
//! # Invariants
//! 1. A turn stores the number of the thread that has the turn, or 0. A thread that finds its own number on entering
//!    the cache gets `Busy`. So a callback never waits for its own lock.
//! 2. `inside` counts the turns that are taken, or about to be. The turns of the shards' locks
//!    ([`Guarded::visit`](crate::lock::Guarded::visit)) are included.
//! 3. Events that could not be reported stay in their shards' counters, or with their process if several share the
//!    shards. `more` stays set until a thread with the turn gathers them.

#![forbid(unsafe_code)]

use crate::status::{Error, Result};
use core::sync::atomic::Ordering;
#[cfg(not(loom))]
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};

#[cfg(all(feature = "hosted", not(loom)))]
fn this_thread() -> usize {
    crate::hosted::this_thread()
}

#[cfg(loom)]
fn this_thread() -> usize {
    crate::interleavings::this_thread()
}

/// Without `hosted` all threads have one number, so every call during a callback gets `Busy`.
#[cfg(all(not(feature = "hosted"), not(loom)))]
fn this_thread() -> usize {
    1
}

/// A right that one thread has at a time. No thread waits for a turn.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    owner: AtomicUsize,
}

impl Turn {
    /// Whether the calling thread has the turn.
    pub(crate) fn is_mine(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == this_thread()
    }

    /// The thread that had the turn is not in this process.
    #[cfg(feature = "hosted")]
    pub(crate) fn forget(&self) {
        self.owner.store(0, Ordering::SeqCst);
    }

    /// Takes the turn until the value is dropped. `None` if a thread has it.
    #[cfg(target_has_atomic = "ptr")]
    pub(crate) fn try_take(&self) -> Option<Taken<'_>> {
        self.owner
            .compare_exchange(0, this_thread(), Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
            .then(|| Taken(self))
    }

    /// Targets without compare-and-swap have one core. An interrupt handler between load and store releases the
    /// turn before it returns.
    #[cfg(not(target_has_atomic = "ptr"))]
    pub(crate) fn try_take(&self) -> Option<Taken<'_>> {
        if self.owner.load(Ordering::Acquire) != 0 {
            return None;
        }
        self.owner.store(this_thread(), Ordering::Release);
        Some(Taken(self))
    }
}

/// A taken turn. Dropping the value releases the turn, also after a panic in a callback.
pub(crate) struct Taken<'t>(&'t Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.owner.store(0, Ordering::SeqCst);
    }
}

/// The threads inside a callback of a cache. Each shard's lock stores one more, which visits the shard's items.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    telling: Turn,
    reporting: Turn,
    inside: AtomicU32,
    more: AtomicBool,
    /// Counts the forks after which the child forgot its parent's threads.
    #[cfg(feature = "hosted")]
    forks: AtomicU32,
}

impl Callbacks {
    /// Whether no thread is inside a callback.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.inside.load(Ordering::Relaxed) == 0
    }

    /// `Busy` if the caller is inside a callback of this cache. `visits` tells whether the caller is inside a
    /// callback under a shard's lock.
    pub(crate) fn check(&self, visits: impl FnOnce() -> bool) -> Result<()> {
        if self.telling.is_mine() || self.reporting.is_mine() || visits() {
            return Err(Error::Busy);
        }
        Ok(())
    }

    /// The threads that were inside a callback are not in this process: it was forked meanwhile.
    #[cfg(feature = "hosted")]
    pub(crate) fn forget(&self) {
        self.forks.fetch_add(1, Ordering::SeqCst);
        self.telling.forget();
        self.reporting.forget();
        self.more.store(false, Ordering::SeqCst);
        self.inside.store(0, Ordering::SeqCst);
    }

    fn forks(&self) -> u32 {
        #[cfg(feature = "hosted")]
        return self.forks.load(Ordering::SeqCst);
        #[cfg(not(feature = "hosted"))]
        0
    }

    /// Takes a turn for a monitor's report. A second monitor takes the turn for events; a later call reports the
    /// events of that time. `None` if both turns are taken.
    pub(crate) fn try_report(&self) -> Option<Inside<'_>> {
        self.enter(&self.reporting)
            .or_else(|| self.enter(&self.telling))
    }

    /// Takes the turn to report events. If another thread has it, sets `more` and returns `None`.
    pub(crate) fn try_tell(&self) -> Option<Inside<'_>> {
        self.enter(&self.telling).or_else(|| {
            self.more.store(true, Ordering::SeqCst);
            // The other thread may have released the turn before it could see `more`.
            self.enter(&self.telling)
        })
    }

    /// Whether a thread left events unreported because another thread had the turn.
    pub(crate) fn has_more(&self) -> bool {
        self.more.load(Ordering::SeqCst)
    }

    /// Clears `more`: the thread with the turn gathers those events now.
    pub(crate) fn gather(&self, _: &Inside<'_>) {
        self.more.store(false, Ordering::SeqCst);
    }

    /// Sets `more`: events are left unreported.
    pub(crate) fn leave_more(&self) {
        self.more.store(true, Ordering::SeqCst);
    }

    pub(crate) fn enter<'c>(&'c self, turn: &'c Turn) -> Option<Inside<'c>> {
        // Counted before the turn is taken, and until it is released.
        let counted = Counted {
            callbacks: self,
            forks: self.forks(),
        };
        self.count(1);
        let turn = turn.try_take()?;
        Some(Inside {
            _turn: turn,
            _counted: counted,
        })
    }

    #[cfg(target_has_atomic = "32")]
    fn count(&self, by: u32) {
        self.inside.fetch_add(by, Ordering::Relaxed);
    }

    /// Targets without atomic addition have one core, and an interrupt handler restores the count before it returns.
    #[cfg(not(target_has_atomic = "32"))]
    fn count(&self, by: u32) {
        let inside = self.inside.load(Ordering::Relaxed);
        self.inside
            .store(inside.wrapping_add(by), Ordering::Relaxed);
    }
}

/// A thread inside a callback. Dropping the value leaves the callback, also after a panic in it.
pub(crate) struct Inside<'c> {
    _turn: Taken<'c>,
    _counted: Counted<'c>,
}

/// One of [`Callbacks::inside`].
struct Counted<'c> {
    callbacks: &'c Callbacks,
    forks: u32,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if self.callbacks.forks() == self.forks {
            self.callbacks.count(u32::MAX);
        }
    }
}
