//! What a host with a C library gives: a clock, thread numbers, threads, locks that processes share.
#![allow(unsafe_code)]

mod processes;
#[cfg(not(loom))]
mod threads;

pub(crate) use processes::{RobustMutex, Taken, lives, this_process};

#[cfg(not(loom))]
pub(crate) use threads::{Gate, Moment, Thread};

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

/// The time that [`Moment`] is a point of.
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

/// A variable of the environment.
#[cfg(larder_planted = "chosen")]
pub(crate) fn variable(name: &core::ffi::CStr) -> Option<&'static [u8]> {
    // SAFETY: the name ends in a zero; nothing changes the environment while tests run.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: a value ends in a zero, and stays.
    (!value.is_null()).then(|| unsafe { core::ffi::CStr::from_ptr(value) }.to_bytes())
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
