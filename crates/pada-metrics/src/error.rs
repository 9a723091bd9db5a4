use std::fmt;

use thiserror::Error;

/// The list of scores that an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ScoreList {
    /// The scores to evaluate, such as accuracies with inherited supernet weights.
    Predicted,
    /// The scores to compare with, such as stand-alone accuracies.
    GroundTruth,
    /// The third list of a partial correlation, whose influence is removed.
    Control,
    /// The scores of the first of two compared methods.
    MethodA {
        /// Index of the seed in the list of seeds, from 0.
        seed_index: usize,
    },
    /// The scores of the second of two compared methods.
    MethodB {
        /// Index of the seed in the list of seeds, from 0.
        seed_index: usize,
    },
    /// One of the lists that [`fuse`](crate::fuse) makes one of.
    Part {
        /// Index of the list, from 0.
        index: usize,
    },
    /// The numbers whose mean is estimated by [`mean_interval`](crate::mean_interval).
    Values,
}

impl fmt::Display for ScoreList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Predicted => f.write_str("predicted scores"),
            Self::GroundTruth => f.write_str("ground-truth scores"),
            Self::Control => f.write_str("control scores"),
            Self::MethodA { seed_index } => write!(f, "scores of method A at seed index {seed_index}"),
            Self::MethodB { seed_index } => write!(f, "scores of method B at seed index {seed_index}"),
            Self::Part { index } => write!(f, "scores of the fused list {index}"),
            Self::Values => f.write_str("values"),
        }
    }
}

/// The reason why a metric, an interval or a p-value is undefined.
///
/// Indices count from 0.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A list does not have one entry per architecture.
    #[error(
        "the list of {list} has {found} entries, but the list that it is paired with has {expected}; pass one score per architecture, in the same order in every list"
    )]
    LengthMismatch {
        /// The list with the wrong length.
        list: ScoreList,
        /// The length of the list.
        found: usize,
        /// The length of the list that it is paired with: the ground-truth scores, or the first list that is fused.
        expected: usize,
    },
    /// Two methods do not have the same number of seeds.
    #[error(
        "method A has scores of {a} seeds and method B has scores of {b}; both need the same seeds, and at least one"
    )]
    SeedMismatch {
        /// The number of seeds of the first method.
        a: usize,
        /// The number of seeds of the second method.
        b: usize,
    },
    /// A score is NaN, so that it has no rank.
    #[error(
        "entry {index} of the {list} is NaN; remove this architecture from every list, or score it again"
    )]
    NanScore {
        /// The list with the entry.
        list: ScoreList,
        /// The index of the entry.
        index: usize,
    },
    /// A score is infinite, so that its mean and its deviation are undefined.
    #[error(
        "entry {index} of the {list} is infinite, which has no mean; remove it, or use a rank correlation, which accepts it"
    )]
    InfiniteScore {
        /// The list with the entry.
        list: ScoreList,
        /// The index of the entry.
        index: usize,
    },
    /// All scores of a list are equal: the supernet has collapsed, or the column is constant.
    #[error("all {n} {list} are equal, so they do not rank the architectures")]
    AllTied {
        /// The list.
        list: ScoreList,
        /// The length of the list.
        n: usize,
    },
    /// There are too few architectures, or too few values.
    #[error("there are {found} entries, but at least {needed} are needed")]
    TooFew {
        /// The number of entries.
        found: usize,
        /// The smallest number that is accepted.
        needed: usize,
    },
    /// The top fraction of the list contains no architecture.
    #[error("the best {fraction} of {n} architectures is less than one architecture; use a larger fraction")]
    EmptyTop {
        /// The number of architectures.
        n: usize,
        /// The fraction.
        fraction: f64,
    },
    /// The fraction of top architectures is not in `(0, 1]`.
    #[error(
        "the fraction of top architectures is {fraction}, but it must be in (0, 1]; write 0.05 for the best 5 %"
    )]
    InvalidFraction {
        /// The fraction.
        fraction: f64,
    },
    /// The confidence level is not in `(0, 1)`.
    #[error(
        "the confidence level is {level}, but it must be in (0, 1), without its ends; write 0.95 for 95 %"
    )]
    InvalidLevel {
        /// The level.
        level: f64,
    },
    /// The bootstrap has too few resamples for its confidence level.
    #[error(
        "the bootstrap draws {found} resamples, but an interval at confidence level {level} needs at least {needed}, so that each tail contains one"
    )]
    TooFewResamples {
        /// The number of resamples.
        found: usize,
        /// The smallest number that is accepted.
        needed: usize,
        /// The confidence level.
        level: f64,
    },
    /// The metric is undefined in almost all resamples, because their scores are tied.
    #[error(
        "the metric is defined in {defined} of {drawn} resamples, but at least {needed} are needed; the lists are too short or have too many ties"
    )]
    UndefinedResamples {
        /// The number of resamples in which the metric is defined.
        defined: usize,
        /// The number of resamples that were drawn.
        drawn: usize,
        /// The smallest number that is accepted.
        needed: usize,
    },
    /// The bias correction or the acceleration of a BCa interval is undefined.
    #[error("the BCa interval is undefined, because {reason}; use the percentile interval")]
    UndefinedBca {
        /// The reason.
        reason: &'static str,
    },
    /// An exact p-value was asked for, but there are ties.
    #[error(
        "the exact p-value is defined only without ties, but the {list} have ties; use the asymptotic p-value"
    )]
    TiesInExactTest {
        /// The list with ties.
        list: ScoreList,
    },
    /// The control list orders the architectures exactly like another list, so that a partial correlation is undefined.
    #[error(
        "the control scores order the architectures exactly as the {list} do, or in reverse, so that no partial correlation is left"
    )]
    ControlExplains {
        /// The list that is ordered like the control list.
        list: ScoreList,
    },
}

