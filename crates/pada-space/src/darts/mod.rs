//! The cell space of DARTS.

mod cells;
mod function;
mod genotype;
mod named;
mod notation;

pub use cells::DartsCells;
pub use genotype::{CellGenotype, DartsOp, Genotype, is_reduction};
pub use named::{AGNAS, AGNAS_NETWORK, DARTS_NAMED};

use std::fmt;

use crate::named::parse_unnamed;
use crate::space::first_largest;
use crate::{Arch, Decision, Equivalence, SearchSpace, SpaceError, find_named};

const NAME: &str = "darts";
/// The number of intermediate nodes of a cell. Nodes 0 and 1 are its inputs.
const NODES: usize = 4;
/// The number of edges of a cell: every node has an edge from each earlier node.
const EDGES: usize = 14;
/// The number of decisions of a cell: an operation per edge, and for nodes 3, 4 and 5 a pair of inputs (node 2 has only two).
const CELL: usize = EDGES + NODES - 1;
const OPS: usize = 8;
/// The number of pairs of earlier nodes from which nodes 3, 4 and 5 choose.
const PAIRS: [usize; 3] = [3, 6, 10];

/// The cell space of DARTS: a normal and a reduction cell of four nodes, each of which sums two edges with one of 8 operations.
///
/// An architecture has 34 decisions, 17 for the normal and 17 for the reduction cell. The first 14 choose the operation on each of the
/// edges `2<-0 2<-1 3<-0 3<-1 3<-2 4<-0 …`. The last three choose the pair of earlier nodes that nodes 3, 4 and 5 read, in the order
/// (0,1) (0,2) … (1,2) …. So every list of choices is an architecture, and uniform choices give a uniform genotype.
///
/// The operation on an edge that its node does not choose is inactive: [`SearchSpace::active`] says which edges are active,
/// [`SearchSpace::without_dead_edges`] clears the others, and [`Darts::GENOTYPES`] does not count them.
///
/// # Source
/// Liu, Simonyan & Yang, *DARTS: Differentiable Architecture Search*, ICLR 2019. The digits are the indices of `PRIMITIVES` in
/// <https://github.com/quark0/darts>.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Darts;

/// One of the two cells of a DARTS network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DartsCell {
    /// The normal cell, which keeps the size of the image.
    Normal,
    /// The reduction cell, which halves the size of the image.
    Reduce,
}

impl fmt::Display for DartsCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "normal",
            Self::Reduce => "reduce",
        })
    }
}

/// An active edge of a DARTS cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DartsEdge {
    /// The decision that chooses the operation on the edge.
    pub decision: usize,
    /// The source node.
    pub from: usize,
    /// The target node.
    pub to: usize,
    /// The operation on the edge.
    pub op: DartsOp,
}

impl Darts {
    /// The number of genotypes: architectures that differ in active decisions.
    pub const GENOTYPES: u128 = {
        let cell = 3 * 6 * 10 * (OPS as u128).pow(2 * NODES as u32);
        cell * cell
    };

    /// Returns the decision that chooses the operation on the edge from node `from` to node `to` of a cell, or `None` if there is no such
    /// edge.
    ///
    /// The target is a node from 2 to 5, and the source is an earlier node.
    pub fn edge_decision(cell: DartsCell, from: usize, to: usize) -> Option<usize> {
        ((2..2 + NODES).contains(&to) && from < to).then(|| edge_decision(cell, from, to))
    }

    /// Returns the eight active edges of a cell: two per node, ordered by node and then by source.
    ///
    /// An edge with the operation `none` is one of them if its node chooses it.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    pub fn edges(arch: &Arch, cell: DartsCell) -> Result<Vec<DartsEdge>, SpaceError> {
        Self.check(arch)?;
        Ok(edges(arch, cell))
    }

    /// Converts an architecture to a genotype, with edges ordered by node and source, whose output concatenates all four nodes.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    pub fn genotype(arch: &Arch) -> Result<Genotype, SpaceError> {
        Self.check(arch)?;
        let cell = |cell| CellGenotype {
            edges: edges(arch, cell).into_iter().map(|edge| (edge.op, edge.from)).collect(),
            concat: (2..2 + NODES).collect(),
        };
        Ok(Genotype { normal: cell(DartsCell::Normal), reduce: cell(DartsCell::Reduce) })
    }

    /// Converts a genotype to an architecture. The edges that are not in the genotype have the operation `none`.
    ///
    /// # Errors
    /// Returns [`SpaceError::Malformed`] if the genotype is not in this space: it has another number of nodes, an operation without a
    /// digit, two edges between the same nodes, or an output that does not concatenate all four nodes.
    pub fn arch(genotype: &Genotype) -> Result<Arch, SpaceError> {
        genotype.check()?;
        let mut choices = vec![0; 2 * CELL];
        for (cell, choices) in [&genotype.normal, &genotype.reduce].into_iter().zip(choices.chunks_mut(CELL))
        {
            encode(cell, choices).map_err(|reason| notation::malformed(&genotype.to_string(), reason))?;
        }
        Ok(Arch::new(choices))
    }
}

