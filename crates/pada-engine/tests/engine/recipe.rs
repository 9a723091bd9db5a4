//! Graphs made of bytes: every list of bytes is some graph, so that a test can draw them at random and make them smaller.

use std::fmt;

use pada_graph::{
    Conv, Extent, Graph, GraphBuilder, Init, NodeId, Norm, Op, Pool, Shape, Statistics, WeightId,
    WeightLayout, WeightSpec,
};
use proptest::prelude::*;

use crate::case::Case;

/// The random choices that a graph is built from.
#[derive(Clone)]
pub(crate) struct Recipe {
    image: (usize, usize, usize),
    pub(crate) images: usize,
    classes: usize,
    /// True if every convolution has more than 8 channels. With fewer, the engine computes with 8 numbers at once, also where 16 are possible.
    wide: bool,
    seed: u64,
    steps: Vec<[u8; 8]>,
}

/// Recipes of up to 24 steps; batches around the engine's chunk of 8 images come more often.
pub(crate) fn recipes() -> impl Strategy<Value = Recipe> {
    let images = prop_oneof![1..=20_usize, prop::sample::select(vec![7_usize, 8, 9, 16, 17])];
    let steps = prop::collection::vec(any::<[u8; 8]>(), 1..=24);
    (images, (1..=5_usize, 1..=11_usize, 1..=11_usize), 2..=10_usize, any::<bool>(), 0..1000_u64, steps)
        .prop_map(|(images, image, classes, wide, seed, steps)| Recipe {
            image,
            images,
            classes,
            wide,
            seed,
            steps,
        })
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} images, {} classes, seed {}", self.images, self.classes, self.seed)?;
        let Plan { nodes, aligned, .. } = self.plan();
        writeln!(f, "aligned (anchor, value, share): {aligned:?}")?;
        nodes
            .iter()
            .enumerate()
            .try_for_each(|(i, (op, inputs, shape))| writeln!(f, "{i}: {op:?} of {inputs:?}, {shape}"))
    }
}

impl Recipe {
    /// The graph, with weights and a batch for it.
    pub(crate) fn build(&self) -> (Case, Graph) {
        let plan = self.plan();
        let mut case = Case::new(&plan.layout, self.image(), self.images, self.classes, self.seed);
        case.passes = 2;
        // What a ReLU6 reads reaches beyond 6.
        for place in plan.before_relu6().flat_map(|weight| case.layout.range(weight)) {
            case.weights[place] *= 6.0;
        }
        (case, plan.graph())
    }

    fn image(&self) -> Shape {
        let (channels, height, width) = self.image;
        Shape::new(channels, height, width)
    }

    fn plan(&self) -> Plan {
        let mut plan = Plan { nodes: vec![], aligned: vec![], layout: WeightLayout::new(), wide: self.wide };
        plan.push(Op::Input, vec![], self.image());
        self.steps.iter().for_each(|step| plan.step(step));
        plan.head(self.classes, self.steps.last().map_or(0, |step| step[7]));
        plan
    }
}

/// A graph on its way: the builder can begin when all weights are known.
struct Plan {
    nodes: Vec<(Op, Vec<usize>, Shape)>,
    /// Anchor, value and share.
    aligned: Vec<(usize, usize, f32)>,
    layout: WeightLayout,
    wide: bool,
}

fn choose<T: Clone>(list: &[T], byte: u8) -> T {
    list[usize::from(byte) % list.len()].clone()
}

impl Plan {
    fn push(&mut self, op: Op, inputs: Vec<usize>, shape: Shape) -> usize {
        self.nodes.push((op, inputs, shape));
        self.nodes.len() - 1
    }

    /// Scales of norms that a ReLU6 reads.
    fn before_relu6(&self) -> impl Iterator<Item = WeightId> {
        let readers = self.nodes.iter().filter(|(op, ..)| *op == Op::Relu6);
        readers.filter_map(|(_, inputs, _)| match &self.nodes[inputs[0]].0 {
            Op::Norm(norm) => norm.affine.map(|(scale, _)| scale),
            _ => None,
        })
    }

    /// A new weight, or with `shared` one of this shape that is there.
    fn weight(&mut self, shape: Vec<usize>, shared: bool) -> WeightId {
        let found = self.layout.iter().find(|(_, spec)| spec.shape == shape).map(|(id, _)| id);
        found.filter(|_| shared).unwrap_or_else(|| {
            let name = format!("w{}", self.layout.len());
            self.layout.push(WeightSpec { name, shape, init: Init::Constant(0.0), owner: None })
        })
    }

