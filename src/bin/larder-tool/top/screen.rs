//! What the view shows, as widgets.

use super::file::Sample;
use crate::bytes::show;
use indicatif::HumanCount;
use larder::PageOwner;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Gauge, Row, Sparkline, Table};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Hit ratios that are kept.
const HISTORY: usize = 512;
/// A file that was not written for so long belongs to a program that has ended, or waits.
const STALE_MS: u64 = 5000;
/// From this share of the limit on, in percent, the gauge changes its colour.
const HIGH: u32 = 90;

pub(super) struct View {
    path: PathBuf,
    before: Option<Sample>,
    now: Sample,
    /// Hits of 1000 gets, in each interval with gets.
    history: Vec<u64>,
}

impl View {
    pub(super) fn new(path: &Path, now: Sample) -> Self {
        Self {
            path: path.to_owned(),
            before: None,
            now,
            history: Vec::new(),
        }
    }

    /// A later sample; one that was not written since the last one changes nothing.
    pub(super) fn add(&mut self, sample: Sample) {
        if sample.time_ms == self.now.time_ms {
            return;
        }
        let before = std::mem::replace(&mut self.now, sample);
        // Counters that fell are another cache's.
        if gets(&before) > gets(&self.now) || before.process != self.now.process {
            self.before = None;
            self.history.clear();
            return;
        }
        self.before = Some(before);
        if let Some(ratio) = self.recent_ratio() {
            self.history.push((1000.0 * ratio) as u64);
            let older = self.history.len().saturating_sub(HISTORY);
            self.history = self.history.split_off(older);
        }
    }

    /// What a counter grew by in a second; `None` for want of an earlier sample.
    fn rate(&self, of: impl Fn(&Sample) -> u64) -> Option<f64> {
        let before = self.before.as_ref()?;
        let seconds = self.now.time_ms.checked_sub(before.time_ms)? as f64 / 1000.0;
        Some(of(&self.now).saturating_sub(of(before)) as f64 / seconds)
    }

    /// The hit ratio since the last sample; `None` where there was no get.
    fn recent_ratio(&self) -> Option<f64> {
        let (hits, gets) = (self.rate(|sample| sample.stats.hits)?, self.rate(gets)?);
        (gets > 0.0).then(|| hits / gets)
    }

    /// How long ago the file was written, where that is too long.
    fn stale_ms(&self) -> Option<u64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        let age = (now.as_millis() as u64).checked_sub(self.now.time_ms)?;
        Some(age).filter(|age| *age > STALE_MS)
    }
}

fn gets(sample: &Sample) -> u64 {
    sample.stats.hits + sample.stats.misses
}

fn failures(sample: &Sample) -> u64 {
    let stats = &sample.stats;
    stats.failed_no_memory + stats.failed_too_large + stats.failed_busy + stats.failed_corrupt
}

pub(super) fn draw(frame: &mut Frame<'_>, view: &View) {
    let rows = [
        Constraint::Length(2),
        Constraint::Length(3),
        Constraint::Length(3),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Min(4),
        Constraint::Length(1),
    ];
    let [head, memory, hits, counters, owners, history, foot] =
        Layout::vertical(rows).areas(frame.area());
    draw_head(frame, head, view);
    draw_memory(frame, memory, view);
    draw_hits(frame, hits, view);
    draw_counters(frame, counters, view);
    draw_owners(frame, owners, view);
    draw_history(frame, history, view);
    draw_foot(frame, foot, view);
}

fn draw_head(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let (now, stats) = (&view.now, &view.now.stats);
    let ttl = match now.default_ttl_ms {
        0 => "none".to_owned(),
        ms => format!("{} s", ms as f64 / 1000.0),
    };
    let lines = vec![
        Line::from(format!("{}: process {}", view.path.display(), now.process)).bold(),
        Line::from(format!(
            "{:?} policy, {} shards, {} pages of {} bytes, default TTL {ttl}, flags {:#x}",
            stats.policy, stats.shards, stats.page_count, stats.page_size, now.flags
        )),
    ];
    frame.render_widget(ratatui::text::Text::from(lines), area);
}

fn gauge(title: &str, ratio: f64, label: String, color: Color) -> Gauge<'_> {
    let gauge = Gauge::default().block(Block::bordered().title(title));
    gauge
        .gauge_style(Style::new().fg(color))
        .ratio(ratio.clamp(0.0, 1.0))
        .label(label)
}

