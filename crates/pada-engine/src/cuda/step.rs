use std::cell::RefCell;

use pada_graph::Shape;

use super::arguments::{
    Doubles, Field, Floats, Kernel as ConvKernel, NONE, OutputGrad, Reals, Value, Window,
};
use super::dataset::InputImages;
use super::memory::Block;
use super::source::Kernel;
use super::weights::Weights;
use super::{CudaError, Device, Launch};
use crate::plan::{Backward, BufferId, ConvOp, GradientId, NormId, Plan, Source};

/// Threads per block of the kernels that have one thread per number.
pub(super) const BLOCK: u32 = 256;

/// A pass over a batch, which launches kernels.
pub(super) struct Step<'a> {
    pub(super) device: &'a dyn Device,
    pub(super) plan: &'a Plan,
    /// B.
    pub(super) images: usize,
    /// Size of a number in the arena, in bytes.
    pub(super) real: usize,
    /// All buffers and gradients. Each one is `[B, H, W, stride]`.
    pub(super) arena: Reals,
    pub(super) tables: Tables,
    pub(super) weights: &'a Weights,
    /// Partial sums of slabs, which one launch writes and the next one reads.
    pub(super) scratch: &'a RefCell<Block>,
    pub(super) inputs: Inputs,
    /// `[alignments]`
    pub(super) alignments: Doubles,
    /// Factor of the whole loss.
    pub(super) loss_scale: f64,
}

/// The inputs of a pass that the host has copied to the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs {
    pub(super) images: InputImages,
    /// `[slots, B]`
    pub(super) drop_path: Floats,
}

/// The coefficients of all norms, one number per channel of every norm in each table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables {
    pub(super) inv_std: Doubles,
    pub(super) mean: Reals,
    pub(super) scale: Reals,
    pub(super) shift: Reals,
    /// Coefficients of the backward pass; the coefficient `a` is `scale`.
    pub(super) b: Reals,
    pub(super) c: Reals,
}

impl Tables {
    /// Returns the size of all tables in bytes.
    pub(super) fn bytes(plan: &Plan, real: usize) -> usize {
        plan.norm_channels.max(1) * (size_of::<f64>() + 5 * real)
    }

    pub(super) fn new(at: super::Address, plan: &Plan, real: usize) -> Self {
        let n = plan.norm_channels;
        let list = |i: usize| Reals(at).at(n * i, real).at(n, size_of::<f64>());
        Self { inv_std: Doubles(at), mean: list(0), scale: list(1), shift: list(2), b: list(3), c: list(4) }
    }
}

