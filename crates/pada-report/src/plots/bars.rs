use maud::html;

use super::{COLOURS, Plot, dot, line, svg};
use crate::Spread;
use crate::scale::Scale;

/// One bar of a [`bar_plot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Label.
    pub label: String,
    /// Mean with standard deviation. `None` draws no bar.
    pub value: Option<Spread>,
    /// The single values, drawn as dots.
    pub points: Vec<f64>,
    /// The published number, drawn as a cross.
    pub published: Option<f64>,
}

/// A reference line across all bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Label.
    pub label: String,
    /// Position on the value axis.
    pub at: f64,
}

// Sizes in pixels.
const ROW: f64 = 26.0;
const WIDTH: f64 = 860.0;
const LABELS: f64 = 210.0;
const HEAD: f64 = 40.0;
const FOOT: f64 = 56.0;
const BAR: f64 = 16.0;
/// Half the size of a cross.
const CROSS: f64 = 5.0;

/// Draws horizontal bars from zero, the first on top, with standard deviations, single values and published numbers, and reference lines
/// for `marks`. Returns the SVG text.
pub fn bar_plot(title: &str, axis: &str, bars: &[Bar], marks: &[Mark]) -> String {
    let height = ROW * bars.len().max(1) as f64;
    let ends = |bar: &Bar| {
        let value =
            bar.value.into_iter().flat_map(|v| [v.mean - v.sd.unwrap_or(0.0), v.mean + v.sd.unwrap_or(0.0)]);
        value.chain(bar.published).chain(bar.points.clone()).collect::<Vec<f64>>()
    };
    let values = bars.iter().flat_map(ends).chain(marks.iter().map(|mark| mark.at)).chain([0.0]);
    let plot = Plot {
        left: LABELS,
        top: HEAD,
        width: WIDTH - LABELS - 20.0,
        height,
        x: Scale::of(values),
        y: Scale::exactly(0.0, 1.0),
    };
    let foot = HEAD + height + FOOT;
    let about = "bar and line: mean ± sd over seeds; dot: one seed; cross: published, full protocol";
    let content = html! {
        (plot.x_axis(axis))
        @for (bar, y) in bars.iter().zip((0..).map(|i| HEAD + ROW * (f64::from(i) + 0.5))) {
            text x=(LABELS - 8.0) y=(y + 5.0) text-anchor="end" font-size="14" { (bar.label) }
            @if let Some(Spread { mean, sd, .. }) = bar.value.filter(|value| value.mean.is_finite()) {
                @let (zero, end) = (plot.x_of(0.0), plot.x_of(mean));
                rect x=(zero.min(end)) y=(y - BAR / 2.0) width=((end - zero).abs()) height=(BAR) fill=(COLOURS[4]) fill-opacity="0.6" {}
                @if let Some(sd) = sd {
                    (line([(plot.x_of(mean - sd), y), (plot.x_of(mean + sd), y)], 2.0, "#000000"))
                }
            }
            @for &point in &bar.points {
                (dot((plot.x_of(point), y), 3.0, COLOURS[0]))
            }
            @if let Some(x) = bar.published.map(|published| plot.x_of(published)) {
                (line([(x - CROSS, y - CROSS), (x + CROSS, y + CROSS)], 2.0, COLOURS[1]))
                (line([(x - CROSS, y + CROSS), (x + CROSS, y - CROSS)], 2.0, COLOURS[1]))
            }
        }
        text x=(LABELS) y=(foot) { (about) }
        @for (i, mark) in marks.iter().enumerate() {
            @let colour = COLOURS[(i + 2) % COLOURS.len()];
            (line([(plot.x_of(mark.at), HEAD), (plot.x_of(mark.at), HEAD + height)], 1.0, colour))
            text x=(LABELS) y=(foot + 18.0 * (i + 1) as f64) fill=(colour) { (format!("line at {:.3}: {}", mark.at, mark.label)) }
        }
    };
    svg((WIDTH, foot + 18.0 * marks.len() as f64 + 10.0), title, &content)
}
