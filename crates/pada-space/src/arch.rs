use std::fmt;

use serde::{Deserialize, Serialize};

/// An architecture: one choice per position of its search space.
///
/// # Shapes
/// `[E]`, `choices[e] < n_ops[e]`. Only a space can say whether a list is valid; [`crate::SearchSpace::parse`] and
/// [`crate::SearchSpace::check`] do.
///
/// Its `Display` form is one digit per position, for example `333213`; spaces add longer forms.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Arch(Box<[u8]>);

impl Arch {
    /// An architecture from its choices, unchecked.
    pub fn new(choices: impl Into<Box<[u8]>>) -> Self {
        Self(choices.into())
    }

    /// The choices, `[E]`.
    pub fn choices(&self) -> &[u8] {
        &self.0
    }

    /// The same architecture with another choice at one position.
    pub fn with(&self, position: usize, choice: u8) -> Self {
        let mut choices = self.0.clone();
        choices[position] = choice;
        Self(choices)
    }

    /// At how many positions `op` stands.
    pub fn count(&self, op: usize) -> usize {
        self.0.iter().filter(|&&c| usize::from(c) == op).count()
    }

    /// At how many positions two architectures of one space differ.
    pub fn distance(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(a, b)| a != b).count()
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|c| match char::from_digit(u32::from(*c), 36) {
            Some(digit) => write!(f, "{digit}"),
            None => write!(f, "<{c}>"),
        })
    }
}

impl fmt::Debug for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Arch({self})")
    }
}
