use crate::op::{Conv, Extent, Norm, Op, Pool, Shape, Statistics};
use crate::{GraphError, WeightId, WeightLayout};

/// A node's place in its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// An operation, what it reads, and the shape of what it makes of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// The nodes it reads; all stand before it.
    pub inputs: Vec<NodeId>,
    /// Shape of its value, without the batch.
    pub shape: Shape,
}

/// One architecture as a program: nodes in an order in which each reads only earlier ones. The last is the output, the
/// logits. Side nodes ([`Op::is_side`]) add to the loss and not to the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    pub(crate) nodes: Vec<Node>,
}

impl Graph {
    /// The nodes, inputs before readers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The output node.
    pub fn output(&self) -> &Node {
        self.nodes.last().expect("a graph ends in its output")
    }

    /// Whether every reader of a node is a batch norm with the statistics of the batch, which takes away whatever constant is added to
    /// a channel: then a convolution's bias changes nothing and has the gradient zero, exactly.
    pub fn cancels_bias(&self, id: NodeId) -> bool {
        let mut readers = self.nodes.iter().filter(|node| node.inputs.contains(&id)).peekable();
        readers.peek().is_some()
            && readers.all(|node| matches!(&node.op, Op::Norm(norm) if norm.statistics == Statistics::Batch))
    }

