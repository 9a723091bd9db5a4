use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{COLOURS, range, svg, text_style};
use crate::{ReportError, Spread};

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
const ROW: u32 = 26;
const WIDTH: u32 = 860;
const LABELS: u32 = 210;
const HEAD: u32 = 34;
const FOOT: u32 = 56;
/// Half the height of a bar, in rows.
const HALF: f64 = 0.32;

/// Draws horizontal bars from zero, the first on top, with standard deviations, single values and published numbers, and reference lines
/// for `marks`. Returns the SVG text.
///
/// # Errors
/// Returns [`ReportError::Plot`] if the drawing library fails.
pub fn bar_plot(title: &str, axis: &str, bars: &[Bar], marks: &[Mark]) -> Result<String, ReportError> {
    let rows = bars.len().max(1) as u32;
    let legend = 18 * (marks.len() as u32 + 1) + 8;
    svg((WIDTH, HEAD + ROW * rows + FOOT + legend), |area| {
        let area = area.titled(title, (super::FONT, 18))?;
        let (plot, foot) = area.split_vertically((ROW * rows + FOOT) as i32);
        let ends = |bar: &Bar| {
            let sd = |v: Spread| v.sd.unwrap_or(0.0);
            let value = bar.value.into_iter().flat_map(move |v| [v.mean - sd(v), v.mean + sd(v)]);
            value.chain(bar.published).chain(bar.points.clone()).collect::<Vec<f64>>()
        };
        let values = bars.iter().flat_map(ends).chain(marks.iter().map(|mark| mark.at)).chain([0.0]);
        let mut chart = ChartBuilder::on(&plot)
            .x_label_area_size(FOOT - 16)
            .margin_left(LABELS)
            .margin_right(20)
            .margin_top(6)
            .build_cartesian_2d(range(values), 0.0..f64::from(rows))?;
        // Plain numbers without a negative zero.
        let tenths = |x: &f64| format!("{:.1}", (10.0 * x).round() / 10.0 + 0.0);
        let mut mesh = chart.configure_mesh();
        mesh.disable_y_mesh().disable_y_axis().max_light_lines(0);
        mesh.x_label_formatter(&tenths).x_desc(axis).draw()?;
        for (i, bar) in bars.iter().enumerate() {
            let y = f64::from(rows) - i as f64 - 0.5;
            let (left, middle) =
                (chart.plotting_area().get_pixel_range().0.start, chart.backend_coord(&(0.0, y)).1);
            let style = text_style(14, HPos::Right, VPos::Center);
            // The chart counts pixels from the origin of the whole picture.
            plot.draw(&Text::new(
                bar.label.clone(),
                (left - 8 - plot.get_base_pixel().0, middle - plot.get_base_pixel().1),
                style,
            ))?;
            if let Some(value) = bar.value {
                let fill = COLOURS[4].mix(0.6).filled();
                chart.draw_series([Rectangle::new([(0.0, y - HALF), (value.mean, y + HALF)], fill)])?;
                if let Some(sd) = value.sd {
                    let ends = vec![(value.mean - sd, y), (value.mean + sd, y)];
                    chart.draw_series([PathElement::new(ends, BLACK.stroke_width(2))])?;
                }
            }
            chart.draw_series(bar.points.iter().map(|x| Circle::new((*x, y), 3, COLOURS[0].filled())))?;
            chart.draw_series(bar.published.map(|x| Cross::new((x, y), 5, COLOURS[1].stroke_width(2))))?;
        }
        for (i, mark) in marks.iter().enumerate() {
            let line = vec![(mark.at, 0.0), (mark.at, f64::from(rows))];
            chart.draw_series([PathElement::new(line, mark_colour(i).stroke_width(1))])?;
        }
        let style = |colour: RGBColor| TextStyle {
            color: colour.to_backend_color(),
            ..text_style(13, HPos::Left, VPos::Top)
        };
        let about = "bar and line: mean ± sd over seeds; dot: one seed; cross: published, full protocol";
        foot.draw(&Text::new(about, (LABELS as i32, 4), style(BLACK)))?;
        for (i, mark) in marks.iter().enumerate() {
            let text = format!("line at {:.3}: {}", mark.at, mark.label);
            foot.draw(&Text::new(text, (LABELS as i32, 18 * (i as i32 + 1) + 4), style(mark_colour(i))))?;
        }
        Ok(())
    })
}

fn mark_colour(i: usize) -> RGBColor {
    COLOURS[(i + 2) % COLOURS.len()]
}
