//! Items that went in a process's own calls, before the process is told of them. No other process is told.

#![forbid(unsafe_code)]

use super::Cache;
use crate::stats::Gone;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// A [`Gone`] that threads add to.
#[derive(Default)]
pub(super) struct Untold {
    evicted: AtomicU32,
    expired: AtomicU32,
    evicted_bytes: AtomicUsize,
    expired_bytes: AtomicUsize,
}

impl Untold {
    fn add(&self, gone: &Gone) {
        let order = Ordering::Relaxed;
        self.evicted.fetch_add(gone.evicted, order);
        self.expired.fetch_add(gone.expired, order);
        (self.evicted_bytes).fetch_add(gone.evicted_bytes as usize, order);
        (self.expired_bytes).fetch_add(gone.expired_bytes as usize, order);
    }

    pub(super) fn take(&self) -> Gone {
        let order = Ordering::Relaxed;
        Gone {
            evicted: self.evicted.swap(0, order),
            expired: self.expired.swap(0, order),
            evicted_bytes: self.evicted_bytes.swap(0, order) as u64,
            expired_bytes: self.expired_bytes.swap(0, order) as u64,
        }
    }
}

impl Cache<'_> {
    /// Whether a hook is the host's: a process that gave none has [`EventHook::NONE`](crate::config::EventHook).
    pub(in super::super) fn listens(&self) -> bool {
        self.own().is_none_or(|own| own.config.on_event.is_some())
    }

    /// Whether processes share the cache: what went is put aside then, out of a shard that another one may enter next.
    pub(in super::super) fn put_aside(&self, gone: &mut Gone) -> bool {
        let Some(own) = self.own() else { return false };
        let gone = core::mem::take(gone);
        if self.listens() {
            own.untold.add(&gone);
        }
        true
    }

    /// What was put aside.
    pub(in super::super) fn aside(&self) -> Gone {
        self.own().map(|own| own.untold.take()).unwrap_or_default()
    }
}
