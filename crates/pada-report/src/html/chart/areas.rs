use maud::{Markup, html};

use super::{Frame, colour};

/// Stacked shares over epochs, the first at the bottom; `rows` is `[epochs, O]`. The vertical axis goes from 0 to 1.
pub(in crate::html) fn stacked_areas(frame: &Frame<'_>, rows: &[Vec<f64>], marks: &[f64]) -> Markup {
    let series = rows.iter().map(Vec::len).max().unwrap_or(0);
    let (left, right) = frame.x.ends();
    // A single epoch is drawn over the full width.
    let places: Vec<(f64, &Vec<f64>)> = match rows {
        [row] => vec![(left, row), (right, row)],
        rows => (1..).zip(rows).map(|(epoch, row)| (f64::from(epoch), row)).collect(),
    };
    let below = |row: &[f64], n: usize| row.iter().take(n).filter(|p| p.is_finite()).sum::<f64>();
    let area = |i: usize| {
        let upper = places.iter().map(|(x, row)| (*x, below(row, i + 1)));
        let lower = places.iter().rev().map(|(x, row)| (*x, below(row, i)));
        frame.path(upper.chain(lower)) + "Z"
    };
    frame.draw(html! {
        @for i in 0..series {
            path class={ "area " (colour(i)) } d=(area(i)) {}
        }
        @for &mark in marks {
            path class="mark" d=(frame.path([(mark, 0.0), (mark, 1.0)])) {}
        }
    })
}
