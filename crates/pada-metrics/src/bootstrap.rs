use std::fmt;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::error::{ScoreList, Scores, check_level};
use crate::significance::{normal_cdf, normal_quantile};
use crate::tau::{PairCounts, dense_ranks, tau_b, tau_b_without_each};
use crate::{MetricsError, kendall_tau_b};

/// With two architectures, every resample that contains both has the same tau, so that the interval would be one point.
const MIN_ARCHS: usize = 3;

/// The formula that makes an interval of the values of the resamples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum IntervalMethod {
    /// The interval between two percentiles, for 95 % the 2.5th and the 97.5th.
    ///
    /// Source: Efron & Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13; `scipy.stats.bootstrap` with
    /// `method="percentile"`.
    #[default]
    Percentile,
    /// The percentiles are corrected for bias and skewness (BCa). A resample contains architectures twice, which biases
    /// metrics such as P@Top-k; this method removes a part of the bias. [`Bootstrap::interval`] computes the metric A times more; the
    /// intervals of tau-b and of differences in tau-b and P@Top-k need only O(A log A) operations more.
    ///
    /// Source: Efron, *Better bootstrap confidence intervals*, 1987; `scipy.stats.bootstrap` with `method="BCa"`.
    BiasCorrectedAccelerated,
}

/// Bootstrap parameters: how many resamples of the architectures are drawn, and which interval is made of them.
///
/// A resample draws A of the A architectures with replacement. Functions that take these parameters check them first.
///
/// ```
/// use pada_metrics::{Bootstrap, IntervalMethod};
///
/// let bootstrap = Bootstrap::new().with_resamples(2000).with_method(IntervalMethod::BiasCorrectedAccelerated);
/// assert!(bootstrap.check().is_ok());
/// assert!(bootstrap.with_level(95.0).check().is_err()); // a level is a fraction
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Bootstrap {
    /// Number of resamples, at least `2 / (1 − level)`: 40 at 95 %. The default is 1,000.
    pub resamples: usize,
    /// Confidence level, in `(0, 1)`. The default is 0.95.
    pub level: f64,
    /// Seed of the random numbers. The same seed gives the same interval for any number of threads. The default is 0.
    pub seed: u64,
    /// Formula of the interval. The default is [`IntervalMethod::Percentile`].
    pub method: IntervalMethod,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self::new()
    }
}

impl Bootstrap {
    /// Creates the default parameters: 1,000 resamples, 95 %, seed 0, percentiles.
    pub const fn new() -> Self {
        Self { resamples: 1000, level: 0.95, seed: 0, method: IntervalMethod::Percentile }
    }

    /// Creates the default parameters with BCa intervals, as the records of this project have them.
    pub const fn bca() -> Self {
        Self::new().with_method(IntervalMethod::BiasCorrectedAccelerated)
    }

    /// Computes an interval by these parameters, or by percentiles if its BCa interval is undefined. [`Interval::method`] tells which.
    ///
    /// # Errors
    /// Returns the errors of `compute`, but for [`MetricsError::UndefinedBca`].
    ///
    /// ```
    /// use pada_metrics::{Bootstrap, IntervalMethod, tau_b_interval};
    ///
    /// // Without the last architecture, all predicted scores are equal, so that the BCa interval is undefined.
    /// let (predicted, truth) = ([1.0, 1.0, 1.0, 1.0, 2.0], [1.0, 2.0, 3.0, 4.0, 5.0]);
    /// let interval = Bootstrap::bca().or_percentiles(|bootstrap| tau_b_interval(&predicted, &truth, bootstrap))?;
    /// assert_eq!(interval.method, Some(IntervalMethod::Percentile));
    /// # Ok::<(), pada_metrics::MetricsError>(())
    /// ```
    pub fn or_percentiles<T>(
        &self,
        compute: impl Fn(&Self) -> Result<T, MetricsError>,
    ) -> Result<T, MetricsError> {
        match compute(self) {
            Err(MetricsError::UndefinedBca { .. }) => compute(&self.with_method(IntervalMethod::Percentile)),
            other => other,
        }
    }

    /// Sets the number of resamples.
    #[must_use]
    pub const fn with_resamples(self, resamples: usize) -> Self {
        Self { resamples, ..self }
    }

    /// Sets the confidence level, in `(0, 1)`.
    #[must_use]
    pub const fn with_level(self, level: f64) -> Self {
        Self { level, ..self }
    }

