//! Charts as inline SVG. Colours and fonts come from the page's style sheet, so that charts follow the light or dark theme.

mod areas;
mod estimates;
mod lines;
mod points;

pub(super) use areas::stacked_areas;
pub(super) use estimates::{Estimate, estimates};
pub(super) use lines::{Line, lines};
use maud::{Markup, html};
pub(super) use points::{Group, points};

use crate::scale::Scale;

/// Number of series colours in the style sheet.
pub(super) const COLOURS: usize = 8;

/// Width of a chart in SVG units. It is small, so that text of 12 units is readable on a phone.
const WIDTH: f64 = 440.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 42.0;
const HEIGHT: f64 = 270.0;

/// The axes of a chart.
pub(super) struct Frame<'a> {
    /// Text alternative for screen readers.
    pub(super) about: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) x_title: &'a str,
    pub(super) y_title: &'a str,
    /// Height in SVG units; charts are 440 units wide.
    pub(super) height: f64,
}

impl<'a> Frame<'a> {
    /// Axes of the default height.
    pub(super) fn new(about: String, (x_title, x): (&'a str, Scale), (y_title, y): (&'a str, Scale)) -> Self {
        Self { about, x, y, x_title, y_title, height: HEIGHT }
    }

    /// Position of a point in SVG units.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT),
            self.height - BOTTOM - self.y.share(y) * (self.height - TOP - BOTTOM),
        )
    }

    /// SVG path commands through the points.
    fn path(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for point in points {
            let (x, y) = self.place(point);
            path += if path.is_empty() { "M" } else { "L" };
            path += &format!("{x:.1} {y:.1}");
        }
        path
    }

    /// Draws the axes, with `marks` on top.
    fn draw(&self, marks: Markup) -> Markup {
        let (left, low) = (self.x.ends().0, self.y.ends().0);
        let (right, bottom) = (WIDTH - RIGHT, self.height - BOTTOM);
        let middle = ((LEFT + right) / 2.0, (TOP + bottom) / 2.0);
        html! {
            svg class="chart" viewBox={ "0 0 " (WIDTH) " " (self.height) } role="img" aria-label=(self.about) {
                g class="grid" {
                    @for tick in self.y.ticks() {
                        @let (_, y) = self.place((left, tick));
                        line x1=(LEFT) x2=(right) y1=(tenth(y)) y2=(tenth(y)) {}
                        text class="tick end" x=(LEFT - 6.0) y=(tenth(y + 4.0)) { (self.y.label(tick)) }
                    }
                    @for tick in self.x.ticks() {
                        @let (x, _) = self.place((tick, low));
                        line x1=(tenth(x)) x2=(tenth(x)) y1=(TOP) y2=(bottom) {}
                        text class="tick middle" x=(tenth(x)) y=(bottom + 16.0) { (self.x.label(tick)) }
                    }
                }
                (marks)
                text class="axis middle" x=(middle.0) y=(self.height - 6.0) { (self.x_title) }
                text class="axis middle" transform={ "translate(12 " (middle.1) ") rotate(-90)" } { (self.y_title) }
            }
        }
    }
}

/// Symbol of a legend entry.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Area,
    Line,
}

/// A legend of colours and dash patterns.
pub(super) fn legend<'a>(key: Key, entries: impl IntoIterator<Item = (String, &'a str)>) -> Markup {
    let key = match key {
        Key::Area => "swatch",
        Key::Line => "stroke",
    };
    html! {
        ul class="legend" {
            @for (class, label) in entries {
                li { span class={ (key) " " (class) } aria-hidden="true" {} (label) }
            }
        }
    }
}

/// CSS class of the colour of series `i`.
pub(super) fn colour(i: usize) -> String {
    format!("s{}", i % COLOURS)
}

fn tenth(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}
