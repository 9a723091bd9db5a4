use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use pada_graph::{
    Batch, ExecError, Executor, Graph, Images, Logits, LossSpec, Precision, SgdStep, State, StepStats,
    WeightId, WeightLayout,
};

use super::arguments::{CrossEntropyArgs, Doubles, Floats, Ints, LogitsArgs, NONE, NormsArgs, Reals};
use super::forward::Track;
use super::memory::Block;
use super::results::{Found, Places, Results};
use super::source::{kernel, real_bytes};
use super::step::{Inputs, Step, Tables, each};
use super::weights::Weights;
use super::{CudaError, Device, DeviceSum};
use crate::plan::{BufferId, Compiler, Kind, Machine, Mode, Plan};

/// What plans are compiled for. Eight numbers, so that four of them never reach over a pixel's end; two to a unit, so that images too
/// have whole vectors.
const MACHINE: Machine = Machine { lanes: 8, per: 2 };

/// The engine on a device: the same plans as on the CPU, one launch for an operation of the whole batch.
///
/// A pass waits for the device once, when it copies what it found. Errors of calls that cannot report them are reported by the next
/// that can.
pub struct CudaEngine {
    device: Rc<dyn Device>,
    name: String,
    real: usize,
    compiler: Compiler,
    weights: Weights,
    memory: Memory,
    /// Of the gradient that is there.
    norms: Vec<f64>,
    /// The first thing that went wrong; nothing is computed any more.
    failed: RefCell<Option<CudaError>>,
}

/// Kept from pass to pass.
#[derive(Debug, Default)]
struct Memory {
    arena: Block,
    tables: Block,
    pixels: Block,
    labels: Block,
    image_weights: Block,
    drop_path: Block,
    results: Block,
    scratch: RefCell<Block>,
}

impl std::fmt::Debug for CudaEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CudaEngine").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a pass is for, and what it needs beside its images.
#[derive(Clone, Copy)]
enum Task<'a> {
    Score,
    /// The batch's share in the running statistics.
    Recalibrate(f64),
    Train(&'a Batch<'a>, &'a LossSpec<'a>),
}

impl CudaEngine {
    /// An executor on `device`, which runs the kernels of [`super::source`] compiled with [`super::macros`] of this precision.
    ///
    /// # Errors
    /// Where the weights do not fit into its memory.
    ///
    /// # Panics
    /// If there are not as many weights as the layout has.
    pub fn with_device(
        device: Rc<dyn Device>,
        layout: WeightLayout,
        weights: &[f32],
        precision: Precision,
    ) -> Result<Self, CudaError> {
        let detail = match precision {
            Precision::Single => "",
            Precision::Half => ", bf16",
            Precision::Double => ", f64",
        };
        Ok(Self {
            name: format!("engine on {}{detail}", device.name()),
            real: real_bytes(precision),
            compiler: Compiler::default(),
            norms: vec![0.0; layout.len()],
            weights: Weights::new(device.as_ref(), layout, weights)?,
            memory: Memory::default(),
            failed: RefCell::new(None),
            device,
        })
    }

    /// Bytes of device memory held between passes, weights aside.
    pub fn memory_bytes(&self) -> usize {
        let Memory { arena, tables, pixels, labels, image_weights, drop_path, results, scratch } =
            &self.memory;
        let blocks = [arena, tables, pixels, labels, image_weights, drop_path, results];
        blocks.iter().map(|block| block.bytes()).sum::<usize>() + scratch.borrow().bytes()
    }

    fn run(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        task: Task<'_>,
    ) -> Result<Option<Found>, CudaError> {
        if let Some(error) = self.failed.get_mut() {
            return Err(error.clone());
        }
        let found = self.pass(graph, images, task);
        if let Err(error) = &found {
            self.failed.replace(Some(error.clone()));
        }
        found
    }

