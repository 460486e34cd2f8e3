//! The comparison at equal bytes: object and byte miss ratios of traces with sizes.
//!
//! A get that misses is followed by a set. The trace's sets and deletes are made in order, and its times are the
//! cache's clock. LRU counts only keys and values, so it has a larger cache.

use crate::cache::{Cache, Policy, Setup};
use crate::grid::in_parallel;
use crate::options::Options;
use crate::reference::{ByteLru, Entry};
use crate::trace::{Op, Request, SizedTrace};

const REGIONS: [usize; 4] = [64 << 10, 1 << 20, 16 << 20, 64 << 20];

/// The contenders.
#[derive(Clone, Copy)]
enum Contender {
    ByteLru,
    Larder(Policy),
}

const CONTENDERS: [(Contender, &str); 3] = [
    (Contender::ByteLru, "lru"),
    (Contender::Larder(Policy::Default), "larder"),
    (Contender::Larder(Policy::Lru), "larder-lru"),
];

/// A cache that serves requests.
trait Store {
    fn get(&mut self, request: &Request) -> bool;
    fn set(&mut self, request: &Request);
    fn delete(&mut self, request: &Request);
}

impl Store for ByteLru {
    fn get(&mut self, request: &Request) -> bool {
        ByteLru::get(self, request.id, request.time_ms)
    }

    fn set(&mut self, request: &Request) {
        let ttl_ms = request.ttl_ms.unwrap_or(u64::MAX);
        let entry = Entry {
            bytes: request.bytes(),
            expires_ms: request.time_ms.saturating_add(ttl_ms),
        };
        ByteLru::set(self, request.id, entry);
    }

    fn delete(&mut self, request: &Request) {
        ByteLru::delete(self, request.id);
    }
}

impl Store for Cache {
    fn get(&mut self, request: &Request) -> bool {
        self.set_time(request.time_ms);
        Cache::get(self, request.id, request.item.key_len())
    }

    fn set(&mut self, request: &Request) {
        self.set_time(request.time_ms);
        Cache::set(self, request.id, request.item, request.ttl_ms);
    }

    fn delete(&mut self, request: &Request) {
        Cache::delete(self, request.id, request.item.key_len());
    }
}

/// Gets and misses.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    gets: u64,
    misses: u64,
    bytes: u64,
    missed_bytes: u64,
}

impl Tally {
    fn of(requests: impl IntoIterator<Item = Request>, store: &mut impl Store) -> Self {
        let mut tally = Self::default();
        for request in requests {
            match request.op {
                Op::Get => tally.get(store, &request),
                Op::Set => store.set(&request),
                Op::Delete => store.delete(&request),
            }
        }
        tally
    }

    fn get(&mut self, store: &mut impl Store, request: &Request) {
        self.gets += 1;
        self.bytes += request.bytes();
        if !store.get(request) {
            self.misses += 1;
            self.missed_bytes += request.bytes();
            store.set(request);
        }
    }

    pub(crate) fn miss_ratio(&self) -> f64 {
        self.misses as f64 / self.gets.max(1) as f64
    }

    fn byte_miss_ratio(&self) -> f64 {
        self.missed_bytes as f64 / self.bytes.max(1) as f64
    }
}

/// A trace, a region's size, and the results of each contender.
pub(crate) struct ByteCell {
    trace: String,
    region_size: usize,
    tallies: Vec<Tally>,
}

fn run_one(
    contender: Contender,
    trace: &SizedTrace,
    region_size: usize,
    options: &Options,
) -> Tally {
    let requests = trace.requests.iter().copied();
    match contender {
        Contender::ByteLru => {
            let mut lru = ByteLru::new(region_size as u64, trace.keys);
            Tally::of(requests, &mut lru)
        }
        Contender::Larder(policy) => {
            let seed = options.larder.seed;
            run_larder(&Setup { policy, seed }, requests, region_size).0
        }
    }
}

pub(crate) fn run_larder(
    setup: &Setup,
    requests: impl Iterator<Item = Request> + Clone,
    region_size: usize,
) -> (Tally, Cache) {
    let longest = requests.clone().map(|request| request.item.value_len).max();
    // A value longer than the region never fits.
    let longest = longest.unwrap_or(0).min(region_size);
    let mut cache = Cache::new(region_size, setup, longest).expect("the region makes a cache");
    (Tally::of(requests, &mut cache), cache)
}

/// Runs all contenders with each region that is smaller than the trace's footprint.
pub(crate) fn run(trace: &SizedTrace, options: &Options) -> Vec<ByteCell> {
    let footprint = trace.footprint();
    let regions = REGIONS.map(|size| (size as u64) < footprint);
    let count = regions.iter().filter(|&&smaller| smaller).count();
    let each = CONTENDERS.len();
    let tallies = in_parallel(options.jobs, count * each, |job| {
        let (contender, _) = CONTENDERS[job % each];
        run_one(contender, trace, REGIONS[job / each], options)
    });
    let rows = REGIONS.into_iter().zip(tallies.chunks(each));
    let cell = |(region_size, tallies): (usize, &[Tally])| ByteCell {
        trace: trace.name.clone(),
        region_size,
        tallies: tallies.to_vec(),
    };
    rows.map(cell).collect()
}

pub(crate) fn print_head() {
    println!();
    println!("Equal bytes: objects missed and bytes missed in %; lru counts keys and values alone");
    print!("{:16} {:>10}", "trace", "region");
    for (_, name) in CONTENDERS {
        print!(" {name:>12} {:>9}", "bytes");
    }
    println!();
}

pub(crate) fn print_cell(cell: &ByteCell) {
    print!("{:16} {:>6} KiB", cell.trace, cell.region_size >> 10);
    for tally in &cell.tallies {
        let (objects, bytes) = (tally.miss_ratio(), tally.byte_miss_ratio());
        print!(" {:>12.2} {:>9.2}", 100.0 * objects, 100.0 * bytes);
    }
    println!();
}

/// Mean reduction of the misses of LRU and of larder with LRU, by the default policy.
pub(crate) fn print_summary(cells: &[ByteCell]) {
    if cells.is_empty() {
        return;
    }
    println!();
    println!(
        "Fewer misses by larder in %, mean over {} cells",
        cells.len()
    );
    for (against, of) in [(0, "lru"), (2, "larder-lru")] {
        let mean = |ratio: fn(&Tally) -> f64| {
            let less = cells
                .iter()
                .map(|cell| 1.0 - ratio(&cell.tallies[1]) / ratio(&cell.tallies[against]));
            100.0 * less.sum::<f64>() / cells.len() as f64
        };
        println!(
            "than {of:11} objects {:>6.2}   bytes {:>6.2}",
            mean(Tally::miss_ratio),
            mean(Tally::byte_miss_ratio)
        );
    }
}
