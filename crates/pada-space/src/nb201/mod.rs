//! The cell space of NAS-Bench-201.

mod function;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::space::{shortened, valid_ops};
use crate::{Arch, Equivalence, SearchSpace, SpaceError, parse_digits};
use function::{Function, output};

const NAME: &str = "nb201";
const NODES: usize = Nb201::NODES;
const EDGES: [(usize, usize); 6] = Nb201::EDGES;
const OP_NAMES: [&str; 5] = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"];
const EXAMPLE: &str =
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|skip_connect~1|nor_conv_1x1~2|";

/// An operation on an edge of NAS-Bench-201. The discriminant is the digit of the operation.
///
/// [`Display`](fmt::Display) and [`FromStr`] use the names of the benchmark, for example `nor_conv_3x3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nb201Op {
    /// The edge passes nothing on.
    None,
    /// The edge is the identity.
    Skip,
    /// The edge is a ReLU, a 1×1 convolution and a batch norm.
    Conv1x1,
    /// The edge is a ReLU, a 3×3 convolution and a batch norm.
    Conv3x3,
    /// The edge is a 3×3 average pooling of stride 1 that does not count the padding.
    AvgPool3x3,
}

impl Nb201Op {
    /// All operations, in digit order.
    pub const ALL: [Self; 5] = [Self::None, Self::Skip, Self::Conv1x1, Self::Conv3x3, Self::AvgPool3x3];

    /// Returns the name that the benchmark uses.
    pub fn name(self) -> &'static str {
        OP_NAMES[self as usize]
    }
}

impl fmt::Display for Nb201Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Nb201Op {
    type Err = SpaceError;

    fn from_str(text: &str) -> Result<Self, SpaceError> {
        Self::ALL.into_iter().find(|op| op.name() == text).ok_or_else(|| SpaceError::UnknownOpName {
            op: text.to_owned(),
            space: NAME,
            valid: valid_ops(&OP_NAMES),
        })
    }
}

/// The numbering of edges and operations of a text of six digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nb201Encoding {
    /// The edges and operations in the order of the strings of the benchmark.
    #[default]
    Benchmark,
    /// The `op_indices` of NASLib: the edges 1←0, 2←0, 3←0, 2←1, 3←1, 3←2, and the operations `skip_connect`, `none`, `nor_conv_3x3`,
    /// `nor_conv_1x1`, `avg_pool_3x3`.
    ///
    /// # Source
    /// automl/NASLib @28b1f2a, `naslib/search_spaces/nasbench201/conversions.py`, `convert_op_indices_to_str`
    Naslib,
}

impl Nb201Encoding {
    /// Converts an architecture whose choices were read in this encoding.
    fn decode(self, arch: &Arch) -> Arch {
        match self {
            Self::Benchmark => arch.clone(),
            Self::Naslib => {
                // The place of each edge of the benchmark, and the digit of each operation in the benchmark.
                const PLACES: [usize; 6] = [0, 1, 3, 2, 4, 5];
                const DIGITS: [u8; 5] = [1, 0, 3, 2, 4];
                let digit = |place: usize| DIGITS[usize::from(arch.choices()[place])];
                Arch::new(PLACES.map(digit))
            }
        }
    }
}

/// The cell space of NAS-Bench-201: 4 nodes, 6 edges, 5 operations, 15,625 architectures.
///
/// An architecture has one decision per edge, in the order of [`Nb201::EDGES`]. Its long form is the string of the benchmark.
///
/// # Source
/// Dong & Yang, *NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search*, ICLR 2020.
#[derive(Clone, Debug, Default)]
pub struct Nb201 {
    encoding: Nb201Encoding,
    shared: OnceLock<HashMap<Function, Arch>>,
    own: OnceLock<HashMap<Function, Arch>>,
}

impl Nb201 {
    /// The number of nodes of a cell. Node 0 is the input, and the last node is the output.
    pub const NODES: usize = 4;

    /// The edges of a cell as (source, target), in digit order.
    pub const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

    /// Creates the space.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the space, whose [`parse`](SearchSpace::parse) reads digits in an encoding. All other texts name their operations, and an
    /// architecture has the digits of the benchmark in any case.
    ///
    /// ```
    /// use pada_space::{Nb201, Nb201Encoding, SearchSpace};
    ///
    /// let space = Nb201::with_encoding(Nb201Encoding::Naslib);
    /// assert_eq!(space.parse("(4, 0, 3, 1, 4, 3)")?.to_string(), "410242");
    /// # Ok::<_, pada_space::SpaceError>(())
    /// ```
    pub fn with_encoding(encoding: Nb201Encoding) -> Self {
        Self { encoding, ..Self::default() }
    }

    /// Parses the dict of NNI, `{'0_1': 'conv_3x3', …}`, from edges to operations without the prefix `nor_`.
    fn parse_dict(text: &str) -> Result<Arch, SpaceError> {
        let malformed = |reason: String| SpaceError::Malformed {
            text: shortened(text),
            reason,
            space: NAME,
            example: EXAMPLE,
        };
        let op = |(decision, (from, to)): (usize, (usize, usize))| {
            let key = format!("{from}_{to}");
            let words: Vec<&str> = text.split(['\'', '"']).collect();
            let Some(at) = words.iter().position(|word| *word == key) else {
                return Err(malformed(format!("the edge {key} is missing")));
            };
            // The words between quotes are every second one.
            let name = words.get(at + 2).copied().unwrap_or_default();
            let place = OP_NAMES
                .iter()
                .position(|known| known.trim_start_matches("nor_") == name.trim_start_matches("nor_"));
            place.map(|digit| digit as u8).ok_or_else(|| SpaceError::UnknownOp {
                text: shortened(text),
                op: name.to_owned(),
                decision,
                space: NAME,
                valid: valid_ops(&OP_NAMES),
            })
        };
        Ok(Arch::new(EDGES.into_iter().enumerate().map(op).collect::<Result<Vec<_>, _>>()?))
    }

