use pada_space::SpaceError;
use thiserror::Error;

use crate::Shape;

/// The error type for building, freezing and exporting graphs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// Two inputs have different shapes.
    #[error("{op}: input shapes {left} and {right} do not match (channels × height × width)")]
    ShapeMismatch {
        /// The operation.
        op: &'static str,
        /// Shape of the first input.
        left: Shape,
        /// Shape of the input that differs.
        right: Shape,
    },
    /// The input is smaller than the window.
    #[error(
        "{op}: a window of {window} does not fit into an input of {input} (channels × height × width); use larger images"
    )]
    TooSmall {
        /// The operation.
        op: &'static str,
        /// Size of the window with dilation, minus the padding.
        window: usize,
        /// Shape of the input.
        input: Shape,
    },
    /// A pooling window could lie completely in the padding.
    #[error(
        "a pooling window of {kernel} has a padding of {padding}, but the padding must be at most half of the window"
    )]
    PoolPadding {
        /// Size of the window.
        kernel: usize,
        /// The padding.
        padding: usize,
    },
    /// The image size is not divisible by the strides of the network.
    #[error(
        "images of {input} do not fit the network, whose strides need height and width to be multiples of {by}"
    )]
    ImageSize {
        /// Shape of the images.
        input: Shape,
        /// The divisor of height and width.
        by: usize,
    },
    /// The network does not implement alignment with an anchor, see [`crate::Lower::lower_aligned`].
    #[error(
        "this network does not support alignment with an anchor; use another training rule than magic-at"
    )]
    NoAlignment,
    /// The network has no factors for mixtures of operations, see [`crate::Lower::lower_mixture`].
    #[error("this network has no mixtures of operations, which a differentiable search needs")]
    NoMixture,
    /// Dropout needs a classifier, see [`crate::Graph::with_dropout`].
    #[error("the network does not end in a linear layer, so it has no classifier whose input can be dropped")]
    NoClassifier,
    /// The shape of a weight does not fit the operation.
    #[error("{op}: weight {name} has shape {found:?} instead of {expected:?}")]
    WeightShape {
        /// The operation.
        op: &'static str,
        /// Name of the weight.
        name: String,
        /// Shape of the weight.
        found: Vec<usize>,
        /// Shape that the operation needs.
        expected: Vec<usize>,
    },
    /// The architecture does not belong to the search space of the network.
    #[error(transparent)]
    Arch(#[from] SpaceError),
    /// The number of values is not that of the layout.
    #[error("there are {found} values, but the layout has {expected}; pass the values of the same network")]
    ValueCount {
        /// Number of values.
        found: usize,
        /// Length of the layout's flat buffer.
        expected: usize,
    },
    /// A network was frozen from one weight layout and is filled from another.
    #[error(
        "weight {name} is not where it was when the network was frozen; pass the layout that it was frozen from"
    )]
    OtherLayout {
        /// Name of the first weight that differs.
        name: String,
    },
    /// Batch norms have no running statistics, so that their outputs would be wrong in evaluation mode.
    #[error(
        "{count} batch norms have no running statistics, for example {name}; run `Executor::recalibrate` on the frozen network first"
    )]
    UncalibratedNorms {
        /// Number of such norms.
        count: usize,
        /// Name of the first one.
        name: String,
    },
}
