use pada_space::Arch;
use rand::{Rng, RngExt};

use crate::{PathSampler, SamplerError, SamplerState};

/// One path a step, every operation of every position alike: SPOS.
#[derive(Clone, Debug)]
pub struct UniformPaths {
    n_ops: Vec<usize>,
}

impl UniformPaths {
    /// For a space with `n_ops[e]` operations at position e.
    pub fn new(n_ops: &[usize]) -> Self {
        Self { n_ops: n_ops.to_vec() }
    }
}

impl PathSampler for UniformPaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        vec![Arch::new(self.n_ops.iter().map(|&n| rng.random_range(0..n) as u8).collect::<Vec<_>>())]
    }

    fn observe(&mut self, _: &Arch, _: &[f64]) {}

    fn end_epoch(&mut self, _: f64) {}

    fn distribution(&self) -> Vec<Vec<f64>> {
        let row = |&n: &usize| vec![1.0 / n as f64; n];
        let shared = self.n_ops.windows(2).all(|pair| pair[0] == pair[1]);
        self.n_ops.iter().take(if shared { 1 } else { self.n_ops.len() }).map(row).collect()
    }

    fn state(&self) -> SamplerState {
        SamplerState::default()
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        state.lists([]).map(|_: [_; 0]| ())
    }
}