    /// An earlier value; late ones come more often.
    fn value(&self, byte: u8) -> usize {
        let share = usize::from(byte) * usize::from(byte) / 256;
        self.nodes.len() - 1 - share * self.nodes.len() / 256
    }

    fn step(&mut self, step: &[u8; 8]) {
        let [kind, at, rest @ ..] = *step;
        let x = self.value(at);
        match kind % 27 {
            0..=4 => drop(self.conv(x, rest)),
            5 => {
                let y = self.conv(x, rest);
                let y = self.norm(y, !rest[5].is_multiple_of(4));
                self.unary(choose(&[Op::Relu6, Op::Relu], rest[4]), y);
            }
            6..=8 => drop(self.norm(x, rest[0] % 2 == 1)),
            9 | 10 => drop(self.unary(Op::Relu, x)),
            11 => {
                let y = if rest[0].is_multiple_of(3) { x } else { self.norm(x, true) };
                self.unary(Op::Relu6, y);
            }
            12 | 13 => drop(self.pool(x, rest, Op::AvgPool)),
            14 => drop(self.pool(x, rest, Op::MaxPool)),
            15 | 16 => drop(self.add(x, rest)),
            17 => drop(self.concat(x, rest)),
            18 => {
                // Two norms of one value.
                let terms = [self.norm(x, rest[0] % 2 == 1), self.norm(x, true)];
                let shape = self.nodes[x].2;
                self.push(Op::Add, terms.to_vec(), shape);
            }
            19 => {
                // An activation and a pooling that a sum reads, beside the value itself.
                let pool = Pool { kernel: 3, stride: 1, padding: 1 };
                let shape = self.nodes[x].2;
                let terms = [self.unary(Op::Relu, x), self.push(Op::AvgPool(pool), vec![x], shape), x];
                self.push(Op::Add, terms.to_vec(), shape);
            }
            20 if rest[0].is_multiple_of(4) => {
                let shape = Shape::vector(self.nodes[x].2.channels);
                self.push(Op::GlobalAvgPool, vec![x], shape);
            }
            20 => self.linear(x, choose(&[5, 8, 17], rest[1])),
            21..=23 => self.align(x, rest),
            24 if rest[0].is_multiple_of(2) => drop(self.gate(x, rest)),
            25 => self.mixture(x, rest),
            26 => drop(self.select_channels(x, rest)),
            _ => {
                let shape = self.nodes[x].2;
                let zero = self.push(Op::Zero, vec![], shape);
                self.push(Op::Add, vec![x, zero], shape);
            }
        }
    }

    /// Squeeze-and-excitation, now and then with the gate of another value's mean.
    fn gate(&mut self, x: usize, bytes: [u8; 6]) -> usize {
        let shape = self.nodes[x].2;
        let squeezed = if bytes[1].is_multiple_of(4) { self.value(bytes[2]) } else { x };
        let vector = Shape::vector(self.nodes[squeezed].2.channels);
        self.push(Op::GlobalAvgPool, vec![squeezed], vector);
        self.linear(self.nodes.len() - 1, shape.channels);
        let mut gate = self.nodes.len() - 1;
        if bytes[3].is_multiple_of(3) {
            gate = self.unary(Op::Relu, gate);
        }
        self.push(Op::Gate, vec![x, gate], shape)
    }

    /// A sum of a value, a normalised value and a pooled one, each times a number of one tensor.
    fn mixture(&mut self, x: usize, bytes: [u8; 6]) {
        let shape = self.nodes[x].2;
        let pool = Pool { kernel: 3, stride: 1, padding: 1 };
        let values = [
            x,
            self.norm(x, bytes[0] % 2 == 1),
            self.push(Op::AvgPool(pool), vec![x], shape),
            self.unary(Op::Relu, x),
        ];
        let factors = self.weight(vec![2, 3], bytes[1].is_multiple_of(2));
        let chosen = &values[..2 + usize::from(bytes[2] % 3)];
        let scaled = chosen.iter().zip(&bytes[3..]).map(|(&value, &byte)| {
            self.push(Op::Scale { factors, index: usize::from(byte % 6) }, vec![value], shape)
        });
        let scaled = scaled.collect();
        self.push(Op::Add, scaled, shape);
    }

