use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::path_sampler::check_space;
use crate::state::check_paths;
use crate::{PathSampler, SamplerError, SavedState};

/// Draws one path per step that differs from the previous one at exactly one active position. If the space has only one
/// architecture, it is drawn in every step.
///
/// # Source
/// Magic-T in Xu et al., *Analyzing and Mitigating Interference in Neural Architecture Search*, ICML 2022.
#[derive(Clone, Debug)]
pub struct OneChangePaths {
    space: SubSpace,
    last: Option<Arch>,
}

/// State of [`OneChangePaths`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct OneChangePathsState {
    /// The path of the previous step; `None` before the first step.
    pub last: Option<Arch>,
}

impl OneChangePathsState {
    /// The kind of [`SavedState`] that holds this state.
    pub const KIND: &str = "one-change-paths";
}

impl OneChangePaths {
    /// A sampler for a space or a part of one.
    ///
    /// # Errors
    /// Returns [`SamplerError::Empty`] if the space has no position or a position has no operation.
    pub fn new(space: SubSpace) -> Result<Self, SamplerError> {
        check_space(&space)?;
        Ok(Self { space, last: None })
    }
}

impl PathSampler for OneChangePaths {
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch> {
        let path = match &self.last {
            None => self.space.sample(rng),
            Some(last) => {
                let active = |e| self.space.is_active(e, last).expect("the last path is of this space");
                let can_change = |e: &usize| self.space.allowed()[*e].len() > 1 && active(*e);
                let positions: Vec<usize> = (0..self.space.allowed().len()).filter(can_change).collect();
                if positions.is_empty() {
                    return vec![last.clone()];
                }
                let position = positions[rng.random_range(0..positions.len())];
                let current = last.choices()[position];
                let others: Vec<u8> =
                    self.space.allowed()[position].iter().copied().filter(|&op| op != current).collect();
                let op = others[rng.random_range(0..others.len())];
                last.with(position, op).expect("the decision exists")
            }
        };
        self.last = Some(path.clone());
        vec![path]
    }

    fn distribution(&self) -> Vec<Vec<f64>> {
        crate::uniform_paths::uniform_rows(&self.space)
    }

    fn state(&self) -> SavedState {
        SavedState::new(OneChangePathsState::KIND, &OneChangePathsState { last: self.last.clone() })
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let OneChangePathsState { last } = state.read(OneChangePathsState::KIND)?;
        check_paths(OneChangePathsState::KIND, &last, &self.space)?;
        self.last = last;
        Ok(())
    }
}
