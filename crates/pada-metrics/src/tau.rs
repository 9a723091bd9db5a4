use crate::error::{List, RankError, check};

/// Kendall's tau-b between predicted and true scores of the same architectures.
///
/// # Shapes and units
/// - `predicted`: `[A]`, any unit, larger is better
/// - `truth`: `[A]`, likewise
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// [`RankError::LengthMismatch`], [`RankError::TooFew`], [`RankError::NotComparable`], [`RankError::AllTied`]: a collapsed
/// supernet must not read as tau = 0.
///
/// # Source
/// Knight (1966), O(A log A); tau-b of Kendall (1945), as `scipy.stats.kendalltau`.
pub fn kendall_tau_b(predicted: &[f64], truth: &[f64]) -> Result<f64, RankError> {
    check(predicted, truth, 2)?;
    let pairs = dense_ranks(predicted).into_iter().zip(dense_ranks(truth)).collect();
    tau_of_ranks(pairs)
}

/// Ranks from 0 in ascending order; equal numbers share a rank and the next follows at once.
pub(crate) fn dense_ranks(values: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..values.len() as u32).collect();
    // `+ 0.0` makes the two zeros one number for the total order.
    order.sort_unstable_by(|&a, &b| (values[a as usize] + 0.0).total_cmp(&(values[b as usize] + 0.0)));
    let mut ranks = vec![0; values.len()];
    let mut rank = 0;
    for pair in order.windows(2) {
        rank += u32::from(values[pair[0] as usize] != values[pair[1] as usize]);
        ranks[pair[1] as usize] = rank;
    }
    ranks
}

/// Tau-b of pairs of ranks; any ranks with the right order and ties.
pub(crate) fn tau_of_ranks(mut pairs: Vec<(u32, u32)>) -> Result<f64, RankError> {
    let n = pairs.len();
    pairs.sort_unstable();
    let tied_x = tied_pairs(pairs.iter().map(|p| p.0));
    let tied_both = tied_pairs(pairs.iter().copied());
    let mut y: Vec<u32> = pairs.iter().map(|p| p.1).collect();
    let swaps = sort_counting_swaps(&mut y);
    let tied_y = tied_pairs(y.iter().copied());
    let total = n as u64 * (n as u64 - 1) / 2;
    for (list, tied) in [(List::Predicted, tied_x), (List::Truth, tied_y)] {
        if tied == total {
            return Err(RankError::AllTied { list, n });
        }
    }
    // Concordant less discordant pairs, in exact integers.
    let difference = (total + tied_both) as i64 - (tied_x + tied_y) as i64 - 2 * swaps as i64;
    // One root of the exact product: the same number whichever list comes first, and exactly 1 for equal rankings.
    let pairs = u128::from(total - tied_x) * u128::from(total - tied_y);
    Ok(difference as f64 / (pairs as f64).sqrt())
}

/// Pairs of equal items in a sorted list.
fn tied_pairs<T: PartialEq>(sorted: impl Iterator<Item = T>) -> u64 {
    let (mut pairs, mut run, mut last) = (0, 0_u64, None);
    for item in sorted {
        run = if last.as_ref() == Some(&item) { run + 1 } else { 0 };
        pairs += run;
        last = Some(item);
    }
    pairs
}

/// Merge sort from the bottom up; returns how many pairs stood in the wrong order.
fn sort_counting_swaps(values: &mut Vec<u32>) -> u64 {
    let n = values.len();
    let mut from = std::mem::take(values);
    let mut to = vec![0; n];
    let (mut swaps, mut width) = (0, 1);
    while width < n {
        for start in (0..n).step_by(2 * width) {
            let (middle, end) = ((start + width).min(n), (start + 2 * width).min(n));
            let (mut left, mut right) = (start, middle);
            for slot in &mut to[start..end] {
                if left < middle && (right == end || from[left] <= from[right]) {
                    *slot = from[left];
                    left += 1;
                } else {
                    *slot = from[right];
                    right += 1;
                    swaps += (middle - left) as u64;
                }
            }
        }
        std::mem::swap(&mut from, &mut to);
        width *= 2;
    }
    *values = from;
    swaps
}
