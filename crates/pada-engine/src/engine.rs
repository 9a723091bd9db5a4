use std::borrow::Cow;

use pada_dist::ProcessGroup;
use pada_exec::{
    Batch, BatchNormSync, Convolution, ExecError, Executor, HostWeights, Images, Inspect, Inspected,
    Inspection, Logits, LossSpec, Precision, SgdStep, State, StepStats,
};
use pada_graph::{Graph, Op, WeightId, WeightLayout};

use crate::isa::{Isa, has_bf16};
use crate::memory::Memory;
use crate::plan::Compiler;
use crate::run::{Task, inspect, run};
use crate::shard::Shard;
use crate::simd::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, Avx512Bf16, Avx512Half, Pair};

/// An [`Executor`] on the CPU that compiles a graph to a plan and runs it with its own vectorised kernels.
///
/// Winograd's algorithm computes most 3×3 convolutions in f32, see [`Convolution`].
///
/// Results are bitwise equal for any number of threads. They are also bitwise equal for 1, 2, 4, 8, … processes, unless
/// [`Engine::across`] was called with [`BatchNormSync::Local`].
#[derive(Debug)]
pub struct Engine {
    host: HostWeights,
    isa: Isa,
    name: String,
    compiler: Compiler,
    numbers: Numbers,
    /// The processes that compute gradients together.
    group: ProcessGroup,
    norms: BatchNormSync,
}

/// The memory of an engine, by the type of its numbers.
#[derive(Debug)]
enum Numbers {
    F32(Memory<f32, f32>),
    #[cfg(target_arch = "x86_64")]
    Bf16(Memory<f32, Pair>),
    F64(Memory<f64, f64>),
}

/// Calls a generic function with the vectors of an engine and the memory for their numbers.
macro_rules! with_vectors {
    ($numbers:expr, $isa:expr, $graph:expr, $function:ident($($argument:expr),*)) => {
        match $numbers {
            Numbers::F64(memory) => $function::<Portable<f64>>(memory, $($argument),*),
            #[cfg(target_arch = "x86_64")]
            Numbers::Bf16(memory) => $function::<Avx512Bf16>(memory, $($argument),*),
            Numbers::F32(memory) => match $isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 if is_narrow($graph) => $function::<Avx512Half>(memory, $($argument),*),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => $function::<Avx512>(memory, $($argument),*),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => $function::<Avx2>(memory, $($argument),*),
                _ => $function::<Portable<f32>>(memory, $($argument),*),
            },
        }
    };
}

