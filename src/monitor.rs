//! The memory monitor: looks at a cache's pressure at an interval, and optimizes above a watermark.
//!
//! A check above `high_percent` starts an optimize pass; it goes on with the next checks, at most
//! `step_max` steps each, until it is through or pressure has fallen below `low_percent`. Any other
//! check takes out what has expired, in at most `step_max` steps; the next one begins with another shard.
#![allow(unsafe_code)]

mod history;

use crate::cache::{Cache, pressure};
use crate::callbacks::Turn;
use crate::lock::{Guarded, LockKind};
use crate::stats::CacheStats;
use crate::status::{Error, Result};
use core::ffi::c_void;
use history::History;
pub use history::{HISTORY, Rates, Sample};

/// How a monitor watches.
#[derive(Clone, Copy, Debug)]
pub struct MonitorConfig {
    /// Milliseconds between two checks.
    pub interval_ms: u64,
    /// Pressure, in percent of the limit, above which it optimizes.
    pub high_percent: u32,
    /// Pressure below which it stops again. Between the two, a check goes on with a pass under way, and starts none.
    pub low_percent: u32,
    /// Steps of optimizing, or of taking out what has expired, in one check; 0 = to the end.
    pub step_max: u32,
    pub(crate) on_report: Option<ReportHook>,
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            interval_ms: 1000,
            high_percent: 80,
            low_percent: 70,
            step_max: 0,
            on_report: None,
        }
    }
}

/// Whom to tell of checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportHook {
    pub(crate) call: unsafe fn(target: *const c_void, ctx: *mut c_void, report: &MonitorReport),
    pub(crate) target: *const c_void,
    pub(crate) ctx: *mut c_void,
}

/// What one check saw and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MonitorReport {
    /// When.
    pub now_ms: u64,
    /// Bytes taken, after the check.
    pub usage: u64,
    /// The memory limit.
    pub limit: u64,
    /// Bytes that the check freed.
    pub bytes_freed: u64,
    /// Pressure before the optimize, in percent.
    pub pressure_percent: u32,
    /// Whether there was one.
    pub optimized: bool,
    /// Hits, misses, evictions and expirations a second, this check's included.
    pub rates: Rates,
    /// Thousandths of a hit a second that each MiB more would bring: the marginal value of memory. 0 where the cache
    /// gives no advice.
    pub gained_milli: u64,
    /// Thousandths of a hit a second that each MiB less would cost.
    pub lost_milli: u64,
}

/// What a monitor counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MonitorStats {
    /// Checks.
    pub checks_performed: u64,
    /// Those of them that optimized.
    pub optimizations: u64,
    /// Bytes freed by optimizing.
    pub memory_freed: u64,
    /// When the last check was.
    pub last_check_ms: u64,
    /// The highest pressure that a check found, in percent.
    pub peak_pressure: u32,
    /// Whether the thread runs.
    pub running: bool,
    /// When a check first found that pressure.
    pub peak_pressure_ms: u64,
    /// The most bytes taken that a check found.
    pub peak_usage: u64,
    /// When a check first found them.
    pub peak_usage_ms: u64,
    /// Hits, misses, evictions and expirations a second.
    pub rates: Rates,
}

struct State {
    config: MonitorConfig,
    stats: MonitorStats,
    history: History,
    checked: bool,
    /// A pass is under way.
    active: bool,
    /// The shard with which the next sweep begins.
    sweep_from: u32,
}

/// Watches one cache.
pub struct Monitor<'c> {
    cache: Cache<'c>,
    lock: LockKind,
    state: Guarded<State>,
    /// One thread checks at a time.
    checking: Turn,
    #[cfg(feature = "hosted")]
    ticker: crate::ticker::Ticker,
}

impl<'c> Monitor<'c> {
    /// A monitor of this cache. It does nothing until it is polled or started.
    ///
    /// # Errors
    /// `Invalid` for an interval of 0, or watermarks that are not `low <= high <= 100`, `high > 0`.
    pub fn new(cache: &'c Cache<'_>, config: &MonitorConfig) -> Result<Self> {
        Self::of(cache.alias(), config)
    }

    pub(crate) fn of(cache: Cache<'c>, config: &MonitorConfig) -> Result<Self> {
        let percents = config.high_percent > 0
            && config.high_percent <= 100
            && config.low_percent <= config.high_percent;
        if !percents || config.interval_ms == 0 {
            return Err(Error::Invalid);
        }
        let state = State {
            config: *config,
            stats: MonitorStats::default(),
            history: History::default(),
            checked: false,
            active: false,
            sweep_from: 0,
        };
        Ok(Self {
            lock: cache.lock_kind(),
            cache,
            state: Guarded::new(state),
            checking: Turn::default(),
            #[cfg(feature = "hosted")]
            ticker: crate::ticker::Ticker::new(config.interval_ms),
        })
    }