    fn pass(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        task: Task<'_>,
    ) -> Result<Option<Found>, CudaError> {
        let mode = match task {
            Task::Score => Mode::Forward,
            Task::Recalibrate(_) => Mode::Recalibrate,
            Task::Train(..) => Mode::Train,
        };
        let plan = self.compiler.compile(graph, MACHINE, mode);
        let (device, real, batch) = (self.device.as_ref(), self.real, images.len());
        let Memory { arena, tables, pixels, labels, image_weights, drop_path, results, scratch } =
            &mut self.memory;
        let places = Places {
            images: batch,
            classes: plan.buffers[plan.output].shape.channels,
            alignments: plan.alignments,
            tensors: self.weights.layout().len(),
        };
        let results = places.on(device, results)?;
        let bytes = Tables::bytes(&plan, real);
        let tables = tables.get(device, bytes)?;
        device.clear(tables, bytes)?;
        let (spec, labels) = match task {
            Task::Train(batch, loss) => {
                (*loss, labels.filled(device, bytemuck::cast_slice::<u32, u8>(batch.labels))?)
            }
            Task::Score | Task::Recalibrate(_) => (LossSpec::default(), NONE),
        };
        let step = Step {
            device,
            plan: &plan,
            images: batch,
            real,
            arena: Reals(arena.get(device, plan.image_len * batch * real)?),
            tables: Tables::new(tables, &plan, real),
            weights: &self.weights,
            scratch,
            inputs: Inputs {
                pixels: Floats(pixels.filled(device, bytemuck::cast_slice(images.pixels))?),
                drop_path: Floats(drop_path.filled(device, bytemuck::cast_slice(spec.drop_path))?),
            },
            alignments: results.alignments,
            loss_scale: spec.scale.into(),
        };
        let (labels, image_weights) = (
            Ints(labels),
            match spec.image_weights {
                Some(list) => Floats(image_weights.filled(device, bytemuck::cast_slice(list))?),
                None => Floats(NONE),
            },
        );
        match task {
            Task::Score => {
                step.load_running()?;
                step.forward(Track::No)?;
                step.read_logits(&results)?;
            }
            Task::Recalibrate(share) => {
                step.forward(Track::By(Some(share)))?;
                return Ok(None);
            }
            Task::Train(..) => {
                step.forward(Track::By(None))?;
                step.read_logits(&results)?;
                step.feature_norms(&results)?;
                step.loss(&spec, labels, image_weights, results.losses)?;
                step.backward(plan.backward.as_ref().expect("the plan was compiled to train"))?;
                self.weights.norms(device, results.norms)?;
            }
        }
        places.download(device, &results).map(Some)
    }

    /// Adds up the gradient over the devices of several ranks, once the passes of a step have left there what each rank's images give.
    ///
    /// # Errors
    /// [`ExecError::Backend`]
    pub fn sum_gradient(&mut self, ranks: &dyn DeviceSum) -> Result<(), ExecError> {
        self.health()?;
        let summed = self.weights.sum_gradient(self.device.as_ref(), ranks);
        self.norms = summed.map_err(|error| {
            self.failed.borrow_mut().get_or_insert_with(|| error.clone());
            self.backend(&error)
        })?;
        Ok(())
    }

    fn backend(&self, error: &CudaError) -> ExecError {
        ExecError::Backend { executor: self.name.clone(), message: error.to_string() }
    }

    /// Remembers what went wrong for the next call that can report it.
    fn keep<T>(&self, result: Result<T, CudaError>, otherwise: T) -> T {
        result.unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            otherwise
        })
    }
}

impl Step<'_> {
    fn read_logits(&self, results: &Results) -> Result<(), CudaError> {
        let head = &self.plan.buffers[self.plan.output];
        let args = LogitsArgs {
            logits: self.buffer(self.plan.output),
            out: results.logits,
            images: self.images as i64,
            classes: head.shape.channels as i64,
            stride: head.stride as i64,
        };
        each(self.device, kernel::read_logits, self.images * head.shape.channels, &args)
    }

    fn feature_norms(&self, results: &Results) -> Result<(), CudaError> {
        let Some(source) = classifier_input(self.plan) else { return Ok(()) };
        let len = self.plan.buffers[source].len() as i64;
        let args =
            NormsArgs { x: self.buffer(source), out: results.features, images: self.images as i64, len };
        each(self.device, kernel::feature_norms, self.images, &args)
    }

    /// The cross entropy of the output, and where the way back begins.
    fn loss(
        &self,
        spec: &LossSpec<'_>,
        labels: Ints,
        image_weights: Floats,
        losses: Doubles,
    ) -> Result<(), CudaError> {
        let way = self.plan.backward.as_ref().expect("the plan was compiled to train");
        let heads = std::iter::once((self.plan.output, 1.0_f32)).chain(self.plan.auxiliary.iter().copied());
        let mut begun: Vec<BufferId> = vec![];
        for (i, (head, share)) in heads.enumerate() {
            let start = way.starts.iter().find(|(buffer, _)| *buffer == head);
            let slope = self.gradient(way, start.expect("the way back begins at all logits").1);
            let of = &self.plan.buffers[head];
            let args = CrossEntropyArgs {
                logits: self.buffer(head),
                labels,
                image_weights,
                slope,
                losses: if i == 0 { losses } else { Doubles(NONE) },
                scale: (spec.scale * share).into(),
                smoothing: spec.label_smoothing.into(),
                images: self.images as i64,
                classes: of.shape.channels as i64,
                stride: of.stride as i64,
                add: i64::from(begun.contains(&head)),
            };
            each(self.device, kernel::cross_entropy, self.images, &args)?;
            begun.push(head);
        }
        Ok(())
    }
}

