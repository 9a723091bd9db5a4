use pada_space::Arch;
use rand::Rng;

use crate::{PathObservation, PathSampler, SamplerError, SamplerState};

/// Always the same path: an architecture trained from scratch.
#[derive(Clone, Debug)]
pub struct FixedPath {
    path: Arch,
}

impl FixedPath {
    /// Trains only `path`.
    pub fn new(path: Arch) -> Self {
        Self { path }
    }
}

impl PathSampler for FixedPath {
    fn next_paths(&mut self, _: &mut dyn Rng) -> Vec<Arch> {
        vec![self.path.clone()]
    }

    fn observe(&mut self, _: &PathObservation<'_>) {}

    fn end_epoch(&mut self, _: f64) {}

    fn distribution(&self) -> Vec<Vec<f64>> {
        let ops = self.path.choices().iter().max().map_or(0, |&largest| usize::from(largest) + 1);
        let row = |&c: &u8| (0..ops).map(|op| f64::from(u8::from(op == usize::from(c)))).collect();
        self.path.choices().iter().map(row).collect()
    }

    fn state(&self) -> SamplerState {
        SamplerState::default()
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        state.lists([]).map(|_: [_; 0]| ())
    }
}
