use std::collections::HashMap;

use crate::MetricsError;
use crate::error::{ScoreList, Scores, check_pair};

/// Computes Kendall's tau-b between predicted and ground-truth scores of the same architectures.
///
/// Tau counts pairs of architectures: the pairs that both lists order alike, minus the pairs that they order differently,
/// divided by √((pairs − ties in one list)·(pairs − ties in the other)).
///
/// # Shapes and units
/// - `predicted`: `[A]`, any unit, larger is better
/// - `ground_truth`: `[A]`, any unit, larger is better
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// Returns [`MetricsError::LengthMismatch`], [`MetricsError::TooFew`] for less than two architectures,
/// [`MetricsError::NanScore`], or [`MetricsError::AllTied`] if all scores of a list are equal, because a collapsed supernet
/// must not read as tau = 0. Infinite scores are allowed.
///
/// # Source
/// Kendall (1945), in O(A log A) by Knight (1966). The same value as `scipy.stats.kendalltau(variant="b")`.
///
/// # Example
/// ```
/// let tau = pada_metrics::kendall_tau_b(&[61.0, 48.5, 70.2, 55.0], &[91.2, 88.0, 93.4, 91.9])?;
/// assert!((tau - 4.0 / 6.0).abs() < 1e-12); // five pairs agree, one does not
/// # Ok::<(), pada_metrics::MetricsError>(())
/// ```
pub fn kendall_tau_b(predicted: &[f64], ground_truth: &[f64]) -> Result<f64, MetricsError> {
    tau_b(Scores::predicted(predicted), Scores::ground_truth(ground_truth))
}

/// Computes tau-b of two lists; errors call them by their names.
pub(crate) fn tau_b(x: Scores<'_>, y: Scores<'_>) -> Result<f64, MetricsError> {
    Ok(count_pairs(x, y)?.tau_b())
}

/// Counts the pairs of two lists that were checked.
pub(crate) fn count_pairs(x: Scores<'_>, y: Scores<'_>) -> Result<PairCounts, MetricsError> {
    check_pair(x, y, 2)?;
    let ranks = dense_ranks(x.values).into_iter().zip(dense_ranks(y.values)).collect();
    let counts = PairCounts::of_ranks(ranks);
    for (list, tied) in [(x.list, counts.tied_x), (y.list, counts.tied_y)] {
        if tied == counts.total {
            return Err(MetricsError::AllTied { list, n: x.values.len() });
        }
    }
    Ok(counts)
}

/// Computes tau-b without one architecture at a time, `[A]`, in O(A log A). Returns `None` if one of them is undefined.
pub(crate) fn tau_b_without_each(x: &[f64], y: &[f64]) -> Option<Vec<f64>> {
    let ranks: Vec<(u32, u32)> = dense_ranks(x).into_iter().zip(dense_ranks(y)).collect();
    let all = PairCounts::of_ranks(ranks.clone());
    let without = |own: &PairCounts| {
        let rest = all.without(own);
        (!rest.is_undefined()).then(|| rest.tau_b())
    };
    PairCounts::of_each(&ranks).iter().map(without).collect()
}

