use pada_graph::Shape;
use thiserror::Error;

/// The error type of executors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The images do not have the input shape of the graph.
    #[error("the network expects images of {expected}, but these are {found} (channels × height × width)")]
    ImageShape {
        /// Input shape of the graph.
        expected: Shape,
        /// Shape of the images.
        found: Shape,
    },
    /// A label is not a class.
    #[error("image {index} of the batch has label {label}, but the network has {classes} classes")]
    BadLabel {
        /// Index in the batch.
        index: usize,
        /// The label.
        label: u32,
        /// K.
        classes: usize,
    },
    /// The batch is empty.
    #[error("the batch contains no images")]
    EmptyBatch,
    /// The batch refers to a data set or an image that was not uploaded to this executor.
    #[error(
        "the batch refers to images that were not uploaded to this executor; call `upload_dataset` on the same executor first"
    )]
    UnknownDataset,
    /// The number of labels or image weights differs from the number of images.
    #[error("there are {found} {what} for {images} images")]
    BatchLength {
        /// The name of the numbers that were counted.
        what: &'static str,
        /// The number that was found.
        found: usize,
        /// Number of images, B.
        images: usize,
    },
    /// An objective needs one factor per number of the output.
    #[error("there are {found} factors for an output of {expected} numbers")]
    Factors {
        /// The number that was found.
        found: usize,
        /// The number of the batch's outputs.
        expected: usize,
    },
    /// Kernels are moved by one number per weight of the layout.
    #[error("there are {found} numbers to move {expected} weights")]
    MovedKernels {
        /// The number that was found.
        found: usize,
        /// The number of weights of the layout.
        expected: usize,
    },
    /// The executor does not compute in f64.
    #[error("{executor} is not exact enough for gradients of moved kernels; create it with `Precision::F64`")]
    NeedsF64 {
        /// Name of the executor.
        executor: String,
    },
    /// Drop-path and dropout need one number per slot and image.
    #[error("there are {found} factors of drop-path and dropout for {slots} slots and {images} images")]
    DropPath {
        /// The number that was found.
        found: usize,
        /// Number of slots of the graph.
        slots: usize,
        /// B.
        images: usize,
    },
    /// The processes that share a batch failed to communicate.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// The library or the device of the executor failed.
    #[error("{executor} failed: {message}")]
    Backend {
        /// Name of the executor.
        executor: String,
        /// The error message.
        message: String,
    },
}
