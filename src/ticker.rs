//! A thread that calls a function at an interval, from `start` to `stop`.
//!
//! ```text
//! stopped --start--> (starting) --> running --stop--> stopping --the thread has ended--> stopped
//! ```
//! `starting` is inside the lock and calls no callback: other calls wait until it is over. `stop` returns after the
//! thread has ended; a second `stop` waits for the first. `start` returns `Busy` unless stopped.
//!
//! # Invariants
//! 1. There is a thread while the phase is `Running` or `Stopping`. The thread is joined before `Stopped`.
//! 2. `ticking` is the thread's number, which the thread stores when it begins and sets to 0 when it ends.
#![allow(unsafe_code)]

#[cfg(not(loom))]
use crate::hosted::{Gate, Moment, Thread, this_thread};
#[cfg(loom)]
use crate::interleavings::{Gate, Moment, Thread, this_thread};
use crate::status::{Error, Result};
use core::ffi::c_void;

/// A ticker must not move while its thread runs: the thread uses its address.
pub(crate) struct Ticker {
    life: Gate<Life>,
}

struct Life {
    phase: Phase,
    ticking: usize,
    interval_ms: u64,
    tick: unsafe fn(ctx: *mut c_void),
    ctx: *mut c_void,
}

enum Phase {
    Stopped,
    Running(Thread),
    Stopping,
}

unsafe fn nothing(_: *mut c_void) {}

impl Ticker {
    pub(crate) fn new(interval_ms: u64) -> Self {
        Self {
            life: Gate::new(Life {
                phase: Phase::Stopped,
                ticking: 0,
                interval_ms,
                tick: nothing,
                ctx: core::ptr::null_mut(),
            }),
        }
    }

    /// Whether the thread runs or is stopping.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.life.lock().phase, Phase::Stopped)
    }

    pub(crate) fn set_interval(&self, interval_ms: u64) {
        self.life.lock().interval_ms = interval_ms;
        self.life.signal();
    }

    /// Starts the thread. `Busy` if there is one already, `NoMemory` if the host cannot start a thread.
    ///
    /// # Safety
    /// Until [`Ticker::stop`] returns, `self` does not move, and another thread may call `tick` with `ctx`.
    pub(crate) unsafe fn start(
        &self,
        tick: unsafe fn(*mut c_void),
        ctx: *mut c_void,
    ) -> Result<()> {
        let mut life = self.life.lock();
        if !matches!(life.phase, Phase::Stopped) {
            return Err(Error::Busy);
        }
        (life.tick, life.ctx) = (tick, ctx);
        let me = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: `run` expects the address of a ticker; the caller of `start` does not move it.
        life.phase = Phase::Running(unsafe { Thread::start(run, me) }.ok_or(Error::NoMemory)?);
        Ok(())
    }

    /// Stops the thread and waits for its end. Does nothing without a thread. `Busy` from the thread itself.
    pub(crate) fn stop(&self) -> Result<()> {
        let mut life = self.life.lock();
        if life.ticking == this_thread() {
            return Err(Error::Busy);
        }
        match core::mem::replace(&mut life.phase, Phase::Stopping) {
            Phase::Stopped => life.phase = Phase::Stopped,
            Phase::Stopping => {
                while matches!(life.phase, Phase::Stopping) {
                    life.wait();
                }
            }
            Phase::Running(thread) => {
                drop(life);
                self.life.signal();
                thread.join();
                self.life.lock().phase = Phase::Stopped;
                self.life.signal();
            }
        }
        Ok(())
    }

    /// Waits until the interval since `started` is over. Returns `false` if the thread must end.
    fn wait(&self, started: &Moment) -> bool {
        let mut life = self.life.lock();
        while matches!(life.phase, Phase::Running(_)) {
            let until = started.later(life.interval_ms);
            if life.wait_until(&until) {
                return matches!(life.phase, Phase::Running(_));
            }
        }
        false
    }
}

extern "C" fn run(ticker: *mut c_void) -> *mut c_void {
    // SAFETY: `start` gave the address of a ticker that outlives this thread.
    let ticker = unsafe { &*ticker.cast::<Ticker>() };
    let mut life = ticker.life.lock();
    life.ticking = this_thread();
    let (tick, ctx) = (life.tick, life.ctx);
    drop(life);
    let mut started = Moment::now();
    while ticker.wait(&started) {
        started = Moment::now();
        // SAFETY: the caller of `start` allows calls of `tick` with `ctx` from this thread.
        unsafe { tick(ctx) };
    }
    // Cleared before the thread ends, since a later thread may get the same number.
    ticker.life.lock().ticking = 0;
    core::ptr::null_mut()
}
