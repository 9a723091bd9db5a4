use std::fmt;

use rand_chacha::ChaCha8Rng;

use crate::bootstrap::{draw, resampled_tau};
use crate::error::{ScoreList, Scores};
use crate::tau::{tau_b, tau_b_without_each};
use crate::top::{p_at_top_of, p_at_top_without_each};
use crate::{Bootstrap, Interval, MetricsError, p_at_top};

/// The metric by which two methods are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum PairedMetric {
    /// [`kendall_tau_b`](crate::kendall_tau_b)
    TauB,
    /// [`p_at_top`](crate::p_at_top)
    PAtTop {
        /// The fraction of the architectures that is the top, in `(0, 1]`.
        fraction: f64,
    },
}

impl fmt::Display for PairedMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TauB => f.write_str("tau-b"),
            // 0.07 is not exact in binary: 100 · 0.07 is 7.000000000000001.
            Self::PAtTop { fraction } => write!(f, "P@Top{}%", (fraction * 1e8).round() / 1e6),
        }
    }
}

/// Paired difference between the rankings of two methods.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
#[non_exhaustive]
pub struct Difference {
    /// Mean over seeds of the metric of method A minus that of method B.
    pub mean: f64,
    /// Confidence interval of the mean over architectures and seeds. If it lies above 0, method A is significantly better.
    pub interval: Interval,
    /// S, the number of seeds that both methods were trained with.
    pub seeds: usize,
}

impl Difference {
    /// Creates a difference from its fields.
    pub const fn new(mean: f64, interval: Interval, seeds: usize) -> Self {
        Self { mean, interval, seeds }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(f, "{:+.digits$}, {:.digits$}, ", self.mean, self.interval)?;
        match self.seeds {
            1 => f.write_str("1 seed"),
            seeds => write!(f, "{seeds} seeds"),
        }
    }
}

/// Computes the mean over seeds of `metric(a, ground_truth) − metric(b, ground_truth)`, and its bootstrap interval over
/// architectures and seeds.
///
/// Every resample draws A architectures and S seeds with replacement, the same ones for both methods. A difficult architecture
/// or a seed with good initial weights affects both methods alike, so that it does not widen the interval. With one seed the
/// interval says nothing about other seeds.
///
/// # Shapes and units
/// - `a`, `b`: `[S, A]`, one list of scores per seed, any unit, larger is better
/// - `ground_truth`: `[A]` with A ≥ 3, any unit, larger is better
///
/// # Errors
/// Returns [`MetricsError::SeedMismatch`], the errors of the metric, and those of [`Bootstrap::interval`]. Errors call the
/// lists [`ScoreList::MethodA`] and [`ScoreList::MethodB`], with the index of the seed.
pub fn paired_difference(
    a: &[Vec<f64>],
    b: &[Vec<f64>],
    ground_truth: &[f64],
    metric: PairedMetric,
    bootstrap: &Bootstrap,
) -> Result<Difference, MetricsError> {
    let seeds = a.len();
    if seeds == 0 || seeds != b.len() {
        return Err(MetricsError::SeedMismatch { a: seeds, b: b.len() });
    }
    let mut of_seeds = Vec::with_capacity(seeds);
    for (seed_index, (a, b)) in a.iter().zip(b).enumerate() {
        let a = Scores { list: ScoreList::MethodA { seed_index }, values: a };
        let b = Scores { list: ScoreList::MethodB { seed_index }, values: b };
        of_seeds.push(metric.of(a, ground_truth)? - metric.of(b, ground_truth)?);
    }
    let sum: f64 = of_seeds.iter().sum();
    let archs = ground_truth.len();
    bootstrap.check_archs(archs)?;
    let pairs: Vec<_> = a
        .iter()
        .zip(b)
        .map(|(a, b)| (metric.resampled(a, ground_truth), metric.resampled(b, ground_truth)))
        .collect();
    // The mean difference of some architectures over seeds, of which each counts a number of times.
    let difference = |archs: &[u32], times: &[u32]| {
        let mut sum = 0.0;
        for ((a, b), &times) in pairs.iter().zip(times).filter(|(_, times)| **times > 0) {
            sum += f64::from(times) * (a(archs)? - b(archs)?);
        }
        Some(sum / f64::from(times.iter().sum::<u32>()))
    };
    let sample = |rng: &mut ChaCha8Rng| {
        let archs = draw(archs, rng);
        // A seed can be drawn several times; its metric is computed once.
        let mut times = vec![0_u32; seeds];
        draw(seeds, rng).into_iter().for_each(|seed| times[seed as usize] += 1);
        difference(&archs, &times)
    };
    let mean = sum / seeds as f64;
    let estimates = || {
        let mut without_arch = vec![0.0; archs];
        for (a, b) in a.iter().zip(b) {
            let [a, b] = [a, b].map(|scores| metric.without_each(scores, ground_truth));
            let differences = a?.into_iter().zip(b?).map(|(a, b)| a - b);
            without_arch.iter_mut().zip(differences).for_each(|(mean, d)| *mean += d / seeds as f64);
        }
        let mut lists = vec![without_arch];
        if seeds > 1 {
            lists.push(of_seeds.iter().map(|own| (sum - own) / (seeds - 1) as f64).collect());
        }
        Some((mean, lists))
    };
    let interval = bootstrap.interval_of(bootstrap.resampled(sample), estimates)?;
    Ok(Difference::new(mean, interval, seeds))
}

