//! Converts weights from the layout of PyTorch to the layouts of the kernels, and gradients back.

use pada_exec::HostWeights;
use pada_graph::{WeightId, WeightLayout};
use rayon::prelude::*;

use crate::kernels::winograd::{POSITIONS, TAPS, TransformKernels};
use crate::plan::{Connection, ConvOp, Kind, Op, Plan};
use crate::simd::{Number, Unit, Vector};

/// Index computation for the weight of one convolution, `[C_out, C_in / groups, k, k]`.
struct Places<'p> {
    conv: &'p ConvOp,
    channels_in: usize,
    channels_out: usize,
    stride_in: usize,
    stride_out: usize,
}

impl<'p> Places<'p> {
    fn new(plan: &Plan, op: &Op, conv: &'p ConvOp) -> Self {
        let (x, y) = (&plan.buffers[conv.source.buffer], &plan.buffers[op.out]);
        Self {
            conv,
            channels_in: x.shape.channels,
            channels_out: y.shape.channels,
            stride_in: x.stride,
            stride_out: y.stride,
        }
    }

    fn taps(&self) -> usize {
        self.conv.geometry.kernel_taps
    }

    /// Calls `visit(index in the weight, tap, input channel, output channel)` for every number.
    fn for_each(&self, mut visit: impl FnMut(usize, usize, usize, usize)) {
        let (taps, groups) = (self.taps(), self.conv.conv.groups);
        let (group_in, group_out) = (self.channels_in / groups, self.channels_out / groups);
        let mut place = 0;
        for co in 0..self.channels_out {
            let first = co / group_out * group_in;
            for ci in first..first + group_in {
                for tap in 0..taps {
                    visit(place, tap, ci, co);
                    place += 1;
                }
            }
        }
    }

    /// Returns the index in the gradient sums, `[taps, C_in, C_out rounded up]`, or `[taps, C rounded up]` for depthwise convolutions.
    fn sum(&self, tap: usize, ci: usize, co: usize) -> usize {
        match self.conv.connection {
            Connection::Dense | Connection::Tiled => (tap * self.channels_in + ci) * self.stride_out + co,
            Connection::Depthwise => tap * self.stride_out + co,
        }
    }

    /// Returns the index in the weights of the forward kernel, `[taps, units of C_in, C_out rounded up]`.
    fn forward(&self, per: usize, tap: usize, ci: usize, co: usize) -> usize {
        (tap * self.channels_in.div_ceil(per) + ci / per) * self.stride_out + co
    }

    /// Returns the index in the weights of the backward kernel, `[taps, units of C_out, C_in rounded up]`.
    fn backward(&self, per: usize, tap: usize, ci: usize, co: usize) -> usize {
        (tap * self.channels_out.div_ceil(per) + co / per) * self.stride_in + ci
    }

    /// Returns the lengths of the transformed weights of the forward and of the backward kernel, in numbers.
    fn transformed(&self) -> [usize; 2] {
        [(self.channels_in, self.stride_out), (self.channels_out, self.stride_in)]
            .map(|(read, stride)| POSITIONS * read * stride)
    }

    /// Returns the lengths of the packed weights of the forward and of the backward kernel, in units.
    fn units(&self, per: usize) -> [usize; 2] {
        [(self.channels_in, self.stride_out), (self.channels_out, self.stride_in)]
            .map(|(read, stride)| self.taps() * read.div_ceil(per) * stride)
    }

    fn sums_len(&self) -> usize {
        match self.conv.connection {
            Connection::Dense | Connection::Tiled => self.taps() * self.channels_in * self.stride_out,
            Connection::Depthwise => self.taps() * self.stride_out,
        }
    }
}

/// The weights of all convolutions of a plan, in the layouts of the kernels.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a, T, U> {
    /// Weights of dense convolutions: for each one the copy of the forward kernel, then the copy of the backward kernel.
    pub(crate) dense: &'a [U],
    /// Weights of depthwise convolutions, `[taps, C rounded up]` each.
    pub(crate) depthwise: &'a [T],
    /// Transformed weights of convolutions that are computed in tiles: for each one the copy of the forward kernel, `[36, C_in, C_out rounded
    /// up]`, then the copy of the backward kernel, `[36, C_out, C_in rounded up]`.
    pub(crate) tiled: &'a [T],
}

