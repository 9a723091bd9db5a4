use pada_space::{Arch, SubSpace};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::path_sampler::check_space;
use crate::state::check_paths;
use crate::{PathSampler, Progress, SamplerError, SavedState, Variant};

/// Draws O paths per step in which every operation of every position occurs exactly once (strict fairness): the operations of each
/// position are shuffled, and path k takes the k-th operation of each.
///
/// Positions that choose inputs have no weights. Their choice is drawn once for all paths of a step.
///
/// - [`Variant::Paper`] shuffles for every step.
/// - [`Variant::Released`] shuffles once per epoch, so the same O paths serve every step of the epoch. The released code of PA&DA
///   trains its FairNAS baseline so.
///
/// # Source
/// Chu et al., *FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search*, ICCV 2021, Algorithm 1.
#[derive(Clone, Debug)]
pub struct FairPaths {
    space: SubSpace,
    variant: Variant,
    /// The paths of the current epoch. Only [`Variant::Released`] uses them; they are empty until the first step of an epoch.
    epoch_paths: Vec<Arch>,
}

/// State of [`FairPaths`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FairPathsState {
    /// The paths of the current epoch; empty before its first step, and always empty for [`Variant::Paper`].
    pub epoch_paths: Vec<Arch>,
}

impl FairPathsState {
    /// The kind of [`SavedState`] that holds this state.
    pub const KIND: &str = "fair-paths";
}

impl FairPaths {
    /// A sampler for a space or a part of one.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if positions have different numbers of operations, because then no set of paths is fair,
    /// and [`SamplerError::Empty`] if there is nothing to choose.
    pub fn new(space: SubSpace, variant: Variant) -> Result<Self, SamplerError> {
        check_space(&space)?;
        let positions = 0..space.allowed().len();
        let mut numbers = positions.filter(|&e| space.kind(e).is_some()).map(|e| space.allowed()[e].len());
        let first = numbers.next().ok_or(SamplerError::Empty)?;
        if let Some(other) = numbers.find(|&n| n != first) {
            let range = "the same at every position: strict fairness (FairNAS, Algorithm 1) trains every operation of every position once per \
                 step; leave operations out, as FairNAS's own space leaves out skips, or use another path sampler";
            let (name, value) = ("the number of operations", other as f64);
            return Err(SamplerError::BadConfig { name, value, range });
        }
        Ok(Self { space, variant, epoch_paths: Vec::new() })
    }

    fn draw(&self, mut rng: &mut dyn Rng) -> Vec<Arch> {
        let orders: Vec<Vec<u8>> = self
            .space
            .allowed()
            .iter()
            .enumerate()
            .map(|(e, ops)| {
                if self.space.kind(e).is_none() {
                    // All paths use the same inputs, so that every operation of their edges is trained exactly once.
                    return vec![ops[rng.random_range(0..ops.len())]];
                }
                let mut order = ops.clone();
                order.shuffle(&mut rng);
                order
            })
            .collect();
        let n = orders.iter().map(Vec::len).max().unwrap_or(0);
        let path = |k: usize| orders.iter().map(|order| order[k % order.len()]).collect::<Vec<_>>();
        (0..n).map(|k| Arch::new(path(k))).collect()
    }
}

impl PathSampler for FairPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        match self.variant {
            Variant::Paper => self.draw(rng),
            Variant::Released => {
                if self.epoch_paths.is_empty() {
                    self.epoch_paths = self.draw(rng);
                }
                self.epoch_paths.clone()
            }
        }
    }

    fn end_epoch(&mut self, _: Progress) -> Result<(), SamplerError> {
        self.epoch_paths.clear();
        Ok(())
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        crate::uniform_paths::uniform_rows(&self.space)
    }

    fn state(&self) -> SavedState {
        SavedState::new(FairPathsState::KIND, &FairPathsState { epoch_paths: self.epoch_paths.clone() })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let FairPathsState { epoch_paths } = state.read(FairPathsState::KIND)?;
        check_paths(FairPathsState::KIND, &epoch_paths, &self.space)?;
        self.epoch_paths = epoch_paths;
        Ok(())
    }
}