    /// Sets the seed.
    #[must_use]
    pub const fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the formula of the interval.
    #[must_use]
    pub const fn with_method(self, method: IntervalMethod) -> Self {
        Self { method, ..self }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Returns [`MetricsError::InvalidLevel`] or [`MetricsError::TooFewResamples`].
    pub fn check(&self) -> Result<(), MetricsError> {
        check_level(self.level)?;
        let (found, needed) = (self.resamples, self.min_resamples());
        if found < needed {
            return Err(MetricsError::TooFewResamples { found, needed, level: self.level });
        }
        Ok(())
    }

    /// Computes the interval of a metric of A architectures.
    ///
    /// # Shapes
    /// - `archs`: A, at least 3
    /// - `metric`: receives indices `[A]` into the architectures, with repetitions, or `[A − 1]` for a BCa interval; returns
    ///   `None` if the metric is undefined for these architectures
    ///
    /// # Errors
    /// Returns the errors of [`Bootstrap::check`], [`MetricsError::TooFew`], [`MetricsError::UndefinedResamples`] or
    /// [`MetricsError::UndefinedBca`].
    pub fn interval(
        &self,
        archs: usize,
        metric: impl Fn(&[u32]) -> Option<f64> + Sync,
    ) -> Result<Interval, MetricsError> {
        let estimates = || {
            let all: Vec<u32> = (0..archs as u32).collect();
            Some((metric(&all)?, vec![jackknife(archs, &metric)?]))
        };
        self.interval_with(archs, &metric, estimates)
    }

    /// Computes the interval of a metric of A architectures. `estimates` is that of [`Bootstrap::interval_of`].
    fn interval_with(
        &self,
        archs: usize,
        metric: impl Fn(&[u32]) -> Option<f64> + Sync,
        estimates: impl FnOnce() -> Option<(f64, Vec<Vec<f64>>)>,
    ) -> Result<Interval, MetricsError> {
        self.check_archs(archs)?;
        self.interval_of(self.resampled(|rng| metric(&draw(archs, rng))), estimates)
    }

    /// Checks the parameters and the number of architectures.
    pub(crate) fn check_archs(&self, archs: usize) -> Result<(), MetricsError> {
        self.check()?;
        if archs < MIN_ARCHS {
            return Err(MetricsError::TooFew { found: archs, needed: MIN_ARCHS });
        }
        Ok(())
    }

    /// Computes the metric of every resample. `sample` receives the random numbers of one resample.
    pub(crate) fn resampled(&self, sample: impl Fn(&mut ChaCha8Rng) -> Option<f64> + Sync) -> Vec<f64> {
        let value = |resample: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(resample as u64);
            sample(&mut rng)
        };
        (0..self.resamples).into_par_iter().filter_map(value).collect()
    }

    /// Makes an interval of the values of the resamples.
    ///
    /// `estimates` returns the metric of all architectures, and for each list that is resampled (architectures, seeds) the
    /// metric without one of its entries at a time. Only BCa needs it.
    pub(crate) fn interval_of(
        &self,
        mut values: Vec<f64>,
        estimates: impl FnOnce() -> Option<(f64, Vec<Vec<f64>>)>,
    ) -> Result<Interval, MetricsError> {
        let (defined, drawn, needed) = (values.len(), self.resamples, self.min_resamples());
        if defined < needed {
            return Err(MetricsError::UndefinedResamples { defined, drawn, needed });
        }
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        let [low, high] = match self.method {
            IntervalMethod::Percentile => [tail, 1.0 - tail],
            IntervalMethod::BiasCorrectedAccelerated => {
                let reason = "the metric is undefined without one of the architectures or seeds";
                let (estimate, jackknife) = estimates().ok_or(MetricsError::UndefinedBca { reason })?;
                bca_levels(&values, estimate, &jackknife, tail)?
            }
        };
        let ends = [low, high].map(|level| quantile(&values, level));
        Ok(Interval { method: Some(self.method), ..Interval::new(ends[0], ends[1], self.level, defined) })
    }

    /// Each tail must contain at least one resample.
    fn min_resamples(&self) -> usize {
        // 2 / (1 − 0.95) is slightly more than 40 in floating point.
        (2.0 / (1.0 - self.level) - 1e-6).ceil() as usize
    }
}

