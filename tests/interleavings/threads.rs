//! The types of `hosted::threads`, made from loom's. For each gate, the first wait for a moment ends at once.

use core::ffi::c_void;
use core::ops::{Deref, DerefMut};
use loom::sync::{Condvar, Mutex, MutexGuard};
use loom::thread;

pub(crate) struct Moment;

impl Moment {
    pub(crate) fn now() -> Self {
        Self
    }

    pub(crate) fn later(&self, _: u64) -> Self {
        Self
    }
}

pub(crate) struct Thread(thread::JoinHandle<()>);

struct Address(*mut c_void);

// SAFETY: the safety contract of `Thread::start` allows it.
unsafe impl Send for Address {}

impl Address {
    fn get(self) -> *mut c_void {
        self.0
    }
}

impl Thread {
    /// # Safety
    /// `run` may be called with `ctx` from another thread.
    pub(crate) unsafe fn start(
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        ctx: *mut c_void,
    ) -> Option<Self> {
        let ctx = Address(ctx);
        Some(Self(thread::spawn(move || {
            run(ctx.get());
        })))
    }

    pub(crate) fn join(self) {
        self.0.join().unwrap();
    }
}

pub(crate) struct Gate<T> {
    /// The value, and whether the moment has come.
    mutex: Mutex<(T, bool)>,
    changed: Condvar,
}

pub(crate) struct Open<'g, T> {
    gate: &'g Gate<T>,
    guard: Option<MutexGuard<'g, (T, bool)>>,
}

impl<T> Gate<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            mutex: Mutex::new((value, false)),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn lock(&self) -> Open<'_, T> {
        Open {
            gate: self,
            guard: Some(self.mutex.lock().unwrap()),
        }
    }

    pub(crate) fn signal(&self) {
        self.changed.notify_all();
    }
}

impl<T> Open<'_, T> {
    pub(crate) fn wait(&mut self) {
        let guard = self.guard.take().unwrap();
        self.guard = Some(self.gate.changed.wait(guard).unwrap());
    }

    pub(crate) fn wait_until(&mut self, _: &Moment) -> bool {
        let has_come = &mut self.guard.as_mut().unwrap().1;
        if !core::mem::replace(has_come, true) {
            return true;
        }
        self.wait();
        false
    }
}

impl<T> Deref for Open<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard.as_ref().unwrap().0
    }
}

impl<T> DerefMut for Open<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard.as_mut().unwrap().0
    }
}