    /// Writes the `op_indices` of NASLib, `(4, 0, 3, 1, 4, 3)`, which [`Nb201Encoding::Naslib`] reads.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    pub fn op_indices(arch: &Arch) -> Result<String, SpaceError> {
        Self::new().check(arch)?;
        // `PLACES` and `DIGITS` of NASLib are their own inverses.
        let indices = Nb201Encoding::Naslib.decode(arch);
        let indices: Vec<String> = indices.choices().iter().map(u8::to_string).collect();
        Ok(format!("({})", indices.join(", ")))
    }

    /// Writes the dict of NNI, `{'0_1': 'conv_3x3', …}`, from edges to operations without the prefix `nor_`.
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    pub fn dict(arch: &Arch) -> Result<String, SpaceError> {
        Self::new().check(arch)?;
        let entry = |((from, to), op): ((usize, usize), Nb201Op)| {
            format!("'{from}_{to}': '{}'", op.name().trim_start_matches("nor_"))
        };
        let entries: Vec<String> = EDGES.into_iter().zip(ops(arch)).map(entry).collect();
        Ok(format!("{{{}}}", entries.join(", ")))
    }

    /// Returns the operations of an architecture, in the order of [`Nb201::EDGES`].
    ///
    /// # Errors
    /// Returns the error of [`SearchSpace::check`].
    pub fn ops(arch: &Arch) -> Result<[Nb201Op; 6], SpaceError> {
        Self::new().check(arch)?;
        Ok(ops(arch))
    }

    /// Parses the string of the benchmark, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, which has one group per node.
    fn parse_string(&self, text: &str) -> Result<Arch, SpaceError> {
        let malformed = |reason: String| SpaceError::Malformed {
            text: text.to_owned(),
            reason,
            space: NAME,
            example: EXAMPLE,
        };
        let cells = text.matches("|+|").count() / (NODES - 2);
        if cells > 1 {
            let reason =
                format!("it has {cells} cells, so that it is not clear which one is meant; give one of them");
            return Err(SpaceError::Malformed {
                text: shortened(text),
                reason,
                space: NAME,
                example: EXAMPLE,
            });
        }
        let mut choices = Vec::with_capacity(EDGES.len());
        let groups: Vec<&str> = text.split('+').collect();
        if groups.len() != NODES - 1 {
            return Err(malformed(format!("it has {} node groups, not {}", groups.len(), NODES - 1)));
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
                let unknown = || SpaceError::UnknownOp {
                    text: text.to_owned(),
                    op: op.to_owned(),
                    decision: choices.len(),
                    space: NAME,
                    valid: valid_ops(&OP_NAMES),
                };
                let digit = digit.ok_or_else(unknown)?;
                choices.push(digit as u8);
            }
        }
        Ok(Arch::new(choices))
    }
}

/// The operations of an architecture that belongs to the space.
fn ops(arch: &Arch) -> [Nb201Op; 6] {
    std::array::from_fn(|e| Nb201Op::ALL[usize::from(arch.choices()[e])])
}

impl SearchSpace for Nb201 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn n_ops(&self) -> &[usize] {
        const N_OPS: [usize; EDGES.len()] = [OP_NAMES.len(); EDGES.len()];
        &N_OPS
    }

    fn op_names(&self) -> &[&'static str] {
        &OP_NAMES
    }

    /// Parses six digits, also as a list of numbers, the string of the benchmark, also within the text of its `Structure`, or a dict of NNI.
    fn parse(&self, text: &str) -> Result<Arch, SpaceError> {
        let text = text.trim();
        match (text.find('|'), text.rfind('|')) {
            (Some(first), Some(last)) => {
                let string: String = text[first..=last].chars().filter(|c| !c.is_whitespace()).collect();
                self.parse_string(&string)
            }
            _ if text.contains('{') && text.contains(':') => Self::parse_dict(text),
            _ => Ok(self.encoding.decode(&parse_digits(self, text)?)),
        }
    }

    fn format(&self, arch: &Arch) -> Result<String, SpaceError> {
        self.check(arch)?;
        let term = |e: usize| format!("{}~{}|", OP_NAMES[usize::from(arch.choices()[e])], EDGES[e].0);
        let group = |to| {
            let terms = (0..EDGES.len()).filter(|&e| EDGES[e].1 == to).map(term).collect::<String>();
            format!("|{terms}")
        };
        Ok((1..NODES).map(group).collect::<Vec<_>>().join("+"))
    }

    /// An edge is active if it lies on a path from node 0 to the output without any `none`.
    fn active(&self, arch: &Arch) -> Result<Vec<bool>, SpaceError> {
        self.check(arch)?;
        let open = arch.choices().iter().map(|&c| c != Nb201Op::None as u8).collect::<Vec<_>>();
        let mut fed = [true, false, false, false];
        let mut used = [false, false, false, true];
        // Edges are in order of their target, so one pass in each direction visits every node after its neighbours.
        for (&(from, to), _) in EDGES.iter().zip(&open).filter(|(_, open)| **open) {
            fed[to] |= fed[from];
        }
        for (&(from, to), _) in EDGES.iter().zip(&open).rev().filter(|(_, open)| **open) {
            used[from] |= used[to];
        }
        Ok(EDGES.iter().zip(open).map(|(&(from, to), open)| open && fed[from] && used[to]).collect())
    }

    fn canonical(&self, arch: &Arch, equivalence: Equivalence) -> Result<Arch, SpaceError> {
        self.check(arch)?;
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
        Ok(smallest[&output(arch, equivalence)].clone())
    }
}
