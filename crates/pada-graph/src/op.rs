use std::fmt;

use crate::WeightId;

/// Shape of a value for one image: C × H × W.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// C, channels.
    pub channels: usize,
    /// H, height.
    pub height: usize,
    /// W, width.
    pub width: usize,
}

impl Shape {
    /// Creates a shape of C × H × W.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// Creates the shape of a vector, C × 1 × 1.
    pub fn vector(channels: usize) -> Self {
        Self::new(channels, 1, 1)
    }

    /// Returns H · W.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Returns the number of elements, C · H · W.
    pub fn numel(&self) -> usize {
        self.channels * self.pixels()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// A two-dimensional convolution, as PyTorch's `Conv2d`.
///
/// # Shapes
/// The weight is `[C_out, C_in / groups, kernel, kernel]`, the bias `[C_out]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// The kernel.
    pub weight: WeightId,
    /// The optional bias.
    pub bias: Option<WeightId>,
    /// Number of output channels.
    pub out_channels: usize,
    /// Kernel size in both directions.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Zero padding on every side.
    pub padding: usize,
    /// Dilation.
    pub dilation: usize,
    /// Number of groups.
    pub groups: usize,
    /// Offset of the first window in both directions: without padding the convolution reads `x[:, :, offset:, offset:]`. Factorised
    /// reductions of DARTS use it.
    pub offset: usize,
    /// Directions of the kernel.
    pub extent: Extent,
}

/// Directions in which a convolution's kernel, stride and padding apply. In the other direction, the kernel has size 1, the stride is 1, and
/// there is no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// k × k kernel.
    Square,
    /// 1 × k kernel, along the width.
    Row,
    /// k × 1 kernel, along the height.
    Column,
}

impl Conv {
    /// Creates a dense convolution with "same" padding `(kernel − 1) / 2` and without bias. It keeps the image size at stride 1.
    pub fn same(weight: WeightId, out_channels: usize, kernel: usize, stride: usize) -> Self {
        let padding = (kernel - 1) / 2;
        Self {
            weight,
            bias: None,
            out_channels,
            kernel,
            stride,
            padding,
            dilation: 1,
            groups: 1,
            offset: 0,
            extent: Extent::Square,
        }
    }

    /// Returns the windows along the height and along the width.
    pub fn axes(&self) -> [Axis; 2] {
        let along = Axis { kernel: self.kernel, stride: self.stride, padding: self.padding };
        let across = Axis { kernel: 1, stride: 1, padding: 0 };
        match self.extent {
            Extent::Square => [along, along],
            Extent::Row => [across, along],
            Extent::Column => [along, across],
        }
    }

    /// Returns height and width of the kernel.
    pub fn taps(&self) -> [usize; 2] {
        self.axes().map(|axis| axis.kernel)
    }
}

/// The window of a convolution along one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Size of the kernel.
    pub kernel: usize,
    /// Distance of neighbouring windows.
    pub stride: usize,
    /// Zeros on both sides.
    pub padding: usize,
}

/// A batch norm, as PyTorch's `BatchNorm2d`: `(x − mean) / √(var + eps)` per channel, then `· scale + shift` if it is affine. In training
/// mode, mean and biased variance are those of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Scale and shift, both `[C]`. `None` for `affine=False`.
    pub affine: Option<(WeightId, WeightId)>,
    /// ε, added to the variance.
    pub eps: f32,
    /// Statistics in evaluation mode.
    pub statistics: Statistics,
}

impl Norm {
    /// PyTorch's default momentum of running statistics.
    pub const MOMENTUM: f32 = 0.1;
}

/// Mean and variance of a batch norm in evaluation mode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistics {
    /// Statistics of the batch, as in training mode (PyTorch's `track_running_stats=False`).
    Batch,
    /// Running averages over training batches, as in PyTorch: `r = (1 − momentum) · r + momentum · batch`, with unbiased variance.
    Running {
        /// `[C]`, a buffer that no gradient reaches.
        mean: WeightId,
        /// `[C]`, a buffer that no gradient reaches.
        var: WeightId,
        /// Weight of the newest batch.
        momentum: f32,
    },
}

/// The window of a pooling operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Window size in both directions.
    pub kernel: usize,
    /// Stride.
    pub stride: usize,
    /// Padding on every side. It does not count in an average (`count_include_pad=False`) and is never the maximum.
    pub padding: usize,
}

