use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::uniform_paths::uniform_row;
use crate::{ImportanceWeights, PathSampler, PathSeen, Ramp, SamplerError, SamplerState, Variant};

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
    /// Over what p is shared.
    pub share: PathShare,
}

impl Default for PathImportanceConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Released,
            smoothing: Ramp::default(),
            importance_weights: ImportanceWeights::None,
            weight_bound: 10.0,
            share: PathShare::All,
        }
    }
}

/// Over what the distribution p is shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathShare {
    /// One p for all positions, as in the paper.
    #[default]
    All,
    /// Each position has its own. Beyond the paper.
    Position,
}

/// One path a step; an operation is drawn in proportion to its gradient norm, mixed with the uniform distribution. One
/// distribution p over the O operations serves all positions, or each has its own; positions are drawn independently.
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
    space: SubSpace,
    /// O, the same for all rows.
    ops: usize,
    /// `[rows, O]`: one row for all positions, or one each.
    p: Vec<f64>,
    g: Vec<f64>,
    steps: Vec<f64>,
}

impl PathImportance {
    /// For a part of a space.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`]: a share outside 0..=1, a bound that is not positive, or positions with different operations,
    /// over which one p cannot be shared; [`SamplerError::Empty`].
    pub fn new(space: SubSpace, config: PathImportanceConfig) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        let bad = |name, value, range| Err(SamplerError::BadConfig { name, value, range });
        if config.weight_bound.is_nan() || config.weight_bound <= 0.0 {
            return bad("weight_bound", config.weight_bound, "positive");
        }
        let allowed = space.allowed();
        let first = allowed.first().ok_or(SamplerError::Empty)?;
        let rows = match config.share {
            PathShare::Position => allowed.len(),
            PathShare::All => match allowed.iter().find(|ops| *ops != first) {
                Some(other) => return bad("n_ops", other.len() as f64, "the same at every position"),
                None => 1,
            },
        };
        let largest = allowed.iter().flatten().max().expect("no position is empty");
        let ops = usize::from(*largest) + 1;
        let p: Vec<f64> = allowed[..rows].iter().flat_map(|here| uniform_row(here, ops)).collect();
        let zeros = vec![0.0; p.len()];
        Ok(Self { config, space, ops, p, g: zeros.clone(), steps: zeros })
    }

    /// The row of p that a position is drawn from.
    fn row(&self, position: usize) -> usize {
        match self.config.share {
            PathShare::All => 0,
            PathShare::Position => position,
        }
    }

    fn p_of(&self, position: usize) -> &[f64] {
        &self.p[self.row(position) * self.ops..][..self.ops]
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

/// Draws an operation from a distribution. For a handful of operations walking the cumulative sum is as fast as a table.
pub(crate) fn draw_op(p: &[f64], rng: &mut dyn Rng) -> u8 {
    let mut left = rng.random::<f64>();
    let op = p.iter().position(|p| {
        left -= p;
        left < 0.0
    });
    // Rounding can leave a crumb behind the last operation.
    op.unwrap_or_else(|| p.iter().rposition(|p| *p > 0.0).expect("a distribution")) as u8
}

impl PathSampler for PathImportance {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        let positions = self.space.allowed().len();
        vec![Arch::new((0..positions).map(|e| draw_op(self.p_of(e), rng)).collect::<Vec<_>>())]
    }

    fn loss_weight(&self, path: &Arch) -> f64 {
        match self.config.importance_weights {
            ImportanceWeights::None => 1.0,
            ImportanceWeights::Unbiased => {
                let factor = |(e, &op): (usize, &u8)| {
                    let uniform = 1.0 / self.space.allowed()[e].len() as f64;
                    uniform / self.p_of(e)[usize::from(op)]
                };
                let weight: f64 = path.choices().iter().enumerate().map(factor).product();
                weight.min(self.config.weight_bound)
            }
        }
    }

    fn observe(&mut self, seen: &PathSeen<'_>) {
        match self.config.share {
            PathShare::All => {
                for (op, norm) in seen.op_norms(self.ops).into_iter().enumerate() {
                    if seen.path.count(op) > 0 {
                        self.take(op, norm);
                    }
                }
            }
            PathShare::Position => {
                for (e, (&op, &norm)) in seen.path.choices().iter().zip(seen.position_norms).enumerate() {
                    self.take(e * self.ops + usize::from(op), norm);
                }
            }
        }
    }

    fn end_epoch(&mut self, progress: f64) {
        let share = self.config.smoothing.at(progress);
        let rows = self.p.chunks_exact_mut(self.ops).zip(self.g.chunks_exact(self.ops));
        for ((p, g), allowed) in rows.zip(self.space.allowed()) {
            let sum: f64 = g.iter().sum();
            for ((p, g), uniform) in p.iter_mut().zip(g).zip(uniform_row(allowed, self.ops)) {
                // DIFFERS: where no gradient was seen at all the released code divides by zero; here p is uniform.
                *p = if sum > 0.0 { share * (*g / sum) + (1.0 - share) * uniform } else { uniform };
            }
        }
        self.g.fill(0.0);
        self.steps.fill(0.0);
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        self.p.chunks_exact(self.ops).map(<[f64]>::to_vec).collect()
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
