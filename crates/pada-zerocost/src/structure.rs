use std::collections::HashSet;

use pada_graph::{Cost, Graph, Op, WeightLayout};

use crate::Score;

/// Computes a score of the structure of a network, or returns `None` for a score that needs passes.
///
/// The graph should have no operations that cannot influence its output: [`Score::Params`] and [`Score::Flops`] count them.
pub fn structural(score: Score, graph: &Graph, layout: &WeightLayout) -> Option<f64> {
    let lean = graph.without_zero_terms();
    let nodes = || lean.nodes().iter();
    let convs = || nodes().filter_map(|node| if let Op::Conv(conv) = &node.op { Some(conv) } else { None });
    let count = match score {
        Score::Params => Cost::of(graph, layout).params as f64,
        Score::Flops => Cost::of(graph, layout).macs as f64,
        Score::ActiveConvParams => {
            let weights: HashSet<_> = convs().map(|conv| conv.weight).collect();
            weights.iter().map(|&id| layout.spec(id).numel()).sum::<usize>() as f64
        }
        Score::ConvDepth => conv_depth(&lean) as f64,
        Score::Pools => {
            let is_pool = |op: &Op| matches!(op, Op::AvgPool(_) | Op::MaxPool(_));
            // A difference, because the negative of 0 is −0.
            0.0 - nodes().filter(|node| is_pool(&node.op)).count() as f64
        }
        _ => return None,
    };
    Some(count)
}

/// Counts the convolutions on the path from the input to the output that has most of them. Nodes that no such path contains do not count.
fn conv_depth(graph: &Graph) -> usize {
    let mut depths: Vec<Option<usize>> = Vec::with_capacity(graph.nodes().len());
    for node in graph.nodes() {
        let before = node.inputs.iter().filter_map(|x| depths[x.0]).max();
        let own = usize::from(matches!(node.op, Op::Conv(_)));
        depths.push(match node.op {
            Op::Input => Some(0),
            _ => before.map(|depth| depth + own),
        });
    }
    depths.last().copied().flatten().unwrap_or(0)
}
