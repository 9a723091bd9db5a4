//! A graph as the engine runs it: operations on buffers, cut into levels between which the statistics of a whole batch are
//! needed.

mod arena;
mod backward;
mod compile;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use backward::{Backward, GradientId, Target};
use pada_graph::{Conv, Norm, Shape, WeightId};

use crate::geometry::Geometry;
use crate::kernels::Windows;

/// A value that lies in memory, one place per image.
pub(crate) type BufferId = usize;
/// A batch norm: its statistics and what follows from them.
pub(crate) type NormId = usize;

/// What a value's reader does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Activation {
    None,
    Relu,
    Relu6,
}

impl Activation {
    /// The numbers it keeps its input between.
    pub(crate) fn bounds(self) -> (f64, f64) {
        match self {
            Self::None => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Relu => (0.0, f64::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// `[H, W, stride]` numbers per image, channels last; the channels behind the last are zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    pub(crate) shape: Shape,
    /// Channels, rounded up to whole vectors.
    pub(crate) stride: usize,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.shape.pixels() * self.stride
    }
}

/// A value as it is read: a buffer, normalised and activated on the way. Norms and activations have no memory of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) buffer: BufferId,
    pub(crate) norm: Option<NormId>,
    pub(crate) act: Activation,
}

/// A batch norm over a buffer.
#[derive(Clone, Debug)]
pub(crate) struct NormSlot {
    pub(crate) buffer: BufferId,
    pub(crate) norm: Norm,
    /// Where its numbers begin in tables with one number per channel of every norm.
    pub(crate) place: usize,
}

/// How the channels of a convolution are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Connection {
    /// All inputs with all outputs; groups are zeros in the weights.
    Dense,
    /// Each input with its own output.
    Depthwise,
}

#[derive(Clone, Debug)]
pub(crate) struct ConvOp {
    pub(crate) source: Source,
    pub(crate) conv: Conv,
    pub(crate) connection: Connection,
    /// The bias, unless a batch norm takes it away.
    pub(crate) bias: Option<WeightId>,
    pub(crate) geometry: Arc<Geometry>,
    /// C_in, times the kernel's columns where those lie side by side in memory.
    pub(crate) run: usize,
    /// Where its weights begin among the packed ones of its connection.
    pub(crate) packed: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Term {
    Value(Source),
    /// Average pooling of a plain buffer.
    Pool(BufferId, Windows),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoolKind {
    Average,
    Maximum,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The images, from channels first to channels last.
    Load,
    Conv(ConvOp),
    Combine {
        terms: Vec<Term>,
        act: Activation,
    },
    Pool {
        source: BufferId,
        kind: PoolKind,
        windows: Windows,
    },
    Concat {
        sources: Vec<BufferId>,
    },
    GlobalPool {
        source: Source,
    },
    Linear {
        source: BufferId,
        weight: WeightId,
        bias: WeightId,
    },
    /// The difference of an alignment's value to its anchor, which it reads in the order [`ANCHOR`], [`VALUE`].
    Difference {
        share: f32,
        /// Its number among all alignments.
        alignment: usize,
    },
    /// An image times its number for drop-path.
    DropPath {
        slot: usize,
    },
}

/// Inputs of [`Kind::Difference`].
pub(crate) const ANCHOR: usize = 0;
pub(crate) const VALUE: usize = 1;

#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    /// Its inputs.
    pub(crate) reads: Vec<Source>,
    pub(crate) out: BufferId,
    /// Operations of one level run image by image; a level begins when the statistics of the levels before are known.
    pub(crate) level: usize,
    /// Norms whose statistics are gathered from its output.
    pub(crate) norms: Vec<NormId>,
    /// Where the gradients of its weights begin among those of its level.
    pub(crate) sums: usize,
    pub(crate) sums_len: usize,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Logits, with running statistics where there are any.
    Forward,
    /// Running statistics of the batch.
    Recalibrate,
    /// Gradients.
    Train,
}

/// A compiled graph.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) norms: Vec<NormSlot>,
    /// Numbers in a table with one number per channel of every norm.
    pub(crate) norm_channels: usize,
    /// How many alignments there are.
    pub(crate) alignments: usize,
    /// Logits of auxiliary heads, and the factors on their losses.
    pub(crate) auxiliary: Vec<(BufferId, f32)>,
    /// In order of execution: by level.
    pub(crate) ops: Vec<Op>,
    pub(crate) levels: usize,
    pub(crate) output: BufferId,
    /// Per buffer: where it lies in an image's part of the arena.
    pub(crate) places: Vec<usize>,
    /// Numbers of an image's part of the arena.
    pub(crate) image_len: usize,
    /// Numbers in a unit of dense convolutions.
    pub(crate) per: usize,
    /// Units of all packed weights of dense convolutions.
    pub(crate) dense_len: usize,
    /// Numbers of all packed weights of depthwise convolutions.
    pub(crate) depthwise_len: usize,
    /// The widest buffer.
    pub(crate) widest: usize,
    pub(crate) backward: Option<Backward>,
}

impl Plan {
    pub(crate) fn op_range(&self, level: usize) -> std::ops::Range<usize> {
        let first = self.ops.partition_point(|op| op.level < level);
        first..self.ops.partition_point(|op| op.level <= level)
    }

    /// How many sums a chunk of images keeps: two for every channel of every norm, and one for every alignment.
    pub(crate) fn partial_len(&self) -> usize {
        2 * self.norm_channels + self.alignments
    }

    /// Where a chunk keeps the squares of an alignment.
    pub(crate) fn squares(&self, alignment: usize) -> usize {
        2 * self.norm_channels + alignment
    }

    /// What the linear layer of the output reads; none if the output is something else.
    pub(crate) fn classifier_input(&self) -> Option<BufferId> {
        self.ops.iter().find(|op| op.out == self.output).and_then(|op| match op.kind {
            Kind::Linear { source, .. } => Some(source),
            _ => None,
        })
    }

    pub(crate) fn range(&self, buffer: BufferId) -> std::ops::Range<usize> {
        self.places[buffer]..self.places[buffer] + self.buffers[buffer].len()
    }
}

/// Everything a geometry depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GeometryKey {
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    offset: usize,
    input: Shape,
    output: Shape,
    strides: [usize; 2],
    border: usize,
    connection: Connection,
}

/// What a plan is compiled for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Numbers of a vector.
    pub(crate) lanes: usize,
    /// Numbers of a unit of dense convolutions.
    pub(crate) per: usize,
}

/// Compiles graphs; remembers the geometry of every kind of convolution it has met.
#[derive(Debug, Default)]
pub(crate) struct Compiler {
    geometries: HashMap<GeometryKey, Arc<Geometry>>,
}
