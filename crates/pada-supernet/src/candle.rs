use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use pada_graph::{
    Batch, ExecError, Executor, Graph, HostWeights, Images, Logits, LossSpec, Node, NodeId, Norm, Op,
    Precision, SgdStep, State, Statistics, StepStats, WeightId, WeightLayout, cross_entropy,
};

use crate::ops;

/// The readable executor: it walks the graph, one candle operation per node, and lets candle's autograd find the gradient.
/// Faster executors are checked against it.
///
/// Weights, momentum and gradient lie in host memory; a pass copies the weights that its graph reads.
#[derive(Debug)]
pub struct CandleExecutor {
    host: HostWeights,
    device: Device,
    precision: Precision,
}

/// The weights of one graph as tensors.
type Params = BTreeMap<WeightId, Tensor>;

impl CandleExecutor {
    /// An executor on the CPU that starts from `weights`.
    ///
    /// # Panics
    /// If there are not as many weights as the layout has.
    pub fn new(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Self {
        Self { host: HostWeights::new(layout, weights), device: Device::Cpu, precision }
    }

    fn dtype(&self) -> DType {
        match self.precision {
            Precision::Single | Precision::Half => DType::F32,
            Precision::Double => DType::F64,
        }
    }

    fn tensor(&self, id: WeightId) -> Result<Tensor> {
        let shape = self.layout().spec(id).shape.as_slice();
        Tensor::from_slice(self.host.weight(id), shape, &self.device)?.to_dtype(self.dtype())
    }

    fn image_tensor(&self, images: &Images<'_>) -> Result<Tensor> {
        let shape = images.shape;
        let dims = (images.len(), shape.channels, shape.height, shape.width);
        Tensor::from_slice(images.pixels, dims, &self.device)?.to_dtype(self.dtype())
    }

    fn backend_error(&self, error: &candle_core::Error) -> ExecError {
        ExecError::Backend { executor: self.name().to_owned(), message: error.to_string() }
    }

    fn params(&self, graph: &Graph) -> Result<Params> {
        let running = graph.nodes().iter().filter_map(|node| running(&node.op)).flat_map(|(ids, _)| ids);
        graph.weights().into_iter().chain(running).map(|id| Ok((id, self.tensor(id)?))).collect()
    }

    fn try_logits(&self, graph: &Graph, images: &Images<'_>) -> Result<Vec<f32>> {
        let params = self.params(graph)?;
        host(&forward(graph, &self.image_tensor(images)?, &params, &mut Use::Running, None)?.output)
    }

    fn try_recalibrate(&mut self, graph: &Graph, images: &Images<'_>, batch: usize) -> Result<()> {
        let mut seen = Use::Batch(vec![]);
        forward(graph, &self.image_tensor(images)?, &self.params(graph)?, &mut seen, None)?;
        self.track(seen, Some(1.0 / (batch + 1) as f64));
        Ok(())
    }

    /// Moves running statistics by what a pass has seen; without a share by the momentum of each norm.
    fn track(&mut self, seen: Use, share: Option<f64>) {
        let Use::Batch(seen) = seen else { return };
        for Seen { ids, momentum, moments, count } in seen {
            self.host.track(ids, share.unwrap_or(f64::from(momentum)), &moments, count);
        }
    }

    /// `[slots, B, 1, 1, 1]`; none where the graph drops no paths.
    fn drop_path(&self, graph: &Graph, spec: &LossSpec<'_>, images: &Tensor) -> Result<Option<Tensor>> {
        let slots = graph.drop_path_slots();
        if slots == 0 {
            return Ok(None);
        }
        let dims = (slots, images.dim(0)?, 1, 1, 1);
        Ok(Some(Tensor::from_slice(spec.drop_path, dims, &self.device)?.to_dtype(self.dtype())?))
    }

    fn try_gradients(&mut self, graph: &Graph, batch: &Batch<'_>, spec: &LossSpec<'_>) -> Result<StepStats> {
        let vars = graph
            .weights()
            .into_iter()
            .map(|id| Ok((id, Var::from_tensor(&self.tensor(id)?)?)))
            .collect::<Result<BTreeMap<_, _>>>()?;
        let params = vars.iter().map(|(id, var)| (*id, var.as_tensor().clone())).collect();
        let mut seen = Use::Batch(vec![]);
        let images = self.image_tensor(&batch.images)?;
        let drop_path = self.drop_path(graph, spec, &images)?;
        let Forward { output, features, alignment, auxiliary } =
            forward(graph, &images, &params, &mut seen, drop_path.as_ref())?;
        self.track(seen, None);
        let feature_norms = features.map_or(Ok(vec![]), |x| host(&x.sqr()?.sum(1)?.sqrt()?))?;
        let classes = graph.output().shape.channels;
        let logits = Logits { values: host(&output)?, classes };
        let (loss, slope) = cross_entropy(&logits, batch.labels, spec);
        // The slope of the loss is known in closed form; autograd only has to carry it from the logits to the weights.
        let slope = Tensor::from_vec(slope, output.shape(), &self.device)?.to_dtype(self.dtype())?;
        let mut objective = (output * slope)?.sum_all()?;
        for (head, share) in auxiliary {
            let classes = head.dim(1)?;
            let spec = LossSpec { scale: spec.scale * share, ..*spec };
            let (_, slope) = cross_entropy(&Logits { values: host(&head)?, classes }, batch.labels, &spec);
            let slope = Tensor::from_vec(slope, head.shape(), &self.device)?.to_dtype(self.dtype())?;
            objective = (objective + (head * slope)?.sum_all()?)?;
        }
        let mut aligned = 0.0;
        if let Some(alignment) = alignment {
            aligned = alignment.to_dtype(DType::F64)?.to_scalar()?;
            objective = (objective + (alignment * f64::from(spec.scale))?)?;
        }
        let grads = objective.backward()?;
        for (id, var) in &vars {
            if let Some(grad) = grads.get(var.as_tensor()) {
                self.host.gradient_mut(*id).iter_mut().zip(host(grad)?).for_each(|(sum, g)| *sum += g);
            }
        }
        self.host.touch(graph);
        Ok(StepStats { loss, logits, feature_norms, alignment: aligned })
    }
}

impl Executor for CandleExecutor {
    fn name(&self) -> &str {
        match self.precision {
            Precision::Single => "candle on the CPU",
            Precision::Half => "candle on the CPU, f32 for want of bf16",
            Precision::Double => "candle on the CPU, f64",
        }
    }

