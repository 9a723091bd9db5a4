use pada_space::{Arch, SubSpace};
use rand::Rng;

use crate::{PathObservation, PathSampler, SamplerError, SamplerState};

/// One path a step, every operation of every position alike: SPOS.
#[derive(Clone, Debug)]
pub struct UniformPaths {
    space: SubSpace,
}

impl UniformPaths {
    /// For a part of a space.
    pub fn new(space: SubSpace) -> Self {
        Self { space }
    }
}

impl PathSampler for UniformPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![self.space.sample(rng)]
    }

    fn observe(&mut self, _: &PathObservation<'_>) {}

    fn end_epoch(&mut self, _: f64) {}

    fn distribution(&self) -> Vec<Vec<f64>> {
        uniform_rows(&self.space)
    }

    fn state(&self) -> SamplerState {
        SamplerState::default()
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        state.lists([]).map(|_: [_; 0]| ())
    }
}

/// `[O]`: equal chances for `ops`, none for the others.
pub(crate) fn uniform_row(ops: &[u8], n_ops: usize) -> Vec<f64> {
    let chance = |op| if ops.contains(&op) { 1.0 / ops.len() as f64 } else { 0.0 };
    (0..n_ops as u8).map(chance).collect()
}

/// One row for all positions that choose an operation where they have the same ones, otherwise one per position.
pub(crate) fn uniform_rows(space: &SubSpace) -> Vec<Vec<f64>> {
    let n_ops = |ops: &[u8]| usize::from(*ops.last().expect("no position is empty")) + 1;
    match space.common() {
        Some(ops) => vec![uniform_row(ops, n_ops(ops))],
        None => space.allowed().iter().map(|ops| uniform_row(ops, n_ops(ops))).collect(),
    }
}
