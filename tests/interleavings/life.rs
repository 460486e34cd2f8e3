//! The life of a monitor's thread: starts and stops from two threads, and from the thread itself.

use crate::status::Error;
use crate::ticker::Ticker;
use core::ffi::c_void;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

struct Host {
    ticker: Ticker,
    /// The ticking thread writes it; others do once they know that it has ended: loom reports two at once.
    ticks: UnsafeCell<u32>,
}

// SAFETY: that the thread has ended where `stop` says so is what these tests are about; loom tells where not.
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

    /// Reads what the thread writes.
    fn ticks(&self) -> u32 {
        self.ticks.with(|ticks| {
            // SAFETY: after a stop.
            unsafe { *ticks }
        })
    }
}

/// Its own thread neither stops nor starts it.
unsafe fn tick(host: *mut c_void) {
    // SAFETY: given in `Host::start`, and kept until the thread is stopped.
    let host = unsafe { &*host.cast::<Host>() };
    assert_eq!(host.ticker.stop(), Err(Error::Busy));
    // SAFETY: it does not start.
    let started = unsafe { host.ticker.start(tick, core::ptr::null_mut()) };
    assert_eq!(started, Err(Error::Busy));
    host.ticks.with_mut(|ticks| {
        // SAFETY: one thread ticks at a time.
        unsafe { *ticks += 1 }
    });
}

#[test]
fn two_stops_at_once_both_answer_after_the_end() {
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
fn a_start_during_a_stop_is_busy_or_begins_anew() {
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
        assert!(started != other.join().unwrap(), "one starts it");
        host.ticker.stop().unwrap();
        assert!(host.ticks() <= 1);
    });
}

#[test]
fn a_new_interval_and_a_question_never_stop_a_stop() {
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
