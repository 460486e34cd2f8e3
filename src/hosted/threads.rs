//! POSIX threads: moments to wait for, threads to join, a value behind a mutex and a condition.
#![allow(unsafe_code)]

use super::monotonic;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;

/// A point of the monotonic clock.
pub(crate) struct Moment(libc::timespec);

impl Moment {
    pub(crate) fn now() -> Self {
        Self(monotonic())
    }

    pub(crate) fn later(&self, ms: u64) -> Self {
        let mut time = self.0;
        let nanos = time.tv_nsec as u64 + ms % 1000 * 1_000_000;
        let secs = (ms / 1000).min(u64::from(u32::MAX)) + nanos / 1_000_000_000;
        let secs = secs.try_into().unwrap_or(i32::MAX.into());
        time.tv_sec = time.tv_sec.saturating_add(secs);
        time.tv_nsec = (nanos % 1_000_000_000) as libc::c_long;
        Self(time)
    }

    /// Waits for a signal until then, by the monotonic clock.
    ///
    /// # Safety
    /// Condition and mutex are initialised, the condition as [`Gate::new`] does it, and the mutex is held.
    #[cfg(not(target_vendor = "apple"))]
    unsafe fn wait_for(
        &self,
        changed: *mut libc::pthread_cond_t,
        mutex: *mut libc::pthread_mutex_t,
    ) -> i32 {
        // SAFETY: the caller's promise.
        unsafe { libc::pthread_cond_timedwait(changed, mutex, &raw const self.0) }
    }

    /// Apple's conditions know no clock but the time of day; they wait for a length of time instead.
    ///
    /// # Safety
    /// As above.
    #[cfg(target_vendor = "apple")]
    unsafe fn wait_for(
        &self,
        changed: *mut libc::pthread_cond_t,
        mutex: *mut libc::pthread_mutex_t,
    ) -> i32 {
        let now = monotonic();
        let borrows = self.0.tv_nsec < now.tv_nsec;
        let mut rest = libc::timespec {
            tv_sec: self.0.tv_sec - now.tv_sec - i64::from(borrows),
            tv_nsec: self.0.tv_nsec - now.tv_nsec + if borrows { 1_000_000_000 } else { 0 },
        };
        if rest.tv_sec < 0 {
            (rest.tv_sec, rest.tv_nsec) = (0, 0);
        }
        // SAFETY: the caller's promise.
        unsafe { libc::pthread_cond_timedwait_relative_np(changed, mutex, &raw const rest) }
    }
}

/// A thread that was started, to be joined once.
pub(crate) struct Thread(libc::pthread_t);

impl Thread {
    /// `None` where the host has no thread to give.
    ///
    /// # Safety
    /// `run` may be called with `ctx` from another thread.
    pub(crate) unsafe fn start(
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        ctx: *mut c_void,
    ) -> Option<Self> {
        let mut thread = MaybeUninit::uninit();
        // SAFETY: a place for the thread; the rest is the caller's promise.
        let failed =
            unsafe { libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), run, ctx) };
        // SAFETY: pthread_create succeeded, so it wrote the thread.
        (failed == 0).then(|| Self(unsafe { thread.assume_init() }))
    }

    /// Waits for its end.
    pub(crate) fn join(self) {
        // SAFETY: started joinable, and joined once, since this takes the only value that names it.
        unsafe { libc::pthread_join(self.0, core::ptr::null_mut()) };
    }
}

/// A value behind a mutex, with a condition to wait for its change.
pub(crate) struct Gate<T> {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    changed: UnsafeCell<libc::pthread_cond_t>,
    value: UnsafeCell<T>,
}

/// The value of a [`Gate`] whose mutex is held.
pub(crate) struct Open<'g, T>(&'g Gate<T>);

impl<T> Gate<T> {
    pub(crate) fn new(value: T) -> Self {
        let mut changed = MaybeUninit::uninit();
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: a place for the attributes.
        unsafe { libc::pthread_condattr_init(attributes.as_mut_ptr()) };
        #[cfg(not(target_vendor = "apple"))]
        // SAFETY: initialised in the line above.
        unsafe {
            libc::pthread_condattr_setclock(attributes.as_mut_ptr(), libc::CLOCK_MONOTONIC)
        };
        // SAFETY: a place for the condition, and initialised attributes.
        unsafe { libc::pthread_cond_init(changed.as_mut_ptr(), attributes.as_ptr()) };
        Self {
            mutex: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
            // SAFETY: initialised above.
            changed: UnsafeCell::new(unsafe { changed.assume_init() }),
            value: UnsafeCell::new(value),
        }
    }

    pub(crate) fn lock(&self) -> Open<'_, T> {
        // SAFETY: initialised in `new`, and not moved while it is in use.
        unsafe { libc::pthread_mutex_lock(self.mutex.get()) };
        Open(self)
    }

    /// Wakes all that wait.
    pub(crate) fn signal(&self) {
        // SAFETY: initialised in `new`.
        unsafe { libc::pthread_cond_broadcast(self.changed.get()) };
    }
}

impl<T> Open<'_, T> {
    /// Gives the mutex back until a signal.
    pub(crate) fn wait(&mut self) {
        let Gate { changed, mutex, .. } = self.0;
        // SAFETY: both initialised, the mutex held; no reference to the value outlives `&mut self`.
        unsafe { libc::pthread_cond_wait(changed.get(), mutex.get()) };
    }

    /// The same until a moment at the latest; whether that has come.
    pub(crate) fn wait_until(&mut self, moment: &Moment) -> bool {
        let Gate { changed, mutex, .. } = self.0;
        // SAFETY: as in `wait`.
        let answer = unsafe { moment.wait_for(changed.get(), mutex.get()) };
        answer == libc::ETIMEDOUT
    }
}

impl<T> core::ops::Deref for Open<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this thread holds the mutex.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> core::ops::DerefMut for Open<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this thread holds the mutex.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Open<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this thread holds the mutex.
        unsafe { libc::pthread_mutex_unlock(self.0.mutex.get()) };
    }
}