/// A metric of the architectures with some indices.
type Resampled<'a> = Box<dyn Fn(&[u32]) -> Option<f64> + Sync + 'a>;

impl PairedMetric {
    fn of(self, scores: Scores<'_>, ground_truth: &[f64]) -> Result<f64, MetricsError> {
        let truth = Scores::ground_truth(ground_truth);
        match self {
            Self::TauB => tau_b(scores, truth),
            Self::PAtTop { fraction } => p_at_top_of(scores, truth, fraction),
        }
    }

    /// Computes the metric without one architecture at a time, `[A]`. Returns `None` if it is undefined without one of them.
    fn without_each(self, scores: &[f64], ground_truth: &[f64]) -> Option<Vec<f64>> {
        match self {
            Self::TauB => tau_b_without_each(scores, ground_truth),
            Self::PAtTop { fraction } => p_at_top_without_each(scores, ground_truth, fraction),
        }
    }

    fn resampled<'a>(self, scores: &'a [f64], ground_truth: &'a [f64]) -> Resampled<'a> {
        match self {
            Self::TauB => Box::new(resampled_tau(scores, ground_truth)),
            Self::PAtTop { fraction } => Box::new(move |indices| {
                let at = |list: &[f64]| indices.iter().map(|&i| list[i as usize]).collect::<Vec<f64>>();
                p_at_top(&at(scores), &at(ground_truth), fraction).ok()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};

    use super::*;

    const ARCHS: usize = 60;

    /// Returns a ground truth, and scores that are the ground truth with noise, one list per seed.
    fn example(noise: f64, seeds: u64) -> (Vec<f64>, Vec<Vec<f64>>) {
        let truth: Vec<f64> = (0..ARCHS).map(|i| i as f64).collect();
        let scores = |seed: u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
            truth.iter().map(|t| t + noise * rng.random_range(-1.0..1.0)).collect()
        };
        let scores = (0..seeds).map(scores).collect();
        (truth, scores)
    }

    /// A slow reference writes out every resample and counts pairs of architectures one by one.
    #[test]
    fn the_interval_is_that_of_resamples_written_out() {
        let ((truth, a), (_, b)) = (example(20.0, 3), example(60.0, 3));
        let bootstrap = Bootstrap::new().with_resamples(40).with_level(0.9).with_seed(7);
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
    fn a_clearly_better_method_is_significantly_better_and_a_method_does_not_differ_from_itself() {
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
    fn lists_that_cannot_be_paired_are_refused_by_name() {
        let (truth, scores) = example(3.0, 2);
        let of = |a: &[Vec<f64>], b: &[Vec<f64>]| {
            paired_difference(a, b, &truth, PairedMetric::TauB, &Bootstrap::default()).unwrap_err()
        };
        assert_eq!(of(&scores, &scores[..1]), MetricsError::SeedMismatch { a: 2, b: 1 });
        assert_eq!(of(&[], &[]), MetricsError::SeedMismatch { a: 0, b: 0 });
        let tied = vec![vec![1.0; ARCHS]];
        assert!(matches!(of(&tied, &scores[..1]), MetricsError::AllTied { n: ARCHS, .. }));
        let second_tied = vec![scores[0].clone(), vec![1.0; ARCHS]];
        let list = ScoreList::MethodB { seed_index: 1 };
        assert_eq!(of(&scores, &second_tied), MetricsError::AllTied { list, n: ARCHS });
        let short = vec![scores[0].clone(), vec![1.0; 2]];
        let list = ScoreList::MethodA { seed_index: 1 };
        assert_eq!(of(&short, &scores), MetricsError::LengthMismatch { list, found: 2, expected: ARCHS });
    }
}
