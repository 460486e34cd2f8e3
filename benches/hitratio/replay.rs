//! Replays a trace through a larder, in a region that holds the wanted number of items.
//!
//! The number of items in a region depends a little on the keys, through the index, and so on the trace. The
//! trace is run again in a corrected region until the mean number of items is near. If pages are too coarse for
//! that, values of other lengths are tried.

use crate::cache::{Cache, Item, Policy, Setup};
use crate::contender::Score;
use crate::fit::{Fit, fit};
use crate::trace::Trace;

const KEY_LEN: usize = 8;
/// Bytes added to the values' length, tried in this order.
const LONGER: [usize; 12] = [0, 4, 8, 12, 16, 20, 24, 32, 40, 56, 84, 112];
/// The maximum number of runs of a trace with values of one length.
const RUNS: usize = 4;
/// The mean is near if it differs by at most this share of the wanted number.
const NEAR: f64 = 0.004;
/// The mean is usable if it differs by at most this share.
const USABLE: f64 = 0.01;
/// A difference of this number of items is always near.
const NEAR_ITEMS: f64 = 0.75;
/// A fit that differs by more than one in `COARSE` is not run if there is a better one.
const COARSE: usize = 50;

/// The options of a larder's run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LarderOptions {
    pub(crate) value_len: usize,
    pub(crate) seed: u64,
}

/// The number of items in a larder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Bytes of the region.
    pub(crate) region_size: usize,
    /// The mean over the misses since the first eviction.
    pub(crate) mean: f64,
    /// The maximum at any time.
    pub(crate) max: usize,
}

impl Held {
    /// The difference between the mean and the wanted number, as a share of it.
    fn excess(&self, items: usize) -> f64 {
        self.mean / items as f64 - 1.0
    }

    fn is_near(&self, items: usize) -> bool {
        self.excess(items).abs() <= NEAR.max(NEAR_ITEMS / items as f64)
    }

    fn is_usable(&self, items: usize) -> bool {
        self.excess(items).abs() <= USABLE.max(NEAR_ITEMS / items as f64)
    }

    /// The cost of a run; lower is better.
    fn cost(&self, items: usize) -> f64 {
        let excess = self.excess(items);
        if excess > USABLE.max(NEAR_ITEMS / items as f64) {
            1.0 + excess
        } else {
            excess.abs()
        }
    }
}

/// The result of a run.
#[derive(Clone, Copy)]
struct Run {
    hits: u64,
    held: Held,
}

/// The runs of one trace.
struct Search<'t> {
    trace: &'t Trace,
    items: usize,
    setup: Setup,
    best: Option<Run>,
}

pub(crate) fn run_larder(
    policy: Policy,
    trace: &Trace,
    items: usize,
    options: &LarderOptions,
) -> Score {
    let mut search = Search {
        trace,
        items,
        setup: Setup {
            policy,
            seed: options.seed,
        },
        best: None,
    };
    let best = search.over_lengths(options.value_len);
    Score {
        hits: best.hits,
        held: Some(best.held),
    }
}

impl Search<'_> {
    fn over_lengths(&mut self, value_len: usize) -> Run {
        let mut coarse: Option<Fit> = None;
        for longer in LONGER {
            let item = Item {
                key_len: KEY_LEN,
                value_len: value_len + longer,
            };
            let fit = fit(self.items, item, &self.setup);
            if fit.error(self.items) * COARSE <= self.items {
                self.approach(fit);
            } else if coarse.is_none_or(|c| fit.error(self.items) < c.error(self.items)) {
                coarse = Some(fit);
            }
            if self
                .best
                .is_some_and(|best| best.held.is_usable(self.items))
            {
                break;
            }
        }
        match (self.best, coarse) {
            (None, Some(fit)) => self.approach(fit),
            (best, _) => best.expect("there is a fit for each length"),
        }
    }

    /// Corrects the region's size between the sizes tried so far. Returns the best run.
    fn approach(&mut self, mut fit: Fit) -> Run {
        let (mut low, mut high) = (0, usize::MAX);
        let mut best = self.run(&fit);
        let mut last = best;
        for _ in 1..RUNS {
            if last.held.is_near(self.items) {
                break;
            }
            let excess = last.held.excess(self.items);
            if excess < 0.0 {
                low = fit.region_size;
            } else {
                high = fit.region_size;
            }
            let size = (fit.region_size as f64 / (1.0 + excess)) as usize;
            fit.region_size = size.next_multiple_of(larder::ALIGN);
            if fit.region_size <= low || fit.region_size >= high {
                break;
            }
            last = self.run(&fit);
            best = self.better(best, last);
        }
        let best = self.best.map_or(best, |other| self.better(other, best));
        self.best = Some(best);
        best
    }

    fn better(&self, a: Run, b: Run) -> Run {
        if b.held.cost(self.items) < a.held.cost(self.items) {
            b
        } else {
            a
        }
    }

    fn run(&self, fit: &Fit) -> Run {
        let cache = Cache::new(fit.region_size, &self.setup, fit.item.value_len);
        let mut cache = cache.expect("the region is large enough");
        let (mut hits, mut count, mut max) = (0, 0, 0);
        let (mut full_misses, mut full_sum) = (0_u32, 0);
        for &id in &self.trace.ids {
            if cache.get(id, fit.item.key_len) {
                hits += 1;
                continue;
            }
            cache.set(id, fit.item, None);
            let before = std::mem::replace(&mut count, cache.item_count());
            max = max.max(count);
            if full_misses > 0 || count <= before {
                full_misses += 1;
                full_sum += count;
            }
        }
        cache.check();
        let full_mean = full_sum as f64 / f64::from(full_misses.max(1));
        let mean = if full_misses > 0 {
            full_mean
        } else {
            count as f64
        };
        let region_size = fit.region_size;
        let held = Held {
            region_size,
            mean,
            max,
        };
        Run { hits, held }
    }
}
