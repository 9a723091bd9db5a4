use pada_space::{Arch, SubSpace};
use rand::Rng;

use crate::path_sampler::check_space;
use crate::{PathSampler, SamplerError};

/// A function that returns true if the cell of an architecture connects its input with its output.
pub type IsConnected = Box<dyn Fn(&Arch) -> bool + Send>;

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

/// Draws one path per step, each connected architecture with the same probability. An architecture is connected if its cell has a way
/// from the input to the output along operations other than `none`.
///
/// # Source
/// The supernets of *Generalizing Few-Shot NAS with Gradient Matching* (ICLR 2022) draw until the cell is connected:
/// `_sample_single_path_theta` in <https://github.com/skhu101/GM-NAS>, `WS-GM/nasbench201/search_model_ws.py`.
pub struct ConnectedPaths {
    space: SubSpace,
    is_connected: IsConnected,
    /// `[E, O]`, the share of the connected architectures that have an operation at a position.
    p: Vec<Vec<f64>>,
}

/// Largest number of architectures of a space whose connected members [`ConnectedPaths`] counts.
const MOST_ARCHS: u128 = 1_000_000;

impl ConnectedPaths {
    /// A sampler for a space or a part of one, all of whose architectures are tested once.
    ///
    /// # Errors
    /// Returns [`SamplerError::Empty`] if the space has no position, a position has no operation, or no architecture is connected, and
    /// [`SamplerError::BadConfig`] if there are more than a million architectures.
    pub fn new(space: SubSpace, is_connected: IsConnected) -> Result<Self, SamplerError> {
        check_space(&space)?;
        let (len, ops) =
            (space.len(), space.allowed().iter().flatten().max().map_or(0, |&op| usize::from(op) + 1));
        if len > MOST_ARCHS {
            let (name, range) = ("the number of architectures", "at most a million for connected paths");
            return Err(SamplerError::BadConfig { name, value: len as f64, range });
        }
        let (mut p, mut found) = (vec![vec![0.0; ops]; space.allowed().len()], 0_u32);
        for index in 0..len {
            let arch = nth(&space, index);
            if is_connected(&arch) {
                found += 1;
                p.iter_mut().zip(arch.choices()).for_each(|(row, &op)| row[usize::from(op)] += 1.0);
            }
        }
        if found == 0 {
            return Err(SamplerError::Empty);
        }
        p.iter_mut().flatten().for_each(|p| *p /= f64::from(found));
        Ok(Self { space, is_connected, p })
    }
}

/// The architecture at an index of a space, in digit order.
fn nth(space: &SubSpace, mut index: u128) -> Arch {
    let mut choices = vec![0; space.allowed().len()];
    for (choice, ops) in choices.iter_mut().zip(space.allowed()).rev() {
        *choice = ops[(index % ops.len() as u128) as usize];
        index /= ops.len() as u128;
    }
    Arch::new(choices)
}

impl PathSampler for ConnectedPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        // A connected architecture exists, so the loop ends.
        let draw = std::iter::repeat_with(|| self.space.sample(rng)).find(|arch| (self.is_connected)(arch));
        draw.into_iter().collect()
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        self.p.clone()
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
