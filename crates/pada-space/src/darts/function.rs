//! The function that a DARTS cell computes, and the smallest cell that computes the same.

use std::rc::Rc;

use super::{
    CELL, DartsCell, DartsEdge, DartsOp, EDGES, NODES, edge_decision, edges, first_edge, pair, pairs,
};
use crate::{Arch, Equivalence};

/// The value of a node: a sorted sum of terms, with repetitions. Zero has no terms, because a convolution or pooling of zero is zero
/// after its norm.
type Function = Rc<Vec<Term>>;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Term {
    /// The output of an earlier cell.
    Input(usize),
    /// A pooling and its norm; it has no weights.
    Pool(DartsOp, Function),
    /// An operation with the weights of the edge of `decision`.
    Weights { decision: usize, op: DartsOp, of: Function },
}

/// The contribution of an edge to its node.
enum Part {
    Nothing,
    Same,
    Pool(Term),
    Weights(DartsOp),
}

fn part(cell: DartsCell, edge: &DartsEdge, of: &Function) -> Part {
    // The two inputs of a reduction cell are halved on the way: there a skip has weights.
    let halves = cell == DartsCell::Reduce && edge.from < 2;
    match edge.op {
        DartsOp::None => Part::Nothing,
        _ if of.is_empty() => Part::Nothing,
        DartsOp::Skip if !halves => Part::Same,
        DartsOp::MaxPool3x3 | DartsOp::AvgPool3x3 => Part::Pool(Term::Pool(edge.op, of.clone())),
        op => Part::Weights(op),
    }
}

/// The values of nodes 0 to 5.
fn values(edges: &[DartsEdge], cell: DartsCell) -> Vec<Function> {
    let mut values: Vec<Function> = (0..2).map(|input| Rc::new(vec![Term::Input(input)])).collect();
    for edges in edges.chunks_exact(2) {
        let mut sum = Vec::new();
        for edge in edges {
            let of = &values[edge.from];
            match part(cell, edge, of) {
                Part::Nothing => {}
                Part::Same => sum.extend(of.iter().cloned()),
                Part::Pool(term) => sum.push(term),
                Part::Weights(op) => {
                    sum.push(Term::Weights { decision: edge.decision, op, of: of.clone() });
                }
            }
        }
        sum.sort();
        values.push(Rc::new(sum));
    }
    values
}

/// The smallest choices of a cell, `[17]`, that compute the same as the cell of `arch`, which belongs to the space.
///
/// The output of a cell concatenates its nodes in order, and the next layer has separate weights for each. So with shared weights every
/// node must keep its value, and with own weights nodes and weights may be renamed.
pub(super) fn smallest(arch: &Arch, cell: DartsCell, equivalence: Equivalence) -> Vec<u8> {
    let values = values(&edges(arch, cell), cell);
    let (inputs, nodes) = values.split_at(2);
    let mut search =
        Search { cell, equivalence, placed: inputs.to_vec(), choices: vec![0; CELL], smallest: None };
    search.place(nodes, &mut [false; NODES]);
    search.smallest.expect("the cell itself is a candidate")
}

/// A search over the orders in which nodes can be computed.
struct Search {
    cell: DartsCell,
    equivalence: Equivalence,
    /// Values of the nodes so far.
    placed: Vec<Function>,
    choices: Vec<u8>,
    smallest: Option<Vec<u8>>,
}

impl Search {
    fn place(&mut self, nodes: &[Function], done: &mut [bool; NODES]) {
        let to = self.placed.len();
        if to == 2 + NODES {
            if self.smallest.as_ref().is_none_or(|smallest| self.choices < *smallest) {
                self.smallest = Some(self.choices.clone());
            }
            return;
        }
        let candidates = match self.equivalence {
            Equivalence::SharedWeights => to - 2..to - 1,
            Equivalence::OwnWeights => 0..NODES,
        };
        for node in candidates {
            let before = self.choices.clone();
            if done[node] || !self.write_smallest(to, &nodes[node]) {
                continue;
            }
            done[node] = true;
            self.placed.push(nodes[node].clone());
            self.place(nodes, done);
            self.placed.pop();
            done[node] = false;
            self.choices = before;
        }
    }

    /// Writes the smallest choices that give node `to` this value, and returns whether there are any.
    ///
    /// These choices depend on the values of the earlier nodes only, not on their choices, because all weights in those values are taken.
    fn write_smallest(&mut self, to: usize, value: &Function) -> bool {
        let first = first_edge(to);
        let mut smallest: Option<(Vec<u8>, usize)> = None;
        for choice in 0..pairs(to) {
            let [a, b] = pair(to, choice);
            for (left, right) in (0..8).flat_map(|left| (0..8).map(move |right| (left, right))) {
                let edge = |from: usize, op: usize| DartsEdge {
                    decision: edge_decision(self.cell, from, to),
                    from,
                    to,
                    op: DartsOp::ALL[op],
                };
                if !self.gives([edge(a, left), edge(b, right)], value) {
                    continue;
                }
                let mut ops = vec![0; to];
                (ops[a], ops[b]) = (left as u8, right as u8);
                if smallest.as_ref().is_none_or(|smallest| (&ops, choice) < (&smallest.0, smallest.1)) {
                    smallest = Some((ops, choice));
                }
            }
        }
        let Some((ops, choice)) = smallest else { return false };
        self.choices[first..first + to].copy_from_slice(&ops);
        if to > 2 {
            self.choices[EDGES + to - 3] = choice as u8;
        }
        true
    }

    /// Returns whether two edges add up to a value.
    ///
    /// Edges without weights take their terms first, so that edges with weights find only terms whose weights are new.
    fn gives(&self, edges: [DartsEdge; 2], value: &Function) -> bool {
        let mut rest: Vec<Option<&Term>> = value.iter().map(Some).collect();
        let mut take = |wanted: &dyn Fn(&Term) -> bool| {
            let found = rest.iter_mut().find(|term| term.is_some_and(wanted));
            found.is_some_and(|term| term.take().is_some())
        };
        let mut weights = Vec::new();
        for edge in &edges {
            let of = &self.placed[edge.from];
            let found = match part(self.cell, edge, of) {
                Part::Nothing => true,
                Part::Same => of.iter().all(|term| take(&|other| other == term)),
                Part::Pool(term) => take(&|other| *other == term),
                Part::Weights(op) => {
                    weights.push((edge.decision, op, of));
                    true
                }
            };
            if !found {
                return false;
            }
        }
        let all = weights.into_iter().all(|(decision, op, of)| {
            take(&|term| match term {
                Term::Weights { decision: d, op: o, of: f } => {
                    let named = match self.equivalence {
                        Equivalence::SharedWeights => *d == decision,
                        Equivalence::OwnWeights => !self.is_taken(*d),
                    };
                    named && *o == op && f == of
                }
                _ => false,
            })
        });
        all && rest.iter().all(Option::is_none)
    }

    /// Returns whether an earlier node uses these weights.
    fn is_taken(&self, decision: usize) -> bool {
        fn uses(value: &[Term], decision: usize) -> bool {
            value.iter().any(|term| match term {
                Term::Input(_) => false,
                Term::Pool(_, of) => uses(of, decision),
                Term::Weights { decision: d, of, .. } => *d == decision || uses(of, decision),
            })
        }
        self.placed.iter().any(|value| uses(value, decision))
    }
}
