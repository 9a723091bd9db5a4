use pada_space::Arch;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::{ImportanceWeights, PathSampler, Ramp, SamplerError, SamplerState, Variant};

/// Settings of [`PathImportance`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PathImportanceConfig {
    /// Whose rule.
    pub variant: Variant,
    /// δ, the share of the importance distribution.
    pub smoothing: Ramp,
    /// Whether a path's loss is multiplied by u(path)/p(path).
    pub importance_weights: ImportanceWeights,
    /// Largest such factor.
    pub weight_bound: f64,
}

impl Default for PathImportanceConfig {
    fn default() -> Self {
        let (variant, smoothing) = (Variant::Released, Ramp::default());
        Self { variant, smoothing, importance_weights: ImportanceWeights::None, weight_bound: 10.0 }
    }
}

/// One path a step; an operation is drawn in proportion to its gradient norm, mixed with the uniform distribution. One
/// distribution p over the O operations serves all positions, which are drawn independently.
///
/// End of an epoch: `p = δ·G/ΣG + (1 − δ)/O`. G starts at 0 every epoch.
/// - `released`: after every step in which an operation has a gradient, `G ← (G + n)/2`, so the last steps count most.
/// - `paper`: G is the mean over the steps in which the operation stood in the path.
///
/// # Source
/// PA&DA, Alg. 1 and Eq. 10; released code `train_panda_201.py`.
#[derive(Clone, Debug)]
pub struct PathImportance {
    config: PathImportanceConfig,
    positions: usize,
    p: Vec<f64>,
    g: Vec<f64>,
    steps: Vec<f64>,
}

impl PathImportance {
    /// For a space with the same operations at every position.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`]: a share outside 0..=1, a bound that is not positive, or positions with different numbers of
    /// operations, over which one p cannot be shared; [`SamplerError::Empty`].
    pub fn new(n_ops: &[usize], config: PathImportanceConfig) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        let bad = |name, value, range| Err(SamplerError::BadConfig { name, value, range });
        if config.weight_bound.is_nan() || config.weight_bound <= 0.0 {
            return bad("weight_bound", config.weight_bound, "positive");
        }
        let ops = n_ops.first().copied().ok_or(SamplerError::Empty)?;
        if let Some(&other) = n_ops.iter().find(|&&n| n != ops) {
            return bad("n_ops", other as f64, "the same at every position");
        }
        let uniform = vec![1.0 / ops as f64; ops];
        Ok(Self { config, positions: n_ops.len(), p: uniform, g: vec![0.0; ops], steps: vec![0.0; ops] })
    }
}

impl PathSampler for PathImportance {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        let mut draw = || {
            // Five operations: walking the cumulative sum is as fast as a table.
            let mut left = rng.random::<f64>();
            let op = self.p.iter().position(|p| {
                left -= p;
                left < 0.0
            });
            // Rounding can leave a crumb behind the last operation.
            op.unwrap_or(self.p.len() - 1) as u8
        };
        vec![Arch::new((0..self.positions).map(|_| draw()).collect::<Vec<_>>())]
    }

    fn loss_weight(&self, path: &Arch) -> f64 {
        match self.config.importance_weights {
            ImportanceWeights::None => 1.0,
            ImportanceWeights::Unbiased => {
                let uniform = 1.0 / self.p.len() as f64;
                let weight: f64 =
                    path.choices().iter().map(|&op| uniform / self.p[usize::from(op)]).product();
                weight.min(self.config.weight_bound)
            }
        }
    }

    fn observe(&mut self, path: &Arch, op_grad_norms: &[f64]) {
        for (op, &norm) in op_grad_norms.iter().enumerate() {
            match self.config.variant {
                Variant::Released if norm != 0.0 => self.g[op] = (self.g[op] + norm) / 2.0,
                Variant::Paper if path.count(op) > 0 => {
                    self.steps[op] += 1.0;
                    self.g[op] += (norm - self.g[op]) / self.steps[op];
                }
                _ => {}
            }
        }
    }

    fn end_epoch(&mut self, progress: f64) {
        let (sum, uniform) = (self.g.iter().sum::<f64>(), 1.0 / self.p.len() as f64);
        let share = self.config.smoothing.at(progress);
        for (p, g) in self.p.iter_mut().zip(&mut self.g) {
            // DIFFERS: where no gradient was seen at all the released code divides by zero; here p is uniform.
            *p = if sum > 0.0 { share * (*g / sum) + (1.0 - share) * uniform } else { uniform };
            *g = 0.0;
        }
        self.steps.fill(0.0);
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        vec![self.p.clone()]
    }

    fn state(&self) -> SamplerState {
        SamplerState::new([("p", &self.p), ("g", &self.g), ("steps", &self.steps)])
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let ops = self.p.len();
        [self.p, self.g, self.steps] = state.lists([("p", ops), ("g", ops), ("steps", ops)])?;
        Ok(())
    }
}