    /// Some channels in any order, now and then one more than once.
    fn select_channels(&mut self, x: usize, bytes: [u8; 6]) -> usize {
        let shape = self.nodes[x].2;
        let (channels, step) = (shape.channels, choose(&[1, 3, 5], bytes[0]));
        let count = 1 + usize::from(bytes[1]) % (channels + channels.min(3));
        let order = (0..count).map(|i| (usize::from(bytes[2]) + i * step) % channels).collect();
        self.push(Op::SelectChannels { order }, vec![x], Shape { channels: count, ..shape })
    }

    fn conv(&mut self, x: usize, [k, s, d, groups, out, more]: [u8; 6]) -> usize {
        let shape = self.nodes[x].2;
        let channels = shape.channels;
        let narrow: &[usize] = &[8, 5, 16, 12, 3, 20, 1, 6];
        let mut out_channels = choose(if self.wide { &[16, 20, 9, 32, 12, 17] } else { narrow }, out);
        let divisor = (2..channels).find(|&g| channels.is_multiple_of(g));
        let groups = match groups % 6 {
            3 | 4 => channels,
            5 => divisor.unwrap_or(1),
            _ => 1,
        };
        if groups > 1 {
            // As many channels as before, or twice as many.
            out_channels = channels * if out % 4 == 3 { 2 } else { 1 };
        }
        let (kernel, dilation) = (choose(&[3_usize, 1, 5, 7], k), if d % 4 == 3 { 2 } else { 1 });
        let (stride, extent) = (if s % 3 == 2 { 2 } else { 1 }, dilation * (kernel - 1) + 1);
        // Any padding that leaves an output; more often the one that keeps the size.
        let least = extent.saturating_sub(shape.height.min(shape.width)).div_ceil(2);
        let padding = match more % 4 {
            3 => least.max(usize::from(more / 4) % extent),
            _ => (extent - 1) / 2,
        };
        // Now and then without the first row and column, as half of the skips of a halving DARTS cell.
        let smallest = shape.height.min(shape.width);
        let room = smallest > 1 && smallest + 2 * padding > extent;
        let offset = usize::from(room && d / 4 % 8 == 5);
        let size = |size: usize| (size - offset + 2 * padding - extent) / stride + 1;
        let mut y = Shape::new(out_channels, size(shape.height), size(shape.width));
        // Now and then along one direction, as the 1×7 and 7×1 convolutions of AmoebaNet.
        let mut taps = [kernel; 2];
        let along = match s / 3 % 8 {
            5 => {
                (y.height, taps[0]) = (shape.height - offset, 1);
                Extent::Row
            }
            6 => {
                (y.width, taps[1]) = (shape.width - offset, 1);
                Extent::Column
            }
            _ => Extent::Square,
        };
        let weight = self.weight(vec![out_channels, channels / groups, taps[0], taps[1]], more % 8 == 5);
        let bias = (more / 8 % 2 == 1).then(|| self.weight(vec![out_channels], false));
        let same = Conv::same(weight, out_channels, kernel, stride);
        let conv = Conv { bias, padding, dilation, groups, offset, extent: along, ..same };
        self.push(Op::Conv(conv), vec![x], y)
    }

    fn norm(&mut self, x: usize, affine: bool) -> usize {
        let shape = self.nodes[x].2;
        let mut weight = || self.weight(vec![shape.channels], false);
        let affine = affine.then(|| (weight(), weight()));
        // A norm after a norm after a ReLU that lets nothing through multiplies rounding by 1/√eps each time.
        self.push(Op::Norm(Norm { affine, eps: 0.05, statistics: Statistics::Batch }), vec![x], shape)
    }

    fn unary(&mut self, op: Op, x: usize) -> usize {
        let shape = self.nodes[x].2;
        self.push(op, vec![x], shape)
    }

    fn pool(&mut self, x: usize, bytes: [u8; 6], op: fn(Pool) -> Op) -> usize {
        let shape = self.nodes[x].2;
        let (kernel, padding) = (choose(&[3, 2], bytes[0]), choose(&[1, 0], bytes[1]));
        let pool = match shape.height.min(shape.width) + 2 * padding >= kernel {
            true => Pool { kernel, stride: choose(&[1, 2], bytes[2]), padding },
            false => Pool { kernel: 3, stride: 1, padding: 1 },
        };
        let size = |size: usize| (size + 2 * pool.padding - pool.kernel) / pool.stride + 1;
        let y = Shape::new(shape.channels, size(shape.height), size(shape.width));
        self.push(op(pool), vec![x], y)
    }

