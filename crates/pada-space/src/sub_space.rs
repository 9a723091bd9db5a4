use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::space::valid_ops;
use crate::{Arch, Decision, DecisionKind, SearchSpace, SpaceError};

/// A part of a space: at each position some of its operations, chosen freely.
///
/// What a sub-supernet holds after a split, and what a study of fewer operations trains.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubSpace {
    /// `[E]`, each sorted and not empty.
    allowed: Vec<Vec<u8>>,
    /// `[E]`; empty where every position is as [`Decision::default`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    positions: Vec<Decision>,
}

impl SubSpace {
    /// All of a space with `n_ops[e]` operations at position e, each of them read in every architecture.
    pub fn full(n_ops: &[usize]) -> Self {
        Self { allowed: n_ops.iter().map(|&n| (0..n as u8).collect()).collect(), positions: vec![] }
    }

    /// All of a space.
    pub fn of(space: &dyn SearchSpace) -> Self {
        let mut positions = space.positions();
        if positions.iter().all(|position| *position == Decision::default()) {
            positions.clear();
        }
        Self { positions, ..Self::full(space.n_ops()) }
    }

    /// The architectures of a space that use only operations with these names; inputs are chosen freely.
    ///
    /// # Errors
    /// [`SpaceError::NoSuchOp`] for a name that the space does not have, [`SpaceError::Empty`] for none,
    /// [`SpaceError::NoOpLeft`] where a position has none of them.
    pub fn with_ops(space: &dyn SearchSpace, names: &[String]) -> Result<Self, SpaceError> {
        let digit = |name: &String| match space.op_names().iter().position(|op| op == name) {
            Some(digit) => Ok(digit as u8),
            None => Err(SpaceError::NoSuchOp {
                op: name.clone(),
                space: space.name(),
                valid: valid_ops(space.op_names()),
            }),
        };
        let mut ops = names.iter().map(digit).collect::<Result<Vec<u8>, _>>()?;
        ops.sort_unstable();
        ops.dedup();
        if ops.is_empty() {
            return Err(SpaceError::Empty { space: space.name() });
        }
        let mut part = Self::of(space);
        for position in 0..part.allowed.len() {
            if part.kind(position).is_none() {
                continue;
            }
            let here = &mut part.allowed[position];
            let all = here.len();
            here.retain(|op| ops.contains(op));
            if here.is_empty() {
                let valid = valid_ops(&space.op_names()[..all]);
                return Err(SpaceError::NoOpLeft { position, space: space.name(), valid });
            }
        }
        Ok(part)
    }

    /// Of which kind the operations at a position are; none where it chooses inputs.
    pub fn kind(&self, position: usize) -> Option<u8> {
        match self.positions.get(position).map_or_else(DecisionKind::default, |position| position.chooses) {
            DecisionKind::Operation { kind } => Some(kind),
            DecisionKind::Inputs => None,
        }
    }

    /// Whether a position is read in an architecture.
    pub fn is_active(&self, position: usize, arch: &Arch) -> bool {
        self.positions.get(position).is_none_or(|position| position.is_active(arch))
    }

    /// The operations of each position, `[E]`, each list sorted.
    pub fn allowed(&self) -> &[Vec<u8>] {
        &self.allowed
    }

    /// The same part with fewer operations at one position.
    ///
    /// # Panics
    /// If `ops` is empty or holds an operation that is not in this part.
    pub fn restrict(&self, position: usize, ops: &[u8]) -> Self {
        assert!(!ops.is_empty(), "a position needs an operation");
        assert!(ops.iter().all(|op| self.allowed[position].contains(op)), "a part does not grow");
        let mut allowed = self.allowed.clone();
        allowed[position] = ops.to_vec();
        allowed[position].sort_unstable();
        Self { allowed, positions: self.positions.clone() }
    }

    /// Whether an architecture belongs to it; what stands at positions that are not read does not matter.
    pub fn contains(&self, arch: &Arch) -> bool {
        let choices = arch.choices();
        let inside = |e: usize| self.allowed[e].contains(&choices[e]) || !self.is_active(e, arch);
        choices.len() == self.allowed.len() && (0..choices.len()).all(inside)
    }

    /// How many architectures it has.
    pub fn len(&self) -> u128 {
        self.allowed.iter().map(|ops| ops.len() as u128).product()
    }

    /// Whether it has no architecture; no part is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One architecture, each position uniform over its operations.
    pub fn sample(&self, rng: &mut dyn Rng) -> Arch {
        let draw = |ops: &Vec<u8>| ops[rng.random_range(0..ops.len())];
        Arch::new(self.allowed.iter().map(draw).collect::<Vec<_>>())
    }

    /// Each position is redrawn uniformly with probability `rate`; it may be drawn as it was.
    pub fn mutate(&self, arch: &Arch, rate: f64, rng: &mut dyn Rng) -> Arch {
        let pick = |(&c, ops): (&u8, &Vec<u8>)| {
            if rng.random_bool(rate) { ops[rng.random_range(0..ops.len())] } else { c }
        };
        Arch::new(arch.choices().iter().zip(&self.allowed).map(pick).collect::<Vec<_>>())
    }

    /// The operations that all positions have which choose one; none where they differ.
    pub fn common(&self) -> Option<&[u8]> {
        let mut ops = (0..self.allowed.len()).filter(|&e| self.kind(e).is_some()).map(|e| &self.allowed[e]);
        let first = ops.next()?;
        ops.all(|other| other == first).then_some(first.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::Nb201;

    #[test]
    fn a_part_holds_what_its_positions_allow() {
        let whole = SubSpace::full(&[5; 6]);
        assert_eq!(whole.len(), 15_625);
        let part = whole.restrict(1, &[3, 0]);
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
        let names = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let two = SubSpace::with_ops(&space, &names(&["nor_conv_3x3", "skip_connect"])).unwrap();
        assert_eq!(two.common(), Some(&[1_u8, 3][..]));
        let error = SubSpace::with_ops(&space, &names(&["conv"])).unwrap_err();
        assert!(matches!(error, SpaceError::NoSuchOp { ref op, .. } if op == "conv"), "{error}");
        assert_eq!(SubSpace::with_ops(&space, &[]).unwrap_err(), SpaceError::Empty { space: "nb201" });
    }
}
