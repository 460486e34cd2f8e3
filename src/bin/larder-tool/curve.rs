//! The hit ratio over memory: larder, exact LRU and Belady's rule over one trace.

use crate::advice::{Advice, advice};
use crate::bounds;
use crate::replay::replay;
use crate::trace::Trace;
use crate::{Result, bytes};
use indicatif::{ProgressBar, ProgressStyle};
use larder::{Cache, Config, PolicyKind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Steps in which memory doubles.
const STEPS_PER_DOUBLE: f64 = 2.0;
/// The least memory is the most of it, divided by this; and no less than that many bytes.
const SPAN: usize = 128;
const MEMORY_MIN: usize = 8 << 10;
/// The most memory that is taken unasked.
const MEMORY_MAX: usize = 1 << 30;

/// Hit ratios in one size of memory.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) memory: usize,
    pub(crate) larder: f64,
    pub(crate) lru: f64,
    pub(crate) optimum: f64,
    pub(crate) advice: Option<Advice>,
}

#[derive(Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// In ascending order of memory; at least two.
    pub(crate) points: Vec<Point>,
    pub(crate) is_of_one_size: bool,
}

impl Curve {
    /// Prints a line for each size of memory.
    pub(crate) fn print(&self) {
        println!(
            "{:>10} {:>8} {:>8} {:>8}",
            "memory",
            "larder",
            "lru",
            self.optimum_name()
        );
        for point in &self.points {
            let [larder, lru, optimum] =
                [point.larder, point.lru, point.optimum].map(|ratio| 100.0 * ratio);
            println!(
                "{:>10} {larder:>8.2} {lru:>8.2} {optimum:>8.2}",
                bytes::show(point.memory as f64)
            );
        }
    }

    /// Prints what it predicted.
    pub(crate) fn print_advice(&self) {
        let Some((at, advice)) = self.advice() else {
            return;
        };
        let memory = bytes::show(self.points[at].memory as f64);
        println!("a cache of {memory} predicts, from its own sample:");
        for (memory, ratio) in advice {
            println!("{:>10} {:>8.2}", bytes::show(memory), 100.0 * ratio);
        }
    }

    /// With items of several sizes the optimum is not known.
    pub(crate) fn optimum_name(&self) -> &'static str {
        if self.is_of_one_size {
            "optimum"
        } else {
            "Belady"
        }
    }

    /// What the cache nearest to the middle of the curve predicted, of those that did, and its place.
    pub(crate) fn advice(&self) -> Option<(usize, Advice)> {
        let middle = self.points.len() / 2;
        let points = self.points.iter().enumerate();
        let said = points.filter_map(|(at, point)| Some((at, point.advice?)));
        said.min_by_key(|(at, _)| at.abs_diff(middle))
    }
}

/// Bytes in which a cache holds all items of a trace, by their mean lengths.
pub(crate) fn memory_for_all(trace: &Trace) -> Result<usize> {
    let (key, value) = trace.mean_lengths();
    let required = Cache::required_size(&Config::default(), trace.keys as u64, key, value);
    Ok(required.map_err(|error| format!("{}: {error}", trace.name))?)
}

/// Sizes of memory from `from` to `to`, each √2 times the one before.
pub(crate) fn sizes(trace: &Trace, from: Option<usize>, to: Option<usize>) -> Result<Vec<usize>> {
    let to = match to {
        Some(to) => to,
        None => memory_for_all(trace)?.clamp(2 * MEMORY_MIN, MEMORY_MAX),
    };
    let from = from.unwrap_or((to / SPAN).max(MEMORY_MIN));
    if from >= to {
        let (from, to) = (bytes::show(from as f64), bytes::show(to as f64));
        return Err(format!(
            "the least memory, {from}, has to be below the most, {to}: see --from and --to"
        )
        .into());
    }
    let steps = (to as f64 / from as f64).log2() * STEPS_PER_DOUBLE;
    let steps = steps.round().max(1.0);
    let factor = (to as f64 / from as f64).powf(1.0 / steps);
    let size = |step: usize| (from as f64 * factor.powi(step as i32)).round() as usize;
    Ok((0..=steps as usize).map(size).collect())
}

/// Runs a trace in each of these sizes of memory.
pub(crate) fn run(trace: &Trace, sizes: &[usize], jobs: usize) -> Result<Curve> {
    if trace.gets() == 0 {
        return Err(format!(
            "{}: without gets there is no hit ratio; 'larder-tool size --trace' and 'replay' take a trace of sets",
            trace.name
        )
        .into());
    }
    let bar = progress_bar((trace.requests.len() * sizes.len()) as u64);
    let points = in_parallel(jobs, sizes.len(), |at| point(trace, sizes[at], &bar));
    bar.finish_and_clear();
    Ok(Curve {
        name: trace.name.clone(),
        points: points.into_iter().collect::<Result<_>>()?,
        is_of_one_size: trace.is_of_one_size(),
    })
}

pub(crate) fn progress_bar(requests: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} requests, {eta} left");
    ProgressBar::new(requests).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn point(trace: &Trace, memory: usize, bar: &ProgressBar) -> Result<Point> {
    let (mut last, mut said) = (0, None);
    let outcome = replay(trace, memory, PolicyKind::Default, |done, cache| {
        bar.inc((done - last) as u64);
        last = done;
        if done == trace.requests.len() {
            said = advice(cache);
        }
    })?;
    let gets = outcome.gets.max(1) as f64;
    let capacity = outcome.payload_max;
    Ok(Point {
        memory,
        larder: outcome.hit_ratio(),
        lru: bounds::lru_hits(trace, capacity) as f64 / gets,
        optimum: bounds::optimum_hits(trace, capacity) as f64 / gets,
        advice: said,
    })
}

/// Calls with each number below `count`, in so many threads; the answers are in order.
fn in_parallel<T: Send>(threads: usize, count: usize, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let left = AtomicUsize::new(count);
    let done = Mutex::new(Vec::with_capacity(count));
    let work = || {
        // The largest memory first: it takes longest.
        while let Ok(before) =
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
        {
            let answer = call(before - 1);
            done.lock()
                .expect("no thread panics here")
                .push((before - 1, answer));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().expect("no thread panics here");
    done.sort_by_key(|(job, _)| *job);
    done.into_iter().map(|(_, answer)| answer).collect()
}
