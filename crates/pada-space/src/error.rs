use thiserror::Error;

/// An error about an architecture, a text, or a sub-space.
///
/// Decisions are counted from 0. In a cell space, a decision is an edge.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// A decision has a choice that the space does not offer there.
    #[error(
        "architecture {text:?}: {op:?} is not an operation of {space} at decision {decision}; the operations are {valid}"
    )]
    UnknownOp {
        /// The architecture.
        text: String,
        /// The choice, as it is written in the text.
        op: String,
        /// The index of the decision, from 0.
        decision: usize,
        /// The name of the space.
        space: &'static str,
        /// The operations of the space, in digit order.
        valid: String,
    },
    /// An architecture has too few or too many decisions.
    #[error("architecture {text:?} has {found} decisions, but {space} has {expected}{}", hint(text, *expected, padded.as_deref()))]
    WrongLength {
        /// The architecture.
        text: String,
        /// The number of decisions of the architecture.
        found: usize,
        /// The name of the space.
        space: &'static str,
        /// The number of decisions of the space.
        expected: usize,
        /// The architecture with zeros in front, if that makes it valid: spreadsheet programs remove them.
        padded: Option<String>,
    },
    /// A word is neither a list of digits nor the name of a published architecture.
    #[error(
        "architecture {text:?} is neither a published name nor {expected} digits; the nearest names of {space} are {known}"
    )]
    UnknownName {
        /// The text.
        text: String,
        /// The name of the space.
        space: &'static str,
        /// The number of decisions of the space.
        expected: usize,
        /// The nearest names that the space knows.
        known: String,
    },
    /// A name in a list of operations is not an operation of the space.
    #[error("{op:?} is not an operation of {space}; the operations are {valid}")]
    UnknownOpName {
        /// The name.
        op: String,
        /// The name of the space.
        space: &'static str,
        /// The operations of the space, in digit order.
        valid: String,
    },
    /// A sub-space was asked for without any operation.
    #[error("a sub-space of {space} needs at least one operation, but none was given")]
    NoOps {
        /// The name of the space.
        space: &'static str,
    },
    /// A sub-space would leave a decision without any operation.
    #[error("decision {decision} of {space} has none of the given operations; it has {valid}")]
    NoOpLeft {
        /// The index of the decision, from 0.
        decision: usize,
        /// The name of the space.
        space: &'static str,
        /// The operations of the decision, in digit order.
        valid: String,
    },
    /// A choice is not in the sub-space.
    #[error("choice {choice} at decision {decision} is not in the sub-space, which has {allowed:?} there")]
    OutsideSubSpace {
        /// The index of the decision, from 0.
        decision: usize,
        /// The choice.
        choice: u8,
        /// The choices of the sub-space at this decision.
        allowed: Vec<u8>,
    },
    /// There is no decision of this index.
    #[error("there is no decision {decision}: the decisions are numbered from 0, and there are {decisions}")]
    NoSuchDecision {
        /// The index that was asked for.
        decision: usize,
        /// The number of decisions.
        decisions: usize,
    },
    /// A space cannot have this number of choices at a decision.
    #[error("decision {decision} has {count} choices; a decision has 1 to 256")]
    BadOpCount {
        /// The index of the decision, from 0.
        decision: usize,
        /// The number of choices.
        count: usize,
    },
    /// A mutation rate is not a probability.
    #[error("the mutation rate is {rate}, but it must be from 0 to 1")]
    BadRate {
        /// The rate, as text.
        rate: String,
    },
    /// The long form of an architecture is malformed.
    #[error("architecture {text:?}: {reason}; a valid architecture of {space} is {example:?}")]
    Malformed {
        /// The text.
        text: String,
        /// The reason why the text is rejected.
        reason: String,
        /// The name of the space.
        space: &'static str,
        /// A valid text.
        example: &'static str,
    },
}

/// Explains digits that are probably an architecture without its leading zeros, or an index.
fn hint(text: &str, expected: usize, padded: Option<&str>) -> String {
    let numbers: Vec<&str> = text.split(':').collect();
    if numbers.len() == 5 && numbers.iter().all(|number| number.parse::<u32>().is_ok()) {
        return "; numbers of channels with colons are networks of the size search space of NATS-Bench, which is another space".to_owned();
    }
    if text.trim_start().starts_with("[[") {
        return "; a matrix is the notation of NAS-Bench-101, which is another space".to_owned();
    }
    const INDEX: &str =
        "if it is the index of a benchmark, write the text form that its table has at this index";
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() && !text.starts_with('0');
    // 34 digits become a number such as 1.234e+33.
    let is_rounded =
        text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('e') && text.parse::<f64>().is_ok();
    match padded {
        None if is_rounded => {
            "; if a spreadsheet program or pandas turned the digits into a number, read and write the column as text".to_owned()
        }
        Some(padded) => format!(
            "; if a spreadsheet program removed leading zeros, write {padded} and format the column as text; {INDEX}"
        ),
        None if is_number && text.len() < expected => format!("; {INDEX}"),
        None => String::new(),
    }
}
