use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{draw, resampled_tau};
use crate::{Bootstrap, Interval, RankError, kendall_tau_b, p_at_top};

/// What two methods are compared by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PairedMetric {
    /// [`kendall_tau_b`]
    TauB,
    /// [`p_at_top`]
    PAtTop {
        /// Which share of the architectures is the top.
        fraction: f64,
    },
}

/// How much better one method ranks than another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Mean over seeds of the metric of the first less that of the second.
    pub mean: f64,
    /// Where the mean would lie with other architectures and other seeds.
    pub interval: Interval,
    /// Seeds that both methods were run with.
    pub seeds: usize,
}

/// The mean over seeds of `metric(a, truth) − metric(b, truth)`, and its percentile interval over architectures and seeds.
///
/// Every resample draws A architectures and S seeds with repetitions, the same ones for both methods: an architecture that is
/// hard, or a seed with lucky start weights, is so for both, and does not widen the interval. With one seed the interval says
/// nothing of other seeds.
///
/// # Shapes
/// `a`, `b`: `[S, A]`, scores by seed; `truth`: `[A]`.
///
/// # Errors
/// [`RankError::SeedMismatch`], and those of the metric.
pub fn paired_difference(
    a: &[Vec<f64>],
    b: &[Vec<f64>],
    truth: &[f64],
    metric: PairedMetric,
    bootstrap: &Bootstrap,
) -> Result<Difference, RankError> {
    let seeds = a.len();
    if seeds == 0 || seeds != b.len() {
        return Err(RankError::SeedMismatch { a: seeds, b: b.len() });
    }
    let mut sum = 0.0;
    for (a, b) in a.iter().zip(b) {
        sum += metric.of(a, truth)? - metric.of(b, truth)?;
    }
    let pairs: Vec<_> =
        a.iter().zip(b).map(|(a, b)| (metric.resampled(a, truth), metric.resampled(b, truth))).collect();
    let sample = |rng: &mut ChaCha8Rng| {
        let places = draw(truth.len(), rng);
        // One seed can be drawn several times; its metric is found once.
        let mut times = vec![0_u32; seeds];
        draw(seeds, rng).into_iter().for_each(|seed| times[seed as usize] += 1);
        let mut sum = 0.0;
        for ((a, b), &times) in pairs.iter().zip(&times).filter(|(_, times)| **times > 0) {
            sum += f64::from(times) * (a(&places)? - b(&places)?);
        }
        Some(sum / seeds as f64)
    };
    let few = RankError::TooFew { found: truth.len(), needed: 3 };
    let interval = bootstrap.percentiles(sample).ok_or(few)?;
    Ok(Difference { mean: sum / seeds as f64, interval, seeds })
}

/// A metric of the architectures at some places.
type Resampled<'a> = Box<dyn Fn(&[u32]) -> Option<f64> + Sync + 'a>;

impl PairedMetric {
    fn of(self, scores: &[f64], truth: &[f64]) -> Result<f64, RankError> {
        match self {
            Self::TauB => kendall_tau_b(scores, truth),
            Self::PAtTop { fraction } => p_at_top(scores, truth, fraction),
        }
    }

