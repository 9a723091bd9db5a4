use crate::MetricsError;
use crate::error::{Scores, check_pair};

/// Computes Spearman's rank correlation: Pearson's correlation of the ranks, where tied scores have the mean of their ranks.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit, larger is better
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`](crate::kendall_tau_b).
///
/// # Source
/// Spearman (1904). The same value as `scipy.stats.spearmanr`.
pub fn spearman(predicted: &[f64], ground_truth: &[f64]) -> Result<f64, MetricsError> {
    let (x, y) = (Scores::predicted(predicted), Scores::ground_truth(ground_truth));
    check_pair(x, y, 2)?;
    let (x_ranks, y_ranks) = (mean_ranks(predicted), mean_ranks(ground_truth));
    correlate(Scores { values: &x_ranks, ..x }, Scores { values: &y_ranks, ..y })
}

/// Computes Pearson's correlation of the scores themselves, which depends on how far apart they are.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit and of any magnitude
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`](crate::kendall_tau_b), and [`MetricsError::InfiniteScore`].
///
/// # Source
/// Pearson (1895). The same value as `scipy.stats.pearsonr`.
pub fn pearson(predicted: &[f64], ground_truth: &[f64]) -> Result<f64, MetricsError> {
    let (x, y) = (Scores::predicted(predicted), Scores::ground_truth(ground_truth));
    check_pair(x, y, 2)?;
    correlate(x, y)
}

/// Replaces −∞, the score of an architecture for which a score is not defined, by a number below all others.
///
/// Rank correlations do not change, and [`pearson`] becomes defined.
pub fn finite_scores(scores: &[f64]) -> Vec<f64> {
    let known = || scores.iter().copied().filter(|score| score.is_finite());
    let (low, high) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let below = if low.is_finite() { low - (high - low).max(1.0) } else { 0.0 };
    scores.iter().map(|&score| if score == f64::NEG_INFINITY { below } else { score }).collect()
}

fn correlate(x: Scores<'_>, y: Scores<'_>) -> Result<f64, MetricsError> {
    let (x, y) = (direction(x)?, direction(y)?);
    Ok(x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0))
}

/// Subtracts the mean from the scores and scales the result to length 1.
fn direction(scores: Scores<'_>) -> Result<Vec<f64>, MetricsError> {
    scores.check_finite()?;
    let values = scores.values;
    if values.iter().all(|v| *v == values[0]) {
        return Err(MetricsError::AllTied { list: scores.list, n: values.len() });
    }
    let values = scaled_to_one(values);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let length = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
    Ok(values.iter().map(|v| (v - mean) / length).collect())
}

/// Scales by a power of two, which is exact, to a largest magnitude near 1: otherwise sums and squares of scores near 1e160
/// overflow, and squares of scores near 1e-170 are zero.
fn scaled_to_one(values: &[f64]) -> Vec<f64> {
    let largest = values.iter().fold(0.0_f64, |largest, v| largest.max(v.abs()));
    let exponent = -(largest.log2().floor() as i32);
    // Two factors, because the reciprocal of the smallest numbers is infinite.
    let (half, rest) = (2_f64.powi(exponent / 2), 2_f64.powi(exponent - exponent / 2));
    values.iter().map(|v| v * half * rest).collect()
}

/// Computes ranks from 1 in ascending order. Equal numbers have the mean of their ranks.
pub(crate) fn mean_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| (values[a] + 0.0).total_cmp(&(values[b] + 0.0)));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let mean = first as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|&i| ranks[i] = mean);
        first += tied.len();
    }
    ranks
}