/// The decision of an edge that exists.
fn edge_decision(cell: DartsCell, from: usize, to: usize) -> usize {
    cell as usize * CELL + first_edge(to) + from
}

/// The edges of an architecture that belongs to the space.
fn edges(arch: &Arch, cell: DartsCell) -> Vec<DartsEdge> {
    let choices = &arch.choices()[cell as usize * CELL..][..CELL];
    let chosen = (2..2 + NODES).flat_map(|to| pair(to, pair_choice(choices, to)).map(|from| (from, to)));
    chosen
        .map(|(from, to)| {
            let op = DartsOp::ALL[usize::from(choices[first_edge(to) + from])];
            DartsEdge { decision: edge_decision(cell, from, to), from, to, op }
        })
        .collect()
}

/// Writes the choices of a cell, `[17]`.
fn encode(cell: &CellGenotype, choices: &mut [u8]) -> Result<(), String> {
    if cell.nodes() != NODES {
        return Err(format!("a cell has {} nodes, the space has {NODES}", cell.nodes()));
    }
    let mut concat = cell.concat.clone();
    concat.sort_unstable();
    if concat != [2, 3, 4, 5] {
        return Err("the output of a cell of the space concatenates nodes 2, 3, 4 and 5".to_owned());
    }
    for (edges, to) in cell.edges.chunks_exact(2).zip(2..) {
        for &(op, from) in edges {
            if op as usize >= OPS {
                return Err(format!("{} is not an operation of the space", op.name()));
            }
            choices[first_edge(to) + from] = op as u8;
        }
        let mut sources = [edges[0].1, edges[1].1];
        sources.sort_unstable();
        let found = (0..pairs(to)).find(|&choice| pair(to, choice) == sources);
        let choice = found.ok_or_else(|| format!("node {to} reads node {} twice", sources[0]))?;
        if to > 2 {
            choices[EDGES + to - 3] = choice as u8;
        }
    }
    Ok(())
}

/// The first edge of a node.
fn first_edge(to: usize) -> usize {
    to * (to - 1) / 2 - 1
}

/// The number of pairs of earlier nodes.
fn pairs(to: usize) -> usize {
    to * (to - 1) / 2
}

/// A pair of earlier nodes, in the order (0,1) (0,2) … (1,2) ….
fn pair(to: usize, choice: usize) -> [usize; 2] {
    let all = (0..to).flat_map(|a| (a + 1..to).map(move |b| [a, b]));
    all.clone().nth(choice).expect("a choice is below the number of pairs")
}

/// The index of the pair that a node reads, from the choices of its cell.
fn pair_choice(choices: &[u8], to: usize) -> usize {
    if to == 2 { 0 } else { usize::from(choices[EDGES + to - 3]) }
}

const OP_NAMES: [&str; OPS] = {
    let mut names = [""; OPS];
    let mut op = 0;
    while op < OPS {
        names[op] = genotype::NAMES[op];
        op += 1;
    }
    names
};

const N_OPS: [usize; 2 * CELL] = {
    let mut n_ops = [OPS; 2 * CELL];
    let mut node = 0;
    while node < PAIRS.len() {
        n_ops[EDGES + node] = PAIRS[node];
        n_ops[CELL + EDGES + node] = PAIRS[node];
        node += 1;
    }
    n_ops
};

impl SearchSpace for Darts {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_ops(&self) -> &[usize] {
        &N_OPS
    }