    fn resampled<'a>(self, scores: &'a [f64], truth: &'a [f64]) -> Resampled<'a> {
        match self {
            Self::TauB => Box::new(resampled_tau(scores, truth)),
            Self::PAtTop { fraction } => Box::new(move |places| {
                let at = |list: &[f64]| places.iter().map(|&i| list[i as usize]).collect::<Vec<f64>>();
                p_at_top(&at(scores), &at(truth), fraction).ok()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    const ARCHS: usize = 60;

    /// Truth, and scores that are the truth with so much noise: one list per seed.
    fn example(noise: f64, seeds: u64) -> (Vec<f64>, Vec<Vec<f64>>) {
        let truth: Vec<f64> = (0..ARCHS).map(|i| i as f64).collect();
        let scores = |seed: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
            truth.iter().map(|t| t + noise * rng.random_range(-1.0..1.0)).collect()
        };
        let scores = (0..seeds).map(scores).collect();
        (truth, scores)
    }

    /// Slow reference: every resample is written out, pairs of architectures are counted one by one.
    #[test]
    fn the_interval_is_that_of_resamples_written_out() {
        let ((truth, a), (_, b)) = (example(20.0, 3), example(60.0, 3));
        let bootstrap = Bootstrap { resamples: 40, level: 0.9, seed: 7 };
        let tau = |x: &[f64], y: &[f64]| {
            let (mut same, mut x_pairs, mut y_pairs) = (0.0, 0.0_f64, 0.0_f64);
            for i in 0..x.len() {
                for j in 0..i {
                    let sign = |v: &[f64]| f64::from(v[i] > v[j]) - f64::from(v[i] < v[j]);
                    same += sign(x) * sign(y);
                    x_pairs += sign(x).abs();
                    y_pairs += sign(y).abs();
                }
            }
            same / (x_pairs * y_pairs).sqrt()
        };
        let mut values = Vec::new();
        for resample in 0..40 {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            rng.set_stream(resample);
            let archs: Vec<usize> = (0..ARCHS).map(|_| rng.random_range(0..ARCHS as u32) as usize).collect();
            let seeds: Vec<usize> = (0..3).map(|_| rng.random_range(0..3_u32) as usize).collect();
            let at = |list: &[f64]| archs.iter().map(|&i| list[i]).collect::<Vec<f64>>();
            let difference = |seed: usize| tau(&at(&a[seed]), &at(&truth)) - tau(&at(&b[seed]), &at(&truth));
            values.push(seeds.into_iter().map(difference).sum::<f64>() / 3.0);
        }
        values.sort_by(f64::total_cmp);
        // 5 % and 95 % of 40 values: between places 1 and 2, and 37 and 38.
        let between = |low: usize, share: f64| values[low] + share * (values[low + 1] - values[low]);
        let found = paired_difference(&a, &b, &truth, PairedMetric::TauB, &bootstrap).unwrap();
        assert!((found.interval.low - between(1, 0.95)).abs() < 1e-12, "{found:?}");
        assert!((found.interval.high - between(37, 0.05)).abs() < 1e-12, "{found:?}");
        let mean = (0..3).map(|s| tau(&a[s], &truth) - tau(&b[s], &truth)).sum::<f64>() / 3.0;
        assert!((found.mean - mean).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_method_that_is_plainly_better_is_found_so_and_one_does_not_differ_from_itself() {
        let ((truth, good), (_, poor)) = (example(3.0, 3), example(300.0, 3));
        for metric in [PairedMetric::TauB, PairedMetric::PAtTop { fraction: 0.1 }] {
            let found = paired_difference(&good, &poor, &truth, metric, &Bootstrap::default()).unwrap();
            assert!(found.interval.low > 0.0 && found.interval.low < found.mean, "{metric:?}: {found:?}");
            assert_eq!(found.seeds, 3);
            let same = paired_difference(&good, &good, &truth, metric, &Bootstrap::default()).unwrap();
            assert_eq!((same.mean, same.interval.low, same.interval.high), (0.0, 0.0, 0.0));
        }
    }

    #[test]
    fn what_cannot_be_paired_is_named() {
        let (truth, scores) = example(3.0, 2);
        let of = |a: &[Vec<f64>], b: &[Vec<f64>]| {
            paired_difference(a, b, &truth, PairedMetric::TauB, &Bootstrap::default()).unwrap_err()
        };
        assert_eq!(of(&scores, &scores[..1]), RankError::SeedMismatch { a: 2, b: 1 });
        assert_eq!(of(&[], &[]), RankError::SeedMismatch { a: 0, b: 0 });
        let tied = vec![vec![1.0; ARCHS]];
        assert!(matches!(of(&tied, &scores[..1]), RankError::AllTied { n: ARCHS, .. }));
    }
}
