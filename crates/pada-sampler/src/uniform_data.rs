use rand::Rng;
use rand::seq::SliceRandom;

use crate::{DataSampler, SamplerError};

/// Draws every image once per epoch, in a new random order: the usual shuffled data loader.
#[derive(Clone, Debug)]
pub struct UniformData {
    n: u32,
}

impl UniformData {
    /// A sampler for `n` images.
    ///
    /// # Errors
    /// Returns [`SamplerError::Empty`] if `n` is 0.
    pub fn new(n: u32) -> Result<Self, SamplerError> {
        if n == 0 { Err(SamplerError::Empty) } else { Ok(Self { n }) }
    }
}

impl DataSampler for UniformData {
    fn epoch_order(&mut self, rng: &mut dyn Rng) -> Vec<u32> {
        shuffled(self.n, rng)
    }
}

/// A random order of `0..n`.
pub(crate) fn shuffled(n: u32, mut rng: &mut dyn Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    order.shuffle(&mut rng);
    order
}
