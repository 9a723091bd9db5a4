//! The executor contract: what training code asks of the code that computes forward and backward passes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ByteImages, DeviceDataset, Graph, Images, LossSpec, SgdStep, Shape, WeightId, WeightLayout};

/// A batch of labelled images.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The images, B of them.
    pub images: Images<'a>,
    /// `[B]`, class of each image, below K.
    pub labels: &'a [u32],
}

/// Unnormalised class scores of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// `[B, K]`
    pub values: Vec<f32>,
    /// K, number of classes.
    pub classes: usize,
}

impl Logits {
    /// Returns the scores of one image, `[K]`.
    pub fn row(&self, image: usize) -> &[f32] {
        &self.values[image * self.classes..(image + 1) * self.classes]
    }

    /// Returns the scores of all images, `[K]` each.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }

    /// Returns the predicted class of each image: the one with the largest score, or the first of several.
    pub fn best(&self) -> impl Iterator<Item = usize> + '_ {
        let best = |row: &[f32]| {
            row.iter().enumerate().fold(0, |best, (k, v)| if *v > row[best] { k } else { best })
        };
        self.rows().map(best)
    }

    /// Returns the number of images whose [predicted class](Self::best) is their label.
    pub fn correct(&self, labels: &[u32]) -> usize {
        self.best().zip(labels).filter(|&(best, &label)| best == label as usize).count()
    }
}

/// The number of correctly classified images over some batches.
///
/// [`Executor::count`] adds to it. An executor may keep a part of the count on its device until [`Executor::counts`] asks for it, so that
/// the host does not wait after every batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CorrectCounts {
    /// The count that has arrived on the host.
    pub known: usize,
    /// Index of the counter on the device that holds the rest. `None` if there is none.
    pub kept: Option<usize>,
}

/// The results of a forward and backward pass, besides the gradient.
#[derive(Clone, Debug)]
pub struct StepStats {
    /// Mean cross entropy of the batch in nats, without the factors of [`LossSpec`], label smoothing or auxiliary heads.
    pub loss: f64,
    /// `[B, K]`, computed with the weights before the update.
    pub logits: Logits,
    /// `[B]`, L2 norm of the feature vector that the classifier reads of each image. Empty if the output is not a linear layer.
    pub feature_norms: Vec<f32>,
    /// Sum of all alignment losses of the graph, each times its share, without the factors of [`LossSpec`]. 0 if there are none.
    pub alignment: f64,
}

/// Numeric precision of the computation. Weights, momentum and gradients are always stored in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// Single precision.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// Mixed precision: convolutions multiply bf16 numbers and accumulate in f32, everything else is f32. It is faster if the processor
    /// has bf16 instructions. Without them an executor computes in f32, and its name says so.
    #[serde(rename = "bf16")]
    Bf16,
    /// Double precision, for checks. In f32, rounding occasionally moves a value to the other side of a ReLU, which changes the gradients
    /// of all earlier weights by about 1 %; in f64 this does not happen.
    #[serde(rename = "f64")]
    F64,
}

/// Batch-norm statistics in training if several processes share a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNormSync {
    /// Statistics of the whole batch, as `torch.nn.SyncBatchNorm`. Results are the same for any number of processes, which communicate at
    /// every batch norm.
    #[default]
    Sync,
    /// Statistics of the images of each process, as `DistributedDataParallel` without `SyncBatchNorm`. Processes communicate only to sum
    /// the gradient, and results depend on the number of processes.
    Local,
}

/// A flat buffer of an executor, in the order of the [`WeightLayout`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The weights, including running statistics.
    Weights,
    /// The momentum of SGD.
    Momentum,
}

/// Owns the shared weights of a supernet and computes with them: the contract that training and scoring are written against.
///
/// An executor is created from a [`WeightLayout`] and initial values. It then evaluates op graphs ([`Graph`], one per architecture) that
/// read weights of this layout. A training step is
///
/// ```text
/// executor.zero_gradient();
/// for each path of the step:
///     executor.gradients(&graph, &batch, &loss)?;   // accumulates
/// let norms = executor.gradient_norms();            // one per weight tensor, for the samplers
/// executor.update(&sgd_step);
/// ```
///
/// Scoring an architecture is [`Executor::logits`], or [`Executor::count`] if only the number of correct images is needed. Data sets that
/// fit on the device can be uploaded once with [`Executor::upload_dataset`]; batches then refer to images by index.
///
/// # Errors on devices
/// Methods that return a `Result` report errors of their own call. Methods that do not, such as [`Executor::update`] and
/// [`Executor::read`], may fail on a device; such an error is stored and returned by [`Executor::deferred_error`].
///
/// # Letters in shapes
/// B batch, C channels, H height, W width, K classes, N images of a data set.
pub trait Executor {
    /// Returns the name of the executor and its device, for logs and records.
    fn name(&self) -> &str;

    /// Returns names, shapes and positions of the weights.
    fn layout(&self) -> &WeightLayout;

    /// Computes a forward pass in evaluation mode.
    ///
    /// Batch norms use their running statistics. Norms without running statistics ([`crate::Statistics::Batch`]) use the statistics of
    /// this batch.
    ///
    /// # Shapes
    /// `images` is `[B, C, H, W]` with the input shape of the graph; the result is `[B, K]`.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if the images do not fit the graph, or if the device fails.
    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError>;

