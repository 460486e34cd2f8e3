//! The monitor's own thread, in C: hosted builds only.

use super::input::status;
use super::monitor::{handle, larder_monitor};
use super::status::larder_status;
use core::pin::Pin;

/// Starts a thread that checks at the interval, the first time after one interval. `monitor` must stay where it is
/// until larder_monitor_stop has returned LARDER_OK. Any thread may call this.
///
/// Returns LARDER_BUSY if a thread runs already, while larder_monitor_stop waits for its end, and inside on_report.
/// Returns LARDER_INVALID if the cache has no lock (LARDER_SINGLE_THREAD), LARDER_NO_MEMORY if the host has no
/// thread to give. O(1).
///
/// # Safety
/// `monitor` was initialised, and stays where it is until larder_monitor_stop has answered LARDER_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_start(monitor: *mut larder_monitor) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| Pin::static_ref(monitor).start()))
}

/// Stops the thread, and waits for its end and for a call of on_report that is under way. If another thread stops
/// it already, this call waits for the same end. Two on_report that stop each other's monitor wait for ever. Any
/// thread may call this.
///
/// Returns LARDER_OK once the thread has ended, or if there is none; LARDER_BUSY inside on_report, and inside any
/// callback in the monitor's own thread. O(step_max), the work of one check, and the time of on_report.
///
/// # Safety
/// `monitor` was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_stop(monitor: *mut larder_monitor) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| monitor.stop()))
}
