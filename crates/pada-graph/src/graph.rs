use crate::op::{Conv, Extent, Norm, Op, Pool, Shape, Statistics};
use crate::{GraphError, WeightId, WeightLayout};

/// Index of a node in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// An operation with its inputs and the shape of its output.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// Input nodes, which all precede this node.
    pub inputs: Vec<NodeId>,
    /// Shape of the output for one image.
    pub shape: Shape,
}

/// One architecture as an op graph: a list of nodes in topological order. The last node is the output, the logits. Side nodes
/// ([`Op::is_side`]) only add to the training loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
    /// See [`Graph::blocks`].
    pub(crate) blocks: Vec<NodeId>,
}

impl Graph {
    /// Returns the nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns a node.
    ///
    /// # Panics
    /// Panics if the id belongs to a larger graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Returns the output node.
    pub fn output(&self) -> &Node {
        self.nodes.last().expect("a graph ends in its output")
    }

    /// Returns the outputs of the blocks of a network that is a chain of blocks: of the stem, then of each cell or layer. A block that is the
    /// identity has the output of the block before it. Empty if the network is no such chain, as that of DARTS, whose cells read two others.
    pub fn blocks(&self) -> &[NodeId] {
        &self.blocks
    }

    /// Returns whether every reader of a node is a batch norm with batch statistics. Such a norm removes any constant of a channel, so that a
    /// convolution's bias has no effect and its gradient is exactly zero.
    pub fn cancels_bias(&self, id: NodeId) -> bool {
        let mut readers = self.nodes.iter().filter(|node| node.inputs.contains(&id)).peekable();
        readers.peek().is_some()
            && readers.all(|node| matches!(&node.op, Op::Norm(norm) if norm.statistics == Statistics::Batch))
    }

    /// Returns the number of slots of drop-path and dropout: the factors that each image needs.
    pub fn drop_path_slots(&self) -> usize {
        let end = |node: &Node| match node.op {
            Op::DropPath { slot } => Some(slot + 1),
            Op::Dropout { slot } => Some(slot + node.shape.channels),
            _ => None,
        };
        self.nodes.iter().filter_map(end).max().unwrap_or(0)
    }

