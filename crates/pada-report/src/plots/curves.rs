use maud::html;

use super::{COLOURS, Plot, dot, line, svg};
use crate::Spread;
use crate::scale::Scale;

/// Axis titles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axes<'a> {
    /// Title of the horizontal axis.
    pub x: &'a str,
    /// Title of the vertical axis.
    pub y: &'a str,
}

/// Start of the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The axis starts at the smallest value.
    Data,
    /// The axis starts at zero, so that a small change looks small.
    Zero,
}

/// Curves with at least this many points have no dots.
const DENSE: usize = 50;
// Sizes in pixels.
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 78.0;
const TOP: f64 = 40.0;
/// A row of the legend, which is below the plot.
const ROW: f64 = 18.0;

/// One curve of a [`curve_plot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Label in the legend.
    pub label: String,
    /// Points `(x, mean ± sd)` from left to right.
    pub points: Vec<(f64, Spread)>,
}

/// Draws curves with standard deviations, and a legend if there are several. Returns the SVG text.
pub fn curve_plot(title: &str, axes: &Axes<'_>, origin: Origin, curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let ends = points().flat_map(|(_, v)| [v.mean - v.sd.unwrap_or(0.0), v.mean + v.sd.unwrap_or(0.0)]);
    let y = match origin {
        Origin::Data => Scale::of(ends),
        Origin::Zero => Scale::exactly(0.0, Scale::of(ends.chain([0.0])).ends().1),
    };
    let x = Scale::of(points().map(|(x, _)| *x));
    let plot = Plot { left: LEFT, top: TOP, width: WIDTH - LEFT - 16.0, height: HEIGHT, x, y };
    let legend = TOP + HEIGHT + 58.0;
    let rows = if curves.len() > 1 { curves.len() } else { 0 };
    let content = html! {
        (plot.x_axis(axes.x))
        (plot.y_axis(axes.y, 60.0))
        @for (i, curve) in curves.iter().enumerate() {
            @let colour = COLOURS[i % COLOURS.len()];
            @let place = |(x, v): &(f64, Spread)| (plot.x_of(*x), plot.y_of(v.mean));
            @for pair in curve.points.windows(2) {
                (line([place(&pair[0]), place(&pair[1])], 2.0, colour))
            }
            @for point @ (x, Spread { mean, sd, .. }) in &curve.points {
                @if curve.points.len() < DENSE {
                    (dot(place(point), 4.0, colour))
                }
                @if let Some(sd) = sd {
                    (line([(plot.x_of(*x), plot.y_of(mean - sd)), (plot.x_of(*x), plot.y_of(mean + sd))], 1.0, colour))
                }
            }
        }
        @for (i, curve) in curves.iter().enumerate().take(rows) {
            @let y = legend + ROW * i as f64;
            (line([(LEFT, y - 4.0), (LEFT + 18.0, y - 4.0)], 2.0, COLOURS[i % COLOURS.len()]))
            text x=(LEFT + 24.0) y=(y) { (curve.label) }
        }
    };
    svg((WIDTH, legend + ROW * rows as f64), title, &content)
}
