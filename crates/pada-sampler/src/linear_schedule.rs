use serde::{Deserialize, Serialize};

use crate::SamplerError;

/// A share that changes linearly with the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSchedule {
    /// Share at progress 0.
    pub first: f64,
    /// Share at progress 1, which the epoch after the last would have.
    pub last: f64,
}

impl Default for LinearSchedule {
    /// From 0 to 1, as PA&DA's released code.
    fn default() -> Self {
        Self { first: 0.0, last: 1.0 }
    }
}

impl LinearSchedule {
    /// The share at `progress = epoch / epochs`.
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
