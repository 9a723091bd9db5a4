use pada_space::{Arch, SubSpace};
use rand::Rng;

use crate::path_sampler::check_space;
use crate::{PathSampler, SamplerError};

/// Draws one path per step, each operation of each position with the same probability, as SPOS does.
///
/// # Source
/// Guo et al., *Single Path One-Shot Neural Architecture Search with Uniform Sampling*, ECCV 2020.
#[derive(Clone, Debug)]
pub struct UniformPaths {
    space: SubSpace,
}

impl UniformPaths {
    /// A sampler for a space or a part of one.
    ///
    /// # Errors
    /// Returns [`SamplerError::Empty`] if the space has no position or a position has no operation.
    pub fn new(space: SubSpace) -> Result<Self, SamplerError> {
        check_space(&space)?;
        Ok(Self { space })
    }
}

impl PathSampler for UniformPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![self.space.sample(rng)]
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        uniform_rows(&self.space)
    }
}

/// `[O]`, equal probabilities for `ops` and 0 for all other operations.
pub(crate) fn uniform_row(ops: &[u8], n_ops: usize) -> Vec<f64> {
    let probability = |op| if ops.contains(&op) { 1.0 / ops.len() as f64 } else { 0.0 };
    (0..n_ops as u8).map(probability).collect()
}

/// One row if all positions that choose an operation have the same operations, otherwise one row per position.
pub(crate) fn uniform_rows(space: &SubSpace) -> Vec<Vec<f64>> {
    let n_ops = |ops: &[u8]| usize::from(*ops.last().expect("every position has an operation")) + 1;
    match space.common() {
        Some(ops) => vec![uniform_row(ops, n_ops(ops))],
        None => space.allowed().iter().map(|ops| uniform_row(ops, n_ops(ops))).collect(),
    }
}