    fn layout(&self) -> &WeightLayout {
        self.host.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> std::result::Result<Logits, ExecError> {
        images.check(graph)?;
        let values = self.try_logits(graph, images).map_err(|e| self.backend_error(&e))?;
        Ok(Logits { values, classes: graph.output().shape.channels })
    }

    fn recalibrate(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        batch: usize,
    ) -> std::result::Result<(), ExecError> {
        images.check(graph)?;
        self.try_recalibrate(graph, images, batch).map_err(|e| self.backend_error(&e))
    }

    fn zero_gradient(&mut self) {
        self.host.zero_gradient();
    }

    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> std::result::Result<StepStats, ExecError> {
        batch.check(graph, loss)?;
        self.try_gradients(graph, batch, loss).map_err(|e| self.backend_error(&e))
    }

    fn gradient_norms(&self) -> Vec<f64> {
        self.host.gradient_norms()
    }

    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        self.host.gradient(id)
    }

    fn update(&mut self, step: &SgdStep) {
        self.host.update(step);
    }

    fn read(&self, state: State) -> Vec<f32> {
        self.host.read(state)
    }

    fn write(&mut self, state: State, values: &[f32]) {
        self.host.write(state, values);
    }
}

/// A tensor's numbers in f32.
fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}

/// What a forward pass finds.
struct Forward {
    /// The logits, `[B, K]`.
    output: Tensor,
    /// What the linear layer that makes them reads, where there is one.
    features: Option<Tensor>,
    /// The sum of all alignments, a scalar.
    alignment: Option<Tensor>,
    /// Logits of auxiliary heads, `[B, K]`, and the factors on their losses.
    auxiliary: Vec<(Tensor, f32)>,
}

/// Which statistics norms use that have running ones.
enum Use {
    Running,
    /// Those of the batch, and keep them.
    Batch(Vec<Seen>),
}

/// The statistics of a batch that a norm has seen.
struct Seen {
    ids: [WeightId; 2],
    momentum: f32,
    /// Mean and biased variance of each channel.
    moments: Vec<[f64; 2]>,
    /// Of how many numbers.
    count: usize,
}

/// Running mean and variance of a norm, and its momentum.
fn running(op: &Op) -> Option<([WeightId; 2], f32)> {
    match op {
        Op::Norm(Norm { statistics: Statistics::Running { mean, var, momentum }, .. }) => {
            Some(([*mean, *var], *momentum))
        }
        _ => None,
    }
}

/// Runs a graph on images `[B, C, H, W]`. A value is dropped after its last reader.
fn forward(
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
                ops::conv2d(&inputs[0], &params[&conv.weight], conv)?
            }
            _ => apply(node, &inputs, images, params, statistics)?,
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

fn apply(
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
            let y = ops::conv2d(x(), &params[&conv.weight], conv)?;
            conv.bias.map_or(Ok(y.clone()), |bias| ops::add_bias(&y, &params[&bias]))
        }
        Op::Norm(norm) => {
            let y = match (running(&node.op), statistics) {
                (Some(([mean, var], _)), Use::Running) => {
                    let inv_std = (channelwise(&var)? + f64::from(norm.eps))?.sqrt()?.recip()?;
                    x().broadcast_sub(&channelwise(&mean)?)?.broadcast_mul(&inv_std)?
                }
                (Some((ids, momentum)), Use::Batch(seen)) => {
                    let count = x().elem_count() / node.shape.channels;
                    seen.push(Seen { ids, momentum, moments: ops::batch_moments(x())?, count });
                    ops::batch_norm(x(), f64::from(norm.eps))?
                }
                (None, _) => ops::batch_norm(x(), f64::from(norm.eps))?,
            };
            match &norm.affine {
                None => Ok(y),
                Some((scale, shift)) => {
                    ops::add_bias(&y.broadcast_mul(&channelwise(scale)?)?, &params[shift])
                }
            }
        }
        Op::Relu => ops::relu(x()),
        Op::Relu6 => ops::relu6(x()),
        Op::AvgPool(pool) => ops::avg_pool2d(x(), *pool),
        Op::MaxPool(pool) => ops::max_pool2d(x(), *pool),
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