impl<'a, T, U: Unit> Packed<'a, T, U> {
    /// Returns the weights of the forward and of the backward kernel.
    pub(crate) fn dense(&self, plan: &Plan, op: &Op, conv: &ConvOp) -> (&'a [U], &'a [U]) {
        let [forward, backward] = Places::new(plan, op, conv).units(U::PER);
        self.dense[conv.packed..][..forward + backward].split_at(forward)
    }

    /// Returns the transformed weights of the forward and of the backward kernel.
    pub(crate) fn tiled(&self, plan: &Plan, op: &Op, conv: &ConvOp) -> (&'a [T], &'a [T]) {
        let [forward, backward] = Places::new(plan, op, conv).transformed();
        self.tiled[conv.packed..][..forward + backward].split_at(forward)
    }

    pub(crate) fn depthwise(&self, plan: &Plan, op: &Op, conv: &ConvOp) -> &'a [T] {
        &self.depthwise[conv.packed..][..Places::new(plan, op, conv).sums_len()]
    }
}

/// The weights that a pass computes with: those of the host, and the numbers by which kernels are moved.
#[derive(Clone, Copy)]
pub(crate) struct Kernels<'a> {
    pub(crate) host: &'a HostWeights,
    /// `[weights]`, in the order of the layout. See [`pada_exec::Inspection::moved_kernels`].
    pub(crate) moves: Option<&'a [f32]>,
}

impl<'a> Kernels<'a> {
    /// Returns kernels that are not moved.
    pub(crate) fn of(host: &'a HostWeights) -> Self {
        Self { host, moves: None }
    }

    /// Returns the numbers that are added to a kernel.
    pub(crate) fn moved(&self, id: WeightId) -> Option<&'a [f32]> {
        self.moves.map(|moves| &moves[self.host.layout().range(id)])
    }

    /// Returns the numbers of a kernel by their place.
    fn numbers(&self, id: WeightId) -> impl Fn(usize) -> f64 + Sync + use<'a> {
        let (weight, moved) = (self.host.weight(id), self.moved(id));
        move |place| f64::from(weight[place]) + moved.map_or(0.0, |moved| f64::from(moved[place]))
    }
}

/// Returns the length of the packed weights of one convolution, in units if it is dense, else in numbers.
pub(crate) fn packed_len(plan: &Plan, op: &Op, conv: &ConvOp) -> usize {
    let places = Places::new(plan, op, conv);
    match conv.connection {
        Connection::Dense => places.units(plan.per).iter().sum(),
        Connection::Depthwise => places.sums_len(),
        Connection::Tiled => places.transformed().iter().sum(),
    }
}

/// Returns the length of the transformed weight gradient of a convolution, `[36, C_in, C_out rounded up]`. 0 if it is not computed in tiles.
pub(crate) fn tiled_sums(plan: &Plan, op: &Op, conv: &ConvOp) -> usize {
    match conv.connection {
        Connection::Tiled => Places::new(plan, op, conv).transformed()[0],
        Connection::Dense | Connection::Depthwise => 0,
    }
}

