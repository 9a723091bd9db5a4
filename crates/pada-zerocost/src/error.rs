use pada_exec::ExecError;
use thiserror::Error;

use crate::Score;

/// The error type of zero-cost scores.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ZeroCostError {
    /// The executor failed, or images and graph do not fit.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A score compares images with each other or needs several batches, but there are too few.
    #[error("{score} needs at least {needed} {what}, but there are {found}")]
    TooFew {
        /// The score.
        score: Score,
        /// What is missing: images or batches.
        what: &'static str,
        /// The number that was given.
        found: usize,
        /// The smallest number that is accepted.
        needed: usize,
    },
    /// A score was computed from a graph without a part that it needs.
    #[error("{score} needs a network with {part}")]
    NoSuchPart {
        /// The score.
        score: Score,
        /// The part.
        part: &'static str,
    },
    /// A single network has no such score.
    #[error(
        "{0} is a score of a list of architectures; compute {parts} of each one, and fuse their log ranks",
        parts = .0.parts().iter().map(|part| part.name()).collect::<Vec<_>>().join(", ")
    )]
    OfList(Score),
    /// The text is not the name of a score.
    #[error("{0} is not a zero-cost score; use {known}", known = crate::Score::NAMES.join(", "))]
    UnknownScore(String),
}
