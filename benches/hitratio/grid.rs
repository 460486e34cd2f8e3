//! The cells of the comparison at equal numbers of items: a trace, a size, and all contenders.

use crate::contender::{BASELINE, Contender, Score};
use crate::options::Options;
use crate::trace::Trace;
use indicatif::ProgressBar;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The minimum number of items of a cache whose size is a share of the keys.
const ITEMS_MIN: usize = 64;
/// A cell counts in the summary if the optimum's hit ratio is at least this much above LRU's.
const GAIN_MIN: f64 = 0.002;

/// A size of the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Size {
    Items(usize),
    /// A share of the distinct keys, but at least 64 items.
    Share(f64),
}

impl Size {
    pub(crate) fn items(self, keys: usize) -> usize {
        match self {
            Self::Items(items) => items,
            Self::Share(share) => ((keys as f64 * share) as usize).max(ITEMS_MIN),
        }
    }
}

/// The results of the contenders for one trace and one size.
pub(crate) struct Cell {
    pub(crate) trace: String,
    pub(crate) requests: usize,
    pub(crate) keys: usize,
    pub(crate) items: usize,
    pub(crate) scores: Vec<(Contender, Score)>,
}

impl Cell {
    pub(crate) fn score(&self, contender: Contender) -> Option<&Score> {
        let found = self.scores.iter().find(|(one, _)| *one == contender);
        found.map(|(_, score)| score)
    }

    pub(crate) fn hit_ratio(&self, contender: Contender) -> Option<f64> {
        let score = self.score(contender)?;
        Some(score.hits as f64 / self.requests.max(1) as f64)
    }

    /// Hit ratio above the baseline's.
    pub(crate) fn gain(&self, contender: Contender) -> Option<f64> {
        Some(self.hit_ratio(contender)? - self.hit_ratio(BASELINE)?)
    }

    /// The share of the baseline's misses that a contender avoids.
    pub(crate) fn reduction(&self, contender: Contender) -> Option<f64> {
        Some(self.gain(contender)? / (1.0 - self.hit_ratio(BASELINE)?))
    }

    /// Whether a gain is possible, so that the cell counts.
    pub(crate) fn counts(&self) -> bool {
        self.gain(Contender::Optimum)
            .is_some_and(|gain| gain >= GAIN_MIN)
    }
}

/// The sizes for a trace in ascending order, without those that hold every key.
fn sizes(trace: &Trace, options: &Options) -> Vec<usize> {
    let sizes = options.sizes.iter().map(|size| size.items(trace.keys));
    let sizes: BTreeSet<usize> = sizes.filter(|&items| items < trace.keys).collect();
    sizes.into_iter().collect()
}

/// Runs every contender over one trace.
pub(crate) fn run(trace: &Trace, options: &Options) -> Vec<Cell> {
    let sizes = sizes(trace, options);
    let contenders = &options.contenders;
    let jobs: Vec<_> = sizes
        .iter()
        .flat_map(|&items| contenders.iter().map(move |&contender| (items, contender)))
        .collect();
    let bar = ProgressBar::new(jobs.len() as u64);
    let scores = in_parallel(options.jobs, jobs.len(), |job| {
        let (items, contender) = jobs[job];
        let score = contender.run(trace, items, &options.larder);
        bar.inc(1);
        (contender, score)
    });
    bar.finish_and_clear();
    let rows = scores.chunks(contenders.len());
    let cell = |(items, scores): (usize, &[(Contender, Score)])| Cell {
        trace: trace.name.clone(),
        requests: trace.ids.len(),
        keys: trace.keys,
        items,
        scores: scores.to_vec(),
    };
    sizes.into_iter().zip(rows).map(cell).collect()
}

/// Calls the function with each number below `count`, in `threads` threads. Returns the results in order.
pub(crate) fn in_parallel<T: Send>(
    threads: usize,
    count: usize,
    call: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let work = || {
        loop {
            // The last jobs are the longest, so they start first.
            let taken = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = count.checked_sub(taken + 1) else {
                break;
            };
            let answer = call(job);
            done.lock()
                .expect("no thread panics here")
                .push((job, answer));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().expect("no thread panics here");
    done.sort_by_key(|(job, _)| *job);
    done.into_iter().map(|(_, answer)| answer).collect()
}
