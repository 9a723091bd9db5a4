use std::collections::HashMap;
use std::sync::Arc;

use pada_exec::Convolution;
use pada_graph::{Conv, Graph, Node, NodeId, Norm, Shape};

use super::arena::lay_out;
use super::backward::Backward;
use super::{
    Activation, Buffer, BufferId, Compiler, Connection, ConvOp, Dropped, GeometryKey, Kind, Machine, Mode,
    NormId, NormSlot, Op, Plan, PoolKind, Source, Term, VALUE,
};
use crate::geometry::Geometry;
use crate::kernels::{Windows, winograd};
use crate::statistics::needs_batch;
use crate::weights;

/// Alignment of buffers in numbers: a cache line of `f32`.
pub(super) const ALIGN: usize = 16;

impl Compiler {
    /// Compiles a graph to a plan.
    pub(crate) fn compile(&mut self, graph: &Graph, machine: Machine, mode: Mode) -> Plan {
        let mut builder = Builder::new(graph, machine, mode);
        let values: Vec<Source> = Vec::with_capacity(graph.nodes().len());
        let values = graph.nodes().iter().enumerate().fold(values, |mut values, (i, node)| {
            let value = builder.node(NodeId(i), node, &values);
            values.push(value);
            values
        });
        let output = builder.plain(*values.last().expect("a graph ends in its output"));
        self.finish(builder, output, mode)
    }

    fn finish(&mut self, builder: Builder<'_>, output: BufferId, mode: Mode) -> Plan {
        let Builder { buffers, mut norms, mut ops, machine, alignments, auxiliary, relus, signs_len, .. } =
            builder;
        let wanted = mode.wanted();
        ops.sort_by_key(|op| op.level);
        self.choose_tiles(machine, &buffers, &mut ops);
        self.set_geometries(&buffers, &mut ops);
        let mut norm_channels = 0;
        for (id, norm) in norms.iter_mut().enumerate() {
            norm.place = norm_channels;
            norm_channels += buffers[norm.buffer].stride;
            if !needs_batch(norm.norm.statistics, mode) {
                continue;
            }
            let producer = ops.iter_mut().find(|op| op.out == norm.buffer);
            producer.expect("every buffer has a producer").norms.push(id);
        }
        let mut plan = Plan {
            widest: buffers.iter().map(|b| b.stride).max().unwrap_or(0),
            levels: ops.last().map_or(0, |op| op.level + 1),
            buffers,
            norms,
            norm_channels,
            alignments,
            auxiliary,
            ops,
            output,
            places: vec![],
            image_len: 0,
            per: machine.per,
            dense_len: 0,
            depthwise_len: 0,
            tiled_len: 0,
            tiled_sums_len: 0,
            backward: None,
            wanted,
            relus,
            signs_len,
            products_len: 0,
        };
        plan.backward = wanted.gradient.then(|| Backward::new(&plan));
        set_places(&mut plan);
        lay_out(&mut plan);
        plan
    }

    /// Chooses the convolutions that are computed in tiles.
    fn choose_tiles(&self, machine: Machine, buffers: &[Buffer], ops: &mut [Op]) {
        // bf16 multiplies pairs of numbers, for which there are no tiles.
        if self.convolution == Convolution::Direct || machine.per > 1 {
            return;
        }
        // Images are not always padded to whole vectors.
        let images = ops.iter().find(|op| matches!(op.kind, Kind::Load)).map(|op| op.out);
        for op in ops.iter_mut() {
            let out = buffers[op.out].shape;
            if let Kind::Conv(op) = &mut op.kind
                && op.connection == Connection::Dense
                && Some(op.source.buffer) != images
                && winograd::suits(&op.conv, [buffers[op.source.buffer].shape, out])
            {
                op.connection = Connection::Tiled;
            }
        }
    }

