//! Locks that lie beside their values, in memory that processes share.
//!
//! # Layout
//! ```text
//! region   | value 0, post 0 | value 1, post 1 | ..         a process's own memory   | Locks |
//! ```
//!
//! # Invariants
//! 1. A process reads a value only where `home` of its post is the address at which this process has the region.
//!
//! # Not here
//! What is to be done where it is another one, or where the last owner died: the functions of [`Locks`].

use super::LockHooks;
use crate::callbacks::Turn;
use crate::hosted::{Taken, Together};
use crate::status::Result;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// What lies beside a value; others of its owner's may follow.
#[repr(C)]
pub(crate) struct Post {
    pub(crate) lock: Together,
    /// The address of the region for which the value's pointers were written; 0 where the value is not to be believed.
    pub(crate) home: AtomicUsize,
    pub(crate) recoveries: AtomicU32,
    pub(crate) holders: u32,
}

/// What a process knows of the locks of one region.
#[repr(C)]
pub(crate) struct Locks {
    /// Bytes from a value's cell to its post.
    pub(crate) post_at: usize,
    /// Where the region lies here.
    pub(crate) region: NonNull<u8>,
    /// The host's lock in place of the posts' own.
    pub(crate) hooks: Option<LockHooks>,
    /// Makes a value this process's own, whose lock was taken like this; else gives the lock back.
    pub(crate) arrive:
        unsafe fn(NonNull<Locks>, value: NonNull<()>, Taken, waits: bool) -> Result<()>,
    /// Whose turn it is to visit the value, of the threads of this process.
    pub(crate) turn: unsafe fn(NonNull<Locks>, value: NonNull<()>) -> NonNull<Turn>,
}

/// The locks of a region that processes share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beside(NonNull<Locks>);

impl Beside {
    /// # Safety
    /// They stay there for as long as one of them is used, and each value has a post.
    pub(crate) unsafe fn new(locks: NonNull<Locks>) -> Self {
        Self(locks)
    }

    fn locks(&self) -> &Locks {
        // SAFETY: the promise of `new`; they do not change.
        unsafe { self.0.as_ref() }
    }

    /// Takes the lock of a value; `Busy` where it was not taken.
    #[inline(always)]
    pub(super) fn lock(&self, value: NonNull<()>, waits: bool) -> Result<()> {
        let post = self.locks().post(value);
        let taken = match &self.locks().hooks {
            None => post.lock.try_lock(),
            Some(hooks) => Taken::of(hooks.call(waits)?),
        };
        if taken == Taken::Well && self.locks().is_home(post) {
            return Ok(());
        }
        self.lock_otherwise(value, taken, waits)
    }

    /// The lock is taken, or the value is not this process's.
    #[cold]
    #[inline(never)]
    fn lock_otherwise(&self, value: NonNull<()>, mut taken: Taken, waits: bool) -> Result<()> {
        let locks = self.locks();
        if taken == Taken::No && waits && locks.hooks.is_none() {
            taken = locks.post(value).lock.wait();
        }
        // SAFETY: the function is theirs, and the value one of their values.
        unsafe { (locks.arrive)(self.0, value, taken, waits) }
    }

    /// Gives the lock of a value back.
    #[inline(always)]
    pub(super) fn unlock(&self, value: NonNull<()>) {
        let locks = self.locks();
        locks.give(locks.post(value));
    }

    #[cold]
    pub(super) fn turn(&self, value: NonNull<()>) -> &Turn {
        // SAFETY: the function is theirs, and the value one of their values.
        let turn = unsafe { (self.locks().turn)(self.0, value) };
        // SAFETY: turns live as long as the locks.
        unsafe { turn.as_ref() }
    }
}

impl Locks {
    /// The post of a value, which is one of these locks'.
    #[inline(always)]
    pub(crate) fn post(&self, value: NonNull<()>) -> &Post {
        // SAFETY: each value has a post there.
        let post = unsafe { value.cast::<u8>().add(self.post_at) };
        // SAFETY: written before the region was shared; its fields change by atomics, and the lock by itself.
        unsafe { post.cast().as_ref() }
    }

    /// The region's address here.
    #[inline(always)]
    pub(crate) fn home(&self) -> usize {
        self.region.as_ptr() as usize
    }

    /// Whether the pointers of the post's value are this process's; its lock is taken.
    #[inline(always)]
    pub(crate) fn is_home(&self, post: &Post) -> bool {
        post.home.load(Ordering::Relaxed) == self.home()
    }

    /// Gives a lock back that the calling thread has.
    #[inline(always)]
    pub(crate) fn give(&self, post: &Post) {
        match &self.hooks {
            None => post.lock.unlock(),
            // SAFETY: the host gave hook and context together, and this thread has the lock.
            Some(hooks) => unsafe { (hooks.unlock)(hooks.ctx) },
        }
    }
}
