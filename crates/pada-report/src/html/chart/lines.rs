use maud::{Markup, html};

use super::Frame;

/// One curve. Missing and non-finite values are gaps.
pub(in crate::html) struct Line {
    /// CSS classes.
    pub(in crate::html) class: String,
    pub(in crate::html) points: Vec<(f64, Option<f64>)>,
}

/// Draws curves, with dashed vertical lines at `marks`.
pub(in crate::html) fn lines(frame: &Frame<'_>, lines: &[Line], marks: &[f64]) -> Markup {
    let (low, high) = frame.y.ends();
    frame.draw(html! {
        @for &mark in marks {
            path class="mark" d=(frame.path([(mark, low), (mark, high)])) {}
        }
        @for line in lines {
            @for stretch in stretches(&line.points) {
                @match stretch[..] {
                    [point] => {
                        @let (x, y) = frame.place(point);
                        circle class={ "dot " (line.class) } cx=(super::tenth(x)) cy=(super::tenth(y)) r="3" {}
                    }
                    _ => path class={ "line " (line.class) } d=(frame.path(stretch)) {},
                }
            }
        }
    })
}

/// Splits a curve at its gaps.
fn stretches(points: &[(f64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
    let finite = |&(x, y): &(f64, Option<f64>)| Some((x, y.filter(|y| y.is_finite())?));
    points
        .chunk_by(|a, b| finite(a).is_some() == finite(b).is_some())
        .map(|stretch| stretch.iter().filter_map(finite).collect::<Vec<_>>())
        .filter(|stretch| !stretch.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_are_gaps() {
        let points =
            [(1.0, None), (2.0, Some(1.0)), (3.0, Some(2.0)), (4.0, Some(f64::NAN)), (5.0, Some(3.0))];
        assert_eq!(stretches(&points), [vec![(2.0, 1.0), (3.0, 2.0)], vec![(5.0, 3.0)]]);
        assert!(stretches(&[(1.0, None)]).is_empty());
    }
}
