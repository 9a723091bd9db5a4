//! The contract between training code and whatever computes forward and backward passes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{ByteImages, DeviceDataset, Graph, Images, SgdStep, Shape, WeightId, WeightLayout};

/// Images and what they show.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The images.
    pub images: Images<'a>,
    /// `[B]`, class of each, from 0.
    pub labels: &'a [u32],
}

/// Which loss a step descends: `scale · ((1/B) Σ weight_b · cross_entropy_b + Σ alignments)`, see [`crate::Op::Align`], and the same
/// cross entropies of auxiliary heads with their shares, see [`crate::Op::Auxiliary`].
///
/// The weights of images do not reach alignments: those say how far two paths are apart, not what an image is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossSpec<'a> {
    /// Factor on the whole loss.
    pub scale: f32,
    /// `[B]`, factor on each image's cross entropy; none stands for ones.
    pub image_weights: Option<&'a [f32]>,
    /// Share of the target that all classes get alike, as PyTorch's `label_smoothing`.
    pub label_smoothing: f32,
    /// `[slots, B]`, the numbers of the graph's [`crate::Op::DropPath`]; empty where it has none.
    pub drop_path: &'a [f32],
}

impl Default for LossSpec<'_> {
    /// The plain mean.
    fn default() -> Self {
        Self { scale: 1.0, image_weights: None, label_smoothing: 0.0, drop_path: &[] }
    }
}

/// Unnormalised class scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// `[B, K]`
    pub values: Vec<f32>,
    /// K.
    pub classes: usize,
}

impl Logits {
    /// One image's scores, `[K]`.
    pub fn row(&self, image: usize) -> &[f32] {
        &self.values[image * self.classes..(image + 1) * self.classes]
    }

    /// All rows.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }

    /// The class of the largest score of each image; of equal scores the first counts.
    pub fn best(&self) -> impl Iterator<Item = usize> + '_ {
        let best = |row: &[f32]| {
            row.iter().enumerate().fold(0, |best, (k, v)| if *v > row[best] { k } else { best })
        };
        self.rows().map(best)
    }

    /// How many images have their own label as the [best](Self::best) class.
    pub fn correct(&self, labels: &[u32]) -> usize {
        self.best().zip(labels).filter(|&(best, &label)| best == label as usize).count()
    }
}

/// How many images were classified correctly in some batches. An executor may keep the count to itself until it is asked for it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CorrectCounts {
    /// Those that the host knows of.
    pub known: usize,
    /// Where the executor counts the others.
    pub kept: Option<usize>,
}

/// What a forward and backward pass found.
#[derive(Clone, Debug)]
pub struct StepStats {
    /// Mean cross entropy of the batch, without any factor of [`LossSpec`], smoothing or auxiliary head.
    pub loss: f64,
    /// `[B, K]`, before the update.
    pub logits: Logits,
    /// `[B]`, L2 norm of what the classifier reads of each image; empty where the output is no linear layer.
    pub feature_norms: Vec<f32>,
    /// Sum of all alignments of the graph, each with its share but without any factor of [`LossSpec`]; 0 where there is none.
    pub alignment: f64,
}

/// The numbers an executor computes with. Weights, momentum and gradients are stored in f32 either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precision {
    /// Fast.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// Convolutions multiply bf16 numbers (8 bits of precision) and add in f32; everything else is f32. Faster where the
    /// processor has the instructions; elsewhere an executor computes in f32 and its name says so.
    #[serde(rename = "bf16")]
    Bf16,
    /// To check with. In f32 a value that is zero up to rounding falls on the wrong side of a ReLU now and then, which moves the
    /// gradient of every weight before it by about a hundredth; in f64 that does not happen.
    #[serde(rename = "f64")]
    F64,
}

/// Whose images batch norms take their statistics from in training, where several ranks compute a batch together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNormSync {
    /// Those of the whole batch, as `torch.nn.SyncBatchNorm` has them: the same results for any number of ranks. Ranks meet at every
    /// norm.
    #[default]
    Sync,
    /// Those of each rank's own images, as `DistributedDataParallel` has them unless told otherwise: ranks do not meet before the
    /// gradient is added up, and results depend on how many ranks there are.
    Local,
}

/// Which flat buffer of an executor is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The weights.
    Weights,
    /// SGD's momentum.
    Momentum,
}

/// Computes with the shared weights and owns them: one implementation to read, others to be fast.
pub trait Executor {
    /// What computes, for logs and records.
    fn name(&self) -> &str;

    /// Names, shapes and places of the weights.
    fn layout(&self) -> &WeightLayout;

    /// A forward pass. Norms use their running statistics, those without the statistics of this batch.
    ///
    /// # Errors
    /// [`ExecError`]
    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError>;