    /// Uploads images to the device, so that batches can refer to them by index ([`crate::Pixels::Range`], [`crate::Pixels::Augmented`]).
    ///
    /// The data set stays on the device as long as the executor exists. Returns `None` if it does not fit, or if an upload would save
    /// nothing, as on the CPU.
    ///
    /// # Errors
    /// Returns [`ExecError::Backend`] if the device fails.
    fn upload_dataset(&mut self, images: &ByteImages<'_>) -> Result<Option<DeviceDataset>, ExecError> {
        let _ = images;
        Ok(None)
    }

    /// Computes the forward pass of [`Executor::logits`] and adds the number of correctly classified images to `counts`.
    ///
    /// It may return before the pass is finished. [`Executor::counts`] waits for the result.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if images or labels do not fit the graph, or if the device fails.
    fn count(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        counts: &mut CorrectCounts,
    ) -> Result<(), ExecError> {
        batch.check_labels(graph)?;
        counts.known += self.logits(graph, &batch.images)?.correct(batch.labels);
        Ok(())
    }

    /// Waits for all pending [`Executor::count`] calls and returns the number of correct images for each of `counts`.
    ///
    /// Counters that are not among `counts` are discarded.
    ///
    /// # Errors
    /// Returns an [`ExecError`], also for passes that were still running when [`Executor::count`] returned.
    fn counts(&mut self, counts: &[CorrectCounts]) -> Result<Vec<usize>, ExecError> {
        Ok(counts.iter().map(|counts| counts.known).collect())
    }

    /// Recalibrates the running statistics of the graph's batch norms with one more batch.
    ///
    /// `batch` counts the calls from 0. After batches 0, 1, …, n the running statistics are the mean over these batches, as with
    /// `momentum=None` in PyTorch, whatever they were before. Shared weights need this for each architecture before it is scored.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if the images do not fit the graph, or if the device fails.
    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, batch: usize) -> Result<(), ExecError>;

    /// Starts a step: sets the gradient to zero and marks all weights as unused.
    fn zero_gradient(&mut self);

    /// Computes a forward and backward pass in training mode and adds its gradient to the accumulated one.
    ///
    /// Batch norms use the statistics of this batch and update their running statistics.
    ///
    /// # Shapes
    /// `batch.images` is `[B, C, H, W]`, `batch.labels` is `[B]`.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if images, labels or the lengths in `loss` do not fit, or if the device fails.
    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> Result<StepStats, ExecError>;

    /// Returns the L2 norm of the accumulated gradient of every weight tensor, in the order of the layout.
    fn gradient_norms(&self) -> Vec<f64>;

    /// Returns the accumulated gradient of one weight tensor.
    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]>;

    /// Updates the weights by one step of SGD.
    fn update(&mut self, step: &SgdStep);

    /// Returns a copy of a flat buffer, in the order of the layout. Check [`Executor::deferred_error`] before you persist it.
    fn read(&self, state: State) -> Vec<f32>;

    /// Overwrites a flat buffer.
    ///
    /// # Panics
    /// Panics if the number of values is not [`WeightLayout::numel`].
    fn write(&mut self, state: State, values: &[f32]);

    /// Returns the first deferred device error. Check it before you persist anything that was read from the device.
    ///
    /// Methods without a `Result`, such as [`Executor::read`], store an error of the device here. Everything that was read after it is
    /// invalid.
    ///
    /// # Errors
    /// Returns [`ExecError::Backend`] with the first error.
    fn deferred_error(&self) -> Result<(), ExecError> {
        Ok(())
    }
}

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
    /// The graph contains an operation that executors do not implement.
    #[error("the network contains a {op}, which has a cost but is not implemented by executors")]
    UnsupportedOp {
        /// The operation.
        op: &'static str,
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
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// Number of images, B.
        images: usize,
    },
    /// Drop-path needs one number per slot and image.
    #[error("there are {found} drop-path factors for {slots} slots and {images} images")]
    DropPath {
        /// How many there are.
        found: usize,
        /// Number of drop-path slots of the graph.
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

impl Batch<'_> {
    /// Checks that shapes, lengths and labels fit a graph.
    ///
    /// # Errors
    /// Returns the errors of [`Images::check`] and [`Batch::check_labels`], [`ExecError::BatchLength`] for image weights, and
    /// [`ExecError::DropPath`].
    pub fn check(&self, graph: &Graph, loss: &LossSpec<'_>) -> Result<(), ExecError> {
        self.images.check(graph)?;
        let images = self.images.len();
        self.check_labels(graph)?;
        if let Some(weights) = loss.image_weights.filter(|w| w.len() != images) {
            return Err(ExecError::BatchLength { what: "image weights", found: weights.len(), images });
        }
        let (slots, found) = (graph.drop_path_slots(), loss.drop_path.len());
        if found != slots * images {
            return Err(ExecError::DropPath { found, slots, images });
        }
        Ok(())
    }

    /// Checks that every image has a label that is a class of the graph.
    ///
    /// # Errors
    /// Returns [`ExecError::BatchLength`] or [`ExecError::BadLabel`].
    pub fn check_labels(&self, graph: &Graph) -> Result<(), ExecError> {
        let (images, classes) = (self.images.len(), graph.output().shape.channels);
        if self.labels.len() != images {
            return Err(ExecError::BatchLength { what: "labels", found: self.labels.len(), images });
        }
        match self.labels.iter().position(|&label| label as usize >= classes) {
            Some(index) => Err(ExecError::BadLabel { index, label: self.labels[index], classes }),
            None => Ok(()),
        }
    }
}
