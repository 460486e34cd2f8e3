//! The memory monitor in C.

use super::cache::{handle as cache_handle, larder_cache};
use super::input::{ABI_VERSION, check_abi, config, config_init, put, required, status};
use super::status::larder_status;
use crate::monitor::{HISTORY, Monitor, MonitorConfig, MonitorReport, ReportHook, Sample};
use crate::status::{Error, Result};
use core::ffi::c_void;
use core::ptr::NonNull;

/// A monitor, in memory of the caller. It must not be copied or moved while its thread runs. Without a running
/// thread it needs no closing.
#[repr(C)]
pub struct larder_monitor {
    /// The library's.
    pub opaque: [u64; 160],
}

/// What lies in a `larder_monitor`. The magic comes first: it is read before the rest is believed.
#[repr(C)]
struct Watched {
    magic: u64,
    /// Where it was made: a copy is told apart.
    place: *const larder_monitor,
    monitor: Monitor<'static>,
}

const MAGIC: u64 = u64::from_le_bytes(*b"LARDWATC");
const _: () = assert!(size_of::<Watched>() <= size_of::<larder_monitor>());
const _: () = assert!(align_of::<Watched>() <= align_of::<larder_monitor>());

/// Samples that a monitor remembers: larder_monitor_history writes no more.
pub const LARDER_MONITOR_HISTORY: u32 = 16;

const _: () = assert!(LARDER_MONITOR_HISTORY as usize == HISTORY);

/// What one check saw and did.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_monitor_report {
    /// Time of the check.
    pub now_ms: u64,
    /// Bytes taken, after the optimize if there was one.
    pub usage: u64,
    /// The memory limit.
    pub limit: u64,
    /// Bytes freed by the check, by optimizing or by removing expired items.
    pub bytes_freed: u64,
    /// Pressure before the optimize, in percent.
    pub pressure_percent: u32,
    /// 1 if the check optimized, else 0.
    pub optimized: u32,
    /// Reads a second that found their item, in thousandths, over the time that the remembered samples span.
    pub hits_milli: u64,
    /// Reads a second that did not, in thousandths.
    pub misses_milli: u64,
    /// Items evicted a second, in thousandths.
    pub evictions_milli: u64,
    /// Items a second that were taken out because their time had come, in thousandths.
    pub expirations_milli: u64,
    /// Thousandths of a hit a second that each MiB more would bring, as larder_cache_advise says: the marginal value of
    /// memory. 0 where the cache gives no advice.
    pub gained_milli: u64,
    /// Thousandths of a hit a second that each MiB less would cost.
    pub lost_milli: u64,
}

/// How a monitor watches; larder_monitor_config_init and LARDER_MONITOR_CONFIG_INIT give the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_monitor_config {
    /// sizeof(larder_monitor_config); must be set, as LARDER_MONITOR_CONFIG_INIT does.
    pub struct_size: u32,
    /// 1
    pub abi_version: u32,
    /// Milliseconds between two checks; 1000 by default.
    pub interval_ms: u64,
    /// Pressure, in percent of the limit, above which it optimizes; 80 by default.
    pub high_percent: u32,
    /// Pressure below which a pass under way stops; 70 by default. Between the two, a check goes on with a pass under
    /// way, and starts none.
    pub low_percent: u32,
    /// Steps of optimizing, or of taking out what has expired, in one check; 0 = to the end, the default.
    pub step_max: u32,
    /// 0
    pub reserved0: u32,
    /// Called after each check; may be NULL. No lock is held, and no call waits for it but larder_monitor_stop. One
    /// thread at a time calls it; on_event and larder_scan_fn may run in other threads meanwhile. From inside,
    /// calls of the cache, larder_monitor_poll, larder_monitor_start and larder_monitor_stop return LARDER_BUSY;
    /// larder_monitor_stats, _history and _set_interval work. If three monitors of one cache are inside at once,
    /// the third one's calls of the cache are carried out.
    pub on_report:
        Option<unsafe extern "C" fn(ctx: *mut c_void, report: *const larder_monitor_report)>,
    /// Passed to on_report.
    pub report_ctx: *mut c_void,
    /// 0
    pub reserved: [u64; 4],
}

