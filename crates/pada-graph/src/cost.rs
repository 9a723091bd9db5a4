use serde::{Deserialize, Serialize};

use crate::{Graph, Op, WeightLayout};

/// What one architecture costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Trainable numbers.
    pub params: u64,
    /// Multiply-adds for one image, of convolutions and linear layers; a bias counts one per output, as in NAS-Bench-201.
    pub macs: u64,
}

impl Cost {
    /// Counts a graph. Nothing is simplified away first: benchmarks count dead operations too. Side
    /// nodes, a matter of training, count nothing themselves.
    pub fn of(graph: &Graph, layout: &WeightLayout) -> Self {
        let params = graph.weights().iter().map(|&id| layout.spec(id).numel() as u64).sum();
        let macs = graph.nodes().iter().map(|node| {
            let (per_output, bias) = match &node.op {
                Op::Conv(conv) => {
                    let c_in = graph.node(node.inputs[0]).shape.channels;
                    (
                        c_in / conv.groups * conv.taps().iter().product::<usize>(),
                        usize::from(conv.bias.is_some()),
                    )
                }
                Op::Linear { .. } => (graph.node(node.inputs[0]).shape.numel(), 1),
                _ => (0, 0),
            };
            ((per_output + bias) * node.shape.numel()) as u64
        });
        Self { params, macs: macs.sum() }
    }
}
