/// Returns the median.
///
/// # Panics
/// Panics if there is no value.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// The ratio of two sides over alternating rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// Ratio of the medians.
    pub(crate) value: f64,
    /// Smallest ratio of a round.
    pub(crate) least: f64,
    /// Largest ratio of a round.
    pub(crate) greatest: f64,
}

impl Ratio {
    /// `above` over `below`, round by round.
    ///
    /// # Panics
    /// Panics if there is no round.
    pub(crate) fn of(above: &[f64], below: &[f64]) -> Self {
        let rounds = || above.iter().zip(below).map(|(a, b)| a / b);
        Self {
            value: median(above) / median(below),
            least: rounds().fold(f64::INFINITY, f64::min),
            greatest: rounds().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The line with the least squared distance from some points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) start: f64,
    pub(crate) slope: f64,
    /// The greatest distance of a point from the line, as a share of the line's value there.
    pub(crate) off: f64,
}

impl Line {
    /// # Panics
    /// Panics if there is no point.
    pub(crate) fn through(points: &[(f64, f64)]) -> Self {
        let n = points.len() as f64;
        let mean_x = points.iter().map(|p| p.0).sum::<f64>() / n;
        let mean_y = points.iter().map(|p| p.1).sum::<f64>() / n;
        let square = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum::<f64>();
        let slope = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>() / square;
        let start = mean_y - slope * mean_x;
        let off = |&(x, y): &(f64, f64)| (y / (start + slope * x) - 1.0).abs();
        Self { start, slope, off: points.iter().map(off).fold(0.0, f64::max) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), 3.0);
    }

    #[test]
    fn ratio_keeps_the_spread_of_rounds() {
        let ratio = Ratio::of(&[2.0, 3.0, 6.0], &[1.0, 2.0, 2.0]);
        assert_eq!(ratio, Ratio { value: 1.5, least: 1.5, greatest: 3.0 });
    }

    #[test]
    fn points_on_a_line_are_not_off_it() {
        let line = Line::through(&[(1.0, 3.0), (2.0, 5.0), (5.0, 11.0)]);
        assert!((line.slope - 2.0).abs() < 1e-12 && (line.start - 1.0).abs() < 1e-12 && line.off < 1e-12);
    }
}
