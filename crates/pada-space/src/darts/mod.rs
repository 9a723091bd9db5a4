//! The cell space of DARTS.

mod function;
mod genotype;
mod named;
mod notation;

pub use genotype::{CellGenotype, DartsOp, Genotype, is_reduction};
pub use named::{AGNAS, DARTS_NAMED, agnas_cells};

use crate::{ActiveWhere, Arch, Decision, DecisionKind, Equivalence, SearchSpace, SpaceError, find_named};

const NAME: &str = "darts";
/// Nodes of a cell that are computed; 0 and 1 are its inputs.
const NODES: usize = 4;
/// Edges of a cell: node n may read every earlier one.
const EDGES: usize = 14;
/// Positions of a cell: an operation per edge, and for nodes 3, 4 and 5 which two edges they keep (node 2 has only two).
const CELL: usize = EDGES + NODES - 1;
const OPS: usize = 8;
/// Pairs of earlier nodes that node 3, 4 and 5 may read.
const PAIRS: [usize; 3] = [3, 6, 10];

/// The cells of DARTS: two cells, each with four nodes that read two earlier nodes through one of eight operations.
///
/// An architecture has 34 positions, 17 for the normal and 17 for the reduction cell: first an operation for each of the
/// 14 edges `2<-0 2<-1 3<-0 3<-1 3<-2 4<-0 …`, then for nodes 3, 4 and 5 which pair of earlier nodes they read, in the order
/// (0,1) (0,2) … (1,2) …. So every list of choices is an architecture, and one with uniform choices is a uniform genotype.
/// Operations on edges that no node keeps are not read: [`SearchSpace::live`] says which, [`SearchSpace::canonical`] clears
/// them, and [`Darts::GENOTYPES`] does not count them.
///
/// # Source
/// Liu, Simonyan & Yang, DARTS, ICLR 2019; digits as in `PRIMITIVES` of <https://github.com/quark0/darts>.
#[derive(Clone, Copy, Debug, Default)]
pub struct Darts;

/// Which of the two cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DartsCell {
    /// Keeps the size of the image.
    Normal,
    /// Halves it.
    Reduce,
}

/// An edge that a node keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DartsEdge {
    /// Its position in the architecture.
    pub position: usize,
    /// The node it comes from.
    pub from: usize,
    /// The node it leads to.
    pub to: usize,
    /// What it does.
    pub op: DartsOp,
}

impl Darts {
    /// How many genotypes there are: architectures that differ in what is read.
    pub const GENOTYPES: u128 = {
        let cell = 3 * 6 * 10 * (OPS as u128).pow(2 * NODES as u32);
        cell * cell
    };

    /// The position of edge `to<-from` of a cell.
    pub fn position(cell: DartsCell, from: usize, to: usize) -> usize {
        cell as usize * CELL + first_edge(to) + from
    }

    /// The eight edges that an architecture keeps in a cell, two per node, by node and then by source.
    ///
    /// # Panics
    /// If `arch` is of another space.
    pub fn edges(arch: &Arch, cell: DartsCell) -> Vec<DartsEdge> {
        let choices = &arch.choices()[cell as usize * CELL..][..CELL];
        let kept = (2..2 + NODES).flat_map(|to| pair(to, pair_choice(choices, to)).map(|from| (from, to)));
        kept.map(|(from, to)| {
            let op = DartsOp::ALL[usize::from(choices[first_edge(to) + from])];
            DartsEdge { position: Self::position(cell, from, to), from, to, op }
        })
        .collect()
    }

    /// The genotype of an architecture: edges by node and source, all four nodes joined.
    ///
    /// # Panics
    /// If `arch` is of another space.
    pub fn genotype(arch: &Arch) -> Genotype {
        let cell = |cell| CellGenotype {
            edges: Self::edges(arch, cell).into_iter().map(|edge| (edge.op, edge.from)).collect(),
            concat: (2..2 + NODES).collect(),
        };
        Genotype { normal: cell(DartsCell::Normal), reduce: cell(DartsCell::Reduce) }
    }

