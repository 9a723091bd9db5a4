use maud::html;

use super::{Axes, COLOURS, Plot, dot, svg};
use crate::scale::Scale;

/// One panel of a [`scatter_plot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Title.
    pub title: String,
    /// Points `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

const COLUMNS: usize = 4;
// Sizes in pixels.
const SIDE: f64 = 260.0;
const HEAD: f64 = 34.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 44.0;
/// Largest number of points per panel. Of more points, every k-th is drawn, because large SVG files are slow.
const MOST: usize = 800;

/// Draws one scatter panel per method. Panels share the vertical axis only, because supernets score on different scales. Returns the SVG
/// text.
pub fn scatter_plot(title: &str, axes: &Axes<'_>, panels: &[Panel]) -> String {
    let (rows, columns) = (panels.len().div_ceil(COLUMNS).max(1), panels.len().clamp(1, COLUMNS));
    let y = Scale::of(panels.iter().flat_map(|panel| &panel.points).map(|(_, y)| *y));
    let content = html! {
        @for (i, panel) in panels.iter().enumerate() {
            @let (left, top) = (SIDE * (i % COLUMNS) as f64, HEAD + SIDE * (i / COLUMNS) as f64);
            @let every = panel.points.len().div_ceil(MOST).max(1);
            @let plot = Plot {
                left: left + LEFT,
                top: top + TOP,
                width: SIDE - LEFT - 10.0,
                height: SIDE - TOP - BOTTOM,
                x: Scale::of(panel.points.iter().step_by(every).map(|(x, _)| *x)),
                y: y.clone(),
            };
            g font-size="11" {
                text x=(left + SIDE / 2.0) y=(top + 16.0) text-anchor="middle" font-size="13" { (panel.title) }
                (plot.x_axis(axes.x))
                (plot.y_axis(axes.y, 38.0))
                g fill-opacity="0.6" {
                    @for (x, y) in panel.points.iter().step_by(every) {
                        (dot((plot.x_of(*x), plot.y_of(*y)), 2.0, COLOURS[0]))
                    }
                }
            }
        }
    };
    svg((SIDE * columns as f64, HEAD + SIDE * rows as f64), title, &content)
}
