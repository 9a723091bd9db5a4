use rand::{Rng, RngExt};

use crate::{Arch, Decision, SpaceError, SubSpace};

/// The sense in which two architectures are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Equivalence {
    /// Both compute the same function of the supernet's shared weights.
    ///
    /// The weights of a convolution belong to its edge, so the same convolution on another edge is a different function. Two such
    /// architectures get the same score from a supernet, so only one of them has to be evaluated.
    SharedWeights,
    /// Both are the same network if each is trained from scratch with its own weights.
    ///
    /// This also holds if only the names of nodes differ. Two such architectures have the same stand-alone accuracy, up to the seed.
    OwnWeights,
}

/// A search space: a set of architectures, their text forms, and which of them are the same.
///
/// To add a space, implement the required methods. The others follow from them. Each method that takes an architecture returns an error
/// if the architecture belongs to another space; implementations call [`SearchSpace::check`] first.
///
/// # Shapes
/// E is the number of decisions (in a cell space: of edges), O the number of operations.
///
/// ```
/// use pada_space::{Arch, Equivalence, SearchSpace, SpaceError, parse_digits};
///
/// /// Three layers that are convolutions of kernel 3 or 5.
/// struct Kernels;
///
/// impl SearchSpace for Kernels {
///     fn name(&self) -> &'static str {
///         "kernels"
///     }
///     fn n_ops(&self) -> &[usize] {
///         &[2, 2, 2]
///     }
///     fn op_names(&self) -> &[&'static str] {
///         &["conv_3x3", "conv_5x5"]
///     }
///     fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
///         parse_digits(self, text)
///     }
///     fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
///         self.check(arch)?;
///         Ok(arch.to_string())
///     }
///     fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
///         self.check(arch)?;
///         Ok(vec![true; 3])
///     }
///     fn canonical(&self, arch: &Arch, _: Equivalence) -> Result<Arch, SpaceError> {
///         self.check(arch)?;
///         Ok(arch.clone())
///     }
/// }
///
/// assert_eq!(Kernels.len(), 8);
/// assert_eq!(Kernels.neighbours(&Kernels.parse("010")?)?.len(), 3);
/// assert!(Kernels.format(&Arch::new([0, 1, 2])).is_err());
/// # Ok::<_, SpaceError>(())
/// ```
pub trait SearchSpace: Send + Sync {
    /// Returns the name that configs, files and the command line use.
    fn name(&self) -> &'static str;

    /// Returns the number of choices of each decision, `[E]`, each from 1 to 256.
    fn n_ops(&self) -> &[usize];

    /// Describes each decision, `[E]`.
    ///
    /// By default, all decisions choose operations of one kind and are always active.
    fn decisions(&self) -> Vec<Decision> {
        vec![Decision::default(); self.n_ops().len()]
    }

    /// Returns the names of the operations, `[O]`, in digit order.
    fn op_names(&self) -> &[&'static str];

    /// Parses an architecture from any of the text forms of the space.
    ///
    /// # Errors
    /// Returns a [`SpaceError`] that names the decision and the valid operations.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError>;

    /// Writes the long text form, as benchmarks of the space write it.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    fn format(&self, arch: &Arch) -> Result<String, SpaceError>;

    /// Computes which decisions influence the output of the network, `[E]`.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError>;

    /// Computes the canonical form: the smallest architecture that is the same as `arch`.
    ///
    /// Two architectures are the same if and only if their canonical forms are equal.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Result<Arch, SpaceError>;

    /// Replaces the choice of every inactive decision by 0.
    ///
    /// A decision is inactive here if its [`condition`](Decision::condition) does not hold, for example an edge of a DARTS cell that its
    /// node does not choose.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    fn without_dead_edges(&self, arch: &Arch) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        let clear =
            |(decision, &choice): (Decision, &u8)| Ok(if decision.is_active(arch)? { choice } else { 0 });
        let choices = self.decisions().into_iter().zip(arch.choices()).map(clear);
        Ok(Arch::new(choices.collect::<Result<Vec<_>, _>>()?))
    }

