use pada_space::Arch;
use rand::Rng;

use crate::{PathSampler, SamplerError};

/// Draws the same path in every step. It is used to train a stand-alone network.
#[derive(Clone, Debug)]
pub struct FixedPath {
    path: Arch,
}

impl FixedPath {
    /// A sampler that always draws `path`.
    ///
    /// # Errors
    /// Returns [`SamplerError::Empty`] if the path has no position.
    pub fn new(path: Arch) -> Result<Self, SamplerError> {
        if path.choices().is_empty() { Err(SamplerError::Empty) } else { Ok(Self { path }) }
    }
}

impl PathSampler for FixedPath {
    fn next_paths(&mut self, _: &mut dyn Rng) -> Vec<Arch> {
        vec![self.path.clone()]
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        let ops = self.path.choices().iter().max().map_or(0, |&largest| usize::from(largest) + 1);
        let row = |&c: &u8| (0..ops).map(|op| f64::from(u8::from(op == usize::from(c)))).collect();
        self.path.choices().iter().map(row).collect()
    }
}