/// Packs the weights of all convolutions of a plan.
pub(crate) fn pack<T: Number, U: Unit, V: Vector<Elem = T, Unit = U>>(
    plan: &Plan,
    kernels: &Kernels<'_>,
    mut dense: &mut [U],
    depthwise: &mut [T],
    mut tiled: &mut [T],
) {
    let (mut parts, mut tiled_parts) = (Vec::new(), Vec::new());
    for op in plan.ops.iter().rev() {
        let Kind::Conv(conv) = &op.kind else { continue };
        let (places, weight) = (Places::new(plan, op, conv), kernels.numbers(conv.conv.weight));
        match conv.connection {
            Connection::Dense => {
                let (before, own) = dense.split_at_mut(conv.packed);
                parts.push((places, weight, own));
                dense = before;
            }
            Connection::Tiled => {
                let (before, own) = tiled.split_at_mut(conv.packed);
                tiled_parts.push((places, weight, own));
                tiled = before;
            }
            Connection::Depthwise => {
                let own = &mut depthwise[conv.packed..][..places.sums_len()];
                own.fill(T::ZERO);
                places
                    .for_each(|place, tap, ci, co| own[places.sum(tap, ci, co)] = T::from_f64(weight(place)));
            }
        }
    }
    parts.into_par_iter().for_each(|(places, weight, own)| {
        own.fill(U::default());
        let (forward, backward) = own.split_at_mut(places.units(U::PER)[0]);
        places.for_each(|place, tap, ci, co| {
            forward[places.forward(U::PER, tap, ci, co)].set(ci % U::PER, weight(place));
            backward[places.backward(U::PER, tap, ci, co)].set(co % U::PER, weight(place));
        });
    });
    tiled_parts.into_par_iter().for_each(|(places, weight, own)| {
        let [forward, backward] = places.transformed();
        let (own_forward, own_backward) = own.split_at_mut(forward);
        let mut taps = [forward, backward].map(|len| vec![T::ZERO; len / POSITIONS * TAPS]);
        places.for_each(|place, tap, ci, co| {
            let weight = T::from_f64(weight(place));
            taps[0][places.forward(1, tap, ci, co)] = weight;
            // The gradient of an input pixel comes from the output pixels around it, in the opposite order of taps.
            taps[1][places.backward(1, TAPS - 1 - tap, ci, co)] = weight;
        });
        V::dispatch(TransformKernels { taps: &taps[0], out: own_forward });
        if plan.backward.is_some() {
            V::dispatch(TransformKernels { taps: &taps[1], out: &mut own_backward[..backward] });
        }
    });
}

/// Returns how many gradient sums of a convolution belong to its weight. The sums of its bias follow.
pub(crate) fn weight_sums(plan: &Plan, op: &Op, conv: &ConvOp) -> usize {
    Places::new(plan, op, conv).sums_len()
}

/// Adds the gradient sums of an operation's weights to the gradient.
pub(crate) fn add_gradient<T: Number>(plan: &Plan, op: &Op, sums: &[T], host: &mut HostWeights) {
    let add = |gradient: &mut [f32], sums: &[T]| {
        gradient.iter_mut().zip(sums).for_each(|(g, sum)| *g += sum.to_f32());
    };
    match &op.kind {
        Kind::Conv(conv) => {
            let places = Places::new(plan, op, conv);
            if let Some(bias) = conv.bias {
                add(host.gradient_mut(bias), &sums[places.sums_len()..][..places.channels_out]);
            }
            let gradient = host.gradient_mut(conv.conv.weight);
            places.for_each(|place, tap, ci, co| gradient[place] += sums[places.sum(tap, ci, co)].to_f32());
        }
        Kind::Linear { weight, bias, .. } => {
            let (weights, biases) = sums.split_at(host.layout().spec(*weight).numel());
            add(host.gradient_mut(*weight), weights);
            add(host.gradient_mut(*bias), biases);
        }
        Kind::Scale { factors, index } => {
            add(&mut host.gradient_mut(*factors)[*index..=*index], &sums[..1]);
        }
        _ => {}
    }
}

/// Adds the gradient sums of an operation's kernel to a gradient in f64, `[weights]`.
pub(crate) fn add_kernel_gradient<T: Number>(
    plan: &Plan,
    op: &Op,
    sums: &[T],
    layout: &WeightLayout,
    gradient: &mut [f64],
) {
    match &op.kind {
        Kind::Conv(conv) => {
            let (places, gradient) =
                (Places::new(plan, op, conv), &mut gradient[layout.range(conv.conv.weight)]);
            places.for_each(|place, tap, ci, co| gradient[place] += sums[places.sum(tap, ci, co)].to_f64());
        }
        Kind::Linear { weight, .. } => {
            let gradient = &mut gradient[layout.range(*weight)];
            gradient.iter_mut().zip(sums).for_each(|(g, sum)| *g += sum.to_f64());
        }
        _ => {}
    }
}
