//! Hit ratios of larder, through its C functions, and of published policies, over access traces.
//!
//! - Equal numbers of items: 64, and 0.1%, 1%, 10% of the distinct keys, each an item of one size.
//!   A get that misses is followed by a set; the cold start counts. Larder has the region in which
//!   it holds that many items when full; `held` is what it held on average, once full.
//! - Equal bytes, for traces that tell sizes: all that larder has comes out of the region.
//! - `--advice`: how far the advice on the limit is off.
//! - `--regions`: what larder alone hits in regions of given sizes, for a comparison of builds.
//!
//! The summary is the mean reduction of the misses of exact LRU, each trace and size counting once.
//! The numbers are the same on every run.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/reference/mod.rs"]
mod reference;

mod advice;
mod bytes;
mod cache;
mod contender;
mod fit;
mod grid;
mod options;
mod plot;
mod regions;
mod replay;
mod table;
mod trace;
mod workload;

use grid::Cell;
use options::Options;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trace::{Format, SizedTrace, Trace};

fn run_cells(trace: &Trace, options: &Options) -> Result<Vec<Cell>, Box<dyn Error>> {
    let cells = grid::run(trace, options);
    cells.iter().for_each(table::print_cell);
    if let Some(directory) = &options.svg {
        plot::write(directory, &cells)?;
    }
    Ok(cells)
}

/// The result of `read` for a file. `None` if the trace is longer than the options allow.
fn read<T>(
    path: &Path,
    options: &Options,
    read: impl Fn(&Path, usize) -> Result<Option<T>, Box<dyn Error>>,
) -> Result<Option<T>, Box<dyn Error>> {
    let trace = read(path, options.requests_max)?;
    if trace.is_none() {
        eprintln!("{}: left out, it is too long", path.display());
    }
    Ok(trace)
}

fn compare_items(files: &[&PathBuf], options: &Options) -> Result<(), Box<dyn Error>> {
    table::print_head(options);
    let mut cells = Vec::new();
    if options.files.is_empty() {
        for trace in workload::all() {
            cells.extend(run_cells(&trace, options)?);
        }
    }
    for path in files {
        if let Some(trace) = read(path, options, Trace::read)? {
            cells.extend(run_cells(&trace, options)?);
        }
    }
    table::print_summary(&cells, options);
    if let Some(path) = &options.csv {
        table::write_csv(path, &cells)?;
    }
    Ok(())
}

fn print_regions(
    ids: &[&PathBuf],
    csv: &[&PathBuf],
    options: &Options,
) -> Result<(), Box<dyn Error>> {
    if options.files.is_empty() {
        for trace in workload::all() {
            regions::print(&trace, options);
        }
    }
    for path in ids {
        if let Some(trace) = read(path, options, Trace::read)? {
            regions::print(&trace, options);
        }
    }
    for path in csv {
        if let Some(trace) = read(path, options, SizedTrace::read)? {
            regions::print_sized(&trace, options);
        }
    }
    Ok(())
}

/// The same traces, asked for advice.
fn compare_advice(
    ids: &[&PathBuf],
    csv: &[&PathBuf],
    options: &Options,
) -> Result<(), Box<dyn Error>> {
    let mut errors = Vec::new();
    println!(
        "region, trace, policy, hits in % at 1/4, 1/2, 1, 2, 4 x, and points by which the advice is off"
    );
    if options.files.is_empty() {
        for trace in workload::all() {
            errors.extend(advice::run(&trace, options));
        }
    }
    for path in ids {
        if let Some(trace) = read(path, options, Trace::read)? {
            errors.extend(advice::run(&trace, options));
        }
    }
    for path in csv {
        if let Some(trace) = read(path, options, SizedTrace::read)? {
            errors.extend(advice::run_sized(&trace, options));
        }
    }
    advice::print_summary(&errors);
    Ok(())
}

fn compare_bytes(files: &[&PathBuf], options: &Options) -> Result<(), Box<dyn Error>> {
    bytes::print_head();
    let mut cells = Vec::new();
    for path in files {
        if let Some(trace) = read(path, options, SizedTrace::read)? {
            let new = bytes::run(&trace, options);
            new.iter().for_each(bytes::print_cell);
            cells.extend(new);
        }
    }
    bytes::print_summary(&cells);
    Ok(())
}

fn run() -> Result<(), Box<dyn Error>> {
    let options = Options::parse()?;
    let of = |format| {
        let files = options.files.iter();
        files.filter(move |path| Format::of(path) == Some(format))
    };
    let (ids, csv): (Vec<_>, Vec<_>) = (of(Format::Ids).collect(), of(Format::Csv).collect());
    if ids.len() + csv.len() < options.files.len() {
        return Err("a trace's name ends in .ids, .csv, .ids.zst or .csv.zst".into());
    }
    if options.files.is_empty() {
        println!("No traces were given: these are generated workloads, and prove little.");
    }
    if options.advice {
        return compare_advice(&ids, &csv, &options);
    }
    if !options.regions.is_empty() {
        return print_regions(&ids, &csv, &options);
    }
    if csv.len() < options.files.len() || options.files.is_empty() {
        compare_items(&ids, &options)?;
    }
    if !csv.is_empty() {
        compare_bytes(&csv, &options)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hitratio: {error}");
            ExitCode::FAILURE
        }
    }
}
