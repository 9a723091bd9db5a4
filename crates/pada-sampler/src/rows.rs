use std::borrow::Cow;

use pada_space::{Arch, SubSpace};
use rand::{Rng, RngExt};

use crate::DistributionScope;
use crate::uniform_paths::uniform_row;

/// Which distribution over operations each position of a space draws from.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// O, the length of a row.
    pub(crate) ops: usize,
    /// `[E]`: the row of each position; none where it chooses inputs and no row is its own.
    of: Vec<Option<usize>>,
    /// The operations of each row: those that any of its positions has.
    union: Vec<Vec<u8>>,
}

impl Rows {
    pub(crate) fn new(space: &SubSpace, share: DistributionScope) -> Self {
        let mut kinds = Vec::new();
        let mut row_of = |e: usize| match share {
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

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.union.len()
    }

    /// The row of a position.
    pub(crate) fn of(&self, position: usize) -> Option<usize> {
        self.of[position]
    }

    /// `[O]`: equal chances for the operations of a row.
    pub(crate) fn uniform(&self, row: usize) -> Vec<f64> {
        uniform_row(&self.union[row], self.ops)
    }

    /// `[O]`, what a position draws from, of `p`, `[rows, O]`: its row, restricted to the operations it has and scaled to sum to 1;
    /// none where it draws inputs, which are uniform.
    pub(crate) fn at<'p>(&self, space: &SubSpace, position: usize, p: &'p [f64]) -> Option<Cow<'p, [f64]>> {
        let row = self.of[position]?;
        let (whole, allowed) = (&p[row * self.ops..][..self.ops], &space.allowed()[position]);
        if *allowed == self.union[row] {
            return Some(Cow::Borrowed(whole));
        }
        let mut part = uniform_row(allowed, self.ops);
        let sum: f64 = allowed.iter().map(|&op| whole[usize::from(op)]).sum();
        if sum > 0.0 {
            for (part, p) in part.iter_mut().zip(whole).filter(|(part, _)| **part > 0.0) {
                *part = p / sum;
            }
        }
        Some(Cow::Owned(part))
    }

    /// A path, each position drawn by itself.
    pub(crate) fn draw(&self, space: &SubSpace, p: &[f64], rng: &mut dyn Rng) -> Arch {
        let choice = |e: usize| match self.at(space, e, p) {
            Some(p) => draw_op(&p, rng),
            None => space.allowed()[e][rng.random_range(0..space.allowed()[e].len())],
        };
        Arch::new((0..self.of.len()).map(choice).collect::<Vec<_>>())
    }
}

/// Draws an operation from a distribution. For a handful of operations walking the cumulative sum is as fast as a table.
fn draw_op(p: &[f64], rng: &mut dyn Rng) -> u8 {
    let mut left = rng.random::<f64>();
    let op = p.iter().position(|p| {
        left -= p;
        left < 0.0
    });
    // Rounding can leave a crumb behind the last operation.
    op.unwrap_or_else(|| p.iter().rposition(|p| *p > 0.0).expect("a distribution")) as u8
}
