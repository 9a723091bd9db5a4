use pada_graph::{Shape, Statistics};

use super::CudaError;
use super::arguments::{
    AddUpArgs, CombineArgs, CopyArgs, DifferenceArgs, Doubles, FinalizeStatsArgs, Floats, ForwardArgs,
    GateArgs, GlobalArgs, LinearArgs, LoadArgs, LoadUploadedArgs, MomentsArgs, MultipleArgs, NONE, PoolArgs,
    Reals, RunningArgs, StripForwardArgs, Value,
};
use super::dataset::InputImages;
use super::slabs::{Columns, SIDE, Slabs, TILE_ROWS};
use super::source::kernel;
use super::step::{Step, sizes};
use super::strips::StripChannels::{Sixteen, ThirtyTwo};
use super::strips::{StripChannels, StripTaps, Strips};
use crate::kernels::{Windows, WriteMode};
use crate::plan::{
    ANCHOR, Activation, BufferId, Connection, ConvOp, Dropped, GATE, GATED, Kind, NormId, Op, PoolKind, Term,
    VALUE,
};

/// Number of terms that one launch adds up.
const TERMS: usize = 4;

/// The update of running statistics in a forward pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Track {
    /// Running statistics do not change.
    No,
    /// The statistics of the batch have this weight, or the momentum of each norm if it is `None`.
    By(Option<f64>),
}

