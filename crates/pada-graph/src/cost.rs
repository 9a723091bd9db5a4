use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Graph, Op, WeightLayout};

/// The cost of one architecture: number of parameters and multiply-adds. This is the only definition in the workspace.
///
/// - *Parameters* are the trained numbers that the graph reads: kernels, biases, and scale and shift of norms. Running statistics are
///   buffers and do not count. A weight that several nodes share counts once.
/// - *Multiply-adds* are counted for one image, over convolutions and linear layers: `C_in / groups · k_h · k_w` per output number, plus 1
///   per output number if there is a bias. Norms, activations, pooling and sums count nothing. This is the counting of NAS-Bench-201; one
///   multiply-add is two FLOPs.
///
/// The cost depends on the graph: [`Lower::lower`](crate::Lower::lower) keeps operations that cannot influence the output, as
/// benchmarks count them, [`Graph::simplified`] removes them, and [`Frozen`](crate::Frozen) networks are simplified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
}

impl Cost {
    /// Counts the cost of a graph as it is, without simplifying it. Side nodes, which only add to the training loss, count nothing.
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

/// Formats as `129306 parameters, 15647370 multiply-adds`.
impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters, {} multiply-adds", self.params, self.macs)
    }
}
