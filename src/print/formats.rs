//! The three formats, each a walk over the sections' rows.

use super::Snapshot;
use super::rows::{Row, Section};
use super::writer::Writer;

/// Width of the names in the text, and of its figures.
const NAME_WIDTH: usize = 26;
const FIGURE_WIDTH: usize = 14;

/// A heading for each section, and a line for each row: its name, its figures, its help.
pub(super) fn text<'s>(
    snapshot: &Snapshot,
    sections: impl Iterator<Item = &'s Section>,
    out: &mut Writer<'_>,
) {
    for section in sections {
        if section.is_list() {
            out.text_left(section.name, NAME_WIDTH);
            for subject in section.subjects {
                out.text_right(subject, FIGURE_WIDTH);
            }
        } else {
            out.text(section.name);
        }
        out.text("\n");
        for row in section.rows {
            out.text("  ");
            out.text_left(row.name, NAME_WIDTH - 2);
            for subject in 0..section.subjects.len() {
                out.number_right(snapshot.figure(row, subject), 0, FIGURE_WIDTH);
            }
            out.text("  ");
            out.text(row.help);
            out.text("\n");
        }
    }
}

/// An object with a member for each section: an object, or where the section has names of subjects, a list of them.
pub(super) fn json<'s>(
    snapshot: &Snapshot,
    sections: impl Iterator<Item = &'s Section>,
    out: &mut Writer<'_>,
) {
    let mut before = "{\"";
    for section in sections {
        out.text(before);
        out.text(section.name);
        out.text(if section.is_list() { "\":[" } else { "\":" });
        for (subject, name) in section.subjects.iter().enumerate() {
            let mut before = if subject == 0 { "{\"" } else { ",{\"" };
            if section.is_list() {
                out.text(before);
                out.text("name\":\"");
                out.text(name);
                out.text("\"");
                before = ",\"";
            }
            for row in section.rows {
                out.text(before);
                out.text(row.name);
                out.text("\":");
                out.number(snapshot.figure(row, subject), 0);
                before = ",\"";
            }
            out.text("}");
        }
        out.text(if section.is_list() { "]" } else { "" });
        before = ",\"";
    }
    out.text("}\n");
}

/// A family for each run of rows with the same metric: HELP, TYPE, and a sample for each row and subject.
pub(super) fn prometheus<'s>(
    snapshot: &Snapshot,
    sections: impl Iterator<Item = &'s Section>,
    out: &mut Writer<'_>,
) {
    for section in sections {
        let mut family = "";
        for row in section.rows {
            if row.metric.name != family {
                family = row.metric.name;
                prometheus_head(row, out);
            }
            for (subject, name) in section.subjects.iter().enumerate() {
                out.text("larder_");
                out.text(family);
                prometheus_label(section.label, name, out);
                prometheus_label(row.metric.label.0, row.metric.label.1, out);
                out.text(" ");
                out.number(snapshot.figure(row, subject), row.metric.decimals);
                out.text("\n");
            }
        }
    }
}

fn prometheus_head(row: &Row, out: &mut Writer<'_>) {
    let is_counter = row.metric.name.ends_with("_total");
    out.text("# HELP larder_");
    out.text(row.metric.name);
    out.text(" ");
    out.text(if row.metric.help.is_empty() {
        row.help
    } else {
        row.metric.help
    });
    out.text("\n# TYPE larder_");
    out.text(row.metric.name);
    out.text(if is_counter { " counter\n" } else { " gauge\n" });
}

/// A row has its own label, or its section's, or none.
fn prometheus_label(name: &str, value: &str, out: &mut Writer<'_>) {
    if !name.is_empty() {
        out.text("{");
        out.text(name);
        out.text("=\"");
        out.text(value);
        out.text("\"}");
    }
}
