//! Weights between the layout of PyTorch and that of the kernels.

use pada_graph::HostWeights;
use rayon::prelude::*;

use crate::plan::{Connection, ConvOp, Kind, Op, Plan};
use crate::simd::Number;

/// Where the numbers of a convolution's weight `[C_out, C_in / groups, k, k]` go.
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

    /// Calls `visit(place in the weight, tap, input channel, output channel)` for every number.
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

    /// Place for the forward kernels, and of gradient sums: `[taps, C_in, C_out rounded up]`, depthwise `[taps, C rounded up]`.
    fn forward(&self, tap: usize, ci: usize, co: usize) -> usize {
        match self.conv.connection {
            Connection::Dense => (tap * self.channels_in + ci) * self.stride_out + co,
            Connection::Depthwise => tap * self.stride_out + co,
        }
    }

    /// Place for the backward kernel: `[taps, C_out, C_in rounded up]`.
    fn backward(&self, tap: usize, ci: usize, co: usize) -> usize {
        (tap * self.channels_out + co) * self.stride_in + ci
    }

    fn forward_len(&self) -> usize {
        match self.conv.connection {
            Connection::Dense => self.taps() * self.channels_in * self.stride_out,
            Connection::Depthwise => self.taps() * self.stride_out,
        }
    }
}

/// Packs the weights of all convolutions of a plan, each for the forward and then for the backward kernels.
pub(crate) fn pack<T: Number>(plan: &Plan, host: &HostWeights, packed: &mut [T]) {
    let mut parts = Vec::new();
    let mut rest = &mut packed[..plan.packed_len];
    for op in plan.ops.iter().rev() {
        if let Kind::Conv(conv) = &op.kind {
            let (before, own) = rest.split_at_mut(conv.packed);
            parts.push((Places::new(plan, op, conv), own));
            rest = before;
        }
    }
    parts.into_par_iter().for_each(|(places, own)| {
        own.fill(T::ZERO);
        let weight = host.weight(places.conv.conv.weight);
        let (forward, backward) = own.split_at_mut(places.forward_len());
        match places.conv.connection {
            Connection::Dense => places.for_each(|place, tap, ci, co| {
                let value = T::from_f32(weight[place]);
                forward[places.forward(tap, ci, co)] = value;
                backward[places.backward(tap, ci, co)] = value;
            }),
            Connection::Depthwise => places.for_each(|place, tap, ci, co| {
                forward[places.forward(tap, ci, co)] = T::from_f32(weight[place]);
            }),
        }
    });
}

/// The packed weights of one convolution: for the forward and for the backward kernels.
pub(crate) fn packed<'w, T>(plan: &Plan, op: &Op, conv: &ConvOp, packed: &'w [T]) -> (&'w [T], &'w [T]) {
    let places = Places::new(plan, op, conv);
    let (forward, rest) = packed[conv.packed..].split_at(places.forward_len());
    match conv.connection {
        Connection::Dense => (forward, &rest[..places.taps() * places.channels_out * places.stride_in]),
        Connection::Depthwise => (forward, forward),
    }
}

/// How many of an operation's gradient sums belong to its weight; the bias's follow.
pub(crate) fn weight_sums(plan: &Plan, op: &Op, conv: &ConvOp) -> usize {
    Places::new(plan, op, conv).forward_len()
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
                add(host.gradient_mut(bias), &sums[places.forward_len()..][..places.channels_out]);
            }
            let gradient = host.gradient_mut(conv.conv.weight);
            places
                .for_each(|place, tap, ci, co| gradient[place] += sums[places.forward(tap, ci, co)].to_f32());
        }
        Kind::Linear { weight, bias, .. } => {
            let (weights, biases) = sums.split_at(host.layout().spec(*weight).numel());
            add(host.gradient_mut(*weight), weights);
            add(host.gradient_mut(*bias), biases);
        }
        _ => {}
    }
}
