use std::fmt;

use crate::graph::{Graph, Node, NodeId};
use crate::op::{Conv, Op, Pool, Shape};

/// A part of a network that is measured alone: one layer with the activation before it and the batch norm behind it, or one sum.
///
/// The pieces of a graph contain each of its nodes exactly once, apart from zeros and side nodes. Two pieces with the same name and the same
/// shapes compute the same operation with other weights, so they take the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The operations in their order, for example `relu+conv3x3-stride2+norm`. A sum or concatenation also names the number of its inputs, as
    /// `sum-of-3`.
    pub name: String,
    /// Shape of an input for one image. All inputs of a sum have it.
    pub input: Shape,
    /// Shape of the output for one image.
    pub output: Shape,
    nodes: Vec<NodeId>,
}

impl Piece {
    /// The name of the piece that is the images.
    pub const INPUT: &str = "input";

    /// Returns the piece that is the images.
    pub fn of_images(shape: Shape) -> Self {
        Self { name: Self::INPUT.to_owned(), input: shape, output: shape, nodes: vec![] }
    }
}

/// Formats as `relu+conv3x3+norm, 16×32×32 to 16×32×32`.
impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} to {}", self.name, self.input, self.output)
    }
}

impl Graph {
    /// Splits the graph into [`Piece`]s, in topological order.
    ///
    /// A new piece starts at an activation, behind a batch norm or a pool, at a node with several inputs and behind it, and behind a value that several
    /// nodes read. The first piece is `input`, the images.
    pub fn pieces(&self) -> Vec<Piece> {
        let mut readers = vec![0_usize; self.nodes.len()];
        let values = || self.nodes.iter().enumerate().filter(|(_, node)| !node.op.is_side());
        values().flat_map(|(_, node)| &node.inputs).for_each(|id| readers[id.0] += 1);
        let mut pieces: Vec<Piece> = Vec::new();
        // The index of the piece of each node.
        let mut piece_of: Vec<Option<usize>> = vec![None; self.nodes.len()];
        for (i, node) in values().filter(|(_, node)| node.op != Op::Zero) {
            let before = match node.inputs[..] {
                [before] if readers[before.0] == 1 && self.continues(before, &node.op) => piece_of[before.0],
                _ => None,
            };
            let name = self.operation_name(node);
            let index = before.unwrap_or(pieces.len());
            match before {
                Some(before) => {
                    let piece = &mut pieces[before];
                    piece.name = format!("{}+{name}", piece.name);
                    piece.output = node.shape;
                    piece.nodes.push(NodeId(i));
                }
                None => {
                    let input = node.inputs.first().map_or(node.shape, |&first| self.node(first).shape);
                    pieces.push(Piece { name, input, output: node.shape, nodes: vec![NodeId(i)] });
                }
            }
            piece_of[i] = Some(index);
        }
        pieces
    }

    /// Returns whether a node with one input belongs to the piece of that input.
    fn continues(&self, before: NodeId, op: &Op) -> bool {
        let before = self.node(before);
        let ends =
            before.inputs.len() != 1 || matches!(before.op, Op::Norm(_) | Op::AvgPool(_) | Op::MaxPool(_));
        !ends && !matches!(op, Op::Relu | Op::Relu6)
    }

    /// Returns a graph that computes a piece of this graph from images of its input shape. Every input of a sum is the image itself.
    pub fn of_piece(&self, piece: &Piece) -> Graph {
        let mut nodes = vec![Node { op: Op::Input, inputs: vec![], shape: piece.input }];
        for (i, &id) in piece.nodes.iter().enumerate().filter(|(_, id)| self.node(**id).op != Op::Input) {
            let node = self.node(id);
            let inputs = match (&node.op, i) {
                (Op::Gate, _) => {
                    let shape = Shape::vector(piece.input.channels);
                    nodes.push(Node { op: Op::GlobalAvgPool, inputs: vec![NodeId(0)], shape });
                    vec![NodeId(0), NodeId(1)]
                }
                (_, 0) => vec![NodeId(0); node.inputs.len()],
                _ => vec![NodeId(nodes.len() - 1)],
            };
            let shape = match node.op {
                // The inputs of a concatenation may have other channels than the first one.
                Op::Concat => Shape { channels: inputs.len() * piece.input.channels, ..node.shape },
                _ => node.shape,
            };
            nodes.push(Node { op: node.op.clone(), inputs, shape });
        }
        Graph { nodes, blocks: vec![] }
    }

