//! The memory map over time: a row for a page, a column for each look.

use super::Look;
use crate::Result;
use crate::chart::{FONT, LABEL, use_font};
use crate::palette::{Color, FREE, INDEX, INK, MAIN, PAPER, WINDOW};
use indicatif::HumanCount;
use larder::{PageInfo, PageOwner};
use plotters::prelude::*;
use plotters::style::Color as _;

/// Of a larger region, as many pages at equal distances.
pub(super) const ROWS: u32 = 128;
/// Pixels of the map, about; and around it.
const MAP: (u32, u32) = (760, 400);
const MARGIN: u32 = 14;
const LEFT: u32 = 80;
const RIGHT: u32 = 60;
const TOP: u32 = 14;
const BOTTOM: u32 = 64;
/// Steps of the share of live bytes that are told apart.
const LEVELS: u32 = 4;

pub(super) fn color_of(owner: PageOwner) -> &'static Color {
    match owner {
        PageOwner::Window => &WINDOW,
        PageOwner::Main => &MAIN,
        PageOwner::Index => &INDEX,
        PageOwner::Free => &FREE,
    }
}

/// A page at one time: its owner, and how much of it lives, from 1 to `LEVELS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    owner: PageOwner,
    level: u32,
}

impl Cell {
    fn of(page: &PageInfo) -> Self {
        let level = match page.owner {
            PageOwner::Free => LEVELS,
            _ => (page.live * LEVELS).div_ceil(page.granules.max(1)),
        };
        Self {
            owner: page.owner,
            level: level.clamp(1, LEVELS),
        }
    }

    fn style(self) -> ShapeStyle {
        let strength = f64::from(self.level) / f64::from(LEVELS);
        color_of(self.owner).light.mix(strength).filled()
    }
}

/// Cells of a row that are the same, one behind the other: from, to, cell.
fn runs(row: impl Iterator<Item = Cell>) -> Vec<(usize, usize, Cell)> {
    let mut runs: Vec<(usize, usize, Cell)> = Vec::new();
    for (at, cell) in row.enumerate() {
        match runs.last_mut() {
            Some((_, to, last)) if *last == cell => *to = at + 1,
            _ => runs.push((at, at + 1, cell)),
        }
    }
    runs
}

/// The largest unit of which the region has a few, and its name.
fn unit(memory: f64) -> (f64, &'static str) {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let mut units = units
        .map(|(shift, name)| (f64::from(1 << shift), name))
        .into_iter();
    units
        .find(|(bytes, _)| memory >= 4.0 * bytes)
        .unwrap_or((1.0, "bytes"))
}

/// The nearest multiple of `count`: rows and columns of whole pixels leave no gaps.
fn pixels(about: u32, count: usize) -> u32 {
    let count = count.max(1) as u32;
    (about / count).max(1) * count
}

/// The map as SVG; the region has `memory` bytes.
pub(super) fn svg(looks: &[Look], memory: usize) -> Result<String> {
    use_font();
    let (columns, rows) = (looks.len(), looks[0].pages.len());
    let requests = looks[columns - 1].requests as f64;
    let (unit, unit_name) = unit(memory as f64);
    let top = memory as f64 / unit;
    let mut text = String::new();
    let (width, height) = (pixels(MAP.0, columns), pixels(MAP.1, rows));
    let size = (LEFT + width + RIGHT, TOP + height + BOTTOM);
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    area.fill(&PAPER.light)?;
    let label = (FONT, LABEL).into_font().color(&INK.light);
    let mut chart = ChartBuilder::on(&area)
        .margin_top(TOP)
        .margin_left(MARGIN)
        .margin_right(RIGHT)
        .margin_bottom(MARGIN)
        .x_label_area_size(BOTTOM - MARGIN)
        .y_label_area_size(LEFT - MARGIN)
        .build_cartesian_2d(0.0..requests, 0.0..top)?;
    let corner = |column: usize, row: usize| {
        let place = |n: usize, of: usize, all: f64| n as f64 / of as f64 * all;
        (place(column, columns, requests), place(row, rows, top))
    };
    for row in 0..rows {
        let runs = runs(looks.iter().map(|look| Cell::of(&look.pages[row])));
        chart.draw_series(runs.into_iter().map(|(from, to, cell)| {
            Rectangle::new([corner(from, row), corner(to, row + 1)], cell.style())
        }))?;
    }
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(INK.light)
        .x_desc("requests")
        .y_desc(format!("{unit_name} of the region"))
        .x_labels(7)
        .y_labels(6)
        .x_label_formatter(&|requests| HumanCount(*requests as u64).to_string())
        .y_label_formatter(&|bytes| format!("{bytes}"))
        .axis_desc_style(label.clone())
        .label_style(label)
        .draw()?;
    area.present()?;
    drop(chart);
    drop(area);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(owner: PageOwner, live: u32) -> PageInfo {
        let mut page = PageInfo::default();
        (page.owner, page.live, page.granules, page.touched) = (owner, live, 100, true);
        page
    }

    #[test]
    fn the_more_lives_the_stronger_the_colour() {
        let level = |live| Cell::of(&page(PageOwner::Main, live)).level;
        assert_eq!([0, 1, 25, 26, 100].map(level), [1, 1, 1, 2, 4]);
        assert_eq!(Cell::of(&page(PageOwner::Free, 0)).level, LEVELS);
    }

    #[test]
    fn same_cells_are_one_run() {
        let [a, b] = [1, 2].map(|level| Cell {
            owner: PageOwner::Main,
            level,
        });
        assert_eq!(
            runs([a, a, b, a].into_iter()),
            [(0, 2, a), (2, 3, b), (3, 4, a)]
        );
    }

    #[test]
    fn a_region_has_a_few_of_its_unit() {
        let names = [1000.0, 5000.0, 4e6, 5e6, 5e9].map(|memory| unit(memory).1);
        assert_eq!(names, ["bytes", "KiB", "KiB", "MiB", "GiB"]);
    }
}
