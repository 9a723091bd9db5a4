//! Small networks in which one operation is the only one that launches its kernels.

use pada_exec::{
    Batch, ByteImages, Decayed, DeviceDataset, Executor, Images, LossSpec, Pixels, SgdStep, UnusedWeights,
};
use pada_graph::{
    Conv, Graph, GraphBuilder, GraphError, Init, Norm, Pool, Shape, Statistics, WeightId, WeightLayout,
    WeightSpec,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::workload::SEED;

const CLASSES: usize = 10;
/// Values of a byte.
const BYTES: usize = 256;

/// The operation that a network isolates. It runs behind a depthwise convolution, whose weights make the operation compute the gradient
/// of its input and whose kernels are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum Network {
    /// A norm, followed by ReLU, a 1×1 convolution and a norm.
    #[serde(rename = "conv-1x1")]
    Conv1x1,
    /// A norm, followed by ReLU, a 3×3 convolution and a norm.
    #[serde(rename = "conv-3x3")]
    Conv3x3,
    /// ReLU, a 3×3 convolution and a norm. The only norm follows the convolution.
    #[serde(rename = "conv-3x3-of-unnormalised")]
    Conv3x3OfUnnormalised,
    /// 3×3 average pooling with stride 1.
    #[serde(rename = "pool")]
    Pool,
}

impl Network {
    /// The weights of the network for images of a shape.
    pub(super) fn layout(self, shape: Shape) -> WeightLayout {
        let channels = shape.channels;
        let mut layout = WeightLayout::new();
        let mut push = |name: &str, shape: Vec<usize>| {
            let init = Init::Uniform { fan_in: shape[1..].iter().product::<usize>().max(1) };
            layout.push(WeightSpec { name: name.into(), shape, init, owner: None });
        };
        push("depthwise", vec![channels, 1, 3, 3]);
        if let Some(kernel) = self.kernel() {
            push("weight", vec![channels, channels, kernel, kernel]);
        }
        push("classifier.weight", vec![CLASSES, channels]);
        push("classifier.bias", vec![CLASSES]);
        layout
    }

    /// The network for images of a shape.
    ///
    /// # Errors
    /// Returns [`GraphError`] if the shape does not fit.
    pub(super) fn graph(self, layout: &WeightLayout, shape: Shape) -> Result<Graph, GraphError> {
        let channels = shape.channels;
        let of = |name: &str| -> WeightId { layout.find(name).expect("the layout of this network has it") };
        let norm = Norm { affine: None, eps: 1e-5, statistics: Statistics::Batch };
        let mut g = GraphBuilder::new(layout);
        let x = g.input(shape);
        let mut x = g.conv(x, Conv { groups: channels, ..Conv::same(of("depthwise"), channels, 3, 1) })?;
        if matches!(self, Self::Conv1x1 | Self::Conv3x3) {
            x = g.norm(x, norm)?;
        }
        x = match self.kernel() {
            None => g.avg_pool(x, Pool { kernel: 3, stride: 1, padding: 1 })?,
            Some(kernel) => {
                let x = g.relu(x);
                let x = g.conv(x, Conv::same(of("weight"), channels, kernel, 1))?;
                g.norm(x, norm)?
            }
        };
        // The mean over a norm's output is zero, whatever the weights are; that over its ReLU is not.
        let x = g.relu(x);
        g.classified(x, (of("classifier.weight"), of("classifier.bias")))
    }

    /// The size of the convolution's kernel.
    fn kernel(self) -> Option<usize> {
        match self {
            Self::Conv1x1 => Some(1),
            Self::Conv3x3 | Self::Conv3x3OfUnnormalised => Some(3),
            Self::Pool => None,
        }
    }
}

/// A batch of random images, and the training step of a network on it.
pub(super) struct Isolated {
    graph: Graph,
    shape: Shape,
    bytes: Vec<u8>,
    labels: Vec<u32>,
    values: Vec<f32>,
}

impl Isolated {
    /// # Errors
    /// Returns [`GraphError`] if the shape does not fit the network.
    pub(super) fn new(
        network: Network,
        layout: &WeightLayout,
        shape: Shape,
        batch: usize,
    ) -> Result<Self, GraphError> {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let bytes = (0..batch * shape.numel()).map(|_| rng.random()).collect();
        let labels = (0..batch).map(|_| rng.random_range(0..CLASSES as u32)).collect();
        // The range of normalised photographs.
        let value = |i: usize| (i % BYTES) as f32 / 64.0 - 2.0;
        let values = (0..shape.channels * BYTES).map(value).collect();
        Ok(Self { graph: network.graph(layout, shape)?, shape, bytes, labels, values })
    }

    /// The images, for [`pada_exec::DeviceData::upload_dataset`].
    pub(super) fn images(&self) -> ByteImages<'_> {
        ByteImages { bytes: &self.bytes, labels: &self.labels, shape: self.shape, values: &self.values }
    }

    /// Runs one training step on the uploaded images.
    pub(super) fn step(&self, executor: &mut dyn Executor, held: DeviceDataset) -> anyhow::Result<()> {
        let images = Images { pixels: Pixels::Range(held, 0, self.labels.len()), shape: self.shape };
        executor.zero_gradient();
        executor.gradients(&self.graph, &Batch { images, labels: &self.labels }, &LossSpec::default())?;
        executor.update(&SgdStep {
            lr: 0.05,
            momentum: 0.9,
            weight_decay: 2.5e-4,
            decayed: Decayed::All,
            gradient_scale: 1.0,
            unused: UnusedWeights::Decay,
            ..SgdStep::default()
        });
        Ok(executor.deferred_error()?)
    }
}
