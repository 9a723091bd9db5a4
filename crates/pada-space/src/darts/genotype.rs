use std::fmt;

use serde::{Deserialize, Serialize};

use super::notation;
use crate::SpaceError;

/// An operation of a DARTS cell. The discriminant of the first eight is their digit in the space; the others stand in
/// published genotypes only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DartsOp {
    /// No connection.
    #[serde(rename = "none")]
    None,
    /// 3×3 maximum.
    #[serde(rename = "max_pool_3x3")]
    MaxPool3x3,
    /// 3×3 mean, padding not counted.
    #[serde(rename = "avg_pool_3x3")]
    AvgPool3x3,
    /// Identity; where the cell halves the image, two 1×1 convolutions of stride 2 side by side.
    #[serde(rename = "skip_connect")]
    Skip,
    /// Twice: ReLU, depthwise 3×3, 1×1, norm.
    #[serde(rename = "sep_conv_3x3")]
    SepConv3x3,
    /// The same with 5×5.
    #[serde(rename = "sep_conv_5x5")]
    SepConv5x5,
    /// ReLU, depthwise 3×3 with dilation 2, 1×1, norm.
    #[serde(rename = "dil_conv_3x3")]
    DilConv3x3,
    /// The same with 5×5.
    #[serde(rename = "dil_conv_5x5")]
    DilConv5x5,
    /// As `sep_conv_3x3` with 7×7; not in the space.
    #[serde(rename = "sep_conv_7x7")]
    SepConv7x7,
    /// ReLU, 1×7, 7×1, norm; not in the space.
    #[serde(rename = "conv_7x1_1x7")]
    Conv7x1And1x7,
}

impl DartsOp {
    /// All operations, those of the space first, in digit order.
    pub const ALL: [Self; 10] = [
        Self::None,
        Self::MaxPool3x3,
        Self::AvgPool3x3,
        Self::Skip,
        Self::SepConv3x3,
        Self::SepConv5x5,
        Self::DilConv3x3,
        Self::DilConv5x5,
        Self::SepConv7x7,
        Self::Conv7x1And1x7,
    ];

    /// The name of `quark0/darts`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

/// Names in the order of [`DartsOp::ALL`].
pub(super) const NAMES: [&str; 10] = [
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "sep_conv_7x7",
    "conv_7x1_1x7",
];

/// One cell: two edges per node. Nodes 0 and 1 are the outputs of the two cells before; node n + 2 is the sum of edges 2n and
/// 2n + 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CellGenotype {
    /// Operation and source of each edge, two per node.
    pub edges: Vec<(DartsOp, usize)>,
    /// The nodes whose channels are the cell's output.
    pub concat: Vec<usize>,
}

impl CellGenotype {
    /// How many nodes are computed.
    pub fn nodes(&self) -> usize {
        self.edges.len() / 2
    }

    /// Why the cell cannot be computed; `what` is its name.
    fn fault(&self, what: &str) -> Option<String> {
        let nodes = self.nodes() + 2;
        if self.edges.is_empty() || !self.edges.len().is_multiple_of(2) {
            return Some(format!("{what} has {} edges, not two per node", self.edges.len()));
        }
        let late = self.edges.iter().enumerate().find(|(edge, (_, from))| *from >= edge / 2 + 2);
        if let Some((edge, (_, from))) = late {
            return Some(format!("edge {edge} of {what} leads from node {from} to node {}", edge / 2 + 2));
        }
        match self.concat.iter().find(|&&node| node >= nodes) {
            Some(node) => Some(format!("{what}_concat names node {node}, there are {nodes}")),
            None if self.concat.is_empty() => Some(format!("{what}_concat names no node")),
            None => None,
        }
    }
}

/// A DARTS genotype: the cell that keeps the size of the image and the one that halves it.
///
/// Any number of nodes, so that it also holds NASNet and AmoebaNet; [`super::Darts`] has those with four.
///
/// # Source
/// `Genotype` in <https://github.com/quark0/darts/blob/f276dd3/cnn/genotypes.py>, whose notation `Display` writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Json", try_from = "Json")]
pub struct Genotype {
    /// The cell that keeps the size.
    pub normal: CellGenotype,
    /// The cell that halves it.
    pub reduce: CellGenotype,
}