/// A confidence interval.
///
/// A bootstrap interval says how far a metric would move with another choice of architectures. It says nothing about other
/// training seeds, unless seeds were resampled too, as [`paired_difference`](crate::paired_difference) does.
///
/// `{}` prints three digits, and `{:.4}` prints four: `95 % [0.3836, 0.5101]`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Confidence level, in `(0, 1)`.
    pub level: f64,
    /// Number of resamples in which the metric is defined; 0 if the interval does not come from a bootstrap. Resamples in
    /// which all scores are tied do not count.
    pub resamples: usize,
    /// Formula of a bootstrap interval. `None` if the interval does not come from a bootstrap, or was read from a file without this field.
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    pub method: Option<IntervalMethod>,
}

impl Interval {
    /// Creates an interval without a formula from its other fields.
    pub const fn new(low: f64, high: f64, level: f64, resamples: usize) -> Self {
        Self { low, high, level, resamples, method: None }
    }

    /// Returns true if a value is in the interval, including its ends.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        // A level such as 0.95 is not exact in binary: its percentage is rounded to what people write.
        let percent = (self.level * 1e8).round() / 1e6;
        write!(f, "{percent} % [{:.digits$}, {:.digits$}]", self.low, self.high)
    }
}

/// Computes the bootstrap interval of [`kendall_tau_b`] over architectures.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]` with A ≥ 3, any unit, larger is better
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`] and of [`Bootstrap::interval`].
pub fn tau_b_interval(
    predicted: &[f64],
    ground_truth: &[f64],
    bootstrap: &Bootstrap,
) -> Result<Interval, MetricsError> {
    let tau = kendall_tau_b(predicted, ground_truth)?;
    let estimates = || Some((tau, vec![tau_b_without_each(predicted, ground_truth)?]));
    bootstrap.interval_with(ground_truth.len(), resampled_tau(predicted, ground_truth), estimates)
}

/// Computes the bootstrap interval of `tau_b(a, ground_truth) − tau_b(b, ground_truth)` over architectures. If it lies above 0,
/// method A ranks significantly better.
///
/// # Shapes and units
/// - `a`, `b`, `ground_truth`: `[A]` with A ≥ 3, scores of the same architectures, any unit, larger is better
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`] and of [`Bootstrap::interval`]. Errors call the lists
/// [`ScoreList::MethodA`] and [`ScoreList::MethodB`].
pub fn tau_b_difference_interval(
    a: &[f64],
    b: &[f64],
    ground_truth: &[f64],
    bootstrap: &Bootstrap,
) -> Result<Interval, MetricsError> {
    let truth = Scores::ground_truth(ground_truth);
    let difference = tau_b(Scores { list: ScoreList::MethodA { seed_index: 0 }, values: a }, truth)?
        - tau_b(Scores { list: ScoreList::MethodB { seed_index: 0 }, values: b }, truth)?;
    let estimates = || {
        let [a, b] = [a, b].map(|list| tau_b_without_each(list, ground_truth));
        Some((difference, vec![a?.into_iter().zip(b?).map(|(a, b)| a - b).collect()]))
    };
    let (tau_a, tau_b) = (resampled_tau(a, ground_truth), resampled_tau(b, ground_truth));
    bootstrap.interval_with(ground_truth.len(), |indices| Some(tau_a(indices)? - tau_b(indices)?), estimates)
}

/// Draws `n` of the indices `0..n` with replacement.
pub(crate) fn draw(n: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    (0..n).map(|_| rng.random_range(0..n as u32)).collect()
}

/// Computes a metric of `n` architectures without one of them at a time, `[n]`.
pub(crate) fn jackknife(n: usize, metric: impl Fn(&[u32]) -> Option<f64> + Sync) -> Option<Vec<f64>> {
    let without = |left_out: u32| {
        let others: Vec<u32> = (0..n as u32).filter(|&i| i != left_out).collect();
        metric(&others)
    };
    (0..n as u32).into_par_iter().map(without).collect()
}

