use serde::{Deserialize, Serialize};

use crate::{SamplerError, Variant};

/// The epoch that ended, and the number of epochs of the run. Samplers compute the smoothing factors δ and τ of the next epoch from it.
///
/// PA&DA's text and its released code use different factors after the same epoch. Algorithm 1 increases δ and τ before it updates the
/// distributions, so that its factor after epoch j of E, counted from 1, is j/E ([`Progress::after`]). The released code uses
/// (j − 1)/E ([`Progress::before`]).
///
/// ```
/// use pada_sampler::Progress;
///
/// let first = Progress::new(0, 4).unwrap();
/// assert_eq!((first.before(), first.after()), (0.0, 0.25));
/// assert!(Progress::new(4, 4).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    epoch: usize,
    epochs: usize,
}

impl Progress {
    /// The end of epoch `epoch`, counted from 0, of a run of `epochs` epochs.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadProgress`] if the run has no such epoch.
    pub fn new(epoch: usize, epochs: usize) -> Result<Self, SamplerError> {
        if epoch < epochs {
            Ok(Self { epoch, epochs })
        } else {
            Err(SamplerError::BadProgress { epoch, epochs })
        }
    }

    /// The share of the run that was finished before the epoch, in `0.0..1.0`.
    pub fn before(self) -> f64 {
        self.epoch as f64 / self.epochs as f64
    }

    /// The share of the run that is finished after the epoch, above 0 and at most 1.
    pub fn after(self) -> f64 {
        (self.epoch + 1) as f64 / self.epochs as f64
    }

    /// The progress that δ and τ of a variant of PA&DA are computed from.
    pub(crate) fn of(self, variant: Variant) -> f64 {
        match variant {
            Variant::Released => self.before(),
            Variant::Paper => self.after(), // PA&DA, Algorithm 1, line 9
        }
    }
}

/// A number that changes linearly with the progress of training, for example the smoothing factor δ or τ of PA&DA.
///
/// The samplers of this crate use it as the share of the importance distribution in the distribution that they draw from:
/// `share · importance + (1 − share) · uniform`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSchedule {
    /// The value at progress 0.
    pub first: f64,
    /// The value at progress 1. With [`Progress::before`], the last epoch has the progress `(epochs − 1) / epochs`, so it does not quite
    /// reach this value.
    pub last: f64,
}

impl Default for LinearSchedule {
    /// From 0 to 1, as in the released code of PA&DA.
    fn default() -> Self {
        Self { first: 0.0, last: 1.0 }
    }
}

impl LinearSchedule {
    /// A schedule from `first` to `last`, both in `0..=1`.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if a value is outside `0..=1`.
    pub fn new(first: f64, last: f64) -> Result<Self, SamplerError> {
        let schedule = Self { first, last };
        schedule.check(["first", "last"])?;
        Ok(schedule)
    }

    /// Creates a schedule with the same value in every epoch.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if the value is outside `0..=1`.
    pub fn constant(value: f64) -> Result<Self, SamplerError> {
        Self::new(value, value)
    }

    /// The value at `progress`, a share of the run in `0.0..=1.0`, see [`Progress`].
    pub fn at(&self, progress: f64) -> f64 {
        self.first + (self.last - self.first) * progress
    }

    pub(crate) fn check(&self, names: [&'static str; 2]) -> Result<(), SamplerError> {
        for (name, value) in names.into_iter().zip([self.first, self.last]) {
            if !(0.0..=1.0).contains(&value) {
                return Err(SamplerError::BadConfig { name, value, range: "in 0..=1" });
            }
        }
        Ok(())
    }
}
