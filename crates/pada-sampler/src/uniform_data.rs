use rand::Rng;
use rand::seq::SliceRandom;

use crate::{DataSampler, SamplerError, SamplerState};

/// Every image once an epoch, in a fresh random order.
#[derive(Clone, Debug)]
pub struct UniformData {
    n: u32,
}

impl UniformData {
    /// For `n` images.
    pub fn new(n: u32) -> Self {
        Self { n }
    }
}

impl DataSampler for UniformData {
    fn epoch_order(&mut self, rng: &mut dyn Rng) -> Vec<u32> {
        shuffled(self.n, rng)
    }

    fn observe(&mut self, _: &[u32], _: &[f32]) {}

    fn end_epoch(&mut self, _: f64) {}

    fn distribution(&self) -> Option<&[f64]> {
        None
    }

    fn state(&self) -> SamplerState {
        SamplerState::default()
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        state.lists([]).map(|_: [_; 0]| ())
    }
}

pub(crate) fn shuffled(n: u32, mut rng: &mut dyn Rng) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n).collect();
    order.shuffle(&mut rng);
    order
}
