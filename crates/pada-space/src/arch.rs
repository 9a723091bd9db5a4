use std::fmt;
use std::str::FromStr;

use crate::SpaceError;

/// An architecture: one choice per decision of its search space.
///
/// For a cell space, a decision is an edge and a choice is the operation on it. An `Arch` does not know its space, so only a space can
/// say whether it is valid: [`SearchSpace::parse`](crate::SearchSpace::parse) returns valid architectures, and
/// [`SearchSpace::check`](crate::SearchSpace::check) checks any other.
///
/// The [`Display`](fmt::Display) form has one digit per decision, for example `333213`. [`FromStr`] reads it back without checking it
/// against a space. Spaces have longer forms as well, see [`SearchSpace::format`](crate::SearchSpace::format).
///
/// # Shapes
/// `[E]` choices, where E is the number of decisions of the space.
///
/// ```
/// use pada_space::Arch;
///
/// let arch: Arch = "333213".parse()?;
/// assert_eq!(arch, Arch::new([3, 3, 3, 2, 1, 3]));
/// assert_eq!(arch.count(3), 4);
/// # Ok::<_, pada_space::SpaceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Arch(Box<[u8]>);

impl Arch {
    /// Creates an architecture from its choices, without checking them against a space.
    pub fn new(choices: impl Into<Box<[u8]>>) -> Self {
        Self(choices.into())
    }

    /// Returns the choices, `[E]`.
    pub fn choices(&self) -> &[u8] {
        &self.0
    }

    /// Returns a copy of this architecture with another choice for one decision.
    ///
    /// # Errors
    /// Returns [`SpaceError::NoSuchDecision`] if the architecture has no decision of this index.
    pub fn with(&self, decision: usize, choice: u8) -> Result<Self, SpaceError> {
        let mut choices = self.0.clone();
        match choices.get_mut(decision) {
            Some(place) => *place = choice,
            None => return Err(SpaceError::NoSuchDecision { decision, decisions: self.0.len() }),
        }
        Ok(Self(choices))
    }

    /// Counts the decisions whose choice is `op`.
    pub fn count(&self, op: usize) -> usize {
        self.0.iter().filter(|&&c| usize::from(c) == op).count()
    }

    /// Computes the Hamming distance: the number of decisions at which two architectures of one space differ.
    ///
    /// # Errors
    /// Returns [`SpaceError::WrongLength`] if the architectures have different numbers of decisions.
    pub fn distance(&self, other: &Self) -> Result<usize, SpaceError> {
        let (expected, found) = (self.0.len(), other.0.len());
        if found != expected {
            let space = "the architecture that it is compared with";
            return Err(SpaceError::WrongLength {
                text: other.to_string(),
                found,
                space,
                expected,
                padded: None,
            });
        }
        Ok(self.0.iter().zip(&other.0).filter(|(a, b)| a != b).count())
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

impl FromStr for Arch {
    type Err = SpaceError;

    /// Reads the [`Display`](fmt::Display) form: one digit per decision (`0`–`9`, then `a`–`z`), and `<n>` for choices from 36 on.
    fn from_str(text: &str) -> Result<Self, SpaceError> {
        let malformed = |reason: String| SpaceError::Malformed {
            text: text.to_owned(),
            reason,
            space: "an architecture",
            example: "333213",
        };
        let mut choices = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = &rest[c.len_utf8()..];
            rest = match (c.to_digit(36), after.split_once('>')) {
                (Some(digit), _) => {
                    choices.push(digit as u8);
                    after
                }
                (None, Some((number, after))) if c == '<' => {
                    let choice =
                        number.parse().map_err(|_| malformed(format!("<{number}> is not a choice")))?;
                    choices.push(choice);
                    after
                }
                _ => return Err(malformed(format!("{c:?} is not a digit from 0 to 9 or a letter"))),
            };
        }
        if choices.is_empty() {
            Err(malformed("the text is empty".to_owned()))
        } else {
            Ok(Self::new(choices))
        }
    }
}
