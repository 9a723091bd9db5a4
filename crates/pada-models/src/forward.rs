use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use pada_graph::{Graph, Node, NodeId, Norm, Op, Statistics, WeightId};

use crate::ops::Operations;

/// Runs a graph on images `[B, C, H, W]`. A value is dropped after its last reader.
pub(crate) fn forward(
    operations: Operations,
    graph: &Graph,
    images: &Tensor,
    params: &Params,
    statistics: &mut Use,
    drop_path: Option<&Tensor>,
) -> Result<Forward> {
    let nodes = graph.nodes();
    let mut readers = vec![0_usize; nodes.len()];
    nodes.iter().flat_map(|node| &node.inputs).for_each(|x| readers[x.0] += 1);
    let mut values: Vec<Option<Tensor>> = vec![None; nodes.len()];
    let (mut features, mut alignment, mut auxiliary): (_, Option<Tensor>, _) = (None, None, vec![]);
    for (i, node) in nodes.iter().enumerate() {
        let inputs: Vec<Tensor> = node
            .inputs
            .iter()
            .map(|x| values[x.0].clone().expect("a value lives until its last reader"))
            .collect();
        if matches!(node.op, Op::Linear { .. }) && i + 1 == nodes.len() {
            features = Some(inputs[0].flatten_from(1)?);
        }
        let value = match &node.op {
            Op::Conv(conv) if graph.cancels_bias(NodeId(i)) => {
                operations.conv2d(&inputs[0], &params[&conv.weight], conv)?
            }
            _ => apply(operations, node, &inputs, images, params, statistics)?,
        };
        match (&node.op, drop_path) {
            (Op::Align { .. }, _) => {
                alignment = Some(alignment.map_or(Ok(value.clone()), |sum| sum + value)?);
            }
            (Op::Auxiliary { share }, _) => auxiliary.push((value.flatten_from(1)?, *share)),
            (Op::DropPath { slot }, Some(factors)) => {
                values[i] = Some(value.broadcast_mul(&factors.get(*slot)?)?)
            }
            _ => values[i] = Some(value),
        }
        for x in &node.inputs {
            readers[x.0] -= 1;
            if readers[x.0] == 0 {
                values[x.0] = None;
            }
        }
    }
    let output = values.pop().flatten().expect("the last node is the output");
    let output = output.reshape((images.dim(0)?, graph.output().shape.channels))?;
    Ok(Forward { output, features, alignment, auxiliary })
}

/// The weights of one graph as tensors.
pub(crate) type Params = BTreeMap<WeightId, Tensor>;

/// What a forward pass finds.
pub(crate) struct Forward {
    /// The logits, `[B, K]`.
    pub(crate) output: Tensor,
    /// What the linear layer that makes them reads, where there is one.
    pub(crate) features: Option<Tensor>,
    /// The sum of all alignments, a scalar.
    pub(crate) alignment: Option<Tensor>,
    /// Logits of auxiliary heads, `[B, K]`, and the factors on their losses.
    pub(crate) auxiliary: Vec<(Tensor, f32)>,
}

/// Which statistics norms use that have running ones.
pub(crate) enum Use {
    Running,
    /// Those of the batch, and keep them.
    Batch(Vec<Seen>),
}

/// The statistics of a batch that a norm has seen.
pub(crate) struct Seen {
    pub(crate) ids: [WeightId; 2],
    pub(crate) momentum: f32,
    /// Mean and biased variance of each channel.
    pub(crate) moments: Vec<[f64; 2]>,
    /// Of how many numbers.
    pub(crate) count: usize,
}

/// Running mean and variance of a norm, and its momentum.
pub(crate) fn running(op: &Op) -> Option<([WeightId; 2], f32)> {
    match op {
        Op::Norm(Norm { statistics: Statistics::Running { mean, var, momentum }, .. }) => {
            Some(([*mean, *var], *momentum))
        }
        _ => None,
    }
}

fn apply(
    operations: Operations,
    node: &Node,
    inputs: &[Tensor],
    images: &Tensor,
    params: &Params,
    statistics: &mut Use,
) -> Result<Tensor> {
    let x = inputs.first();
    let x = || x.expect("the builder gives this operation an input");
    let channelwise = |id: &WeightId| params[id].reshape((1, (), 1, 1));
    match &node.op {
        Op::Input => Ok(images.clone()),
        Op::Zero => {
            let shape = (images.dim(0)?, node.shape.channels, node.shape.height, node.shape.width);
            Tensor::zeros(shape, images.dtype(), images.device())
        }
        Op::Conv(conv) => {
            let y = operations.conv2d(x(), &params[&conv.weight], conv)?;
            conv.bias.map_or(Ok(y.clone()), |bias| operations.add_bias(&y, &params[&bias]))
        }
        Op::Norm(norm) => {
            let y = match (running(&node.op), statistics) {
                (Some(([mean, var], _)), Use::Running) => {
                    let inv_std = (channelwise(&var)? + f64::from(norm.eps))?.sqrt()?.recip()?;
                    x().broadcast_sub(&channelwise(&mean)?)?.broadcast_mul(&inv_std)?
                }
                (Some((ids, momentum)), Use::Batch(seen)) => {
                    let count = x().elem_count() / node.shape.channels;
                    seen.push(Seen { ids, momentum, moments: operations.batch_moments(x())?, count });
                    operations.batch_norm(x(), f64::from(norm.eps))?
                }
                (None, _) => operations.batch_norm(x(), f64::from(norm.eps))?,
            };
            match &norm.affine {
                None => Ok(y),
                Some((scale, shift)) => {
                    operations.add_bias(&y.broadcast_mul(&channelwise(scale)?)?, &params[shift])
                }
            }
        }
        Op::Relu => operations.relu(x()),
        Op::Relu6 => operations.relu6(x()),
        Op::AvgPool(pool) => operations.avg_pool2d(x(), *pool),
        Op::MaxPool(pool) => operations.max_pool2d(x(), *pool),
        Op::Add => inputs[1..].iter().try_fold(inputs[0].clone(), |sum, x| sum + x),
        Op::Concat => Tensor::cat(inputs, 1),
        // What becomes of them, `forward` says.
        Op::DropPath { .. } | Op::Auxiliary { .. } => Ok(x().clone()),
        Op::GlobalAvgPool => x().mean_keepdim((2, 3)),
        Op::Gate => unreachable!("Images::check refuses what is only counted"),
        Op::Linear { weight, bias, .. } => {
            let y = x().flatten_from(1)?.matmul(&params[weight].t()?)?.broadcast_add(&params[bias])?;
            y.unsqueeze(2)?.unsqueeze(3)
        }
        // What it adds to the loss, a scalar; detached, the anchor gets no gradient.
        Op::Align { share } => (&inputs[1] - inputs[0].detach())?.sqr()?.mean_all()? * f64::from(*share),
    }
}
