use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use pada_exec::{
    Batch, ByteImages, Convolution, CorrectCounts, DeviceData, DeviceDataset, ExecError, Executor, Images,
    Logits, LossSpec, Pixels, Precision, SgdStep, State, StepStats,
};
use pada_graph::{Graph, WeightId, WeightLayout};

use super::arguments::{Doubles, Floats, Ints, NONE, Reals};
use super::correct_counts::DeviceCounts;
use super::dataset::{self, InputImages, UploadedDataset};
use super::forward::Track;
use super::memory::Block;
use super::results::{HostResults, ResultSizes};
use super::source::real_bytes;
use super::step::{Inputs, Step, Tables};
use super::weights::Weights;
use super::{CudaError, Device};
use crate::plan::{Compiler, Machine, Mode};

/// The parameters of plans for devices. Strides are multiples of 8, so that loads of four numbers never cross the end of a pixel. With two
/// numbers per unit, the strides of input images are padded in the same way.
const MACHINE: Machine = Machine { lanes: 8, per: 2 };

/// An [`Executor`] on a GPU that runs the same plans as [`crate::Engine`], with one kernel launch per operation and batch.
///
/// A pass waits for the device once, when it copies its results to the host. Errors of methods without a `Result` are stored, and the next
/// method with a `Result` returns them, see [`Executor::deferred_error`].
pub struct CudaEngine {
    device: Rc<dyn Device>,
    name: String,
    real: usize,
    compiler: Compiler,
    weights: Weights,
    memory: Memory,
    /// Uploaded data sets.
    datasets: Vec<UploadedDataset>,
    counts: DeviceCounts,
    /// L2 norms of the accumulated gradient, one per tensor.
    norms: Vec<f64>,
    /// The first error. After an error, nothing is computed any more.
    failed: RefCell<Option<CudaError>>,
}

/// Device memory that is kept from pass to pass.
#[derive(Debug, Default)]
struct Memory {
    arena: Block,
    tables: Block,
    /// Pixels, or indices and augmentation of uploaded images.
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

/// The purpose of a pass, with the inputs that it needs besides its images.
#[derive(Clone, Copy)]
enum Task<'a> {
    Score,
    /// Adds the number of correct images at this address.
    Count(&'a Batch<'a>, Doubles),
    /// Updates running statistics, in which the batch has this weight.
    Recalibrate(f64),
    Train(&'a Batch<'a>, &'a LossSpec<'a>),
}

