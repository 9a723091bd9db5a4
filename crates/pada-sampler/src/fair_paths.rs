use pada_space::{Arch, SubSpace};
use rand::Rng;
use rand::seq::SliceRandom;

use crate::{PathSampler, PathSeen, SamplerError, SamplerState, Variant};

/// O paths a step in which every operation of every position stands exactly once: a random order of the operations for each
/// position, read across.
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
        let first = space.allowed().first().ok_or(SamplerError::Empty)?.len();
        if let Some(other) = space.allowed().iter().find(|ops| ops.len() != first) {
            let (name, value) = ("n_ops", other.len() as f64);
            return Err(SamplerError::BadConfig { name, value, range: "the same at every position" });
        }
        Ok(Self { space, variant, held: Vec::new() })
    }

    fn draw(&self, mut rng: &mut dyn Rng) -> Vec<Arch> {
        let orders: Vec<Vec<u8>> = self
            .space
            .allowed()
            .iter()
            .map(|ops| {
                let mut order = ops.clone();
                order.shuffle(&mut rng);
                order
            })
            .collect();
        (0..orders[0].len()).map(|k| Arch::new(orders.iter().map(|o| o[k]).collect::<Vec<_>>())).collect()
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

    fn observe(&mut self, _: &PathSeen<'_>) {}

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
