//! Telling the host what happened besides what was asked.

use super::Cache;
use crate::config::{Event, EventKind};
use crate::lock::{Guarded, Locked};
use crate::shard::Shard;
use crate::stats::Gone;
use crate::status::Result;
#[cfg(feature = "hosted")]
use core::sync::atomic::Ordering;

impl Cache<'_> {
    /// Whether there is something to tell.
    #[inline]
    pub(super) fn has_to_tell(&self, shard: &Shard, waits: bool) -> bool {
        !shard.store.counters.gone.is_nothing() || waits && self.head().callbacks.has_more()
    }

    /// Gives the lock back and tells the host what went. Where another thread is telling, the counts stay in the
    /// shard, or aside: that thread tells them after its own, or the next call does.
    #[cold]
    pub(super) fn tell(&self, mut shard: Locked<'_, Shard>, waits: bool) {
        let callbacks = &self.head().callbacks;
        let gathers = |more: bool| waits && more;
        let gone = &mut shard.store.counters.gone;
        if !self.listens() {
            return *gone = Gone::default();
        }
        self.forget_parent();
        let is_aside = self.put_aside(gone);
        let Some(inside) = callbacks.try_tell() else {
            return;
        };
        let gone = if is_aside {
            self.aside()
        } else {
            core::mem::take(gone)
        };
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
        if self.put_aside(&mut sum) {
            return self.aside();
        }
        for i in 0..self.head().cell_count {
            match self.cell(i).lock(&self.head().lock) {
                Ok(mut shard) => sum.add(&core::mem::take(&mut shard.store.counters.gone)),
                Err(_) => self.head().callbacks.leave_more(),
            }
        }
        sum
    }

    #[cfg(not(feature = "hosted"))]
    fn listens(&self) -> bool {
        true
    }

    /// As [`Cache::turn_away`], for a call that calls a function of the host's; which process this is.
    pub(super) fn turn_away_visitor(&self) -> Result<u32> {
        self.forget_parent();
        self.turn_away()?;
        Ok(self.process())
    }

    /// Calls with a shard under its lock, where `call` calls a function of the host's. What goes meanwhile is told by
    /// the next call, and where processes share the cache, to this one.
    pub(super) fn visit<R>(
        &self,
        cell: &Guarded<Shard>,
        call: impl FnOnce(&mut Shard) -> R,
    ) -> Result<R> {
        let head = self.head();
        cell.visit(&head.lock, &head.callbacks, |shard| {
            let result = call(shard);
            let gone = &mut shard.store.counters.gone;
            if !gone.is_nothing() && self.put_aside(gone) && self.listens() {
                head.callbacks.leave_more();
            }
            result
        })
    }

    #[cfg(not(feature = "hosted"))]
    pub(super) fn forget_parent(&self) {}

    #[cfg(not(feature = "hosted"))]
    fn put_aside(&self, _: &mut Gone) -> bool {
        false
    }

    #[cfg(not(feature = "hosted"))]
    fn aside(&self) -> Gone {
        Gone::default()
    }

    /// Shards that this process adopted and that the host was not told of.
    fn take_adopted(&self) -> u32 {
        #[cfg(feature = "hosted")]
        return self
            .own()
            .map_or(0, |own| own.adopted.swap(0, Ordering::Relaxed));
        #[cfg(not(feature = "hosted"))]
        0
    }

    fn tell_of(&self, gone: &Gone) {
        let adopted = Event {
            kind: EventKind::Recovered,
            items: u64::from(self.take_adopted()),
            bytes: 0,
        };
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
        for event in [adopted, evicted, expired] {
            if event.items > 0 {
                // SAFETY: hook, target and context were given together.
                unsafe { (hook.call)(hook.target, hook.ctx, &event) };
            }
        }
    }
}