    /// Returns the number of architectures, or `u128::MAX` if there are more.
    fn len(&self) -> u128 {
        self.n_ops().iter().fold(1, |len: u128, &n| len.saturating_mul(n as u128))
    }

    /// Returns whether the space has no architecture. No space is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Iterates over all architectures in digit order, so that the last decision changes fastest.
    fn archs(&self) -> Box<dyn Iterator<Item = Arch> + '_> {
        Box::new((0..self.len()).map_while(|index| self.nth(index)))
    }

    /// Returns the architecture at an index of [`SearchSpace::archs`], or `None` from [`SearchSpace::len`] on.
    fn nth(&self, mut index: u128) -> Option<Arch> {
        let mut choices = vec![0; self.n_ops().len()];
        for (choice, &n) in choices.iter_mut().zip(self.n_ops()).rev() {
            *choice = u8::try_from(index % n as u128).ok()?;
            index /= n as u128;
        }
        (index == 0).then(|| Arch::new(choices))
    }

    /// Checks that an architecture belongs to this space.
    ///
    /// # Errors
    /// Returns [`SpaceError::WrongLength`] or [`SpaceError::UnknownOp`].
    fn check(&self, arch: &Arch) -> Result<(), SpaceError> {
        let (choices, n_ops) = (arch.choices(), self.n_ops());
        if choices.len() != n_ops.len() {
            let (text, found, expected) = (arch.to_string(), choices.len(), n_ops.len());
            return Err(SpaceError::WrongLength { text, found, space: self.name(), expected, padded: None });
        }
        match choices.iter().zip(n_ops).position(|(&c, &n)| usize::from(c) >= n) {
            None => Ok(()),
            Some(decision) => Err(SpaceError::UnknownOp {
                text: arch.to_string(),
                op: choices[decision].to_string(),
                decision,
                space: self.name(),
                valid: valid_ops(first_ops(self.op_names(), n_ops[decision])),
            }),
        }
    }

    /// Returns the architecture with the strongest choice of every decision, with which a differentiable search ends. The first of several
    /// equally strong choices wins.
    ///
    /// A space in which nodes choose their inputs decides by the strength of the operations on the edges.
    ///
    /// # Shapes
    /// `strengths`: `[E]`, for each decision a list with one number per choice. A decision with an empty list gets the choice 0.
    ///
    /// # Panics
    /// Panics if there is not one list for every decision.
    fn strongest(&self, strengths: &[Vec<f64>]) -> Arch {
        assert_eq!(strengths.len(), self.n_ops().len(), "one list for every decision");
        Arch::new(strengths.iter().map(|list| first_largest(list) as u8).collect::<Vec<_>>())
    }

    /// Draws an architecture. The choice of every decision is uniform.
    fn sample(&self, rng: &mut dyn Rng) -> Arch {
        let draw = |&n: &usize| rng.random_range(0..n.clamp(1, 256)) as u8;
        Arch::new(self.n_ops().iter().map(draw).collect::<Vec<_>>())
    }

    /// Returns all architectures that differ from this one in exactly one decision.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    fn neighbours(&self, arch: &Arch) -> Result<Vec<Arch>, SpaceError> {
        self.check(arch)?;
        let others = |(e, &n): (usize, &usize)| {
            let here = arch.choices()[e];
            (0..=u8::MAX).take(n).filter(move |&c| c != here).map(move |c| arch.with(e, c))
        };
        self.n_ops().iter().enumerate().flat_map(others).collect()
    }

    /// Redraws the choice of each decision uniformly with probability `rate`. The new choice may equal the old one.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`], or [`SpaceError::BadRate`] unless `rate` is from 0 to 1.
    fn mutate(&self, arch: &Arch, rate: f64, rng: &mut dyn Rng) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        SubSpace::from_op_counts(self.n_ops())?.mutate(arch, rate, rng)
    }

    /// Returns a child that has the choice of each decision from one of two parents, with equal probability.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`] for either parent.
    fn crossover(&self, a: &Arch, b: &Arch, rng: &mut dyn Rng) -> Result<Arch, SpaceError> {
        self.check(a)?;
        self.check(b)?;
        let pick = |(&x, &y): (&u8, &u8)| if rng.random_bool(0.5) { x } else { y };
        Ok(Arch::new(a.choices().iter().zip(b.choices()).map(pick).collect::<Vec<_>>()))
    }
}

