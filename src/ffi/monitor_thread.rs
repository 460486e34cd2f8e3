//! The monitor's own thread, in C: hosted builds only.

use super::input::status;
use super::monitor::{handle, larder_monitor};
use super::status::larder_status;
use core::pin::Pin;

/// Starts a thread that checks at the interval, the first time after one interval. LARDER_BUSY where there is one
/// already, also while larder_monitor_stop waits for its end, and from inside on_report; LARDER_INVALID where the
/// cache has no lock, as with LARDER_SINGLE_THREAD; LARDER_NO_MEMORY where the host gives no thread. Any thread may
/// call it.
///
/// # Safety
/// `monitor` was initialised, and stays where it is until larder_monitor_stop has answered LARDER_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_start(monitor: *mut larder_monitor) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| Pin::static_ref(monitor).start()))
}

/// Stops the thread. LARDER_OK once it has ended, or where there is none: a call of on_report that it is inside
/// is waited for. Where another thread stops it already, this call waits for the same end. LARDER_BUSY from inside
/// on_report, and from inside any callback in the monitor's own thread. Two on_report that stop each other's monitor
/// wait for ever. Any thread may call it.
///
/// # Safety
/// `monitor` was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_stop(monitor: *mut larder_monitor) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| monitor.stop()))
}