/// Computes tau-b with the influence of a third list removed:
/// `(t_xy − t_xz·t_yz) / √((1 − t_xz²)(1 − t_yz²))`, with x the predicted, y the ground-truth and z the control scores.
///
/// With the number of parameters as `control` it shows what a ranking knows beyond the size of the networks.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`, `control`: `[A]`, any unit
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`], and [`MetricsError::ControlExplains`] if the control list orders the architectures
/// exactly as one of the other lists does, or in reverse.
///
/// # Source
/// Kendall, *Rank Correlation Methods*, 1948, chapter 8.
pub fn partial_tau(predicted: &[f64], ground_truth: &[f64], control: &[f64]) -> Result<f64, MetricsError> {
    let (x, y) = (Scores::predicted(predicted), Scores::ground_truth(ground_truth));
    let z = Scores { list: ScoreList::Control, values: control };
    let xy = tau_b(x, y)?;
    z.check_length(ground_truth)?;
    let (xz, yz) = (tau_b(x, z)?, tau_b(y, z)?);
    for (list, tau) in [(x.list, xz), (y.list, yz)] {
        if 1.0 - tau * tau <= 0.0 {
            return Err(MetricsError::ControlExplains { list });
        }
    }
    Ok((xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt())
}

/// Computes tau-b over the pairs of architectures that are equal in a third list.
///
/// With a measure of size as `groups` it shows what a ranking knows among networks of the same size: a ranking by size alone
/// has no value here.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit, larger is better
/// - `groups`: `[A]`, any unit; architectures with equal numbers are one group
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`]; [`MetricsError::AllTied`] also if every group is tied in a list, and
/// [`MetricsError::TooFew`] if no two architectures are in one group.
pub fn tau_within(predicted: &[f64], ground_truth: &[f64], groups: &[f64]) -> Result<f64, MetricsError> {
    let (x, y) = (Scores::predicted(predicted), Scores::ground_truth(ground_truth));
    count_pairs(x, y)?;
    let groups = Scores { list: ScoreList::Control, values: groups };
    groups.check_length(ground_truth)?;
    groups.check_no_nan()?;
    let (x_ranks, y_ranks) = (dense_ranks(predicted), dense_ranks(ground_truth));
    let mut members: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
    for ((group, x), y) in dense_ranks(groups.values).into_iter().zip(x_ranks).zip(y_ranks) {
        members.entry(group).or_default().push((x, y));
    }
    let mut all = PairCounts::of_ranks(vec![]);
    members.into_values().for_each(|ranks| all.add(&PairCounts::of_ranks(ranks)));
    if all.total == 0 {
        return Err(MetricsError::TooFew { found: 1, needed: 2 });
    }
    for (list, tied) in [(x.list, all.tied_x), (y.list, all.tied_y)] {
        if tied == all.total {
            return Err(MetricsError::AllTied { list, n: predicted.len() });
        }
    }
    Ok(all.tau_b())
}

/// Computes weighted tau: tau-b in which a pair of architectures weighs the more, the better its architectures are.
///
/// The architecture of rank r (0 is the best) has the weight 1/(r + 1), and a pair has the sum of two weights. Ranks come once
/// from the predicted scores, with ties ordered by the ground truth, and once the other way round; the result is the mean of
/// the two. Use it if the best architectures matter more than the order of the poor ones.
///
/// # Shapes and units
/// - `predicted`, `ground_truth`: `[A]`, any unit, larger is better
/// - returns a number in `[-1, 1]`
///
/// # Errors
/// Returns the errors of [`kendall_tau_b`].
///
/// # Source
/// Vigna, *A weighted correlation index for rankings with ties*, WWW 2015. The same value as `scipy.stats.weightedtau` with
/// its defaults (`rank=True`, hyperbolic weights, additive).
pub fn weighted_tau(predicted: &[f64], ground_truth: &[f64]) -> Result<f64, MetricsError> {
    count_pairs(Scores::predicted(predicted), Scores::ground_truth(ground_truth))?;
    let (x, y) = (dense_ranks(predicted), dense_ranks(ground_truth));
    Ok((weighted_tau_by_first(&x, &y) + weighted_tau_by_first(&y, &x)) / 2.0)
}

/// Computes weighted tau with the weights that the order of the first list gives.
fn weighted_tau_by_first(x: &[u32], y: &[u32]) -> f64 {
    let n = x.len();
    let mut order: Vec<usize> = (0..n).collect();
    // Stable: of architectures that are tied in both lists, scipy gives the last one the best rank.
    order.sort_by_key(|&i| (x[i], y[i]));
    let mut weights = vec![0.0; n];
    for (place, &i) in order.iter().enumerate() {
        weights[i] = 1.0 / (n - place) as f64;
    }
    let total = weights.iter().sum::<f64>() * (n - 1) as f64;
    let (tied_x, tied_y) = (tied_weight(x, &weights), tied_weight(y, &weights));
    let joint: HashMap<(u32, u32), u32> = x.iter().copied().zip(y.iter().copied()).zip(0..).collect();
    let both: Vec<u32> = x.iter().zip(y).map(|(&x, &y)| joint[&(x, y)]).collect();
    let tied_both = tied_weight(&both, &weights);
    // In the order of the first list, a pair is discordant if an earlier architecture has a larger rank in the second list.
    let (mut discordant, mut seen) = (0.0, SumsAbove::new(n));
    for &i in &order {
        let (count, weight) = seen.above(y[i]);
        discordant += weight + count * weights[i];
        seen.add(y[i], weights[i]);
    }
    let difference = total - (tied_y + tied_x - tied_both) - 2.0 * discordant;
    (difference / (total - tied_x).sqrt() / (total - tied_y).sqrt()).clamp(-1.0, 1.0)
}

