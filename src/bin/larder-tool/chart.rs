//! Hit ratio over memory, as SVG and PNG.

use crate::curve::{Curve, Point};
use crate::palette::{ADVICE, GRID, INK, LARDER, LRU, OPTIMUM, PAPER};
use crate::{Result, bytes};
use plotters::coord::Shift;
use plotters::coord::combinators::LogCoord;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::path::Path;
use std::sync::Once;

pub(crate) const SIZE: (u32, u32) = (900, 540);
pub(crate) const FONT: &str = "sans-serif";
/// Sizes of labels and titles.
pub(crate) const LABEL: u32 = 18;
const TITLE: u32 = 22;
/// A bitmap has twice the pixels, for screens that have them.
const BITMAP_SCALE: u32 = 2;

/// SVG or PNG?
enum Kind {
    Svg,
    Png,
}

fn kind_of(file: &Path) -> Option<Kind> {
    match file.extension()?.to_str()? {
        "svg" => Some(Kind::Svg),
        "png" => Some(Kind::Png),
        _ => None,
    }
}

/// An error where no picture can have that name.
pub(crate) fn check_name(file: &Path) -> Result<()> {
    let known = kind_of(file).map(|_| ());
    known.ok_or_else(|| format!("{}: a picture's name ends in .svg or .png", file.display()).into())
}

/// Writes a picture of a curve.
pub(crate) fn write(file: &Path, curve: &Curve) -> Result<()> {
    let picture = match kind_of(file) {
        Some(Kind::Png) => png(curve)?,
        _ => svg(curve, &title_of(curve))?.into_bytes(),
    };
    std::fs::write(file, picture).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// A curve as SVG, under a title where there is one.
pub(crate) fn svg(curve: &Curve, title: &str) -> Result<String> {
    let mut text = String::new();
    draw(
        &SVGBackend::with_string(&mut text, SIZE).into_drawing_area(),
        curve,
        title,
        1,
    )?;
    Ok(text)
}

fn png(curve: &Curve) -> Result<Vec<u8>> {
    let size = (SIZE.0 * BITMAP_SCALE, SIZE.1 * BITMAP_SCALE);
    let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
    let area = BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area();
    draw(&area, curve, &title_of(curve), BITMAP_SCALE)?;
    drop(area);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

/// The typeface in which text is measured, and drawn in bitmaps.
pub(crate) fn use_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Refused only where the bytes are no typeface; then drawing says so.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

pub(crate) type Area<B> = DrawingArea<B, Shift>;

fn title_of(curve: &Curve) -> String {
    format!("{}: hit ratio over memory", curve.name)
}

type Chart<'a, B> = ChartContext<'a, B, Cartesian2d<LogCoord<f64>, RangedCoordf64>>;

/// Lengths are in pixels of SVG; a bitmap has `scale` times as many.
fn draw<B>(area: &Area<B>, curve: &Curve, title: &str, scale: u32) -> Result<()>
where
    B: DrawingBackend,
    B::ErrorType: 'static,
{
    use_font();
    area.fill(&PAPER.light)?;
    let label = (FONT, LABEL * scale).into_font().color(&INK.light);
    let last = &curve.points[curve.points.len() - 1];
    let memory = curve.points[0].memory as f64..last.memory as f64;
    let mut builder = ChartBuilder::on(area);
    if !title.is_empty() {
        let style = (FONT, TITLE * scale).into_font().color(&INK.light);
        builder.caption(title, style);
    }
    let mut chart = builder
        .margin(14 * scale)
        .margin_right(44 * scale)
        .x_label_area_size(50 * scale)
        .y_label_area_size(58 * scale)
        .build_cartesian_2d(memory.log_scale().base(2.0), 0.0..top(curve))?;
    chart
        .configure_mesh()
        .axis_style(INK.light)
        .bold_line_style(GRID.light)
        .light_line_style(PAPER.light)
        .x_labels(9)
        .x_desc("memory")
        .y_desc("hits, % of gets")
        .x_label_formatter(&|memory| bytes::show(*memory))
        .y_label_formatter(&|percent| format!("{percent:.0}"))
        .axis_desc_style(label.clone())
        .label_style(label.clone())
        .draw()?;
    draw_lines(&mut chart, curve, scale)?;
    draw_advice(&mut chart, curve, scale)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .legend_area_size(26 * scale)
        .margin(12 * scale)
        .background_style(PAPER.light)
        .border_style(GRID.light)
        .label_font(label)
        .draw()?;
    area.present()?;
    Ok(())
}

fn draw_lines<B>(chart: &mut Chart<'_, B>, curve: &Curve, scale: u32) -> Result<()>
where
    B: DrawingBackend,
    B::ErrorType: 'static,
{
    for line in lines(curve) {
        let style = line.color.stroke_width(line.width * scale);
        let points = curve.points.iter();
        let points = points.map(|point| (point.memory as f64, 100.0 * (line.ratio)(point)));
        chart
            .draw_series(LineSeries::new(points.clone(), style))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18 * scale as i32, y)], style));
        let dot = (line.width + 1) * scale;
        chart.draw_series(points.map(|at| Circle::new(at, dot, line.color.filled())))?;
    }
    Ok(())
}

/// Crosses, where a cache has predicted.
fn draw_advice<B>(chart: &mut Chart<'_, B>, curve: &Curve, scale: u32) -> Result<()>
where
    B: DrawingBackend,
    B::ErrorType: 'static,
{
    let Some((_, advice)) = curve.advice() else {
        return Ok(());
    };
    let style = ADVICE.light.stroke_width(2 * scale);
    let cross = |at| Cross::new(at, 6 * scale, style);
    let points = advice.map(|(memory, ratio)| (memory, 100.0 * ratio));
    chart
        .draw_series(points.map(cross))?
        .label("advised")
        .legend(move |(x, y)| Cross::new((x + 9 * scale as i32, y), 6 * scale, style));
    Ok(())
}

struct Line {
    name: &'static str,
    color: RGBColor,
    width: u32,
    ratio: fn(&Point) -> f64,
}

fn lines(curve: &Curve) -> [Line; 3] {
    let line = |name, color, width, ratio| Line {
        name,
        color,
        width,
        ratio,
    };
    [
        line(curve.optimum_name(), OPTIMUM.light, 2, |point| {
            point.optimum
        }),
        line("exact LRU", LRU.light, 2, |point| point.lru),
        line("larder", LARDER.light, 3, |point| point.larder),
    ]
}

/// The highest point, and a little air, in percent.
fn top(curve: &Curve) -> f64 {
    let ratios = curve
        .points
        .iter()
        .map(|point| point.optimum.max(point.larder));
    (105.0 * ratios.fold(0.01, f64::max)).min(100.0)
}
