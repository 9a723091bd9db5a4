use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, Var};
use pada_graph::{
    Batch, ExecError, Executor, Graph, HostWeights, Images, Logits, LossSpec, Precision, SgdStep, State,
    StepStats, WeightId, WeightLayout, cross_entropy,
};

use crate::GpuError;
use crate::forward::{Forward, Params, Seen, Use, forward, running};
use crate::ops::Operations;

/// The readable executor: it walks the graph, one candle operation per node, and lets candle's autograd find the gradient.
/// Faster executors are checked against it.
///
/// Weights, momentum and gradient lie in host memory; a pass copies the weights that its graph reads.
#[derive(Debug)]
pub struct CandleExecutor {
    host: HostWeights,
    device: Device,
    operations: Operations,
    name: String,
    precision: Precision,
}

impl CandleExecutor {
    /// An executor on the CPU that starts from `weights`.
    ///
    /// # Panics
    /// If there are not as many weights as the layout has.
    pub fn new(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Self {
        Self::with(Operations::Custom, layout, weights, precision)
    }

    /// An executor on the CPU that is made of these operations. Composed ones are slower; a GPU has no others, and here they can be
    /// checked.
    ///
    /// # Panics
    /// As [`CandleExecutor::new`].
    pub fn with(
        operations: Operations,
        layout: WeightLayout,
        weights: Vec<f32>,
        precision: Precision,
    ) -> Self {
        let on = match operations {
            Operations::Custom => "the CPU",
            Operations::Composed => "the CPU, composed operations",
        };
        let (host, device, name) = (HostWeights::new(layout, weights), Device::Cpu, name(on, precision));
        Self { host, device, operations, name, precision }
    }

    /// An executor on an NVIDIA GPU that starts from `weights`.
    ///
    /// # Errors
    /// [`GpuError`], always where this crate was built without its feature `candle-cuda`.
    ///
    /// # Panics
    /// As [`CandleExecutor::new`].
    pub fn on_gpu(
        ordinal: usize,
        layout: WeightLayout,
        weights: Vec<f32>,
        precision: Precision,
    ) -> std::result::Result<Self, GpuError> {
        if !candle_core::utils::cuda_is_available() {
            return Err(GpuError::NotBuilt);
        }
        let refused = |error: candle_core::Error| GpuError::Refused { ordinal, message: error.to_string() };
        let device = Device::new_cuda(ordinal).map_err(refused)?;
        let (host, operations) = (HostWeights::new(layout, weights), Operations::of(&device));
        Ok(Self { host, device, operations, name: name(&format!("cuda:{ordinal}"), precision), precision })
    }

    fn dtype(&self) -> DType {
        match self.precision {
            Precision::F32 | Precision::Bf16 => DType::F32,
            Precision::F64 => DType::F64,
        }
    }

    fn tensor(&self, id: WeightId) -> Result<Tensor> {
        let shape = self.layout().spec(id).shape.as_slice();
        Tensor::from_slice(self.host.weight(id), shape, &self.device)?.to_dtype(self.dtype())
    }

    fn image_tensor(&self, images: &Images<'_>) -> Result<Tensor> {
        let shape = images.shape;
        let dims = (images.len(), shape.channels, shape.height, shape.width);
        let pixels = images.numbers().map_err(candle_core::Error::wrap)?;
        Tensor::from_slice(pixels, dims, &self.device)?.to_dtype(self.dtype())
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
        let images = self.image_tensor(images)?;
        host(&forward(self.operations, graph, &images, &params, &mut Use::Running, None)?.output)
    }

    fn try_recalibrate(&mut self, graph: &Graph, images: &Images<'_>, batch: usize) -> Result<()> {
        let mut seen = Use::Batch(vec![]);
        let images = self.image_tensor(images)?;
        forward(self.operations, graph, &images, &self.params(graph)?, &mut seen, None)?;
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
            forward(self.operations, graph, &images, &params, &mut seen, drop_path.as_ref())?;
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
        &self.name
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

fn name(on: &str, precision: Precision) -> String {
    let detail = match precision {
        Precision::F32 => "",
        Precision::Bf16 => ", f32 for want of bf16",
        Precision::F64 => ", f64",
    };
    format!("candle on {on}{detail}")
}

/// A tensor's numbers in f32.
fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}
