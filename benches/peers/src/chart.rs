//! Groups of bars, one bar for each cache.

use plotters::prelude::*;
use std::error::Error;
use std::path::Path;

/// A title, and a bar's height for each cache.
pub struct Panel {
    pub title: String,
    pub bars: Vec<f64>,
}

/// The chart's width and the height of a row of panels in pixels, and the panels of a row.
const WIDTH: u32 = 1_080;
const ROW: u32 = 210;
const COLUMNS: usize = 3;

pub fn draw(path: &Path, names: &[&str], panels: &[Panel]) -> Result<(), Box<dyn Error>> {
    let rows = panels.len().div_ceil(COLUMNS);
    let root = SVGBackend::new(path, (WIDTH, ROW * rows as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((rows, COLUMNS));
    for (panel, area) in panels.iter().zip(&areas) {
        draw_panel(area, names, panel)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    names: &[&str],
    panel: &Panel,
) -> Result<(), Box<dyn Error>> {
    let top = panel.bars.iter().copied().fold(0.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .y_label_area_size(40)
        .build_cartesian_2d((0..names.len() - 1).into_segmented(), 0.0..top)?;
    let label = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(i) => names.get(*i).copied().unwrap_or("").to_owned(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(5)
        .x_label_formatter(&label)
        .label_style(("sans-serif", 10))
        .draw()?;
    let bars = panel.bars.iter().enumerate().map(|(i, &height)| {
        let color = if i == 0 {
            BLUE.mix(0.8)
        } else {
            BLACK.mix(0.35)
        };
        let (from, to) = (SegmentValue::Exact(i), SegmentValue::Exact(i + 1));
        let mut bar = Rectangle::new([(from, 0.0), (to, height)], color.filled());
        bar.set_margin(0, 0, 6, 6);
        bar
    });
    chart.draw_series(bars)?;
    Ok(())
}
