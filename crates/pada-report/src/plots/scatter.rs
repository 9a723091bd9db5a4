use plotters::prelude::*;

use super::{Axes, COLOURS, range, svg};
use crate::ReportError;

/// One panel of a [`scatter_plot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// Title.
    pub title: String,
    /// Points `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

const COLUMNS: usize = 4;
/// Side of a panel in pixels.
const SIDE: u32 = 250;
const HEAD: u32 = 30;
/// Largest number of points per panel. Of more points, every k-th is drawn, because large SVG files are slow.
const MOST: usize = 800;

/// Draws one scatter panel per method. Panels share the vertical axis only, because supernets score on different scales. Returns the SVG
/// text.
///
/// # Errors
/// Returns [`ReportError::Plot`] if the drawing library fails.
pub fn scatter_plot(title: &str, axes: &Axes<'_>, panels: &[Panel]) -> Result<String, ReportError> {
    let (rows, columns) = (panels.len().div_ceil(COLUMNS).max(1), panels.len().clamp(1, COLUMNS));
    svg((SIDE * columns as u32, HEAD + SIDE * rows as u32), |area| {
        let area = area.titled(title, (super::FONT, 18))?;
        let y = range(panels.iter().flat_map(|panel| &panel.points).map(|(_, y)| *y));
        for (panel, area) in panels.iter().zip(area.split_evenly((rows, columns))) {
            let every = panel.points.len().div_ceil(MOST).max(1);
            let points = || panel.points.iter().step_by(every);
            let mut chart = ChartBuilder::on(&area)
                .caption(&panel.title, (super::FONT, 14))
                .x_label_area_size(34)
                .y_label_area_size(42)
                .margin(6)
                .build_cartesian_2d(range(points().map(|(x, _)| *x)), y.clone())?;
            let mut mesh = chart.configure_mesh();
            mesh.max_light_lines(0)
                .x_labels(4)
                .y_labels(5)
                .x_desc(axes.x)
                .y_desc(axes.y)
                .axis_desc_style((super::FONT, 12))
                .draw()?;
            chart.draw_series(points().map(|point| Circle::new(*point, 2, COLOURS[0].mix(0.6).filled())))?;
        }
        Ok(())
    })
}
