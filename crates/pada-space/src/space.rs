use rand::{Rng, RngExt};

use crate::{Arch, Decision, SpaceError, SubSpace};

/// Which architectures count as the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Equivalence {
    /// The same function of the supernet's shared weights: a convolution on another edge has other weights and differs.
    /// Two such architectures get the same score, so one of them need not be evaluated.
    SharedWeights,
    /// The same family of functions when each is trained from scratch with weights of its own: also equal under a
    /// renaming of nodes. Two such architectures have the same accuracy, up to the seed.
    OwnWeights,
}

/// A set of architectures: positions, the choices at each, text forms, and which of them are the same.
///
/// E is the number of positions, O the number of operations at one position.
pub trait SearchSpace: Send + Sync {
    /// The name used in configs, files and on the command line.
    fn name(&self) -> &'static str;

    /// How many choices each position has, `[E]`.
    fn n_ops(&self) -> &[usize];

    /// What each position chooses, `[E]`: an operation, all of one kind and always read, unless a space says otherwise.
    fn positions(&self) -> Vec<Decision> {
        vec![Decision::default(); self.n_ops().len()]
    }

    /// The names of the operations, `[O]`, in digit order.
    fn op_names(&self) -> &[&'static str];

    /// Reads an architecture from any of the space's text forms.
    ///
    /// # Errors
    /// [`SpaceError`], with the position and the valid operations.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError>;

    /// The long text form, as benchmarks of the space write it.
    fn format(&self, arch: &Arch) -> String;

    /// Which positions influence the output, `[E]`.
    fn active(&self, arch: &Arch) -> Vec<bool>;

    /// The smallest architecture that is the same as `arch`. Two architectures are the same exactly if their canonical
    /// forms are equal.
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Arch;

    /// The same architecture with choice 0 at every position that is not read.
    fn without_dead_edges(&self, arch: &Arch) -> Arch {
        let clear = |(position, &choice): (Decision, &u8)| if position.is_active(arch) { choice } else { 0 };
        Arch::new(self.positions().into_iter().zip(arch.choices()).map(clear).collect::<Vec<_>>())
    }

    /// How many architectures the space has.
    fn len(&self) -> u128 {
        self.n_ops().iter().map(|&n| n as u128).product()
    }

    /// Whether the space has no architecture; no space is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All architectures in digit order: the last position changes fastest.
    fn archs(&self) -> Box<dyn Iterator<Item = Arch> + '_> {
        Box::new((0..self.len()).map(|index| self.nth(index)))
    }

    /// The architecture at a place of [`SearchSpace::archs`].
    fn nth(&self, mut index: u128) -> Arch {
        let mut choices = vec![0; self.n_ops().len()];
        for (choice, &n) in choices.iter_mut().zip(self.n_ops()).rev() {
            *choice = u8::try_from(index % n as u128).expect("a position has at most 256 choices");
            index /= n as u128;
        }
        Arch::new(choices)
    }

    /// Checks that a list of choices belongs to this space.
    ///
    /// # Errors
    /// [`SpaceError::WrongLength`] or [`SpaceError::UnknownOp`].
    fn check(&self, arch: &Arch) -> Result<(), SpaceError> {
        let (text, n_ops) = (arch.to_string(), self.n_ops());
        if arch.choices().len() != n_ops.len() {
            let found = arch.choices().len();
            return Err(SpaceError::WrongLength { text, found, space: self.name(), expected: n_ops.len() });
        }
        match arch.choices().iter().zip(n_ops).position(|(&c, &n)| usize::from(c) >= n) {
            None => Ok(()),
            Some(position) => Err(SpaceError::UnknownOp {
                text,
                op: arch.choices()[position].to_string(),
                position,
                space: self.name(),
                valid: valid_ops(self.op_names()),
            }),
        }
    }

    /// One architecture, each position uniform.
    fn sample(&self, rng: &mut dyn Rng) -> Arch {
        SubSpace::full(self.n_ops()).sample(rng)
    }

    /// All architectures that differ in exactly one position.
    fn neighbours(&self, arch: &Arch) -> Vec<Arch> {
        let others = |(e, &n): (usize, &usize)| {
            let here = arch.choices()[e];
            (0..n as u8).filter(move |&c| c != here).map(move |c| arch.with(e, c))
        };
        self.n_ops().iter().enumerate().flat_map(others).collect()
    }

    /// Each position is redrawn uniformly with probability `rate`; it may be drawn as it was.
    fn mutate(&self, arch: &Arch, rate: f64, rng: &mut dyn Rng) -> Arch {
        SubSpace::full(self.n_ops()).mutate(arch, rate, rng)
    }

    /// Each position from one of the two parents, with equal chance.
    fn crossover(&self, a: &Arch, b: &Arch, rng: &mut dyn Rng) -> Arch {
        let pick = |(&x, &y): (&u8, &u8)| if rng.random_bool(0.5) { x } else { y };
        Arch::new(a.choices().iter().zip(b.choices()).map(pick).collect::<Vec<_>>())
    }
}

/// The operations of a space as an error shows them: `0 none, 1 skip_connect`.
pub(crate) fn valid_ops(names: &[&str]) -> String {
    names.iter().enumerate().map(|(i, name)| format!("{i} {name}")).collect::<Vec<_>>().join(", ")
}
