use pada_space::{Arch, SubSpace};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::path_sampler::{check_path, check_space};
use crate::rows::Rows;
use crate::state::{bad_state, check_len};
use crate::weighted_draws::check_weights;
use crate::{
    ImportanceWeights, LinearSchedule, PathObservation, PathSampler, Progress, SamplerError, SavedState,
    Variant,
};

/// Settings of [`PathImportance`]. The default is the released code of PA&DA.
///
/// ```
/// use pada_sampler::{DistributionScope, LinearSchedule, PathImportanceConfig};
///
/// let config = PathImportanceConfig::paper()
///     .with_smoothing(LinearSchedule::new(0.0, 0.8).unwrap())
///     .with_scope(DistributionScope::Position);
/// assert_eq!(config.smoothing.last, 0.8);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct PathImportanceConfig {
    /// Variant: the released code or the text of the paper.
    pub variant: Variant,
    /// δ, the share of the importance distribution in the distribution that paths are drawn from.
    pub smoothing: LinearSchedule,
    /// Importance weights: the factor u(path) / p(path) on the loss of a path, where u is the uniform distribution, or none.
    pub importance_weights: ImportanceWeights,
    /// Upper bound of that factor.
    pub weight_bound: f64,
    /// The positions that share one distribution p.
    #[serde(alias = "share")]
    pub scope: DistributionScope,
}

impl Default for PathImportanceConfig {
    fn default() -> Self {
        Self {
            variant: Variant::Released,
            smoothing: LinearSchedule::default(),
            importance_weights: ImportanceWeights::None,
            weight_bound: 10.0,
            scope: DistributionScope::All,
        }
    }
}

impl PathImportanceConfig {
    /// The settings of the released code.
    pub fn released() -> Self {
        Self::default()
    }

    /// The settings of the paper's text.
    pub fn paper() -> Self {
        Self { variant: Variant::Paper, ..Self::default() }
    }

    /// Sets the variant.
    pub fn with_variant(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }

    /// Sets δ, the share of the importance distribution.
    pub fn with_smoothing(self, smoothing: LinearSchedule) -> Self {
        Self { smoothing, ..self }
    }

    /// Sets whether losses are weighted.
    pub fn with_importance_weights(self, importance_weights: ImportanceWeights) -> Self {
        Self { importance_weights, ..self }
    }

    /// Sets the upper bound of a loss weight; it must be positive and may be infinite.
    pub fn with_weight_bound(self, weight_bound: f64) -> Self {
        Self { weight_bound, ..self }
    }

    /// Sets which positions share one distribution.
    pub fn with_scope(self, scope: DistributionScope) -> Self {
        Self { scope, ..self }
    }
}

/// Which positions share one distribution p over operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DistributionScope {
    /// All positions share one distribution, as in the paper. A position that lacks some of the operations draws from the others,
    /// with p normalised over them.
    #[default]
    All,
    /// All positions of one kind share a distribution: those of the normal cell and those of the reduction cell of DARTS, or the
    /// first and the further layers of a stage of MobileNet blocks. Not part of the paper.
    Kind,
    /// Each position has its own distribution. Not part of the paper.
    Position,
}

/// Draws one path per step. An operation is drawn in proportion to its importance, its gradient norm, mixed with the uniform
/// distribution. Positions are drawn independently. Positions that choose inputs (which edges a node of DARTS keeps) are uniform,
/// because they have no weights.
///
/// At the end of an epoch the probability of each of the O operations is `p = δ · G/ΣG + (1 − δ)/O`, where G is the importance of the
/// operation in this epoch. G starts at 0 in every epoch.
/// - [`Variant::Released`]: after every step in which the operation has a gradient, `G ← (G + n)/2`, so the last steps count most.
/// - [`Variant::Paper`]: G is the mean of n over the steps in which the operation was on the path. How the paper combines the norms of an
///   epoch is not verified.
///
/// After epoch j of E, counted from 1, δ is at progress (j − 1)/E of its schedule with [`Variant::Released`] and at j/E with
/// [`Variant::Paper`], whose Algorithm 1 increases δ before the update.
///
/// n is the mean gradient norm over the positions of the path at which the operation stands. An inactive position, for example an edge
/// of DARTS that no node keeps, is not counted.
///
/// # Source
/// PA&DA, Algorithm 1 and Eq. 10; released code `train_panda_201.py`.
#[derive(Clone, Debug)]
pub struct PathImportance {
    config: PathImportanceConfig,
    space: SubSpace,
    rows: Rows,
    /// `[R, O]`, the probability of each operation; R is the number of distributions.
    p: Vec<f64>,
    /// `[R, O]`, the importance of each operation in this epoch.
    g: Vec<f64>,
    /// `[R, O]`, how many steps of this epoch each operation was seen in; [`Variant::Paper`] only.
    steps: Vec<u64>,
}

/// State of [`PathImportance`]. R is the number of distributions: 1 for [`DistributionScope::All`], otherwise one per kind or position.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PathImportanceState {
    /// `[R, O]`, the probability p of each operation.
    pub probability: Vec<Vec<f64>>,
    /// `[R, O]`, the importance G of each operation in the current epoch.
    pub importance: Vec<Vec<f64>>,
    /// `[R, O]`, the number of steps of the current epoch in which each operation was seen; used by [`Variant::Paper`] only.
    pub steps: Vec<Vec<u64>>,
}