/// Computes the weight of all tied pairs: an item of a group of g tied items is in g − 1 of them.
fn tied_weight(groups: &[u32], weights: &[f64]) -> f64 {
    let mut sums = vec![(0.0, 0.0); groups.len()];
    for (&group, weight) in groups.iter().zip(weights) {
        let (sum, count) = &mut sums[group as usize];
        (*sum, *count) = (*sum + weight, *count + 1.0);
    }
    sums.iter().filter(|(_, count)| *count > 0.0).map(|(sum, count)| sum * (count - 1.0)).sum()
}

/// A Fenwick tree of counts and weights over ranks below `n`.
struct SumsAbove(Vec<(f64, f64)>);

impl SumsAbove {
    fn new(n: usize) -> Self {
        Self(vec![(0.0, 0.0); n + 1])
    }

    fn add(&mut self, rank: u32, weight: f64) {
        let n = self.0.len() - 1;
        // Ranks are counted from the top, so that the sum over larger ranks is a prefix.
        let mut node = n - rank as usize;
        while node <= n {
            let (count, sum) = &mut self.0[node];
            (*count, *sum) = (*count + 1.0, *sum + weight);
            node += node & node.wrapping_neg();
        }
    }

    /// Returns how many items have a larger rank, and their weight.
    fn above(&self, rank: u32) -> (f64, f64) {
        let mut node = self.0.len() - 2 - rank as usize;
        let mut sums = (0.0, 0.0);
        while node > 0 {
            sums = (sums.0 + self.0[node].0, sums.1 + self.0[node].1);
            node &= node - 1;
        }
        sums
    }
}

/// Computes ranks from 0 in ascending order. Equal numbers share a rank, and the next number has the next rank.
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

/// The numbers of pairs that Kendall's tau is made of, in exact integers.
pub(crate) struct PairCounts {
    /// All pairs, A(A − 1)/2.
    pub(crate) total: u64,
    /// Pairs that are tied in the first list, in both or not.
    pub(crate) tied_x: u64,
    /// Pairs that are tied in the second list.
    pub(crate) tied_y: u64,
    tied_both: u64,
    /// Pairs that the lists order differently.
    pub(crate) discordant: u64,
}

impl PairCounts {
    /// Counts pairs of ranks; any ranks with the right order and ties.
    pub(crate) fn of_ranks(mut ranks: Vec<(u32, u32)>) -> Self {
        let n = ranks.len() as u64;
        ranks.sort_unstable();
        let tied_x = tied_pairs(ranks.iter().map(|p| p.0));
        let tied_both = tied_pairs(ranks.iter().copied());
        let mut y: Vec<u32> = ranks.iter().map(|p| p.1).collect();
        let discordant = sort_counting_swaps(&mut y);
        let tied_y = tied_pairs(y.iter().copied());
        Self { total: n * n.saturating_sub(1) / 2, tied_x, tied_y, tied_both, discordant }
    }

