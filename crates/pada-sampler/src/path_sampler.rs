use pada_space::{Arch, SubSpace};
use rand::Rng;

use crate::{Progress, SamplerError, SavedState};

/// Draws the paths that a supernet is trained on.
///
/// A training loop calls [`next_paths`](Self::next_paths) in every step, [`observe`](Self::observe) for every path that it
/// trained, and [`end_epoch`](Self::end_epoch) after every epoch. E is the number of positions of the search space and O the
/// number of operations.
///
/// Only [`next_paths`](Self::next_paths) and [`distribution`](Self::distribution) are required. A sampler that remembers
/// anything between two calls must also implement [`state`](Self::state) and [`restore`](Self::restore), otherwise a resumed run
/// differs from one that was never interrupted.
pub trait PathSampler: Send {
    /// Draws the paths of one training step.
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch>;

    /// The factor by which the loss of a path that was just drawn is multiplied. It is 1 unless the sampler corrects its bias.
    ///
    /// # Errors
    /// Returns [`SamplerError::NotInSpace`] if the path is not in the space of the sampler.
    fn loss_weight(&self, path: &Arch) -> Result<f64, SamplerError> {
        let _ = path;
        Ok(1.0)
    }

    /// Learns from one path of a training step.
    ///
    /// # Errors
    /// Returns [`SamplerError`] if the observation does not fit the space of the sampler or contains a number that is not
    /// finite. The sampler is unchanged then.
    fn observe(&mut self, observation: &PathObservation<'_>) -> Result<(), SamplerError> {
        let _ = observation;
        Ok(())
    }

    /// Ends an epoch and updates the distribution.
    ///
    /// # Errors
    /// Returns [`SamplerError`] if the sampler cannot compute its next distribution. The samplers of this crate never do.
    fn end_epoch(&mut self, progress: Progress) -> Result<(), SamplerError> {
        let _ = progress;
        Ok(())
    }

    /// The probability p of each operation, as rows of O probabilities: one row if all positions share a distribution,
    /// otherwise one row per group of positions or one per position.
    fn distribution(&self) -> Vec<Vec<f64>>;

    /// The state that a checkpoint stores.
    fn state(&self) -> SavedState {
        SavedState::stateless()
    }

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// Returns [`SamplerError::OtherKind`] or [`SamplerError::State`] if the state belongs to another sampler or another
    /// space. The sampler is unchanged then.
    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        state.read_stateless()
    }
}

/// The result of training one path in one step, from which a [`PathSampler`] learns.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PathObservation<'a> {
    /// The path that was trained.
    pub path: &'a Arch,
    /// `[E]`, the gradient norm of the operation at each position. It is summed over the cells that share the position, and 0
    /// for an operation without weights.
    pub position_norms: &'a [f64],
    /// Mean cross entropy of the batch, in nats.
    pub loss: f64,
}

impl<'a> PathObservation<'a> {
    /// An observation of a path.
    ///
    /// # Shapes
    /// - `position_norms`: `[E]`, one gradient norm per position of the path, 0 for an operation without weights
    /// - `loss`: mean cross entropy of the batch, in nats
    pub fn new(path: &'a Arch, position_norms: &'a [f64], loss: f64) -> Self {
        Self { path, position_norms, loss }
    }

    /// Computes the mean gradient norm of each operation over the positions of the path at which it stands.
    ///
    /// # Shapes
    /// Returns `[O]`, O = `n_ops`. An operation that is not on the path or has no weights has the norm 0.
    ///
    /// # Errors
    /// Returns [`SamplerError::LengthMismatch`] if there is not one norm per position, and [`SamplerError::BadConfig`] if the
    /// path contains an operation whose index is not below `n_ops`.
    ///
    /// # Source
    /// PA&DA, released code.
    pub fn op_norms(&self, n_ops: usize) -> Result<Vec<f64>, SamplerError> {
        self.check_len()?;
        let mut sums = vec![0.0; n_ops];
        for (&op, norm) in self.path.choices().iter().zip(self.position_norms) {
            let Some(sum) = sums.get_mut(usize::from(op)) else {
                return Err(SamplerError::BadConfig {
                    name: "n_ops",
                    value: n_ops as f64,
                    range: "larger than the index of every operation of the path",
                });
            };
            *sum += norm;
        }
        for (op, sum) in sums.iter_mut().enumerate() {
            *sum /= self.path.count(op).max(1) as f64;
        }
        Ok(sums)
    }

    /// Checks that the observation is one of a path of `space` and that its numbers are usable.
    pub(crate) fn check(&self, space: &SubSpace) -> Result<(), SamplerError> {
        check_path(self.path, space)?;
        self.check_len()?;
        check_norms("gradient norm", self.position_norms.iter().copied())?;
        check_norms("loss", [self.loss])
    }

    fn check_len(&self) -> Result<(), SamplerError> {
        let (found, expected) = (self.position_norms.len(), self.path.choices().len());
        if found == expected {
            return Ok(());
        }
        let (what, per) = ("gradient norms", "one for each position of the path");
        Err(SamplerError::LengthMismatch { what, found, expected, per })
    }
}

/// Checks that a path belongs to a space.
pub(crate) fn check_path(path: &Arch, space: &SubSpace) -> Result<(), SamplerError> {
    if space.contains(path) {
        return Ok(());
    }
    Err(SamplerError::NotInSpace { path: path.clone(), positions: space.allowed().len() })
}

/// Checks that a space has positions and that each of them has an operation.
pub(crate) fn check_space(space: &SubSpace) -> Result<(), SamplerError> {
    let allowed = space.allowed();
    if allowed.is_empty() || allowed.iter().any(Vec::is_empty) { Err(SamplerError::Empty) } else { Ok(()) }
}

/// Checks that observed numbers are finite and not negative.
pub(crate) fn check_norms(
    what: &'static str,
    values: impl IntoIterator<Item = f64>,
) -> Result<(), SamplerError> {
    let bad = |(_, value): &(usize, f64)| !(value.is_finite() && *value >= 0.0);
    match values.into_iter().enumerate().find(bad) {
        None => Ok(()),
        Some((index, value)) => Err(SamplerError::BadObservation { what, index, value }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn norms_of_an_operation_are_a_mean_over_its_positions() {
        let path = Arch::new(vec![2, 0, 2, 3]);
        let seen = PathObservation::new(&path, &[1.0, 0.0, 4.0, 3.0], 0.0);
        assert_eq!(seen.op_norms(5).unwrap(), [0.0, 0.0, 2.5, 3.0, 0.0]);
        assert!(matches!(seen.op_norms(3), Err(SamplerError::BadConfig { name: "n_ops", .. })));
        let short = PathObservation::new(&path, &[1.0], 0.0);
        assert!(matches!(short.op_norms(5), Err(SamplerError::LengthMismatch { found: 1, expected: 4, .. })));
    }
}
