//! Source: `naslib/predictors/utils/pruners/measures/synflow.py` of <https://github.com/automl/NASLib> at 0b51bc18.

use std::collections::HashMap;

use pada_exec::{Images, Inspection, Objective, State};
use pada_graph::{Graph, Op, WeightId};

use crate::ZeroCostError;
use crate::score::ScoreValue;
use crate::scorer::{ZeroCostScorer, kernels};

const NO_WEIGHT: &str = "no weight that reads the image influences the logits, so that the sum is 0";

/// Computes ln Σ |w · ∂R/∂w| with absolute weights and without norms.
///
/// Without norms, the values of a deep network leave the range of f32. The score does not depend on the unit in which a value is stored,
/// so every convolution and linear layer converts between units that keep its input and output near 1, see [`Units`].
pub(crate) fn synflow(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let graph = &graph.without_norms();
    let layout = scorer.executor.layout();
    let mut weights = scorer.weights.clone();
    let units = Units::new(graph, |id| {
        let values = &scorer.weights[layout.range(id)];
        values.iter().map(|w| f64::from(w.abs())).sum::<f64>()
    });
    for id in graph.weights() {
        let factor = units.factor(id);
        weights[layout.range(id)].iter_mut().for_each(|w| *w = (f64::from(w.abs()) * factor) as f32);
    }
    let Some(shape) = graph.nodes().iter().find(|node| node.op == Op::Input).map(|node| node.shape) else {
        return Ok(ScoreValue { value: f64::NEG_INFINITY, reason: Some(NO_WEIGHT) });
    };
    let ones = vec![1.0; shape.numel()];
    scorer.executor.write(State::Weights, &weights);
    scorer.executor.zero_gradient();
    let inspection =
        Inspection { objective: Some(Objective::Sum), weight_gradient: true, ..Inspection::default() };
    let inspected = scorer.executor.inspect(graph, &Images::given(&ones, shape), &inspection);
    let mut sum = 0.0;
    for id in kernels(graph) {
        let pairs = scorer.executor.gradient(id);
        let pairs = weights[scorer.executor.layout().range(id)].iter().zip(pairs.iter());
        sum += pairs.map(|(&w, &g)| (f64::from(w) * f64::from(g)).abs()).sum::<f64>();
    }
    scorer.executor.write(State::Weights, &scorer.weights);
    inspected?;
    let value = sum.ln() + units.of_output;
    Ok(match sum {
        0.0 => ScoreValue { value: f64::NEG_INFINITY, reason: Some(NO_WEIGHT) },
        _ => ScoreValue::finite_or(value, "the values of the network without norms leave the range of f32"),
    })
}

/// A unit for every value of a graph, as natural logarithms. Values between which there is no weight have the same unit.
struct Units {
    /// Per weight: the logarithm of the factor that converts between the units of its input and its output.
    factors: HashMap<WeightId, f64>,
    of_output: f64,
}

impl Units {
    /// Chooses units. `total` returns the sum of the absolute values of a weight.
    fn new(graph: &Graph, total: impl Fn(WeightId) -> f64) -> Self {
        let nodes = graph.nodes();
        // The size that the mean value of each node is expected to have, and the group of values that must share its unit.
        let (mut sizes, mut groups): (Vec<f64>, Groups) = (vec![], Groups((0..nodes.len()).collect()));
        let mut layers = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let before = || node.inputs.iter().map(|x| sizes[x.0]);
            let layer = |weight: WeightId, outputs: usize| {
                before().next().unwrap_or(0.0) + (total(weight) / outputs as f64).ln()
            };
            let size = match &node.op {
                Op::Conv(conv) => layer(conv.weight, conv.out_channels),
                Op::Linear { weight, out, .. } => layer(*weight, *out),
                Op::Add => log_sum(before()),
                Op::Zero => f64::NEG_INFINITY,
                Op::Input => 0.0,
                _ => before().fold(f64::NEG_INFINITY, f64::max),
            };
            sizes.push(size);
            match &node.op {
                Op::Conv(conv) => layers.push((i, vec![conv.weight], conv.bias)),
                Op::Linear { weight, bias, .. } => layers.push((i, vec![*weight], Some(*bias))),
                _ => node.inputs.iter().for_each(|x| groups.join(x.0, i)),
            }
        }
        let mut units = vec![f64::NEG_INFINITY; nodes.len()];
        for (i, &size) in sizes.iter().enumerate() {
            let group = groups.of(i);
            units[group] = units[group].max(size);
        }
        // The images are ones, in their own unit.
        if let Some(input) = nodes.iter().position(|node| node.op == Op::Input) {
            units[groups.of(input)] = 0.0;
        }
        let mut unit = |i: usize| Some(units[groups.of(i)]).filter(|unit| unit.is_finite()).unwrap_or(0.0);
        let (mut factors, mut shared) = (HashMap::new(), false);
        for (i, weights, bias) in layers {
            let (input, output) = (unit(nodes[i].inputs[0].0), unit(i));
            for weight in weights {
                shared |= factors.insert(weight, input - output).is_some_and(|other| other != input - output);
            }
            if let Some(bias) = bias {
                factors.insert(bias, -output);
            }
        }
        // A weight that two layers share cannot convert for both.
        if shared {
            return Self { factors: HashMap::new(), of_output: 0.0 };
        }
        Self { factors, of_output: unit(nodes.len() - 1) }
    }

    fn factor(&self, weight: WeightId) -> f64 {
        self.factors.get(&weight).copied().unwrap_or(0.0).exp()
    }
}

fn log_sum(sizes: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = sizes.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + sizes.map(|size| (size - largest).exp()).sum::<f64>().ln()
}

/// Groups of nodes, as the index of another node of the group or of the node itself.
struct Groups(Vec<usize>);

impl Groups {
    fn of(&mut self, mut node: usize) -> usize {
        while self.0[node] != node {
            self.0[node] = self.0[self.0[node]];
            node = self.0[node];
        }
        node
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[b] = a;
    }
}
