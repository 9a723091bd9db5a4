use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

use crate::correlation::mean_ranks;
use crate::error::{ScoreList, Scores, check_level};
use crate::tau::{PairCounts, count_pairs, dense_ranks};
use crate::{Interval, MetricsError, spearman};

/// The largest number of architectures for which [`PValueMethod::Auto`] is exact, as in scipy.
const MAX_EXACT: usize = 33;

/// The way in which the p-value of tau-b is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PValueMethod {
    /// Exact if there are no ties and either at most 33 architectures or at most one pair out of order; otherwise asymptotic.
    #[default]
    Auto,
    /// From the distribution of tau over all orders of the architectures. It is defined only without ties, and takes up to
    /// A³/4 operations for A architectures.
    Exact,
    /// From the normal distribution that tau approaches for many architectures, with a variance that accounts for ties.
    Asymptotic,
}

/// Computes the two-sided p-value of Kendall's tau-b: the probability of a tau that is at least as far from 0, if the
/// predicted scores order the architectures at random.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit
/// - returns a probability in `[0, 1]`
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`](crate::kendall_tau_b), and [`MetricsError::TiesInExactTest`] if
/// [`PValueMethod::Exact`] meets ties.
///
/// # Source
/// Kendall, *Rank Correlation Methods*, 1948. The same value as `scipy.stats.kendalltau(method=…).pvalue`.
///
/// # Example
/// ```
/// use pada_metrics::{PValueMethod, kendall_tau_b_p_value};
///
/// let p = kendall_tau_b_p_value(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0], PValueMethod::Auto)?;
/// assert!((p - 2.0 / 24.0).abs() < 1e-12); // 2 of 4! orders have |tau| = 1
/// # Ok::<(), pada_metrics::MetricsError>(())
/// ```
pub fn kendall_tau_b_p_value(
    predicted: &[f64],
    ground_truth: &[f64],
    method: PValueMethod,
) -> Result<f64, MetricsError> {
    let (x, y) = (Scores::predicted(predicted), Scores::ground_truth(ground_truth));
    let counts = count_pairs(x, y)?;
    let n = predicted.len();
    let out_of_order = counts.discordant.min(counts.total - counts.discordant);
    let tied = [(x.list, counts.tied_x), (y.list, counts.tied_y)].into_iter().find(|(_, pairs)| *pairs > 0);
    match (method, tied) {
        (PValueMethod::Exact, Some((list, _))) => Err(MetricsError::TiesInExactTest { list }),
        (PValueMethod::Exact, None) => Ok(exact_p_value(n, out_of_order)),
        (PValueMethod::Auto, None) if n <= MAX_EXACT || out_of_order <= 1 => {
            Ok(exact_p_value(n, out_of_order))
        }
        (PValueMethod::Auto | PValueMethod::Asymptotic, _) => {
            Ok(asymptotic_p_value(&counts, predicted, ground_truth))
        }
    }
}

/// Computes the two-sided p-value of Spearman's rank correlation r from Student's t distribution: `r·√((A − 2)/(1 − r²))` has
/// A − 2 degrees of freedom if the predicted scores order the architectures at random.
///
/// It is an approximation for few architectures: for r = ±1 it is 0.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit
/// - returns a probability in `[0, 1]`
///
/// # Errors
/// Returns the errors of [`spearman`], and [`MetricsError::TooFew`] for less than three architectures.
///
/// # Source
/// The same value as `scipy.stats.spearmanr(…).pvalue`.
pub fn spearman_p_value(predicted: &[f64], ground_truth: &[f64]) -> Result<f64, MetricsError> {
    let r = spearman(predicted, ground_truth)?;
    let n = predicted.len() as f64;
    let freedom = n - 2.0;
    if freedom < 1.0 {
        return Err(MetricsError::TooFew { found: predicted.len(), needed: 3 });
    }
    // Near ±1 the p-value magnifies the rounding of r, so that equal and reversed rankings are recognised by their ranks.
    let (x, y) = (mean_ranks(predicted), mean_ranks(ground_truth));
    if x == y || x.iter().zip(&y).all(|(x, y)| x + y == n + 1.0) {
        return Ok(0.0);
    }
    let t = r * (freedom / ((1.0 + r) * (1.0 - r))).sqrt();
    Ok(two_sided(student(freedom).sf(t.abs())))
}

