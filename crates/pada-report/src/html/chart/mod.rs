//! Charts as SVG inside a page. Colours and letters come from the page's style sheet, so that both themes fit.

mod areas;
mod estimates;
mod lines;
mod points;
mod scale;

pub(super) use areas::stacked_areas;
pub(super) use estimates::{Estimate, estimates};
pub(super) use lines::{Line, lines};
use maud::{Markup, html};
pub(super) use points::{Group, points};
pub(super) use scale::Scale;

/// How many colours the style sheet has for series.
pub(super) const COLOURS: usize = 8;

/// Units of a chart's width. Small, so that letters of 12 units can be read where a chart fills the width of a phone.
const WIDTH: f64 = 440.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 42.0;
const HEIGHT: f64 = 270.0;

/// The axes of a chart.
pub(super) struct Frame<'a> {
    /// What a chart shows, for those who do not see it.
    pub(super) about: String,
    pub(super) x: Scale,
    pub(super) y: Scale,
    pub(super) x_title: &'a str,
    pub(super) y_title: &'a str,
    /// Units; charts are 440 wide.
    pub(super) height: f64,
}

impl<'a> Frame<'a> {
    /// Of the usual height.
    pub(super) fn new(about: String, (x_title, x): (&'a str, Scale), (y_title, y): (&'a str, Scale)) -> Self {
        Self { about, x, y, x_title, y_title, height: HEIGHT }
    }

    /// Where a point lies, in units.
    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (
            LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT),
            self.height - BOTTOM - self.y.share(y) * (self.height - TOP - BOTTOM),
        )
    }

    /// `M` and `L` commands through points.
    fn path(&self, points: impl IntoIterator<Item = (f64, f64)>) -> String {
        let mut path = String::new();
        for point in points {
            let (x, y) = self.place(point);
            path += if path.is_empty() { "M" } else { "L" };
            path += &format!("{x:.1} {y:.1}");
        }
        path
    }

    /// The chart: axes, and `marks` over them.
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

/// What a legend shows beside a label.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Area,
    Line,
}

/// What colours and dashes mean.
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

/// The class that gives series `i` its colour.
pub(super) fn colour(i: usize) -> String {
    format!("s{}", i % COLOURS)
}

fn tenth(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
}