    /// Takes images into the memory it computes in, so that batches need only name them, for as long as it lives. None where that would
    /// save nothing, or where they do not fit.
    ///
    /// # Errors
    /// [`ExecError::Backend`]
    fn upload_dataset(&mut self, images: &ByteImages<'_>) -> Result<Option<DeviceDataset>, ExecError> {
        let _ = images;
        Ok(None)
    }

    /// The forward pass of [`Executor::logits`], of which only the number of correctly classified images is wanted, see
    /// [`Logits::correct`]: it is added to `tally`. May return before it is computed.
    ///
    /// # Errors
    /// [`ExecError`]
    fn count(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        tally: &mut CorrectCounts,
    ) -> Result<(), ExecError> {
        batch.check_labels(graph)?;
        tally.known += self.logits(graph, &batch.images)?.correct(batch.labels);
        Ok(())
    }

    /// The counts of these tallies; all others that were begun are void.
    ///
    /// # Errors
    /// [`ExecError`], also of passes that had not been computed when they returned.
    fn counts(&mut self, tallies: &[CorrectCounts]) -> Result<Vec<usize>, ExecError> {
        Ok(tallies.iter().map(|tally| tally.known).collect())
    }

    /// A forward pass whose only result are the running statistics of the graph's norms: after batches 0, 1, …, n they are the plain
    /// mean over those batches (PyTorch's `momentum=None`), whatever they were before. Makes a path fit to be scored with them.
    ///
    /// # Errors
    /// [`ExecError`]
    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, batch: usize) -> Result<(), ExecError>;

    /// Starts a step: the gradient is zero and no weight counts as used.
    fn zero_gradient(&mut self);

    /// A forward and backward pass; its gradient is added to the one that is there. Norms use the statistics of this batch, which
    /// move the running ones.
    ///
    /// # Errors
    /// [`ExecError`]
    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> Result<StepStats, ExecError>;

    /// L2 norm of the gradient of every weight tensor, in the layout's order.
    fn gradient_norms(&self) -> Vec<f64>;

    /// The gradient of one weight tensor.
    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]>;

    /// Moves the weights along the gradient.
    fn update(&mut self, step: &SgdStep);

    /// A copy of a flat buffer, in the layout's order.
    fn read(&self, state: State) -> Vec<f32>;

    /// Overwrites a flat buffer.
    ///
    /// # Panics
    /// If there are not as many values as the layout has.
    fn write(&mut self, state: State, values: &[f32]);

    /// What went wrong in a call that cannot say so, such as a copy from a device that is lost: what was read since is worth nothing.
    /// Asked before anything that was read is kept.
    ///
    /// # Errors
    /// [`ExecError::Backend`]
    fn deferred_error(&self) -> Result<(), ExecError> {
        Ok(())
    }
}

/// Why a pass failed.
#[derive(Debug, Error)]
pub enum ExecError {
    /// Images of another shape than the graph's.
    #[error("the graph takes images of {expected}, these are {found} (channels × height × width)")]
    ImageShape {
        /// What the graph takes.
        expected: Shape,
        /// What came.
        found: Shape,
    },
    /// A label that is no class.
    #[error("image {index} of the batch has label {label}, the network has {classes} classes")]
    BadLabel {
        /// Place in the batch.
        index: usize,
        /// Its label.
        label: u32,
        /// K.
        classes: usize,
    },
    /// A graph that can only be counted.
    #[error("the network has a {op}, which is counted but not computed here")]
    Uncomputed {
        /// The operation.
        op: &'static str,
    },
    /// There is nothing to compute with.
    #[error("the batch holds no image")]
    EmptyBatch,
    /// Images that only another executor holds, or none.
    #[error("the batch names images that the executor does not hold")]
    NotHeld,
    /// As many labels or weights as images are needed.
    #[error("{found} {what} for {images} images")]
    BatchLength {
        /// What there is another number of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// B.
        images: usize,
    },
    /// Each slot of drop-path needs a number for each image.
    #[error("{found} numbers of drop-path for {slots} slots and {images} images")]
    DropPath {
        /// How many there are.
        found: usize,
        /// Slots of the graph.
        slots: usize,
        /// B.
        images: usize,
    },
    /// The ranks that share a batch cannot go on.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// The library or device below failed.
    #[error("{executor} failed: {message}")]
    Backend {
        /// Which executor.
        executor: String,
        /// What it said.
        message: String,
    },
}

impl Batch<'_> {
    /// Checks that shapes, lengths and labels fit a graph.
    ///
    /// # Errors
    /// As [`Images::check`], and [`ExecError::BatchLength`] or [`ExecError::BadLabel`]
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

    /// Checks that there is a label for each image, and that a graph has its class.
    ///
    /// # Errors
    /// [`ExecError::BatchLength`] or [`ExecError::BadLabel`]
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
