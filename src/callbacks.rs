//! Calling the host back: no call waits for a callback, and a thread inside one does not enter the cache again.
//!
//! # Invariants
//! 1. A turn holds the number of the thread that has it, 0 if none. A thread that finds its own number when it
//!    enters the cache is turned away as busy: a callback never waits for its own lock.
//! 2. `inside` is the number of turns that are taken, or that are about to be given back, those of the shards' locks
//!    ([`Guarded::visit`](crate::lock::Guarded::visit)) among them.
//! 3. Events that could not be told stay in their shards' counters, and `more` is set until the thread that
//!    gathers them has its turn.

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

/// Without threads of our own to tell apart, each caller during a callback is turned away.
#[cfg(all(not(feature = "hosted"), not(loom)))]
fn this_thread() -> usize {
    1
}

/// Something that one thread does at a time. Nothing waits for it.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    owner: AtomicUsize,
}

impl Turn {
    /// Whether the calling thread has it.
    pub(crate) fn is_mine(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == this_thread()
    }

    /// The turn until the value is dropped, unless it is taken.
    #[cfg(target_has_atomic = "ptr")]
    pub(crate) fn try_take(&self) -> Option<Taken<'_>> {
        self.owner
            .compare_exchange(0, this_thread(), Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
            .then(|| Taken(self))
    }

    /// Without compare-and-swap there is one core: an interrupt handler between the two steps has given the
    /// turn back when it returns.
    #[cfg(not(target_has_atomic = "ptr"))]
    pub(crate) fn try_take(&self) -> Option<Taken<'_>> {
        if self.owner.load(Ordering::Acquire) != 0 {
            return None;
        }
        self.owner.store(this_thread(), Ordering::Release);
        Some(Taken(self))
    }
}

/// A turn, which a panic of the host's gives back, too.
pub(crate) struct Taken<'t>(&'t Turn);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.owner.store(0, Ordering::SeqCst);
    }
}

/// Which threads are inside a callback of a cache. Each shard's lock names one more, which visits its items.
#[derive(Debug, Default)]
pub(crate) struct Callbacks {
    telling: Turn,
    reporting: Turn,
    inside: AtomicU32,
    more: AtomicBool,
}

impl Callbacks {
    /// `Busy` where the caller is inside a callback of this cache; `visits`: whether it is inside one under the lock
    /// of a shard.
    #[inline]
    pub(crate) fn check(&self, visits: impl FnOnce() -> bool) -> Result<()> {
        if self.inside.load(Ordering::Relaxed) != 0 && (self.is_inside() || visits()) {
            return Err(Error::Busy);
        }
        Ok(())
    }

    #[cold]
    fn is_inside(&self) -> bool {
        self.telling.is_mine() || self.reporting.is_mine()
    }

    /// A turn for a monitor's report. A second monitor takes the turn to tell: the next call tells what is left
    /// untold meanwhile. `None` where that is taken, too.
    pub(crate) fn try_report(&self) -> Option<Inside<'_>> {
        self.enter(&self.reporting)
            .or_else(|| self.enter(&self.telling))
    }

    /// The turn to tell of events. `None` where another thread has it; `has_more` from then on.
    pub(crate) fn try_tell(&self) -> Option<Inside<'_>> {
        self.enter(&self.telling).or_else(|| {
            self.more.store(true, Ordering::SeqCst);
            // The other thread may have given its turn back before it could see that.
            self.enter(&self.telling)
        })
    }

    /// Whether a thread left events untold because another one had the turn.
    pub(crate) fn has_more(&self) -> bool {
        self.more.load(Ordering::SeqCst)
    }

    /// The thread that has the turn to tell gathers those events from now on.
    pub(crate) fn gather(&self, _: &Inside<'_>) {
        self.more.store(false, Ordering::SeqCst);
    }

    /// Events are left untold after all.
    pub(crate) fn leave_more(&self) {
        self.more.store(true, Ordering::SeqCst);
    }

    pub(crate) fn enter<'c>(&'c self, turn: &'c Turn) -> Option<Inside<'c>> {
        let turn = turn.try_take()?;
        self.count(1);
        Some(Inside {
            callbacks: self,
            _turn: turn,
        })
    }

    #[cfg(target_has_atomic = "32")]
    fn count(&self, by: u32) {
        self.inside.fetch_add(by, Ordering::Relaxed);
    }

    /// One core: an interrupt handler between the two steps has put the count back when it returns.
    #[cfg(not(target_has_atomic = "32"))]
    fn count(&self, by: u32) {
        let inside = self.inside.load(Ordering::Relaxed);
        self.inside
            .store(inside.wrapping_add(by), Ordering::Relaxed);
    }
}

/// A thread inside a callback, which it leaves by a panic of the host's, too.
pub(crate) struct Inside<'c> {
    callbacks: &'c Callbacks,
    _turn: Taken<'c>,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.callbacks.count(u32::MAX);
    }
}