/// Computes the mean of a few values and its confidence interval by Student's t distribution, such as the tau-b of several
/// training seeds.
///
/// The interval says where the mean of very many seeds is expected, if the values are normally distributed.
///
/// # Shapes and units
/// - `values`: `[S]`, one number per seed, any unit
/// - `level`: confidence level in `(0, 1)`, 0.95 for 95 %
/// - returns the mean and its interval, in the unit of the values
///
/// # Errors
/// Returns [`MetricsError::InvalidLevel`], [`MetricsError::TooFew`] for less than two values, [`MetricsError::NanScore`] or
/// [`MetricsError::InfiniteScore`].
///
/// # Source
/// Student (1908). The same interval as `scipy.stats.t.interval` with the standard error of the mean as scale.
///
/// # Example
/// ```
/// let (mean, interval) = pada_metrics::mean_interval(&[0.70, 0.72, 0.71], 0.95)?;
/// assert_eq!(format!("{mean:.3}, {interval:.3}"), "0.710, 95 % [0.685, 0.735]");
/// # Ok::<(), pada_metrics::MetricsError>(())
/// ```
pub fn mean_interval(values: &[f64], level: f64) -> Result<(f64, Interval), MetricsError> {
    check_level(level)?;
    if values.len() < 2 {
        return Err(MetricsError::TooFew { found: values.len(), needed: 2 });
    }
    Scores { list: ScoreList::Values, values }.check_finite()?;
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half_width = student(n - 1.0).inverse_cdf((1.0 + level) / 2.0) * (variance / n).sqrt();
    Ok((mean, Interval::new(mean - half_width, mean + half_width, level, 0)))
}

/// Computes the standard normal quantile of a probability: −∞ for 0, ∞ for 1.
pub(crate) fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

/// Computes the probability that a standard normal number is at most `z`.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    let tail = normal_two_sided(z) / 2.0;
    if z < 0.0 { tail } else { 1.0 - tail }
}

/// Computes the probability that a standard normal number is at least as far from 0 as `z`.
fn normal_two_sided(z: f64) -> f64 {
    // The square has the chi-squared distribution. It is computed with statrs' incomplete gamma function, whose relative error
    // is about 1e-14; that of its error function is 1e-10.
    ChiSquared::new(1.0).expect("there is one degree of freedom").sf(z * z)
}

fn student(freedom: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, freedom).expect("there is at least one degree of freedom")
}

fn two_sided(tail: f64) -> f64 {
    (2.0 * tail).min(1.0)
}

fn asymptotic_p_value(counts: &PairCounts, predicted: &[f64], ground_truth: &[f64]) -> f64 {
    let n = predicted.len() as f64;
    let (x, y) = (TieSums::of(predicted), TieSums::of(ground_truth));
    let m = n * (n - 1.0);
    let pairs = 2.0 * counts.tied_x as f64 * counts.tied_y as f64 / m;
    // With two architectures there are no triples.
    let triples = if n > 2.0 { x.triples * y.triples / (9.0 * m * (n - 2.0)) } else { 0.0 };
    let variance = (m * (2.0 * n + 5.0) - x.variance - y.variance) / 18.0 + pairs + triples;
    normal_two_sided(counts.difference() as f64 / variance.sqrt())
}

/// Sums over groups of t tied scores that the variance of tau contains.
struct TieSums {
    /// Σ t(t − 1)(t − 2)
    triples: f64,
    /// Σ t(t − 1)(2t + 5)
    variance: f64,
}

impl TieSums {
    fn of(values: &[f64]) -> Self {
        let mut sizes = vec![0_u32; values.len()];
        dense_ranks(values).into_iter().for_each(|rank| sizes[rank as usize] += 1);
        let sum = |term: fn(f64) -> f64| sizes.iter().map(|&size| term(f64::from(size))).sum();
        Self {
            triples: sum(|t| t * (t - 1.0) * (t - 2.0)),
            variance: sum(|t| t * (t - 1.0) * (2.0 * t + 5.0)),
        }
    }
}

/// Computes the probability that a random order of `n` items has at most `out_of_order` pairs out of order, or at most `out_of_order` pairs
/// in order. `out_of_order` is at most half of the pairs.
fn exact_p_value(n: usize, out_of_order: u64) -> f64 {
    if 4 * out_of_order == (n * (n - 1)) as u64 {
        return 1.0;
    }
    let most = out_of_order as usize;
    // probability[k]: a random order of the items so far has k pairs out of order. The next item adds 0 to `items` pairs.
    let mut probability = vec![0.0; most + 1];
    probability[0] = 1.0;
    for items in 1..n {
        let before = probability.clone();
        let mut window = 0.0;
        for k in 0..=most {
            window += before[k];
            if k > items {
                window -= before[k - items - 1];
            }
            probability[k] = window / (items + 1) as f64;
        }
    }
    two_sided(probability.iter().sum())
}
