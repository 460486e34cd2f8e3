//! The monitor's own thread, in C: hosted builds only.

use super::input::status;
use super::monitor::{handle, larder_monitor};
use super::status::larder_status;
use core::pin::Pin;

/// Starts a thread that checks at the interval, the first time after one interval. LARDER_BUSY where
/// it runs already, LARDER_NO_MEMORY where the host gives no thread.
///
/// # Safety
/// `monitor` was initialised, and stays where it is until larder_monitor_stop has returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_start(monitor: *mut larder_monitor) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| Pin::static_ref(monitor).start()))
}

/// Stops the thread and waits for its end; LARDER_OK where none runs.
///
/// # Safety
/// `monitor` was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_stop(monitor: *mut larder_monitor) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.map(|monitor| monitor.stop()))
}
