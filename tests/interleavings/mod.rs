//! All interleavings of two threads over the lock, the callbacks and the life of the monitor's thread:
//! `make test-loom`.
#![allow(unsafe_code)]

extern crate std;

mod life;
mod threads;

pub(crate) use threads::{Gate, Moment, Thread};

use crate::callbacks::Callbacks;
use crate::lock::{Guarded, LockHooks, LockKind};
use crate::status::Error;
use core::ffi::c_void;
use core::sync::atomic::Ordering;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;
use std::boxed::Box;

loom::thread_local! {
    static THREAD: usize = NEXT.with(|next| {
        next.set(next.get() + 1);
        next.get()
    });
}
std::thread_local! {
    static NEXT: core::cell::Cell<usize> = const { core::cell::Cell::new(0) };
}

pub(crate) fn this_thread() -> usize {
    THREAD.with(|number| *number)
}

/// A lock hook of the host.
unsafe extern "C" fn lock(ctx: *mut c_void) -> i32 {
    while try_lock_of(ctx) != 0 {
        thread::yield_now();
    }
    0
}

unsafe extern "C" fn try_lock(ctx: *mut c_void) -> i32 {
    try_lock_of(ctx)
}

fn try_lock_of(ctx: *mut c_void) -> i32 {
    // SAFETY: the tests pass a flag that lives as long as they do.
    let taken = unsafe { &*ctx.cast::<AtomicBool>() };
    let got = taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
    i32::from(got.is_err())
}

unsafe extern "C" fn unlock(ctx: *mut c_void) {
    // SAFETY: as above.
    unsafe { &*ctx.cast::<AtomicBool>() }.store(false, Ordering::Release);
}

struct Host {
    guarded: Guarded<UnsafeCell<u32>>,
    kind: LockKind,
}

// SAFETY: these tests check the lock's protection; loom reports it if the lock fails.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

fn host() -> Arc<Host> {
    let flag = Box::into_raw(Box::new(AtomicBool::new(false)));
    let hooks = LockHooks {
        lock,
        unlock,
        try_lock: Some(try_lock),
        ctx: flag.cast(),
    };
    Arc::new(Host {
        guarded: Guarded::new(UnsafeCell::new(0)),
        kind: LockKind::Hooks(hooks),
    })
}

/// Adds one. Loom reports two threads inside at once.
fn add_one(value: &UnsafeCell<u32>) {
    value.with_mut(|n| {
        // SAFETY: under the lock.
        unsafe { *n += 1 }
    });
}

#[test]
fn the_lock_excludes_other_threads_and_a_try_never_waits() {
    loom::model(|| {
        let host = host();
        let other = {
            let host = host.clone();
            thread::spawn(move || add_one(&host.guarded.lock(&host.kind).unwrap()))
        };
        let tried = host
            .guarded
            .try_lock(&host.kind)
            .map(|value| add_one(&value));
        assert!(matches!(tried, Ok(()) | Err(Error::Busy)));
        other.join().unwrap();
        let sum = host.guarded.lock(&host.kind).unwrap();
        let sum = sum.with(|n| {
            // SAFETY: under the lock.
            unsafe { *n }
        });
        assert_eq!(sum, 1 + u32::from(tried.is_ok()));
    });
}

#[test]
fn a_released_lock_can_be_taken_again() {
    loom::model(|| {
        let host = host();
        let other = {
            let host = host.clone();
            thread::spawn(move || add_one(&host.guarded.lock(&host.kind).unwrap()))
        };
        // As in a call that reports evictions to the host: the lock is released before the call ends.
        let value = host.guarded.lock(&host.kind).unwrap();
        add_one(&value);
        drop(value);
        let again = host.guarded.lock(&host.kind).unwrap();
        add_one(&again);
        drop(again);
        other.join().unwrap();
    });
}

/// The unreported events of a shard, behind its lock.
#[derive(Default)]
struct Told {
    callbacks: Callbacks,
    untold: loom::sync::Mutex<u32>,
    /// Only the reporting thread accesses it: loom reports two at once.
    sum: UnsafeCell<u32>,
}

// SAFETY: the test checks the protection by the turn; loom reports it if the turn fails.
unsafe impl Sync for Told {}
// SAFETY: as above.
unsafe impl Send for Told {}

impl Told {
    fn tell(&self, events: u32) {
        assert_eq!(self.callbacks.check(|| false), Err(Error::Busy), "inside");
        self.sum.with_mut(|sum| {
            // SAFETY: this thread has the turn.
            unsafe { *sum += events }
        });
    }

    /// As `Cache::tell`.
    fn call(&self, events: u32) {
        assert_eq!(self.callbacks.check(|| false), Ok(()));
        let mut untold = self.untold.lock().unwrap();
        *untold += events;
        if *untold == 0 && !self.callbacks.has_more() {
            return;
        }
        let Some(inside) = self.callbacks.try_tell() else {
            return;
        };
        let events = core::mem::take(&mut *untold);
        drop(untold);
        self.tell(events);
        if self.callbacks.has_more() {
            self.callbacks.gather(&inside);
            let events = core::mem::take(&mut *self.untold.lock().unwrap());
            self.tell(events);
        }
        drop(inside);
        assert_eq!(self.callbacks.check(|| false), Ok(()));
    }
}

/// No call waits for a callback of another thread: loom would report a call that never ends.
#[test]
fn one_thread_at_a_time_reports_events_and_none_is_lost() {
    loom::model(|| {
        let told = Arc::new(Told::default());
        let other = {
            let told = told.clone();
            thread::spawn(move || told.call(1))
        };
        told.call(1);
        other.join().unwrap();
        // The next call reports the remaining events.
        told.call(0);
        let sum = told.sum.with(|sum| {
            // SAFETY: the other thread has ended.
            unsafe { *sum }
        });
        assert_eq!((sum, *told.untold.lock().unwrap()), (2, 0));
    });
}

#[test]
fn a_call_inside_a_visit_is_busy_in_its_own_thread_alone() {
    loom::model(|| {
        let (host, callbacks) = (host(), Arc::new(Callbacks::default()));
        let other = {
            let (host, callbacks) = (host.clone(), callbacks.clone());
            thread::spawn(move || visit(&host, &callbacks))
        };
        visit(&host, &callbacks);
        other.join().unwrap();
    });
}

/// Visits as `Cache::scan` does. Any number of threads may call it; each is alone inside.
fn visit(host: &Host, callbacks: &Callbacks) {
    let check = || callbacks.check(|| host.guarded.is_visited(&host.kind));
    assert_eq!(check(), Ok(()));
    let visited = host.guarded.visit(&host.kind, callbacks, |value| {
        assert_eq!(check(), Err(Error::Busy));
        add_one(value);
    });
    assert_eq!(visited, Ok(()));
    assert_eq!(check(), Ok(()));
}

#[test]
fn a_report_blocks_no_other_thread() {
    loom::model(|| {
        let callbacks = Arc::new(Callbacks::default());
        let other = {
            let callbacks = callbacks.clone();
            thread::spawn(move || {
                assert_eq!(callbacks.check(|| false), Ok(()));
                let inside = callbacks.try_report();
                assert!(inside.is_some() && callbacks.check(|| false).is_err());
            })
        };
        assert_eq!(callbacks.check(|| false), Ok(()));
        let inside = callbacks.try_tell();
        assert!(inside.is_some());
        assert_eq!(callbacks.check(|| false), Err(Error::Busy));
        drop(inside);
        assert_eq!(callbacks.check(|| false), Ok(()));
        other.join().unwrap();
    });
}
