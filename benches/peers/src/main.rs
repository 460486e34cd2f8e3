//! Compares larder with other caches of bytes in one run: bytes, hit ratio, speed. Prints a table and draws a chart.

mod chart;
mod contenders;
mod measure;

use chart::Panel;
use clap::Parser;
use contenders::Kind;
use measure::{Load, Zipf};
use std::path::PathBuf;

/// Keys have 16 bytes, values 64. Speeds are medians over slices of thread time, in which the caches run by turns.
#[derive(Parser)]
struct Options {
    /// The chart's file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Items of the caches whose speed is measured.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [6_500, 400_000])]
    items: Vec<usize>,
}

const WEIGHED: usize = 100_000;
const BYTES: usize = 16 << 20;
const KEYS: usize = 1_000_000;
const REQUESTS: u64 = 4_000_000;

fn row(name: &str, figures: &[f64], digits: usize) -> Panel {
    let cells: Vec<String> = figures
        .iter()
        .map(|figure| format!("{figure:.digits$}"))
        .collect();
    println!("| {name} | {} |", cells.join(" | "));
    Panel {
        title: name.to_owned(),
        bars: figures.to_vec(),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let kinds = contenders::all();
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    println!(
        "| | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    );
    let each = |measure: &dyn Fn(&Kind) -> f64| kinds.iter().map(measure).collect::<Vec<f64>>();
    let zipf = Zipf::new(KEYS, 0.99);
    let mut panels = vec![
        row(
            "bytes an item takes beside key and value",
            &each(&|kind| measure::overhead(kind, WEIGHED)),
            1,
        ),
        row(
            "hits in %, 16 MiB, Zipf 0.99",
            &each(&|kind| measure::hit_ratio(kind, BYTES, &zipf, REQUESTS)),
            1,
        ),
    ];
    for &items in &options.items {
        for (load, name) in Load::ALL {
            let name = format!("{name}, {items} items: speed");
            panels.push(row(&name, &measure::speeds(&kinds, items, load), 2));
        }
    }
    if let Some(path) = options.svg {
        chart::draw(&path, &names, &panels)?;
    }
    Ok(())
}
