//! The page: one file, without scripts, in the reader's light or dark colours.

use super::{Report, map, words};
use crate::bytes::show;
use crate::palette::{self, themed};
use crate::{Result, chart};
use indicatif::HumanCount;
use larder::{OwnerStats, PageOwner};
use std::fmt::Write;

const STYLE: &str = "
body{margin:0 auto;padding:1.5rem;max-width:58rem;background:var(--paper);color:var(--ink)}
body{font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.15rem;margin:2rem 0 .25rem}
svg{display:block;width:100%;min-width:40rem;height:auto}
.wide{overflow-x:auto}
svg rect{shape-rendering:crispEdges}
table{border-collapse:collapse;width:100%}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--grid);font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left;white-space:nowrap}
.advice{font-size:1.15rem;border-left:.3rem solid var(--larder);padding-left:.8rem;margin:1rem 0}
.key{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:.15em}
.bar{display:flex;height:1.4rem;border-radius:.2rem;overflow:hidden;margin:.5rem 0}
.dead{opacity:.35}
";

pub(super) fn html(report: &Report) -> Result<String> {
    let name = escape(&report.curve.name);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{name}: larder report</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<style>\n{}{STYLE}</style>\n<h1>{name}</h1>\n",
        palette::style()
    );
    let advice = words::advice(report).join(" ");
    writeln!(
        page,
        "<p>{} requests for {} keys.</p>",
        HumanCount(report.requests as u64),
        HumanCount(report.keys as u64)
    )?;
    writeln!(page, "<p class=\"advice\">{}</p>", escape(&advice))?;
    let curve = chart::svg(&report.curve, "")?;
    section(
        &mut page,
        "Hit ratio over memory",
        &curve_text(report),
        &figure(&curve, "Hit ratio over memory"),
    )?;
    let picture = map::svg(&report.looks, report.memory)?;
    let map = format!(
        "{}{}",
        key(),
        figure(&picture, "Owners of the region's bytes over time")
    );
    section(&mut page, "Memory over time", &map_text(report), &map)?;
    section(
        &mut page,
        "Owners at the end",
        &owners_text(report),
        &owners(report)?,
    )?;
    section(&mut page, "Counted", "", &counters(report)?)?;
    page.push_str("</html>\n");
    Ok(page)
}

fn section(page: &mut String, title: &str, text: &str, content: &str) -> Result<()> {
    writeln!(page, "<h2>{title}</h2>\n<p>{text}</p>\n{content}")?;
    Ok(())
}

fn figure(svg: &str, label: &str) -> String {
    let svg = themed(svg);
    svg.replacen(
        "<svg ",
        &format!("<svg role=\"img\" aria-label=\"{label}\" "),
        1,
    )
}

fn curve_text(report: &Report) -> String {
    let optimum = if report.curve.is_of_one_size {
        "The optimum is Belady's rule, which knows the future"
    } else {
        "Belady's rule knows the future; with items of several sizes it is near the optimum"
    };
    format!(
        "Each point is a replay of the whole trace, from an empty cache. {optimum}. It and exact LRU hold as many \
         bytes of keys and values as larder does."
    )
}

fn map_text(report: &Report) -> String {
    format!(
        "The {} of the region, from bottom to top, in the course of the trace{}. The stronger a colour, the more of \
         the bytes live.",
        show(report.memory as f64),
        if report.outcome.stats.page_count > map::ROWS {
            ", by a sample of its pages"
        } else {
            ""
        }
    )
}

fn owners_text(report: &Report) -> String {
    let stats = &report.outcome.stats;
    let payload = 100.0 * stats.payload_bytes as f64 / stats.region_bytes.max(1) as f64;
    format!(
        "{payload:.1}% of the region are keys and values. In the bar, pale parts are dead bytes, which are used again."
    )
}

const fn name_of(owner: PageOwner) -> &'static str {
    match owner {
        PageOwner::Window => "window (new items)",
        PageOwner::Main => "main (proven items)",
        PageOwner::Index => "index",
        PageOwner::Free => "free",
    }
}

fn swatch(owner: PageOwner) -> String {
    let color = map::color_of(owner).variable();
    format!(
        "<span class=\"key\" style=\"background:{color}\"></span>{}",
        name_of(owner)
    )
}

fn key() -> String {
    let names = PageOwner::ALL.map(|owner| {
        format!(
            "<span style=\"margin-right:1.2em;white-space:nowrap\">{}</span>",
            swatch(owner)
        )
    });
    format!("<p>{}</p>\n", names.join("\n"))
}

/// A bar of the region, and a table.
fn owners(report: &Report) -> Result<String> {
    let mut text = "<div class=\"bar\">".to_owned();
    for owner in &report.owners {
        let color = map::color_of(owner.owner).variable();
        for (class, bytes) in bar_parts(owner) {
            write!(
                text,
                "<div class=\"{class}\" style=\"flex:{bytes} 0 0;background:{color}\"></div>"
            )?;
        }
    }
    text.push_str(
        "</div>\n<div class=\"wide\"><table>\n<tr><th>owner<th>pages<th>items<th>live bytes<th>dead bytes\
         <th>free bytes<th>evicted\n",
    );
    for owner in &report.owners {
        writeln!(
            text,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            swatch(owner.owner),
            HumanCount(owner.pages),
            HumanCount(owner.items),
            HumanCount(owner.live_bytes),
            HumanCount(owner.dead_bytes),
            HumanCount(owner.free_bytes),
            HumanCount(owner.evictions)
        )?;
    }
    text.push_str("</table></div>");
    Ok(text)
}

/// The parts of an owner in the bar: a class of the style, and bytes.
fn bar_parts(owner: &OwnerStats) -> [(&'static str, u64); 2] {
    [
        ("live", owner.live_bytes + owner.free_bytes),
        ("dead", owner.dead_bytes),
    ]
}

fn counters(report: &Report) -> Result<String> {
    let (outcome, stats) = (&report.outcome, &report.outcome.stats);
    let mut text = "<table>\n".to_owned();
    for (name, number) in [
        ("gets", outcome.gets),
        ("hits", outcome.hits),
        ("sets", stats.sets),
        ("evictions", stats.evictions),
        ("expirations", stats.expirations),
        ("deletes", stats.deletes),
        ("items held", stats.item_count),
        ("bytes of keys and values", stats.payload_bytes),
        ("bytes of headers, index, tables", stats.overhead_bytes),
        ("sets of items that are too large", outcome.too_large),
    ] {
        writeln!(text, "<tr><td>{name}<td>{}", HumanCount(number))?;
    }
    let percent = 100.0 * outcome.byte_hit_ratio();
    writeln!(
        text,
        "<tr><td>hit ratio of bytes<td>{percent:.1}%\n</table>"
    )?;
    Ok(text)
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
