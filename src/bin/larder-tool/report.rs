//! A page in HTML about a trace and a size of memory: curve, memory map over time, owners, advice in a sentence.

mod map;
mod page;
mod words;

use crate::curve::{self, Curve};
use crate::replay::{Outcome, replay};
use crate::trace::Trace;
use crate::{Result, SpanArguments, TraceArguments, bytes};
use clap::Args;
use larder::{Cache, OwnerStats, PageInfo, PageOwner, PolicyKind};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct ReportArguments {
    #[command(flatten)]
    trace: TraceArguments,
    #[command(flatten)]
    span: SpanArguments,
    /// Bytes of the cache that is looked at; the middle of the curve where it is not said
    #[arg(long, value_name = "SIZE", value_parser = bytes::parse)]
    memory: Option<usize>,
    /// The page
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
}

/// A cache at one time.
struct Look {
    /// Requests so far.
    requests: usize,
    /// Some pages, at equal distances over the region, in order.
    pages: Vec<PageInfo>,
}

/// What a page is made from.
struct Report {
    curve: Curve,
    requests: usize,
    keys: usize,
    memory: usize,
    outcome: Outcome,
    looks: Vec<Look>,
    /// At the end.
    owners: Vec<OwnerStats>,
}

pub(crate) fn write(arguments: &ReportArguments) -> Result<()> {
    let trace = arguments.trace.read()?;
    let curve = arguments.span.run(&trace)?;
    let middle = curve.points[curve.points.len() / 2].memory;
    let report = Report::make(&trace, curve, arguments.memory.unwrap_or(middle))?;
    let file = arguments.output.display();
    std::fs::write(&arguments.output, page::html(&report)?)
        .map_err(|error| format!("{file}: {error}"))?;
    println!("{}", words::advice(&report).join(" "));
    println!("{file} is written");
    Ok(())
}

impl Report {
    fn make(trace: &Trace, curve: Curve, memory: usize) -> Result<Self> {
        let bar = curve::progress_bar(trace.requests.len() as u64);
        let (mut looks, mut owners) = (Vec::new(), Vec::new());
        let outcome = replay(trace, memory, PolicyKind::Default, |requests, cache| {
            bar.set_position(requests as u64);
            let pages = pages(cache);
            looks.push(Look { requests, pages });
            if requests == trace.requests.len() {
                owners = PageOwner::ALL
                    .iter()
                    .filter_map(|&owner| cache.owner_stats(owner).ok())
                    .collect();
            }
        })?;
        bar.finish_and_clear();
        Ok(Self {
            curve,
            requests: trace.requests.len(),
            keys: trace.keys,
            memory,
            outcome,
            looks,
            owners,
        })
    }
}

fn pages(cache: &Cache<'_>) -> Vec<PageInfo> {
    let count = cache.stats().page_count;
    let rows = count.min(map::ROWS);
    let pages = (0..rows).map(|row| u64::from(row) * u64::from(count) / u64::from(rows));
    pages
        .filter_map(|page| cache.page_info(page as u32).ok())
        .collect()
}
