//! Colours, each in a light and in a dark form. Pictures are drawn in the light one; a page sets the other.
//!
//! Lines and areas differ in lightness too, so that colour-blind readers tell them apart.

use plotters::style::RGBColor;
use std::fmt::Write;

pub(crate) struct Color {
    /// Of the variable in a page's style.
    name: &'static str,
    /// No two are the same: a page knows a colour by it.
    pub(crate) light: RGBColor,
    dark: RGBColor,
}

const fn color(name: &'static str, light: (u8, u8, u8), dark: (u8, u8, u8)) -> Color {
    Color {
        name,
        light: RGBColor(light.0, light.1, light.2),
        dark: RGBColor(dark.0, dark.1, dark.2),
    }
}

pub(crate) const PAPER: Color = color("paper", (255, 255, 255), (24, 26, 30));
pub(crate) const INK: Color = color("ink", (38, 40, 44), (226, 228, 232));
pub(crate) const GRID: Color = color("grid", (221, 222, 224), (62, 65, 72));
pub(crate) const LARDER: Color = color("larder", (200, 40, 30), (255, 110, 95));
pub(crate) const LRU: Color = color("lru", (0, 114, 178), (90, 180, 240));
pub(crate) const OPTIMUM: Color = color("optimum", (122, 124, 128), (160, 163, 170));
pub(crate) const ADVICE: Color = color("advice", (112, 52, 140), (206, 150, 235));
pub(crate) const WINDOW: Color = color("window", (230, 150, 0), (240, 175, 50));
pub(crate) const MAIN: Color = color("main", (0, 105, 165), (80, 165, 225));
pub(crate) const INDEX: Color = color("index", (0, 135, 100), (60, 190, 150));
pub(crate) const FREE: Color = color("free", (200, 202, 206), (84, 88, 96));

const ALL: [&Color; 11] = [
    &PAPER, &INK, &GRID, &LARDER, &LRU, &OPTIMUM, &ADVICE, &WINDOW, &MAIN, &INDEX, &FREE,
];

fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

impl Color {
    /// The value of a property in a page's style.
    pub(crate) fn variable(&self) -> String {
        format!("var(--{})", self.name)
    }
}

/// The variables of a page's style.
pub(crate) fn style() -> String {
    let variables = |of: fn(&Color) -> RGBColor| {
        ALL.iter().fold(String::new(), |mut text, color| {
            // Writing to a string does not fail.
            let _ = write!(text, "--{}:{};", color.name, hex(of(color)));
            text
        })
    };
    let (light, dark) = (variables(|one| one.light), variables(|one| one.dark));
    format!(
        ":root{{color-scheme:light dark;{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}"
    )
}

/// A picture whose colours are the page's variables.
pub(crate) fn themed(svg: &str) -> String {
    ALL.iter().fold(svg.to_owned(), |svg, color| {
        let quoted = format!("\"{}\"", hex(color.light));
        svg.replace(&quoted, &format!("\"{}\"", color.variable()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_colours_are_the_same() {
        for (at, one) in ALL.iter().enumerate() {
            assert!(
                ALL[..at].iter().all(|other| other.light != one.light),
                "{}",
                one.name
            );
        }
    }

    #[test]
    fn every_colour_of_a_picture_becomes_a_variable() {
        let svg = "<rect fill=\"#FFFFFF\"/><text fill=\"#26282C\">#FFFFFF</text>";
        let themed = themed(svg);
        assert_eq!(
            themed,
            "<rect fill=\"var(--paper)\"/><text fill=\"var(--ink)\">#FFFFFF</text>"
        );
        assert!(style().contains("--ink:#E2E4E8;"));
    }
}
