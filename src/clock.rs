//! The host's clock.
#![allow(unsafe_code)]

use core::ffi::c_void;

/// Where milliseconds come from: by default the C library's clock where it is built in, until
/// [`Cache::set_time`] is called; else only that.
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

/// Calls the Rust function that the context is.
///
/// # Safety
/// `ctx` is one.
unsafe extern "C" fn call_function(ctx: *mut c_void) -> u64 {
    // SAFETY: made from such a function in `Clock::function`.
    let now = unsafe { core::mem::transmute::<*mut c_void, fn() -> u64>(ctx) };
    now()
}

impl Clock {
    /// A function.
    pub(crate) fn function(now: fn() -> u64) -> Self {
        Self::hook(call_function, now as *mut c_void)
    }

    /// The host's hook.
    pub(crate) fn hook(
        now_ms: unsafe extern "C" fn(ctx: *mut c_void) -> u64,
        ctx: *mut c_void,
    ) -> Self {
        Self {
            now_ms: Some(now_ms),
            ctx,
        }
    }

    /// The time, unless the host sets it by hand.
    #[inline]
    pub(crate) fn read(&self) -> Option<u64> {
        match self.now_ms {
            None => default_now(),
            // SAFETY: the host gave function and context together.
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
