use pada_space::{Arch, SubSpace};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::rows::Rows;
use crate::{
    ImportanceWeights, LinearSchedule, PathObservation, PathSampler, SamplerError, SamplerState, Variant,
};

/// Settings of [`PathImportance`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PathImportanceConfig {
    /// Whose rule.
    pub variant: Variant,
    /// δ, the share of the importance distribution.
    pub smoothing: LinearSchedule,
    /// Whether a path's loss is multiplied by u(path)/p(path).
    pub importance_weights: ImportanceWeights,
    /// Largest such factor.
    pub weight_bound: f64,
    /// Over what p is shared.
    pub share: DistributionScope,
}

impl Default for PathImportanceConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Released,
            smoothing: LinearSchedule::default(),
            importance_weights: ImportanceWeights::None,
            weight_bound: 10.0,
            share: DistributionScope::All,
        }
    }
}

/// Over what the distribution p is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DistributionScope {
    /// One p for all positions, as in the paper. A position that lacks some of the operations draws from the others' share of p.
    #[default]
    All,
    /// One p for each kind of positions: those of the normal and of the reduction cell of DARTS, first and further layers of a stage of
    /// MobileNet blocks. Beyond the paper.
    Kind,
    /// Each position has its own. Beyond the paper.
    Position,
}

/// One path a step; an operation is drawn in proportion to its gradient norm, mixed with the uniform distribution. One
/// distribution p over the O operations serves all positions, or each kind or position has its own; positions are drawn
/// independently. Choices of inputs (which edges a node of DARTS keeps) are uniform: they have no weights.
///
/// End of an epoch: `p = δ·G/ΣG + (1 − δ)/O`. G starts at 0 every epoch.
/// - `released`: after every step in which an operation has a gradient, `G ← (G + n)/2`, so the last steps count most.
/// - `paper`: G is the mean over the steps in which the operation stood in the path.
///
/// n is the mean over the positions of the path at which the operation stands; an edge of DARTS that no node keeps is not in it.
///
/// # Source
/// PA&DA, Alg. 1 and Eq. 10; released code `train_panda_201.py`.
#[derive(Clone, Debug)]
pub struct PathImportance {
    config: PathImportanceConfig,
    space: SubSpace,
    rows: Rows,
    /// `[rows, O]`
    p: Vec<f64>,
    g: Vec<f64>,
    steps: Vec<f64>,
}

impl PathImportance {
    /// For a part of a space.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`]: a share outside 0..=1, or a bound that is not positive; [`SamplerError::Empty`].
    pub fn new(space: SubSpace, config: PathImportanceConfig) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        if config.weight_bound.is_nan() || config.weight_bound <= 0.0 {
            let (name, value, range) = ("weight_bound", config.weight_bound, "positive");
            return Err(SamplerError::BadConfig { name, value, range });
        }
        if space.allowed().is_empty() {
            return Err(SamplerError::Empty);
        }
        let rows = Rows::new(&space, config.share);
        let p: Vec<f64> = (0..rows.len()).flat_map(|row| rows.uniform(row)).collect();
        let zeros = vec![0.0; p.len()];
        Ok(Self { config, space, rows, p, g: zeros.clone(), steps: zeros })
    }

    /// Takes in the norm `n` of an operation that stood in a path; `at` is its place in G.
    fn take(&mut self, at: usize, n: f64) {
        match self.config.variant {
            Variant::Released if n != 0.0 => self.g[at] = (self.g[at] + n) / 2.0,
            Variant::Released => {}
            Variant::Paper => {
                self.steps[at] += 1.0;
                self.g[at] += (n - self.g[at]) / self.steps[at];
            }
        }
    }
}

impl PathSampler for PathImportance {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![self.rows.draw(&self.space, &self.p, rng)]
    }

    fn loss_weight(&self, path: &Arch) -> f64 {
        match self.config.importance_weights {
            ImportanceWeights::None => 1.0,
            ImportanceWeights::Unbiased => {
                let factor = |(e, &op): (usize, &u8)| match self.rows.at(&self.space, e, &self.p) {
                    Some(p) if self.space.is_active(e, path) == Ok(true) => {
                        let uniform = 1.0 / self.space.allowed()[e].len() as f64;
                        uniform / p[usize::from(op)]
                    }
                    _ => 1.0,
                };
                let weight: f64 = path.choices().iter().enumerate().map(factor).product();
                weight.min(self.config.weight_bound)
            }
        }
    }

    fn observe(&mut self, seen: &PathObservation<'_>) {
        let mut sums = vec![(0.0, 0_usize); self.p.len()];
        for (e, (&op, norm)) in seen.path.choices().iter().zip(seen.position_norms).enumerate() {
            let has_weights = self.space.kind(e).is_some() && self.space.is_active(e, seen.path) == Ok(true);
            if let Some(row) = self.rows.of(e).filter(|_| has_weights) {
                let (sum, count) = &mut sums[row * self.rows.ops + usize::from(op)];
                *sum += norm;
                *count += 1;
            }
        }
        for (at, (sum, count)) in sums.into_iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            self.take(at, sum / count as f64);
        }
    }

    fn end_epoch(&mut self, progress: f64) {
        let (share, ops) = (self.config.smoothing.at(progress), self.rows.ops);
        let rows = self.p.chunks_exact_mut(ops).zip(self.g.chunks_exact(ops));
        for (row, (p, g)) in rows.enumerate() {
            let sum: f64 = g.iter().sum();
            for ((p, g), uniform) in p.iter_mut().zip(g).zip(self.rows.uniform(row)) {
                // DIFFERS: where no gradient was seen at all the released code divides by zero; here p is uniform.
                *p = if sum > 0.0 { share * (*g / sum) + (1.0 - share) * uniform } else { uniform };
            }
        }
        self.g.fill(0.0);
        self.steps.fill(0.0);
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        self.p.chunks_exact(self.rows.ops).map(<[f64]>::to_vec).collect()
    }

    fn state(&self) -> SamplerState {
        SamplerState::new([("p", &self.p), ("g", &self.g), ("steps", &self.steps)])
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let n = self.p.len();
        [self.p, self.g, self.steps] = state.lists([("p", n), ("g", n), ("steps", n)])?;
        Ok(())
    }
}
