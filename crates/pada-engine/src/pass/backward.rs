use super::{Direction, DropFactors, Pass, Place};
use crate::geometry::Padded;
use crate::kernels::winograd::{TiledGradient, TransformSums, scratch_len};
use crate::kernels::{
    AvgPoolGradient, DepthwiseGradient, GateGradient, GatedGradient, GlobalPoolGradient, GradientSums,
    LinearInputGradient, LinearWeightGradient, Mask, MaxPoolGradient, Multiple, PassThroughGrad,
    ScaleGradient, WeightGradient, WriteMode, sigmoids,
};
use crate::memory::{Others, Scratch};
use crate::plan::{
    Activation, Backward, Connection, ConvOp, GATE, GATED, Kind, Op, PoolKind, Target, Term, VALUE,
};
use crate::simd::{Number, Unit, Vector};
use crate::statistics::add_gradient_sums;
use crate::weights;

impl<T: Number, U: Unit, V: Vector<Elem = T, Unit = U>> Pass<'_, V> {
    /// Computes the backward pass of one level for one image.
    pub(crate) fn backward(
        &self,
        backward_plan: &Backward,
        level: usize,
        place: &mut Place<'_, T>,
        scratch: &mut Scratch<T, U>,
    ) {
        scratch.padded_source = None;
        for i in self.plan.op_range(level).rev() {
            let op = &self.plan.ops[i];
            match &op.kind {
                Kind::Conv(conv) => self.backward_conv(
                    backward_plan,
                    op,
                    conv,
                    backward_plan.targets[i].first(),
                    place,
                    scratch,
                ),
                Kind::Difference { share, .. } => {
                    self.backward_difference(
                        backward_plan,
                        op,
                        *share,
                        backward_plan.targets[i][VALUE],
                        place,
                    );
                }
                _ => self.backward_op(backward_plan, op, &backward_plan.targets[i], place),
            }
            for &norm in &backward_plan.complete[i] {
                let buffer = self.plan.norms[norm].buffer;
                let Some((_, after)) = backward_plan.of[buffer].norm else { continue };
                let (g, y) =
                    (&place.values[self.range(backward_plan, after)], &place.values[self.plan.range(buffer)]);
                let stride = self.plan.buffers[buffer].stride;
                let sums = scratch.sums.get(2 * stride);
                V::dispatch(GradientSums {
                    g,
                    y,
                    mean: self.coefficients.mean(self.plan, norm),
                    stride,
                    sums,
                });
                add_gradient_sums(self.plan, norm, sums, place.seen, place.partial);
            }
        }
    }

    fn backward_conv(
        &self,
        backward_plan: &Backward,
        op: &Op,
        conv: &ConvOp,
        target: Option<&Option<Target>>,
        place: &mut Place<'_, T>,
        scratch: &mut Scratch<T, U>,
    ) {
        let Some(target) = target else { return };
        let (plan, geometry) = (self.plan, &conv.geometry);
        let (_, all) = Others::split(place.values, 0..0);
        let lens = [geometry.input.len(), geometry.output.len()];
        self.pad_output_grad(
            backward_plan,
            op.out,
            &all,
            geometry.output,
            scratch.gradient.numbers.get(lens[1]),
        );
        self.pad_input(conv, &all, scratch);
        let (x, gradient) = (&*scratch.input.numbers.get(lens[0]), &*scratch.gradient.numbers.get(lens[1]));
        let (stride_in, stride) = (geometry.input.stride, geometry.output.stride);

        if let Some(first) = op.products {
            let y = all.buffer(plan, op.out);
            let gradient = geometry.gradient.iter().map(|&place| &gradient[place as usize..]);
            let products = &mut place.products[first..][..plan.buffers[op.out].shape.channels];
            set_products(y.chunks_exact(stride).zip(gradient), products);
        }
        if op.sums_len > 0 {
            let own = &mut place.sums[op.sums..op.sums + op.sums_len];
            let (sums, rest) = own.split_at_mut(weights::weight_sums(plan, op, conv));
            let forward = &geometry.forward[0];
            let (x_places, taps, gradient_places) = (&forward.base, &forward.taps, &geometry.gradient);
            match conv.connection {
                Connection::Dense => V::dispatch(WeightGradient {
                    x,
                    x_places,
                    taps,
                    channels_in: conv.run,
                    gradient,
                    gradient_places,
                    stride_out: stride,
                    sums,
                }),
                Connection::Tiled => {
                    let len = weights::tiled_sums(plan, op, conv);
                    let tiled_sums = scratch.tiled_sums.get(plan.tiled_sums_len);
                    let tiled_sums = &mut tiled_sums[conv.tiled_sums..][..len];
                    if place.seen == 0 {
                        tiled_sums.fill(T::ZERO);
                    }
                    V::dispatch(TiledGradient {
                        x,
                        padded: geometry.input,
                        channels_in: conv.run,
                        gradient,
                        gradient_padded: geometry.output,
                        sums: tiled_sums,
                        scratch: scratch.tiles.get(scratch_len([stride_in, stride], V::LANES)),
                    });
                    if place.is_last {
                        V::dispatch(TransformSums { sums: tiled_sums, gradient: sums });
                    }
                }
                Connection::Depthwise => {
                    V::dispatch(DepthwiseGradient {
                        x,
                        x_places,
                        taps,
                        gradient,
                        gradient_places,
                        stride,
                        sums,
                    });
                }
            }
            if conv.bias.is_some() {
                for pixel in gradient.chunks_exact(stride) {
                    rest.iter_mut().zip(pixel).for_each(|(sum, g)| *sum += *g);
                }
            }
        }
        let Some(target) = target else { return };
        let (_, high) = conv.source.act.bounds();
        let mask = (conv.source.act != Activation::None).then(|| Mask { x, high: T::from_f64(high) });
        let out = &mut place.values[self.range(backward_plan, target.gradient)];
        let direction = Direction::backward(geometry, mask, target.write_mode);
        match conv.connection {
            Connection::Dense => {
                Self::set_units(&mut scratch.gradient, lens[1]);
                let (_, weights) = self.packed.dense(plan, op, conv);
                let units = plan.buffers[op.out].shape.channels.div_ceil(U::PER);
                let gradient = Self::units(&mut scratch.gradient, lens[1]);
                Self::convolve(direction, [gradient, weights], [units, stride_in], out);
            }
            Connection::Tiled => {
                let (_, weights) = self.packed.tiled(plan, op, conv);
                let images = [geometry.output, geometry.input];
                let channels = plan.buffers[op.out].shape.channels;
                Self::convolve_in_tiles(
                    direction,
                    [gradient, weights],
                    images,
                    channels,
                    out,
                    &mut scratch.tiles,
                );
            }
            Connection::Depthwise => {
                let weights = self.packed.depthwise(plan, op, conv);
                Self::convolve_depthwise(direction, [gradient, weights], stride_in, out);
            }
        }
    }

    /// Computes the gradient of an alignment loss: 2 · share · loss scale / (B · C · H · W) times the difference.
    fn backward_difference(
        &self,
        backward_plan: &Backward,
        op: &Op,
        share: f32,
        target: Option<Target>,
        place: &mut Place<'_, T>,
    ) {
        let Some(target) = target else { return };
        let count = (self.shard.batch * self.plan.buffers[op.out].shape.numel()) as f64;
        let factor = T::from_f64(2.0 * f64::from(share) * self.loss_scale / count);
        let (out, others) = Others::split(place.values, self.range(backward_plan, target.gradient));
        let difference = others.buffer(self.plan, op.out);
        V::dispatch(Multiple { numbers: difference, factor, out, write_mode: target.write_mode });
    }

    fn backward_op(
        &self,
        backward_plan: &Backward,
        op: &Op,
        targets: &[Option<Target>],
        place: &mut Place<'_, T>,
    ) {
        let plan = self.plan;
        let Some(total) = backward_plan.of[op.out].total else { return };
        if backward_plan.of[op.out].norm.is_some() {
            let (out, others) = Others::split(place.values, self.range(backward_plan, total));
            let shape = plan.buffers[op.out].shape;
            let padded = Padded::new(shape, plan.buffers[op.out].stride, 0);
            self.pad_output_grad(backward_plan, op.out, &others, padded, out);
        }
        let mut first_channel = 0;
        for (input, source) in op.reads.iter().enumerate() {
            let channels = plan.buffers[source.buffer].shape.channels;
            let write = targets[input].map_or(0..0, |target| self.range(backward_plan, target.gradient));
            let write_mode = targets[input].map(|target| target.write_mode);
            let (out, others) = Others::split(place.values, write);
            let gradient = others.get(self.range(backward_plan, total));
            // A closure, because not every input is still in memory.
            let x = || others.buffer(plan, source.buffer);
            match (&op.kind, write_mode) {
                (Kind::Linear { source, weight, .. }, write_mode) => {
                    let gradient = &gradient[..plan.buffers[op.out].shape.channels];
                    let (x, kernel) = (self.vector(&others, *source), self.kernels.host.weight(*weight));
                    if let Some(first) = op.products {
                        let pixel = (others.buffer(plan, op.out), gradient);
                        set_products(std::iter::once(pixel), &mut place.products[first..][..gradient.len()]);
                    }
                    if op.sums_len > 0 {
                        let sums = &mut place.sums[op.sums..op.sums + op.sums_len];
                        V::dispatch(LinearWeightGradient { x: &x, gradient, sums });
                    }
                    if write_mode == Some(WriteMode::Store) {
                        out.fill(T::ZERO);
                    }
                    if write_mode.is_some() {
                        let buffer = &plan.buffers[*source];
                        let places = (0..buffer.shape.channels).flat_map(|c| {
                            (0..buffer.shape.pixels()).map(move |pixel| pixel * buffer.stride + c)
                        });
                        let mut input_grad = x;
                        V::dispatch(LinearInputGradient { weight: kernel, gradient, out: &mut input_grad });
                        if let Some(weight) = self.kernels.moved(*weight) {
                            let mut moved = vec![T::ZERO; input_grad.len()];
                            V::dispatch(LinearInputGradient { weight, gradient, out: &mut moved });
                            input_grad.iter_mut().zip(moved).for_each(|(grad, moved)| *grad += moved);
                        }
                        places.zip(input_grad).for_each(|(place, grad)| out[place] += grad);
                    }
                }
                (Kind::Scale { .. }, write_mode) => {
                    if op.sums_len > 0 {
                        let stride = plan.buffers[op.out].stride;
                        let mut sums = vec![T::ZERO; stride];
                        let x = (x(), self.affine(source, stride));
                        V::dispatch(ScaleGradient { x, gradient, stride, sums: &mut sums });
                        let sum: f64 = sums[..channels].iter().map(|sum| sum.to_f64()).sum();
                        place.sums[op.sums] += T::from_f64(sum);
                    }
                    if let Some(write_mode) = write_mode {
                        V::dispatch(Multiple { numbers: gradient, factor: self.factor(op), out, write_mode });
                    }
                }
                (_, None) => {}
                (Kind::SelectChannels { order, .. }, Some(write_mode)) => {
                    if write_mode == WriteMode::Store {
                        out.fill(T::ZERO);
                    }
                    let strides = (plan.buffers[source.buffer].stride, plan.buffers[op.out].stride);
                    for (out, g) in out.chunks_exact_mut(strides.0).zip(gradient.chunks_exact(strides.1)) {
                        order.iter().zip(g).for_each(|(&channel, g)| out[channel] += *g);
                    }
                }
                (Kind::Combine { terms, act }, Some(write_mode)) => match &terms[input] {
                    Term::Value(_) => {
                        let mask = (*act != Activation::None).then(|| (others.buffer(plan, op.out), *act));
                        V::dispatch(PassThroughGrad { gradient, mask, out, write_mode });
                    }
                    Term::Pool(_, windows) => {
                        V::dispatch(AvgPoolGradient { gradient, windows: *windows, out, write_mode });
                    }
                },
                (Kind::Pool { kind: PoolKind::Average, windows, .. }, Some(write_mode)) => {
                    V::dispatch(AvgPoolGradient { gradient, windows: *windows, out, write_mode });
                }
                (Kind::Pool { kind: PoolKind::Maximum, windows, .. }, Some(write_mode)) => {
                    V::dispatch(MaxPoolGradient { x: x(), gradient, windows: *windows, out, write_mode });
                }
                (Kind::Drop { .. }, Some(write_mode)) => match self.drop_factors(op, place.image) {
                    DropFactors::Image(factor) => {
                        V::dispatch(Multiple { numbers: gradient, factor, out, write_mode });
                    }
                    DropFactors::Channels(factors) => {
                        if write_mode == WriteMode::Store {
                            out.fill(T::ZERO);
                        }
                        let stride = factors.len();
                        for (out, g) in out.chunks_exact_mut(stride).zip(gradient.chunks_exact(stride)) {
                            for ((out, g), factor) in out.iter_mut().zip(g).zip(&factors) {
                                let mut term = *g;
                                term *= *factor;
                                *out += term;
                            }
                        }
                    }
                },
                (Kind::Concat { .. }, Some(write_mode)) => {
                    if write_mode == WriteMode::Store {
                        out.fill(T::ZERO);
                    }
                    let strides = (plan.buffers[source.buffer].stride, plan.buffers[op.out].stride);
                    for (out, g) in out.chunks_exact_mut(strides.0).zip(gradient.chunks_exact(strides.1)) {
                        let g = &g[first_channel..][..channels];
                        out.iter_mut().zip(g).for_each(|(out, g)| *out += *g);
                    }
                }
                (Kind::GlobalPool { source }, Some(write_mode)) => {
                    let affine = source.norm.map(|norm| self.coefficients.affine(plan, norm));
                    let stride = plan.buffers[source.buffer].stride;
                    V::dispatch(GlobalPoolGradient {
                        x: x(),
                        affine,
                        act: source.act,
                        stride,
                        gradient,
                        out,
                        write_mode,
                    });
                }
                (Kind::Gate, Some(write_mode)) => {
                    let gated = &op.reads[GATED];
                    let factors = sigmoids(others.buffer(plan, op.reads[GATE].buffer));
                    let (x, act) = (others.buffer(plan, gated.buffer), gated.act);
                    let affine = self.affine(gated, factors.len());
                    let factors = &factors;
                    if input == GATED {
                        V::dispatch(GatedGradient { x, affine, act, factors, gradient, out, write_mode });
                    } else {
                        V::dispatch(GateGradient { x, affine, act, factors, gradient, out, write_mode });
                    }
                }
                (Kind::Load | Kind::Conv(_) | Kind::Difference { .. } | Kind::Signs { .. }, _) => {}
            }
            first_channel += channels;
        }
    }
}

/// Sets the product of value and gradient of each channel, summed over pixels.
fn set_products<'a, T: Number>(pixels: impl Iterator<Item = (&'a [T], &'a [T])>, products: &mut [f32]) {
    let mut sums = vec![0.0; products.len()];
    for (values, gradient) in pixels {
        for ((sum, value), gradient) in sums.iter_mut().zip(values).zip(gradient) {
            *sum += value.to_f64() * gradient.to_f64();
        }
    }
    products.iter_mut().zip(sums).for_each(|(product, sum)| *product = sum as f32);
}
