use pada_space::Arch;
use thiserror::Error;

/// Error of a sampler: it cannot be created, cannot learn from an observation, or cannot be restored.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// A setting is outside its valid range.
    #[error("{name} is {value}, but it must be {range}")]
    BadConfig {
        /// Name of the setting.
        name: &'static str,
        /// The value of the parameter.
        value: f64,
        /// The valid range, in words.
        range: &'static str,
    },
    /// A list of weights cannot be normalised to a probability distribution.
    #[error(
        "weight {index} of {len} is {value}; weights must be finite and not negative, and at least one must be positive"
    )]
    BadWeights {
        /// Index of the first invalid weight; the last index if all weights are zero.
        index: usize,
        /// Number of weights.
        len: usize,
        /// The invalid weight.
        value: f64,
    },
    /// The space has no position or no operation, the data set has no image, or the list of weights is empty.
    #[error("there is nothing to sample from: the space, the data set or the list of weights is empty")]
    Empty,
    /// More draws without replacement were requested than there are positive weights.
    #[error(
        "{requested} draws without replacement were requested, but only {available} weights are positive"
    )]
    TooMany {
        /// Number of draws that were requested.
        requested: usize,
        /// Number of positive weights.
        available: usize,
    },
    /// A path does not belong to the space of the sampler.
    #[error("path {path} is not in the space of the sampler, which has {positions} positions")]
    NotInSpace {
        /// The path.
        path: Arch,
        /// E, the number of positions of the space.
        positions: usize,
    },
    /// An image index is not smaller than the number of images.
    #[error("image {image} does not exist: the sampler has {images} images, with indices from 0")]
    NoSuchImage {
        /// The index.
        image: u32,
        /// N, the number of images of the sampler.
        images: usize,
    },
    /// An observation has too few or too many numbers.
    #[error("the observation has {found} {what}, but {expected} are needed, {per}")]
    LengthMismatch {
        /// Description of the numbers.
        what: &'static str,
        /// Number of values that were passed.
        found: usize,
        /// Number of values that are needed.
        expected: usize,
        /// Description of the items, one for each number.
        per: &'static str,
    },
    /// An observation contains a number that is NaN, infinite or negative.
    #[error("{what} {index} of the observation is {value}; it must be finite and not negative")]
    BadObservation {
        /// Description of the number.
        what: &'static str,
        /// The index of the number in the list that was passed; 0 for a single number.
        index: usize,
        /// The value of the number.
        value: f64,
    },
    /// The epoch of a [`Progress`](crate::Progress) is not one of the run.
    #[error("epoch {epoch} does not exist: a run of {epochs} epochs has epochs 0 to {epochs} - 1")]
    BadProgress {
        /// Index of the epoch, from 0.
        epoch: usize,
        /// Number of epochs of the run.
        epochs: usize,
    },
    /// A saved state belongs to another kind of sampler or training rule.
    #[error("the saved state belongs to `{found}`, but this is `{expected}`")]
    OtherKind {
        /// The kind that saved the state.
        found: String,
        /// The kind that was requested to restore it.
        expected: String,
    },
    /// A saved state has the right kind, but its content does not fit.
    #[error("the saved state of `{kind}` cannot be restored: {reason}")]
    State {
        /// The kind of the sampler or training rule.
        kind: String,
        /// The reason why the state does not fit.
        reason: String,
    },
}
