use serde::{Deserialize, Serialize};

use crate::SamplerError;

/// A number that changes linearly with the progress of training, for example the smoothing factor δ or τ of PA&DA.
///
/// The samplers of this crate use it as the share of the importance distribution in the distribution that they draw from:
/// `share · importance + (1 − share) · uniform`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSchedule {
    /// The value at progress 0, the first epoch.
    pub first: f64,
    /// The value at progress 1. The last epoch has progress `(epochs − 1) / epochs`, so it does not quite reach this value.
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

    /// The value at `progress`, the index of an epoch divided by the number of epochs.
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

/// Checks the progress that `end_epoch` receives.
pub(crate) fn check_progress(progress: f64) -> Result<(), SamplerError> {
    if (0.0..=1.0).contains(&progress) { Ok(()) } else { Err(SamplerError::BadProgress { value: progress }) }
}
