//! Plots as standalone SVG files. Labels are SVG text, so that no font is needed to write them.

mod bars;
mod curves;
mod scatter;

pub use bars::{Bar, Mark, bar_plot};
pub use curves::{Axes, Curve, Origin, curve_plot};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
pub use scatter::{Panel, scatter_plot};

use crate::ReportError;

/// Colour-blind safe palette (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(80, 80, 80),
];
const FONT: &str = "sans-serif";

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws on a white area of `size` pixels and returns the SVG text.
fn svg(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn std::error::Error>>,
) -> Result<String, ReportError> {
    let mut text = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&area)).and_then(|()| Ok(area.present()?))
    };
    drawn.map_err(|error| ReportError::Plot { reason: error.to_string() })?;
    Ok(text)
}

fn text_style(pixels: i32, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    (FONT, pixels).into_font().color(&BLACK).pos(Pos::new(horizontal, vertical))
}

/// The range of the finite values with a margin. It is never empty.
fn range(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let finite = values.filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = if high > low { 0.06 * (high - low) } else { low.abs().max(1.0) * 0.1 };
    low - margin..high + margin
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Spread;

    #[test]
    fn plots_hold_their_text_and_take_missing_numbers() {
        let value = |mean| Spread { mean, sd: Some(0.1), n: 3 };
        let bars = [
            Bar {
                label: "SPOS".into(),
                value: Some(value(0.4)),
                points: vec![0.3, 0.5],
                published: Some(0.639),
            },
            Bar { label: "A & <B>".into(), value: None, points: vec![], published: None },
        ];
        let marks = [Mark { label: "#params".into(), at: 0.42 }];
        let plot = bar_plot("Table 1", "tau-b", &bars, &marks).unwrap();
        for text in ["<svg", "Table 1", "SPOS", "A &amp; &lt;B&gt;", "#params", "</svg>"] {
            assert!(plot.contains(text), "{text} is not in\n{plot}");
        }
        let curve = Curve { label: "SPOS".into(), points: vec![(2.0, value(0.1)), (5.0, value(0.4))] };
        let axes = Axes { x: "operations per edge", y: "tau-b" };
        let curves = [curve, Curve { label: "none".into(), points: vec![] }];
        let plot = curve_plot("GV", &axes, Origin::Data, &curves).unwrap();
        assert!(plot.contains("operations per edge") && plot.contains("none"), "{plot}");
        assert_eq!(plot.matches("<circle").count(), 2, "{plot}");
        let far = [Curve { label: "alone".into(), points: vec![(2.0, value(5.0)), (5.0, value(5.4))] }];
        let plot = curve_plot("GV", &axes, Origin::Zero, &far).unwrap();
        assert!(plot.contains("\n0.0\n") && !plot.contains("alone"), "{plot}");
        let plot = curve_plot("GV", &axes, Origin::Data, &far).unwrap();
        assert!(plot.contains("\n5.0\n") && !plot.contains("\n0.0\n"), "{plot}");
        let panels = [
            Panel { title: "SPOS".into(), points: vec![(10.0, 90.0), (12.0, 91.0)] },
            Panel { title: "empty".into(), points: vec![] },
        ];
        let plot = scatter_plot("Scores", &Axes { x: "score", y: "truth" }, &panels).unwrap();
        assert_eq!(plot.matches("<circle").count(), 2, "{plot}");
        assert!(scatter_plot("Scores", &axes, &[]).unwrap().contains("Scores"));
    }

    #[test]
    fn ranges_are_never_empty() {
        assert_eq!(range([].into_iter()), 0.0..1.0);
        assert!(!range([3.0].into_iter()).is_empty());
        assert!(!range([0.0, f64::NAN].into_iter()).is_empty());
    }
}
