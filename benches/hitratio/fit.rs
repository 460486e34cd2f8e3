//! The region that holds a given number of items of one size, by bisection.
//!
//! The number of items grows by whole pages, so there may be no region for the exact number.

use crate::cache::{Cache, Item, Setup};

/// A number of items is near if it differs by at most one in `NEAR`.
const NEAR: usize = 400;
/// Distinct keys set in a cache, for each item wanted.
const FILL: usize = 3;
const STEP: usize = larder::ALIGN;

/// A region, and the lengths of its items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub(crate) region_size: usize,
    pub(crate) item: Item,
    /// Items of the full cache.
    pub(crate) held: usize,
}

impl Fit {
    /// The number of items too many or too few.
    pub(crate) fn error(&self, items: usize) -> usize {
        self.held.abs_diff(items)
    }
}

/// The nearest fit that the search finds.
pub(crate) fn fit(items: usize, item: Item, setup: &Setup) -> Fit {
    let required = setup.region_size(items, item);
    let (mut low, mut high) = (required / 2, required * 5 / 4);
    let mut best: Option<Fit> = None;
    while high - low > STEP {
        let region_size = (low + (high - low) / 2) & !(STEP - 1);
        let fit = Fit {
            region_size,
            item,
            held: held_when_full(region_size, items, item, setup),
        };
        if best.is_none_or(|best| fit.error(items) < best.error(items)) {
            best = Some(fit);
        }
        if fit.error(items) * NEAR <= items {
            break;
        }
        if fit.held < items {
            low = region_size + STEP;
        } else {
            high = region_size;
        }
    }
    best.expect("the search tries at least one size")
}

fn held_when_full(region_size: usize, items: usize, item: Item, setup: &Setup) -> usize {
    let Some(mut cache) = Cache::new(region_size, setup, item.value_len) else {
        return 0;
    };
    for id in 0..items * FILL {
        cache.set(id as u32, item, None);
    }
    cache.item_count()
}