impl PathImportanceState {
    /// The kind of [`SavedState`] that holds this state.
    pub const KIND: &str = "path-importance";
}

impl PathImportance {
    /// A sampler for a space or a part of one.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if a share is outside `0..=1` or the weight bound is not positive, and
    /// [`SamplerError::Empty`] if the space has no position or a position has no operation.
    pub fn new(space: SubSpace, config: PathImportanceConfig) -> Result<Self, SamplerError> {
        config.smoothing.check(["smoothing.first", "smoothing.last"])?;
        if config.weight_bound.is_nan() || config.weight_bound <= 0.0 {
            let (name, value, range) = ("weight_bound", config.weight_bound, "positive");
            return Err(SamplerError::BadConfig { name, value, range });
        }
        check_space(&space)?;
        let rows = Rows::new(&space, config.scope);
        let p: Vec<f64> = (0..rows.len()).flat_map(|row| rows.uniform(row)).collect();
        let (g, steps) = (vec![0.0; p.len()], vec![0; p.len()]);
        Ok(Self { config, space, rows, p, g, steps })
    }

    /// `[R, O]` as R rows.
    fn rows_of<T: Clone>(&self, flat: &[T]) -> Vec<Vec<T>> {
        flat.chunks_exact(self.rows.ops).map(<[T]>::to_vec).collect()
    }

    fn check_rows<T>(&self, field: &str, rows: &[Vec<T>]) -> Result<(), SamplerError> {
        check_len(PathImportanceState::KIND, field, rows.len(), self.rows.len())?;
        rows.iter().try_for_each(|row| check_len(PathImportanceState::KIND, field, row.len(), self.rows.ops))
    }

    /// Updates the importance of an operation with its gradient norm `n` in one step; `at` is its index in G.
    fn add(&mut self, at: usize, n: f64) {
        match self.config.variant {
            Variant::Released if n != 0.0 => self.g[at] = (self.g[at] + n) / 2.0,
            Variant::Released => {}
            Variant::Paper => {
                self.steps[at] += 1;
                self.g[at] += (n - self.g[at]) / self.steps[at] as f64;
            }
        }
    }
}

impl PathSampler for PathImportance {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![self.rows.draw(&self.space, &self.p, rng)]
    }

    fn loss_weight(&self, path: &Arch) -> Result<f64, SamplerError> {
        check_path(path, &self.space)?;
        Ok(match self.config.importance_weights {
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
        })
    }

    fn observe(&mut self, observation: &PathObservation<'_>) -> Result<(), SamplerError> {
        observation.check(&self.space)?;
        let mut sums = vec![(0.0, 0_usize); self.p.len()];
        for (e, (&op, norm)) in observation.path.choices().iter().zip(observation.position_norms).enumerate()
        {
            let active = self.space.is_active(e, observation.path).expect("the path was checked");
            let has_weights = self.space.kind(e).is_some() && active;
            if let Some(row) = self.rows.of(e).filter(|_| has_weights) {
                let (sum, count) = &mut sums[row * self.rows.ops + usize::from(op)];
                *sum += norm;
                *count += 1;
            }
        }
        for (at, (sum, count)) in sums.into_iter().enumerate().filter(|(_, (_, count))| *count > 0) {
            self.add(at, sum / count as f64);
        }
        Ok(())
    }

    fn end_epoch(&mut self, progress: Progress) -> Result<(), SamplerError> {
        let (share, ops) = (self.config.smoothing.at(progress.of(self.config.variant)), self.rows.ops);
        let rows = self.p.chunks_exact_mut(ops).zip(self.g.chunks_exact(ops));
        for (row, (p, g)) in rows.enumerate() {
            let sum: f64 = g.iter().sum();
            for ((p, g), uniform) in p.iter_mut().zip(g).zip(self.rows.uniform(row)) {
                // DIFFERS: if no gradient was seen at all, the released code divides by zero; here p is uniform.
                *p = if sum > 0.0 { share * (*g / sum) + (1.0 - share) * uniform } else { uniform };
            }
        }
        self.g.fill(0.0);
        self.steps.fill(0);
        Ok(())
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        self.rows_of(&self.p)
    }

    fn state(&self) -> SavedState {
        let state = PathImportanceState {
            probability: self.rows_of(&self.p),
            importance: self.rows_of(&self.g),
            steps: self.rows_of(&self.steps),
        };
        SavedState::new(PathImportanceState::KIND, &state)
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        const KIND: &str = PathImportanceState::KIND;
        let PathImportanceState { probability, importance, steps } = state.read(KIND)?;
        self.check_rows("probability", &probability)?;
        self.check_rows("importance", &importance)?;
        self.check_rows("steps", &steps)?;
        for row in &probability {
            check_weights(row).map_err(|error| bad_state(KIND, format!("`probability`: {error}")))?;
        }
        if let Some(value) = importance.iter().flatten().find(|value| !(value.is_finite() && **value >= 0.0))
        {
            return Err(bad_state(KIND, format!("`importance` contains {value}")));
        }
        (self.p, self.g, self.steps) = (probability.concat(), importance.concat(), steps.concat());
        Ok(())
    }
}
