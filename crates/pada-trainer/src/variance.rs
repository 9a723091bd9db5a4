use std::borrow::Cow;
use std::collections::BTreeMap;

use pada_graph::{WeightId, WeightLayout};
use serde::{Deserialize, Serialize};

/// Computes the gradient variance (GV) of an epoch in one pass.
///
/// For each weight tensor of a candidate operation, it is the sum over the coordinates of the variance of the gradient, before
/// clipping, over the steps in which the operation was used. GV is the mean over these tensors. A tensor is counted if it was used at least
/// twice and if its gradients do not cancel to exactly zero. The trainer passes only the kernels of convolutions and linear layers: the
/// gradient of a bias before a batch norm is zero up to rounding, so counting biases would halve GV, and spaces with and without biases
/// could not be compared.
///
/// # Source
/// "The average GV of all candidate operation weights" (PA&DA). No public code contains its exact formula, so this reading is not verified
/// against the paper.
/// Running moments as in Welford (1962).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GradientVariance {
    /// Moments by the index of the weight tensor in its layout.
    tensors: BTreeMap<usize, Moments>,
}

/// Running moments of the gradient of one weight tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moments {
    steps: u64,
    mean: Vec<f64>,
    /// Sum of the squared distances to the running mean.
    spread: Vec<f64>,
}

/// Gradient variance of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variance {
    /// Mean variance, in squared units of the gradient.
    pub raw: f64,
    /// Mean over the same tensors of variance / ‖mean gradient‖²; it has no unit.
    pub scale_free: f64,
}

impl GradientVariance {
    /// Adds the gradients of one step. `ids` are the kernels of the operations on its paths, each once.
    ///
    /// # Panics
    /// Panics if a gradient has another length than in an earlier step.
    pub fn observe<'a>(&mut self, ids: &[WeightId], gradient: impl Fn(WeightId) -> Cow<'a, [f32]>) {
        for &id in ids {
            let gradient = gradient(id);
            let zeros =
                || Moments { steps: 0, mean: vec![0.0; gradient.len()], spread: vec![0.0; gradient.len()] };
            let tensor = self.tensors.entry(id.0).or_insert_with(zeros);
            assert_eq!(tensor.mean.len(), gradient.len(), "a weight tensor keeps its length");
            tensor.steps += 1;
            let share = 1.0 / tensor.steps as f64;
            for ((mean, spread), &g) in tensor.mean.iter_mut().zip(&mut tensor.spread).zip(gradient.iter()) {
                let distance = f64::from(g) - *mean;
                *mean += distance * share;
                *spread += distance * (f64::from(g) - *mean);
            }
        }
    }

    /// Checks that restored moments fit the weights of a network. If not, returns a description of the mismatch.
    pub(crate) fn check(&self, layout: &WeightLayout) -> Result<(), String> {
        for (&id, Moments { mean, spread, .. }) in &self.tensors {
            let expected = if id < layout.len() { layout.range(WeightId(id)).len() } else { 0 };
            if mean.len() != expected || spread.len() != expected {
                return Err(format!("the gradient variance of weight tensor {id} does not fit the network"));
            }
        }
        Ok(())
    }

    /// Removes the tensors that are not kernels, which checkpoints of earlier versions contain.
    pub(crate) fn keep_kernels(&mut self, layout: &WeightLayout) {
        self.tensors.retain(|&id, _| is_kernel(layout, WeightId(id)));
    }

    /// Computes the gradient variance of all steps so far, or `None` if no tensor counts. The variance of a tensor is divided by the number
    /// of its steps.
    pub fn result(&self) -> Option<Variance> {
        let mean_square = |t: &Moments| t.mean.iter().map(|m| m * m).sum::<f64>();
        let counted: Vec<_> = self.tensors.values().filter(|t| t.steps > 1 && mean_square(t) > 0.0).collect();
        let variance = |t: &Moments| t.spread.iter().sum::<f64>() / t.steps as f64;
        let mean =
            |of: &dyn Fn(&Moments) -> f64| counted.iter().map(|t| of(t)).sum::<f64>() / counted.len() as f64;
        (!counted.is_empty())
            .then(|| Variance { raw: mean(&variance), scale_free: mean(&|t| variance(t) / mean_square(t)) })
    }
}

/// Returns the kernels of convolutions and linear layers among some tensors.
pub(crate) fn kernels(ids: &[WeightId], layout: &WeightLayout) -> Vec<WeightId> {
    ids.iter().copied().filter(|&id| is_kernel(layout, id)).collect()
}

/// Kernels have at least two dimensions, biases and the scales and shifts of norms have one.
fn is_kernel(layout: &WeightLayout, id: WeightId) -> bool {
    layout.spec(id).shape.len() > 1
}

#[cfg(test)]
mod tests {
    use pada_graph::{Init, WeightSpec};

    use super::*;

    /// Slow reference: keeps all gradients and computes the variance in two passes.
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

    /// A convolution with a bias before a batch norm, of which only rounding reaches the bias, and a convolution whose output nothing reads.
    #[test]
    fn biases_and_unused_tensors_halve_neither_number() {
        let mut layout = WeightLayout::new();
        let mut push = |name: &str, shape: Vec<usize>| {
            let (name, init, owner) = (name.to_owned(), Init::Constant(0.0), None);
            layout.push(WeightSpec { name, shape, init, owner })
        };
        let ids = [push("kernel", vec![2, 1, 1, 1]), push("bias", vec![2]), push("unused", vec![1, 1, 1, 1])];
        let step = |kernel: [f32; 2], bias: [f32; 2]| [kernel.to_vec(), bias.to_vec(), vec![0.0]];
        let steps = [step([1.0, 2.0], [1e-9, 0.0]), step([3.0, 2.0], [-1e-9, 1e-10])];
        let observe = |variance: &mut GradientVariance, ids: &[WeightId]| {
            for step in &steps {
                variance.observe(ids, |id| Cow::Borrowed(&step[id.0]));
            }
        };
        let mut variance = GradientVariance::default();
        observe(&mut variance, &kernels(&ids, &layout));
        // The mean gradient is (2, 2), the variances are 1 and 0.
        let expected = Variance { raw: 1.0, scale_free: 1.0 / 8.0 };
        assert_eq!(variance.result(), Some(expected));
        // A checkpoint that contains the moments of biases.
        let mut variance = GradientVariance::default();
        observe(&mut variance, &ids);
        assert_ne!(variance.result(), Some(expected));
        variance.keep_kernels(&layout);
        assert_eq!(variance.result(), Some(expected));
    }
}
