use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::space::valid_ops;
use crate::{Arch, SearchSpace, SpaceError};

/// A part of a space: at each position some of its operations, chosen freely.
///
/// What a sub-supernet holds after a split, and what a study of fewer operations trains.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SubSpace {
    /// `[E]`, each sorted and not empty.
    allowed: Vec<Vec<u8>>,
}

impl SubSpace {
    /// All of a space with `n_ops[e]` operations at position e.
    pub fn whole(n_ops: &[usize]) -> Self {
        Self { allowed: n_ops.iter().map(|&n| (0..n as u8).collect()).collect() }
    }

    /// The architectures of a space that use only operations with these names.
    ///
    /// # Errors
    /// [`SpaceError::NoSuchOp`] for a name that the space does not have, [`SpaceError::Empty`] for none.
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
        Ok(Self { allowed: vec![ops; space.n_ops().len()] })
    }

    /// The operations of each position, `[E]`, each list sorted.
    pub fn allowed(&self) -> &[Vec<u8>] {
        &self.allowed
    }

    /// The same part with fewer operations at one position.
    ///
    /// # Panics
    /// If `ops` is empty or holds an operation that is not in this part.
    pub fn only(&self, position: usize, ops: &[u8]) -> Self {
        assert!(!ops.is_empty(), "a position needs an operation");
        assert!(ops.iter().all(|op| self.allowed[position].contains(op)), "a part does not grow");
        let mut allowed = self.allowed.clone();
        allowed[position] = ops.to_vec();
        allowed[position].sort_unstable();
        Self { allowed }
    }

    /// Whether an architecture belongs to it.
    pub fn contains(&self, arch: &Arch) -> bool {
        let inside = |(c, allowed): (&u8, &Vec<u8>)| allowed.contains(c);
        arch.choices().len() == self.allowed.len() && arch.choices().iter().zip(&self.allowed).all(inside)
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

    /// The operations that every position shares; none where positions differ.
    pub fn common(&self) -> Option<&[u8]> {
        let first = self.allowed.first()?;
        self.allowed.iter().all(|ops| ops == first).then_some(first.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::Nb201;

    #[test]
    fn a_part_holds_what_its_positions_allow() {
        let whole = SubSpace::whole(&[5; 6]);
        assert_eq!(whole.len(), 15_625);
        let part = whole.only(1, &[3, 0]);
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