impl Step<'_> {
    /// Starts a kernel with `count` threads.
    pub(super) fn each<K: Kernel>(
        &self,
        kernel: K,
        count: usize,
        args: &K::Argument,
    ) -> Result<(), CudaError> {
        each(self.device, kernel, count, args)
    }

    /// Starts a kernel with a number of blocks in x, y and z.
    pub(super) fn start<K: Kernel>(
        &self,
        kernel: K,
        blocks: [usize; 3],
        args: &K::Argument,
    ) -> Result<(), CudaError> {
        start(self.device, kernel, blocks, args)
    }

    /// Returns the address of memory for partial sums of slabs.
    pub(super) fn scratch(&self, bytes: usize) -> Result<super::Address, CudaError> {
        self.scratch.borrow_mut().get(self.device, bytes)
    }

    /// Returns the number of rows of a buffer: the pixels of all images.
    pub(super) fn rows(&self, shape: Shape) -> usize {
        self.images * shape.pixels()
    }

    pub(super) fn buffer(&self, buffer: BufferId) -> Reals {
        self.arena.at(self.plan.places[buffer] * self.images, self.real)
    }

    pub(super) fn gradient(&self, backward_plan: &Backward, gradient: GradientId) -> Reals {
        self.arena.at(backward_plan.places[gradient] * self.images, self.real)
    }

    /// Returns the address of a norm in a table.
    pub(super) fn of_norm(&self, table: Reals, norm: NormId) -> Reals {
        table.at(self.plan.norms[norm].place, self.real)
    }

    pub(super) fn inv_std(&self, norm: NormId) -> Doubles {
        self.tables.inv_std.at(self.plan.norms[norm].place)
    }

    /// Returns the argument for a value that an operation reads.
    pub(super) fn value(&self, source: &Source) -> Value {
        let (low, high) = source.act.bounds();
        let [mean, scale, shift] = match source.norm {
            None => [Reals(NONE); 3],
            Some(norm) => [self.tables.mean, self.tables.scale, self.tables.shift]
                .map(|table| self.of_norm(table, norm)),
        };
        Value { x: self.buffer(source.buffer), mean, scale, shift, low, high }
    }

    /// Returns the argument for the gradient of a buffer.
    pub(super) fn output_grad(&self, backward_plan: &Backward, buffer: BufferId) -> OutputGrad {
        let none = Reals(NONE);
        let parts = backward_plan.of[buffer];
        let direct = parts.direct.map_or(none, |id| self.gradient(backward_plan, id));
        let Some((norm, after)) = parts.norm else {
            return OutputGrad { direct, after: none, y: none, mean: none, a: none, b: none, c: none };
        };
        let Tables { mean, scale, b, c, .. } = self.tables;
        let [mean, a, b, c] = [mean, scale, b, c].map(|table| self.of_norm(table, norm));
        OutputGrad {
            direct,
            after: self.gradient(backward_plan, after),
            y: self.buffer(buffer),
            mean,
            a,
            b,
            c,
        }
    }

    /// Returns the arguments for the window and the weights of a convolution.
    pub(super) fn conv(&self, op: &ConvOp, out: BufferId) -> (Window, ConvKernel) {
        let (x, y) = (self.plan.buffers[op.source.buffer].shape, self.plan.buffers[out].shape);
        let conv = &op.conv;
        let [height, width] = conv.axes();
        let window = Window {
            kernel: width.kernel as i64,
            step_y: height.stride as i64,
            step_x: width.stride as i64,
            dilation: conv.dilation as i64,
            border_y: height.padding as i64 - conv.offset as i64,
            border_x: width.padding as i64 - conv.offset as i64,
            ..sizes(x, y)
        };
        let kernel = ConvKernel {
            weights: self.weights.weight(conv.weight),
            channels_in: x.channels as i64,
            channels_out: y.channels as i64,
            groups: conv.groups as i64,
            taps: (height.kernel * width.kernel) as i64,
        };
        (window, kernel)
    }
}

/// Returns a window of one pixel with input shape `x` and output shape `y`.
pub(super) fn sizes(x: Shape, y: Shape) -> Window {
    Window {
        kernel: 1,
        step_y: 1,
        step_x: 1,
        dilation: 1,
        border_y: 0,
        border_x: 0,
        height: x.height as i64,
        width: x.width as i64,
        out_height: y.height as i64,
        out_width: y.width as i64,
    }
}

/// Starts a kernel with `count` threads.
pub(super) fn each<K: Kernel>(
    device: &dyn Device,
    kernel: K,
    count: usize,
    args: &K::Argument,
) -> Result<(), CudaError> {
    start(device, kernel, [count.div_ceil(K::THREADS as usize), 1, 1], args)
}

/// Starts a kernel with a number of blocks in x, y and z. Without any block, it does nothing.
pub(super) fn start<K: Kernel>(
    device: &dyn Device,
    _: K,
    blocks: [usize; 3],
    args: &K::Argument,
) -> Result<(), CudaError> {
    if blocks.contains(&0) {
        return Ok(());
    }
    let mut words = Vec::new();
    args.put(&mut words);
    let blocks =
        blocks.map(|n| u32::try_from(n).expect("a batch that fits into memory has less than 2³² blocks"));
    device.launch(&Launch { kernel: K::NAME, blocks, threads: K::THREADS, words: &words })
}
