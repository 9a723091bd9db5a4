use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use pada_graph::{Graph, Node, NodeId, Norm, Op, Statistics, WeightId};

use crate::ops;

/// The weights of one graph as tensors.
pub(crate) type Params = BTreeMap<WeightId, Tensor>;

/// The statistics that batch norms with running statistics use in a pass.
pub(crate) enum NormMode {
    /// Evaluation: they use the running statistics.
    Eval,
    /// Training: they use the statistics of the batch, which are collected here.
    Train(Vec<BatchStatistics>),
}

/// The statistics of a batch in one norm.
pub(crate) struct BatchStatistics {
    /// Running mean and variance that they update.
    pub(crate) running: [WeightId; 2],
    /// Momentum of the norm.
    pub(crate) momentum: f32,
    /// Mean and biased variance of each channel, `[1, C, 1, 1]` each.
    pub(crate) moments: [Tensor; 2],
    /// Number of values per channel.
    pub(crate) count: usize,
}

/// The results of a forward pass.
pub(crate) struct Forward {
    /// Logits, `[B, K]`.
    pub(crate) logits: Tensor,
    /// Input of the linear layer that computes the logits, `[B, F]`. `None` if the output is not a linear layer.
    pub(crate) features: Option<Tensor>,
    /// Sum of all alignments, a scalar. `None` if the graph has none.
    pub(crate) alignment: Option<Tensor>,
    /// Logits `[B, K]` of each auxiliary head, and the factor on its loss.
    pub(crate) auxiliary: Vec<(Tensor, f32)>,
}

/// Computes a graph, node by node.
///
/// # Shapes
/// - `images`: `[B, C, H, W]`
/// - `drop_path`: `[slots, B, 1, 1, 1]`. `None` stands for ones.
pub(crate) fn forward(
    graph: &Graph,
    images: &Tensor,
    params: &Params,
    mode: &mut NormMode,
    drop_path: Option<&Tensor>,
) -> Result<Forward> {
    let (mut alignment, mut auxiliary): (Option<Tensor>, _) = (None, vec![]);
    // The output of each node. Side nodes, which no node reads, repeat their input.
    let mut values: Vec<Tensor> = Vec::with_capacity(graph.nodes().len());
    for (i, node) in graph.nodes().iter().enumerate() {
        let inputs: Vec<&Tensor> = node.inputs.iter().map(|input| &values[input.0]).collect();
        let value = match &node.op {
            Op::Input => images.clone(),
            Op::Zero => zeros(node, images)?,
            Op::Conv(conv) => {
                // Before a norm that subtracts the mean, the gradient of a bias is zero, but rounding would leave something else.
                let bias = conv.bias.filter(|_| !graph.cancels_bias(NodeId(i)));
                ops::conv2d(inputs[0], &params[&conv.weight], bias.map(|id| &params[&id]), conv)?
            }
            Op::Norm(norm) => batch_norm(norm, inputs[0], params, mode)?,
            Op::Relu => ops::relu(inputs[0])?,
            Op::Relu6 => ops::relu6(inputs[0])?,
            Op::AvgPool(pool) => ops::avg_pool2d(inputs[0], *pool)?,
            Op::MaxPool(pool) => ops::max_pool2d(inputs[0], *pool)?,
            Op::GlobalAvgPool => inputs[0].mean_keepdim((2, 3))?,
            Op::Add => inputs[1..].iter().try_fold(inputs[0].clone(), |sum, x| sum + *x)?,
            Op::Concat => Tensor::cat(&inputs, 1)?,
            Op::Linear { weight, bias, .. } => {
                let y = ops::linear(&inputs[0].flatten_from(1)?, &params[weight], &params[bias])?;
                y.unsqueeze(2)?.unsqueeze(3)?
            }
            Op::DropPath { slot } => match drop_path {
                Some(factors) => inputs[0].broadcast_mul(&factors.get(*slot)?)?,
                None => inputs[0].clone(),
            },
            Op::Dropout { slot } => match drop_path {
                Some(factors) => {
                    let (channels, images) = (node.shape.channels, images.dim(0)?);
                    let factors = factors.narrow(0, *slot, channels)?.reshape((channels, images))?;
                    inputs[0].broadcast_mul(&factors.t()?.reshape((images, channels, 1, 1))?)?
                }
                None => inputs[0].clone(),
            },
            Op::Scale { factors, index } => {
                inputs[0].broadcast_mul(&params[factors].flatten_all()?.get(*index)?)?
            }
            Op::SelectChannels { order } => {
                let order: Vec<u32> = order.iter().map(|&channel| channel as u32).collect();
                inputs[0].index_select(&Tensor::new(order, images.device())?, 1)?
            }
            Op::Align { share } => {
                // Detached, because the anchor gets no gradient.
                let distance = (inputs[1] - inputs[0].detach())?.sqr()?.mean_all()?;
                let term = (distance * f64::from(*share))?;
                alignment = Some(alignment.map_or(Ok(term.clone()), |sum| sum + &term)?);
                inputs[1].clone()
            }
            Op::Auxiliary { share } => {
                auxiliary.push((inputs[0].flatten_from(1)?, *share));
                inputs[0].clone()
            }
            Op::Gate => inputs[0].broadcast_mul(&candle_nn::ops::sigmoid(inputs[1])?)?,
        };
        values.push(value);
    }
    let output = graph.output();
    let features = match &output.op {
        Op::Linear { .. } => Some(values[output.inputs[0].0].flatten_from(1)?),
        _ => None,
    };
    let logits = values.pop().expect("a graph has an output");
    let logits = logits.reshape((images.dim(0)?, output.shape.channels))?;
    Ok(Forward { logits, features, alignment, auxiliary })
}

fn zeros(node: &Node, images: &Tensor) -> Result<Tensor> {
    let shape = (images.dim(0)?, node.shape.channels, node.shape.height, node.shape.width);
    Tensor::zeros(shape, images.dtype(), images.device())
}

fn batch_norm(norm: &Norm, x: &Tensor, params: &Params, mode: &mut NormMode) -> Result<Tensor> {
    let channelwise = |id: &WeightId| params[id].reshape((1, (), 1, 1));
    let moments = match (&norm.statistics, mode) {
        (Statistics::Running { mean, var, .. }, NormMode::Eval) => [channelwise(mean)?, channelwise(var)?],
        (Statistics::Running { mean, var, momentum }, NormMode::Train(collected)) => {
            let moments = ops::moments(x)?;
            let count = x.elem_count() / x.dim(1)?;
            collected.push(BatchStatistics {
                running: [*mean, *var],
                momentum: *momentum,
                moments: moments.clone(),
                count,
            });
            moments
        }
        (Statistics::Batch, _) => ops::moments(x)?,
    };
    let y = ops::normalize(x, &moments[0], &moments[1], f64::from(norm.eps))?;
    match &norm.affine {
        Some((scale, shift)) => y.broadcast_mul(&channelwise(scale)?)?.broadcast_add(&channelwise(shift)?),
        None => Ok(y),
    }
}
