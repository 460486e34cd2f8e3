//! Hit ratio over cache size, a line for each policy, as SVG.

use crate::cache::Policy;
use crate::contender::{BASELINE, Contender};
use crate::grid::Cell;
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

const SIZE: (u32, u32) = (900, 560);
const FONT: &str = "sans-serif";
/// The colours of M. Okabe and K. Ito, which colour-blind readers can distinguish.
const COLORS: [RGBColor; 6] = [
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 158, 115),
    RGBColor(140, 90, 40),
    RGBColor(0, 114, 178),
    RGBColor(204, 121, 167),
];

/// Writes `DIRECTORY/TRACE.svg` from the cells of one trace.
pub(crate) fn write(directory: &Path, cells: &[Cell]) -> Result<(), Box<dyn Error>> {
    let Some((first, last)) = cells.first().zip(cells.last()) else {
        return Ok(());
    };
    std::fs::create_dir_all(directory)?;
    let path = directory.join(format!("{}.svg", first.trace));
    let area = SVGBackend::new(&path, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let sizes = first.items as f64 * 0.9..last.items as f64 * 1.1;
    let mut chart = ChartBuilder::on(&area)
        .caption(&first.trace, (FONT, 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(56)
        .build_cartesian_2d(sizes.log_scale(), 0.0..top(cells))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("items")
        .y_desc("hit ratio, %")
        .x_label_formatter(&|items| format!("{items:.0}"))
        .label_style((FONT, 13))
        .draw()?;
    for (number, (contender, _)) in first.scores.iter().enumerate() {
        let style = style_of(*contender, number);
        let points: Vec<_> = cells.iter().filter_map(|c| point(c, *contender)).collect();
        let dots = points.iter().map(|&at| Circle::new(at, 3, style.filled()));
        chart.draw_series(dots)?;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(contender.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.2))
        .label_font((FONT, 13))
        .draw()?;
    area.present()?;
    Ok(())
}

fn point(cell: &Cell, contender: Contender) -> Option<(f64, f64)> {
    Some((cell.items as f64, 100.0 * cell.hit_ratio(contender)?))
}

/// The top of the axis: a little above the highest point.
fn top(cells: &[Cell]) -> f64 {
    let points = cells.iter().flat_map(|cell| {
        let all = cell.scores.iter();
        all.filter_map(|(contender, _)| point(cell, *contender))
    });
    points.fold(1.0, |top: f64, (_, ratio)| top.max(ratio * 1.05))
}

/// Larder's lines are thick; LRU and the optimum, the usual bounds, are black and grey.
fn style_of(contender: Contender, number: usize) -> ShapeStyle {
    match contender {
        BASELINE => BLACK.stroke_width(1),
        Contender::Optimum => RGBColor(150, 150, 150).stroke_width(1),
        Contender::Reference(_) => COLORS[number % COLORS.len()].stroke_width(1),
        Contender::Larder(Policy::Default) => RGBColor(213, 40, 30).stroke_width(3),
        Contender::Larder(Policy::Lru) => RGBColor(90, 90, 90).stroke_width(2),
    }
}