/// Counters of a monitor.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_monitor_stats_t {
    /// Checks.
    pub checks_performed: u64,
    /// Checks that optimized.
    pub optimizations: u64,
    /// Bytes freed by optimizing.
    pub memory_freed: u64,
    /// Time of the last check.
    pub last_check_ms: u64,
    /// The highest pressure that a check found, in percent.
    pub peak_pressure: u32,
    /// 1 from larder_monitor_start until the thread has ended, else 0.
    pub running: u32,
    /// When a check first found that pressure.
    pub peak_pressure_ms: u64,
    /// The most bytes taken that a check found.
    pub peak_usage: u64,
    /// When a check first found them.
    pub peak_usage_ms: u64,
    /// Reads a second that found their item, in thousandths, over the time that the remembered samples span.
    pub hits_milli: u64,
    /// Reads a second that did not, in thousandths.
    pub misses_milli: u64,
    /// Items evicted a second, in thousandths.
    pub evictions_milli: u64,
    /// Items a second that were taken out because their time had come, in thousandths.
    pub expirations_milli: u64,
}

/// One remembered check.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct larder_monitor_sample {
    /// Time of the check.
    pub time_ms: u64,
    /// Bytes taken, after the check.
    pub usage: u64,
    /// The limit.
    pub limit: u64,
    /// Reads that found their item since the check before, at most UINT32_MAX; 0 in the monitor's first check.
    pub hits: u32,
    /// Reads that did not, since then.
    pub misses: u32,
    /// Items evicted since then.
    pub evictions: u32,
    /// Items taken out since then because their time had come.
    pub expirations: u32,
}

fn defaults() -> larder_monitor_config {
    let config = MonitorConfig::default();
    larder_monitor_config {
        struct_size: size_of::<larder_monitor_config>() as u32,
        abi_version: ABI_VERSION,
        interval_ms: config.interval_ms,
        high_percent: config.high_percent,
        low_percent: config.low_percent,
        step_max: config.step_max,
        reserved0: 0,
        on_report: None,
        report_ctx: core::ptr::null_mut(),
        reserved: [0; 4],
    }
}

/// # Safety
/// `target` is a `larder_monitor_config.on_report`.
unsafe fn tell(target: *const c_void, ctx: *mut c_void, report: &MonitorReport) {
    type OnReport = unsafe extern "C" fn(*mut c_void, *const larder_monitor_report);
    // SAFETY: made from such a function in `convert`.
    let on_report = unsafe { core::mem::transmute::<*const c_void, OnReport>(target) };
    let report = larder_monitor_report {
        now_ms: report.now_ms,
        usage: report.usage,
        limit: report.limit,
        bytes_freed: report.bytes_freed,
        pressure_percent: report.pressure_percent,
        optimized: u32::from(report.optimized),
        hits_milli: report.rates.hits_milli,
        misses_milli: report.rates.misses_milli,
        evictions_milli: report.rates.evictions_milli,
        expirations_milli: report.rates.expirations_milli,
        gained_milli: report.gained_milli,
        lost_milli: report.lost_milli,
    };
    // SAFETY: the host gave function and context together.
    unsafe { on_report(ctx, &raw const report) };
}

fn convert(config: &larder_monitor_config) -> Result<MonitorConfig> {
    check_abi(config.abi_version)?;
    if config.reserved0 != 0 || config.reserved != [0; 4] {
        return Err(Error::Invalid);
    }
    Ok(MonitorConfig {
        interval_ms: config.interval_ms,
        high_percent: config.high_percent,
        low_percent: config.low_percent,
        step_max: config.step_max,
        on_report: config.on_report.map(|target| ReportHook {
            call: tell,
            target: target as *const c_void,
            ctx: config.report_ctx,
        }),
    })
}

/// The monitor in a caller's structure.
///
/// # Safety
/// `monitor` is NULL or was initialised, and its cache's region is still the cache's.
pub(super) unsafe fn handle<'a>(monitor: *const larder_monitor) -> Result<&'a Monitor<'static>> {
    let place = required(monitor.cast_mut())?.cast::<Watched>();
    // SAFETY: the caller's promise; other bytes than a monitor's fail the test below.
    let magic = unsafe { place.cast::<u64>().read() };
    if magic != MAGIC {
        return Err(Error::Invalid);
    }
    // SAFETY: `larder_monitor_init` wrote it, going by its first word.
    let watched = unsafe { place.as_ref() };
    if watched.place == monitor {
        Ok(&watched.monitor)
    } else {
        Err(Error::Invalid)
    }
}

/// Writes the defaults into a configuration of `struct_size` bytes: sizeof(larder_monitor_config) of the caller's
/// header.
///
/// Returns LARDER_VERSION_MISMATCH if that is longer than the library's. O(1).
///
/// # Safety
/// `config` has `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_config_init(
    config: *mut larder_monitor_config,
    struct_size: usize,
) -> larder_status {
    let defaults = larder_monitor_config {
        struct_size: struct_size as u32,
        ..defaults()
    };
    // SAFETY: the caller's promise.
    status(unsafe { config_init(config, struct_size, &defaults) })
}