/// An operation of a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The input images.
    Input,
    /// Zeros of the node's shape.
    Zero,
    /// A convolution.
    Conv(Conv),
    /// A batch norm.
    Norm(Norm),
    /// ReLU, `max(x, 0)`. Its derivative at 0 is 0, as in PyTorch.
    Relu,
    /// ReLU6, `min(max(x, 0), 6)`. Its derivative at 0 and 6 is 0.
    Relu6,
    /// Average pooling; padding does not count.
    AvgPool(Pool),
    /// Max pooling. If several values are the maximum, the gradient goes to the first in row order.
    MaxPool(Pool),
    /// Sum of all inputs.
    Add,
    /// Concatenation of all inputs along the channels.
    Concat,
    /// Global average pooling.
    GlobalAvgPool,
    /// The first input times the sigmoid of the second, a vector with one number per channel: the gate of
    /// squeeze-and-excitation.
    Gate,
    /// A linear layer on a vector: `weight · x + bias`.
    Linear {
        /// `[out, in]`
        weight: WeightId,
        /// `[out]`
        bias: WeightId,
        /// Number of output features.
        out: usize,
    },
    /// Multiplies its input by one number of a weight tensor, `factors[index]`: the share of an operation in a mixture, as in DARTS. The
    /// gradient reaches the number.
    Scale {
        /// The tensor of the number.
        factors: WeightId,
        /// Index of the number in the row-major tensor.
        index: usize,
    },
    /// Selects channels, as `torch.index_select` along dimension 1: output channel i is the input channel `order[i]`. It expresses slices of
    /// channels and channel shuffles.
    SelectChannels {
        /// For every output channel, an input channel.
        order: Vec<usize>,
    },
    /// Feature alignment: adds `share` · mean over B, C, H, W of `(value − anchor)²` to the loss. Its inputs are the anchor and the value. Only
    /// the value gets a gradient, the anchor is detached. It is a side node: no node reads it, and it is never the output.
    Align {
        /// Factor on the mean.
        share: f32,
    },
    /// Drop-path: multiplies each image by a factor of its own (`LossSpec::drop_path` of pada-exec), 0 if the path is dropped and 1 / (1 − p)
    /// otherwise. It is the identity in evaluation mode.
    DropPath {
        /// Row of the factors.
        slot: usize,
    },
    /// Dropout: multiplies each channel of each image by a factor of its own, 0 if the channel is dropped and 1 / (1 − p) otherwise, as
    /// `torch.nn.Dropout` on a vector. The factors are C rows of those of drop-path. It is the identity in evaluation mode.
    Dropout {
        /// Row of the factors of channel 0. Those of the other channels follow.
        slot: usize,
    },
    /// Adds `share` · the cross entropy of its input, the logits of an auxiliary head, to the loss, with the same image weights and label
    /// smoothing as the main loss. It is a side node: no node reads it, and it is never the output.
    Auxiliary {
        /// Factor on the cross entropy.
        share: f32,
    },
}

impl Op {
    /// Returns the weights that the operation reads, without running statistics.
    pub fn weights(&self) -> Vec<WeightId> {
        match self {
            Self::Conv(conv) => std::iter::once(conv.weight).chain(conv.bias).collect(),
            Self::Norm(norm) => norm.affine.iter().flat_map(|&(scale, shift)| [scale, shift]).collect(),
            Self::Linear { weight, bias, .. } => vec![*weight, *bias],
            Self::Scale { factors, .. } => vec![*factors],
            _ => Vec::new(),
        }
    }

    /// Returns whether the operation is a side node, which only adds to the loss.
    pub fn is_side(&self) -> bool {
        matches!(self, Self::Align { .. } | Self::Auxiliary { .. })
    }

    /// Returns a short name for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Zero => "zero",
            Self::Conv(_) => "convolution",
            Self::Norm(_) => "batch norm",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::AvgPool(_) => "average pooling",
            Self::MaxPool(_) => "max pooling",
            Self::Add => "sum",
            Self::Concat => "concatenation",
            Self::GlobalAvgPool => "global average",
            Self::Gate => "gate",
            Self::Linear { .. } => "linear layer",
            Self::Scale { .. } => "scale",
            Self::SelectChannels { .. } => "selection of channels",
            Self::Align { .. } => "alignment",
            Self::DropPath { .. } => "drop-path",
            Self::Dropout { .. } => "dropout",
            Self::Auxiliary { .. } => "auxiliary loss",
        }
    }
}
