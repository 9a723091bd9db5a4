use maud::{Markup, html};
use pada_metrics::Interval;

use super::{WIDTH, tenth};
use crate::numbers::fixed;
use crate::scale::Scale;

/// A value with an optional confidence interval.
pub(in crate::html) struct Estimate<'a> {
    pub(in crate::html) label: &'a str,
    pub(in crate::html) value: f64,
    pub(in crate::html) interval: Option<Interval>,
    /// CSS class.
    pub(in crate::html) class: &'a str,
}

const ROW: f64 = 28.0;
const LABELS: f64 = 168.0;
/// Width of the column of numbers, with room for a bold number with a sign.
const NUMBERS: f64 = 58.0;

/// A forest plot: one row per estimate on a common axis, with label and value.
pub(in crate::html) fn estimates(about: &str, rows: &[Estimate<'_>]) -> Markup {
    let ends = |row: &Estimate<'_>| row.interval.map_or([row.value; 2], |i| [i.low, i.high]);
    let scale = Scale::of(rows.iter().flat_map(ends).chain([0.0]));
    let right = WIDTH - NUMBERS;
    let bottom = ROW * rows.len() as f64 + 8.0;
    let place = |value: f64| tenth(LABELS + scale.share(value) * (right - LABELS));
    html! {
        svg class="chart" viewBox={ "0 0 " (WIDTH) " " (bottom + 22.0) } role="img" aria-label=(about) {
            g class="grid" {
                @for tick in scale.ticks() {
                    line x1=(place(tick)) x2=(place(tick)) y1="4" y2=(bottom) {}
                    text class="tick middle" x=(place(tick)) y=(bottom + 16.0) { (scale.label(tick)) }
                }
            }
            @for (row, y) in rows.iter().zip((0..).map(|i| ROW * (f64::from(i) + 0.5) + 4.0)) {
                text class={ "row end " (row.class) } x=(LABELS - 10.0) y=(y + 4.0) { (row.label) }
                @if let Some(interval) = row.interval {
                    line class={ "whisker " (row.class) } x1=(place(interval.low)) x2=(place(interval.high)) y1=(y) y2=(y) {}
                }
                circle class={ "estimate " (row.class) } cx=(place(row.value)) cy=(y) r="5" {}
                text class={ "row " (row.class) } x=(right + 8.0) y=(y + 4.0) { (fixed(row.value, 3)) }
            }
        }
    }
}