/// Makes a monitor of this cache in `monitor`, whose thread must not be running. `config` may be NULL: the
/// defaults. The monitor does nothing until it is polled or started. The cache must outlive it.
///
/// Returns LARDER_INVALID for an interval of 0, or percents that are not low <= high <= 100 with high > 0. O(1).
///
/// # Safety
/// `monitor` can be written, and its thread is not running; `cache` is what larder_cache_init gave, and
/// outlives the monitor; `config` is NULL or has as many bytes as its first field says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_init(
    monitor: *mut larder_monitor,
    cache: *mut larder_cache,
    config: *const larder_monitor_config,
) -> larder_status {
    status(required(monitor).and_then(|place| {
        // SAFETY: the caller's promise.
        let cache = unsafe { cache_handle(cache) }?;
        // SAFETY: the caller's promise.
        let config = convert(&unsafe { self::config(config, defaults()) }?)?;
        let new = Monitor::of(cache, &config)?;
        let watched = Watched {
            magic: MAGIC,
            place: monitor,
            monitor: new,
        };
        // SAFETY: the caller's promise.
        unsafe { put(place.cast(), watched) };
        Ok(())
    }))
}

/// The host's tick: checks the cache on the first call, and when the interval has passed since the last check. Does
/// nothing while another thread checks.
///
/// Returns LARDER_BUSY inside a callback of the cache or the monitor. O(step_max + shards).
///
/// # Safety
/// `monitor` was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_poll(
    monitor: *mut larder_monitor,
    now_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| monitor.poll(now_ms).map(|_| ())))
}

/// Changes the interval; a running thread follows at once.
///
/// Returns LARDER_INVALID for 0. O(1).
///
/// # Safety
/// `monitor` was initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_set_interval(
    monitor: *mut larder_monitor,
    interval_ms: u64,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| monitor.set_interval(interval_ms)))
}

/// Writes all counters. O(1).
///
/// # Safety
/// `monitor` was initialised; `out` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_stats(
    monitor: *const larder_monitor,
    out: *mut larder_monitor_stats_t,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| {
        let out = required(out)?;
        let stats = monitor.stats()?;
        let value = larder_monitor_stats_t {
            checks_performed: stats.checks_performed,
            optimizations: stats.optimizations,
            memory_freed: stats.memory_freed,
            last_check_ms: stats.last_check_ms,
            peak_pressure: stats.peak_pressure,
            running: u32::from(stats.running),
            peak_pressure_ms: stats.peak_pressure_ms,
            peak_usage: stats.peak_usage,
            peak_usage_ms: stats.peak_usage_ms,
            hits_milli: stats.rates.hits_milli,
            misses_milli: stats.rates.misses_milli,
            evictions_milli: stats.rates.evictions_milli,
            expirations_milli: stats.rates.expirations_milli,
        };
        // SAFETY: the caller's promise.
        unsafe { put(out, value) };
        Ok(())
    }))
}

/// Writes the newest `capacity` of the remembered samples, the oldest of them first, and the number of samples
/// written. The monitor remembers LARDER_MONITOR_HISTORY. O(LARDER_MONITOR_HISTORY).
///
/// # Safety
/// `monitor` was initialised; `out` has `capacity` elements; `count` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn larder_monitor_history(
    monitor: *const larder_monitor,
    out: *mut larder_monitor_sample,
    capacity: u32,
    count: *mut u32,
) -> larder_status {
    // SAFETY: the caller's promise.
    status(unsafe { handle(monitor) }.and_then(|monitor| {
        let count = required(count)?;
        if capacity > 0 {
            required(out)?;
        }
        let mut written = 0u32;
        monitor.each_sample(capacity as usize, |sample| {
            if let Some(out) = NonNull::new(out) {
                // SAFETY: no more than `capacity` are visited.
                let out = unsafe { out.add(written as usize) };
                // SAFETY: the caller's promise.
                unsafe { put(out, sample_of(sample)) };
                written += 1;
            }
        })?;
        // SAFETY: the caller's promise.
        unsafe { put(count, written) };
        Ok(())
    }))
}

fn sample_of(sample: &Sample) -> larder_monitor_sample {
    larder_monitor_sample {
        time_ms: sample.time_ms,
        usage: sample.usage,
        limit: sample.limit,
        hits: sample.hits,
        misses: sample.misses,
        evictions: sample.evictions,
        expirations: sample.expirations,
    }
}