    /// Computes the geometry of all convolutions.
    ///
    /// Convolutions that read the same value share one padded copy, so its border is the widest that one of them needs.
    fn set_geometries(&mut self, buffers: &[Buffer], ops: &mut [Op]) {
        let mut borders: HashMap<(usize, Source), usize> = HashMap::new();
        for op in ops.iter() {
            if let Kind::Conv(conv) = &op.kind {
                let border = borders.entry((op.level, conv.source)).or_default();
                *border = conv.conv.padding.max(*border);
            }
        }
        for op in ops.iter_mut() {
            let (level, out) = (op.level, op.out);
            if let Kind::Conv(op) = &mut op.kind {
                let (x, y) = (&buffers[op.source.buffer], &buffers[out]);
                let border = borders[&(level, op.source)];
                op.geometry = self.geometry(op, x, y, border);
                op.run = op.geometry.run(x.shape.channels);
            }
        }
    }

    fn geometry(&mut self, op: &ConvOp, x: &Buffer, y: &Buffer, border: usize) -> Arc<Geometry> {
        let Conv { kernel, stride, padding, dilation, offset, extent, .. } = op.conv;
        let (input, output, strides, connection) = (x.shape, y.shape, [x.stride, y.stride], op.connection);
        let key = GeometryKey {
            kernel,
            stride,
            padding,
            dilation,
            offset,
            extent,
            input,
            output,
            strides,
            border,
            connection,
        };
        let new = || Geometry::new(&op.conv, connection, [input, output], strides, border).into();
        self.geometries.entry(key).or_insert_with(new).clone()
    }
}

/// Assigns offsets to packed weights and gradient sums.
fn set_places(plan: &mut Plan) {
    let (mut level, mut sums, mut tiled_sums) = (0, 0, 0);
    for i in 0..plan.ops.len() {
        let op = &plan.ops[i];
        if op.level != level {
            (level, sums, tiled_sums) = (op.level, 0, 0);
        }
        // A value that only anchors read has no gradient, so its weights have no gradient sums.
        let reached = plan.backward.as_ref().is_some_and(|backward_plan| backward_plan.reaches(op.out));
        let trained = reached && plan.wanted.weights;
        let channels = plan.buffers[op.out].shape.channels;
        let has_products = plan.wanted.products && matches!(op.kind, Kind::Conv(_) | Kind::Linear { .. });
        let (mut packed, mut transformed) = (0, 0);
        let sums_len = match &op.kind {
            Kind::Conv(conv) => {
                transformed = weights::tiled_sums(plan, op, conv);
                packed = weights::packed_len(plan, op, conv).next_multiple_of(ALIGN);
                weights::weight_sums(plan, op, conv) + plan.buffers[op.out].stride
            }
            Kind::Scale { .. } => 1,
            Kind::Linear { source, .. } => {
                plan.buffers[op.out].shape.channels * (plan.buffers[*source].shape.numel() + 1)
            }
            _ => 0,
        };
        let op = &mut plan.ops[i];
        (op.sums, op.sums_len) = (sums, if trained { sums_len.next_multiple_of(ALIGN) } else { 0 });
        sums += op.sums_len;
        if has_products {
            op.products = Some(plan.products_len);
            plan.products_len += channels;
        }
        if let Kind::Conv(conv) = &mut op.kind {
            let total = match conv.connection {
                Connection::Dense => &mut plan.dense_len,
                Connection::Depthwise => &mut plan.depthwise_len,
                Connection::Tiled => &mut plan.tiled_len,
            };
            conv.packed = *total;
            *total += packed;
            if trained && conv.connection == Connection::Tiled {
                conv.tiled_sums = tiled_sums;
                tiled_sums += transformed;
                plan.tiled_sums_len = plan.tiled_sums_len.max(tiled_sums);
            }
        }
    }
}

/// Walks a graph and emits operations.
struct Builder<'g> {
    graph: &'g Graph,
    machine: Machine,
    mode: Mode,
    /// Per node: how many inputs of other nodes read it.
    readers: Vec<usize>,
    buffers: Vec<Buffer>,
    /// Per buffer: the level of the operation that writes it.
    levels: Vec<usize>,
    norms: Vec<NormSlot>,
    alignments: usize,
    auxiliary: Vec<(BufferId, f32)>,
    relus: Vec<(usize, usize)>,
    signs_len: usize,
    ops: Vec<Op>,
}

