use rand::{Rng, RngExt};

use crate::space::valid_ops;
use crate::{Arch, Decision, DecisionKind, SearchSpace, SpaceError};

/// The name of a sub-space in error messages.
const NAME: &str = "the sub-space";

/// A part of a search space: some of the choices of each decision, which are combined freely.
///
/// A sub-supernet covers a sub-space after the supernet was split, and a study of fewer operations trains one.
///
/// ```
/// use pada_space::{Nb201, SearchSpace, SubSpace};
///
/// let space = Nb201::new();
/// let full = SubSpace::full(&space);
/// let part = full.restrict(1, &[0, 3])?; // edge 1: none or nor_conv_3x3
/// assert_eq!(part.len(), 2 * 3_125);
/// assert!(part.contains(&space.parse("333333")?));
/// assert!(!part.contains(&space.parse("313333")?));
/// # Ok::<_, pada_space::SpaceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "Fields"))]
pub struct SubSpace {
    /// `[E]`. Each list is sorted and not empty.
    allowed: Vec<Vec<u8>>,
    /// `[E]`, or empty if every decision equals [`Decision::default`].
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Vec::is_empty"))]
    decisions: Vec<Decision>,
}

impl SubSpace {
    /// Creates the sub-space that contains the whole space.
    ///
    /// # Panics
    /// Panics if the space breaks the contract of [`SearchSpace::n_ops`] or [`SearchSpace::decisions`]. The spaces of this crate do not.
    pub fn full(space: &dyn SearchSpace) -> Self {
        let full = Self::from_op_counts(space.n_ops());
        let mut full = full.expect("a space has 1 to 256 choices for each decision");
        let decisions = space.decisions();
        assert_eq!(decisions.len(), full.allowed.len(), "a space describes each of its decisions");
        if decisions.iter().any(|decision| *decision != Decision::default()) {
            full.decisions = decisions;
        }
        full
    }

    /// Creates the sub-space of all combinations of `op_counts[e]` operations at decision e, without a [`SearchSpace`].
    ///
    /// All decisions are always active and choose operations of one kind.
    ///
    /// # Errors
    /// Returns [`SpaceError::BadOpCount`] unless every count is from 1 to 256.
    pub fn from_op_counts(op_counts: &[usize]) -> Result<Self, SpaceError> {
        let all = |(decision, &count): (usize, &usize)| match count {
            1..=256 => Ok((0..=u8::MAX).take(count).collect()),
            _ => Err(SpaceError::BadOpCount { decision, count }),
        };
        let allowed = op_counts.iter().enumerate().map(all).collect::<Result<_, _>>()?;
        Ok(Self { allowed, decisions: vec![] })
    }

    /// Creates the sub-space of the architectures that use only operations with these names. Inputs are chosen freely.
    ///
    /// # Errors
    /// - [`SpaceError::UnknownOpName`] if a name is not an operation of the space
    /// - [`SpaceError::NoOps`] if there is no name
    /// - [`SpaceError::NoOpLeft`] if a decision has none of the operations
    pub fn with_ops(space: &dyn SearchSpace, names: &[impl AsRef<str>]) -> Result<Self, SpaceError> {
        let digit = |name: &str| match space.op_names().iter().position(|op| *op == name) {
            Some(digit) => Ok(digit as u8),
            None => Err(SpaceError::UnknownOpName {
                op: name.to_owned(),
                space: space.name(),
                valid: valid_ops(space.op_names()),
            }),
        };
        let ops = names.iter().map(|name| digit(name.as_ref())).collect::<Result<Vec<u8>, _>>()?;
        if ops.is_empty() {
            return Err(SpaceError::NoOps { space: space.name() });
        }
        let mut part = Self::full(space);
        for decision in 0..part.allowed.len() {
            if part.kind(decision).is_none() {
                continue;
            }
            let here = &mut part.allowed[decision];
            let all = here.len();
            here.retain(|op| ops.contains(op));
            if here.is_empty() {
                let valid = valid_ops(&space.op_names()[..all]);
                return Err(SpaceError::NoOpLeft { decision, space: space.name(), valid });
            }
        }
        Ok(part)
    }

