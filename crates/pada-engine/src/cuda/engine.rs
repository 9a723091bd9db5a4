use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use pada_exec::{
    Batch, ByteImages, CorrectCounts, DeviceData, DeviceDataset, ExecError, Executor, Images, Logits,
    LossSpec, Pixels, Precision, SgdStep, State, StepStats,
};
use pada_graph::{Graph, WeightId, WeightLayout};

use super::arguments::{Doubles, Floats, Ints, NONE, Reals};
use super::forward::Track;
use super::held::{self, Held, InputImages};
use super::memory::Block;
use super::results::{Found, Places};
use super::source::real_bytes;
use super::step::{Inputs, Step, Tables};
use super::tally::Tallies;
use super::weights::Weights;
use super::{CudaError, Device, DeviceSum};
use crate::plan::{Compiler, Machine, Mode};

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
    /// Sets of images.
    held: Vec<Held>,
    tallies: Tallies,
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
    /// Pixels, or how images are picked.
    images: Block,
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
    /// Where the number of correct images is added.
    Count(&'a Batch<'a>, Doubles),
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
            Precision::F32 => "",
            Precision::Bf16 => ", bf16",
            Precision::F64 => ", f64",
        };
        Ok(Self {
            name: format!("engine on {}{detail}", device.name()),
            real: real_bytes(precision),
            compiler: Compiler::default(),
            norms: vec![0.0; layout.len()],
            weights: Weights::new(device.as_ref(), layout, weights)?,
            memory: Memory::default(),
            held: vec![],
            tallies: Tallies::default(),
            failed: RefCell::new(None),
            device,
        })
    }

    /// Bytes of device memory held between passes, weights and sets of images aside.
    pub fn memory_bytes(&self) -> usize {
        let Memory { arena, tables, images, labels, image_weights, drop_path, results, scratch } =
            &self.memory;
        let blocks = [arena, tables, images, labels, image_weights, drop_path, results];
        blocks.iter().map(|block| block.bytes()).sum::<usize>() + scratch.borrow().bytes()
    }

    fn run(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        task: Task<'_>,
    ) -> Result<Option<Found>, ExecError> {
        self.deferred_error()?;
        if !self.holds(images) {
            return Err(ExecError::UnknownDataset);
        }
        let found = self.pass(graph, images, task);
        self.told(found)
    }

    /// Whether all images of a batch are given, or in one of the sets.
    fn holds(&self, images: &Images<'_>) -> bool {
        match images.pixels {
            Pixels::Given(_) => true,
            Pixels::Range(set, ..) | Pixels::Augmented(set, _) => {
                self.held.get(set.0).is_some_and(|held| held.has(images))
            }
        }
    }

    fn pass(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        task: Task<'_>,
    ) -> Result<Option<Found>, CudaError> {
        let (mode, spec, classes) = match task {
            Task::Score => (Mode::Forward, LossSpec::default(), &[][..]),
            Task::Count(batch, _) => (Mode::Forward, LossSpec::default(), batch.labels),
            Task::Recalibrate(_) => (Mode::Recalibrate, LossSpec::default(), &[][..]),
            Task::Train(batch, loss) => (Mode::Train, *loss, batch.labels),
        };
        let plan = self.compiler.compile(graph, MACHINE, mode);
        let (device, real, batch) = (self.device.as_ref(), self.real, images.len());
        let Memory { arena, tables, images: source, labels, image_weights, drop_path, results, scratch } =
            &mut self.memory;
        let places = Places {
            images: batch,
            classes: plan.buffers[plan.output].shape.channels,
            alignments: plan.alignments,
            tensors: self.weights.layout().len(),
            classifies: plan.classifier_input().is_some(),
        };
        let results = places.on(device, results)?;
        let bytes = Tables::bytes(&plan, real);
        let tables = tables.get(device, bytes)?;
        device.clear(tables, bytes)?;
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
                images: InputImages::new(device, source, &self.held, images)?,
                drop_path: Floats(drop_path.filled(device, bytemuck::cast_slice(spec.drop_path))?),
            },
            alignments: results.alignments,
            loss_scale: spec.scale.into(),
        };
        let labels = match held::labels(&self.held, images, classes) {
            Some(there) => there,
            None => Ints(labels.filled(device, bytemuck::cast_slice(classes))?),
        };
        match task {
            Task::Score => {
                step.load_running()?;
                step.forward(Track::No)?;
                step.read_logits(&results)?;
                return places.download_logits(device, &results).map(Some);
            }
            Task::Count(_, count) => {
                step.load_running()?;
                step.forward(Track::No)?;
                step.count(labels, count)?;
                return Ok(None);
            }
            Task::Recalibrate(share) => {
                step.forward(Track::By(Some(share)))?;
                return Ok(None);
            }
            Task::Train(..) => {
                let image_weights = match spec.image_weights {
                    Some(list) => Floats(image_weights.filled(device, bytemuck::cast_slice(list))?),
                    None => Floats(NONE),
                };
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
        self.deferred_error()?;
        let summed = self.weights.sum_gradient(self.device.as_ref(), ranks);
        self.norms = self.told(summed)?;
        Ok(())
    }

    /// Remembers what went wrong, and says it.
    fn told<T>(&self, result: Result<T, CudaError>) -> Result<T, ExecError> {
        result.map_err(|error| {
            let said = self.backend(&error);
            self.failed.borrow_mut().get_or_insert(error);
            said
        })
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

impl Executor for CudaEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn layout(&self) -> &WeightLayout {
        self.weights.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError> {
        images.check(graph)?;
        let found = self.run(graph, images, Task::Score)?;
        let values = found.expect("a score is read back").logits;
        Ok(Logits { classes: values.len() / images.len(), values })
    }

    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, batch: usize) -> Result<(), ExecError> {
        images.check(graph)?;
        self.run(graph, images, Task::Recalibrate(1.0 / (batch + 1) as f64)).map(drop)
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
        let found = self.run(graph, &batch.images, Task::Train(batch, loss))?;
        let found = found.expect("a step is read back");
        self.weights.touch(graph);
        self.norms = found.norms;
        Ok(StepStats {
            loss: found.losses.iter().sum::<f64>() / found.losses.len() as f64,
            logits: Logits { classes: found.logits.len() / batch.images.len(), values: found.logits },
            feature_norms: found.features,
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
        let written = self.weights.write(self.device.as_ref(), state, values);
        self.keep(written, ());
        if state == State::Gradient {
            let norms = self.weights.gradient_norms(self.device.as_ref());
            self.norms = self.keep(norms, vec![0.0; self.norms.len()]);
        }
    }

    fn device_data(&mut self) -> Option<&mut dyn DeviceData> {
        Some(self)
    }

    fn deferred_error(&self) -> Result<(), ExecError> {
        self.failed.borrow().as_ref().map_or(Ok(()), |error| Err(self.backend(error)))
    }
}

impl DeviceData for CudaEngine {
    fn upload_dataset(&mut self, images: &ByteImages<'_>) -> Result<Option<DeviceDataset>, ExecError> {
        self.deferred_error()?;
        match Held::new(self.device.as_ref(), images) {
            Err(error @ CudaError::OutOfMemory { .. }) => {
                tracing::warn!("{error}; images stay in the memory of the host");
                Ok(None)
            }
            held => {
                let held = self.told(held)?;
                self.held.push(held);
                Ok(Some(DeviceDataset(self.held.len() - 1)))
            }
        }
    }

    fn count(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        tally: &mut CorrectCounts,
    ) -> Result<(), ExecError> {
        batch.images.check(graph)?;
        batch.check_labels(graph)?;
        let place = self.tallies.place(self.device.as_ref(), tally);
        match self.told(place)? {
            Some(count) => self.run(graph, &batch.images, Task::Count(batch, count)).map(drop),
            None => {
                tally.known += self.logits(graph, &batch.images)?.correct(batch.labels);
                Ok(())
            }
        }
    }

    fn counts(&mut self, tallies: &[CorrectCounts]) -> Result<Vec<usize>, ExecError> {
        self.deferred_error()?;
        let kept = self.tallies.take(self.device.as_ref());
        let kept = self.told(kept)?;
        Ok(tallies.iter().map(|tally| tally.known + tally.kept.map_or(0, |place| kept[place])).collect())
    }
}

impl Drop for CudaEngine {
    fn drop(&mut self) {
        let device = self.device.as_ref();
        let Memory { arena, tables, images, labels, image_weights, drop_path, results, scratch } =
            &mut self.memory;
        let own = [arena, tables, images, labels, image_weights, drop_path, results, scratch.get_mut()];
        own.into_iter()
            .chain(self.weights.blocks())
            .chain(self.held.iter_mut().flat_map(Held::blocks))
            .chain([self.tallies.block()])
            .for_each(|block| block.release(device));
    }
}
