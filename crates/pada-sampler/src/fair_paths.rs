use pada_space::{Arch, SubSpace};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use crate::{PathObservation, PathSampler, SamplerError, SamplerState, Variant};

/// O paths a step in which every operation of every position stands exactly once: a random order of the operations for each
/// position, read across.
///
/// Choices of inputs, which have no weights, are drawn once for all paths of a set.
///
/// - `paper`: new orders for every step.
/// - `released`: one list of orders is drawn per epoch and never reset, so the same O paths serve every step of the epoch.
///
/// # Source
/// FairNAS, Alg. 1; the variant `released` is what the public PA-DA repository does in its comparison.
#[derive(Clone, Debug)]
pub struct FairPaths {
    space: SubSpace,
    variant: Variant,
    /// The paths of the epoch, released only; empty until the first step.
    held: Vec<Arch>,
}

impl FairPaths {
    /// For a part of a space.
    ///
    /// # Errors
    /// [`SamplerError::BadConfig`] where positions have different numbers of operations: then no set of paths is fair.
    pub fn new(space: SubSpace, variant: Variant) -> Result<Self, SamplerError> {
        let positions = 0..space.allowed().len();
        let mut numbers = positions.filter(|&e| space.kind(e).is_some()).map(|e| space.allowed()[e].len());
        let first = numbers.next().ok_or(SamplerError::Empty)?;
        if let Some(other) = numbers.find(|&n| n != first) {
            let range =
                "the same at every position of fair paths; take another path rule or leave operations out";
            return Err(SamplerError::BadConfig {
                name: "the number of operations",
                value: other as f64,
                range,
            });
        }
        Ok(Self { space, variant, held: Vec::new() })
    }

    fn draw(&self, mut rng: &mut dyn Rng) -> Vec<Arch> {
        let orders: Vec<Vec<u8>> = self
            .space
            .allowed()
            .iter()
            .enumerate()
            .map(|(e, ops)| {
                if self.space.kind(e).is_none() {
                    // The same inputs for all paths: then every operation of the edges that are kept is trained once.
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
                if self.held.is_empty() {
                    self.held = self.draw(rng);
                }
                self.held.clone()
            }
        }
    }

    fn observe(&mut self, _: &PathObservation<'_>) {}

    fn end_epoch(&mut self, _: f64) {
        self.held.clear();
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        crate::uniform_paths::uniform_rows(&self.space)
    }

    fn state(&self) -> SamplerState {
        SamplerState::archs("held", &self.held)
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        self.held = state.to_archs("held", &self.space)?;
        Ok(())
    }
}