impl<'g> Builder<'g> {
    fn new(graph: &'g Graph, machine: Machine, mode: Mode) -> Self {
        let mut readers = vec![0; graph.nodes().len()];
        graph.nodes().iter().flat_map(|node| &node.inputs).for_each(|x| readers[x.0] += 1);
        let (buffers, levels, norms, ops) = (vec![], vec![], vec![], vec![]);
        let (auxiliary, relus) = (vec![], vec![]);
        Self {
            graph,
            machine,
            mode,
            readers,
            buffers,
            levels,
            norms,
            alignments: 0,
            auxiliary,
            relus,
            signs_len: 0,
            ops,
        }
    }

    /// Emits the operations of a node and returns how its value is read.
    fn node(&mut self, id: NodeId, node: &Node, values: &[Source]) -> Source {
        use pada_graph::Op;
        let inputs: Vec<Source> = node.inputs.iter().map(|x| values[x.0]).collect();
        let plain = |buffer| Source { buffer, norm: None, act: Activation::None };
        match &node.op {
            Op::Input => {
                // Without padding channels, a convolution reads the taps of a kernel row as one run of numbers.
                let packed =
                    self.graph.nodes().iter().filter(|n| n.inputs.contains(&id)).all(|n| match &n.op {
                        Op::Conv(conv) => conv.groups == 1 && conv.dilation == 1,
                        _ => false,
                    });
                // Such a stride is too short for the gradient of the images.
                let packed = packed && !self.mode.wanted().images;
                let stride = if packed && self.machine.per == 1 {
                    node.shape.channels
                } else {
                    self.stride(node.shape)
                };
                plain(self.emit(Kind::Load, node.shape, stride, &[]))
            }
            Op::Zero => plain(self.combine(vec![], Activation::None, node.shape)),
            Op::Relu | Op::Relu6 => {
                if self.mode.wanted().signs {
                    self.signs(inputs[0], node.shape);
                }
                let act = if node.op == Op::Relu { Activation::Relu } else { Activation::Relu6 };
                self.activated(inputs[0], act)
            }
            Op::Norm(norm) => self.normalised(inputs[0], norm),
            Op::Conv(conv) => plain(self.conv(id, inputs[0], conv, node.shape)),
            Op::AvgPool(_) if self.is_term(id) => {
                // The sum that reads it emits it.
                Source { act: Activation::None, norm: None, buffer: self.plain(inputs[0]) }
            }
            Op::AvgPool(pool) | Op::MaxPool(pool) => {
                let average = matches!(node.op, Op::AvgPool(_));
                let kind = if average { PoolKind::Average } else { PoolKind::Maximum };
                let source = self.plain(inputs[0]);
                let x = self.buffers[source];
                let windows = Windows::new(*pool, x.shape, node.shape, x.stride);
                plain(self.emit(Kind::Pool { source, kind, windows }, node.shape, x.stride, &[plain(source)]))
            }
            Op::Add => {
                let terms = node.inputs.iter().zip(inputs).map(|(x, source)| self.term(*x, source)).collect();
                plain(self.combine(terms, Activation::None, node.shape))
            }
            Op::Concat => {
                let sources: Vec<BufferId> = inputs.into_iter().map(|x| self.plain(x)).collect();
                let read: Vec<Source> = sources.iter().map(|&b| plain(b)).collect();
                let stride = self.stride(node.shape);
                plain(self.emit(Kind::Concat { sources }, node.shape, stride, &read))
            }
            Op::GlobalAvgPool => {
                let stride = self.stride(node.shape);
                plain(self.emit(Kind::GlobalPool { source: inputs[0] }, node.shape, stride, &inputs))
            }
            Op::Gate => {
                let gate = plain(self.plain(inputs[1]));
                let stride = self.stride(node.shape);
                plain(self.emit(Kind::Gate, node.shape, stride, &[inputs[0], gate]))
            }
            Op::Linear { weight, bias, .. } => {
                let source = self.plain(inputs[0]);
                let stride = self.stride(node.shape);
                let kind = Kind::Linear { source, weight: *weight, bias: *bias };
                plain(self.emit(kind, node.shape, stride, &[plain(source)]))
            }
            Op::DropPath { .. } | Op::Dropout { .. } if !self.mode.has_sides() => inputs[0],
            Op::DropPath { slot } | Op::Dropout { slot } => {
                let channels = matches!(node.op, Op::Dropout { .. });
                let dropped = if channels { Dropped::Channels } else { Dropped::Images };
                let source = self.not_activated(inputs[0]);
                let kind = Kind::Drop { slot: *slot, dropped };
                let stride = self.buffers[source.buffer].stride;
                plain(self.emit(kind, node.shape, stride, &[source]))
            }
            Op::Scale { factors, index } => {
                let source = self.not_activated(inputs[0]);
                let kind = Kind::Scale { factors: *factors, index: *index };
                plain(self.emit(kind, node.shape, self.buffers[source.buffer].stride, &[source]))
            }
            Op::SelectChannels { order } => {
                let source = self.plain(inputs[0]);
                let kind = Kind::SelectChannels { source, order: order.clone() };
                plain(self.emit(kind, node.shape, self.stride(node.shape), &[plain(source)]))
            }
            Op::Auxiliary { .. } if !self.mode.has_sides() => inputs[0],
            Op::Auxiliary { share } => {
                let logits = self.plain(inputs[0]);
                self.auxiliary.push((logits, *share));
                plain(logits)
            }
            // An alignment does not change the logits. Nothing reads its value, so any source will do.
            Op::Align { .. } if !self.mode.has_sides() => inputs[VALUE],
            Op::Align { share } => {
                let reads: Vec<Source> = inputs.into_iter().map(|x| self.not_activated(x)).collect();
                let kind = Kind::Difference { share: *share, alignment: self.alignments };
                self.alignments += 1;
                plain(self.emit(kind, node.shape, self.stride(node.shape), &reads))
            }
        }
    }