fn draw_memory(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let stats = &view.now.stats;
    let ratio = stats.total_used as f64 / stats.limit_bytes.max(1) as f64;
    let label = format!(
        "{} of {} ({}%), {} of keys and values",
        show(stats.total_used as f64),
        show(stats.limit_bytes as f64),
        stats.memory_pressure,
        show(stats.payload_bytes as f64)
    );
    let color = if stats.memory_pressure >= HIGH {
        Color::Yellow
    } else {
        Color::Green
    };
    frame.render_widget(gauge("memory", ratio, label, color), area);
}

fn draw_hits(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let all = view.now.stats.hits as f64 / gets(&view.now).max(1) as f64;
    let recent = view.recent_ratio();
    let label = match recent {
        Some(recent) => format!(
            "{:.1}% now, {:.1}% since the start",
            100.0 * recent,
            100.0 * all
        ),
        None => format!("{:.1}% since the start", 100.0 * all),
    };
    frame.render_widget(
        gauge("hits", recent.unwrap_or(all), label, Color::Cyan),
        area,
    );
}

fn draw_counters(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let counter = |name: &'static str, of: &dyn Fn(&Sample) -> u64| {
        let rate = view.rate(of).map_or_else(
            || "-".to_owned(),
            |rate| HumanCount(rate.round() as u64).to_string(),
        );
        [name.to_owned(), HumanCount(of(&view.now)).to_string(), rate]
    };
    let counters = [
        counter("gets", &gets),
        counter("hits", &|sample| sample.stats.hits),
        counter("sets", &|sample| sample.stats.sets),
        counter("deletes", &|sample| sample.stats.deletes),
        counter("evictions", &|sample| sample.stats.evictions),
        counter("expirations", &|sample| sample.stats.expirations),
        counter("items moved", &|sample| sample.stats.items_moved),
        counter("failures", &failures),
    ];
    let (left, right) = counters.split_at(4);
    let rows = left
        .iter()
        .zip(right)
        .map(|(left, right)| Row::new(left.iter().chain(right).cloned()));
    let widths = [12, 16, 14, 12, 16, 14].map(Constraint::Length);
    let head = [
        "counter", "total", "a second", "counter", "total", "a second",
    ];
    let table = Table::new(rows, widths).header(Row::new(head).bold());
    frame.render_widget(table.block(Block::bordered().title("counters")), area);
}

fn draw_owners(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let rows = view.now.owners.iter().map(|owner| {
        let (name, color) = match owner.owner {
            PageOwner::Window => ("window", Color::Yellow),
            PageOwner::Main => ("main", Color::Blue),
            PageOwner::Index => ("index", Color::Green),
            PageOwner::Free => ("free", Color::Gray),
        };
        let numbers = [
            owner.pages,
            owner.items,
            owner.live_bytes,
            owner.dead_bytes,
            owner.free_bytes,
            owner.evictions,
        ];
        let numbers = numbers.map(|number| HumanCount(number).to_string());
        Row::new([name.to_owned()].into_iter().chain(numbers)).style(Style::new().fg(color))
    });
    let widths = [8, 10, 12, 16, 14, 14, 14].map(Constraint::Length);
    let head = [
        "owner",
        "pages",
        "items",
        "live bytes",
        "dead bytes",
        "free bytes",
        "evicted",
    ];
    let table = Table::new(rows, widths).header(Row::new(head).bold());
    frame.render_widget(table.block(Block::bordered().title("owners")), area);
}

fn draw_history(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let width = usize::from(area.width.saturating_sub(2));
    let recent = &view.history[view.history.len().saturating_sub(width)..];
    let line = Sparkline::default()
        .data(recent)
        .max(1000)
        .style(Style::new().fg(Color::Cyan));
    frame.render_widget(
        line.block(Block::bordered().title("hits over time, 0 to 100%")),
        area,
    );
}

fn draw_foot(frame: &mut Frame<'_>, area: Rect, view: &View) {
    let line = match view.stale_ms() {
        Some(age) => Line::from(format!(
            "not written for {} s: has the program ended?",
            age / 1000
        ))
        .yellow(),
        None => Line::from("q ends"),
    };
    frame.render_widget(line, area);
}