    /// Counts for each architecture the pairs that it is in, in O(A log A).
    fn of_each(ranks: &[(u32, u32)]) -> Vec<Self> {
        let n = ranks.len();
        let mut sizes_x = vec![0_u64; n];
        let mut sizes_y = vec![0_u64; n];
        let mut sizes_both: HashMap<(u32, u32), u64> = HashMap::new();
        for &(x, y) in ranks {
            sizes_x[x as usize] += 1;
            sizes_y[y as usize] += 1;
            *sizes_both.entry((x, y)).or_default() += 1;
        }
        let mut counts: Vec<Self> = ranks
            .iter()
            .map(|pair| Self {
                total: n as u64 - 1,
                tied_x: sizes_x[pair.0 as usize] - 1,
                tied_y: sizes_y[pair.1 as usize] - 1,
                tied_both: sizes_both[pair] - 1,
                discordant: 0,
            })
            .collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by_key(|&i| ranks[i]);
        // An architecture is discordant with those that are below it in the first list and above it in the second, and with those for which
        // it is the other way round. Architectures that are tied in the first list are asked for before any of them is added.
        let mut above = SumsAbove::new(n);
        for tied in order.chunk_by(|&a, &b| ranks[a].0 == ranks[b].0) {
            tied.iter().for_each(|&i| counts[i].discordant += above.above(ranks[i].1).0 as u64);
            tied.iter().for_each(|&i| above.add(ranks[i].1, 0.0));
        }
        let turned = |i: usize| n as u32 - 1 - ranks[i].1;
        let mut below = SumsAbove::new(n);
        order.reverse();
        for tied in order.chunk_by(|&a, &b| ranks[a].0 == ranks[b].0) {
            tied.iter().for_each(|&i| counts[i].discordant += below.above(turned(i)).0 as u64);
            tied.iter().for_each(|&i| below.add(turned(i), 0.0));
        }
        counts
    }

    /// Returns the counts without the pairs of one architecture.
    fn without(&self, own: &Self) -> Self {
        Self {
            total: self.total - own.total,
            tied_x: self.tied_x - own.tied_x,
            tied_y: self.tied_y - own.tied_y,
            tied_both: self.tied_both - own.tied_both,
            discordant: self.discordant - own.discordant,
        }
    }

    /// Adds the pairs of other architectures.
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.tied_x += other.tied_x;
        self.tied_y += other.tied_y;
        self.tied_both += other.tied_both;
        self.discordant += other.discordant;
    }

    /// Returns whether tau is undefined because all pairs of a list are tied.
    pub(crate) fn is_undefined(&self) -> bool {
        self.tied_x == self.total || self.tied_y == self.total
    }

    /// Concordant minus discordant pairs.
    pub(crate) fn difference(&self) -> i64 {
        (self.total + self.tied_both) as i64 - (self.tied_x + self.tied_y) as i64 - 2 * self.discordant as i64
    }

    pub(crate) fn tau_b(&self) -> f64 {
        // One root of the exact product: the same number whichever list comes first, and exactly 1 for equal rankings.
        let pairs = u128::from(self.total - self.tied_x) * u128::from(self.total - self.tied_y);
        self.difference() as f64 / (pairs as f64).sqrt()
    }
}

/// Counts the pairs of equal items in a sorted list.
fn tied_pairs<T: PartialEq>(sorted: impl Iterator<Item = T>) -> u64 {
    let (mut pairs, mut run, mut last) = (0, 0_u64, None);
    for item in sorted {
        run = if last.as_ref() == Some(&item) { run + 1 } else { 0 };
        pairs += run;
        last = Some(item);
    }
    pairs
}

/// Sorts bottom up and returns how many pairs of items were in the wrong order.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_within_counts_only_pairs_of_one_group() {
        let x = [1.0, 2.0, 3.0, 9.0, 8.0, 5.0, 5.0];
        let y = [1.0, 3.0, 2.0, 0.5, 0.7, 4.0, 6.0];
        let groups = [1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0];
        // Group 1 has three pairs, of which one is discordant; group 2 has a discordant one; group 3 a pair that is tied in x.
        let expected = (2.0 - 1.0 - 1.0) / (4.0_f64 * 5.0).sqrt();
        assert_eq!(tau_within(&x, &y, &groups).unwrap(), expected);
        assert_eq!(tau_within(&x, &y, &[7.0; 7]).unwrap(), kendall_tau_b(&x, &y).unwrap());
        let all_different = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert!(tau_within(&x, &y, &all_different).unwrap_err().is_undefined());
        // A ranking by the groups themselves knows nothing within them.
        let error = tau_within(&groups, &y, &groups).unwrap_err();
        assert_eq!(error, MetricsError::AllTied { list: ScoreList::Predicted, n: 7 });
    }
}