    /// Returns the kind of the operations at a decision, or `None` if the decision chooses inputs or does not exist.
    ///
    /// See [`DecisionKind::Operation`].
    pub fn kind(&self, decision: usize) -> Option<u8> {
        self.allowed.get(decision)?;
        match self.decisions.get(decision).map_or_else(DecisionKind::default, |decision| decision.kind) {
            DecisionKind::Operation { kind } => Some(kind),
            DecisionKind::Inputs => None,
        }
    }

    /// Returns whether a decision is active in an architecture, see [`Decision::is_active`].
    ///
    /// # Errors
    /// Returns [`SpaceError::WrongLength`] if the architecture has another number of decisions, or [`SpaceError::NoSuchDecision`] if
    /// there is no decision of this index.
    pub fn is_active(&self, decision: usize, arch: &Arch) -> Result<bool, SpaceError> {
        self.check_length(arch)?;
        self.check_decision(decision)?;
        self.decisions.get(decision).map_or(Ok(true), |decision| decision.is_active(arch))
    }

    /// Returns the choices of each decision, `[E]`. Each list is sorted and not empty.
    pub fn allowed(&self) -> &[Vec<u8>] {
        &self.allowed
    }

    /// Restricts one decision to fewer choices.
    ///
    /// # Errors
    /// - [`SpaceError::NoSuchDecision`] if there is no decision of this index
    /// - [`SpaceError::NoOps`] if `choices` is empty
    /// - [`SpaceError::OutsideSubSpace`] if a choice is not in this sub-space
    pub fn restrict(&self, decision: usize, choices: &[u8]) -> Result<Self, SpaceError> {
        self.check_decision(decision)?;
        if choices.is_empty() {
            return Err(SpaceError::NoOps { space: NAME });
        }
        choices.iter().try_for_each(|&choice| self.check_choice(decision, choice))?;
        let mut restricted = self.clone();
        restricted.allowed[decision].retain(|choice| choices.contains(choice));
        Ok(restricted)
    }

    /// Returns whether an architecture belongs to the sub-space. The choices of inactive decisions do not matter.
    pub fn contains(&self, arch: &Arch) -> bool {
        self.check(arch).is_ok()
    }

    /// Checks that an architecture belongs to the sub-space. The choices of inactive decisions do not matter.
    ///
    /// # Errors
    /// Returns [`SpaceError::WrongLength`] or [`SpaceError::OutsideSubSpace`].
    pub fn check(&self, arch: &Arch) -> Result<(), SpaceError> {
        self.check_length(arch)?;
        for (decision, &choice) in arch.choices().iter().enumerate() {
            if let Err(error) = self.check_choice(decision, choice)
                && self.is_active(decision, arch)?
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Returns the number of architectures, or `u128::MAX` if there are more.
    pub fn len(&self) -> u128 {
        self.allowed.iter().fold(1, |len: u128, ops| len.saturating_mul(ops.len() as u128))
    }

    /// Returns whether the sub-space has no architecture. No sub-space is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Draws an architecture. The choice of every decision is uniform.
    pub fn sample(&self, rng: &mut dyn Rng) -> Arch {
        let draw = |ops: &Vec<u8>| ops[rng.random_range(0..ops.len())];
        Arch::new(self.allowed.iter().map(draw).collect::<Vec<_>>())
    }

    /// Redraws the choice of each decision uniformly with probability `rate`. The new choice may equal the old one.
    ///
    /// The result is in the sub-space. If a decision becomes active whose choice is not in the sub-space, that choice is redrawn as well.
    ///
    /// # Errors
    /// Returns the error of [`SubSpace::check`], or [`SpaceError::BadRate`] unless `rate` is from 0 to 1.
    pub fn mutate(&self, arch: &Arch, rate: f64, rng: &mut dyn Rng) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        if !(0.0..=1.0).contains(&rate) {
            return Err(SpaceError::BadRate { rate: rate.to_string() });
        }
        let pick = |(&c, ops): (&u8, &Vec<u8>)| {
            if rng.random_bool(rate) { ops[rng.random_range(0..ops.len())] } else { c }
        };
        let child = Arch::new(arch.choices().iter().zip(&self.allowed).map(pick).collect::<Vec<_>>());
        // New inputs of a node can activate an edge whose operation did not matter before and is not in the sub-space.
        let mut choices = child.choices().to_vec();
        for (decision, choice) in choices.iter_mut().enumerate() {
            let allowed = &self.allowed[decision];
            if !allowed.contains(choice) && self.is_active(decision, &child)? {
                *choice = allowed[rng.random_range(0..allowed.len())];
            }
        }
        Ok(Arch::new(choices))
    }

    /// Returns the operations of the decisions that choose one, if all of them have the same operations.
    pub fn common(&self) -> Option<&[u8]> {
        let mut ops = (0..self.allowed.len()).filter(|&e| self.kind(e).is_some()).map(|e| &self.allowed[e]);
        let first = ops.next()?;
        ops.all(|other| other == first).then_some(first.as_slice())
    }

    fn check_length(&self, arch: &Arch) -> Result<(), SpaceError> {
        let (found, expected) = (arch.choices().len(), self.allowed.len());
        if found == expected {
            return Ok(());
        }
        Err(SpaceError::WrongLength { text: arch.to_string(), found, space: NAME, expected, padded: None })
    }

    fn check_decision(&self, decision: usize) -> Result<(), SpaceError> {
        let decisions = self.allowed.len();
        if decision < decisions { Ok(()) } else { Err(SpaceError::NoSuchDecision { decision, decisions }) }
    }

    fn check_choice(&self, decision: usize, choice: u8) -> Result<(), SpaceError> {
        let allowed = &self.allowed[decision];
        if allowed.contains(&choice) {
            return Ok(());
        }
        Err(SpaceError::OutsideSubSpace { decision, choice, allowed: allowed.clone() })
    }
}

/// The fields of a serialised sub-space, before they are checked.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Fields {
    allowed: Vec<Vec<u8>>,
    #[serde(default, alias = "positions")]
    decisions: Vec<Decision>,
}

