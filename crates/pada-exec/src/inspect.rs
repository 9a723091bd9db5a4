use pada_graph::{Graph, WeightId};

use crate::error::ExecError;
use crate::executor::Executor;
use crate::images::Images;

/// An [`Executor`] that also shows what happens inside a pass: scores of untrained networks need it.
///
/// # Letters in shapes
/// B batch, C channels, H height, W width, K classes.
pub trait Inspect: Executor {
    /// Computes a pass with the batch statistics of training mode and returns what `inspection` asks for.
    ///
    /// Running statistics are neither read nor changed, drop-path is the identity, and side nodes ([`pada_graph::Op::is_side`]) have no
    /// effect. The output of the graph may have any shape, so that a graph can end at an inner value, see [`Graph::up_to`].
    ///
    /// # Errors
    /// Returns an [`ExecError`] if images, labels or factors do not fit the graph.
    fn inspect(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        inspection: &Inspection<'_>,
    ) -> Result<Inspected, ExecError>;
}

/// The results that [`Inspect::inspect`] computes besides the output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inspection<'a> {
    /// The number that is differentiated. Without one, there is only a forward pass, and all gradients are empty.
    pub objective: Option<Objective<'a>>,
    /// Adds the gradient with respect to the weights to the accumulated gradient, as [`Executor::gradients`] does.
    pub weight_gradient: bool,
    /// Returns the gradient with respect to the images.
    pub image_gradient: bool,
    /// Returns the signs of the inputs of all ReLUs.
    pub signs: bool,
    /// Returns the products of values and gradients of all convolutions and linear layers.
    pub products: bool,
    /// Moves the kernels of convolutions and linear layers by these numbers for this pass, and returns the gradient with respect to the
    /// kernels there, in f64. `[weights]`, in the order of the layout; numbers of other weights have no effect.
    ///
    /// Kernel and move are added in f64, so that differences between the gradients of very small moves are exact. Only an executor with
    /// [`Precision::F64`](crate::Precision::F64) computes this gradient.
    pub moved_kernels: Option<&'a [f32]>,
}

/// A number that depends on the output of a batch.
#[derive(Clone, Copy, Debug)]
pub enum Objective<'a> {
    /// The sum of all numbers of the output.
    Sum,
    /// The sum of all numbers of the output, each times its factor: `[B, C, H, W]`.
    Weighted(&'a [f32]),
    /// The mean cross entropy of these labels, `[B]`. The output must be logits.
    CrossEntropy(&'a [u32]),
}

/// The result of [`Inspect::inspect`].
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    /// `[B, C, H, W]`, the output of the graph.
    pub output: Vec<f32>,
    /// `[B, C, H, W]`, gradient with respect to the images. It is zero if the output does not depend on them.
    pub image_gradient: Vec<f32>,
    /// The signs of the inputs of all ReLUs.
    pub signs: Signs,
    /// The products of every convolution and linear layer, in no particular order.
    pub products: Vec<ChannelProducts>,
    /// The biased variances of each batch norm over batch and pixels, in the order of the graph's nodes.
    pub variances: Vec<NormVariances>,
    /// `[weights]`, the gradient with respect to the moved kernels in the order of the layout, and zeros for all other weights. Empty
    /// without [`Inspection::moved_kernels`].
    pub kernel_gradient: Vec<f64>,
}

/// The variances of the input of a batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct NormVariances {
    /// `[C]`, with the divisor `count`.
    pub biased: Vec<f64>,
    /// B · H · W.
    pub count: usize,
}

/// Values times gradients of one layer, summed over pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelProducts {
    /// The kernel of the layer.
    pub weight: WeightId,
    /// C, the number of output channels.
    pub channels: usize,
    /// `[B, C]`: Σ over pixels of the layer's output times the gradient with respect to it.
    pub values: Vec<f32>,
}

/// The signs of the inputs of all ReLUs, image by image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// `[B, words]`: one bit for every number of every ReLU's input, 1 if it is positive. The bits of each ReLU start in a new word, and
    /// unused bits are 0.
    pub words: Vec<u64>,
    /// The number of words per image.
    pub per_image: usize,
    /// The number of bits per image that stand for a number.
    pub units: usize,
    /// `[ReLUs]`, in the order of the graph's nodes: the first word and the number of bits of each ReLU.
    pub relus: Vec<(usize, usize)>,
}

impl Signs {
    /// Returns the words of one image.
    pub fn image(&self, image: usize) -> &[u64] {
        &self.words[image * self.per_image..][..self.per_image]
    }
}

impl Objective<'_> {
    /// Checks that labels or factors fit the output of a graph for `images` images.
    ///
    /// # Errors
    /// Returns [`ExecError::BatchLength`], [`ExecError::Factors`] or [`ExecError::BadLabel`].
    pub fn check(&self, graph: &Graph, images: &Images<'_>) -> Result<(), ExecError> {
        let numel = graph.output().shape.numel();
        match *self {
            Self::Sum => Ok(()),
            Self::Weighted(factors) if factors.len() == images.len() * numel => Ok(()),
            Self::Weighted(factors) => {
                Err(ExecError::Factors { found: factors.len(), expected: images.len() * numel })
            }
            Self::CrossEntropy(labels) => crate::Batch { images: *images, labels }.check_labels(graph),
        }
    }
}
