use pada_space::{Arch, SubSpace};
use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::path_sampler::check_space;
use crate::rows::Rows;
use crate::state::{bad_state, check_len};
use crate::weighted_draws::check_weights;
use crate::{DistributionScope, LinearSchedule, PathSampler, Progress, SamplerError, SavedState};

/// Draws one path per step from a given distribution over operations that no gradient changes. It is a control experiment: it
/// shows how much of the gain of an importance sampler is a mere preference for some operations.
///
/// `p = share · target + (1 − share) / O`, where the share follows a [`LinearSchedule`]. A position that lacks some of the
/// operations draws from the others, with `p` normalised over them. Positions that choose inputs are uniform.
#[derive(Clone, Debug)]
pub struct ConstantPaths {
    space: SubSpace,
    rows: Rows,
    target: Vec<f64>,
    share: LinearSchedule,
    p: Vec<f64>,
}

/// State of [`ConstantPaths`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ConstantPathsState {
    /// `[O]`, the probability p of each operation in the current epoch.
    pub probability: Vec<f64>,
}

impl ConstantPathsState {
    /// The kind of [`SavedState`] that holds this state.
    pub const KIND: &str = "constant-paths";
}

impl ConstantPaths {
    /// A sampler for a space or a part of one.
    ///
    /// # Shapes
    /// `target`: `[O]`, one weight for each operation of the space, in the order of the space. It need not sum to 1.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if a share is outside `0..=1`, if there are fewer weights than operations, or if an
    /// operation that the part does not use has a positive weight; [`SamplerError::BadWeights`] if the weights are no
    /// distribution; and [`SamplerError::Empty`] if there is nothing to choose.
    pub fn new(space: SubSpace, target: &[f64], share: LinearSchedule) -> Result<Self, SamplerError> {
        share.check(["smoothing.first", "smoothing.last"])?;
        check_space(&space)?;
        let sum = check_weights(target)?;
        let bad = |name, value, range| Err(SamplerError::BadConfig { name, value, range });
        let rows = Rows::new(&space, DistributionScope::All);
        if rows.len() == 0 {
            return Err(SamplerError::Empty);
        }
        let (len, used) = (target.len(), rows.uniform(0));
        if len < rows.ops {
            let range = "one probability for every operation of the space";
            return bad("distribution", len as f64, range);
        }
        let is_used = |op: usize| used.get(op).is_some_and(|p| *p > 0.0);
        if let Some(outside) = (0..len).find(|&op| target[op] > 0.0 && !is_used(op)) {
            return bad("distribution", target[outside], "0 for operations that are not used");
        }
        let target: Vec<f64> = target[..rows.ops].iter().map(|p| p / sum).collect();
        let mut sampler = Self { p: target.clone(), space, rows, target, share };
        sampler.mix(0.0);
        Ok(sampler)
    }

    /// Mixes the target with the uniform distribution as at a progress of the schedule.
    fn mix(&mut self, progress: f64) {
        let share = self.share.at(progress);
        let uniform = self.rows.uniform(0);
        for ((p, target), uniform) in self.p.iter_mut().zip(&self.target).zip(uniform) {
            *p = share * target + (1.0 - share) * uniform;
        }
    }
}

impl PathSampler for ConstantPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![self.rows.draw(&self.space, &self.p, rng)]
    }

    fn end_epoch(&mut self, progress: Progress) -> Result<(), SamplerError> {
        self.mix(progress.before());
        Ok(())
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        vec![self.p.clone()]
    }

    fn state(&self) -> SavedState {
        SavedState::new(ConstantPathsState::KIND, &ConstantPathsState { probability: self.p.clone() })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        const KIND: &str = ConstantPathsState::KIND;
        let ConstantPathsState { probability } = state.read(KIND)?;
        check_len(KIND, "probability", probability.len(), self.p.len())?;
        check_weights(&probability).map_err(|error| bad_state(KIND, error.to_string()))?;
        self.p = probability;
        Ok(())
    }
}
