use plotters::prelude::*;

use super::{COLOURS, range, svg};
use crate::{ReportError, Spread};

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

/// One curve of a [`curve_plot`].
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Label in the legend.
    pub label: String,
    /// Points `(x, mean ± sd)` from left to right.
    pub points: Vec<(f64, Spread)>,
}

/// Draws curves with standard deviations, and a legend if there are several. Returns the SVG text.
///
/// # Errors
/// Returns [`ReportError::Plot`] if the drawing library fails.
pub fn curve_plot(
    title: &str,
    axes: &Axes<'_>,
    origin: Origin,
    curves: &[Curve],
) -> Result<String, ReportError> {
    svg((760, 440), |area| {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let y = points().flat_map(|(_, v)| [v.mean - v.sd.unwrap_or(0.0), v.mean + v.sd.unwrap_or(0.0)]);
        let up = match origin {
            Origin::Data => range(y),
            Origin::Zero => 0.0..range(y.chain([0.0])).end,
        };
        let mut chart = ChartBuilder::on(area)
            .caption(title, (super::FONT, 14))
            .x_label_area_size(44)
            .y_label_area_size(70)
            .margin(12)
            .build_cartesian_2d(range(points().map(|(x, _)| *x)), up)?;
        chart.configure_mesh().max_light_lines(0).x_desc(axes.x).y_desc(axes.y).draw()?;
        for (i, curve) in curves.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let line: Vec<(f64, f64)> = curve.points.iter().map(|(x, v)| (*x, v.mean)).collect();
            let dots = if line.len() < DENSE { &line[..] } else { &[] };
            chart.draw_series(dots.iter().map(|point| Circle::new(*point, 4, colour.filled())))?;
            for (x, Spread { mean, sd, .. }) in &curve.points {
                let ends = sd.map(|sd| vec![(*x, mean - sd), (*x, mean + sd)]);
                chart.draw_series(ends.map(|ends| PathElement::new(ends, colour.stroke_width(1))))?;
            }
            chart
                .draw_series([PathElement::new(line, colour.stroke_width(2))])?
                .label(&curve.label)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
        }
        if curves.len() > 1 {
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::UpperMiddle)
                .label_font((super::FONT, 13))
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }
        Ok(())
    })
}
