use std::borrow::Cow;

use pada_graph::{Graph, WeightId, WeightLayout};
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Logits};
use crate::device_data::DeviceData;
use crate::error::ExecError;
use crate::images::Images;
use crate::loss::LossSpec;
use crate::sgd::{SgdStep, norms};

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
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum Precision {
    /// Single precision.
    #[default]
    F32,
    /// Mixed precision, faster and less exact: convolutions multiply bf16 numbers.
    ///
    /// They accumulate in f32, and everything else is f32. It is faster if the processor has bf16 instructions. Without them an executor
    /// computes in f32, and its name says so.
    Bf16,
    /// Double precision, slow, for checks.
    ///
    /// In f32, rounding occasionally moves a value to the other side of a ReLU, which changes the gradients of all earlier weights by about
    /// 1 %; in f64 this does not happen.
    F64,
}

/// Algorithm of convolutions on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum Convolution {
    /// Winograd's algorithm in f32 for dense convolutions with 3×3 taps, stride 1, padding 1, no dilation, at least 8 channels and images of
    /// whole tiles of 4×4 pixels, and direct sums for all others.
    ///
    /// It needs a quarter of the multiplications. Its largest error is a few millionths of the largest output.
    #[default]
    Auto,
    /// Direct sums for all convolutions.
    Direct,
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
    /// The momentum of the optimizer.
    Momentum,
    /// The moving average of squares of RMSprop. It is 0 until it is written or a step of RMSprop changes it.
    SecondMoment,
    /// The gradient that [`Executor::gradients`] has accumulated.
    Gradient,
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
/// Scoring an architecture is [`Executor::logits`], or [`crate::count_correct`] if only the number of correct images is needed. Data sets
/// that fit on the device can be uploaded once with [`crate::upload_dataset`]; batches then refer to images by index.
///
/// An implementation writes the nine methods without a body. The others have a default that an executor replaces to be faster, or if it
/// computes on a device ([`Executor::device_data`], [`Executor::deferred_error`]).
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
    /// Batch norms use their running statistics. Norms without running statistics ([`pada_graph::Statistics::Batch`]) use the statistics of
    /// this batch.
    ///
    /// # Shapes
    /// `images` is `[B, C, H, W]` with the input shape of the graph; the result is `[B, K]`.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if the images do not fit the graph, or if the device fails.
    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError>;

    /// Recalibrates the running statistics of the graph's batch norms with one more batch: `r = (1 − share) · r + share · batch`.
    ///
    /// With the shares 1, 1/2, …, 1/n of n calls the running statistics are the mean over these batches, as with `momentum=None` in
    /// PyTorch, whatever they were before. With a constant share they are an exponential mean, as with `momentum=share`. Shared weights
    /// need this for each architecture before it is scored.
    ///
    /// # Errors
    /// Returns an [`ExecError`] if the images do not fit the graph, or if the device fails.
    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, share: f64) -> Result<(), ExecError>;

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

    /// Updates the weights by one step of the optimizer.
    fn update(&mut self, step: &SgdStep);

    /// Returns a copy of a flat buffer, in the order of the layout. Check [`Executor::deferred_error`] before you persist it.
    fn read(&self, state: State) -> Vec<f32>;

    /// Overwrites a flat buffer.
    ///
    /// # Panics
    /// Panics if the number of values is not [`WeightLayout::numel`].
    fn write(&mut self, state: State, values: &[f32]);

    /// Overwrites one weight tensor.
    ///
    /// # Panics
    /// Panics if the number of values is not that of the tensor.
    fn write_weight(&mut self, id: WeightId, values: &[f32]) {
        let (mut weights, range) = (self.read(State::Weights), self.layout().range(id));
        weights[range].copy_from_slice(values);
        self.write(State::Weights, &weights);
    }

    /// Returns the accumulated gradient of one weight tensor.
    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        Cow::Owned(self.read(State::Gradient)[self.layout().range(id)].to_vec())
    }

    /// Returns the L2 norm of the accumulated gradient of every weight tensor, in the order of the layout.
    fn gradient_norms(&self) -> Vec<f64> {
        norms(self.layout(), &self.read(State::Gradient))
    }

    /// Returns the device memory of the executor, in which data sets and counters can be kept. `None` if it has none, as on the CPU.
    fn device_data(&mut self) -> Option<&mut dyn DeviceData> {
        None
    }

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