    fn with<R>(&self, call: impl FnOnce(&mut State) -> R) -> Result<R> {
        self.state.with(&self.lock, call)
    }

    /// The host's tick: checks where the interval has passed since the last check, and on the first
    /// call. Returns whether it did; it does not while another thread checks.
    ///
    /// # Errors
    /// `Busy` from inside a callback of the cache or the monitor, or where a lock hook fails.
    ///
    /// # Time
    /// O(`step_max` + shards).
    pub fn poll(&self, now_ms: u64) -> Result<bool> {
        self.turn_away()?;
        let Some(_turn) = self.checking.try_take() else {
            return Ok(false);
        };
        let due = self.with(|state| {
            let last = state.stats.last_check_ms;
            // A clock that stepped back starts a new interval.
            if now_ms < last {
                state.stats.last_check_ms = now_ms;
            }
            !state.checked || now_ms.saturating_sub(last) >= state.config.interval_ms
        })?;
        if due {
            self.check(now_ms)?;
        }
        Ok(due)
    }

    /// Checks, whatever the interval.
    ///
    /// # Errors
    /// As [`Monitor::poll`], and `Busy` while another thread checks.
    pub fn check_now(&self, now_ms: u64) -> Result<()> {
        self.turn_away()?;
        let _turn = self.checking.try_take().ok_or(Error::Busy)?;
        self.check(now_ms)
    }

    /// `Busy` from inside a callback of the cache or the monitor.
    fn turn_away(&self) -> Result<()> {
        if self.checking.is_mine() {
            return Err(Error::Busy);
        }
        self.cache.turn_away()
    }

    fn check(&self, now_ms: u64) -> Result<()> {
        let (usage, limit) = (
            self.cache.memory_usage() as u64,
            self.cache.memory_limit() as u64,
        );
        let percent = pressure(usage, limit);
        let (optimize, step_max, first) =
            self.with(|state| state.note_pressure(now_ms, usage, percent))?;
        let mut report = MonitorReport {
            now_ms,
            usage,
            limit,
            pressure_percent: percent,
            optimized: optimize,
            ..MonitorReport::default()
        };
        if optimize {
            let done = self.cache.optimize(step_max)?;
            report.bytes_freed = done.bytes_freed;
            self.with(|state| state.note_optimize(done.bytes_freed, done.done))?;
        } else {
            let next = self.cache.sweep(step_max, first)?;
            self.with(|state| state.sweep_from = next)?;
        }
        let counts = self.cache.counts()?;
        if !optimize {
            report.bytes_freed = usage.saturating_sub(counts.total_used);
        }
        if let Ok(advice) = self.cache.advise() {
            report.gained_milli = advice.gained_milli;
            report.lost_milli = advice.lost_milli;
        }
        let hook = self.with(|state| state.note_sample(&mut report, &counts))?;
        if let Some(hook) = hook {
            // No lock is held: where two other monitors' reports are under way, a call of the cache from inside
            // this one is carried out.
            let _inside = self.cache.try_report();
            // SAFETY: hook, target and context were given together.
            unsafe { (hook.call)(hook.target, hook.ctx, &report) };
        }
        Ok(())
    }

    /// Changes the interval; a running thread follows at once.
    ///
    /// # Errors
    /// `Invalid` for 0.
    pub fn set_interval(&self, interval_ms: u64) -> Result<()> {
        if interval_ms == 0 {
            return Err(Error::Invalid);
        }
        #[cfg(feature = "hosted")]
        self.ticker.set_interval(interval_ms);
        self.with(|state| state.config.interval_ms = interval_ms)
    }

    /// All counters.
    ///
    /// # Errors
    /// `Busy` where a lock hook fails.
    ///
    /// # Time
    /// O([`HISTORY`]).
    pub fn stats(&self) -> Result<MonitorStats> {
        #[cfg(feature = "hosted")]
        let running = self.ticker.is_running();
        #[cfg(not(feature = "hosted"))]
        let running = false;
        self.with(|state| MonitorStats {
            running,
            rates: state.history.rates(),
            ..state.stats
        })
    }

    /// Calls with each remembered sample, the oldest first, as they are now. `visit` may call the monitor.
    ///
    /// # Errors
    /// `Busy` where a lock hook fails.
    pub fn history(&self, visit: impl FnMut(&Sample)) -> Result<()> {
        let history = self.with(|state| state.history.clone())?;
        history.newest(HISTORY).for_each(visit);
        Ok(())
    }

    /// The newest `count` under the monitor's lock, for a function of the library's own.
    pub(crate) fn each_sample(&self, count: usize, visit: impl FnMut(&Sample)) -> Result<()> {
        self.with(|state| state.history.newest(count).for_each(visit))
    }
}