impl MetricsError {
    /// Returns `true` if the input is valid but has no such value: all scores are tied, the lists are too short, or an interval cannot be
    /// computed from the resamples. A program that shows several metrics leaves this one out; all other errors are mistakes of the caller.
    pub fn is_undefined(&self) -> bool {
        matches!(
            self,
            Self::AllTied { .. }
                | Self::TooFew { .. }
                | Self::UndefinedResamples { .. }
                | Self::UndefinedBca { .. }
        )
    }
}

/// A list of scores with the name that errors call it by.
#[derive(Clone, Copy)]
pub(crate) struct Scores<'a> {
    pub(crate) list: ScoreList,
    pub(crate) values: &'a [f64],
}

impl<'a> Scores<'a> {
    pub(crate) fn predicted(values: &'a [f64]) -> Self {
        Self { list: ScoreList::Predicted, values }
    }

    pub(crate) fn ground_truth(values: &'a [f64]) -> Self {
        Self { list: ScoreList::GroundTruth, values }
    }

    /// Checks that the list has one entry for each of the ground-truth scores.
    pub(crate) fn check_length(self, ground_truth: &[f64]) -> Result<(), MetricsError> {
        let (found, expected) = (self.values.len(), ground_truth.len());
        if found == expected {
            return Ok(());
        }
        Err(MetricsError::LengthMismatch { list: self.list, found, expected })
    }

    /// Checks that all scores can be compared.
    pub(crate) fn check_no_nan(self) -> Result<(), MetricsError> {
        match self.values.iter().position(|value| value.is_nan()) {
            Some(index) => Err(MetricsError::NanScore { list: self.list, index }),
            None => Ok(()),
        }
    }

    /// Checks that the mean of the scores is defined.
    pub(crate) fn check_finite(self) -> Result<(), MetricsError> {
        self.check_no_nan()?;
        match self.values.iter().position(|value| value.is_infinite()) {
            Some(index) => Err(MetricsError::InfiniteScore { list: self.list, index }),
            None => Ok(()),
        }
    }
}

/// Checks two lists of one length, of at least `needed` entries and without NaN.
pub(crate) fn check_pair(x: Scores<'_>, y: Scores<'_>, needed: usize) -> Result<(), MetricsError> {
    x.check_length(y.values)?;
    if x.values.len() < needed {
        return Err(MetricsError::TooFew { found: x.values.len(), needed });
    }
    x.check_no_nan()?;
    y.check_no_nan()
}

/// Checks that a confidence level is in `(0, 1)`.
pub(crate) fn check_level(level: f64) -> Result<(), MetricsError> {
    if level > 0.0 && level < 1.0 { Ok(()) } else { Err(MetricsError::InvalidLevel { level }) }
}
