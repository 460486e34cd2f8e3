//! What a host with a C library gives: a clock, thread numbers, threads.
#![allow(unsafe_code)]

#[cfg(not(loom))]
mod threads;

#[cfg(not(loom))]
pub(crate) use threads::{Gate, Moment, Thread};

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer, and the clocks asked for always exist.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time
}

/// Milliseconds of the monotonic clock.
pub(crate) fn now_ms() -> u64 {
    let time = clock(libc::CLOCK_MONOTONIC);
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
