use std::collections::HashSet;

use crate::graph::{Graph, Node};
use crate::op::{Op, Statistics};
use crate::{WeightId, WeightLayout};

impl Graph {
    /// Returns a unique name for every node. No name is that of a weight or in `reserved`.
    ///
    /// A node is called like the PyTorch module whose weights it reads (`stem.0`). A norm without weights is called after its input
    /// (`stem.0.norm`), and any other node after its operation and index (`sum_12`).
    pub fn names(&self, layout: &WeightLayout, reserved: &[&str]) -> Vec<String> {
        let mut taken: HashSet<String> = layout.iter().map(|(_, spec)| spec.name.clone()).collect();
        taken.extend(reserved.iter().map(|&name| name.to_owned()));
        let mut names: Vec<String> = Vec::with_capacity(self.nodes.len());
        for (i, node) in self.nodes.iter().enumerate() {
            let name = match (module(node, layout), &node.op) {
                (Some(module), _) => module.to_owned(),
                (None, Op::Norm(_)) => format!("{}.norm", names[node.inputs[0].0]),
                (None, op) => format!("{}_{i}", op.name().replace(' ', "_")),
            };
            let further = (2..).map(|n| format!("{name}.{n}"));
            let free = std::iter::once(name.clone()).chain(further).find(|name| !taken.contains(name));
            let free = free.expect("there are more numbers than names");
            taken.insert(free.clone());
            names.push(free);
        }
        names
    }
}

/// The common prefix of the names of a node's weights.
fn module<'a>(node: &Node, layout: &'a WeightLayout) -> Option<&'a str> {
    let before = |id: WeightId, part: &str| layout.spec(id).name.strip_suffix(part);
    match &node.op {
        Op::Conv(conv) => before(conv.weight, ".weight"),
        Op::Linear { weight, .. } => before(*weight, ".weight"),
        Op::Norm(norm) => match (norm.affine, norm.statistics) {
            (Some((scale, _)), _) => before(scale, ".weight"),
            (None, Statistics::Running { mean, .. }) => before(mean, ".running_mean"),
            (None, Statistics::Batch) => None,
        },
        _ => None,
    }
}