impl State {
    /// Whether to optimize, in how many steps, and with which shard a sweep begins.
    fn note_pressure(&mut self, now_ms: u64, usage: u64, percent: u32) -> (bool, u32, u32) {
        self.checked = true;
        let stats = &mut self.stats;
        stats.last_check_ms = now_ms;
        stats.checks_performed += 1;
        if percent > stats.peak_pressure {
            (stats.peak_pressure, stats.peak_pressure_ms) = (percent, now_ms);
        }
        if usage > stats.peak_usage {
            (stats.peak_usage, stats.peak_usage_ms) = (usage, now_ms);
        }
        self.active =
            percent > self.config.high_percent || self.active && percent >= self.config.low_percent;
        (self.active, self.config.step_max, self.sweep_from)
    }

    fn note_optimize(&mut self, freed: u64, done: bool) {
        self.stats.optimizations += 1;
        self.stats.memory_freed += freed;
        self.active = !done;
    }

    fn note_sample(
        &mut self,
        report: &mut MonitorReport,
        counts: &CacheStats,
    ) -> Option<ReportHook> {
        self.history.note(report.now_ms, report.limit, counts);
        report.usage = counts.total_used;
        report.rates = self.history.rates();
        self.config.on_report
    }
}

#[cfg(feature = "hosted")]
impl Monitor<'static> {
    /// Starts a thread that checks at the interval, the first time after one interval. The cache lives as long
    /// as the program; [`Monitor::during`] is for any other.
    ///
    /// # Errors
    /// `Busy` where there is a thread already, also one that is being stopped, and from inside a callback of
    /// the cache or the monitor; `Invalid` where the cache has no lock; `NoMemory` where the host gives no
    /// thread.
    pub fn start(self: core::pin::Pin<&Self>) -> Result<()> {
        // SAFETY: pinned, so `drop` stops the thread before the memory is another's; the cache is for ever.
        unsafe { self.start_thread() }
    }
}

#[cfg(feature = "hosted")]
impl Monitor<'_> {
    /// Calls `body` while a thread checks at the interval, and stops the thread.
    ///
    /// ```
    /// # #[repr(align(16))]
    /// # struct Region([u8; 64 * 1024]);
    /// # let mut region = Region([0; 64 * 1024]);
    /// let cache = larder::Cache::new(&mut region.0, &larder::Config::default())?;
    /// let monitor = larder::Monitor::new(&cache, &larder::MonitorConfig::default())?;
    /// monitor.during(|| cache.set(b"key", b"value", 0))??;
    /// # Ok::<(), larder::Error>(())
    /// ```
    ///
    /// The thread cannot outlive a region: only a monitor of a cache that is there for ever is started freely.
    /// ```compile_fail
    /// let mut region = [0; 65536];
    /// let cache = larder::Cache::new(&mut region, &larder::Config::default()).unwrap();
    /// let monitor = larder::Monitor::new(&cache, &larder::MonitorConfig::default()).unwrap();
    /// let monitor = Box::pin(monitor);
    /// monitor.as_ref().start().unwrap();
    /// std::mem::forget(monitor);
    /// ```
    ///
    /// # Errors
    /// As [`Monitor::start`]; `body` was not called then.
    pub fn during<R>(&self, body: impl FnOnce() -> R) -> Result<R> {
        /// Stops the thread by a panic of `body`, too.
        struct Stop<'m>(&'m Monitor<'m>);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                let _ = self.0.stop();
            }
        }
        // SAFETY: monitor and cache are borrowed until `_stop` has stopped the thread. That does not fail:
        // this thread is not the monitor's, or there would have been one already.
        unsafe { self.start_thread() }?;
        let _stop = Stop(self);
        Ok(body())
    }

    /// # Safety
    /// The monitor stays in its place, and its cache is there, until the thread is stopped.
    unsafe fn start_thread(&self) -> Result<()> {
        self.turn_away()?;
        if self.lock.is_none() {
            return Err(Error::Invalid);
        }
        let me = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the caller's promise; each call of the monitor's takes locks, which there are.
        unsafe { self.ticker.start(tick, me) }
    }

    /// Stops the thread and waits for its end, and so for an `on_report` that it is inside. Does nothing where
    /// there is none; a second thread that stops it waits, too.
    ///
    /// # Errors
    /// `Busy` from inside `on_report`, and from any other callback in the monitor's own thread.
    pub fn stop(&self) -> Result<()> {
        if self.checking.is_mine() {
            return Err(Error::Busy);
        }
        self.ticker.stop()
    }
}

#[cfg(feature = "hosted")]
impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        // A monitor is not `Send`: its thread does not drop it.
        let _ = self.ticker.stop();
    }
}

#[cfg(feature = "hosted")]
unsafe fn tick(monitor: *mut c_void) {
    // SAFETY: `start_thread` gave a monitor that stays in its place until `stop` has returned.
    let monitor = unsafe { &*monitor.cast::<Monitor<'_>>() };
    // A check that fails because a lock hook does is made up for by the next one.
    let _ = monitor.check_now(monitor.cache.now_ms().unwrap_or_else(crate::hosted::now_ms));
}
