use thiserror::Error;

use crate::Shape;

/// Why a graph cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GraphError {
    /// Two inputs that must agree do not.
    #[error("{op}: inputs of shapes {left} and {right} do not fit together")]
    ShapeMismatch {
        /// The operation.
        op: &'static str,
        /// The first input.
        left: Shape,
        /// The one that differs.
        right: Shape,
    },
    /// The input is smaller than the window.
    #[error("{op}: a window of {window} does not fit into an input of {input} (channels × height × width)")]
    TooSmall {
        /// The operation.
        op: &'static str,
        /// Extent of the window, with dilation, less the padding.
        window: usize,
        /// The input.
        input: Shape,
    },
    /// A pooling window could lie in the border altogether.
    #[error("a pooling window of {kernel} has a border of {padding}; it may be half the window at most")]
    PoolPadding {
        /// Extent of the window.
        kernel: usize,
        /// The border.
        padding: usize,
    },
    /// The network halves images that cannot be halved.
    #[error(
        "images of {input}: height and width must be multiples of {by}, the network halves them on the way"
    )]
    ImageSize {
        /// Channels, height and width.
        input: Shape,
        /// What must divide height and width.
        by: usize,
    },
    /// The network has no lowering beside an anchor.
    #[error("this network cannot be aligned with an anchor yet: train it with another rule than magic-at")]
    NoAlignment,
    /// A graph that can only be counted.
    #[error("a network with a {op} cannot stand alone: that is counted but not computed here")]
    NotAlone {
        /// What is in the way.
        op: &'static str,
    },
    /// A weight's shape is not the one the operation needs.
    #[error("{op}: weight {name} has shape {found:?}, {expected:?} is needed")]
    WeightShape {
        /// The operation.
        op: &'static str,
        /// The weight's name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// What the operation needs.
        expected: Vec<usize>,
    },
    /// The architecture does not belong to the search space of the network.
    #[error(transparent)]
    Arch(#[from] pada_space::SpaceError),
}