#[cfg(feature = "serde")]
impl TryFrom<Fields> for SubSpace {
    type Error = String;

    fn try_from(Fields { allowed, decisions }: Fields) -> Result<Self, String> {
        let count = allowed.len();
        if let Some(decision) =
            allowed.iter().position(|ops| ops.is_empty() || !ops.is_sorted_by(|a, b| a < b))
        {
            return Err(format!("the choices of decision {decision} are empty or not sorted"));
        }
        if !decisions.is_empty() && decisions.len() != count {
            return Err(format!("{} decisions are described, but there are {count}", decisions.len()));
        }
        let mut conditions = decisions.iter().filter_map(|decision| decision.condition.as_ref());
        match conditions.find(|condition| condition.decision >= count) {
            Some(condition) => {
                Err(format!("a condition names decision {}, but there are {count}", condition.decision))
            }
            None => Ok(Self { allowed, decisions }),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::Nb201;

    #[test]
    fn a_sub_space_contains_what_its_decisions_allow() {
        let whole = SubSpace::from_op_counts(&[5; 6]).unwrap();
        assert_eq!(whole.len(), 15_625);
        let part = whole.restrict(1, &[3, 0]).unwrap();
        assert_eq!((part.len(), part.allowed()[1].as_slice()), (2 * 3_125, &[0_u8, 3][..]));
        let all = Nb201::new();
        assert_eq!(all.archs().filter(|arch| part.contains(arch)).count() as u128, part.len());
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
        assert!((0..200).all(|_| part.contains(&part.sample(&mut rng))));
        assert_eq!((part.common(), whole.common()), (None, Some(&[0_u8, 1, 2, 3, 4][..])));
    }

    #[test]
    fn names_of_operations_are_checked() {
        let space = Nb201::new();
        let two = SubSpace::with_ops(&space, &["nor_conv_3x3", "skip_connect"]).unwrap();
        assert_eq!(two.common(), Some(&[1_u8, 3][..]));
        let error = SubSpace::with_ops(&space, &["conv"]).unwrap_err();
        assert!(matches!(error, SpaceError::UnknownOpName { ref op, .. } if op == "conv"), "{error}");
        let none: [&str; 0] = [];
        assert_eq!(SubSpace::with_ops(&space, &none).unwrap_err(), SpaceError::NoOps { space: "nb201" });
    }
}
