//! Processes: a mutex that they share, and that tells the next owner that the last one died; who lives.
#![allow(unsafe_code)]

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
use core::cell::UnsafeCell;

/// How a lock was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// As the last owner left it.
    Well,
    /// The last owner died with it.
    OwnerDied,
    /// Not at all.
    No,
}

impl Taken {
    /// What a function like pthread_mutex_lock answered; `owner_died` is how it says that.
    #[inline(always)]
    pub(crate) fn of(answer: i32, owner_died: i32) -> Self {
        match answer {
            0 => Self::Well,
            _ if answer == owner_died => Self::OwnerDied,
            _ => Self::No,
        }
    }
}

/// A mutex in memory that processes share, of the C library's, which outlives its owner.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub(crate) struct RobustMutex(UnsafeCell<libc::pthread_mutex_t>);

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
impl RobustMutex {
    /// Whether the C library has them.
    pub(crate) const EXISTS: bool = true;
    /// Looks of a waiter before it sleeps, and pauses of the processor before each.
    const LOOKS: u32 = 64;
    const SPINS: u32 = 8;
    /// How long it sleeps before it looks again.
    const NAP_NS: libc::c_long = 10_000_000;

    /// Makes one where it is to stay.
    ///
    /// # Safety
    /// `at` is a place for one, not in use yet.
    pub(crate) unsafe fn make(at: *mut Self) -> bool {
        let mut attributes = core::mem::MaybeUninit::uninit();
        let a = attributes.as_mut_ptr();
        // SAFETY: a place for the attributes.
        if unsafe { libc::pthread_mutexattr_init(a) } != 0 {
            return false;
        }
        // SAFETY: initialised above.
        let shared = unsafe { libc::pthread_mutexattr_setpshared(a, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: as above.
        let robust = unsafe { libc::pthread_mutexattr_setrobust(a, libc::PTHREAD_MUTEX_ROBUST) };
        // SAFETY: as above.
        let kind = unsafe { libc::pthread_mutexattr_settype(a, libc::PTHREAD_MUTEX_ERRORCHECK) };
        // SAFETY: the caller's place, and attributes that are initialised.
        let made = unsafe { libc::pthread_mutex_init(at.cast(), a) };
        // SAFETY: initialised above, and not used from here on.
        unsafe { libc::pthread_mutexattr_destroy(a) };
        [shared, robust, kind, made] == [0; 4]
    }

    /// Takes it, if no thread has it.
    #[inline(always)]
    pub(crate) fn try_lock(&self) -> Taken {
        // SAFETY: made by `make`, and not moved since.
        let answer = unsafe { libc::pthread_mutex_trylock(self.0.get()) };
        Taken::of(answer, libc::EOWNERDEAD)
    }

    /// Takes it, which another thread has. A call is short: a waiter looks at the mutex a while before it sleeps. A
    /// thread does not wait for itself.
    pub(crate) fn wait(&self) -> Taken {
        for _ in 0..Self::LOOKS {
            for _ in 0..Self::SPINS {
                core::hint::spin_loop();
            }
            match self.try_lock() {
                Taken::No => {}
                taken => return taken,
            }
        }
        loop {
            let answer = self.nap();
            if answer != libc::ETIMEDOUT {
                return Taken::of(answer, libc::EOWNERDEAD);
            }
        }
    }

    /// Sleeps until the mutex is this thread's, or so long that it is to be looked at again. Of those who sleep, the
    /// kernel wakes one. If that one is killed before it has the mutex, and a third has taken it meanwhile, the others
    /// sleep on. The time is one of the day's: where that is set back, a sleep is longer.
    fn nap(&self) -> i32 {
        let mut until = super::clock(libc::CLOCK_REALTIME).unwrap_or_else(super::monotonic);
        until.tv_nsec += Self::NAP_NS;
        if until.tv_nsec >= 1_000_000_000 {
            until.tv_nsec -= 1_000_000_000;
            until.tv_sec += 1;
        }
        // SAFETY: as in `try_lock`; the time is a valid one.
        unsafe { libc::pthread_mutex_timedlock(self.0.get(), &raw const until) }
    }

    /// Lets it be used on, after its owner died.
    pub(crate) fn make_consistent(&self) {
        // SAFETY: as in `try_lock`.
        unsafe { libc::pthread_mutex_consistent(self.0.get()) };
    }

    /// Gives it back; nothing where this process has not got it.
    pub(crate) fn unlock(&self) {
        // SAFETY: as in `try_lock`.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) };
    }
}

/// Without such mutexes nothing is made, so nothing is locked.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub(crate) struct RobustMutex;

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
impl RobustMutex {
    pub(crate) const EXISTS: bool = false;

    pub(crate) unsafe fn make(_: *mut Self) -> bool {
        false
    }

    pub(crate) fn try_lock(&self) -> Taken {
        Taken::No
    }

    pub(crate) fn wait(&self) -> Taken {
        Taken::No
    }

    pub(crate) fn make_consistent(&self) {}

    pub(crate) fn unlock(&self) {}
}

/// A number of the calling process, never 0.
pub(crate) fn this_process() -> u32 {
    // SAFETY: always callable.
    (unsafe { libc::getpid() }) as u32
}

/// Whether a process of this number lives, or its parent has not heard of its end yet.
pub(crate) fn lives(process: u32) -> bool {
    if process == 0 {
        return false;
    }
    // SAFETY: signal 0 sends nothing.
    let answer = unsafe { libc::kill(process as libc::pid_t, 0) };
    answer == 0 || !is_missing()
}

fn is_missing() -> bool {
    // SAFETY: always callable.
    let error = unsafe { errno() };
    // SAFETY: the calling thread's.
    (unsafe { error.read() }) == libc::ESRCH
}

#[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
use libc::__error as errno;

#[cfg(any(target_os = "linux", target_os = "dragonfly", target_os = "emscripten"))]
use libc::__errno_location as errno;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno;

/// Elsewhere, who cannot be asked for counts as alive.
#[cfg(not(any(
    target_os = "freebsd",
    target_vendor = "apple",
    target_os = "linux",
    target_os = "dragonfly",
    target_os = "emscripten",
    target_os = "android",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
unsafe fn errno() -> *const i32 {
    static NO_ERROR: i32 = 0;
    &raw const NO_ERROR
}
