use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, Statistics};

/// What is known of a value before any image is seen.
#[derive(Clone, Copy, PartialEq)]
enum Known {
    /// Zero everywhere.
    Zero,
    /// One number per channel, the same for every pixel and image.
    Constant,
    /// Anything.
    No,
}

impl Graph {
    /// The same logits and the same gradients with less work: values that are zero whatever the weights are become
    /// [`Op::Zero`], sums lose their zero terms, and nodes that the output does not read are gone.
    ///
    /// It is exact: a convolution of zeros is its bias, and a batch norm with the statistics of the batch takes a constant away. Up to rounding the full
    /// graph computes the same.
    pub fn simplified(&self) -> Graph {
        let mut known: Vec<Known> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let here = knowledge(&node.op, &node.inputs.iter().map(|x| known[x.0]).collect::<Vec<_>>());
            nodes.push(match here {
                Known::Zero => Node { op: Op::Zero, inputs: vec![], shape: node.shape },
                _ if node.op == Op::Add => {
                    let nonzero = node.inputs.iter().copied().filter(|x| known[x.0] != Known::Zero);
                    Node { inputs: nonzero.collect(), ..node.clone() }
                }
                _ => node.clone(),
            });
            known.push(here);
        }
        compact(nodes)
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
        Op::Linear { .. } => No,
    }
}

/// Drops what the output does not read and sums of a single term.
fn compact(nodes: Vec<Node>) -> Graph {
    let mut used = vec![false; nodes.len()];
    *used.last_mut().expect("a graph ends in its output") = true;
    for (i, node) in nodes.iter().enumerate().rev() {
        if used[i] {
            node.inputs.iter().for_each(|x| used[x.0] = true);
        }
    }
    let last = nodes.len() - 1;
    let mut moved: Vec<Option<NodeId>> = vec![None; nodes.len()];
    let mut kept = Vec::new();
    for (i, mut node) in nodes.into_iter().enumerate().filter(|(i, _)| used[*i]) {
        node.inputs.iter_mut().for_each(|x| *x = moved[x.0].expect("an input stands before its reader"));
        if node.op == Op::Add && node.inputs.len() == 1 && i != last {
            moved[i] = Some(node.inputs[0]);
        } else {
            moved[i] = Some(NodeId(kept.len()));
            kept.push(node);
        }
    }
    Graph { nodes: kept }
}
