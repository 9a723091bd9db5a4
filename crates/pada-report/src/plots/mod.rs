//! Plots as standalone SVG files. Labels are SVG text, so that no font is needed to write them.

mod bars;
mod curves;
mod scatter;

pub use bars::{Bar, Mark, bar_plot};
pub use curves::{Axes, Curve, Origin, curve_plot};
use maud::{Markup, html};
pub use scatter::{Panel, scatter_plot};

use crate::scale::Scale;

/// Colour-blind safe palette (Okabe and Ito, 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#505050"];

/// Returns a white picture of `width` × `height` pixels with a title.
fn svg((width, height): (f64, f64), title: &str, content: &Markup) -> String {
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) }
            font-family="sans-serif" font-size="13" {
            rect width="100%" height="100%" fill="#ffffff" {}
            text x=(width / 2.0) y="22" font-size="17" text-anchor="middle" { (title) }
            (content)
        }
    };
    picture.into_string()
}

/// A rectangle with two axes. Places and sizes are in pixels of the picture.
struct Plot {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    x: Scale,
    y: Scale,
}

impl Plot {
    fn x_of(&self, value: f64) -> f64 {
        tenth(self.left + self.x.share(value) * self.width)
    }

    fn y_of(&self, value: f64) -> f64 {
        tenth(self.top + (1.0 - self.y.share(value)) * self.height)
    }

    /// Returns the grid of the horizontal axis with its labels and its title.
    fn x_axis(&self, title: &str) -> Markup {
        let bottom = self.top + self.height;
        html! {
            @for tick in self.x.ticks() {
                line x1=(self.x_of(tick)) x2=(self.x_of(tick)) y1=(self.top) y2=(bottom) stroke="#e2e2e2" {}
                text x=(self.x_of(tick)) y=(bottom + 16.0) text-anchor="middle" { (self.x.label(tick)) }
            }
            line x1=(self.left) x2=(self.left + self.width) y1=(bottom) y2=(bottom) stroke="#000000" {}
            text x=(self.left + self.width / 2.0) y=(bottom + 34.0) text-anchor="middle" { (title) }
        }
    }

    /// Returns the grid of the vertical axis with its labels and its title, which is `away` pixels left of the axis.
    fn y_axis(&self, title: &str, away: f64) -> Markup {
        let right = self.left + self.width;
        html! {
            @for tick in self.y.ticks() {
                line x1=(self.left) x2=(right) y1=(self.y_of(tick)) y2=(self.y_of(tick)) stroke="#e2e2e2" {}
                text x=(self.left - 6.0) y=(self.y_of(tick) + 4.0) text-anchor="end" { (self.y.label(tick)) }
            }
            line x1=(self.left) x2=(self.left) y1=(self.top) y2=(self.top + self.height) stroke="#000000" {}
            text transform={ "translate(" (self.left - away) " " (self.top + self.height / 2.0) ") rotate(-90)" }
                text-anchor="middle" { (title) }
        }
    }
}

/// A dot of a radius in pixels. Nothing is drawn for numbers that are not finite.
fn dot((x, y): (f64, f64), radius: f64, colour: &str) -> Markup {
    html! {
        @if x.is_finite() && y.is_finite() {
            circle cx=(x) cy=(y) r=(radius) fill=(colour) {}
        }
    }
}

/// A line between two places. Nothing is drawn for numbers that are not finite.
fn line([(x1, y1), (x2, y2)]: [(f64, f64); 2], width: f64, colour: &str) -> Markup {
    html! {
        @if [x1, y1, x2, y2].iter().all(|number| number.is_finite()) {
            line x1=(x1) y1=(y1) x2=(x2) y2=(y2) stroke=(colour) stroke-width=(width) {}
        }
    }
}

fn tenth(value: f64) -> f64 {
    (10.0 * value).round() / 10.0
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
                points: vec![0.3, 0.5, f64::NAN],
                published: Some(0.639),
            },
            Bar { label: "A & <B>".into(), value: None, points: vec![], published: None },
        ];
        let marks = [Mark { label: "#params".into(), at: 0.42 }];
        let plot = bar_plot("Table 1", "tau-b", &bars, &marks);
        for text in ["<svg", "Table 1", "SPOS", "A &amp; &lt;B&gt;", "#params", "</svg>"] {
            assert!(plot.contains(text), "{text} is not in\n{plot}");
        }
        assert_eq!((plot.matches("<circle").count(), plot.contains("NaN")), (2, false), "{plot}");
        let curve = Curve { label: "SPOS".into(), points: vec![(2.0, value(0.1)), (5.0, value(0.4))] };
        let axes = Axes { x: "operations per edge", y: "tau-b" };
        let curves = [curve, Curve { label: "none".into(), points: vec![] }];
        let plot = curve_plot("GV", &axes, Origin::Data, &curves);
        assert!(plot.contains("operations per edge") && plot.contains("none"), "{plot}");
        assert_eq!(plot.matches("<circle").count(), 2, "{plot}");
        let far = [Curve { label: "alone".into(), points: vec![(2.0, value(5.0)), (5.0, value(5.4))] }];
        let plot = curve_plot("GV", &axes, Origin::Zero, &far);
        assert!(plot.contains(">0<") && !plot.contains("alone"), "{plot}");
        let plot = curve_plot("GV", &axes, Origin::Data, &far);
        assert!(plot.contains(">5.0<") && !plot.contains(">0<"), "{plot}");
        let panels = [
            Panel { title: "SPOS".into(), points: vec![(10.0, 90.0), (12.0, 91.0)] },
            Panel { title: "empty".into(), points: vec![] },
        ];
        let plot = scatter_plot("Scores", &Axes { x: "score", y: "truth" }, &panels);
        assert_eq!(plot.matches("<circle").count(), 2, "{plot}");
        assert!(scatter_plot("Scores", &axes, &[]).contains("Scores"));
    }

    #[test]
    fn a_place_is_where_its_axes_say() {
        let (x, y) = (Scale::exactly(0.0, 10.0), Scale::exactly(-1.0, 1.0));
        let plot = Plot { left: 100.0, top: 20.0, width: 200.0, height: 100.0, x, y };
        assert_eq!((plot.x_of(0.0), plot.x_of(10.0), plot.x_of(2.5)), (100.0, 300.0, 150.0));
        assert_eq!((plot.y_of(-1.0), plot.y_of(1.0), plot.y_of(0.0)), (120.0, 20.0, 70.0));
    }
}
