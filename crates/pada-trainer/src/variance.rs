use std::borrow::Cow;
use std::collections::BTreeMap;

use pada_graph::WeightId;
use pada_sampler::{SamplerError, SamplerState};

/// Gradient variance (GV) of an epoch, in one pass.
///
/// For each weight tensor of a candidate operation: the sum over its coordinates of the variance of its gradient, before
/// clipping, over the steps in which the operation was used. GV is the mean over the tensors that were used at least twice.
///
/// # Source
/// The quantity PA&DA reduces; its exact formula is in no public code, so this reading is not verified against the paper.
/// Running moments after Welford (1962).
#[derive(Clone, Debug, Default)]
pub struct GradientVariance {
    tensors: BTreeMap<WeightId, Moments>,
}

/// Of the names of tensors in a checkpoint.
const PREFIX: &str = "gv.";

#[derive(Clone, Debug)]
struct Moments {
    steps: u64,
    mean: Vec<f64>,
    /// Σ of squared distances to the running mean.
    spread: Vec<f64>,
}

/// GV of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    /// In squared gradient units.
    pub raw: f64,
    /// Each tensor's variance divided by its ‖mean gradient‖²: no units.
    pub scale_free: f64,
}

impl GradientVariance {
    /// Takes in the gradients of one step; `ids` are the weights of the operations in its paths, each once.
    pub fn observe<'a>(&mut self, ids: &[WeightId], gradient: impl Fn(WeightId) -> Cow<'a, [f32]>) {
        for &id in ids {
            let gradient = gradient(id);
            let zeros =
                || Moments { steps: 0, mean: vec![0.0; gradient.len()], spread: vec![0.0; gradient.len()] };
            let tensor = self.tensors.entry(id).or_insert_with(zeros);
            tensor.steps += 1;
            let share = 1.0 / tensor.steps as f64;
            for ((mean, spread), &g) in tensor.mean.iter_mut().zip(&mut tensor.spread).zip(gradient.iter()) {
                let distance = f64::from(g) - *mean;
                *mean += distance * share;
                *spread += distance * (f64::from(g) - *mean);
            }
        }
    }

    /// Everything a checkpoint must keep: for each tensor its steps, means and spreads.
    pub fn state(&self) -> SamplerState {
        let list = |t: &Moments| [&[t.steps as f64], &t.mean[..], &t.spread[..]].concat();
        SamplerState(self.tensors.iter().map(|(id, t)| (format!("{PREFIX}{}", id.0), list(t))).collect())
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    /// [`SamplerError::State`] where the state is of something else.
    pub fn restore(state: &SamplerState) -> Result<Self, SamplerError> {
        let mut tensors = BTreeMap::new();
        for (name, list) in &state.0 {
            let id = name.strip_prefix(PREFIX).and_then(|id| id.parse().ok());
            let ([steps, moments @ ..], Some(id)) = (&list[..], id) else {
                return Err(SamplerError::State { reason: format!("{name} is not known") });
            };
            let (mean, spread) = moments.split_at(moments.len() / 2);
            let (mean, spread) = (mean.to_vec(), spread.to_vec());
            tensors.insert(WeightId(id), Moments { steps: *steps as u64, mean, spread });
        }
        Ok(Self { tensors })
    }

    /// GV of what was seen; none if no tensor was used twice. The variance of a tensor divides by its steps.
    pub fn result(&self) -> Option<Variance> {
        let used: Vec<_> = self.tensors.values().filter(|t| t.steps > 1).collect();
        let variance = |t: &Moments| t.spread.iter().sum::<f64>() / t.steps as f64;
        let mean_square = |t: &Moments| t.mean.iter().map(|m| m * m).sum::<f64>();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        // A tensor whose gradient is zero throughout (the bias before a batch norm) has no scale.
        let relative: Vec<f64> =
            used.iter().filter(|t| mean_square(t) > 0.0).map(|t| variance(t) / mean_square(t)).collect();
        (!used.is_empty() && !relative.is_empty()).then(|| Variance {
            raw: mean(used.iter().map(|t| variance(t)).collect()),
            scale_free: mean(relative),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slow reference: keep everything, two passes.
    #[test]
    fn one_pass_equals_two() {
        let steps = [[1.0_f32, -2.0, 4.0], [0.5, 8.0, 4.0], [3.0, 1.0, 4.25], [-1.0, 0.0, 3.5]];
        let mut variance = GradientVariance::default();
        for step in &steps {
            variance.observe(&[WeightId(0)], |_| Cow::Borrowed(step));
        }
        variance.observe(&[WeightId(1)], |_| Cow::Owned(vec![1.0])); // used once: no variance
        let (mut raw, mut square) = (0.0, 0.0);
        for c in 0..3 {
            let column: Vec<f64> = steps.iter().map(|s| f64::from(s[c])).collect();
            let mean = column.iter().sum::<f64>() / 4.0;
            raw += column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 4.0;
            square += mean * mean;
        }
        let result = variance.result().unwrap();
        assert!((result.raw - raw).abs() < 1e-12 && (result.scale_free - raw / square).abs() < 1e-12);
        assert_eq!(GradientVariance::default().result(), None);
    }
}