    /// Up to four values of one shape, one more than once where there are too few.
    fn add(&mut self, x: usize, bytes: [u8; 6]) -> usize {
        let shape = self.nodes[x].2;
        let same: Vec<usize> = (0..self.nodes.len()).filter(|&i| self.nodes[i].2 == shape).collect();
        let others = bytes[1..].iter().take(1 + usize::from(bytes[0] % 3));
        let terms = others.map(|&byte| same[same.len() - 1 - usize::from(byte) % same.len()]);
        let terms = std::iter::once(x).chain(terms).collect();
        self.push(Op::Add, terms, shape)
    }

    fn concat(&mut self, x: usize, bytes: [u8; 6]) -> usize {
        let shape = self.nodes[x].2;
        let fits =
            |i: &usize| (self.nodes[*i].2.height, self.nodes[*i].2.width) == (shape.height, shape.width);
        let fitting: Vec<usize> = (0..self.nodes.len()).filter(fits).collect();
        let others = bytes[1..].iter().take(1 + usize::from(bytes[0] % 2));
        let others = others.map(|&byte| fitting[fitting.len() - 1 - usize::from(byte) % fitting.len()]);
        let parts: Vec<usize> = std::iter::once(x).chain(others).collect();
        let channels = parts.iter().map(|&i| self.nodes[i].2.channels).sum();
        if channels > 48 {
            return x;
        }
        self.push(Op::Concat, parts, Shape { channels, ..shape })
    }

    /// With an earlier or later value of the same shape, as value or as anchor.
    fn align(&mut self, x: usize, bytes: [u8; 6]) {
        let shape = self.nodes[x].2;
        let same: Vec<usize> = (0..self.nodes.len()).filter(|&i| self.nodes[i].2 == shape).collect();
        let other = same[same.len() - 1 - usize::from(bytes[0]) % same.len()];
        let (anchor, value) = if bytes[1] % 2 == 1 { (x, other) } else { (other, x) };
        self.aligned.push((anchor, value, choose(&[0.5, 2.0, 0.1], bytes[2])));
    }

    fn linear(&mut self, x: usize, out: usize) {
        let inputs = self.nodes[x].2.numel();
        let (weight, bias) = (self.weight(vec![out, inputs], false), self.weight(vec![out], false));
        self.push(Op::Linear { weight, bias, out }, vec![x], Shape::vector(out));
    }

    /// From the last value to the logits: through a global average, or from all pixels.
    fn head(&mut self, classes: usize, byte: u8) {
        let mut x = self.nodes.len() - 1;
        let shape = self.nodes[x].2;
        if !byte.is_multiple_of(3) {
            x = self.push(Op::GlobalAvgPool, vec![x], Shape::vector(shape.channels));
        }
        self.linear(x, classes);
    }

    fn graph(&self) -> Graph {
        let mut b = GraphBuilder::new(&self.layout);
        for (i, (op, inputs, shape)) in self.nodes.iter().enumerate() {
            if i + 1 == self.nodes.len() {
                // The output stays the last node.
                self.aligned.iter().for_each(|&(a, v, share)| b.align(NodeId(a), NodeId(v), share).unwrap());
            }
            let inputs: Vec<NodeId> = inputs.iter().map(|&i| NodeId(i)).collect();
            let x = inputs.first().copied();
            let x = || x.expect("it has an input");
            let id = match op {
                Op::Input => b.input(*shape),
                Op::Zero => b.zero(*shape),
                Op::Conv(conv) => b.conv(x(), conv.clone()).unwrap(),
                Op::Norm(norm) => b.norm(x(), *norm).unwrap(),
                Op::Relu => b.relu(x()),
                Op::Relu6 => b.relu6(x()),
                Op::AvgPool(pool) => b.avg_pool(x(), *pool).unwrap(),
                Op::MaxPool(pool) => b.max_pool(x(), *pool).unwrap(),
                Op::Add => b.add(&inputs).unwrap(),
                Op::Concat => b.concat(&inputs).unwrap(),
                Op::GlobalAvgPool => b.global_avg_pool(x()),
                Op::Gate => b.gate(x(), inputs[1]).unwrap(),
                Op::Scale { factors, index } => b.scale(x(), *factors, *index),
                Op::SelectChannels { order } => b.select_channels(x(), order.clone()),
                Op::Linear { weight, bias, .. } => b.linear(x(), *weight, *bias).unwrap(),
                Op::DropPath { slot } => b.drop_path(x(), *slot),
                Op::Dropout { slot } => b.dropout(x(), *slot),
                Op::Align { .. } | Op::Auxiliary { .. } => unreachable!("side nodes are kept apart"),
            };
            assert_eq!(b.shape(id), *shape, "{op:?}");
        }
        b.finish()
    }
}
