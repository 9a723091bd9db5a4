use std::collections::HashMap;
use std::sync::OnceLock;

use crate::nb201_function::{Function, output};
use crate::space::valid_ops;
use crate::{Arch, Equivalence, SearchSpace, SpaceError};

/// Nodes of a cell; node 0 is its input, the last its output.
pub const N_NODES: usize = 4;

/// The edges of a cell as (from, to), in digit order.
pub const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

const OP_NAMES: [&str; 5] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"];
const EXAMPLE: &str =
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_1x1~2|";

/// An operation on an edge of NAS-Bench-201; the discriminant is its digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nb201Op {
    /// No connection.
    None,
    /// Identity.
    Skip,
    /// ReLU, 1×1 convolution, batch norm.
    Conv1x1,
    /// ReLU, 3×3 convolution, batch norm.
    Conv3x3,
    /// 3×3 average pooling, stride 1, padding not counted.
    AvgPool3x3,
}

impl Nb201Op {
    /// All operations in digit order.
    pub const ALL: [Self; 5] = [Self::None, Self::Skip, Self::Conv1x1, Self::Conv3x3, Self::AvgPool3x3];
}

/// The cell space of NAS-Bench-201: 4 nodes, 6 edges, 5 operations, 15,625 architectures.
///
/// # Source
/// Dong & Yang, NAS-Bench-201, ICLR 2020. Digits are the edges in the order of [`EDGES`].
#[derive(Debug, Default)]
pub struct Nb201 {
    shared: OnceLock<HashMap<Function, Arch>>,
    own: OnceLock<HashMap<Function, Arch>>,
}

impl Nb201 {
    /// The space.
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations of an architecture of this space, in the order of [`EDGES`].
    ///
    /// # Panics
    /// If `arch` is of another space.
    pub fn ops(arch: &Arch) -> [Nb201Op; 6] {
        std::array::from_fn(|e| Nb201Op::ALL[usize::from(arch.choices()[e])])
    }

    fn unknown(&self, text: &str, op: &str, position: usize) -> SpaceError {
        let (text, op) = (text.to_owned(), op.to_owned());
        SpaceError::UnknownOp { text, op, position, space: self.name(), valid: valid_ops(&OP_NAMES) }
    }

    fn parse_digits(&self, text: &str) -> Result<Arch, SpaceError> {
        let found = text.chars().count();
        if found != EDGES.len() {
            let (text, expected) = (text.to_owned(), EDGES.len());
            return Err(SpaceError::WrongLength { text, found, space: self.name(), expected });
        }
        let digit = |(e, c): (usize, char)| match c.to_digit(10).filter(|&d| (d as usize) < OP_NAMES.len()) {
            Some(d) => Ok(d as u8),
            None => Err(self.unknown(text, &c.to_string(), e)),
        };
        Ok(Arch::new(text.chars().enumerate().map(digit).collect::<Result<Vec<_>, _>>()?))
    }

    /// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, one group per node.
    fn parse_string(&self, text: &str) -> Result<Arch, SpaceError> {
        let malformed = |reason: String| SpaceError::Malformed {
            text: text.to_owned(),
            reason,
            space: self.name(),
            example: EXAMPLE,
        };
        let mut choices = Vec::with_capacity(EDGES.len());
        let groups: Vec<&str> = text.split('+').collect();
        if groups.len() != N_NODES - 1 {
            return Err(malformed(format!("it has {} node groups, not {}", groups.len(), N_NODES - 1)));
        }
        for (group, node) in groups.iter().zip(1..) {
            let inner = group.strip_prefix('|').and_then(|g| g.strip_suffix('|'));
            let terms: Vec<&str> =
                inner.ok_or_else(|| malformed(format!("node {node} is not between |")))?.split('|').collect();
            if terms.len() != node {
                return Err(malformed(format!("node {node} has {} inputs, not {node}", terms.len())));
            }
            for (from, term) in terms.iter().enumerate() {
                let (op, source) =
                    term.split_once('~').ok_or_else(|| malformed(format!("{term:?} has no ~")))?;
                if source != from.to_string() {
                    let reason =
                        format!("input {from} of node {node} comes from node {source:?}, not {from}");
                    return Err(malformed(reason));
                }
                let digit = OP_NAMES.iter().position(|&name| name == op);
                choices.push(digit.ok_or_else(|| self.unknown(text, op, choices.len()))? as u8);
            }
        }
        Ok(Arch::new(choices))
    }
}

impl SearchSpace for Nb201 {
    fn name(&self) -> &'static str {
        "nb201"
    }

    fn n_ops(&self) -> &[usize] {
        const N_OPS: [usize; EDGES.len()] = [OP_NAMES.len(); EDGES.len()];
        &N_OPS
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// Six digits, or the benchmark's string.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let text = text.trim();
        if text.starts_with('|') { self.parse_string(text) } else { self.parse_digits(text) }
    }

    fn format(&self, arch: &Arch) -> String {
        let term = |e: usize| format!("{}~{}|", OP_NAMES[usize::from(arch.choices()[e])], EDGES[e].0);
        let group = |to| {
            let terms = (0..EDGES.len()).filter(|&e| EDGES[e].1 == to).map(term).collect::<String>();
            format!("|{terms}")
        };
        (1..N_NODES).map(group).collect::<Vec<_>>().join("+")
    }

    /// An edge is live if it is on a way from node 0 to the output that has no `none` on it.
    fn active(&self, arch: &Arch) -> Vec<bool> {
        let open = arch.choices().iter().map(|&c| c != Nb201Op::None as u8).collect::<Vec<_>>();
        let mut fed = [true, false, false, false];
        let mut used = [false, false, false, true];
        // Edges are in order of their target, so one pass each way settles every node.
        for (&(from, to), _) in EDGES.iter().zip(&open).filter(|(_, open)| **open) {
            fed[to] |= fed[from];
        }
        for (&(from, to), _) in EDGES.iter().zip(&open).rev().filter(|(_, open)| **open) {
            used[from] |= used[to];
        }
        EDGES.iter().zip(open).map(|(&(from, to), open)| open && fed[from] && used[to]).collect()
    }

    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Arch {
        let table = match equivalence {
            Equivalence::SharedWeights => &self.shared,
            Equivalence::OwnWeights => &self.own,
        };
        let smallest = table.get_or_init(|| {
            let mut smallest = HashMap::new();
            for arch in self.archs() {
                smallest.entry(output(&arch, equivalence)).or_insert(arch);
            }
            smallest
        });
        smallest[&output(arch, equivalence)].clone()
    }
}
