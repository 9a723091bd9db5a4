use std::fmt;

use std::str::FromStr;

use super::notation;
use crate::SpaceError;
use crate::space::valid_ops;

/// An operation of a DARTS cell.
///
/// The first eight are the operations of [`Darts`](super::Darts), and their discriminant is their digit. The others only appear in
/// published genotypes. [`Display`](fmt::Display) and [`FromStr`] use the names of `quark0/darts`, for example `sep_conv_3x3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum DartsOp {
    /// The edge passes nothing on.
    #[cfg_attr(feature = "serde", serde(rename = "none"))]
    None,
    /// 3×3 max pooling, then batch norm.
    #[cfg_attr(feature = "serde", serde(rename = "max_pool_3x3"))]
    MaxPool3x3,
    /// 3×3 average pooling that does not count the padding, then batch norm.
    #[cfg_attr(feature = "serde", serde(rename = "avg_pool_3x3"))]
    AvgPool3x3,
    /// Identity. On an edge that halves the image: two parallel 1×1 convolutions of stride 2, concatenated.
    #[cfg_attr(feature = "serde", serde(rename = "skip_connect"))]
    Skip,
    /// Separable 3×3 convolution: twice ReLU, depthwise 3×3 convolution, 1×1 convolution, batch norm.
    #[cfg_attr(feature = "serde", serde(rename = "sep_conv_3x3"))]
    SepConv3x3,
    /// Separable 5×5 convolution.
    #[cfg_attr(feature = "serde", serde(rename = "sep_conv_5x5"))]
    SepConv5x5,
    /// Dilated 3×3 convolution: ReLU, depthwise 3×3 convolution of dilation 2, 1×1 convolution, batch norm.
    #[cfg_attr(feature = "serde", serde(rename = "dil_conv_3x3"))]
    DilConv3x3,
    /// Dilated 5×5 convolution.
    #[cfg_attr(feature = "serde", serde(rename = "dil_conv_5x5"))]
    DilConv5x5,
    /// Separable 7×7 convolution, which is not in the space.
    #[cfg_attr(feature = "serde", serde(rename = "sep_conv_7x7"))]
    SepConv7x7,
    /// ReLU, 1×7 convolution, 7×1 convolution and batch norm, which are not in the space.
    #[cfg_attr(feature = "serde", serde(rename = "conv_7x1_1x7"))]
    Conv7x1And1x7,
}

impl DartsOp {
    /// All operations. The operations of the space come first, in digit order.
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

    /// Returns the name that `quark0/darts` uses.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }
}

impl fmt::Display for DartsOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for DartsOp {
    type Err = SpaceError;

    fn from_str(text: &str) -> Result<Self, SpaceError> {
        Self::ALL.into_iter().find(|op| op.name() == text).ok_or_else(|| SpaceError::UnknownOpName {
            op: text.to_owned(),
            space: super::NAME,
            valid: valid_ops(&NAMES),
        })
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

/// One cell of a genotype.
///
/// Nodes 0 and 1 are the outputs of the two preceding cells. Node n + 2 is the sum of edges 2n and 2n + 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CellGenotype {
    /// The operation and the source node of each edge, with two edges per node.
    pub edges: Vec<(DartsOp, usize)>,
    /// The nodes whose concatenation is the output of the cell.
    pub concat: Vec<usize>,
}

impl CellGenotype {
    /// Returns the number of intermediate nodes.
    pub fn nodes(&self) -> usize {
        self.edges.len() / 2
    }

