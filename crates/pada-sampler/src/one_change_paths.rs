use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};

use crate::{PathObservation, PathSampler, SamplerError, SamplerState};

/// One path a step that differs from the path before in exactly one position that is read; always the same where the space has no
/// other.
///
/// # Source
/// The T of Magic-AT: Xu et al., *Analyzing and Mitigating Interference in NAS*, ICML 2022.
#[derive(Clone, Debug)]
pub struct OneChangePaths {
    space: SubSpace,
    last: Option<Arch>,
}

impl OneChangePaths {
    /// For a part of a space.
    pub fn new(space: SubSpace) -> Self {
        Self { space, last: None }
    }
}

impl PathSampler for OneChangePaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        let path = match &self.last {
            None => self.space.sample(rng),
            Some(last) => {
                let active = |e| self.space.is_active(e, last).expect("the last path is of this space");
                let changes = |e: &usize| self.space.allowed()[*e].len() > 1 && active(*e);
                let free: Vec<usize> = (0..self.space.allowed().len()).filter(changes).collect();
                if free.is_empty() {
                    return vec![last.clone()];
                }
                let position = free[rng.random_range(0..free.len())];
                let here = last.choices()[position];
                let others: Vec<u8> =
                    self.space.allowed()[position].iter().copied().filter(|&op| op != here).collect();
                let op = others[rng.random_range(0..others.len())];
                last.with(position, op).expect("the decision exists")
            }
        };
        self.last = Some(path.clone());
        vec![path]
    }

    fn observe(&mut self, _: &PathObservation<'_>) {}

    fn end_epoch(&mut self, _: f64) {}

    fn distribution(&self) -> Vec<Vec<f64>> {
        crate::uniform_paths::uniform_rows(&self.space)
    }

    fn state(&self) -> SamplerState {
        SamplerState::archs("last", self.last.as_slice())
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        self.last = state.to_archs("last", &self.space)?.pop();
        Ok(())
    }
}