    /// Returns the slots of dropout.
    pub fn dropout_slots(&self) -> impl Iterator<Item = usize> + '_ {
        let slots = |node: &Node| match node.op {
            Op::Dropout { slot } => slot..slot + node.shape.channels,
            _ => 0..0,
        };
        self.nodes.iter().flat_map(slots)
    }

    /// Returns the same graph with dropout on the input of the classifier, the linear layer that computes the logits. Its slots follow all
    /// others.
    ///
    /// # Errors
    /// Returns [`GraphError::NoClassifier`] if the output is not a linear layer.
    pub fn with_dropout(&self) -> Result<Graph, GraphError> {
        let mut nodes = self.nodes.clone();
        let Some(mut classifier) = nodes.pop().filter(|node| matches!(node.op, Op::Linear { .. })) else {
            return Err(GraphError::NoClassifier);
        };
        let (op, shape) =
            (Op::Dropout { slot: self.drop_path_slots() }, self.node(classifier.inputs[0]).shape);
        let inputs = std::mem::replace(&mut classifier.inputs, vec![NodeId(nodes.len())]);
        nodes.extend([Node { op, inputs, shape }, classifier]);
        Ok(Graph { nodes, blocks: self.blocks.clone() })
    }

    /// Returns the weights that the graph reads, without repeats, in the order of the layout, and without running statistics.
    pub fn weights(&self) -> Vec<WeightId> {
        let mut ids: Vec<_> = self.nodes.iter().flat_map(|node| node.op.weights()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Returns the weights that a gradient can reach. Weights that only anchors of alignments read are not among them.
    pub fn trained_weights(&self) -> Vec<WeightId> {
        let value = |node: &Node| match node.op {
            Op::Align { .. } => vec![node.inputs[1]],
            Op::Auxiliary { .. } => vec![node.inputs[0]],
            _ => vec![],
        };
        let mut reached = vec![false; self.nodes.len()];
        self.nodes.iter().flat_map(value).for_each(|x| reached[x.0] = true);
        mark_inputs(&self.nodes, &mut reached);
        let nodes = self.nodes.iter().zip(reached).filter(|(_, reached)| *reached);
        let mut ids: Vec<_> = nodes.flat_map(|(node, _)| node.op.weights()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl Graph {
    /// Returns the part of the graph that computes a node. The node is its output, and side nodes are not part of it.
    ///
    /// # Panics
    /// Panics if the id belongs to a larger graph, or if the node is a side node.
    pub fn up_to(&self, id: NodeId) -> Graph {
        assert!(!self.node(id).op.is_side(), "a side node has no value");
        Graph { nodes: self.nodes[..=id.0].to_vec(), blocks: self.blocks.clone() }.restricted_to(|_| false)
    }

    /// Returns the graph whose output is the concatenation of these nodes' values along the channels. Side nodes are not part of it.
    ///
    /// # Errors
    /// Returns [`GraphError::ShapeMismatch`] if heights or widths differ.
    ///
    /// # Panics
    /// Panics if `ids` is empty or an id belongs to a larger graph.
    pub fn with_outputs(&self, ids: &[NodeId]) -> Result<Graph, GraphError> {
        let layout = WeightLayout::new();
        let mut g = GraphBuilder { layout: &layout, nodes: self.nodes.clone(), blocks: vec![] };
        g.concat(ids)?;
        Ok(g.finish().restricted_to(|_| false))
    }

    /// Returns the part of the graph that computes one node from another, which becomes the input. Side nodes are not part of it. Returns
    /// `None` if the node also depends on the images in another way.
    ///
    /// # Panics
    /// Panics if an id belongs to a larger graph, if `from` follows `to`, or if `to` is a side node.
    pub fn between(&self, from: NodeId, to: NodeId) -> Option<Graph> {
        assert!(from <= to, "a node is computed from earlier ones");
        let mut nodes = self.nodes[..=to.0].to_vec();
        nodes[from.0] = Node { op: Op::Input, inputs: vec![], shape: self.node(from).shape };
        let mut read = vec![false; nodes.len()];
        mark_inputs(&nodes, &mut read);
        let other_input = |(i, node): (usize, &Node)| i != from.0 && read[i] && node.op == Op::Input;
        let reads_images = nodes.iter().enumerate().any(other_input);
        (!reads_images).then(|| Graph { nodes, blocks: vec![] }.up_to(to))
    }

    /// Returns the same graph without batch norms: each is replaced by its input.
    pub fn without_norms(&self) -> Graph {
        let mut same: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut nodes = self.nodes.clone();
        for (i, node) in nodes.iter_mut().enumerate() {
            node.inputs.iter_mut().for_each(|x| *x = same[x.0]);
            same.push(if matches!(node.op, Op::Norm(_)) { node.inputs[0] } else { NodeId(i) });
        }
        self.replaced_by(&same, nodes)
    }

    /// Returns the same graph without zeros in sums that have other terms.
    pub fn without_zero_terms(&self) -> Graph {
        let mut same: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut nodes = self.nodes.clone();
        for (i, node) in nodes.iter_mut().enumerate() {
            node.inputs.iter_mut().for_each(|x| *x = same[x.0]);
            if node.op == Op::Add && node.inputs.iter().any(|x| self.nodes[x.0].op != Op::Zero) {
                node.inputs.retain(|x| self.nodes[x.0].op != Op::Zero);
            }
            same.push(match (&node.op, &node.inputs[..]) {
                (Op::Add, &[only]) => only,
                _ => NodeId(i),
            });
        }
        self.replaced_by(&same, nodes)
    }

    /// Returns the graph of changed nodes, in which each node is replaced by the one that `same` names.
    fn replaced_by(&self, same: &[NodeId], mut nodes: Vec<Node>) -> Graph {
        let output = same.last().expect("a graph ends in its output").0;
        nodes.truncate(output + 1);
        let blocks = self.blocks.iter().map(|id| same[id.0]).collect();
        Graph { nodes, blocks }.restricted_to(|node| node.op.is_side())
    }

    /// Returns the same graph with batch norms that use the statistics of the batch and have neither scale nor shift, as those of a network
    /// that was just initialised compute.
    pub fn with_plain_norms(&self) -> Graph {
        let mut graph = self.clone();
        for node in &mut graph.nodes {
            if let Op::Norm(norm) = &mut node.op {
                (norm.affine, norm.statistics) = (None, Statistics::Batch);
            }
        }
        graph
    }
}

/// Marks the output and, transitively, the inputs of all marked nodes.
pub(crate) fn mark_inputs(nodes: &[Node], marked: &mut [bool]) {
    *marked.last_mut().expect("a graph ends in its output") = true;
    for (i, node) in nodes.iter().enumerate().rev() {
        if marked[i] {
            node.inputs.iter().for_each(|x| marked[x.0] = true);
        }
    }
}

/// Builds a [`Graph`] node by node and infers the shapes.
#[derive(Debug)]
pub struct GraphBuilder<'a> {
    layout: &'a WeightLayout,
    nodes: Vec<Node>,
    blocks: Vec<NodeId>,
}

impl<'a> GraphBuilder<'a> {
    /// Creates an empty graph over the weights of `layout`.
    pub fn new(layout: &'a WeightLayout) -> Self {
        Self { layout, nodes: Vec::new(), blocks: Vec::new() }
    }

    /// Marks a node as the output of the next block, see [`Graph::blocks`].
    pub fn end_block(&mut self, id: NodeId) {
        self.blocks.push(id);
    }

    /// Adds the input images.
    pub fn input(&mut self, shape: Shape) -> NodeId {
        self.push(Op::Input, vec![], shape)
    }

    /// Adds zeros of a shape.
    pub fn zero(&mut self, shape: Shape) -> NodeId {
        self.push(Op::Zero, vec![], shape)
    }

    /// Adds a convolution.
    ///
    /// # Shapes
    /// `x` is `[C_in, H, W]`; the result is `[C_out, H', W']`, as in PyTorch's `Conv2d`.
    ///
    /// # Errors
    /// Returns [`GraphError::WeightShape`] if the weights do not fit, and [`GraphError::TooSmall`] if the kernel does not fit into the input.
    pub fn conv(&mut self, x: NodeId, conv: Conv) -> Result<NodeId, GraphError> {
        let shape = self.shape(x);
        let (c_out, [k_h, k_w]) = (conv.out_channels, conv.taps());
        self.check_weight("convolution", conv.weight, vec![c_out, shape.channels / conv.groups, k_h, k_w])?;
        if let Some(bias) = conv.bias {
            self.check_weight("convolution", bias, vec![c_out])?;
        }
        let extent = conv.dilation * (conv.kernel - 1) + 1;
        let rest = |size: usize| size.saturating_sub(conv.offset);
        let read = Shape::new(c_out, rest(shape.height), rest(shape.width));
        let mut out = windowed("convolution", read, extent, conv.stride, conv.padding)?;
        match conv.extent {
            Extent::Square => {}
            Extent::Row => out.height = read.height,
            Extent::Column => out.width = read.width,
        }
        if out.numel() == 0 {
            return Err(GraphError::TooSmall { op: "convolution", window: conv.offset + 1, input: shape });
        }
        Ok(self.push(Op::Conv(conv), vec![x], out))
    }

    /// Adds a batch norm.
    ///
    /// # Errors
    /// Returns [`GraphError::WeightShape`] if scale, shift or running statistics are not `[C]`.
    pub fn norm(&mut self, x: NodeId, norm: Norm) -> Result<NodeId, GraphError> {
        let shape = self.shape(x);
        for weight in norm.affine.iter().flat_map(|&(scale, shift)| [scale, shift]) {
            self.check_weight("batch norm", weight, vec![shape.channels])?;
        }
        if let Statistics::Running { mean, var, .. } = norm.statistics {
            self.check_weight("batch norm", mean, vec![shape.channels])?;
            self.check_weight("batch norm", var, vec![shape.channels])?;
        }
        Ok(self.push(Op::Norm(norm), vec![x], shape))
    }

    /// Adds a ReLU.
    pub fn relu(&mut self, x: NodeId) -> NodeId {
        self.push(Op::Relu, vec![x], self.shape(x))
    }

    /// Adds a ReLU6.
    pub fn relu6(&mut self, x: NodeId) -> NodeId {
        self.push(Op::Relu6, vec![x], self.shape(x))
    }

    /// Adds average pooling.
    ///
    /// # Errors
    /// Returns [`GraphError::TooSmall`] or [`GraphError::PoolPadding`].
    pub fn avg_pool(&mut self, x: NodeId, pool: Pool) -> Result<NodeId, GraphError> {
        let shape = pooled("average pooling", self.shape(x), pool)?;
        Ok(self.push(Op::AvgPool(pool), vec![x], shape))
    }

    /// Adds max pooling.
    ///
    /// # Errors
    /// Returns [`GraphError::TooSmall`] or [`GraphError::PoolPadding`].
    pub fn max_pool(&mut self, x: NodeId, pool: Pool) -> Result<NodeId, GraphError> {
        let shape = pooled("max pooling", self.shape(x), pool)?;
        Ok(self.push(Op::MaxPool(pool), vec![x], shape))
    }

    /// Adds the sum of values of the same shape. A single value is returned as it is.
    ///
    /// # Errors
    /// Returns [`GraphError::ShapeMismatch`] if the shapes differ.
    ///
    /// # Panics
    /// Panics if `inputs` is empty.
    pub fn add(&mut self, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        let shape = self.shape(inputs[0]);
        if let [only] = inputs {
            return Ok(*only);
        }
        match inputs.iter().map(|&x| self.shape(x)).find(|&other| other != shape) {
            Some(right) => Err(GraphError::ShapeMismatch { op: "sum", left: shape, right }),
            None => Ok(self.push(Op::Add, inputs.to_vec(), shape)),
        }
    }

    /// Adds a concatenation along the channels.
    ///
    /// # Errors
    /// Returns [`GraphError::ShapeMismatch`] if heights or widths differ.
    ///
    /// # Panics
    /// Panics if `inputs` is empty.
    pub fn concat(&mut self, inputs: &[NodeId]) -> Result<NodeId, GraphError> {
        let left = self.shape(inputs[0]);
        let shapes: Vec<_> = inputs.iter().map(|&x| self.shape(x)).collect();
        let fits = |s: &Shape| (s.height, s.width) == (left.height, left.width);
        if let Some(&right) = shapes.iter().find(|s| !fits(s)) {
            return Err(GraphError::ShapeMismatch { op: "concatenation", left, right });
        }
        let channels = shapes.iter().map(|s| s.channels).sum();
        Ok(self.push(Op::Concat, inputs.to_vec(), Shape { channels, ..left }))
    }

    /// Adds global average pooling: `[C, H, W]` becomes `[C, 1, 1]`.
    pub fn global_avg_pool(&mut self, x: NodeId) -> NodeId {
        self.push(Op::GlobalAvgPool, vec![x], Shape::vector(self.shape(x).channels))
    }

    /// Adds a gate: a value times the sigmoid of a vector, channel by channel.
    ///
    /// # Errors
    /// Returns [`GraphError::ShapeMismatch`] if the second input is not `[C, 1, 1]`.
    pub fn gate(&mut self, x: NodeId, gate: NodeId) -> Result<NodeId, GraphError> {
        let (left, right) = (self.shape(x), self.shape(gate));
        if right != Shape::vector(left.channels) {
            return Err(GraphError::ShapeMismatch { op: "gate", left, right });
        }
        Ok(self.push(Op::Gate, vec![x, gate], left))
    }

    /// Adds a linear layer on a vector.
    ///
    /// # Errors
    /// Returns [`GraphError::WeightShape`] if the weights do not fit.
    pub fn linear(&mut self, x: NodeId, weight: WeightId, bias: WeightId) -> Result<NodeId, GraphError> {
        let out = self.layout.spec(bias).numel();
        self.check_weight("linear layer", weight, vec![out, self.shape(x).numel()])?;
        Ok(self.push(Op::Linear { weight, bias, out }, vec![x], Shape::vector(out)))
    }

    /// Adds an alignment, `share` · mean `(value − anchor)²`, to the loss, see [`Op::Align`]. Nothing is added if both nodes are the same.
    ///
    /// # Errors
    /// Returns [`GraphError::ShapeMismatch`] if the shapes differ.
    pub fn align(&mut self, anchor: NodeId, value: NodeId, share: f32) -> Result<(), GraphError> {
        let (left, right) = (self.shape(anchor), self.shape(value));
        if left != right {
            return Err(GraphError::ShapeMismatch { op: "alignment", left, right });
        }
        if anchor != value {
            self.push(Op::Align { share }, vec![anchor, value], left);
        }
        Ok(())
    }

    /// Adds drop-path, see [`Op::DropPath`].
    pub fn drop_path(&mut self, x: NodeId, slot: usize) -> NodeId {
        self.push(Op::DropPath { slot }, vec![x], self.shape(x))
    }

    /// Adds dropout, see [`Op::Dropout`].
    pub fn dropout(&mut self, x: NodeId, slot: usize) -> NodeId {
        self.push(Op::Dropout { slot }, vec![x], self.shape(x))
    }

    /// Adds a multiplication by `factors[index]`, one number of a weight tensor, see [`Op::Scale`].
    ///
    /// # Panics
    /// Panics if the tensor has no such number.
    pub fn scale(&mut self, x: NodeId, factors: WeightId, index: usize) -> NodeId {
        let count = self.layout.spec(factors).numel();
        assert!(index < count, "factor {index} of a tensor of {count} numbers");
        self.push(Op::Scale { factors, index }, vec![x], self.shape(x))
    }

    /// Adds a selection of channels, see [`Op::SelectChannels`].
    ///
    /// # Panics
    /// Panics if `order` is empty or names a channel that the input does not have.
    pub fn select_channels(&mut self, x: NodeId, order: Vec<usize>) -> NodeId {
        let shape = self.shape(x);
        assert!(!order.is_empty(), "no channel is selected");
        assert!(order.iter().all(|&c| c < shape.channels), "an input of {shape} has no such channel");
        let selected = Shape { channels: order.len(), ..shape };
        self.push(Op::SelectChannels { order }, vec![x], selected)
    }

    /// Adds `share` · the cross entropy of auxiliary logits to the loss, see [`Op::Auxiliary`].
    pub fn auxiliary(&mut self, logits: NodeId, share: f32) {
        self.push(Op::Auxiliary { share }, vec![logits], self.shape(logits));
    }

    /// Finishes the graph with a classifier: global average pooling and a linear layer.
    ///
    /// # Errors
    /// Returns the errors of [`GraphBuilder::linear`].
    pub fn classified(
        mut self,
        x: NodeId,
        (weight, bias): (WeightId, WeightId),
    ) -> Result<Graph, GraphError> {
        let x = self.global_avg_pool(x);
        self.linear(x, weight, bias)?;
        Ok(self.finish())
    }

    /// Finishes the graph. The last node is its output.
    ///
    /// # Panics
    /// Panics if the last node is a side node, which has no value.
    pub fn finish(self) -> Graph {
        let is_side = self.nodes.last().is_some_and(|node| node.op.is_side());
        assert!(!is_side, "a side node cannot be the output");
        Graph { nodes: self.nodes, blocks: self.blocks }
    }

    /// Returns the shape of a node.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.nodes[id.0].shape
    }

    fn push(&mut self, op: Op, inputs: Vec<NodeId>, shape: Shape) -> NodeId {
        self.nodes.push(Node { op, inputs, shape });
        NodeId(self.nodes.len() - 1)
    }

    fn check_weight(&self, op: &'static str, id: WeightId, expected: Vec<usize>) -> Result<(), GraphError> {
        let spec = self.layout.spec(id);
        if spec.shape == expected {
            return Ok(());
        }
        let (name, found) = (spec.name.clone(), spec.shape.clone());
        Err(GraphError::WeightShape { op, name, found, expected })
    }
}

fn pooled(op: &'static str, input: Shape, pool: Pool) -> Result<Shape, GraphError> {
    let Pool { kernel, stride, padding } = pool;
    if 2 * padding > kernel {
        return Err(GraphError::PoolPadding { kernel, padding });
    }
    windowed(op, input, kernel, stride, padding)
}

/// Output shape of a sliding window: `(size + 2·padding − extent) / stride + 1` in both directions.
fn windowed(
    op: &'static str,
    input: Shape,
    extent: usize,
    stride: usize,
    padding: usize,
) -> Result<Shape, GraphError> {
    let window = extent.saturating_sub(2 * padding);
    let steps = |size: usize| {
        let room = (size + 2 * padding).checked_sub(extent);
        room.map(|room| room / stride + 1).ok_or(GraphError::TooSmall { op, window, input })
    };
    Ok(Shape::new(input.channels, steps(input.height)?, steps(input.width)?))
}