    fn stride(&self, shape: Shape) -> usize {
        shape.channels.next_multiple_of(self.machine.lanes)
    }

    fn emit(&mut self, kind: Kind, shape: Shape, stride: usize, reads: &[Source]) -> BufferId {
        let waits = |norm: NormId| needs_batch(self.norms[norm].norm.statistics, self.mode);
        let level =
            reads.iter().map(|s| self.levels[s.buffer] + usize::from(s.norm.is_some_and(waits))).max();
        let (level, out) = (level.unwrap_or(0), self.buffers.len());
        self.buffers.push(Buffer { shape, stride });
        self.levels.push(level);
        let reads = reads.to_vec();
        self.ops.push(Op { kind, reads, out, level, norms: vec![], sums: 0, sums_len: 0, products: None });
        out
    }

    /// Emits an operation that writes the signs of a ReLU's input. Each ReLU starts in a new word.
    fn signs(&mut self, source: Source, shape: Shape) {
        let word = self.signs_len;
        self.relus.push((word, shape.numel()));
        self.signs_len += shape.numel().div_ceil(64);
        self.emit(Kind::Signs { word }, Shape::vector(0), 0, &[source]);
    }

    fn combine(&mut self, terms: Vec<Term>, act: Activation, shape: Shape) -> BufferId {
        let read = |term: &Term| match term {
            Term::Value(source) => *source,
            Term::Pool(buffer, _) => Source { buffer: *buffer, norm: None, act: Activation::None },
        };
        let reads: Vec<Source> = terms.iter().map(read).collect();
        self.emit(Kind::Combine { terms, act }, shape, self.stride(shape), &reads)
    }

    /// Returns a buffer with the normalised and activated value. Emits a copy if the value is not stored as it is read.
    fn plain(&mut self, source: Source) -> BufferId {
        if source.norm.is_none() && source.act == Activation::None {
            return source.buffer;
        }
        let term = Term::Value(Source { act: Activation::None, ..source });
        self.combine(vec![term], source.act, self.buffers[source.buffer].shape)
    }

