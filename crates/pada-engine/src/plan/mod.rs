//! Plans: graphs compiled to operations on buffers.
//!
//! Operations are divided into levels. Between two levels, statistics of the whole batch are computed.

mod arena;
mod backward;
mod compile;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use backward::{Backward, GradientId, Target};
use pada_exec::Convolution;
use pada_graph::{Conv, Extent, Norm, Shape, WeightId};

use crate::geometry::Geometry;
use crate::kernels::Windows;

/// Index of a buffer: a value that is stored in memory for each image.
pub(crate) type BufferId = usize;
/// Index of a batch norm.
pub(crate) type NormId = usize;

/// The activation that the readers of a value apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Activation {
    None,
    Relu,
    Relu6,
}

impl Activation {
    /// Returns the lower and upper bound that the activation clamps its input to.
    pub(crate) fn bounds(self) -> (f64, f64) {
        match self {
            Self::None => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Relu => (0.0, f64::INFINITY),
            Self::Relu6 => (0.0, 6.0),
        }
    }
}

/// A value of `[H, W, stride]` numbers per image, channels last. Padding channels are zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Buffer {
    pub(crate) shape: Shape,
    /// The number of channels, rounded up to whole vectors.
    pub(crate) stride: usize,
}

impl Buffer {
    pub(crate) fn len(&self) -> usize {
        self.shape.pixels() * self.stride
    }
}

/// A value as an operation reads it: a buffer, which the reader normalises and activates. Outputs of norms and activations are not stored.
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
    /// Offset of the norm in tables with one number per channel of every norm.
    pub(crate) place: usize,
}

/// The connection of input and output channels of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Connection {
    /// Each output channel reads all input channels. Grouped convolutions have zeros in their weights.
    Dense,
    /// Dense, and computed in tiles by Winograd's algorithm.
    Tiled,
    /// Each output channel reads one input channel.
    Depthwise,
}

#[derive(Clone, Debug)]
pub(crate) struct ConvOp {
    pub(crate) source: Source,
    pub(crate) conv: Conv,
    pub(crate) connection: Connection,
    /// The bias, unless the next batch norm cancels it.
    pub(crate) bias: Option<WeightId>,
    pub(crate) geometry: Arc<Geometry>,
    /// Length of the run of numbers that a tap reads: C_in, times the kernel width if the taps of a row are merged.
    pub(crate) run: usize,
    /// Offset of its weights in the packed weights of its connection.
    pub(crate) packed: usize,
    /// Offset of its transformed weight gradient in those of its level, if it is computed in tiles.
    pub(crate) tiled_sums: usize,
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

/// The kind of the units that each have a factor of their own in [`Kind::Drop`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Each image: drop-path.
    Images,
    /// Each channel of each image: dropout.
    Channels,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Copies the images from channels first to channels last.
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
    /// Subtracts the anchor of an alignment loss from its value. The inputs are in the order [`ANCHOR`], [`VALUE`].
    Difference {
        share: f32,
        /// Index of the alignment.
        alignment: usize,
    },
    /// Multiplies a value by the sigmoid of a vector, channel by channel. The inputs are in the order [`GATED`], [`GATE`].
    Gate,
    /// Multiplies an image by its factor of drop-path, or each of its channels by a factor of dropout.
    Drop {
        /// Row of the first factor.
        slot: usize,
        dropped: Dropped,
    },
    /// Multiplies a value by one number of a weight tensor.
    Scale {
        factors: WeightId,
        index: usize,
    },
    /// Selects channels of a plain buffer.
    SelectChannels {
        source: BufferId,
        /// For every channel of the output, a channel of the source.
        order: Vec<usize>,
    },
    /// Writes which numbers are positive. It has no output in the arena.
    Signs {
        /// Index of its first word.
        word: usize,
    },
}

/// Index of the value among the inputs of [`Kind::Gate`].
pub(crate) const GATED: usize = 0;
/// Index of the vector among the inputs of [`Kind::Gate`], which is read without norm and activation.
pub(crate) const GATE: usize = 1;

/// Index of the anchor among the inputs of [`Kind::Difference`].
pub(crate) const ANCHOR: usize = 0;
/// Index of the value among the inputs of [`Kind::Difference`].
pub(crate) const VALUE: usize = 1;

#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) kind: Kind,
    /// The inputs.
    pub(crate) reads: Vec<Source>,
    pub(crate) out: BufferId,
    /// The level. Operations of one level run image by image. A level begins when the statistics of all earlier levels are known.
    pub(crate) level: usize,
    /// The norms whose batch statistics are computed from the output.
    pub(crate) norms: Vec<NormId>,
    /// Offset of its weight gradients in the sums of its level.
    pub(crate) sums: usize,
    pub(crate) sums_len: usize,
    /// Offset of its products of values and gradients, one per channel. `None` if nobody asked for them, or if it has no weights.
    pub(crate) products: Option<usize>,
}

/// The purpose of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Computes logits in evaluation mode, with running statistics if the norms have them.
    Forward,
    /// Updates running statistics with those of the batch.
    Recalibrate,
    /// Computes logits and gradients in training mode.
    Train,
    /// Computes the output in training mode, and the results that are asked for.
    Inspect(Wanted),
}