    /// Edges of the normal cell have kind 0 and edges of the reduction cell have kind 1, because some of the latter halve the image. An
    /// edge is active if its node chooses it.
    fn decisions(&self) -> Vec<Decision> {
        let edge = |(kind, from, to): (usize, usize, usize)| {
            let decision = Decision::operation(kind as u8);
            if to == 2 {
                return decision;
            }
            let choices = (0..pairs(to)).filter(|&c| pair(to, c).contains(&from)).map(|c| c as u8);
            decision.active_if(kind * CELL + EDGES + to - 3, choices.collect::<Vec<_>>())
        };
        let cell = |kind| {
            let edges = (2..2 + NODES).flat_map(move |to| (0..to).map(move |from| (kind, from, to)));
            edges.map(edge).chain(PAIRS.map(|_| Decision::inputs()))
        };
        [0, 1].into_iter().flat_map(cell).collect()
    }

    /// The names belong to the decisions that choose an operation. The other decisions choose pairs of nodes.
    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// Parses 34 digits, a genotype in Python notation or JSON, or the name of one of [`DARTS_NAMED`].
    ///
    /// Inactive edges get the operation `none`, whatever the digits say.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let text = text.trim();
        if let Some(named) = find_named(DARTS_NAMED, text) {
            return Self::arch(&Genotype::parse(named.text)?);
        }
        if text.contains(['(', '{', '=']) {
            return Self::arch(&Genotype::parse(text)?);
        }
        self.without_dead_edges(&parse_unnamed(self, DARTS_NAMED, text)?)
    }

    fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
        Ok(Self::genotype(arch)?.to_string())
    }

    /// An edge is active if its node chooses it and it passes on anything but zeros. A choice of inputs is active if one of its edges is.
    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
        self.check(arch)?;
        let mut active = vec![false; 2 * CELL];
        for cell in [DartsCell::Normal, DartsCell::Reduce] {
            let mut fed = [true, true, false, false, false, false];
            for edge in edges(arch, cell) {
                let here = edge.op != DartsOp::None && fed[edge.from];
                active[edge.decision] = here;
                fed[edge.to] |= here;
                if edge.to > 2 {
                    active[cell as usize * CELL + EDGES + edge.to - 3] |= here;
                }
            }
        }
        Ok(active)
    }

    /// A node keeps the two inputs whose strongest operation other than `none` is strongest, and on each of them this operation. The other
    /// edges get the operation `none`, and so does an input of which no other operation has a strength above −∞.
    ///
    /// Source: `genotype` in <https://github.com/quark0/darts>, `cnn/model_search.py`.
    fn strongest(&self, strengths: &[Vec<f64>]) -> Arch {
        assert_eq!(strengths.len(), N_OPS.len(), "one list for every decision");
        let mut choices = vec![0; 2 * CELL];
        for (strengths, choices) in strengths.chunks(CELL).zip(choices.chunks_mut(CELL)) {
            for to in 2..2 + NODES {
                let edge = |from: usize| {
                    let list = &strengths[first_edge(to) + from];
                    let op = 1 + first_largest(list.get(1..).unwrap_or_default());
                    let strength = list.get(op).copied().unwrap_or(f64::NEG_INFINITY);
                    // An edge whose operations are all impossible stays without one.
                    if strength == f64::NEG_INFINITY { (0, strength) } else { (op, strength) }
                };
                let mut inputs: Vec<usize> = (0..to).collect();
                // The sort is stable, so the first of equal edges stays the first.
                inputs.sort_by(|&a, &b| edge(b).1.total_cmp(&edge(a).1));
                let mut kept = [inputs[0], inputs[1]];
                kept.sort_unstable();
                kept.iter().for_each(|&from| choices[first_edge(to) + from] = edge(from).0 as u8);
                if to > 2 {
                    let pair = (0..pairs(to)).find(|&choice| pair(to, choice) == kept);
                    choices[EDGES + to - 3] = pair.expect("two earlier nodes are a pair") as u8;
                }
            }
        }
        Arch::new(choices)
    }

    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Result<Arch, SpaceError> {
        self.check(arch)?;
        let cells = [DartsCell::Normal, DartsCell::Reduce];
        Ok(Arch::new(cells.map(|cell| function::smallest(arch, cell, equivalence)).concat()))
    }
}