impl Step<'_> {
    /// Launches the forward pass, up to the logits.
    pub(super) fn forward(&self, track: Track) -> Result<(), CudaError> {
        for op in &self.plan.ops {
            let moments = self.forward_op(op)?;
            for &norm in &op.norms {
                let slabs = match moments {
                    Some(slabs) => slabs,
                    None => self.moments(op.out)?,
                };
                self.finalize_stats(norm, slabs, track)?;
            }
        }
        Ok(())
    }

    /// Launches the computation of coefficients from running statistics, for all norms that have them.
    pub(super) fn load_running(&self) -> Result<(), CudaError> {
        for (norm, slot) in self.plan.norms.iter().enumerate() {
            let Statistics::Running { mean, var, .. } = slot.norm.statistics else { continue };
            let channels = self.plan.buffers[slot.buffer].shape.channels;
            let [gamma, beta] = self.affine(norm);
            let args = RunningArgs {
                mean: self.of_norm(self.tables.mean, norm),
                scale: self.of_norm(self.tables.scale, norm),
                shift: self.of_norm(self.tables.shift, norm),
                gamma,
                beta,
                running_mean: self.weights.weight(mean),
                running_var: self.weights.weight(var),
                eps: slot.norm.eps.into(),
                channels: channels as i64,
            };
            self.each(kernel::running, channels, &args)?;
        }
        Ok(())
    }

    fn affine(&self, norm: NormId) -> [Floats; 2] {
        match self.plan.norms[norm].norm.affine {
            Some((scale, shift)) => [self.weights.weight(scale), self.weights.weight(shift)],
            None => [Floats(NONE); 2],
        }
    }

    /// Launches the moments of a buffer's channels and returns the slabs into which the rows are divided.
    fn moments(&self, buffer: BufferId) -> Result<Slabs, CudaError> {
        let of = &self.plan.buffers[buffer];
        let (rows, across) = (self.rows(of.shape), of.stride.div_ceil(SIDE));
        let slabs = Slabs::new(rows, across);
        let args = MomentsArgs {
            x: self.buffer(buffer),
            partial: Doubles(self.scratch(2 * slabs.count * of.stride * size_of::<f64>())?),
            rows: rows as i64,
            slab: slabs.rows as i64,
            stride: of.stride as i64,
        };
        self.start(kernel::moments, [across, slabs.count, 1], &args)?;
        Ok(slabs)
    }

    /// Launches the computation of a norm's coefficients from the moments in scratch memory.
    fn finalize_stats(&self, norm: NormId, slabs: Slabs, track: Track) -> Result<(), CudaError> {
        let slot = &self.plan.norms[norm];
        let buffer = &self.plan.buffers[slot.buffer];
        let rows = self.rows(buffer.shape);
        let (mut running, mut share) = ([Floats(NONE); 2], 0.0);
        if let (Statistics::Running { mean, var, momentum }, Track::By(by)) = (slot.norm.statistics, track) {
            running = [mean, var].map(|id| self.weights.weight(id));
            share = by.unwrap_or(f64::from(momentum));
        }
        let [gamma, beta] = self.affine(norm);
        let args = FinalizeStatsArgs {
            partial: Doubles(self.scratch(2 * slabs.count * buffer.stride * size_of::<f64>())?),
            mean: self.of_norm(self.tables.mean, norm),
            scale: self.of_norm(self.tables.scale, norm),
            shift: self.of_norm(self.tables.shift, norm),
            inv_std: self.inv_std(norm),
            gamma,
            beta,
            running_mean: running[0],
            running_var: running[1],
            eps: slot.norm.eps.into(),
            share,
            rows: rows as i64,
            slab: slabs.rows as i64,
            channels: buffer.shape.channels as i64,
            stride: buffer.stride as i64,
        };
        self.start(kernel::finalize_stats, [buffer.shape.channels, 1, 1], &args)
    }

    /// Launches an operation. Returns the slabs of its moments if the operation has written moments to scratch memory.
    fn forward_op(&self, op: &Op) -> Result<Option<Slabs>, CudaError> {
        let plan = self.plan;
        let of = &plan.buffers[op.out];
        let (out, rows, stride) = (self.buffer(op.out), self.rows(of.shape), of.stride as i64);
        match &op.kind {
            Kind::Conv(conv) => return self.forward_conv(op, conv),
            Kind::Load => {
                self.load(op.out)?;
            }
            Kind::Combine { terms, act } => self.combine(op.out, terms, *act)?,
            Kind::Pool { source, kind, windows } => {
                let args = self.pool(*source, Reals(NONE), windows, out, WriteMode::Store);
                match kind {
                    PoolKind::Average => self.each(kernel::average_pool, rows * of.stride / 4, &args)?,
                    PoolKind::Maximum => self.each(kernel::max_pool, rows * of.stride, &args)?,
                }
            }
            Kind::Drop { slot, dropped } => {
                let args = MultipleArgs {
                    value: self.value(&op.reads[0]),
                    factors: self.inputs.drop_path.at(slot * self.images),
                    step: self.drop_step(*dropped),
                    ..self.multiple(op.out, out, WriteMode::Store)
                };
                self.each(kernel::multiple, rows * of.stride / 4, &args)?;
            }
            Kind::Scale { factors, index } => {
                let args = MultipleArgs {
                    value: self.value(&op.reads[0]),
                    factors: self.weights.weight(*factors).at(*index),
                    image_step: 0,
                    ..self.multiple(op.out, out, WriteMode::Store)
                };
                self.each(kernel::multiple, rows * of.stride / 4, &args)?;
            }
            Kind::SelectChannels { source, order } => {
                let x = &plan.buffers[*source];
                let runs = runs(order);
                for (i, run) in runs.iter().enumerate() {
                    let fill = if i + 1 == runs.len() { of.stride - of.shape.channels } else { 0 };
                    let args = CopyArgs {
                        x: self.buffer(*source),
                        out,
                        rows: rows as i64,
                        stride_in: x.stride as i64,
                        stride_out: stride,
                        from: run.source as i64,
                        to: run.output as i64,
                        channels: run.channels as i64,
                        fill: fill as i64,
                        add: 0,
                    };
                    self.each(kernel::copy_channels, rows * (run.channels + fill), &args)?;
                }
            }
            Kind::Concat { sources } => {
                let mut to = 0;
                for (i, &source) in sources.iter().enumerate() {
                    let x = &plan.buffers[source];
                    let channels = x.shape.channels;
                    let fill = if i + 1 == sources.len() { of.stride - to - channels } else { 0 };
                    let args = CopyArgs {
                        x: self.buffer(source),
                        out,
                        rows: rows as i64,
                        stride_in: x.stride as i64,
                        stride_out: stride,
                        from: 0,
                        to: to as i64,
                        channels: channels as i64,
                        fill: fill as i64,
                        add: 0,
                    };
                    self.each(kernel::copy_channels, rows * (channels + fill), &args)?;
                    to += channels;
                }
            }
            Kind::GlobalPool { source } => {
                let x = &plan.buffers[source.buffer];
                let args = GlobalArgs {
                    value: self.value(source),
                    gradient: Reals(NONE),
                    out,
                    images: self.images as i64,
                    pixels: x.shape.pixels() as i64,
                    stride: x.stride as i64,
                    stride_out: stride,
                    add: 0,
                };
                self.each(kernel::global_pool, rows * of.stride, &args)?;
            }
            Kind::Gate => {
                let args = GateArgs { out, ..self.gate(op) };
                self.each(kernel::gate, rows * of.stride, &args)?;
            }
            Kind::Linear { source, weight, bias } => {
                let args = LinearArgs {
                    weights: self.weights.weight(*weight),
                    bias: self.weights.weight(*bias),
                    out,
                    ..self.linear(*source, op.out)
                };
                self.each(kernel::linear, rows * of.stride, &args)?;
            }
            Kind::Difference { share, alignment } => self.difference(op, *share, *alignment)?,
            Kind::Signs { .. } => unreachable!("only the CPU inspects passes"),
        }
        Ok(None)
    }

    fn load(&self, buffer: BufferId) -> Result<(), CudaError> {
        let of = &self.plan.buffers[buffer];
        let (out, images, stride) = (self.buffer(buffer), self.images as i64, of.stride as i64);
        let (channels, numbers) = (of.shape.channels as i64, self.rows(of.shape) * of.stride);
        match self.inputs.images {
            InputImages::Given(pixels) => {
                let pixels_each = of.shape.pixels() as i64;
                let args = LoadArgs { pixels, out, images, channels, pixels_each, stride };
                self.each(kernel::load, numbers, &args)
            }
            InputImages::Uploaded { bytes, values, indices, first } => {
                let (height, width) = (of.shape.height as i64, of.shape.width as i64);
                let first = first as i64;
                let args = LoadUploadedArgs {
                    bytes,
                    values,
                    indices,
                    first,
                    out,
                    images,
                    channels,
                    height,
                    width,
                    stride,
                };
                self.each(kernel::load_uploaded, numbers, &args)
            }
        }
    }

    fn forward_conv(&self, op: &Op, conv: &ConvOp) -> Result<Option<Slabs>, CudaError> {
        let (x, y) = (&self.plan.buffers[conv.source.buffer], &self.plan.buffers[op.out]);
        let (window, kernel) = self.conv(conv, op.out);
        let rows = self.rows(y.shape);
        let strips = Strips::new(conv.connection, &window, &kernel, rows);
        let tiles = strips.map_or(Slabs::tiles(rows), |strips| strips.slabs());
        let gathers = !op.norms.is_empty() && conv.connection == Connection::Dense;
        let partial = match gathers {
            true => self.scratch(2 * tiles.count * y.stride * size_of::<f64>())?,
            false => NONE,
        };
        let args = ForwardArgs {
            value: self.value(&conv.source),
            window,
            kernel,
            bias: conv.bias.map_or(Floats(NONE), |id| self.weights.weight(id)),
            out: self.buffer(op.out),
            rows: rows as i64,
            stride_in: x.stride as i64,
            stride_out: y.stride as i64,
            partial: Doubles(partial),
        };
        if conv.connection == Connection::Depthwise {
            self.each(kernel::depthwise_forward, rows * y.stride / 4, &args)?;
            return Ok(None);
        }
        if let Some(strips) = strips {
            let channels = StripChannels::fitting(y.stride);
            let (count, each) = (tiles.count, strips.each(x.shape.channels, tiles.count));
            let blocks = [count.div_ceil(each), y.stride.div_ceil(channels.count()), 1];
            let (count, each) = (count as i64, each as i64);
            let args = StripForwardArgs { conv: args, strips: strips.args(), count, each };
            match (strips.taps, channels) {
                (StripTaps::One, Sixteen) => self.start(kernel::strip_forward_1x1_16, blocks, &args)?,
                (StripTaps::One, ThirtyTwo) => self.start(kernel::strip_forward_1x1_32, blocks, &args)?,
                (StripTaps::Nine, Sixteen) => self.start(kernel::strip_forward_3x3_16, blocks, &args)?,
                (StripTaps::Nine, ThirtyTwo) => self.start(kernel::strip_forward_3x3_32, blocks, &args)?,
            }
            return Ok(gathers.then_some(tiles));
        }
        let columns = Columns::fitting(y.stride);
        let blocks = [rows.div_ceil(TILE_ROWS), y.stride.div_ceil(columns.count()), 1];
        match columns {
            Columns::Few => self.start(kernel::dense_forward_16, blocks, &args)?,
            Columns::Some => self.start(kernel::dense_forward_32, blocks, &args)?,
            Columns::Many => self.start(kernel::dense_forward_64, blocks, &args)?,
        }
        Ok(gathers.then_some(tiles))
    }

    fn combine(&self, out: BufferId, terms: &[Term], act: Activation) -> Result<(), CudaError> {
        let of = &self.plan.buffers[out];
        let rows = self.rows(of.shape);
        let values: Vec<Value> = terms
            .iter()
            .filter_map(|term| match term {
                Term::Value(source) => Some(self.value(source)),
                Term::Pool(..) => None,
            })
            .collect();
        let mut write_mode = WriteMode::Store;
        let parts: Vec<&[Value]> = match values.is_empty() && terms.is_empty() {
            true => vec![&[]],
            false => values.chunks(TERMS).collect(),
        };
        for (i, part) in parts.iter().enumerate() {
            // The activation applies to the whole sum.
            let (low, high) = if i + 1 == parts.len() { act.bounds() } else { Activation::None.bounds() };
            let term = |i: usize| part.get(i).copied().unwrap_or(Value::none());
            let args = CombineArgs {
                first: term(0),
                second: term(1),
                third: term(2),
                fourth: term(3),
                count: part.len() as i64,
                low,
                high,
                out: self.buffer(out),
                rows: rows as i64,
                stride: of.stride as i64,
                add: accumulates(write_mode),
            };
            self.each(kernel::combine, rows * of.stride / 4, &args)?;
            write_mode = WriteMode::Accumulate;
        }
        for term in terms {
            if let Term::Pool(buffer, windows) = term {
                let args = self.pool(*buffer, Reals(NONE), windows, self.buffer(out), write_mode);
                self.each(kernel::average_pool, rows * of.stride / 4, &args)?;
                write_mode = WriteMode::Accumulate;
            }
        }
        Ok(())
    }

    fn difference(&self, op: &Op, share: f32, alignment: usize) -> Result<(), CudaError> {
        let of = &self.plan.buffers[op.out];
        let slabs = Slabs::new(self.rows(of.shape), 1);
        let partial = Doubles(self.scratch(slabs.count * size_of::<f64>())?);
        let [anchor, value] = [ANCHOR, VALUE].map(|input| self.value(&op.reads[input]));
        let args = DifferenceArgs {
            anchor,
            value,
            out: self.buffer(op.out),
            partial,
            rows: self.rows(of.shape) as i64,
            slab: slabs.rows as i64,
            stride: of.stride as i64,
        };
        self.start(kernel::difference, [slabs.count, 1, 1], &args)?;
        let count = (self.images * of.shape.numel()) as f64;
        let args = AddUpArgs {
            partial,
            out: self.alignments.at(alignment),
            count: slabs.count as i64,
            factor: f64::from(share) / count,
        };
        self.start(kernel::add_up, [1, 1, 1], &args)
    }

    /// Returns the argument of a pooling of `x`, or of its backward pass from `gradient`.
    pub(super) fn pool(
        &self,
        x: BufferId,
        gradient: Reals,
        windows: &Windows,
        out: Reals,
        write_mode: WriteMode,
    ) -> PoolArgs {
        let window = super::arguments::Window {
            kernel: windows.pool.kernel as i64,
            step_y: windows.pool.stride as i64,
            step_x: windows.pool.stride as i64,
            border_y: windows.pool.padding as i64,
            border_x: windows.pool.padding as i64,
            ..sizes(windows.input, windows.output)
        };
        let (images, stride) = (self.images as i64, windows.stride as i64);
        PoolArgs { x: self.buffer(x), gradient, window, out, images, stride, add: accumulates(write_mode) }
    }

    /// Returns the distance between the factors of neighbouring channels.
    pub(super) fn drop_step(&self, dropped: Dropped) -> i64 {
        match dropped {
            Dropped::Images => 0,
            Dropped::Channels => self.images as i64,
        }
    }

    /// Returns the argument of a multiplication of a value with the shape of `like`.
    pub(super) fn multiple(&self, like: BufferId, out: Reals, write_mode: WriteMode) -> MultipleArgs {
        let Shape { channels, height, width } = self.plan.buffers[like].shape;
        MultipleArgs {
            value: Value::none(),
            factors: Floats(NONE),
            factor: 1.0,
            out,
            images: self.images as i64,
            pixels: (height * width) as i64,
            channels: channels as i64,
            stride: self.plan.buffers[like].stride as i64,
            step: 0,
            image_step: 1,
            add: accumulates(write_mode),
        }
    }

    /// Returns the argument of a gate without gradient and output.
    pub(super) fn gate(&self, op: &Op) -> GateArgs {
        let (gated, gate) = (&op.reads[GATED], &op.reads[GATE]);
        let of = &self.plan.buffers[op.out];
        GateArgs {
            value: self.value(gated),
            gate: self.buffer(gate.buffer),
            gradient: Reals(NONE),
            out: Reals(NONE),
            images: self.images as i64,
            pixels: of.shape.pixels() as i64,
            stride: of.stride as i64,
            stride_gate: self.plan.buffers[gate.buffer].stride as i64,
            add: 0,
        }
    }

    /// Returns the argument of a linear layer from `source` to `out`, without weights.
    pub(super) fn linear(&self, source: BufferId, out: BufferId) -> LinearArgs {
        let (x, y) = (&self.plan.buffers[source], &self.plan.buffers[out]);
        LinearArgs {
            x: self.buffer(source),
            weights: Floats(NONE),
            bias: Floats(NONE),
            gradient: Reals(NONE),
            out: Reals(NONE),
            images: self.images as i64,
            channels: x.shape.channels as i64,
            pixels: x.shape.pixels() as i64,
            stride_in: x.stride as i64,
            outputs: y.shape.channels as i64,
            stride_out: y.stride as i64,
            add: 0,
        }
    }
}

/// Returns a write mode as kernels receive it: 1 to add to the output, 0 to overwrite it.
pub(super) fn accumulates(write_mode: WriteMode) -> i64 {
    match write_mode {
        WriteMode::Store => 0,
        WriteMode::Accumulate => 1,
    }
}

/// Neighbouring channels that a selection keeps together.
pub(super) struct Run {
    /// The first channel of the input.
    pub(super) source: usize,
    /// The first channel of the output.
    pub(super) output: usize,
    pub(super) channels: usize,
}

/// Divides a selection of channels into runs, so that each is one copy.
pub(super) fn runs(order: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = vec![];
    for (output, &source) in order.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.source + run.channels == source => run.channels += 1,
            _ => runs.push(Run { source, output, channels: 1 }),
        }
    }
    runs
}