    /// Returns the graph of images that nothing is computed from.
    pub fn of_input(shape: Shape) -> Graph {
        Graph { nodes: vec![Node { op: Op::Input, inputs: vec![], shape }], blocks: vec![] }
    }

    /// Returns the same graph followed by `n` global average pools of its output, whose vectors are concatenated if there are several.
    ///
    /// # Panics
    /// Panics if `n` is 0.
    pub fn pooled(&self, n: usize) -> Graph {
        assert!(n > 0, "a graph has an output");
        let (mut nodes, output) = (self.nodes.clone(), NodeId(self.nodes.len() - 1));
        let shape = Shape::vector(self.output().shape.channels);
        let pools: Vec<NodeId> = (0..n)
            .map(|_| {
                nodes.push(Node { op: Op::GlobalAvgPool, inputs: vec![output], shape });
                NodeId(nodes.len() - 1)
            })
            .collect();
        if n > 1 {
            nodes.push(Node { op: Op::Concat, inputs: pools, shape: Shape::vector(n * shape.channels) });
        }
        Graph { nodes, blocks: vec![] }
    }

    fn operation_name(&self, node: &Node) -> String {
        let inputs = node.inputs.len();
        match &node.op {
            Op::Input => Piece::INPUT.to_owned(),
            Op::Zero => "zero".to_owned(),
            Op::Conv(conv) => conv_name(conv, self.node(node.inputs[0]).shape.channels),
            Op::Norm(_) => "norm".to_owned(),
            Op::Relu => "relu".to_owned(),
            Op::Relu6 => "relu6".to_owned(),
            Op::AvgPool(pool) => pool_name("avg-pool", pool),
            Op::MaxPool(pool) => pool_name("max-pool", pool),
            Op::Add => format!("sum-of-{inputs}"),
            Op::Concat => format!("concat-of-{inputs}"),
            Op::GlobalAvgPool => "global-avg-pool".to_owned(),
            Op::Gate => "gate".to_owned(),
            Op::Linear { .. } => "linear".to_owned(),
            Op::Scale { .. } => "scale".to_owned(),
            Op::SelectChannels { .. } => "select-channels".to_owned(),
            Op::Align { .. } => "align".to_owned(),
            Op::DropPath { .. } => "drop-path".to_owned(),
            Op::Dropout { .. } => "dropout".to_owned(),
            Op::Auxiliary { .. } => "auxiliary".to_owned(),
        }
    }
}

/// Names a convolution after everything that its time depends on, for example `depthwise3x3-stride2`.
fn conv_name(conv: &Conv, channels: usize) -> String {
    let [height, width] = conv.taps();
    let kind = match conv.groups {
        1 => "conv",
        groups if groups == channels => "depthwise",
        _ => "grouped",
    };
    let mut name = format!("{kind}{height}x{width}");
    if kind == "grouped" {
        name += &format!("-groups{}", conv.groups);
    }
    if conv.stride != 1 {
        name += &format!("-stride{}", conv.stride);
    }
    if conv.dilation != 1 {
        name += &format!("-dilation{}", conv.dilation);
    }
    if conv.bias.is_some() {
        name += "-bias";
    }
    name
}