    /// Returns the reason why the cell cannot be computed. `what` is its name.
    pub(super) fn fault(&self, what: &str) -> Option<String> {
        let nodes = self.nodes() + 2;
        if self.edges.is_empty() || !self.edges.len().is_multiple_of(2) {
            return Some(format!("{what} has {} edges, but each node needs two", self.edges.len()));
        }
        let late = self.edges.iter().enumerate().find(|(edge, (_, from))| *from >= edge / 2 + 2);
        if let Some((edge, (_, from))) = late {
            return Some(format!("edge {edge} of {what} leads from node {from} to node {}", edge / 2 + 2));
        }
        match self.concat.iter().find(|&&node| node >= nodes) {
            Some(node) => Some(format!("{what}_concat names node {node}, but there are {nodes} nodes")),
            None if self.concat.is_empty() => Some(format!("{what}_concat names no node")),
            None => None,
        }
    }
}

/// A DARTS genotype: a normal and a reduction cell.
///
/// A genotype can have any number of nodes, so NASNet and AmoebaNet are genotypes as well. [`Darts`](super::Darts) contains the genotypes
/// with four nodes. [`Display`](fmt::Display) writes Python notation, and [`FromStr`] reads what [`Genotype::parse`] reads.
///
/// ```
/// use pada_space::{DARTS_NAMED, DartsOp, Genotype, find_named};
///
/// let genotype: Genotype = find_named(DARTS_NAMED, "DARTS_V2").unwrap().text.parse()?;
/// assert_eq!(genotype.normal.edges[0], (DartsOp::SepConv3x3, 0));
/// assert!(genotype.to_string().starts_with("Genotype(normal=[('sep_conv_3x3', 0), "));
/// # Ok::<_, pada_space::SpaceError>(())
/// ```
///
/// # Source
/// `Genotype` in <https://github.com/quark0/darts/blob/f276dd3/cnn/genotypes.py>
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "Json", try_from = "Json")
)]
pub struct Genotype {
    /// The normal cell, which keeps the size of the image.
    pub normal: CellGenotype,
    /// The reduction cell, which halves the size of the image.
    pub reduce: CellGenotype,
}

impl Genotype {
    /// Checks that each node has two edges from earlier nodes and that the output concatenates existing nodes.
    ///
    /// # Errors
    /// Returns [`SpaceError::Malformed`].
    pub fn check(&self) -> Result<(), SpaceError> {
        match self.normal.fault("normal").or_else(|| self.reduce.fault("reduce")) {
            Some(reason) => Err(notation::malformed(&self.to_string(), reason)),
            None => Ok(()),
        }
    }

    /// Parses Python notation, `Genotype(normal=[('sep_conv_3x3', 1), ...], ...)`, or the form of `Genotype::to_json`.
    ///
    /// JSON needs the feature `serde`.
    ///
    /// # Errors
    /// Returns [`SpaceError::Malformed`], or [`SpaceError::UnknownOp`] with the index of the edge as its decision.
    pub fn parse(text: &str) -> Result<Self, SpaceError> {
        let text = text.trim();
        // A Python dict has single quotes.
        let genotype = if text.starts_with('{') && !text.contains(['\'', '\u{2019}', '(']) {
            from_json(text).map_err(|reason| notation::malformed(text, reason))?
        } else {
            notation::parse(text)?
        };
        genotype.check()?;
        Ok(genotype)
    }

    /// Writes JSON: `{"normal": [["sep_conv_3x3", 1], ...], "normal_concat": [2, 3, 4, 5], "reduce": ...}`.
    ///
    /// This needs the feature `serde`.
    #[cfg(feature = "serde")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("names and numbers have a JSON form")
    }

    /// Returns the cell of each layer of a network of `layers` layers, in which the layers that [`is_reduction`] names are reduction cells.
    pub fn cells(&self, layers: usize) -> Vec<&CellGenotype> {
        let kind = |layer| if is_reduction(layer, layers) { &self.reduce } else { &self.normal };
        (0..layers).map(kind).collect()
    }
}

#[cfg(feature = "serde")]
fn from_json(text: &str) -> Result<Genotype, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[cfg(not(feature = "serde"))]
fn from_json(_: &str) -> Result<Genotype, String> {
    Err("JSON genotypes need the feature `serde` of pada-space".to_owned())
}

impl FromStr for Genotype {
    type Err = SpaceError;

    fn from_str(text: &str) -> Result<Self, SpaceError> {
        Self::parse(text)
    }
}

/// Returns whether a layer of a DARTS network is a reduction cell: the layers at one third and two thirds of the depth are.
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

/// Writes the edges of a cell in Python notation.
pub(super) struct Edges<'a>(pub(super) &'a CellGenotype);

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

/// The JSON form. One `concat` may describe both cells, as in the tables of `antoyang/NAS-Benchmark`.
#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
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

#[cfg(feature = "serde")]
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

#[cfg(feature = "serde")]
impl TryFrom<Json> for Genotype {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        let Json { normal, normal_concat, reduce, reduce_concat, concat } = json;
        let pick = |own: Option<Vec<usize>>, cell: &str| {
            own.or_else(|| concat.clone()).ok_or_else(|| format!("neither {cell}_concat nor concat is given"))
        };
        Ok(Self {
            normal: CellGenotype { edges: normal, concat: pick(normal_concat, "normal")? },
            reduce: CellGenotype { edges: reduce, concat: pick(reduce_concat, "reduce")? },
        })
    }
}
