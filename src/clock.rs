//! The host's clock.
#![allow(unsafe_code)]

use core::ffi::c_void;

/// The source of milliseconds: a hook of the host, or by default [`Cache::set_time`]. With the feature `hosted`, the
/// default is the C library's clock until [`Cache::set_time`] is called.
///
/// [`Cache::set_time`]: crate::Cache::set_time
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    now_ms: Option<unsafe extern "C" fn(ctx: *mut c_void) -> u64>,
    ctx: *mut c_void,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            now_ms: None,
            ctx: core::ptr::null_mut(),
        }
    }
}

/// Calls the Rust function whose pointer is `ctx`.
///
/// # Safety
/// `ctx` was made from a `fn() -> u64`.
unsafe extern "C" fn call_function(ctx: *mut c_void) -> u64 {
    // SAFETY: `Clock::function` made `ctx` from a `fn() -> u64`.
    let now = unsafe { core::mem::transmute::<*mut c_void, fn() -> u64>(ctx) };
    now()
}

impl Clock {
    /// A clock that calls a Rust function.
    pub(crate) fn function(now: fn() -> u64) -> Self {
        Self::hook(call_function, now as *mut c_void)
    }

    /// A clock that calls the host's hook with its context.
    pub(crate) fn hook(
        now_ms: unsafe extern "C" fn(ctx: *mut c_void) -> u64,
        ctx: *mut c_void,
    ) -> Self {
        Self {
            now_ms: Some(now_ms),
            ctx,
        }
    }

    /// The time in milliseconds. `None` if only the host sets the time.
    #[inline]
    pub(crate) fn read(&self) -> Option<u64> {
        match self.now_ms {
            None => default_now(),
            // SAFETY: the host set function and context together, for each other.
            Some(now_ms) => Some(unsafe { now_ms(self.ctx) }),
        }
    }

    pub(crate) fn is_default(&self) -> bool {
        self.now_ms.is_none()
    }
}

#[cfg(feature = "hosted")]
fn default_now() -> Option<u64> {
    Some(crate::hosted::now_ms())
}

#[cfg(not(feature = "hosted"))]
fn default_now() -> Option<u64> {
    None
}