impl Engine {
    /// Creates an executor with initial weights. It uses the widest vector instructions of this processor.
    ///
    /// `weights` is one flat buffer in the order of the layout.
    ///
    /// # Panics
    /// Panics if the number of weights is not [`WeightLayout::numel`].
    pub fn new(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Self {
        Self::with_isa(layout, weights, precision, Isa::detect())
    }

    /// Creates an executor that uses vector instructions up to `isa`, or narrower ones if the processor lacks them.
    ///
    /// `Precision::F64` always uses [`Isa::Portable`].
    ///
    /// # Panics
    /// Panics if the number of weights is not [`WeightLayout::numel`].
    pub fn with_isa(layout: WeightLayout, weights: Vec<f32>, precision: Precision, isa: Isa) -> Self {
        let isa = isa.min(Isa::detect());
        let (isa, numbers, detail) = match precision {
            Precision::F32 => (isa, Numbers::F32(Memory::default()), ""),
            #[cfg(target_arch = "x86_64")]
            Precision::Bf16 if isa == Isa::Avx512 && has_bf16() => {
                (isa, Numbers::Bf16(Memory::default()), ", bf16")
            }
            Precision::Bf16 => (isa, Numbers::F32(Memory::default()), ", f32 for want of bf16"),
            Precision::F64 => (Isa::Portable, Numbers::F64(Memory::default()), ", f64"),
        };
        let name = format!("engine on the CPU, {isa}{detail}");
        // f64 is there to check results with, and rounding is part of what is checked.
        let convolution = if precision == Precision::F64 { Convolution::Direct } else { Convolution::Auto };
        Self {
            host: HostWeights::new(layout, weights),
            isa,
            name,
            compiler: Compiler::new(convolution),
            numbers,
            group: ProcessGroup::single(),
            norms: BatchNormSync::Sync,
        }
    }

    /// Selects the algorithm of convolutions. The default is [`Convolution::Auto`]. [`Precision::F64`] ignores the choice: it is there to check
    /// results with, and its convolutions are direct.
    pub fn with_convolution(mut self, convolution: Convolution) -> Self {
        if !matches!(self.numbers, Numbers::F64(_)) {
            self.compiler = Compiler::new(convolution);
        }
        self
    }

    /// Computes convolutions by Winograd's algorithm also with [`Precision::F64`], for tests of the algorithm.
    #[doc(hidden)]
    pub fn with_tiles_in_f64(mut self) -> Self {
        self.compiler = Compiler::new(Convolution::Auto);
        self
    }

    /// Shares every training batch among the processes of a group.
    ///
    /// Each process computes the gradient of its images, and the gradients are summed. All processes must use the same weights and batches;
    /// they end with bitwise equal gradients. Forward passes without a gradient are not shared: the process that calls
    /// [`Executor::logits`] computes the whole batch.
    ///
    /// Running statistics are always those of the whole batch. With [`BatchNormSync::Local`], the means and variances of all processes are
    /// combined for them.
    pub fn across(mut self, group: ProcessGroup, norms: BatchNormSync) -> Self {
        (self.group, self.norms) = (group, norms);
        self
    }

    /// Returns the number of bytes that are kept between passes for buffers, gradients, packed weights and sums.
    ///
    /// The weights themselves and the scratch memory of each thread do not count.
    pub fn memory_bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F32(memory) => memory.bytes(),
            #[cfg(target_arch = "x86_64")]
            Numbers::Bf16(memory) => memory.bytes(),
            Numbers::F64(memory) => memory.bytes(),
        }
    }

    fn run(&mut self, graph: &Graph, images: &Images<'_>, task: Task<'_>) -> Result<StepStats, ExecError> {
        images.numbers()?;
        let Self { host, compiler, numbers, isa, group, norms, .. } = self;
        let single = ProcessGroup::single();
        let shard = match task {
            Task::Train { .. } => Shard::new(group, *norms, images.len())?,
            Task::Score | Task::Recalibrate(_) => Shard::new(&single, BatchNormSync::Sync, images.len())?,
        };
        let batch = (images, &shard);
        let stats = with_vectors!(numbers, *isa, graph, run(compiler, host, graph, batch, task));
        Ok(stats?)
    }
}

/// Returns whether a convolution has at most 8 output channels, so that vectors of 16 numbers would be half empty.
fn is_narrow(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| matches!(node.op, Op::Conv(_)) && node.shape.channels <= 8)
}

impl Executor for Engine {
    fn name(&self) -> &str {
        &self.name
    }

    fn layout(&self) -> &WeightLayout {
        self.host.layout()
    }

    fn logits(&mut self, graph: &Graph, images: &Images<'_>) -> Result<Logits, ExecError> {
        images.check(graph)?;
        Ok(self.run(graph, images, Task::Score)?.logits)
    }

    fn recalibrate(&mut self, graph: &Graph, images: &Images<'_>, share: f64) -> Result<(), ExecError> {
        images.check(graph)?;
        self.run(graph, images, Task::Recalibrate(share))?;
        Ok(())
    }

    fn zero_gradient(&mut self) {
        self.host.zero_gradient();
    }

    fn gradients(
        &mut self,
        graph: &Graph,
        batch: &Batch<'_>,
        loss: &LossSpec<'_>,
    ) -> Result<StepStats, ExecError> {
        batch.check(graph, loss)?;
        self.run(graph, &batch.images, Task::Train { labels: batch.labels, loss })
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

    fn write_weight(&mut self, id: WeightId, values: &[f32]) {
        self.host.write_weight(id, values);
    }
}

impl Inspect for Engine {
    fn inspect(
        &mut self,
        graph: &Graph,
        images: &Images<'_>,
        inspection: &Inspection<'_>,
    ) -> Result<Inspected, ExecError> {
        images.check(graph)?;
        images.numbers()?;
        if let Some(objective) = inspection.objective {
            objective.check(graph, images)?;
        }
        if let Some(moves) = inspection.moved_kernels {
            let (found, expected) = (moves.len(), self.host.layout().numel());
            if found != expected {
                return Err(ExecError::MovedKernels { found, expected });
            }
            if !matches!(self.numbers, Numbers::F64(_)) {
                return Err(ExecError::NeedsF64 { executor: self.name.clone() });
            }
        }
        let Self { host, compiler, numbers, isa, .. } = self;
        let single = ProcessGroup::single();
        let shard = Shard::new(&single, BatchNormSync::Sync, images.len())?;
        let batch = (images, &shard);
        let inspected =
            with_vectors!(numbers, *isa, graph, inspect(compiler, host, graph, batch, inspection));
        Ok(inspected?)
    }
}