    fn activated(&mut self, source: Source, act: Activation) -> Source {
        match source.act {
            Activation::None => Source { act, ..source },
            _ => Source { buffer: self.plain(source), norm: None, act },
        }
    }

    fn normalised(&mut self, source: Source, norm: &Norm) -> Source {
        let mut buffer = self.plain(source);
        let existing = self.norms.iter().position(|slot| slot.buffer == buffer);
        let id: NormId = match existing {
            Some(id) if self.norms[id].norm == *norm => id,
            other => {
                if other.is_some() {
                    // A buffer has at most one norm, so a second norm gets a copy of the buffer.
                    let copy = Term::Value(Source { buffer, norm: None, act: Activation::None });
                    buffer = self.combine(vec![copy], Activation::None, self.buffers[buffer].shape);
                }
                self.norms.push(NormSlot { buffer, norm: *norm, place: 0 });
                self.norms.len() - 1
            }
        };
        Source { buffer, norm: Some(id), act: Activation::None }
    }

    fn conv(&mut self, id: NodeId, source: Source, conv: &Conv, shape: Shape) -> BufferId {
        let channels = self.buffers[source.buffer].shape.channels;
        let depthwise = conv.groups > 1 && conv.groups == channels && conv.out_channels == channels;
        let op = ConvOp {
            source,
            conv: conv.clone(),
            connection: if depthwise { Connection::Depthwise } else { Connection::Dense },
            bias: if self.graph.cancels_bias(id) { None } else { conv.bias },
            geometry: Default::default(),
            run: 0,
            packed: 0,
            tiled_sums: 0,
        };
        self.emit(Kind::Conv(op), shape, self.stride(shape), &[source])
    }

    /// Returns whether the only reader of a node is a sum, so that the sum can compute the pooling itself.
    fn is_term(&self, id: NodeId) -> bool {
        let reader = self.graph.nodes().iter().find(|node| node.inputs.contains(&id));
        self.readers[id.0] == 1 && reader.is_some_and(|node| node.op == pada_graph::Op::Add)
    }

    fn term(&mut self, id: NodeId, source: Source) -> Term {
        match &self.graph.node(id).op {
            pada_graph::Op::AvgPool(pool) if self.is_term(id) => {
                let x = self.buffers[source.buffer];
                Term::Pool(source.buffer, Windows::new(*pool, x.shape, self.graph.node(id).shape, x.stride))
            }
            _ => Term::Value(self.not_activated(source)),
        }
    }

    /// Returns a source without activation. Emits a copy if the value is activated.
    fn not_activated(&mut self, source: Source) -> Source {
        match source.act {
            Activation::None => source,
            _ => Source { buffer: self.plain(source), norm: None, act: Activation::None },
        }
    }
}

#[cfg(test)]
mod tests {
    use pada_graph::Lower;
    use pada_models::{MacroNet, Norms};
    use pada_space::{NasBenchMacro, SearchSpace};

    use super::*;

    /// With running statistics no norm needs the batch, so each image passes through the whole network in one level.
    #[test]
    fn running_statistics_need_one_level_to_score_and_one_per_norm_to_train() {
        let levels = |norms: Norms, mode: Mode| {
            let net = MacroNet::new(Shape::new(3, 32, 32), 10, norms);
            let path = NasBenchMacro.parse("11111111").expect("eight digits");
            let graph = net.lower(&path).expect("images of the benchmark");
            Compiler::new(Convolution::Direct).compile(&graph, Machine { lanes: 8, per: 1 }, mode).levels
        };
        assert_eq!(levels(Norms::Running, Mode::Forward), 1);
        let norms = 2 + 3 * 8;
        assert_eq!(levels(Norms::Affine, Mode::Forward), norms + 1);
        assert_eq!(levels(Norms::Running, Mode::Recalibrate), norms + 1);
        assert_eq!(levels(Norms::Running, Mode::Train), norms + 1);
    }
}
