use crate::error::{RankError, check};

/// P@Top-k: the share of the k best predicted that are among the k best, `k = ⌊fraction · A⌋`. Architectures tied at the k-th
/// value share the slots that are left: the result is the expectation over a random choice among them, in both lists.
///
/// # Shapes and units
/// Two lists `[A]`, larger is better; `fraction` in `(0, 1]`; returns a number in `[0, 1]`.
///
/// # Errors
/// [`RankError::LengthMismatch`], [`RankError::TooFew`], [`RankError::NotComparable`], [`RankError::EmptyTop`]
pub fn p_at_top(predicted: &[f64], truth: &[f64], fraction: f64) -> Result<f64, RankError> {
    check(predicted, truth, 1)?;
    let k = top(predicted.len(), fraction)?;
    let shared: f64 = membership(predicted, k).iter().zip(membership(truth, k)).map(|(a, b)| a * b).sum();
    Ok(shared / k as f64)
}

/// BR@Top-k: the best true rank among the k best predicted, divided by A; `k = ⌊fraction · A⌋`. The rank is 1 plus the number of
/// strictly better ones; a tie at the k-th predicted value goes to the lower index.
///
/// # Shapes and units
/// Two lists `[A]`, larger is better; returns a number in `[1/A, 1]`, smaller is better.
///
/// # Errors
/// As [`p_at_top`].
pub fn br_at_top(predicted: &[f64], truth: &[f64], fraction: f64) -> Result<f64, RankError> {
    check(predicted, truth, 1)?;
    let k = top(predicted.len(), fraction)?;
    let mut order: Vec<usize> = (0..predicted.len()).collect();
    order.sort_by(|&a, &b| (predicted[b] + 0.0).total_cmp(&(predicted[a] + 0.0)));
    let best = order[..k].iter().map(|&i| truth[i]).fold(f64::NEG_INFINITY, f64::max);
    let better = truth.iter().filter(|&&t| t > best).count();
    Ok((1 + better) as f64 / truth.len() as f64)
}

fn top(n: usize, fraction: f64) -> Result<usize, RankError> {
    match (fraction * n as f64).floor() as usize {
        0 => Err(RankError::EmptyTop { n, fraction }),
        k => Ok(k.min(n)),
    }
}

/// How much each item belongs to the k best: 1, 0, or the share of a slot for those tied at the k-th value.
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