/// Returns the start of a long text, for an error message.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 64;
    let start: String = text.chars().take(MOST).collect();
    if start.len() < text.len() { start + "…" } else { start }
}

/// Parses the short form of a space: one digit (`0`–`9`, then `a`–`z`) per decision. Digits with `.0` behind them, as pandas writes a column
/// of integers that has an empty cell, are read too.
///
/// # Errors
/// Returns [`SpaceError::WrongLength`] or [`SpaceError::UnknownOp`].
pub fn parse_digits(space: &dyn SearchSpace, text: &str) -> Result<Arch, SpaceError> {
    let expected = space.n_ops().len();
    let list;
    let text = match digits_of_list(text) {
        Some(digits) if text.chars().count() != expected => {
            list = digits;
            &list
        }
        _ => text,
    };
    let text = without_decimals(text);
    let found = text.chars().count();
    if found != expected {
        let padded = with_leading_zeros(space, text);
        return Err(SpaceError::WrongLength {
            text: text.to_owned(),
            found,
            space: space.name(),
            expected,
            padded,
        });
    }
    let digit = |(decision, (c, &n)): (usize, (char, &usize))| match c.to_digit(36) {
        Some(digit) if (digit as usize) < n => Ok(digit as u8),
        _ => Err(SpaceError::UnknownOp {
            text: text.to_owned(),
            op: c.to_string(),
            decision,
            space: space.name(),
            valid: valid_ops(first_ops(space.op_names(), n)),
        }),
    };
    Ok(Arch::new(text.chars().zip(space.n_ops()).enumerate().map(digit).collect::<Result<Vec<_>, _>>()?))
}

/// Removes `.0` behind decimal digits.
fn without_decimals(text: &str) -> &str {
    let is_number = |digits: &&str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_suffix(".0").filter(is_number).unwrap_or(text)
}

/// Returns an architecture with the zeros that a spreadsheet program removes from numbers, if the text can be such a number, as `1234`.
fn with_leading_zeros(space: &dyn SearchSpace, digits: &str) -> Option<String> {
    let is_number =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    let expected = space.n_ops().len();
    if digits.is_empty() || !is_number || digits.len() >= expected {
        return None;
    }
    let padded = format!("{digits:0>expected$}");
    parse_digits(space, &padded).is_ok().then_some(padded)
}

/// Reads a list of one-digit numbers, `[1, 4, 1, 0, 0, 1]`, with any brackets and quotes, separated by commas or blanks.
fn digits_of_list(text: &str) -> Option<String> {
    let inner = text.trim_matches(|c: char| c.is_whitespace() || "[](){}'\",;".contains(c));
    let words: Vec<&str> =
        inner.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    match words[..] {
        [] => None,
        [word] => Some(word.to_owned()),
        _ => words.iter().all(|word| word.len() == 1).then(|| words.concat()),
    }
}

/// The names of the first `n` operations, or of all if there are fewer.
fn first_ops<'a>(names: &'a [&'static str], n: usize) -> &'a [&'static str] {
    &names[..n.min(names.len())]
}

/// Lists the operations of a space for an error message: `0 none, 1 skip_connect`.
pub(crate) fn valid_ops(names: &[&str]) -> String {
    names.iter().enumerate().map(|(i, name)| format!("{i} {name}")).collect::<Vec<_>>().join(", ")
}

/// Returns the index of the first of the largest numbers, and 0 for an empty list.
pub(crate) fn first_largest(numbers: &[f64]) -> usize {
    (1..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}