fn pool_name(kind: &str, pool: &Pool) -> String {
    let stride = if pool.stride == 1 { String::new() } else { format!("-stride{}", pool.stride) };
    format!("{kind}{0}x{0}{stride}", pool.kernel)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::{GraphBuilder, Init, Norm, Statistics, WeightId, WeightLayout, WeightSpec};

    /// A residual block with a pool: stem, then relu-convolution-norm and a pool beside the identity, then the classifier.
    fn block() -> Graph {
        let mut layout = WeightLayout::new();
        let mut push = |name: &str, shape: Vec<usize>| -> WeightId {
            layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None })
        };
        let [stem, own] = [("stem", 3), ("own", 4)].map(|(name, c_in)| push(name, vec![4, c_in, 3, 3]));
        let classifier = (push("weight", vec![5, 4]), push("bias", vec![5]));
        let mut g = GraphBuilder::new(&layout);
        let norm = Norm { affine: None, eps: 1e-5, statistics: Statistics::Batch };
        let images = g.input(Shape::new(3, 8, 8));
        let x = g.conv(images, Conv::same(stem, 4, 3, 1)).unwrap();
        let x = g.norm(x, norm).unwrap();
        let y = g.relu(x);
        let y = g.conv(y, Conv::same(own, 4, 3, 1)).unwrap();
        let y = g.norm(y, norm).unwrap();
        let z = g.avg_pool(x, Pool { kernel: 3, stride: 1, padding: 1 }).unwrap();
        let z = g.norm(z, norm).unwrap();
        let sum = g.add(&[x, y, z]).unwrap();
        g.classified(sum, classifier).unwrap()
    }

    #[test]
    fn pieces_are_layers_with_their_activation_and_norm_and_contain_every_node_once() {
        let graph = block();
        let pieces = graph.pieces();
        let names: Vec<&str> = pieces.iter().map(|piece| piece.name.as_str()).collect();
        let expected = [
            "input",
            "conv3x3+norm",
            "relu+conv3x3+norm",
            "avg-pool3x3",
            "norm",
            "sum-of-3",
            "global-avg-pool+linear",
        ];
        assert_eq!(names, expected);
        let mut nodes: Vec<usize> = pieces.iter().flat_map(|piece| &piece.nodes).map(|id| id.0).collect();
        nodes.sort_unstable();
        assert_eq!(nodes, (0..graph.nodes().len()).collect::<Vec<_>>());
        assert_eq!(pieces[1].to_string(), "conv3x3+norm, 3×8×8 to 4×8×8");
    }

    #[test]
    fn a_piece_runs_alone_from_images_of_its_input_shape() {
        let graph = block();
        for piece in graph.pieces() {
            let own = graph.of_piece(&piece);
            assert_eq!((own.nodes()[0].op.clone(), own.nodes()[0].shape), (Op::Input, piece.input));
            assert_eq!(own.output().shape, piece.output, "{piece}");
            let pooled = own.pooled(2);
            assert_eq!(pooled.output().shape, Shape::vector(2 * piece.output.channels));
            assert_eq!(own.pooled(1).nodes().len(), own.nodes().len() + 1);
        }
        let sum = graph.pieces().into_iter().find(|piece| piece.name == "sum-of-3").unwrap();
        assert_eq!(graph.of_piece(&sum).output().inputs, [NodeId(0); 3]);
    }

    #[test]
    fn a_name_has_everything_that_the_time_of_a_layer_depends_on() {
        let conv = Conv::same(WeightId(0), 8, 3, 1);
        let name = |change: fn(&mut Conv)| {
            let mut conv = conv.clone();
            change(&mut conv);
            conv_name(&conv, 8)
        };
        assert_eq!(name(|_| ()), "conv3x3");
        assert_eq!(name(|conv| conv.stride = 2), "conv3x3-stride2");
        assert_eq!(name(|conv| (conv.groups, conv.dilation) = (8, 2)), "depthwise3x3-dilation2");
        assert_eq!(name(|conv| conv.groups = 2), "grouped3x3-groups2");
        assert_eq!(name(|conv| conv.extent = crate::Extent::Row), "conv1x3");
        assert_eq!(name(|conv| conv.bias = Some(WeightId(1))), "conv3x3-bias");
        assert_eq!(pool_name("max-pool", &Pool { kernel: 3, stride: 2, padding: 1 }), "max-pool3x3-stride2");
    }
}
