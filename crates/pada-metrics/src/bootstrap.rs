use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::check;
use crate::tau::{dense_ranks, tau_of_ranks};
use crate::{RankError, kendall_tau_b};

/// Resampling of architectures with replacement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// How many samples of A architectures are drawn.
    pub resamples: usize,
    /// Share of the samples an interval covers, such as 0.95.
    pub level: f64,
    /// The same seed, the same interval, whatever the number of threads.
    pub seed: u64,
}

/// A percentile interval.
///
/// It says how far a metric would move with another choice of architectures. It says nothing of other training seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Share of the samples between the ends.
    pub level: f64,
    /// Samples that counted; those in which the metric does not exist (everything tied) are left out.
    pub resamples: usize,
}

impl Default for Bootstrap {
    /// 1,000 samples, 95 %.
    fn default() -> Self {
        Self { resamples: 1000, level: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// The interval of a metric of A architectures: `metric` is given A places, with repetitions. None if the metric existed in
    /// no sample.
    ///
    /// # Panics
    /// If there is no architecture.
    pub fn interval(&self, archs: usize, metric: impl Fn(&[u32]) -> Option<f64> + Sync) -> Option<Interval> {
        self.percentiles(|rng| metric(&draw(archs, rng)))
    }

    /// The interval of whatever `sample` finds with a stream of random numbers of its own. None if it never found anything.
    pub(crate) fn percentiles(
        &self,
        sample: impl Fn(&mut ChaCha8Rng) -> Option<f64> + Sync,
    ) -> Option<Interval> {
        let value = |resample: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(resample as u64);
            sample(&mut rng)
        };
        let mut values: Vec<f64> = (0..self.resamples).into_par_iter().filter_map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        (!values.is_empty()).then(|| Interval {
            low: quantile(&values, tail),
            high: quantile(&values, 1.0 - tail),
            level: self.level,
            resamples: values.len(),
        })
    }
}

/// `n` of the places `0..n`, with repetitions.
pub(crate) fn draw(n: usize, rng: &mut ChaCha8Rng) -> Vec<u32> {
    (0..n).map(|_| rng.random_range(0..n as u32)).collect()
}

/// Linear interpolation between the two nearest places, as numpy's default.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

/// The interval of [`kendall_tau_b`].
///
/// # Errors
/// As [`kendall_tau_b`].
pub fn tau_b_interval(
    predicted: &[f64],
    truth: &[f64],
    bootstrap: &Bootstrap,
) -> Result<Interval, RankError> {
    kendall_tau_b(predicted, truth)?;
    let tau = resampled_tau(predicted, truth);
    bootstrap.interval(truth.len(), tau).ok_or(RankError::TooFew { found: truth.len(), needed: 3 })
}

/// The interval of `tau_b(a, truth) − tau_b(b, truth)`, both on the same architectures: does the first rank better?
///
/// # Errors
/// As [`kendall_tau_b`].
pub fn tau_b_difference_interval(
    a: &[f64],
    b: &[f64],
    truth: &[f64],
    bootstrap: &Bootstrap,
) -> Result<Interval, RankError> {
    check(a, b, 2)?;
    kendall_tau_b(a, truth)?;
    kendall_tau_b(b, truth)?;
    let (tau_a, tau_b) = (resampled_tau(a, truth), resampled_tau(b, truth));
    let difference = |places: &[u32]| Some(tau_a(places)? - tau_b(places)?);
    bootstrap.interval(truth.len(), difference).ok_or(RankError::TooFew { found: truth.len(), needed: 3 })
}

/// Tau-b of a sample. Ranks are found once: a sample of them keeps order and ties.
pub(crate) fn resampled_tau(x: &[f64], y: &[f64]) -> impl Fn(&[u32]) -> Option<f64> + Sync + use<> {
    let pairs: Vec<(u32, u32)> = dense_ranks(x).into_iter().zip(dense_ranks(y)).collect();
    move |places| tau_of_ranks(places.iter().map(|&i| pairs[i as usize]).collect()).ok()
}
