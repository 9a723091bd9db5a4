use crate::MetricsError;
use crate::error::{Scores, check_pair};

/// Computes P@Top-k: the share of the k architectures with the best predicted scores that are among the k with the best
/// ground-truth scores, with `k = ⌊fraction · A⌋`.
///
/// Architectures that are tied at rank k share the places that are left: the result is the expected value over a random
/// choice among them, in both lists.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit, larger is better
/// - `fraction`: in `(0, 1]`, 0.05 for P@Top5%
/// - returns a number in `[0, 1]`, larger is better
///
/// # Errors
/// Returns [`MetricsError::InvalidFraction`], [`MetricsError::EmptyTop`] if k is 0, [`MetricsError::LengthMismatch`],
/// [`MetricsError::TooFew`] or [`MetricsError::NanScore`].
///
/// # Source
/// Ning et al., *Evaluating efficient performance estimators of neural architectures*, NeurIPS 2021; also reported by PA&DA,
/// CVPR 2023.
pub fn p_at_top(predicted: &[f64], ground_truth: &[f64], fraction: f64) -> Result<f64, MetricsError> {
    p_at_top_of(Scores::predicted(predicted), Scores::ground_truth(ground_truth), fraction)
}

/// Computes P@Top-k of two lists; errors call them by their names.
pub(crate) fn p_at_top_of(x: Scores<'_>, y: Scores<'_>, fraction: f64) -> Result<f64, MetricsError> {
    check_pair(x, y, 1)?;
    let k = top(x.values.len(), fraction)?;
    let shared: f64 = membership(x.values, k).iter().zip(membership(y.values, k)).map(|(a, b)| a * b).sum();
    Ok(shared / k as f64)
}

/// Computes BR@Top-k: the best ground-truth rank among the k architectures with the best predicted scores, divided by A, with
/// `k = ⌊fraction · A⌋`.
///
/// The rank is 1 plus the number of strictly better architectures. A tie at the k-th predicted score goes to the architecture
/// with the lower index.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit, larger is better
/// - `fraction`: in `(0, 1]`, 0.05 for BR@Top5%
/// - returns a number in `[1/A, 1]`, smaller is better
///
/// # Errors
/// Returns the errors of [`p_at_top`].
///
/// # Source
/// Ning et al., NeurIPS 2021, as for [`p_at_top`].
pub fn br_at_top(predicted: &[f64], ground_truth: &[f64], fraction: f64) -> Result<f64, MetricsError> {
    check_pair(Scores::predicted(predicted), Scores::ground_truth(ground_truth), 1)?;
    let k = top(predicted.len(), fraction)?;
    let mut order: Vec<usize> = (0..predicted.len()).collect();
    order.sort_by(|&a, &b| (predicted[b] + 0.0).total_cmp(&(predicted[a] + 0.0)));
    let best = order[..k].iter().map(|&i| ground_truth[i]).fold(f64::NEG_INFINITY, f64::max);
    let better = ground_truth.iter().filter(|&&score| score > best).count();
    Ok((1 + better) as f64 / ground_truth.len() as f64)
}

/// Computes how many of `n` architectures the top fraction contains.
fn top(n: usize, fraction: f64) -> Result<usize, MetricsError> {
    check_fraction(fraction)?;
    match (fraction * n as f64).floor() as usize {
        0 => Err(MetricsError::EmptyTop { n, fraction }),
        k => Ok(k.min(n)),
    }
}

/// Checks that a fraction of top architectures is in `(0, 1]`.
fn check_fraction(fraction: f64) -> Result<(), MetricsError> {
    if fraction > 0.0 && fraction <= 1.0 { Ok(()) } else { Err(MetricsError::InvalidFraction { fraction }) }
}

/// Computes the share of each item in the k best: 1, 0, or for items that are tied at rank k the share of a place.
fn membership(values: &[f64], k: usize) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(|a, b| (b + 0.0).total_cmp(&(a + 0.0)));
    let cut = sorted[k - 1];
    let above = values.iter().filter(|&&v| v > cut).count();
    let tied = values.iter().filter(|&&v| v == cut).count();
    let share = (k - above) as f64 / tied as f64;
    let belongs = |&v: &f64| match v.partial_cmp(&cut) {
        Some(std::cmp::Ordering::Greater) => 1.0,
        Some(std::cmp::Ordering::Equal) => share,
        _ => 0.0,
    };
    values.iter().map(belongs).collect()
}
