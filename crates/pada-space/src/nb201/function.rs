//! The function that a NAS-Bench-201 cell computes, in a form in which equal functions are equal values.

use std::collections::BTreeSet;

use super::{EDGES, NODES, Nb201Op, ops};
use crate::{Arch, Equivalence};

/// The value of a node: a sum of terms, sorted, with repetitions.
///
/// `none` adds nothing, a skip adds the terms of its source, and average pooling, being linear, is applied to each term
/// of its source. Only a convolution is applied to the sum as a whole, because it starts with a ReLU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Function(Vec<Term>);

/// `pools` average poolings after `of`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Term {
    of: Source,
    pools: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Source {
    Input,
    /// A convolution with the weights called `weights`: two terms of one name share them.
    Conv {
        op: Nb201Op,
        weights: usize,
        of: Function,
    },
}

/// The function of the output node of a cell. The architecture must belong to the space.
pub(super) fn output(arch: &Arch, equivalence: Equivalence) -> Function {
    let mut nodes = vec![Function(vec![Term { of: Source::Input, pools: 0 }])];
    for node in 1..NODES {
        let mut sum = Vec::new();
        for (edge, (&(from, to), op)) in EDGES.iter().zip(ops(arch)).enumerate() {
            // A convolution of zero is its bias, and the batch norm after it subtracts that, so the result is zero again.
            if to != node || nodes[from].0.is_empty() {
                continue;
            }
            let of = nodes[from].clone();
            match op {
                Nb201Op::None => {}
                Nb201Op::Skip => sum.extend(of.0),
                Nb201Op::AvgPool3x3 => {
                    sum.extend(of.0.into_iter().map(|t| Term { pools: t.pools + 1, ..t }));
                }
                Nb201Op::Conv1x1 | Nb201Op::Conv3x3 => {
                    sum.push(Term { of: Source::Conv { op, weights: edge, of }, pools: 0 });
                }
            }
        }
        sum.sort();
        nodes.push(Function(sum));
    }
    let output = nodes.pop().expect("a cell has nodes");
    match equivalence {
        Equivalence::SharedWeights => output,
        Equivalence::OwnWeights => smallest_naming(&output),
    }
}

/// The smallest function that differs only in what its weights are called: at most 6! namings.
fn smallest_naming(function: &Function) -> Function {
    let mut used = BTreeSet::new();
    function.collect_weights(&mut used);
    let mut names = (0..used.len()).collect::<Vec<_>>();
    let mut smallest: Option<Function> = None;
    for_each_permutation(&mut names, 0, &mut |names| {
        let mut map = [0; EDGES.len()];
        for (&weights, &name) in used.iter().zip(names) {
            map[weights] = name;
        }
        let renamed = function.renamed(&map);
        if smallest.as_ref().is_none_or(|s| renamed < *s) {
            smallest = Some(renamed);
        }
    });
    smallest.expect("there is at least one naming")
}

fn for_each_permutation(items: &mut Vec<usize>, fixed: usize, visit: &mut impl FnMut(&[usize])) {
    if fixed == items.len() {
        return visit(items);
    }
    for i in fixed..items.len() {
        items.swap(fixed, i);
        for_each_permutation(items, fixed + 1, visit);
        items.swap(fixed, i);
    }
}

impl Function {
    fn collect_weights(&self, used: &mut BTreeSet<usize>) {
        for term in &self.0 {
            if let Source::Conv { weights, of, .. } = &term.of {
                used.insert(*weights);
                of.collect_weights(used);
            }
        }
    }

    fn renamed(&self, names: &[usize]) -> Self {
        let rename = |term: &Term| match &term.of {
            Source::Input => term.clone(),
            Source::Conv { op, weights, of } => {
                let of = Source::Conv { op: *op, weights: names[*weights], of: of.renamed(names) };
                Term { of, pools: term.pools }
            }
        };
        let mut terms: Vec<Term> = self.0.iter().map(rename).collect();
        terms.sort();
        Self(terms)
    }
}