impl CudaEngine {
    /// Creates an executor on `device` with initial weights.
    ///
    /// The device must run the kernels of [`super::source`], compiled with [`super::macros`] of the same precision. `weights` is one flat
    /// buffer in the order of the layout.
    ///
    /// # Errors
    /// Returns [`CudaError::OutOfMemory`] if the weights do not fit into the memory of the device, or [`CudaError::Lost`] if it fails.
    ///
    /// # Panics
    /// Panics if the number of weights is not [`WeightLayout::numel`].
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
            compiler: Compiler::new(Convolution::Direct),
            norms: vec![0.0; layout.len()],
            weights: Weights::new(device.as_ref(), layout, weights)?,
            memory: Memory::default(),
            datasets: vec![],
            counts: DeviceCounts::default(),
            failed: RefCell::new(None),
            device,
        })
    }

    /// Returns the bytes of device memory that are kept between passes, without weights and uploaded data sets.
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
    ) -> Result<Option<HostResults>, ExecError> {
        self.deferred_error()?;
        if !self.has_images(images) {
            return Err(ExecError::UnknownDataset);
        }
        let results = self.pass(graph, images, task);
        self.report(results)
    }

    /// Returns whether the images of a batch are given, or all of them are in an uploaded data set.
    fn has_images(&self, images: &Images<'_>) -> bool {
        match images.pixels {
            Pixels::Given(_) => true,
            Pixels::Range(set, ..) | Pixels::Augmented(set, _) => {
                self.datasets.get(set.0).is_some_and(|dataset| dataset.contains(images))
            }
        }
    }

    fn pass(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        task: Task<'_>,
    ) -> Result<Option<HostResults>, CudaError> {
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
        let sizes = ResultSizes {
            images: batch,
            classes: plan.buffers[plan.output].shape.channels,
            alignments: plan.alignments,
            tensors: self.weights.layout().len(),
            classifies: plan.classifier_input().is_some(),
        };
        let results = sizes.allocate(device, results)?;
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
                images: InputImages::new(device, source, &self.datasets, images)?,
                drop_path: Floats(drop_path.filled(device, bytemuck::cast_slice(spec.drop_path))?),
            },
            alignments: results.alignments,
            loss_scale: spec.scale.into(),
        };
        let labels = match dataset::labels(&self.datasets, images, classes) {
            Some(there) => there,
            None => Ints(labels.filled(device, bytemuck::cast_slice(classes))?),
        };
        match task {
            Task::Score => {
                step.load_running()?;
                step.forward(Track::No)?;
                step.read_logits(&results)?;
                return sizes.download_logits(device, &results).map(Some);
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
        sizes.download(device, &results).map(Some)
    }

    /// Stores an error as the first one, and converts it.
    fn report<T>(&self, result: Result<T, CudaError>) -> Result<T, ExecError> {
        result.map_err(|error| {
            let reported = self.backend(&error);
            self.failed.borrow_mut().get_or_insert(error);
            reported
        })
    }

    fn backend(&self, error: &CudaError) -> ExecError {
        ExecError::Backend { executor: self.name.clone(), message: error.to_string() }
    }

    /// Stores an error for the next method that can return it, and returns `otherwise`.
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
        let results = self.run(graph, images, Task::Score)?;
        let values = results.expect("a scoring pass returns logits").logits;
        Ok(Logits { classes: values.len() / images.len(), values })
    }

    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, share: f64) -> Result<(), ExecError> {
        images.check(graph)?;
        self.run(graph, images, Task::Recalibrate(share)).map(drop)
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
        let results = self.run(graph, &batch.images, Task::Train(batch, loss))?;
        let results = results.expect("a training pass returns results");
        self.weights.touch(graph);
        self.norms = results.norms;
        Ok(StepStats {
            loss: results.losses.iter().sum::<f64>() / results.losses.len() as f64,
            logits: Logits { classes: results.logits.len() / batch.images.len(), values: results.logits },
            feature_norms: results.features,
            alignment: results.alignments.iter().sum(),
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
        let updated = self.weights.update(self.device.as_ref(), step);
        self.keep(updated, ());
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
        match UploadedDataset::new(self.device.as_ref(), images) {
            Err(error @ CudaError::OutOfMemory { .. }) => {
                tracing::warn!(
                    "{error}; the data set stays in host memory, and every batch is copied to the device"
                );
                Ok(None)
            }
            dataset => {
                let dataset = self.report(dataset)?;
                self.datasets.push(dataset);
                Ok(Some(DeviceDataset(self.datasets.len() - 1)))
            }
        }
    }

    fn count(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        counts: &mut CorrectCounts,
    ) -> Result<(), ExecError> {
        batch.images.check(graph)?;
        batch.check_labels(graph)?;
        let counter = self.counts.counter(self.device.as_ref(), counts);
        match self.report(counter)? {
            Some(count) => self.run(graph, &batch.images, Task::Count(batch, count)).map(drop),
            None => {
                counts.known += self.logits(graph, &batch.images)?.correct(batch.labels);
                Ok(())
            }
        }
    }

    fn counts(&mut self, counts: &[CorrectCounts]) -> Result<Vec<usize>, ExecError> {
        self.deferred_error()?;
        let kept = self.counts.take(self.device.as_ref());
        let kept = self.report(kept)?;
        Ok(counts
            .iter()
            .map(|counts| counts.known + counts.kept.map_or(0, |counter| kept[counter]))
            .collect())
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
            .chain(self.datasets.iter_mut().flat_map(UploadedDataset::blocks))
            .chain([self.counts.block()])
            .for_each(|block| block.release(device));
    }
}
