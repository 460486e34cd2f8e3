//! Hit ratios of larder in regions of given sizes, one line each, to compare builds with different features.
//!
//! For traces without sizes, keys have 16 bytes and values 8 to 127, always the same for a key. Hit ratios are means
//! over several seeds of the hash, starting at `--seed`: in a small cache single ones differ by points.

use crate::bytes::run_larder;
use crate::cache::{Item, Policy, Setup};
use crate::common::Rng;
use crate::grid::in_parallel;
use crate::options::Options;
use crate::trace::{Op, Request, SizedTrace, Trace};

const KEY_LEN: usize = 16;
const VALUE_LEN_MIN: usize = 8;
const VALUE_LEN_MAX: usize = 127;
const SEEDS: usize = 8;

/// A get of an item whose lengths depend on its key alone.
pub(crate) fn request(id: u32) -> Request {
    let more = Rng::new(u64::from(id)).below(VALUE_LEN_MAX - VALUE_LEN_MIN + 1);
    Request {
        time_ms: 0,
        id,
        item: Item {
            key_len: KEY_LEN,
            value_len: VALUE_LEN_MIN + more,
        },
        op: Op::Get,
        ttl_ms: None,
    }
}

pub(crate) fn print(trace: &Trace, options: &Options) {
    let footprint = (0..trace.keys as u32).map(|id| request(id).bytes()).sum();
    let requests = trace.ids.iter().map(|&id| request(id));
    print_each(&trace.name, requests, footprint, options);
}

pub(crate) fn print_sized(trace: &SizedTrace, options: &Options) {
    let name = format!("{} (sizes)", trace.name);
    let requests = trace.requests.iter().copied();
    print_each(&name, requests, trace.footprint(), options);
}

/// Prints a line for each region that is smaller than the trace's footprint.
fn print_each(
    name: &str,
    requests: impl Iterator<Item = Request> + Clone + Sync,
    footprint: u64,
    options: &Options,
) {
    let regions = options.regions.iter().copied();
    let regions: Vec<_> = regions.filter(|&size| (size as u64) < footprint).collect();
    let misses = in_parallel(options.jobs, regions.len() * SEEDS, |job| {
        let setup = Setup {
            policy: Policy::Default,
            seed: options.larder.seed + (job % SEEDS) as u64,
        };
        run_larder(&setup, requests.clone(), regions[job / SEEDS])
            .0
            .miss_ratio()
    });
    for (size, misses) in regions.iter().zip(misses.chunks(SEEDS)) {
        let misses = misses.iter().sum::<f64>() / SEEDS as f64;
        println!("{} KiB\t{name}\t{:.2}", size >> 10, 100.0 * (1.0 - misses));
    }
}
