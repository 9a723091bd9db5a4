use thiserror::Error;

/// Why a sampler cannot be made or go on.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum SamplerError {
    /// A setting is out of its range.
    #[error("{name} is {value}, it must be {range}")]
    BadConfig {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
    /// A list of probabilities is none.
    #[error("weight {index} of {len} is {value}; weights are finite, not negative, and not all zero")]
    BadWeights {
        /// The first bad one; the last if all are zero.
        index: usize,
        /// How many there are.
        len: usize,
        /// Its value.
        value: f64,
    },
    /// There is nothing to draw from.
    #[error("there is nothing to draw from")]
    Empty,
    /// More draws without replacement than there is to draw.
    #[error("{wanted} draws without replacement from {available} weights that are not zero")]
    TooMany {
        /// Draws wanted.
        wanted: usize,
        /// What could be drawn.
        available: usize,
    },
    /// A checkpoint's state does not fit.
    #[error("sampler state: {reason}; the checkpoint is of another sampler or data set")]
    State {
        /// What does not fit.
        reason: String,
    },
}