    /// The architecture of a genotype; edges that it does not keep have `none`.
    ///
    /// # Errors
    /// [`SpaceError::Malformed`] for a genotype that is not of this space: another number of nodes, an operation of no digit, two
    /// edges between the same nodes, or an output of other nodes.
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

/// Writes a cell's choices, `[17]`.
fn encode(cell: &CellGenotype, choices: &mut [u8]) -> Result<(), String> {
    if cell.nodes() != NODES {
        return Err(format!("a cell has {} nodes, the space has {NODES}", cell.nodes()));
    }
    let mut concat = cell.concat.clone();
    concat.sort_unstable();
    if concat != [2, 3, 4, 5] {
        return Err("the space joins nodes 2, 3, 4 and 5".to_owned());
    }
    for (edges, to) in cell.edges.chunks_exact(2).zip(2..) {
        for &(op, from) in edges {
            if op as usize >= OPS {
                return Err(format!("{} is no operation of the space", op.name()));
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

/// Where a node's edges begin.
fn first_edge(to: usize) -> usize {
    to * (to - 1) / 2 - 1
}

/// How many pairs of earlier nodes there are.
fn pairs(to: usize) -> usize {
    to * (to - 1) / 2
}

/// The pairs of earlier nodes in the order (0,1) (0,2) … (1,2) ….
fn pair(to: usize, choice: usize) -> [usize; 2] {
    let all = (0..to).flat_map(|a| (a + 1..to).map(move |b| [a, b]));
    all.clone().nth(choice).expect("a choice is below the number of pairs")
}

/// Which pair a node reads, of the choices of its cell.
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

    /// Edges of the two cells are of two kinds: in a reduction cell some halve the image. An edge is read where its node keeps it.
    fn positions(&self) -> Vec<Decision> {
        let edge = |(kind, from, to): (usize, usize, usize)| Decision {
            chooses: DecisionKind::Operation { kind: kind as u8 },
            active_where: (to > 2).then(|| ActiveWhere {
                position: kind * CELL + EDGES + to - 3,
                choices: (0..pairs(to)).filter(|&c| pair(to, c).contains(&from)).map(|c| c as u8).collect(),
            }),
        };
        let cell = |kind| {
            let edges = (2..2 + NODES).flat_map(move |to| (0..to).map(move |from| (kind, from, to)));
            edges
                .map(edge)
                .chain(PAIRS.map(|_| Decision { chooses: DecisionKind::Inputs, active_where: None }))
        };
        [0, 1].into_iter().flat_map(cell).collect()
    }

    /// Of the positions that choose an operation; the others count pairs.
    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// 34 digits, a genotype in the notation of Python or in JSON, or the name of one of [`DARTS_NAMED`]; edges that no node keeps
    /// have `none`, whatever the digits say.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let text = text.trim();
        if let Some(named) = find_named(DARTS_NAMED, text) {
            return Self::arch(&Genotype::parse(named.text)?);
        }
        if text.contains(['(', '{', '=']) {
            return Self::arch(&Genotype::parse(text)?);
        }
        Ok(self.without_dead_edges(&crate::named::parse_unnamed(self, DARTS_NAMED, text)?))
    }

    fn format(&self, arch: &Arch) -> String {
        Self::genotype(arch).to_string()
    }

    /// An edge is live if its node keeps it and something but zeros comes through it; a choice of a pair, if one of its edges is.
    fn active(&self, arch: &Arch) -> Vec<bool> {
        let mut live = vec![false; 2 * CELL];
        for cell in [DartsCell::Normal, DartsCell::Reduce] {
            let mut fed = [true, true, false, false, false, false];
            for edge in Self::edges(arch, cell) {
                let here = edge.op != DartsOp::None && fed[edge.from];
                live[edge.position] = here;
                fed[edge.to] |= here;
                if edge.to > 2 {
                    live[cell as usize * CELL + EDGES + edge.to - 3] |= here;
                }
            }
        }
        live
    }

    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Arch {
        let cells = [DartsCell::Normal, DartsCell::Reduce];
        Arch::new(cells.map(|cell| function::smallest(arch, cell, equivalence)).concat())
    }
}
