use std::fmt;

use crate::WeightId;

/// Extent of a value for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// C
    pub channels: usize,
    /// H
    pub height: usize,
    /// W
    pub width: usize,
}

impl Shape {
    /// A shape of C × H × W.
    pub fn new(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width }
    }

    /// A vector: C × 1 × 1.
    pub fn vector(channels: usize) -> Self {
        Self::new(channels, 1, 1)
    }

    /// H · W.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// C · H · W.
    pub fn numel(&self) -> usize {
        self.channels * self.pixels()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}×{}", self.channels, self.height, self.width)
    }
}

/// A convolution; the weight is `[C_out, C_in / groups, kernel, kernel]`, the bias `[C_out]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// The kernel's weights.
    pub weight: WeightId,
    /// Added to every pixel of an output channel.
    pub bias: Option<WeightId>,
    /// Channels of the output.
    pub out_channels: usize,
    /// Extent of the kernel in both directions.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Zeros on every side.
    pub padding: usize,
    /// Distance of the kernel's taps.
    pub dilation: usize,
    /// Into how many groups the channels are split.
    pub groups: usize,
    /// How many pixels further down and right the first window begins; without padding the convolution reads
    /// `x[:, :, offset:, offset:]`.
    pub offset: usize,
    /// In which directions the kernel reaches.
    pub extent: Extent,
}

/// In which directions a convolution's kernel, stride and padding count. Only square ones can be computed; the others are there to
/// be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extent {
    /// k × k.
    Square,
    /// 1 × k: only along the width.
    Row,
    /// k × 1: only along the height.
    Column,
}

impl Conv {
    /// A dense convolution that keeps the size at stride 1: padding `(kernel − 1) / 2`, no bias.
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

    /// Height and width of the kernel.
    pub fn taps(&self) -> [usize; 2] {
        match self.extent {
            Extent::Square => [self.kernel, self.kernel],
            Extent::Row => [1, self.kernel],
            Extent::Column => [self.kernel, 1],
        }
    }
}

/// A batch norm: `(x − mean) / √(var + eps)` per channel, then, where it is affine, `· scale + shift`. While it is trained, mean and
/// biased variance are those of the batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm {
    /// Scale and shift, both `[C]`.
    pub affine: Option<(WeightId, WeightId)>,
    /// Added to the variance.
    pub eps: f32,
    /// Which statistics it uses in evaluation.
    pub statistics: Statistics,
}

impl Norm {
    /// Share of the newest batch in running statistics; PyTorch's default.
    pub const MOMENTUM: f32 = 0.1;
}

/// Which mean and variance a batch norm uses in evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistics {
    /// Those of the batch, as in training.
    Batch,
    /// Averages over the batches it was trained with: `r = (1 − momentum) · r + momentum · batch`, the variance unbiased, as in PyTorch.
    Running {
        /// `[C]`, no weight: nothing but passes moves it.
        mean: WeightId,
        /// `[C]`, likewise.
        var: WeightId,
        /// Share of the newest batch.
        momentum: f32,
    },
}

/// A pooling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Extent of the window in both directions.
    pub kernel: usize,
    /// Step of the window.
    pub stride: usize,
    /// Border on every side; it is never counted in an average and never the maximum.
    pub padding: usize,
}

/// An operation of a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// The images.
    Input,
    /// Zeros.
    Zero,
    /// Convolution.
    Conv(Conv),
    /// Batch norm.
    Norm(Norm),
    /// `max(x, 0)`; its derivative at 0 is 0, as in PyTorch.
    Relu,
    /// `min(max(x, 0), 6)`; its derivative at 0 and 6 is 0.
    Relu6,
    /// Mean of a window, padding not counted.
    AvgPool(Pool),
    /// Maximum of a window; of several, the gradient goes to the first in row order.
    MaxPool(Pool),
    /// Sum of all inputs.
    Add,
    /// All inputs one behind the other along the channels.
    Concat,
    /// Mean over height and width.
    GlobalAvgPool,
    /// The first input times the sigmoid of the second, a vector with one number per channel: the end of squeeze and excitation. It
    /// can be counted, not computed.
    Gate,
    /// `weight · x + bias`, weight `[out, in]`, bias `[out]`, on a vector.
    Linear {
        /// `[out, in]`
        weight: WeightId,
        /// `[out]`
        bias: WeightId,
        /// Length of the output.
        out: usize,
    },
    /// Adds `share` · mean over B, C, H, W of `(value − anchor)²` to the loss; its inputs are the anchor and the value. Only the
    /// value gets a gradient: the anchor stands still. A side node: nothing reads it, and it is never the output.
    Align {
        /// Factor on the mean.
        share: f32,
    },
    /// Each image times a number of its own, [`crate::LossSpec::drop_path`]: 0 where the path is dropped, 1 / (1 − p) elsewhere.
    /// Only passes for gradients have such numbers; in others it changes nothing.
    DropPath {
        /// Which row of the numbers.
        slot: usize,
    },
    /// Adds `share` · the cross entropy of its input, logits of an auxiliary head, to the loss; weighted and smoothed as that of the
    /// output. A side node: nothing reads it, and it is never the output.
    Auxiliary {
        /// Factor on the cross entropy.
        share: f32,
    },
}

impl Op {
    /// The weights it reads.
    pub fn weights(&self) -> Vec<WeightId> {
        match self {
            Self::Conv(conv) => std::iter::once(conv.weight).chain(conv.bias).collect(),
            Self::Norm(norm) => norm.affine.iter().flat_map(|&(scale, shift)| [scale, shift]).collect(),
            Self::Linear { weight, bias, .. } => vec![*weight, *bias],
            _ => Vec::new(),
        }
    }

    /// Whether it adds to the loss alone: nothing reads it, and it is never the output.
    pub fn is_side(&self) -> bool {
        matches!(self, Self::Align { .. } | Self::Auxiliary { .. })
    }

    /// A short name for messages.
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
            Self::Align { .. } => "alignment",
            Self::DropPath { .. } => "drop-path",
            Self::Auxiliary { .. } => "auxiliary loss",
        }
    }
}
