use std::fmt;

use thiserror::Error;

/// Which of the lists is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// What is judged.
    Predicted,
    /// What it is judged by.
    Truth,
    /// What is held fixed in a partial correlation.
    Given,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Predicted => "predicted scores",
            Self::Truth => "true scores",
            Self::Given => "given scores",
        })
    }
}

/// Why two lists cannot be compared.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum RankError {
    /// The lists have different lengths.
    #[error("{predicted} predicted and {truth} true scores: every architecture needs both")]
    LengthMismatch {
        /// Length of the first list.
        predicted: usize,
        /// Length of the other.
        truth: usize,
    },
    /// Two methods were not run with the same seeds.
    #[error("{a} seeds of one method and {b} of the other: seeds are compared in pairs, at least one")]
    SeedMismatch {
        /// Seeds of the first method.
        a: usize,
        /// Seeds of the other.
        b: usize,
    },
    /// A score cannot be compared.
    #[error("number {index} of the {list} is {value}")]
    NotComparable {
        /// Which list.
        list: List,
        /// The place, from 0.
        index: usize,
        /// NaN; for Pearson's correlation also an infinity.
        value: f64,
    },
    /// All scores are equal: a collapsed supernet, or a constant column.
    #[error("all {n} {list} are equal, so they rank nothing")]
    AllTied {
        /// Which list.
        list: List,
        /// How many there are.
        n: usize,
    },
    /// Too few architectures.
    #[error("{found} architectures, {needed} are needed")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The top share of the list holds no architecture.
    #[error("the best {fraction} of {n} architectures is less than one architecture")]
    EmptyTop {
        /// How many there are.
        n: usize,
        /// The share.
        fraction: f64,
    },
    /// Given list explains one of the others wholly.
    #[error("the given scores order the architectures exactly as the {list}, so nothing is left to compare")]
    Explained {
        /// Which list.
        list: List,
    },
}

pub(crate) fn check(predicted: &[f64], truth: &[f64], needed: usize) -> Result<(), RankError> {
    if predicted.len() != truth.len() {
        return Err(RankError::LengthMismatch { predicted: predicted.len(), truth: truth.len() });
    }
    if predicted.len() < needed {
        return Err(RankError::TooFew { found: predicted.len(), needed });
    }
    for (list, values) in [(List::Predicted, predicted), (List::Truth, truth)] {
        if let Some(index) = values.iter().position(|v| v.is_nan()) {
            return Err(RankError::NotComparable { list, index, value: values[index] });
        }
    }
    Ok(())
}
