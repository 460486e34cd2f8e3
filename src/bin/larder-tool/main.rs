//! larder-tool: replays traces, draws hit ratios over memory, says how much memory items need, and shows a running
//! program's cache. It uses larder's public interface alone.
//!
//! | file | what it owns |
//! |---|---|
//! | `trace` | requests, from files of five kinds |
//! | `replay` | a trace in a cache |
//! | `bounds`, `curve` | exact LRU and Belady's rule; hit ratios over memory |
//! | `advice` | what a cache predicts for other limits |
//! | `palette`, `chart` | colours; curves as SVG and PNG |
//! | `size` | bytes for so many items |
//! | `report` | a page in HTML |
//! | `top` | a running program's statistics, live |
//! | `bytes` | sizes, as people read and write them |
#![forbid(unsafe_code)]

mod advice;
mod bounds;
mod bytes;
mod chart;
mod curve;
mod palette;
#[path = "../../../tests/reference/mod.rs"]
mod reference;
mod replay;
mod report;
mod size;
mod top;
mod trace;
// The benchmark of hit ratios has the same reader, without its tests.
#[cfg(test)]
#[path = "trace/tests.rs"]
mod trace_tests;

use clap::{Args, Parser, Subcommand};
use larder::PolicyKind;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use trace::{Format, Lengths, Result, Trace};

/// Finds the right limit for a cache: replays traces, draws hit ratios over memory, shows a running program's cache
#[derive(Parser)]
#[command(name = "larder-tool", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay a trace in a cache, and print what it counted
    Replay(ReplayArguments),
    /// Draw the hit ratio over memory as SVG or PNG: larder, exact LRU, Belady's rule
    Curve(CurveArguments),
    /// Write a page in HTML: curve, memory map over time, owners, advice
    Report(report::ReportArguments),
    /// Show a running program's cache, which it offers in a file, live
    Top(top::TopArguments),
    /// Print the bytes in which a cache holds items, none evicted
    Size(size::SizeArguments),
}

/// A trace, and how to read it
#[derive(Args)]
struct TraceArguments {
    /// A trace: .ids, .csv, a dump of memcached's keys, or a key a line; packed where it ends in .zst; - is the
    /// standard input
    trace: PathBuf,
    /// What the trace is, where its name or its first line does not tell: ids, csv, dump or text
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    format: Option<Format>,
    /// Bytes of a key, where the trace does not tell
    #[arg(long, value_name = "BYTES", default_value = "16", value_parser = clap::value_parser!(u8).range(4..))]
    key: u8,
    /// Bytes of a value, where the trace does not tell
    #[arg(long, value_name = "BYTES", default_value = "100", value_parser = bytes::parse)]
    value: usize,
}

impl TraceArguments {
    fn read(&self) -> Result<Trace> {
        let value =
            u32::try_from(self.value).map_err(|_| "--value: a value has less than 4G bytes")?;
        let lengths = Lengths {
            key: self.key,
            value,
        };
        Trace::read(&self.trace, self.format, lengths)
    }
}

fn parse_format(text: &str) -> std::result::Result<Format, String> {
    match text {
        "ids" => Ok(Format::Ids),
        "csv" => Ok(Format::Csv),
        "dump" => Ok(Format::Dump),
        "text" => Ok(Format::Text),
        _ => Err("the formats are ids, csv, dump and text".to_owned()),
    }
}

#[derive(Args)]
struct ReplayArguments {
    #[command(flatten)]
    trace: TraceArguments,
    /// Bytes of the cache, as 64K, 16M or 1G; a quarter of what all items of the trace need where it is not said
    #[arg(long, value_name = "SIZE", value_parser = bytes::parse)]
    memory: Option<usize>,
    /// Evict by exact LRU
    #[arg(long)]
    lru: bool,
}

#[derive(Args)]
struct CurveArguments {
    #[command(flatten)]
    trace: TraceArguments,
    #[command(flatten)]
    span: SpanArguments,
    /// A file to write, as SVG or PNG by its end; may be given twice; TRACE.svg and TRACE.png where it is not said
    #[arg(short, long, value_name = "FILE")]
    output: Vec<PathBuf>,
}

/// The sizes of memory that a trace is replayed in
#[derive(Args)]
struct SpanArguments {
    /// The least memory; a 128th of the most, and at least 8K, where it is not said
    #[arg(long, value_name = "SIZE", value_parser = bytes::parse)]
    from: Option<usize>,
    /// The most memory; what all items of the trace need, up to 1G, where it is not said
    #[arg(long, value_name = "SIZE", value_parser = bytes::parse)]
    to: Option<usize>,
    /// Threads; the number of processors where it is not said
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,
}

impl SpanArguments {
    fn run(&self, trace: &Trace) -> Result<curve::Curve> {
        let sizes = curve::sizes(trace, self.from, self.to)?;
        let jobs = self.jobs.or(std::thread::available_parallelism().ok());
        curve::run(trace, &sizes, jobs.map_or(1, NonZero::get))
    }
}

fn print_replay(arguments: &ReplayArguments) -> Result<()> {
    let trace = arguments.trace.read()?;
    let memory = match arguments.memory {
        Some(memory) => memory,
        None => (curve::memory_for_all(&trace)? / 4).max(8 << 10),
    };
    let policy = if arguments.lru {
        PolicyKind::Lru
    } else {
        PolicyKind::Default
    };
    let bar = curve::progress_bar(trace.requests.len() as u64);
    let started = Instant::now();
    let outcome = replay::replay(&trace, memory, policy, |done, _| {
        bar.set_position(done as u64)
    })?;
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    outcome.print(&trace, memory);
    println!(
        "speed      {:.0} requests a second",
        trace.requests.len() as f64 / seconds
    );
    Ok(())
}

fn draw_curve(arguments: &CurveArguments) -> Result<()> {
    let trace = arguments.trace.read()?;
    let mut files = arguments.output.clone();
    if files.is_empty() {
        files = ["svg", "png"]
            .map(|end| PathBuf::from(format!("{}.{end}", trace.name)))
            .into();
    }
    for file in &files {
        chart::check_name(file)?;
    }
    let curve = arguments.span.run(&trace)?;
    curve.print();
    curve.print_advice();
    for file in &files {
        chart::write(file, &curve)?;
        println!("{} is written", file.display());
    }
    Ok(())
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Replay(arguments) => print_replay(arguments),
        Command::Curve(arguments) => draw_curve(arguments),
        Command::Report(arguments) => report::write(arguments),
        Command::Top(arguments) => top::show(arguments),
        Command::Size(arguments) => size::print(arguments),
    }
}

/// A fault of ours, or of the decoder's, in words that help. A reader that closes the pipe is none.
fn say_fault(fault: &std::panic::PanicHookInfo<'_>) {
    if fault.to_string().contains("Broken pipe") {
        std::process::exit(0);
    }
    eprintln!("larder-tool: a fault in the program: {fault}");
    eprintln!("where the trace ends in .zst, it may be damaged: 'zstd --test FILE' looks");
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(say_fault));
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larder-tool: {error}");
            ExitCode::FAILURE
        }
    }
}
