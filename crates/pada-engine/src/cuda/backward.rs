use super::CudaError;
use super::arguments::{
    AddColumnsArgs, AddWeightsArgs, BackwardArgs, ColumnArgs, CopyArgs, Doubles, FinalizeNormGradientArgs,
    Floats, GateArgs, GlobalArgs, LinearArgs, LinearWeightArgs, MultipleArgs, NONE, PassThroughArgs, Reals,
    ScaleGradientArgs, StripBackwardArgs, StripWeightArgs, SumsArgs, TotalArgs, Value, WeightArgs,
};
use super::forward::{accumulates, runs};
use super::slabs::{ADDED, Columns, SIDE, Slabs, TILE_ROWS};
use super::source::kernel;
use super::step::Step;
use super::strips::StripChannels::{Sixteen, ThirtyTwo};
use super::strips::{StripChannels, StripTaps, Strips};
use crate::kernels::WriteMode;
use crate::plan::{
    Activation, Backward, Connection, ConvOp, GATED, Kind, NormId, Op, PoolKind, Target, Term, VALUE,
};

impl Step<'_> {
    /// Launches the backward pass, from the gradients of the logits to the gradients of the weights.
    pub(super) fn backward(&self, backward_plan: &Backward) -> Result<(), CudaError> {
        for (i, op) in self.plan.ops.iter().enumerate().rev() {
            match (&op.kind, backward_plan.targets[i].as_slice()) {
                // A value that only anchors read has no gradient.
                (Kind::Conv(_) | Kind::Difference { .. }, []) => {}
                (Kind::Conv(conv), [target]) => self.backward_conv(backward_plan, op, conv, *target)?,
                (Kind::Difference { share, .. }, targets) => {
                    self.backward_difference(backward_plan, op, *share, targets[VALUE])?;
                }
                (_, targets) => self.backward_op(backward_plan, op, targets)?,
            }
            for &norm in &backward_plan.complete[i] {
                self.finalize_norm_gradient(backward_plan, norm)?;
            }
        }
        Ok(())
    }

    fn backward_conv(
        &self,
        backward_plan: &Backward,
        op: &Op,
        conv: &ConvOp,
        target: Option<Target>,
    ) -> Result<(), CudaError> {
        self.weight_gradient(backward_plan, op, conv)?;
        if let Some(bias) = conv.bias {
            self.bias_gradient(backward_plan, op, self.weights.gradient(bias))?;
        }
        let Some(target) = target else { return Ok(()) };
        let (x, y) = (&self.plan.buffers[conv.source.buffer], &self.plan.buffers[op.out]);
        let (window, kernel) = self.conv(conv, op.out);
        let rows = self.rows(x.shape);
        let args = BackwardArgs {
            output_grad: self.output_grad(backward_plan, op.out),
            window,
            kernel,
            mask: if conv.source.act == Activation::None { Value::none() } else { self.value(&conv.source) },
            out: self.gradient(backward_plan, target.gradient),
            rows: rows as i64,
            stride_in: x.stride as i64,
            stride_out: y.stride as i64,
            add: accumulates(target.write_mode),
        };
        if conv.connection == Connection::Depthwise {
            return self.each(kernel::depthwise_backward, rows * x.stride / 4, &args);
        }
        if let Some(strips) = Strips::new(conv.connection, &window, &kernel, rows) {
            let channels = StripChannels::fitting(x.stride);
            let count = strips.slabs().count;
            let each = strips.each(y.shape.channels, count);
            let blocks = [count.div_ceil(each), x.stride.div_ceil(channels.count()), 1];
            let (count, each) = (count as i64, each as i64);
            let args = StripBackwardArgs { conv: args, strips: strips.args(), count, each };
            return match (strips.taps, channels) {
                (StripTaps::One, Sixteen) => self.start(kernel::strip_backward_1x1_16, blocks, &args),
                (StripTaps::One, ThirtyTwo) => self.start(kernel::strip_backward_1x1_32, blocks, &args),
                (StripTaps::Nine, Sixteen) => self.start(kernel::strip_backward_3x3_16, blocks, &args),
                (StripTaps::Nine, ThirtyTwo) => self.start(kernel::strip_backward_3x3_32, blocks, &args),
            };
        }
        let columns = Columns::fitting(x.stride);
        let blocks = [rows.div_ceil(TILE_ROWS), x.stride.div_ceil(columns.count()), 1];
        match columns {
            Columns::Few => self.start(kernel::dense_backward_16, blocks, &args),
            Columns::Some => self.start(kernel::dense_backward_32, blocks, &args),
            Columns::Many => self.start(kernel::dense_backward_64, blocks, &args),
        }
    }

    fn weight_gradient(&self, backward_plan: &Backward, op: &Op, conv: &ConvOp) -> Result<(), CudaError> {
        let (x, y) = (&self.plan.buffers[conv.source.buffer], &self.plan.buffers[op.out]);
        let (window, kernel) = self.conv(conv, op.out);
        let (rows, taps) = (self.rows(y.shape), kernel.taps as usize);
        let height = match conv.connection {
            Connection::Dense | Connection::Tiled => taps * x.shape.channels,
            Connection::Depthwise => taps,
        };
        let channels = StripChannels::fitting(x.stride.min(y.stride));
        let strips = Strips::of_weights(conv.connection, &window, &kernel, rows, channels, self.real);
        let columns = Columns::fitting(y.stride);
        let across = match (strips, conv.connection) {
            (Some(_), _) => [x.shape.channels, y.stride].map(|width| width.div_ceil(channels.count())),
            (None, Connection::Dense | Connection::Tiled) => {
                [height.div_ceil(TILE_ROWS), y.stride.div_ceil(columns.count())]
            }
            (None, Connection::Depthwise) => [y.stride.div_ceil(SIDE), taps],
        };
        let slabs = match strips {
            Some(strips) => Slabs::of_strips(strips.slabs().count, across[0] * across[1]),
            None => Slabs::new(rows, across[0] * across[1]),
        };
        let partial = Reals(self.scratch(slabs.count * height * y.stride * self.real)?);
        let args = WeightArgs {
            value: self.value(&conv.source),
            output_grad: self.output_grad(backward_plan, op.out),
            window,
            kernel,
            partial,
            rows: rows as i64,
            slab: slabs.rows as i64,
            stride_in: x.stride as i64,
            stride_out: y.stride as i64,
        };
        let blocks = [across[0], across[1], slabs.count];
        if let Some(strips) = strips {
            let count = strips.slabs().count as i64;
            let args = StripWeightArgs { conv: args, strips: strips.args(), count };
            match (strips.taps, channels) {
                (StripTaps::One, Sixteen) => self.start(kernel::strip_weights_1x1_16, blocks, &args)?,
                (StripTaps::One, ThirtyTwo) => self.start(kernel::strip_weights_1x1_32, blocks, &args)?,
                (StripTaps::Nine, Sixteen) => self.start(kernel::strip_weights_3x3_16, blocks, &args)?,
                (StripTaps::Nine, ThirtyTwo) => self.start(kernel::strip_weights_3x3_32, blocks, &args)?,
            }
        } else {
            match (conv.connection, columns) {
                (Connection::Depthwise, _) => self.start(kernel::depthwise_weights, blocks, &args)?,
                (_, Columns::Few) => self.start(kernel::dense_weights_16, blocks, &args)?,
                (_, Columns::Some) => self.start(kernel::dense_weights_32, blocks, &args)?,
                (_, Columns::Many) => self.start(kernel::dense_weights_64, blocks, &args)?,
            }
        }
        let gradient = self.weights.gradient(conv.conv.weight);
        let (slabs, stride_out) = (slabs.count as i64, y.stride as i64);
        let args = AddWeightsArgs { partial, kernel, gradient, slabs, stride_out };
        let numbers = height * y.stride;
        match conv.connection {
            Connection::Dense | Connection::Tiled => {
                self.start(kernel::add_dense_weights, [numbers.div_ceil(ADDED), 1, 1], &args)
            }
            Connection::Depthwise => self.each(kernel::add_depthwise_weights, numbers, &args),
        }
    }

    fn bias_gradient(&self, backward_plan: &Backward, op: &Op, gradient: Floats) -> Result<(), CudaError> {
        let y = &self.plan.buffers[op.out];
        let (rows, across) = (self.rows(y.shape), y.stride.div_ceil(SIDE));
        let slabs = Slabs::new(rows, across);
        let (stride, channels) = (y.stride as i64, y.shape.channels as i64);
        let partial = Doubles(self.scratch(slabs.count * y.stride * size_of::<f64>())?);
        let output_grad = self.output_grad(backward_plan, op.out);
        let args = ColumnArgs { output_grad, partial, rows: rows as i64, slab: slabs.rows as i64, stride };
        self.start(kernel::column_sums, [across, slabs.count, 1], &args)?;
        let args = AddColumnsArgs { partial, gradient, slabs: slabs.count as i64, channels, stride };
        self.each(kernel::add_columns, y.shape.channels, &args)
    }

    /// Launches the gradient of the number that an operation multiplies its value by.
    fn scale_gradient(&self, op: &Op, total: Reals, gradient: Floats) -> Result<(), CudaError> {
        let of = &self.plan.buffers[op.out];
        let slabs = Slabs::new(self.rows(of.shape), 1);
        let partial = Doubles(self.scratch(slabs.count * size_of::<f64>())?);
        let args = ScaleGradientArgs {
            value: self.value(&op.reads[0]),
            gradient: total,
            partial,
            rows: self.rows(of.shape) as i64,
            slab: slabs.rows as i64,
            channels: of.shape.channels as i64,
            stride: of.stride as i64,
        };
        self.start(kernel::scale_gradient, [slabs.count, 1, 1], &args)?;
        let args = AddColumnsArgs { partial, gradient, slabs: slabs.count as i64, channels: 1, stride: 1 };
        self.each(kernel::add_columns, 1, &args)
    }

    /// Launches the gradient of an alignment loss: 2 · share · loss scale / (B · C · H · W) times the difference.
    fn backward_difference(
        &self,
        backward_plan: &Backward,
        op: &Op,
        share: f32,
        target: Option<Target>,
    ) -> Result<(), CudaError> {
        let Some(target) = target else { return Ok(()) };
        let of = &self.plan.buffers[op.out];
        let count = (self.images * of.shape.numel()) as f64;
        let args = MultipleArgs {
            value: Value::plain(self.buffer(op.out)),
            factor: 2.0 * f64::from(share) * self.loss_scale / count,
            ..self.multiple(op.out, self.gradient(backward_plan, target.gradient), target.write_mode)
        };
        self.each(kernel::multiple, self.rows(of.shape) * of.stride / 4, &args)
    }

    fn backward_op(
        &self,
        backward_plan: &Backward,
        op: &Op,
        targets: &[Option<Target>],
    ) -> Result<(), CudaError> {
        let of = &self.plan.buffers[op.out];
        let (rows, stride) = (self.rows(of.shape), of.stride as i64);
        let Some(total) = backward_plan.of[op.out].total.map(|id| self.gradient(backward_plan, id)) else {
            return Ok(());
        };
        if backward_plan.of[op.out].norm.is_some() {
            let args = TotalArgs {
                output_grad: self.output_grad(backward_plan, op.out),
                out: total,
                rows: rows as i64,
                stride,
            };
            self.each(kernel::total_gradient, rows * of.stride / 4, &args)?;
        }
        if let Kind::Linear { source, weight, bias } = &op.kind {
            let like = self.linear(*source, op.out);
            let args = LinearWeightArgs {
                x: like.x,
                gradient: total,
                weights: self.weights.gradient(*weight),
                bias: self.weights.gradient(*bias),
                images: like.images,
                channels: like.channels,
                pixels: like.pixels,
                stride_in: like.stride_in,
                outputs: like.outputs,
                stride_out: like.stride_out,
            };
            let len = self.plan.buffers[*source].shape.numel() + 1;
            self.each(kernel::linear_weights, of.shape.channels * len, &args)?;
        }
        if let Kind::Scale { factors, index } = op.kind {
            self.scale_gradient(op, total, self.weights.gradient(factors).at(index))?;
        }
        let mut first_channel = 0;
        for (input, source) in op.reads.iter().enumerate() {
            if let Some(target) = targets[input] {
                self.input_gradient(backward_plan, op, input, target, total, first_channel)?;
            }
            first_channel += self.plan.buffers[source.buffer].shape.channels;
        }
        Ok(())
    }

    /// Launches the gradient of an operation with respect to one input.
    fn input_gradient(
        &self,
        backward_plan: &Backward,
        op: &Op,
        input: usize,
        target: Target,
        total: Reals,
        first_channel: usize,
    ) -> Result<(), CudaError> {
        let plan = self.plan;
        let (x, y) = (&plan.buffers[op.reads[input].buffer], &plan.buffers[op.out]);
        let (out, write_mode) = (self.gradient(backward_plan, target.gradient), target.write_mode);
        let rows = self.rows(x.shape);
        let numbers = rows * x.stride;
        match &op.kind {
            Kind::Combine { terms, act } => match &terms[input] {
                Term::Value(_) => {
                    let (low, high) = act.bounds();
                    let made = if *act == Activation::None { Reals(NONE) } else { self.buffer(op.out) };
                    let (rows, stride) = (rows as i64, x.stride as i64);
                    let args = PassThroughArgs {
                        gradient: total,
                        made,
                        low,
                        high,
                        out,
                        rows,
                        stride,
                        add: accumulates(write_mode),
                    };
                    self.each(kernel::pass_through, numbers / 4, &args)
                }
                Term::Pool(buffer, windows) => {
                    let args = self.pool(*buffer, total, windows, out, write_mode);
                    self.each(kernel::average_pool_gradient, numbers / 4, &args)
                }
            },
            Kind::Pool { source, kind, windows } => {
                let args = self.pool(*source, total, windows, out, write_mode);
                match kind {
                    PoolKind::Average => self.each(kernel::average_pool_gradient, numbers / 4, &args),
                    PoolKind::Maximum => self.each(kernel::max_pool_gradient, numbers, &args),
                }
            }
            Kind::Drop { slot, dropped } => {
                let args = MultipleArgs {
                    value: Value::plain(total),
                    factors: self.inputs.drop_path.at(slot * self.images),
                    step: self.drop_step(*dropped),
                    ..self.multiple(op.out, out, write_mode)
                };
                self.each(kernel::multiple, numbers / 4, &args)
            }
            Kind::Scale { factors, index } => {
                let args = MultipleArgs {
                    value: Value::plain(total),
                    factors: self.weights.weight(*factors).at(*index),
                    image_step: 0,
                    ..self.multiple(op.out, out, write_mode)
                };
                self.each(kernel::multiple, numbers / 4, &args)
            }
            Kind::SelectChannels { order, .. } => {
                let copy = CopyArgs {
                    x: total,
                    out,
                    rows: rows as i64,
                    stride_in: y.stride as i64,
                    stride_out: x.stride as i64,
                    from: 0,
                    to: 0,
                    channels: 0,
                    fill: x.stride as i64,
                    add: 0,
                };
                if write_mode == WriteMode::Store {
                    self.each(kernel::copy_channels, numbers, &copy)?;
                }
                for run in runs(order) {
                    let channels = run.channels as i64;
                    let (from, to) = (run.output as i64, run.source as i64);
                    let args = CopyArgs { from, to, channels, fill: 0, add: 1, ..copy };
                    self.each(kernel::copy_channels, rows * run.channels, &args)?;
                }
                Ok(())
            }
            Kind::Concat { .. } => {
                let channels = x.shape.channels;
                let fill = if write_mode == WriteMode::Store { x.stride - channels } else { 0 };
                let args = CopyArgs {
                    x: total,
                    out,
                    rows: rows as i64,
                    stride_in: y.stride as i64,
                    stride_out: x.stride as i64,
                    from: first_channel as i64,
                    to: 0,
                    channels: channels as i64,
                    fill: fill as i64,
                    add: accumulates(write_mode),
                };
                self.each(kernel::copy_channels, rows * (channels + fill), &args)
            }
            Kind::GlobalPool { source } => {
                let args = GlobalArgs {
                    value: self.value(source),
                    gradient: total,
                    out,
                    images: self.images as i64,
                    pixels: x.shape.pixels() as i64,
                    stride: x.stride as i64,
                    stride_out: y.stride as i64,
                    add: accumulates(write_mode),
                };
                self.each(kernel::global_pool_gradient, numbers, &args)
            }
            Kind::Gate => {
                let add = accumulates(write_mode);
                let args = GateArgs { gradient: total, out, add, ..self.gate(op) };
                match input {
                    GATED => self.each(kernel::gated_gradient, numbers, &args),
                    _ => self.each(kernel::gate_gradient, numbers, &args),
                }
            }
            Kind::Linear { source, weight, .. } => {
                let args = LinearArgs {
                    weights: self.weights.weight(*weight),
                    gradient: total,
                    out,
                    add: accumulates(write_mode),
                    ..self.linear(*source, op.out)
                };
                self.each(kernel::linear_gradient, numbers, &args)
            }
            Kind::Load | Kind::Conv(_) | Kind::Difference { .. } | Kind::Signs { .. } => Ok(()),
        }
    }

    /// Launches the backward coefficients of a norm and the gradients of its scale and shift.
    fn finalize_norm_gradient(&self, backward_plan: &Backward, norm: NormId) -> Result<(), CudaError> {
        let slot = &self.plan.norms[norm];
        let buffer = &self.plan.buffers[slot.buffer];
        let Some((_, after)) = backward_plan.of[slot.buffer].norm else { return Ok(()) };
        let (rows, across) = (self.rows(buffer.shape), buffer.stride.div_ceil(SIDE));
        let slabs = Slabs::new(rows, across);
        let (stride, channels) = (buffer.stride as i64, buffer.shape.channels);
        let partial = Doubles(self.scratch(2 * slabs.count * buffer.stride * size_of::<f64>())?);
        let args = SumsArgs {
            g: self.gradient(backward_plan, after),
            y: self.buffer(slot.buffer),
            mean: self.of_norm(self.tables.mean, norm),
            partial,
            rows: rows as i64,
            slab: slabs.rows as i64,
            stride,
        };
        self.start(kernel::gradient_sums, [across, slabs.count, 1], &args)?;
        let [gamma, beta] = match slot.norm.affine {
            Some((scale, shift)) => [self.weights.gradient(scale), self.weights.gradient(shift)],
            None => [Floats(NONE); 2],
        };
        let args = FinalizeNormGradientArgs {
            partial,
            scale: self.of_norm(self.tables.scale, norm),
            inv_std: self.inv_std(norm),
            b: self.of_norm(self.tables.b, norm),
            c: self.of_norm(self.tables.c, norm),
            gamma,
            beta,
            rows: rows as i64,
            slabs: slabs.count as i64,
            channels: channels as i64,
            stride,
        };
        self.start(kernel::finalize_norm_gradient, [channels, 1, 1], &args)
    }
}
