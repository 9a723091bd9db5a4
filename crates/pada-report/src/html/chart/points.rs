use std::collections::BTreeSet;

use maud::{Markup, html};

use super::{Frame, tenth};

/// Points that are drawn alike.
pub(in crate::html) struct Group<'a> {
    /// Class of the style sheet.
    pub(in crate::html) class: &'a str,
    /// Each with what is said where the mouse rests on it; no text for points that are too many.
    pub(in crate::html) points: Vec<((f64, f64), Option<String>)>,
}

/// More points than that are drawn smaller.
const MANY: usize = 2000;

/// Groups of points, later ones on top.
pub(in crate::html) fn points(frame: &Frame<'_>, groups: &[Group<'_>]) -> Markup {
    frame.draw(html! {
        @for group in groups {
            @let many = if group.points.len() > MANY { " many" } else { "" };
            @let (told, silent): (Vec<_>, Vec<_>) = group.points.iter().partition(|(_, text)| text.is_some());
            @if !silent.is_empty() {
                path class={ "points " (group.class) (many) } d=(dots(frame, silent.iter().map(|(at, _)| *at))) {}
            }
            @for (at, text) in told {
                @let (x, y) = frame.place(*at);
                circle class={ "point " (group.class) (many) } cx=(tenth(x)) cy=(tenth(y)) r="3.5" {
                    title { (text.as_deref().unwrap_or_default()) }
                }
            }
        }
    })
}

/// All points as one path of dots, those at the same place once: a file of 15,625 points stays small.
fn dots(frame: &Frame<'_>, points: impl Iterator<Item = (f64, f64)>) -> String {
    let places: BTreeSet<(i64, i64)> = points
        .map(|point| frame.place(point))
        .map(|(x, y)| ((2.0 * x).round() as i64, (2.0 * y).round() as i64))
        .collect();
    places.into_iter().map(|(x, y)| format!("M{} {}h0", x as f64 / 2.0, y as f64 / 2.0)).collect()
}
