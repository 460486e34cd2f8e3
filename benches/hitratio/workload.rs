//! Generated requests, for runs without a trace. They are equal in every run.

use crate::common::Rng;
use crate::trace::Trace;

const REQUESTS: usize = 1_000_000;
const KEYS: usize = 100_000;
const EXPONENT: f64 = 0.99;
const LOOP_KEYS: usize = 15_000;
/// A scan requests this number of keys, once each.
const SCAN_KEYS: usize = 10_000;
const SCAN_EVERY: usize = 50_000;
/// After this number of requests, `SHIFT_KEYS` keys change their rank of popularity.
const SHIFT_EVERY: usize = 20_000;
const SHIFT_KEYS: usize = 1_000;

pub(crate) fn all() -> Vec<Trace> {
    [
        ("zipf", zipf()),
        ("loop", lap()),
        ("zipf_scans", zipf_with_scans()),
        ("zipf_shifting", zipf_shifting()),
    ]
    .map(|(name, ids)| Trace::new(name.to_owned(), ids))
    .into()
}

/// Random numbers; the n-th has the probability 1 / (n + 1) ^ EXPONENT, not normalised.
struct Zipf {
    sums: Vec<f64>,
    rng: Rng,
}

impl Zipf {
    fn new() -> Self {
        let weights = (1..=KEYS).map(|n| (n as f64).powf(-EXPONENT));
        let sums = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self {
            sums: sums.collect(),
            rng: Rng::new(1),
        }
    }

    fn next(&mut self) -> usize {
        let unit = self.rng.next() as f64 / u64::MAX as f64;
        let at = unit * self.sums[KEYS - 1];
        self.sums.partition_point(|&sum| sum < at)
    }
}

fn zipf() -> Vec<u32> {
    let mut zipf = Zipf::new();
    (0..REQUESTS).map(|_| zipf.next() as u32).collect()
}

fn lap() -> Vec<u32> {
    (0..REQUESTS).map(|n| (n % LOOP_KEYS) as u32).collect()
}

fn zipf_with_scans() -> Vec<u32> {
    let mut zipf = Zipf::new();
    let mut fresh = KEYS as u32..;
    let draws = (0..REQUESTS).map(|n| match n % SCAN_EVERY {
        ..SCAN_KEYS => fresh.next().unwrap_or(u32::MAX),
        _ => zipf.next() as u32,
    });
    draws.collect()
}

fn zipf_shifting() -> Vec<u32> {
    let mut zipf = Zipf::new();
    let mut rng = Rng::new(2);
    let mut places: Vec<u32> = (0..KEYS as u32).collect();
    let draws = (0..REQUESTS).map(|n| {
        if n % SHIFT_EVERY == 0 {
            for _ in 0..SHIFT_KEYS {
                places.swap(rng.below(KEYS), rng.log_uniform(1, KEYS) - 1);
            }
        }
        places[zipf.next()]
    });
    draws.collect()
}