/// Returns tau-b of a resample as a function of its indices. Ranks are computed once: a resample keeps order and ties.
pub(crate) fn resampled_tau(x: &[f64], y: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + Sync + use<> {
    let pairs: Vec<(u32, u32)> = dense_ranks(x).into_iter().zip(dense_ranks(y)).collect();
    move |indices| {
        let counts = PairCounts::of_ranks(indices.iter().map(|&i| pairs[i as usize]).collect());
        (!counts.is_undefined()).then(|| counts.tau_b())
    }
}

/// Computes the quantile levels of the ends of a BCa interval, as `scipy.stats.bootstrap` does for several samples.
fn bca_levels(
    sorted: &[f64],
    estimate: f64,
    jackknife: &[Vec<f64>],
    tail: f64,
) -> Result<[f64; 2], MetricsError> {
    // Efron & Tibshirani 1993, equations 14.9 to 14.15. Values that equal the estimate count half.
    let below = sorted.partition_point(|&value| value < estimate);
    let up_to = sorted.partition_point(|&value| value <= estimate);
    let bias = normal_quantile((below + up_to) as f64 / (2 * sorted.len()) as f64);
    if bias.is_infinite() {
        let reason = "the values of all resamples are on one side of the metric";
        return Err(MetricsError::UndefinedBca { reason });
    }
    let (mut cubes, mut squares) = (0.0, 0.0);
    for values in jackknife {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let influence = values.iter().map(|value| (n - 1.0) * (mean - value));
        cubes += influence.clone().map(|u| u.powi(3)).sum::<f64>() / n.powi(3);
        squares += influence.map(|u| u * u).sum::<f64>() / n.powi(2);
    }
    // Without any influence there is no skewness to correct.
    let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
    let z = normal_quantile(tail);
    let level = |z: f64| normal_cdf(bias + (bias + z) / (1.0 - acceleration * (bias + z)));
    let levels = [level(z), level(-z)];
    if levels.iter().any(|level| level.is_nan()) {
        return Err(MetricsError::UndefinedBca { reason: "the skewness of the metric is too large" });
    }
    Ok(levels)
}

/// Interpolates linearly between the two nearest values, as numpy does by default.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (position - low as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::top::p_at_top_without_each;

    fn list(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    /// `tests/data/significance.json` is written by `make_significance.py` beside it. It contains scipy's own resamples,
    /// because random numbers differ.
    #[test]
    fn golden_intervals_of_given_resamples_equal_scipy() {
        let golden: Value = serde_json::from_str(include_str!("../tests/data/significance.json")).unwrap();
        let cases = golden["intervals"].as_array().unwrap();
        for case in cases {
            let values = list(&case["resamples"]);
            if let Some(lists) = case["tau_lists"].as_array() {
                let (x, y) = (list(&lists[0]), list(&lists[1]));
                let theirs = list(&case["jackknife"][0]);
                let slow = jackknife(x.len(), resampled_tau(&x, &y));
                for ours in [slow, tau_b_without_each(&x, &y)].map(Option::unwrap) {
                    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-12), "{}", case["name"]);
                    assert_eq!(ours.len(), theirs.len());
                }
            }
            let lists: Vec<Vec<f64>> = case["jackknife"].as_array().unwrap().iter().map(list).collect();
            for (method, key) in [
                (IntervalMethod::Percentile, "percentile"),
                (IntervalMethod::BiasCorrectedAccelerated, "bca"),
            ] {
                let bootstrap = Bootstrap::new()
                    .with_resamples(values.len())
                    .with_level(case["level"].as_f64().unwrap())
                    .with_method(method);
                let estimates = || Some((case["estimate"].as_f64().unwrap(), lists.clone()));
                let found = bootstrap.interval_of(values.clone(), estimates).unwrap();
                let expected = list(&case[key]);
                for (ours, theirs) in [found.low, found.high].into_iter().zip(expected) {
                    assert!((ours - theirs).abs() < 1e-12, "{} {key}: {ours} against {theirs}", case["name"]);
                }
            }
        }
        assert_eq!(cases.len(), 4);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn leaving_out_each_architecture_is_its_slow_definition(
            pairs in prop::collection::vec((-6_i8..6, -6_i8..6), 2..50),
            fraction in 0.02..1.0_f64,
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
            // Without ties in the first list, too.
            let distinct: Vec<f64> = x.iter().enumerate().map(|(i, x)| x + i as f64 * 1e-3).collect();
            for x in [x, distinct] {
                let slow = jackknife(x.len(), resampled_tau(&x, &y));
                prop_assert_eq!(tau_b_without_each(&x, &y), slow, "tau-b");
                let at = |list: &[f64], places: &[u32]| places.iter().map(|&i| list[i as usize]).collect::<Vec<f64>>();
                let p_at_top = |places: &[u32]| crate::p_at_top(&at(&x, places), &at(&y, places), fraction).ok();
                match (p_at_top_without_each(&x, &y, fraction), jackknife(x.len(), p_at_top)) {
                    (Some(fast), Some(slow)) => {
                        let off = fast.iter().zip(&slow).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                        prop_assert!(off < 1e-12 && fast.len() == slow.len(), "{:?} against {:?}", fast, slow);
                    }
                    (fast, slow) => prop_assert!(fast.is_none() && slow.is_none(), "{:?} against {:?}", fast, slow),
                }
            }
        }
    }
}
