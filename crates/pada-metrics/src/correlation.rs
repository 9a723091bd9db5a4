use crate::error::{List, RankError, check};

/// Spearman's rank correlation: Pearson's correlation of the ranks, ties at their mean rank.
///
/// # Shapes and units
/// Two lists `[A]`, larger is better; returns a number in `[-1, 1]`.
///
/// # Errors
/// As [`crate::kendall_tau_b`].
///
/// # Source
/// As `scipy.stats.spearmanr`.
pub fn spearman(predicted: &[f64], truth: &[f64]) -> Result<f64, RankError> {
    check(predicted, truth, 2)?;
    pearson(&mean_ranks(predicted), &mean_ranks(truth))
}

/// Pearson's correlation of the values themselves.
///
/// # Shapes and units
/// Two lists `[A]`; returns a number in `[-1, 1]`.
///
/// # Errors
/// As [`crate::kendall_tau_b`]; infinities are [`RankError::NotComparable`] too.
///
/// # Source
/// As `scipy.stats.pearsonr`.
pub fn pearson(predicted: &[f64], truth: &[f64]) -> Result<f64, RankError> {
    check(predicted, truth, 2)?;
    let x = direction(predicted, List::Predicted)?;
    let y = direction(truth, List::Truth)?;
    Ok(x.iter().zip(&y).map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0))
}

/// The values less their mean, scaled to length 1.
fn direction(values: &[f64], list: List) -> Result<Vec<f64>, RankError> {
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        return Err(RankError::NotComparable { list, index, value: values[index] });
    }
    if values.iter().all(|v| *v == values[0]) {
        return Err(RankError::AllTied { list, n: values.len() });
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let length = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>().sqrt();
    Ok(values.iter().map(|v| (v - mean) / length).collect())
}

/// Ranks from 1 in ascending order, equal numbers at the mean of their places.
fn mean_ranks(values: &[f64]) -> Vec<f64> {
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
