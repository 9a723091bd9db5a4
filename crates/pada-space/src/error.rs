use thiserror::Error;

/// Why a text or a list of choices is not an architecture of a space.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SpaceError {
    /// A choice or operation name that the space does not have.
    #[error(
        "architecture {text:?}: {op:?} at position {position} is no operation of {space}; it has {valid}"
    )]
    UnknownOp {
        /// The text that was parsed.
        text: String,
        /// What stood there.
        op: String,
        /// The position, from 0.
        position: usize,
        /// The space's name.
        space: &'static str,
        /// The operations it has, in digit order.
        valid: String,
    },
    /// Too few or too many positions.
    #[error("architecture {text:?} has {found} positions, {space} has {expected}")]
    WrongLength {
        /// The text that was parsed.
        text: String,
        /// Positions found.
        found: usize,
        /// The space's name.
        space: &'static str,
        /// Positions the space has.
        expected: usize,
    },
    /// A word that is neither digits nor the name of a published architecture.
    #[error("architecture {text:?} is neither a name nor {expected} digits; {space} has the names {known}")]
    UnknownName {
        /// The text that was parsed.
        text: String,
        /// The space's name.
        space: &'static str,
        /// Positions the space has.
        expected: usize,
        /// The names it knows.
        known: String,
    },
    /// A name that is no operation of the space.
    #[error("{op:?} is no operation of {space}; it has {valid}")]
    NoSuchOp {
        /// The name.
        op: String,
        /// The space's name.
        space: &'static str,
        /// The operations it has, in digit order.
        valid: String,
    },
    /// A part of a space without any operation.
    #[error("no operation of {space} is allowed; give at least one")]
    Empty {
        /// The space's name.
        space: &'static str,
    },
    /// A part of a space leaves a position without any operation.
    #[error("position {position} of {space} has none of the allowed operations; it has {valid}")]
    NoOpLeft {
        /// The position, from 0.
        position: usize,
        /// The space's name.
        space: &'static str,
        /// The operations the position has, in digit order.
        valid: String,
    },
    /// The long form is not built as the space writes it.
    #[error("architecture {text:?}: {reason}; {space} is written like {example:?}")]
    Malformed {
        /// The text that was parsed.
        text: String,
        /// What is wrong with it.
        reason: String,
        /// The space's name.
        space: &'static str,
        /// A valid text.
        example: &'static str,
    },
}
