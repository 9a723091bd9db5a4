use std::borrow::Cow;

use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};

use crate::DistributionScope;
use crate::uniform_paths::uniform_row;

/// Assigns a distribution over operations to each position of a space.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// O, the length of each distribution.
    pub(crate) ops: usize,
    /// `[E]`, the index of the distribution of each position; `None` for a position that chooses inputs uniformly.
    of: Vec<Option<usize>>,
    /// The operations of each distribution: those that any of its positions has.
    union: Vec<Vec<u8>>,
}

impl Rows {
    pub(crate) fn new(space: &SubSpace, scope: DistributionScope) -> Self {
        let mut kinds = Vec::new();
        let mut row_of = |e: usize| match scope {
            DistributionScope::Position => Some(e),
            DistributionScope::All => space.kind(e).map(|_| 0),
            DistributionScope::Kind => {
                let kind = space.kind(e)?;
                Some(kinds.iter().position(|&k| k == kind).unwrap_or_else(|| {
                    kinds.push(kind);
                    kinds.len() - 1
                }))
            }
        };
        let of: Vec<Option<usize>> = (0..space.allowed().len()).map(&mut row_of).collect();
        let mut union = vec![Vec::new(); of.iter().flatten().max().map_or(0, |&row| row + 1)];
        for (row, allowed) in of.iter().zip(space.allowed()) {
            if let Some(row) = *row {
                union[row].extend(allowed);
            }
        }
        for ops in &mut union {
            ops.sort_unstable();
            ops.dedup();
        }
        let largest = union.iter().flatten().max().map_or(0, |&op| usize::from(op));
        Self { ops: largest + 1, of, union }
    }

    /// R, the number of distributions.
    pub(crate) fn len(&self) -> usize {
        self.union.len()
    }

    /// The index of the distribution of a position.
    pub(crate) fn of(&self, position: usize) -> Option<usize> {
        self.of[position]
    }

    /// `[O]`, equal probabilities for the operations of a distribution.
    pub(crate) fn uniform(&self, row: usize) -> Vec<f64> {
        uniform_row(&self.union[row], self.ops)
    }

    /// `[O]`, the distribution that a position draws from: its row of `p`, `[R, O]`, normalised over the operations of the position.
    /// `None` for a position that chooses inputs uniformly.
    pub(crate) fn at<'p>(&self, space: &SubSpace, position: usize, p: &'p [f64]) -> Option<Cow<'p, [f64]>> {
        let row = self.of[position]?;
        let (all, allowed) = (&p[row * self.ops..][..self.ops], &space.allowed()[position]);
        if *allowed == self.union[row] {
            return Some(Cow::Borrowed(all));
        }
        let mut part = uniform_row(allowed, self.ops);
        let sum: f64 = allowed.iter().map(|&op| all[usize::from(op)]).sum();
        if sum > 0.0 {
            for (part, p) in part.iter_mut().zip(all).filter(|(part, _)| **part > 0.0) {
                *part = p / sum;
            }
        }
        Some(Cow::Owned(part))
    }

    /// Draws a path, each position independently.
    pub(crate) fn draw(&self, space: &SubSpace, p: &[f64], rng: &mut dyn Rng) -> Arch {
        let choice = |e: usize| match self.at(space, e, p) {
            Some(p) => draw_op(&p, rng),
            None => space.allowed()[e][rng.random_range(0..space.allowed()[e].len())],
        };
        Arch::new((0..self.of.len()).map(choice).collect::<Vec<_>>())
    }
}

/// Draws an operation from a distribution. For a handful of operations, the cumulative sum is as fast as an alias table.
fn draw_op(p: &[f64], rng: &mut dyn Rng) -> u8 {
    let mut left = rng.random::<f64>();
    let op = p.iter().position(|p| {
        left -= p;
        left < 0.0
    });
    // Because of rounding, the cumulative sum can stay below 1.
    op.unwrap_or_else(|| p.iter().rposition(|p| *p > 0.0).expect("a distribution has a positive probability"))
        as u8
}