/// What the linear layer of the output reads; none if the output is something else.
fn classifier_input(plan: &Plan) -> Option<BufferId> {
    plan.ops.iter().find(|op| op.out == plan.output).and_then(|op| match op.kind {
        Kind::Linear { source, .. } => Some(source),
        _ => None,
    })
}

impl Executor for CudaEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn layout(&self) -> &WeightLayout {
        self.weights.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError> {
        images.check(graph)?;
        let found = self.run(graph, images, Task::Score).map_err(|e| self.backend(&e))?;
        let values = found.expect("a score is read back").logits;
        Ok(Logits { classes: values.len() / images.len(), values })
    }

    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, batch: usize) -> Result<(), ExecError> {
        images.check(graph)?;
        let task = Task::Recalibrate(1.0 / (batch + 1) as f64);
        self.run(graph, images, task).map(drop).map_err(|e| self.backend(&e))
    }

    fn zero_gradient(&mut self) {
        self.norms.fill(0.0);
        let zeroed = self.weights.zero_gradient(self.device.as_ref());
        self.keep(zeroed, ());
    }

    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> Result<StepStats, ExecError> {
        batch.check(graph, loss)?;
        let found = self.run(graph, &batch.images, Task::Train(batch, loss)).map_err(|e| self.backend(&e))?;
        let found = found.expect("a step is read back");
        self.weights.touch(graph);
        self.norms = found.norms;
        let classifies = matches!(graph.output().op, pada_graph::Op::Linear { .. });
        Ok(StepStats {
            loss: found.losses.iter().sum::<f64>() / found.losses.len() as f64,
            logits: Logits { classes: found.logits.len() / batch.images.len(), values: found.logits },
            feature_norms: if classifies { found.features } else { vec![] },
            alignment: found.alignments.iter().sum(),
        })
    }

    fn gradient_norms(&self) -> Vec<f64> {
        self.norms.clone()
    }

    fn gradient(&self, id: WeightId) -> Cow<'_, [f32]> {
        let zeros = vec![0.0; self.layout().spec(id).numel()];
        Cow::Owned(self.keep(self.weights.read_gradient(self.device.as_ref(), id), zeros))
    }

    fn update(&mut self, step: &SgdStep) {
        self.keep(self.weights.update(self.device.as_ref(), step), ());
    }

    fn read(&self, state: State) -> Vec<f32> {
        self.keep(self.weights.read(self.device.as_ref(), state), vec![0.0; self.layout().numel()])
    }

    fn write(&mut self, state: State, values: &[f32]) {
        self.keep(self.weights.write(self.device.as_ref(), state, values), ());
    }

    fn health(&self) -> Result<(), ExecError> {
        self.failed.borrow().as_ref().map_or(Ok(()), |error| Err(self.backend(error)))
    }
}

impl Drop for CudaEngine {
    fn drop(&mut self) {
        let device = self.device.as_ref();
        let Memory { arena, tables, pixels, labels, image_weights, drop_path, results, scratch } =
            &mut self.memory;
        let own = [arena, tables, pixels, labels, image_weights, drop_path, results, scratch.get_mut()];
        own.into_iter().chain(self.weights.blocks()).for_each(|block| block.release(device));
    }
}