impl Genotype {
    /// Checks that every edge leads from an earlier node.
    ///
    /// # Errors
    /// [`SpaceError::Malformed`]
    pub fn check(&self) -> Result<(), SpaceError> {
        match self.normal.fault("normal").or_else(|| self.reduce.fault("reduce")) {
            Some(reason) => Err(notation::malformed(&self.to_string(), reason)),
            None => Ok(()),
        }
    }

    /// Reads the notation of Python, `Genotype(normal=[('sep_conv_3x3', 1), ...], ...)`, or the JSON form.
    ///
    /// # Errors
    /// [`SpaceError::Malformed`] or [`SpaceError::UnknownOp`], for an edge's place among all edges.
    pub fn parse(text: &str) -> Result<Self, SpaceError> {
        let text = text.trim();
        let genotype = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|e| notation::malformed(text, e.to_string()))?
        } else {
            notation::parse(text)?
        };
        genotype.check()?;
        Ok(genotype)
    }

    /// The JSON form: `{"normal": [["sep_conv_3x3", 1], ...], "normal_concat": [2, 3, 4, 5], "reduce": ...}`.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and numbers have a JSON form")
    }

    /// The cell of each of `layers` layers: those at one and two thirds halve the image.
    pub fn cells(&self, layers: usize) -> Vec<&CellGenotype> {
        let kind = |layer| if is_reduction(layer, layers) { &self.reduce } else { &self.normal };
        (0..layers).map(kind).collect()
    }
}

/// Whether a layer of a DARTS network halves the image.
pub fn is_reduction(layer: usize, layers: usize) -> bool {
    layer == layers / 3 || layer == 2 * layers / 3
}

impl fmt::Display for Genotype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { normal, reduce } = self;
        write!(f, "Genotype(normal={}, normal_concat={}, ", Edges(normal), Concat(normal))?;
        write!(f, "reduce={}, reduce_concat={})", Edges(reduce), Concat(reduce))
    }
}

struct Edges<'a>(&'a CellGenotype);
struct Concat<'a>(&'a CellGenotype);

impl fmt::Display for Edges<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edges = self.0.edges.iter().map(|(op, from)| format!("('{}', {from})", op.name()));
        write!(f, "[{}]", edges.collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Display for Concat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.concat.as_slice() {
            [first, .., last] if self.0.concat.windows(2).all(|pair| pair[0] + 1 == pair[1]) => {
                write!(f, "range({first}, {})", last + 1)
            }
            list => write!(f, "{list:?}"),
        }
    }
}

/// The JSON form. One `concat` may stand for both cells, as in the tables of `antoyang/NAS-Benchmark`.
#[derive(Serialize, Deserialize)]
struct Json {
    normal: Vec<(DartsOp, usize)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    normal_concat: Option<Vec<usize>>,
    reduce: Vec<(DartsOp, usize)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reduce_concat: Option<Vec<usize>>,
    #[serde(default, skip_serializing)]
    concat: Option<Vec<usize>>,
}

impl From<Genotype> for Json {
    fn from(genotype: Genotype) -> Self {
        let Genotype { normal, reduce } = genotype;
        Self {
            normal: normal.edges,
            normal_concat: Some(normal.concat),
            reduce: reduce.edges,
            reduce_concat: Some(reduce.concat),
            concat: None,
        }
    }
}

impl TryFrom<Json> for Genotype {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        let Json { normal, normal_concat, reduce, reduce_concat, concat } = json;
        let pick = |own: Option<Vec<usize>>, cell: &str| {
            own.or_else(|| concat.clone()).ok_or_else(|| format!("neither {cell}_concat nor concat is there"))
        };
        Ok(Self {
            normal: CellGenotype { edges: normal, concat: pick(normal_concat, "normal")? },
            reduce: CellGenotype { edges: reduce, concat: pick(reduce_concat, "reduce")? },
        })
    }
}
