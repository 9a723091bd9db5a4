use super::{Direction, DropFactors, Pass, Place};
use crate::geometry::Padded;
use crate::kernels::{
    AvgPool, Combine, Difference, Gate, GlobalPool, Linear, MaxPool, Moments, Signs, WriteMode, sigmoids,
};
use crate::memory::{Others, Scratch};
use crate::plan::{
    ANCHOR, Activation, Buffer, Connection, GATE, GATED, Kind, Op, PoolKind, Source, Term, VALUE,
};
use crate::simd::{Number, Unit, Vector};
use crate::statistics::{add_moments, add_squares};

impl<T: Number, U: Unit, V: Vector<Elem = T, Unit = U>> Pass<'_, V> {
    /// Computes the forward pass of one level for one image.
    pub(crate) fn forward(&self, level: usize, place: &mut Place<'_, T>, scratch: &mut Scratch<T, U>) {
        scratch.padded_source = None;
        for op in &self.plan.ops[self.plan.op_range(level)] {
            match op.kind {
                Kind::Difference { alignment, .. } => self.difference(op, alignment, place, scratch),
                Kind::Signs { word } => self.signs(op, word, place),
                _ => self.forward_op(op, place, scratch),
            }
            let buffer = &self.plan.buffers[op.out];
            for &norm in &op.norms {
                let x = &place.values[self.plan.range(op.out)];
                let sums = scratch.sums.get(2 * buffer.stride);
                V::dispatch(Moments { x, stride: buffer.stride, sums });
                add_moments(self.plan, norm, sums, x, place.seen, place.partial);
            }
        }
    }

    fn forward_op(&self, op: &Op, place: &mut Place<'_, T>, scratch: &mut Scratch<T, U>) {
        let plan = self.plan;
        let (out, others) = Others::split(place.values, plan.range(op.out));
        let stride = plan.buffers[op.out].stride;
        match &op.kind {
            Kind::Load => self.load(place.image, stride, out),
            Kind::Conv(conv) => {
                self.pad_input(conv, &others, scratch);
                let bias = conv.bias.map(|id| {
                    let bias = self.kernels.host.weight(id).iter().map(|&b| T::from_f32(b));
                    bias.chain(std::iter::repeat(T::ZERO)).take(stride).collect::<Vec<T>>()
                });
                let direction = Direction::forward(&conv.geometry, bias.as_deref());
                let len = conv.geometry.input.len();
                match conv.connection {
                    Connection::Dense => {
                        let (weights, _) = self.packed.dense(plan, op, conv);
                        let x = Self::units(&mut scratch.input, len);
                        Self::convolve(direction, [x, weights], [conv.run.div_ceil(U::PER), stride], out);
                    }
                    Connection::Tiled => {
                        let (weights, _) = self.packed.tiled(plan, op, conv);
                        let x = &*scratch.input.numbers.get(len);
                        let written = Padded::new(plan.buffers[op.out].shape, stride, 0);
                        let images = [conv.geometry.input, written];
                        Self::convolve_in_tiles(
                            direction,
                            [x, weights],
                            images,
                            conv.run,
                            out,
                            &mut scratch.tiles,
                        );
                    }
                    Connection::Depthwise => {
                        let (x, weights) =
                            (scratch.input.numbers.get(len), self.packed.depthwise(plan, op, conv));
                        Self::convolve_depthwise(direction, [x, weights], stride, out);
                    }
                }
            }
            Kind::Combine { terms, act } => {
                let value =
                    |source: &Source| (others.buffer(plan, source.buffer), self.affine(source, stride));
                let values: Vec<_> = terms
                    .iter()
                    .filter_map(
                        |term| if let Term::Value(source) = term { Some(value(source)) } else { None },
                    )
                    .collect();
                let mut write_mode = WriteMode::Store;
                if !values.is_empty() || terms.is_empty() {
                    V::dispatch(Combine { terms: &values, act: *act, stride, out, write_mode });
                    write_mode = WriteMode::Accumulate;
                }
                for term in terms {
                    if let Term::Pool(buffer, windows) = term {
                        let x = others.buffer(plan, *buffer);
                        V::dispatch(AvgPool { x, windows: *windows, out, write_mode });
                        write_mode = WriteMode::Accumulate;
                    }
                }
            }
            Kind::Pool { source, kind, windows } => {
                let (x, windows) = (others.buffer(plan, *source), *windows);
                match kind {
                    PoolKind::Average => {
                        V::dispatch(AvgPool { x, windows, out, write_mode: WriteMode::Store })
                    }
                    PoolKind::Maximum => V::dispatch(MaxPool { x, windows, out }),
                }
            }
            Kind::Drop { .. } => {
                let source = &op.reads[0];
                let (x, affine) = (others.buffer(plan, source.buffer), self.affine(source, stride));
                V::dispatch(Combine {
                    terms: &[(x, affine)],
                    act: Activation::None,
                    stride,
                    out,
                    write_mode: WriteMode::Store,
                });
                match self.drop_factors(op, place.image) {
                    DropFactors::Image(factor) => out.iter_mut().for_each(|out| *out *= factor),
                    DropFactors::Channels(factors) => {
                        for pixel in out.chunks_exact_mut(stride) {
                            pixel.iter_mut().zip(&factors).for_each(|(out, factor)| *out *= *factor);
                        }
                    }
                }
            }
            Kind::Scale { .. } => {
                let source = &op.reads[0];
                let terms = &[(others.buffer(plan, source.buffer), self.affine(source, stride))];
                let (act, write_mode) = (Activation::None, WriteMode::Store);
                V::dispatch(Combine { terms, act, stride, out, write_mode });
                let factor = self.factor(op);
                out.iter_mut().for_each(|out| *out *= factor);
            }
            Kind::SelectChannels { source, order } => {
                let (x, buffer) = (others.buffer(plan, *source), &plan.buffers[*source]);
                out.fill(T::ZERO);
                for (out, x) in out.chunks_exact_mut(stride).zip(x.chunks_exact(buffer.stride)) {
                    out.iter_mut().zip(order).for_each(|(out, &channel)| *out = x[channel]);
                }
            }
            Kind::Concat { sources } => {
                let mut first = 0;
                out.fill(T::ZERO);
                for &source in sources {
                    let (x, buffer) = (others.buffer(plan, source), &plan.buffers[source]);
                    for (out, x) in out.chunks_exact_mut(stride).zip(x.chunks_exact(buffer.stride)) {
                        out[first..][..buffer.shape.channels].copy_from_slice(&x[..buffer.shape.channels]);
                    }
                    first += buffer.shape.channels;
                }
            }
            Kind::GlobalPool { source } => {
                let x = others.buffer(plan, source.buffer);
                let affine = source.norm.map(|norm| self.coefficients.affine(plan, norm));
                V::dispatch(GlobalPool { x, affine, act: source.act, stride, out });
            }
            Kind::Gate => {
                let (gated, gate) = (&op.reads[GATED], &op.reads[GATE]);
                let factors = sigmoids(others.buffer(plan, gate.buffer));
                let (x, affine) = (others.buffer(plan, gated.buffer), self.affine(gated, stride));
                V::dispatch(Gate { x, affine, act: gated.act, factors: &factors, out });
            }
            Kind::Linear { source, weight, bias } => {
                let host = self.kernels.host;
                let (x, bias) = (self.vector(&others, *source), host.weight(*bias));
                V::dispatch(Linear { x: &x, weight: host.weight(*weight), bias, out });
                if let Some(weight) = self.kernels.moved(*weight) {
                    let (bias, mut moved) = (vec![0.0; bias.len()], vec![T::ZERO; out.len()]);
                    V::dispatch(Linear { x: &x, weight, bias: &bias, out: &mut moved });
                    out.iter_mut().zip(moved).for_each(|(out, moved)| *out += moved);
                }
            }
            Kind::Difference { .. } | Kind::Signs { .. } => {
                unreachable!("`forward` calls other functions for it")
            }
        }
    }

    fn signs(&self, op: &Op, word: usize, place: &mut Place<'_, T>) {
        let source = &op.reads[0];
        let Buffer { shape, stride } = self.plan.buffers[source.buffer];
        V::dispatch(Signs {
            x: &place.values[self.plan.range(source.buffer)],
            affine: self.affine(source, stride),
            channels: shape.channels,
            stride,
            words: &mut place.signs[word..][..shape.numel().div_ceil(64)],
        });
    }

    fn difference(&self, op: &Op, alignment: usize, place: &mut Place<'_, T>, scratch: &mut Scratch<T, U>) {
        let plan = self.plan;
        let (out, others) = Others::split(place.values, plan.range(op.out));
        let stride = plan.buffers[op.out].stride;
        let [anchor, value] = [ANCHOR, VALUE].map(|input| {
            let source = &op.reads[input];
            (others.buffer(plan, source.buffer), self.affine(source, stride))
        });
        let squares = scratch.sums.get(stride);
        V::dispatch(Difference { anchor, value, stride, out, squares });
        add_squares(plan, alignment, squares, place.seen, place.partial);
    }

    /// Copies an image of the batch from `[C, H, W]` to `[H, W, stride]`.
    fn load(&self, image: usize, stride: usize, out: &mut [T]) {
        let shape = self.images.shape;
        let pixels = self.images.numbers().expect("`Engine::run` has checked that the pixels are given");
        let pixels = &pixels[image * shape.numel()..][..shape.numel()];
        out.fill(T::ZERO);
        for (c, plane) in pixels.chunks_exact(shape.pixels()).enumerate() {
            out[c..].iter_mut().step_by(stride).zip(plane).for_each(|(out, &x)| *out = T::from_f32(x));
        }
    }
}