    /// An operation that executors do not have: it is there to be counted.
    pub fn uncomputed(&self) -> Option<&'static str> {
        self.nodes.iter().find_map(|node| match &node.op {
            Op::Gate => Some(node.op.name()),
            Op::Conv(conv) if conv.extent != Extent::Square => Some("convolution along one direction"),
            _ => None,
        })
    }

    /// How many numbers drop-path needs for each image.
    pub fn drop_path_slots(&self) -> usize {
        let slot = |node: &Node| match node.op {
            Op::DropPath { slot } => Some(slot + 1),
            _ => None,
        };
        self.nodes.iter().filter_map(slot).max().unwrap_or(0)
    }

    /// The weights it reads, each once, in the order of the layout; no running statistics.
    pub fn weights(&self) -> Vec<WeightId> {
        let mut ids: Vec<_> = self.nodes.iter().flat_map(|node| node.op.weights()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The weights that a gradient can reach: not those that only anchors of alignments read, nor those that nothing reads.
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

/// Marks the output, and then everything that a marked node reads.
pub(crate) fn mark_inputs(nodes: &[Node], marked: &mut [bool]) {
    *marked.last_mut().expect("a graph ends in its output") = true;
    for (i, node) in nodes.iter().enumerate().rev() {
        if marked[i] {
            node.inputs.iter().for_each(|x| marked[x.0] = true);
        }
    }
}

/// Builds a [`Graph`] node by node and works out the shapes.
#[derive(Debug)]
pub struct GraphBuilder<'a> {
    layout: &'a WeightLayout,
    nodes: Vec<Node>,
}

impl<'a> GraphBuilder<'a> {
    /// An empty graph over the weights of `layout`.
    pub fn new(layout: &'a WeightLayout) -> Self {
        Self { layout, nodes: Vec::new() }
    }

    /// The images.
    pub fn input(&mut self, shape: Shape) -> NodeId {
        self.push(Op::Input, vec![], shape)
    }

    /// Zeros of a shape.
    pub fn zero(&mut self, shape: Shape) -> NodeId {
        self.push(Op::Zero, vec![], shape)
    }

    /// A convolution.
    ///
    /// # Errors
    /// [`GraphError`] where kernel, weight and input do not fit together.
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
        Ok(self.push(Op::Conv(conv), vec![x], out))
    }

    /// A batch norm.
    ///
    /// # Errors
    /// [`GraphError::WeightShape`] where scale, shift or running statistics do not have one number per channel.
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

    /// ReLU.
    pub fn relu(&mut self, x: NodeId) -> NodeId {
        self.push(Op::Relu, vec![x], self.shape(x))
    }

    /// ReLU6.
    pub fn relu6(&mut self, x: NodeId) -> NodeId {
        self.push(Op::Relu6, vec![x], self.shape(x))
    }

    /// Average pooling.
    ///
    /// # Errors
    /// [`GraphError::TooSmall`] or [`GraphError::PoolPadding`]
    pub fn avg_pool(&mut self, x: NodeId, pool: Pool) -> Result<NodeId, GraphError> {
        let shape = pooled("average pooling", self.shape(x), pool)?;
        Ok(self.push(Op::AvgPool(pool), vec![x], shape))
    }

    /// Max pooling.
    ///
    /// # Errors
    /// [`GraphError::TooSmall`] or [`GraphError::PoolPadding`]
    pub fn max_pool(&mut self, x: NodeId, pool: Pool) -> Result<NodeId, GraphError> {
        let shape = pooled("max pooling", self.shape(x), pool)?;
        Ok(self.push(Op::MaxPool(pool), vec![x], shape))
    }

    /// The sum of values of one shape; one value is its own sum.
    ///
    /// # Errors
    /// [`GraphError::ShapeMismatch`]
    ///
    /// # Panics
    /// If there is nothing to add.
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

    /// Values one behind the other along the channels.
    ///
    /// # Errors
    /// [`GraphError::ShapeMismatch`] where height or width differ.
    ///
    /// # Panics
    /// If there is nothing to join.
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

    /// The mean over height and width.
    pub fn global_avg_pool(&mut self, x: NodeId) -> NodeId {
        self.push(Op::GlobalAvgPool, vec![x], Shape::vector(self.shape(x).channels))
    }

    /// A value times the sigmoid of a vector, channel by channel.
    ///
    /// # Errors
    /// [`GraphError::ShapeMismatch`] where the second input is no vector of as many channels.
    pub fn gate(&mut self, x: NodeId, gate: NodeId) -> Result<NodeId, GraphError> {
        let (left, right) = (self.shape(x), self.shape(gate));
        if right != Shape::vector(left.channels) {
            return Err(GraphError::ShapeMismatch { op: "gate", left, right });
        }
        Ok(self.push(Op::Gate, vec![x, gate], left))
    }

    /// A linear layer on a vector.
    ///
    /// # Errors
    /// [`GraphError::WeightShape`]
    pub fn linear(&mut self, x: NodeId, weight: WeightId, bias: WeightId) -> Result<NodeId, GraphError> {
        let out = self.layout.spec(bias).numel();
        self.check_weight("linear layer", weight, vec![out, self.shape(x).numel()])?;
        Ok(self.push(Op::Linear { weight, bias, out }, vec![x], Shape::vector(out)))
    }

    /// Adds `share` · mean `(value − anchor)²` to the loss, see [`Op::Align`]. A node is aligned with itself already.
    ///
    /// # Errors
    /// [`GraphError::ShapeMismatch`]
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

    /// Each image times a number of its own, see [`Op::DropPath`].
    pub fn drop_path(&mut self, x: NodeId, slot: usize) -> NodeId {
        self.push(Op::DropPath { slot }, vec![x], self.shape(x))
    }

    /// Adds `share` · the cross entropy of these logits to the loss, see [`Op::Auxiliary`].
    pub fn auxiliary(&mut self, logits: NodeId, share: f32) {
        self.push(Op::Auxiliary { share }, vec![logits], self.shape(logits));
    }

    /// The graph that ends in a classifier, as networks of images do: the mean over height and width, then a linear layer.
    ///
    /// # Errors
    /// As [`GraphBuilder::linear`].
    pub fn classified(
        mut self,
        x: NodeId,
        (weight, bias): (WeightId, WeightId),
    ) -> Result<Graph, GraphError> {
        let x = self.global_avg_pool(x);
        self.linear(x, weight, bias)?;
        Ok(self.finish())
    }

    /// The graph; the node added last is its output.
    ///
    /// # Panics
    /// If that is a side node, which has no value.
    pub fn finish(self) -> Graph {
        let is_side = self.nodes.last().is_some_and(|node| node.op.is_side());
        assert!(!is_side, "what adds to the loss alone cannot be the output");
        Graph { nodes: self.nodes }
    }

    /// The shape of a node.
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

/// The output of a window that moves over an input: `(size + 2·padding − extent) / stride + 1` in both directions.
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
