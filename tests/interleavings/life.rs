//! The life of a monitor's thread: starts and stops from two threads, and from the thread itself.

use crate::status::Error;
use crate::ticker::Ticker;
use core::ffi::c_void;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Host {
    ticker: Ticker,
    /// The ticking thread writes it. Other threads access it only after that thread's end: loom reports a race.
    ticks: UnsafeCell<u32>,
}

// SAFETY: these tests check that the thread has ended when `stop` returns; loom reports it if not.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            ticker: Ticker::new(1),
            ticks: UnsafeCell::new(0),
        })
    }

    fn start(&self) -> Result<(), Error> {
        let me = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: each test stops the thread before it drops the host.
        unsafe { self.ticker.start(tick, me) }
    }

    /// Reads the thread's counter.
    fn ticks(&self) -> u32 {
        self.ticks.with(|ticks| {
            // SAFETY: called after a stop.
            unsafe { *ticks }
        })
    }
}

/// The monitor's own thread can neither stop nor start it.
unsafe fn tick(host: *mut c_void) {
    // SAFETY: `Host::start` passed the host, which lives until the thread is stopped.
    let host = unsafe { &*host.cast::<Host>() };
    assert_eq!(host.ticker.stop(), Err(Error::Busy));
    // SAFETY: the call starts no thread.
    let started = unsafe { host.ticker.start(tick, core::ptr::null_mut()) };
    assert_eq!(started, Err(Error::Busy));
    host.ticks.with_mut(|ticks| {
        // SAFETY: one thread ticks at a time.
        unsafe { *ticks += 1 }
    });
}

#[test]
fn two_stops_at_once_both_return_after_the_end() {
    loom::model(|| {
        let host = Host::new();
        host.start().unwrap();
        let other = {
            let host = host.clone();
            thread::spawn(move || {
                host.ticker.stop().unwrap();
                host.ticks()
            })
        };
        host.ticker.stop().unwrap();
        assert!(!host.ticker.is_running());
        assert_eq!(host.ticks(), other.join().unwrap());
    });
}

#[test]
fn a_start_during_a_stop_is_busy_or_starts_another_thread() {
    loom::model(|| {
        let host = Host::new();
        host.start().unwrap();
        let other = {
            let host = host.clone();
            thread::spawn(move || host.ticker.stop().unwrap())
        };
        let started = host.start();
        assert!(matches!(started, Ok(()) | Err(Error::Busy)));
        other.join().unwrap();
        assert_eq!(host.ticker.is_running(), started.is_ok());
        host.ticker.stop().unwrap();
        assert!(!host.ticker.is_running() && host.ticks() <= 1);
    });
}

#[test]
fn one_of_two_starts_at_once_starts_one_thread() {
    loom::model(|| {
        let host = Host::new();
        let other = {
            let host = host.clone();
            thread::spawn(move || host.start().is_ok())
        };
        let started = host.start().is_ok();
        assert!(started != other.join().unwrap(), "not exactly one started");
        host.ticker.stop().unwrap();
        assert!(host.ticks() <= 1);
    });
}

#[test]
fn a_new_interval_and_is_running_never_block_a_stop() {
    loom::model(|| {
        let host = Host::new();
        host.start().unwrap();
        let other = {
            let host = host.clone();
            thread::spawn(move || {
                host.ticker.set_interval(2);
                host.ticker.is_running()
            })
        };
        host.ticker.stop().unwrap();
        let _ = host.ticks();
        other.join().unwrap();
    });
}
