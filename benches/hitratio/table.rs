//! The lines of the comparison at equal numbers of items.

use crate::contender::{BASELINE, Contender};
use crate::grid::Cell;
use crate::options::Options;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

pub(crate) fn print_head(options: &Options) {
    print!("{:16} {:>8} {:>8}", "trace", "items", "held");
    for contender in &options.contenders {
        print!(" {:>10}", contender.name());
    }
    println!();
}

/// Prints hit ratios in percent. `held`: the mean number of items in the first larder of the line.
pub(crate) fn print_cell(cell: &Cell) {
    let held = cell.scores.iter().find_map(|(_, score)| score.held);
    let held = held.map_or_else(String::new, |held| format!("{:.1}", held.mean));
    print!("{:16} {:>8} {held:>8}", cell.trace, cell.items);
    for (contender, _) in &cell.scores {
        print!(
            " {:>10.2}",
            100.0 * cell.hit_ratio(*contender).unwrap_or(0.0)
        );
    }
    println!("{}", if cell.counts() { "" } else { "  (left out)" });
}

/// The mean over cells, and the worst cell.
struct Summary<'c> {
    reduction: f64,
    worst: f64,
    worst_cell: &'c Cell,
}

impl<'c> Summary<'c> {
    /// The summary of reduction and gain, as `measure` returns them for each cell.
    fn of(cells: &[&'c Cell], measure: impl Fn(&Cell) -> Option<(f64, f64)>) -> Option<Self> {
        let measured: Option<Vec<_>> = cells.iter().map(|cell| measure(cell)).collect();
        let measured = measured?;
        let worst = (0..cells.len()).min_by(|&a, &b| measured[a].1.total_cmp(&measured[b].1))?;
        let sum: f64 = measured.iter().map(|(reduction, _)| reduction).sum();
        Some(Self {
            reduction: sum / cells.len() as f64,
            worst: measured[worst].1,
            worst_cell: cells[worst],
        })
    }

    fn print(&self, name: &str) {
        println!(
            "{name:16} {:>8.2} {:>8.2}   {} at {}",
            100.0 * self.reduction,
            100.0 * self.worst,
            self.worst_cell.trace,
            self.worst_cell.items
        );
    }
}

/// The reference policy with the most hits in this cell, chosen with hindsight.
fn best_reference(cell: &Cell) -> Option<Contender> {
    let references = cell.scores.iter();
    let references = references.filter(|(one, _)| matches!(one, Contender::Reference(_)));
    let best = references.max_by_key(|(_, score)| score.hits);
    best.map(|(contender, _)| *contender)
}

pub(crate) fn print_summary(cells: &[Cell], options: &Options) {
    let counting: Vec<&Cell> = cells.iter().filter(|cell| cell.counts()).collect();
    println!();
    println!(
        "{} cells; {} left out, in which the optimum gains less than 0.2 points on LRU",
        counting.len(),
        cells.len() - counting.len()
    );
    println!("less: mean reduction of LRU's misses in %; worst: least gain on LRU in points");
    println!("{:16} {:>8} {:>8}   where", "policy", "less", "worst");
    let measure = |cell: &Cell, one| Some((cell.reduction(one)?, cell.gain(one)?));
    for &contender in options.contenders.iter().filter(|&&one| one != BASELINE) {
        if let Some(summary) = Summary::of(&counting, |cell| measure(cell, contender)) {
            summary.print(contender.name());
        }
    }
    let is_reference = |one: &&Contender| matches!(one, Contender::Reference(_));
    if options.contenders.iter().filter(is_reference).count() > 1 {
        let best = Summary::of(&counting, |cell| measure(cell, best_reference(cell)?));
        if let Some(summary) = best {
            summary.print("with hindsight");
        }
    }
}

/// Writes a line for each cell and contender.
pub(crate) fn write_csv(path: &Path, cells: &[Cell]) -> io::Result<()> {
    let mut file = io::BufWriter::new(File::create(path)?);
    writeln!(
        file,
        "trace,requests,keys,items,policy,hit_ratio,held_mean,held_max,region_bytes"
    )?;
    for cell in cells {
        for (contender, score) in &cell.scores {
            let ratio = cell.hit_ratio(*contender).unwrap_or(0.0);
            let name = contender.name();
            write!(
                file,
                "{},{},{},{},{name},{ratio:.6},",
                cell.trace, cell.requests, cell.keys, cell.items
            )?;
            match score.held {
                Some(held) => {
                    writeln!(file, "{:.1},{},{}", held.mean, held.max, held.region_size)?;
                }
                None => writeln!(file, ",,")?,
            }
        }
    }
    file.flush()
}
