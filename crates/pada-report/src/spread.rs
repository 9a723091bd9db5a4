use std::fmt;

use serde::{Deserialize, Serialize};

/// Mean and standard deviation of a number over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// Standard deviation of the sample (divided by n − 1); none for one value.
    pub sd: Option<f64>,
    /// n, how many values.
    pub n: usize,
}

impl Spread {
    /// Of some values; none of no value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = (n > 1).then(|| (squares / (n as f64 - 1.0)).sqrt());
        (n > 0).then_some(Self { mean, sd, n })
    }
}

/// `mean ± sd` with the decimals asked for, 3 otherwise.
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
