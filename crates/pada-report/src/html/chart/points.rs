use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{Frame, tenth};

/// Points with the same style.
pub(in crate::html) struct Group<'a> {
    /// CSS class.
    pub(in crate::html) class: &'a str,
    /// Positions, each with an optional tooltip.
    pub(in crate::html) points: Vec<((f64, f64), Option<String>)>,
}

/// Groups with more points are drawn smaller.
const MANY: usize = 2000;
/// Groups with at most this many points are drawn larger.
const FEW: usize = 50;

/// Draws groups of points, later groups on top.
pub(in crate::html) fn points(frame: &Frame<'_>, groups: &[Group<'_>]) -> Markup {
    frame.draw(html! {
        @for group in groups {
            @let many = match group.points.len() {
                ..=FEW => " few",
                count if count > MANY => " many",
                _ => "",
            };
            @let (labelled, plain): (Vec<_>, Vec<_>) = group.points.iter().partition(|(_, text)| text.is_some());
            @if !plain.is_empty() {
                path class={ "points " (group.class) (many) } d=(dots(frame, plain.iter().map(|(at, _)| *at))) {}
            }
            @for (at, text) in labelled {
                @let (x, y) = frame.place(*at);
                circle class={ "point " (group.class) (many) } cx=(tenth(x)) cy=(tenth(y)) r="3.5" {
                    title { (text.as_deref().unwrap_or_default()) }
                }
            }
        }
    })
}

/// Draws all points as one path and merges points at the same place, so that 15,625 points stay a small file.
fn dots(frame: &Frame<'_>, points: impl Iterator<Item = (f64, f64)>) -> String {
    let places: BTreeSet<(i64, i64)> = points
        .map(|point| frame.place(point))
        .map(|(x, y)| ((2.0 * x).round() as i64, (2.0 * y).round() as i64))
        .collect();
    places.into_iter().map(|(x, y)| format!("M{} {}h0", x as f64 / 2.0, y as f64 / 2.0)).collect()
}