impl Mode {
    /// Returns whether losses of side nodes, drop-path and dropout belong to the pass.
    pub(crate) fn has_sides(self) -> bool {
        self == Self::Train
    }

    pub(crate) fn wanted(self) -> Wanted {
        match self {
            Self::Forward | Self::Recalibrate => Wanted::default(),
            Self::Train => Wanted { gradient: true, weights: true, ..Wanted::default() },
            Self::Inspect(wanted) => wanted,
        }
    }
}

/// The results that a pass computes besides its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// A backward pass.
    pub(crate) gradient: bool,
    /// The gradient of the weights.
    pub(crate) weights: bool,
    /// The gradient of the images.
    pub(crate) images: bool,
    /// The signs of inputs of ReLUs.
    pub(crate) signs: bool,
    /// Products of values and gradients.
    pub(crate) products: bool,
}

/// A compiled graph.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) buffers: Vec<Buffer>,
    pub(crate) norms: Vec<NormSlot>,
    /// Length of a table with one number per channel of every norm.
    pub(crate) norm_channels: usize,
    /// Number of alignment losses.
    pub(crate) alignments: usize,
    /// Logits of auxiliary heads with the factors of their losses.
    pub(crate) auxiliary: Vec<(BufferId, f32)>,
    /// The operations in order of execution, sorted by level.
    pub(crate) ops: Vec<Op>,
    pub(crate) levels: usize,
    pub(crate) output: BufferId,
    /// Per buffer: its offset in the arena of an image.
    pub(crate) places: Vec<usize>,
    /// Length of the arena of one image, in numbers.
    pub(crate) image_len: usize,
    /// Numbers per unit of dense convolutions.
    pub(crate) per: usize,
    /// Length of the packed weights of all dense convolutions, in units.
    pub(crate) dense_len: usize,
    /// Length of the packed weights of all depthwise convolutions, in numbers.
    pub(crate) depthwise_len: usize,
    /// Length of the transformed weights of all convolutions that are computed in tiles, in numbers.
    pub(crate) tiled_len: usize,
    /// Length of the transformed weight gradients of the level with the most of them.
    pub(crate) tiled_sums_len: usize,
    /// Stride of the widest buffer.
    pub(crate) widest: usize,
    pub(crate) backward: Option<Backward>,
    pub(crate) wanted: Wanted,
    /// Per ReLU: the first word of its signs, and its number of bits.
    pub(crate) relus: Vec<(usize, usize)>,
    /// Words of signs per image.
    pub(crate) signs_len: usize,
    /// Products per image.
    pub(crate) products_len: usize,
}

impl Plan {
    pub(crate) fn op_range(&self, level: usize) -> std::ops::Range<usize> {
        let first = self.ops.partition_point(|op| op.level < level);
        first..self.ops.partition_point(|op| op.level <= level)
    }

    /// Returns how many sums a chunk of images has: two for every channel of every norm, and one for every alignment.
    pub(crate) fn partial_len(&self) -> usize {
        2 * self.norm_channels + self.alignments
    }

    /// Returns the index of the sum of squares of an alignment.
    pub(crate) fn squares(&self, alignment: usize) -> usize {
        2 * self.norm_channels + alignment
    }

    /// Returns the input of the classifier. `None` if the output is not a linear layer.
    pub(crate) fn classifier_input(&self) -> Option<BufferId> {
        self.ops.iter().find(|op| op.out == self.output).and_then(|op| match op.kind {
            Kind::Linear { source, .. } => Some(source),
            _ => None,
        })
    }

    /// Returns the buffer that the images are copied to. `None` if the output does not depend on them.
    pub(crate) fn images(&self) -> Option<BufferId> {
        self.ops.iter().find(|op| matches!(op.kind, Kind::Load)).map(|op| op.out)
    }

    /// Returns the gradient of the images, if it was asked for and the output depends on them.
    pub(crate) fn image_gradient(&self, backward_plan: &Backward) -> Option<GradientId> {
        self.images().filter(|_| self.wanted.images).and_then(|images| backward_plan.of[images].total)
    }

    pub(crate) fn range(&self, buffer: BufferId) -> std::ops::Range<usize> {
        self.places[buffer]..self.places[buffer] + self.buffers[buffer].len()
    }
}

/// Everything that a geometry depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct GeometryKey {
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    offset: usize,
    extent: Extent,
    input: Shape,
    output: Shape,
    strides: [usize; 2],
    border: usize,
    connection: Connection,
}

/// The properties of a processor or device that a plan depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    /// Numbers per vector.
    pub(crate) lanes: usize,
    /// Numbers per unit of dense convolutions.
    pub(crate) per: usize,
}

/// Compiles graphs to plans and caches the geometries of convolutions.
#[derive(Debug)]
pub(crate) struct Compiler {
    geometries: HashMap<GeometryKey, Arc<Geometry>>,
    convolution: Convolution,
}

impl Compiler {
    pub(crate) fn new(convolution: Convolution) -> Self {
        Self { geometries: HashMap::new(), convolution }
    }
}
