//! Processes: a mutex that they share, and that tells the next owner that the last one died; who lives.
#![allow(unsafe_code)]

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
    /// What a function like pthread_mutex_lock answered.
    pub(crate) fn of(answer: i32) -> Self {
        match answer {
            0 => Self::Well,
            OWNER_DIED => Self::OwnerDied,
            _ => Self::No,
        }
    }
}

/// What tells that the last owner died.
pub(crate) const OWNER_DIED: i32 = 130;

/// Whether the C library has mutexes that outlive their owner.
pub(crate) const HAS_ROBUST: bool = cfg!(any(target_os = "linux", target_os = "freebsd"));

/// A mutex in memory that processes share.
pub(crate) struct Together(UnsafeCell<libc::pthread_mutex_t>);

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
impl Together {
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
        let made = unsafe { libc::pthread_mutexattr_init(a) } == 0;
        // SAFETY: initialised above.
        let shared = unsafe { libc::pthread_mutexattr_setpshared(a, libc::PTHREAD_PROCESS_SHARED) };
        // SAFETY: as above.
        let robust = unsafe { libc::pthread_mutexattr_setrobust(a, libc::PTHREAD_MUTEX_ROBUST) };
        // SAFETY: as above.
        let kind = unsafe { libc::pthread_mutexattr_settype(a, libc::PTHREAD_MUTEX_ERRORCHECK) };
        // SAFETY: the caller's place, and attributes that are initialised.
        made && [shared, robust, kind] == [0; 3]
            && unsafe { libc::pthread_mutex_init(at.cast(), a) } == 0
    }

    /// Takes it, if no thread has it.
    #[inline(always)]
    pub(crate) fn try_lock(&self) -> Taken {
        // SAFETY: made by `make`, and not moved since.
        Self::taken(unsafe { libc::pthread_mutex_trylock(self.0.get()) })
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
                return Self::taken(answer);
            }
        }
    }

    /// Sleeps until the mutex is this thread's, or so long that it is to be looked at again. Of those who sleep, the
    /// kernel wakes one. If that one is killed before it has the mutex, and a third has taken it meanwhile, the others
    /// sleep on.
    fn nap(&self) -> i32 {
        let Some(mut until) = super::clock(libc::CLOCK_REALTIME) else {
            // SAFETY: as in `try_lock`.
            return unsafe { libc::pthread_mutex_lock(self.0.get()) };
        };
        until.tv_nsec += Self::NAP_NS;
        if until.tv_nsec >= 1_000_000_000 {
            until.tv_nsec -= 1_000_000_000;
            until.tv_sec += 1;
        }
        // SAFETY: as in `try_lock`; the time is a valid one.
        unsafe { libc::pthread_mutex_timedlock(self.0.get(), &raw const until) }
    }

    #[inline(always)]
    fn taken(answer: i32) -> Taken {
        match answer {
            0 => Taken::Well,
            libc::EOWNERDEAD => Taken::OwnerDied,
            _ => Taken::No,
        }
    }

    /// What the owner that died left is known from now on.
    pub(crate) fn forgive(&self) {
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
impl Together {
    pub(crate) unsafe fn make(_: *mut Self) -> bool {
        false
    }

    pub(crate) fn try_lock(&self) -> Taken {
        Taken::No
    }

    pub(crate) fn wait(&self) -> Taken {
        Taken::No
    }

    pub(crate) fn forgive(&self) {}

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

#[cfg(any(target_os = "linux", target_os = "emscripten"))]
fn is_missing() -> bool {
    // SAFETY: always callable.
    let error = unsafe { libc::__errno_location() };
    // SAFETY: the calling thread's.
    (unsafe { error.read() }) == libc::ESRCH
}

/// Who cannot be asked for counts as alive.
#[cfg(not(any(target_os = "linux", target_os = "emscripten")))]
fn is_missing() -> bool {
    false
}
