//! What a host with a C library gives: a clock, thread numbers, a thread that ticks.
#![allow(unsafe_code)]

use crate::status::{Error, Result};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;

/// A clock that goes on while the machine is suspended, where the system has one. macOS's monotonic clock does.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "openbsd"))]
const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "openbsd")))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

fn clock(id: libc::clockid_t) -> Option<libc::timespec> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer; a clock that the system has not is an error.
    let failed = unsafe { libc::clock_gettime(id, &raw mut time) };
    (failed == 0).then_some(time)
}

/// The time that [`Ticker`] waits by.
fn monotonic() -> libc::timespec {
    clock(libc::CLOCK_MONOTONIC).unwrap_or(libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    })
}

/// Milliseconds since the machine was started, those in suspend included where the system counts them.
pub(crate) fn now_ms() -> u64 {
    let time = clock(CLOCK).unwrap_or_else(monotonic);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// A number of the calling thread, never 0.
#[cfg(not(loom))]
pub(crate) fn this_thread() -> usize {
    // SAFETY: always callable.
    (unsafe { libc::pthread_self() }) as usize | 1
}

/// Lets another thread run.
#[cfg(feature = "spin")]
pub(crate) fn give_way() {
    // SAFETY: always callable.
    unsafe { libc::sched_yield() };
}

/// A thread that calls a function at an interval until it is stopped.
///
/// It is not movable while it runs: the thread holds its address.
pub(crate) struct Ticker {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    wake: UnsafeCell<libc::pthread_cond_t>,
    state: UnsafeCell<TickerState>,
}

struct TickerState {
    thread: Option<libc::pthread_t>,
    interval_ms: u64,
    stop: bool,
    tick: unsafe fn(ctx: *mut c_void),
    ctx: *mut c_void,
}

// SAFETY: `state` is reached under `mutex` alone.
unsafe impl Sync for Ticker {}

unsafe fn nothing(_: *mut c_void) {}

impl Ticker {
    pub(crate) fn new(interval_ms: u64) -> Self {
        let mut wake = MaybeUninit::uninit();
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: a place for the attributes.
        unsafe { libc::pthread_condattr_init(attributes.as_mut_ptr()) };
        // SAFETY: initialised in the line above.
        unsafe { libc::pthread_condattr_setclock(attributes.as_mut_ptr(), libc::CLOCK_MONOTONIC) };
        // SAFETY: a place for the condition, and initialised attributes.
        unsafe { libc::pthread_cond_init(wake.as_mut_ptr(), attributes.as_ptr()) };
        Self {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            // SAFETY: initialised above.
            wake: UnsafeCell::new(unsafe { wake.assume_init() }),
            state: UnsafeCell::new(TickerState {
                thread: None,
                interval_ms,
                stop: false,
                tick: nothing,
                ctx: core::ptr::null_mut(),
            }),
        }
    }

    fn with<R>(&self, call: impl FnOnce(&mut TickerState) -> R) -> R {
        // SAFETY: initialised in `new`, not moved since.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        // SAFETY: this thread holds the mutex.
        let done = call(unsafe { &mut *self.state.get() });
        // SAFETY: this thread holds the mutex.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
        done
    }

    fn signal(&self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_cond_broadcast(self.wake.get()) };
    }

    pub(crate) fn is_running(&self) -> bool {
        self.with(|state| state.thread.is_some())
    }

    pub(crate) fn set_interval(&self, interval_ms: u64) {
        self.with(|state| state.interval_ms = interval_ms);
        self.signal();
    }

    /// Starts the thread; `Busy` where it runs already, `NoMemory` where the host has none to give.
    ///
    /// # Safety
    /// `self` stays where it is, and `tick` may be called with `ctx` from another thread, until
    /// [`Ticker::stop`] has returned.
    pub(crate) unsafe fn start(
        &self,
        tick: unsafe fn(*mut c_void),
        ctx: *mut c_void,
    ) -> Result<()> {
        self.with(|state| {
            if state.thread.is_some() {
                return Err(Error::Busy);
            }
            (state.stop, state.tick, state.ctx) = (false, tick, ctx);
            let mut thread = MaybeUninit::uninit();
            let me = core::ptr::from_ref(self).cast_mut().cast();
            // SAFETY: `run` takes the address of a ticker, which the caller keeps in its place.
            let failed =
                unsafe { libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), run, me) };
            if failed != 0 {
                return Err(Error::NoMemory);
            }
            // SAFETY: pthread_create succeeded, so it wrote the thread.
            state.thread = Some(unsafe { thread.assume_init() });
            Ok(())
        })
    }

    /// Stops the thread and waits for its end. Does nothing where none runs. From the tick itself,
    /// the thread ends after it.
    pub(crate) fn stop(&self) {
        let thread = self.with(|state| {
            state.stop = true;
            state.thread.take()
        });
        self.signal();
        let Some(thread) = thread else { return };
        // SAFETY: always callable.
        let me = unsafe { libc::pthread_self() };
        // SAFETY: both are threads of this process.
        if unsafe { libc::pthread_equal(me, thread) } != 0 {
            // SAFETY: the thread was started joinable and nobody joined it.
            unsafe { libc::pthread_detach(thread) };
        } else {
            // SAFETY: as above.
            unsafe { libc::pthread_join(thread, core::ptr::null_mut()) };
        }
    }

    /// Waits until the interval since `started` is over; `false` once the thread is to end.
    fn wait(&self, started: libc::timespec) -> bool {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        let go_on = loop {
            // SAFETY: this thread holds the mutex; the reference ends before the wait.
            let TickerState {
                stop, interval_ms, ..
            } = *unsafe { &*self.state.get() };
            if stop {
                break false;
            }
            let until = later(started, interval_ms);
            // SAFETY: mutex held, both initialised.
            let answer = unsafe {
                libc::pthread_cond_timedwait(self.wake.get(), self.mutex.get(), &raw const until)
            };
            if answer == libc::ETIMEDOUT {
                // SAFETY: this thread holds the mutex again.
                break unsafe { !(*self.state.get()).stop };
            }
        };
        // SAFETY: this thread holds the mutex.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
        go_on
    }
}

fn later(from: libc::timespec, ms: u64) -> libc::timespec {
    let nanos = from.tv_nsec as u64 + ms % 1000 * 1_000_000;
    let secs = (ms / 1000).min(u64::from(u32::MAX)) + nanos / 1_000_000_000;
    let mut time = from;
    time.tv_sec += secs as libc::time_t;
    time.tv_nsec = (nanos % 1_000_000_000) as libc::c_long;
    time
}

extern "C" fn run(ticker: *mut c_void) -> *mut c_void {
    // SAFETY: `start` gave the address of a ticker that outlives this thread.
    let ticker = unsafe { &*ticker.cast::<Ticker>() };
    let mut started = monotonic();
    while ticker.wait(started) {
        started = monotonic();
        let (tick, ctx) = ticker.with(|state| (state.tick, state.ctx));
        // SAFETY: the caller of `start` allowed it.
        unsafe { tick(ctx) };
    }
    core::ptr::null_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_time_is_the_one_that_goes_on_in_suspend() {
        let of = |id| clock(id).map(|time| time.tv_sec as u64 * 1000);
        let (before, now) = (of(libc::CLOCK_BOOTTIME).unwrap(), now_ms());
        assert!((before..before + 60_000).contains(&now), "{before} {now}");
        assert!(clock(libc::clockid_t::MAX).is_none());
    }
}
