use std::fmt;

use serde::{Deserialize, Serialize};

/// Mean and standard deviation of a number over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation (divided by n − 1). `None` for a single value.
    pub sd: Option<f64>,
    /// Number of values.
    pub n: usize,
}

impl Spread {
    /// Computes mean and standard deviation. Returns `None` if there are no values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = (n > 1).then(|| (squares / (n as f64 - 1.0)).sqrt());
        (n > 0).then_some(Self { mean, sd, n })
    }
}

/// Formats as `mean ± sd`, with three decimals unless the format asks for another precision.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = f.precision().unwrap_or(3);
        write!(f, "{:.decimals$}", self.mean)?;
        self.sd.map_or(Ok(()), |sd| write!(f, " ± {sd:.decimals$}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        // numpy.std([1, 2, 4], ddof=1) = sqrt(7/3)
        let spread = Spread::of([1.0, 2.0, 4.0]).unwrap();
        assert!((spread.mean - 7.0 / 3.0).abs() < 1e-12, "{spread:?}");
        assert!((spread.sd.unwrap() - (7.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{spread:?}");
        assert_eq!(spread.to_string(), "2.333 ± 1.528");
        assert_eq!(format!("{spread:.1}"), "2.3 ± 1.5");
        assert_eq!(Spread::of([0.5]).unwrap().to_string(), "0.500");
        assert_eq!(Spread::of([]), None);
    }
}
