use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Error, Result, Tensor, Var};
use pada_exec::{
    Batch, ExecError, Executor, HostWeights, Images, Logits, LossSpec, Precision, SgdStep, State, StepStats,
};
use pada_graph::{Graph, Op, Statistics, WeightId, WeightLayout};

use crate::GpuError;
use crate::forward::{BatchStatistics, Forward, NormMode, Params, forward};
use crate::loss::{CrossEntropy, cross_entropy};

/// The reference executor: it computes a graph node by node with layers of candle, and candle's autograd computes the gradient.
///
/// Weights, momentum and gradient are stored on the host. Each pass copies the weights that its graph reads to the device.
#[derive(Debug)]
pub struct CandleExecutor {
    // candle-nn's SGD has no momentum, so the optimiser is that of pada-exec.
    host: HostWeights,
    device: Device,
    dtype: DType,
    name: String,
}

impl CandleExecutor {
    /// Creates an executor on the CPU with initial weights.
    ///
    /// # Panics
    /// Panics if the number of values is not [`WeightLayout::numel`].
    pub fn new(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Self {
        Self::on(Device::Cpu, "the CPU", HostWeights::new(layout, weights), precision)
    }

    /// Creates an executor on an NVIDIA GPU with initial weights.
    ///
    /// # Errors
    /// Returns [`GpuError::NotBuilt`] if this crate was built without its feature `cuda`, and [`GpuError::Refused`] if the GPU cannot be
    /// used.
    ///
    /// # Panics
    /// Panics if the number of values is not [`WeightLayout::numel`].
    pub fn on_gpu(
        ordinal: usize,
        layout: WeightLayout,
        weights: Vec<f32>,
        precision: Precision,
    ) -> std::result::Result<Self, GpuError> {
        if !candle_core::utils::cuda_is_available() {
            return Err(GpuError::NotBuilt);
        }
        let refused = |error: Error| GpuError::Refused { ordinal, message: error.to_string() };
        let device = Device::new_cuda(ordinal).map_err(refused)?;
        Ok(Self::on(device, &format!("cuda:{ordinal}"), HostWeights::new(layout, weights), precision))
    }

    fn on(device: Device, device_name: &str, host: HostWeights, precision: Precision) -> Self {
        let (dtype, detail) = match precision {
            Precision::F32 => (DType::F32, ""),
            Precision::Bf16 => (DType::F32, ", f32 for want of bf16"),
            Precision::F64 => (DType::F64, ", f64"),
        };
        Self { host, device, dtype, name: format!("candle on {device_name}{detail}") }
    }

    fn weight(&self, id: WeightId) -> Result<Tensor> {
        let shape = self.layout().spec(id).shape.as_slice();
        Tensor::from_slice(self.host.weight(id), shape, &self.device)?.to_dtype(self.dtype)
    }

    /// The weights and running statistics that a graph reads.
    fn params(&self, graph: &Graph) -> Result<Params> {
        let statistics = graph.nodes().iter().filter_map(|node| match &node.op {
            Op::Norm(norm) => Some(norm.statistics),
            _ => None,
        });
        let running = statistics.flat_map(|statistics| match statistics {
            Statistics::Running { mean, var, .. } => vec![mean, var],
            Statistics::Batch => vec![],
        });
        graph.weights().into_iter().chain(running).map(|id| Ok((id, self.weight(id)?))).collect()
    }

    fn images(&self, images: &Images<'_>) -> Result<Tensor> {
        let shape = images.shape;
        let dims = (images.len(), shape.channels, shape.height, shape.width);
        let pixels = images.numbers().map_err(Error::wrap)?;
        Tensor::from_slice(pixels, dims, &self.device)?.to_dtype(self.dtype)
    }

    fn forward_eval(&self, graph: &Graph, images: &Images<'_>) -> Result<Vec<f32>> {
        let params = self.params(graph)?;
        to_host(&forward(graph, &self.images(images)?, &params, &mut NormMode::Eval, None)?.logits)
    }

    fn forward_statistics(&mut self, graph: &Graph, images: &Images<'_>, share: f64) -> Result<()> {
        let mut mode = NormMode::Train(vec![]);
        forward(graph, &self.images(images)?, &self.params(graph)?, &mut mode, None)?;
        self.update_running(mode, |_| share)
    }

    /// Updates running statistics by those of a batch: `r = (1 − share) · r + share · batch`.
    fn update_running(&mut self, mode: NormMode, share: impl Fn(&BatchStatistics) -> f64) -> Result<()> {
        let NormMode::Train(collected) = mode else { return Ok(()) };
        for norm in collected {
            let [mean, var] = &norm.moments;
            let values = |t: &Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
            let moments: Vec<[f64; 2]> =
                values(mean)?.into_iter().zip(values(var)?).map(|(mean, var)| [mean, var]).collect();
            self.host.track(norm.running, share(&norm), &moments, norm.count);
        }
        Ok(())
    }

    /// `[slots, B, 1, 1, 1]`. `None` if the graph drops nothing.
    fn drop_path(&self, graph: &Graph, factors: &[f32], images: usize) -> Result<Option<Tensor>> {
        let slots = graph.drop_path_slots();
        if slots == 0 {
            return Ok(None);
        }
        let factors = Tensor::from_slice(factors, (slots, images, 1, 1, 1), &self.device)?;
        factors.to_dtype(self.dtype).map(Some)
    }

    fn forward_backward(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        spec: &LossSpec<'_>,
    ) -> Result<StepStats> {
        let variables = graph.weights().into_iter().map(|id| Ok((id, Var::from_tensor(&self.weight(id)?)?)));
        let variables: BTreeMap<WeightId, Var> = variables.collect::<Result<_>>()?;
        let params = variables.iter().map(|(id, var)| (*id, var.as_tensor().clone())).collect();
        let drop_path = self.drop_path(graph, spec.drop_path, batch.images.len())?;
        let mut mode = NormMode::Train(vec![]);
        let Forward { logits, features, alignment, auxiliary } =
            forward(graph, &self.images(&batch.images)?, &params, &mut mode, drop_path.as_ref())?;
        self.update_running(mode, |norm| f64::from(norm.momentum))?;

        let CrossEntropy { mean, mut objective } = cross_entropy(&logits, batch.labels, spec)?;
        for (logits, share) in auxiliary {
            let auxiliary = cross_entropy(&logits, batch.labels, spec)?.objective;
            objective = (objective + (auxiliary * f64::from(share))?)?;
        }
        if let Some(alignment) = &alignment {
            objective = (objective + alignment)?;
        }
        let gradients = (objective * f64::from(spec.scale))?.backward()?;
        for (id, var) in &variables {
            if let Some(gradient) = gradients.get(var) {
                let sums = self.host.gradient_mut(*id).iter_mut();
                sums.zip(to_host(gradient)?).for_each(|(sum, g)| *sum += g);
            }
        }
        self.host.touch(graph);
        Ok(StepStats {
            loss: scalar(&mean)?,
            logits: Logits { values: to_host(&logits)?, classes: logits.dim(1)? },
            feature_norms: features.map_or(Ok(vec![]), |x| to_host(&x.sqr()?.sum(1)?.sqrt()?))?,
            alignment: alignment.map_or(Ok(0.0), |alignment| scalar(&alignment))?,
        })
    }

    fn backend_error(&self, error: &Error) -> ExecError {
        ExecError::Backend { executor: self.name.clone(), message: error.to_string() }
    }
}

impl Executor for CandleExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn layout(&self) -> &WeightLayout {
        self.host.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> std::result::Result<Logits, ExecError> {
        images.check(graph)?;
        let values = self.forward_eval(graph, images).map_err(|error| self.backend_error(&error))?;
        Ok(Logits { values, classes: graph.output().shape.channels })
    }

    fn recalibrate(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        share: f64,
    ) -> std::result::Result<(), ExecError> {
        images.check(graph)?;
        self.forward_statistics(graph, images, share).map_err(|error| self.backend_error(&error))
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
        self.forward_backward(graph, batch, loss).map_err(|error| self.backend_error(&error))
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

    fn write_weight(&mut self, id: WeightId, values: &[f32]) {
        self.host.write_weight(id, values);
    }

    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        self.host.gradient(id)
    }
}

/// The values of a tensor in f32, row-major.
fn to_host(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}

fn scalar(tensor: &Tensor) -> Result<f64> {
    tensor.to_dtype(DType::F64)?.to_scalar()
}
