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

/// Computes P@Top-k without one architecture at a time, `[A]`, in O(A log A). Returns `None` if it is undefined.
pub(crate) fn p_at_top_without_each(x: &[f64], y: &[f64], fraction: f64) -> Option<Vec<f64>> {
    let k = top(x.len().checked_sub(1)?, fraction).ok()?;
    let (x, y) = (Memberships::new(x, k), Memberships::new(y, k));
    // The share of every architecture in the k best depends on which of three cases the one left out is, in either list.
    let mut shared = [[None; 3]; 3];
    let mut without = |i: usize| {
        let (a, b) = (x.case(i), y.case(i));
        let product = |j: usize| x.share(a, j) * y.share(b, j);
        let sum = shared[a][b].get_or_insert_with(|| (0..x.values.len()).map(product).sum::<f64>());
        (*sum - product(i)) / k as f64
    };
    Some((0..x.values.len()).map(&mut without).collect())
}

/// The shares of architectures in the k best of a list without one of them. The list has more than k entries.
struct Memberships<'a> {
    values: &'a [f64],
    /// Per case: the k-th best score, and the share of an architecture with this score.
    cuts: [(f64, f64); 3],
}

impl<'a> Memberships<'a> {
    fn new(values: &'a [f64], k: usize) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_unstable_by(|a, b| (b + 0.0).total_cmp(&(a + 0.0)));
        let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|&&v| keep(v)).count();
        let cut = |cut: f64, left_out: f64| {
            // A case that no architecture is in has no such counts.
            let above = count(&|v| v > cut).saturating_sub(usize::from(left_out > cut));
            let tied = count(&|v| v == cut).saturating_sub(usize::from(left_out == cut));
            (cut, (k as f64 - above as f64) / tied as f64)
        };
        let (last, next) = (sorted[k - 1], sorted[k]);
        // Without an architecture of the k best, the next one moves up. In the third case both have the same score.
        Self { values, cuts: [cut(last, f64::NEG_INFINITY), cut(next, f64::INFINITY), cut(next, next)] }
    }

    /// Returns the case of the list without an architecture.
    fn case(&self, i: usize) -> usize {
        let (last, next, value) = (self.cuts[0].0, self.cuts[1].0, self.values[i]);
        if value < last {
            0
        } else if value > next {
            1
        } else {
            2
        }
    }

    fn share(&self, case: usize, i: usize) -> f64 {
        let (cut, share) = self.cuts[case];
        match self.values[i].partial_cmp(&cut) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Equal) => share,
            _ => 0.0,
        }
    }
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
