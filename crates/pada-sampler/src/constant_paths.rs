use pada_space::{Arch, SubSpace};
use rand::Rng;

use crate::rows::Rows;
use crate::{
    AliasTable, DistributionScope, LinearSchedule, PathObservation, PathSampler, SamplerError, SamplerState,
};

/// One path a step from a distribution over operations that no gradient moves: the control that tells how much of an importance
/// sampler's gain is a mere preference for some operations.
///
/// A position that lacks some of the operations draws from the others' share of p; choices of inputs are uniform.
///
/// `p = share · target + (1 − share)/O`, the share linear in the epoch; with a share of 1 throughout p is `target`.
#[derive(Clone, Debug)]
pub struct ConstantPaths {
    space: SubSpace,
    rows: Rows,
    target: Vec<f64>,
    share: LinearSchedule,
    p: Vec<f64>,
}

impl ConstantPaths {
    /// For a part of a space with O operations; `target` is `[O]` over all operations of the space, in digit order, and need not sum
    /// to 1.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`] for a share outside 0..=1, or another number of probabilities than operations;
    /// [`SamplerError::BadWeights`] for probabilities that are none; [`SamplerError::Empty`].
    pub fn new(space: SubSpace, target: &[f64], share: LinearSchedule) -> Result<Self, SamplerError> {
        share.check(["smoothing.first", "smoothing.last"])?;
        AliasTable::new(target)?;
        let bad = |name, value, range| Err(SamplerError::BadConfig { name, value, range });
        let rows = Rows::new(&space, DistributionScope::All);
        if rows.len() == 0 {
            return Err(SamplerError::Empty);
        }
        let (len, used) = (target.len(), rows.uniform(0));
        if len < rows.ops {
            return bad("distribution", len as f64, "one probability for every operation of the space");
        }
        let is_used = |op: usize| used.get(op).is_some_and(|p| *p > 0.0);
        if let Some(outside) = (0..len).find(|&op| target[op] > 0.0 && !is_used(op)) {
            return bad("distribution", target[outside], "0 for operations that are not used");
        }
        let sum: f64 = target.iter().sum();
        let target: Vec<f64> = target[..rows.ops].iter().map(|p| p / sum).collect();
        let mut sampler = Self { p: target.clone(), space, rows, target, share };
        sampler.end_epoch(0.0);
        Ok(sampler)
    }
}

impl PathSampler for ConstantPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![self.rows.draw(&self.space, &self.p, rng)]
    }

    fn observe(&mut self, _: &PathObservation<'_>) {}

    fn end_epoch(&mut self, progress: f64) {
        let share = self.share.at(progress);
        let uniform = self.rows.uniform(0);
        for ((p, target), uniform) in self.p.iter_mut().zip(&self.target).zip(uniform) {
            *p = share * target + (1.0 - share) * uniform;
        }
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        vec![self.p.clone()]
    }

    fn state(&self) -> SamplerState {
        SamplerState::new([("p", &self.p)])
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        [self.p] = state.lists([("p", self.p.len())])?;
        Ok(())
    }
}
