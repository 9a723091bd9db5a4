use crate::graph::{Graph, Node, NodeId, mark_inputs};
use crate::op::{Op, Statistics};

/// Knowledge about a value that is true for all images and weights.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// Zero everywhere.
    Zero,
    /// One number per channel, the same for all pixels and images.
    Constant,
    /// Nothing is known.
    No,
}

impl Graph {
    /// Returns a smaller graph with the same logits, side losses and gradients.
    ///
    /// Values that are zero for all weights become [`Op::Zero`], sums lose their zero terms, and nodes that neither the output nor a side
    /// node reads are removed, as are alignments of a value with itself. This is exact up to rounding: a convolution of zeros is its bias,
    /// and a batch norm with batch statistics removes a constant.
    pub fn simplified(&self) -> Graph {
        let mut known: Vec<Known> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(self.nodes.len());
        // For each node the node that readers use in its place: for a sum of a single term, that term.
        let mut same: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let here = knowledge(&node.op, &node.inputs.iter().map(|x| known[x.0]).collect::<Vec<_>>());
            let mut inputs = node.inputs.clone();
            if node.op == Op::Add {
                inputs.retain(|x| known[x.0] != Known::Zero);
            }
            inputs.iter_mut().for_each(|x| *x = same[x.0]);
            let aligned_with_itself = matches!(node.op, Op::Align { .. }) && inputs[0] == inputs[1];
            let here = if aligned_with_itself { Known::Zero } else { here };
            same.push(match (&node.op, &inputs[..]) {
                (Op::Add, &[only]) => only,
                _ => NodeId(i),
            });
            nodes.push(match here {
                Known::Zero => Node { op: Op::Zero, inputs: vec![], shape: node.shape },
                _ => Node { inputs, ..node.clone() },
            });
            known.push(here);
        }
        let side = |node: &Node| node.op.is_side();
        let blocks = self.blocks.iter().map(|id| same[id.0]).collect();
        Graph { nodes, blocks }.restricted_to(side)
    }

    /// Keeps the output, the nodes that `wanted` selects, and everything that these read.
    pub(crate) fn restricted_to(self, wanted: impl Fn(&Node) -> bool) -> Graph {
        let mut used: Vec<bool> = self.nodes.iter().map(wanted).collect();
        mark_inputs(&self.nodes, &mut used);
        let mut moved: Vec<Option<NodeId>> = vec![None; self.nodes.len()];
        let mut kept = Vec::new();
        for (i, mut node) in self.nodes.into_iter().enumerate().filter(|(i, _)| used[*i]) {
            node.inputs.iter_mut().for_each(|x| *x = moved[x.0].expect("an input precedes its reader"));
            moved[i] = Some(NodeId(kept.len()));
            kept.push(node);
        }
        let blocks = self.blocks.iter().filter_map(|id| moved.get(id.0).copied().flatten()).collect();
        Graph { nodes: kept, blocks }
    }
}

fn knowledge(op: &Op, inputs: &[Known]) -> Known {
    use Known::{Constant, No, Zero};
    let all = |k: Known| inputs.iter().all(|&x| x == k);
    match op {
        Op::Zero => Zero,
        Op::Input => No,
        Op::Relu | Op::Relu6 | Op::AvgPool(_) | Op::MaxPool(_) | Op::GlobalAvgPool => inputs[0],
        Op::Add | Op::Concat if all(Zero) => Zero,
        Op::SelectChannels { .. } => inputs[0],
        // The factor changes in training, so that a scaled constant is no constant.
        Op::Scale { .. } if inputs[0] == Zero => Zero,
        Op::Scale { .. } => No,
        Op::Add if inputs.iter().all(|&x| x != No) => Constant,
        Op::Gate if inputs[0] == Zero => Zero,
        Op::Gate => No,
        Op::Add | Op::Concat => No,
        Op::Conv(conv) if inputs[0] == Zero && conv.bias.is_none() => Zero,
        Op::Conv(_) if inputs[0] == Zero => Constant,
        Op::Conv(_) => No,
        Op::Norm(norm)
            if inputs[0] != No && norm.affine.is_none() && norm.statistics == Statistics::Batch =>
        {
            Zero
        }
        Op::Norm(_) if inputs[0] != No => Constant,
        Op::Norm(_) => No,
        Op::Align { .. } if all(Zero) => Zero,
        Op::DropPath { .. } | Op::Dropout { .. } if inputs[0] == Zero => Zero,
        Op::DropPath { .. } | Op::Dropout { .. } => No,
        Op::Linear { .. } | Op::Align { .. } | Op::Auxiliary { .. } => No,
    }
}
