use std::ops::Range;

use pada_exec::SgdStep;
use pada_space::{Arch, Darts, DartsCell, Nb201, Nb201Op, SearchSpace};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// Settings of the gate of [`super::Close`]: its sizes and the temperature of its softmax.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// D, the size of the embedding of an operation or a node.
    pub embedding: usize,
    /// M, the width of the hidden layer.
    pub hidden: usize,
    /// Temperature of the softmax through which the gradient flows. The released code uses 5.
    pub temperature: f64,
}

/// An edge of a cell that an architecture keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CellEdge {
    /// The decision that chooses the operation.
    pub(super) decision: usize,
    /// The nodes, counted over all cells, with `from < to`.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) op: usize,
}

/// The cells whose edges the gate of [`super::Close`] assigns to blocks of weights.
///
/// A search space with several cells is one graph without edges between them, so that one gate with one set of layers serves all cells.
#[derive(Clone, Debug)]
pub struct CellShape {
    /// The number of nodes of all cells.
    nodes: usize,
    /// The nodes that are inputs of a cell. Their values are learned.
    inputs: Vec<usize>,
    /// O, the number of operations.
    n_ops: usize,
    /// Returns the E edges that an architecture keeps, ordered by target.
    edges: fn(&Arch) -> Vec<CellEdge>,
    /// Maps the decision of an edge to its group. The edges of a group share the blocks of a layer, so their operations have weights of the
    /// same shapes.
    group: fn(usize) -> usize,
}

impl CellShape {
    /// Creates the shape of NAS-Bench-201: one cell, whose six edges share the blocks of each layer.
    pub fn nb201() -> Self {
        let edges = |arch: &Arch| {
            let ops = arch.choices().iter().map(|&op| usize::from(op));
            let edge = |(decision, (&(from, to), op))| CellEdge { decision, from, to, op };
            Nb201::EDGES.iter().zip(ops).enumerate().map(edge).collect()
        };
        Self { nodes: 4, inputs: vec![0], n_ops: Nb201Op::ALL.len(), edges, group: |_| 0 }
    }

    /// Creates the shape of the DARTS space: a normal and a reduction cell, each with two input nodes, of which an architecture keeps eight
    /// edges each. In a reduction cell, the edges from the input nodes have stride 2 and share blocks of their own.
    ///
    /// # Source
    /// <https://github.com/walkerning/aw_nas>, `aw_nas/weights_manager/close_net.py` and `GCNFlowArchEmbedder` of
    /// `aw_nas/evaluator/arch_network.py`: input nodes have a value for each cell, and the other parameters serve both cells.
    pub fn darts() -> Self {
        const NODES: usize = 6;
        let edges = |arch: &Arch| {
            let of = |cell: DartsCell| {
                let first = cell as usize * NODES;
                let edges = Darts::edges(arch, cell).expect("paths belong to the space");
                edges.into_iter().map(move |edge| CellEdge {
                    decision: edge.decision,
                    from: first + edge.from,
                    to: first + edge.to,
                    op: edge.op as usize,
                })
            };
            of(DartsCell::Normal).chain(of(DartsCell::Reduce)).collect()
        };
        let group = |decision: usize| {
            let halves =
                |to| (0..2).any(|from| Darts::edge_decision(DartsCell::Reduce, from, to) == Some(decision));
            usize::from((2..NODES).any(halves))
        };
        Self {
            nodes: 2 * NODES,
            inputs: vec![0, 1, NODES, NODES + 1],
            n_ops: Darts.op_names().len(),
            edges,
            group,
        }
    }

    /// Returns the edges that an architecture keeps, ordered by target.
    pub(super) fn edges(&self, arch: &Arch) -> Vec<CellEdge> {
        (self.edges)(arch)
    }

    /// Returns the group of the edge whose operation a decision chooses.
    pub(super) fn group(&self, decision: usize) -> usize {
        (self.group)(decision)
    }
}

/// The gate of CLOSE. It assigns each edge of an architecture to a block of weights.
///
/// A message along an edge is `σ(A·o) ⊙ (W·h_from)`, where o is the embedding of its operation. The value of a node is `tanh(Σ messages)`,
/// and the values of input nodes are learned. A hidden layer with tanh computes the score of each block for an edge from the embeddings of
/// its source node, target node and operation.
///
/// # Source
/// Zhou et al., CLOSE, ECCV 2022, with the messages of GATES (Ning et al., ECCV 2020).
/// DIFFERS: the released gate has five rounds of messages on residual graph layers, three hidden layers of 200 with ReLU and dropout,
/// and its hidden layers do not have the operation as an input. The effect of these differences is not verified.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    cell: CellShape,
    d: usize,
    temperature: f64,
    attention: Linear,
    message: Linear,
    first: Linear,
    last: Linear,
    /// Embeddings of the operations, the input nodes, and then the layers.
    params: Vec<f64>,
    momentum: Vec<f64>,
}

/// The blocks of the edges of an architecture, with the values that the backward pass needs.
pub(super) struct Choice {
    /// `[E]`, the edges that the architecture keeps.
    pub(super) edges: Vec<CellEdge>,
    /// `[E]`, the block of each edge.
    pub(super) blocks: Vec<usize>,
    /// `[E][G]`, the softmax over the open blocks that replaces the choice in the backward pass.
    soft: Vec<Vec<f64>>,
    trace: Trace,
}

struct Trace {
    /// `[nodes][D]`
    nodes: Vec<Vec<f64>>,
    /// `[E][D]`, σ(A·o) and W·h.
    attention: Vec<Vec<f64>>,
    messages: Vec<Vec<f64>>,
    /// `[E][3D]` and `[E][M]`
    inputs: Vec<Vec<f64>>,
    hidden: Vec<Vec<f64>>,
    /// `[E][G]`, of all blocks.
    logits: Vec<Vec<f64>>,
}

impl Gate {
    /// Creates a gate for at most `blocks` blocks. Layers are initialised uniformly in ±1/√inputs and embeddings with variance 1, as in
    /// PyTorch.
    pub(super) fn new(config: GateConfig, cell: CellShape, blocks: usize, rng: &mut dyn Rng) -> Self {
        let d = config.embedding;
        let mut len = (cell.n_ops + cell.inputs.len()) * d;
        let mut layer = |inputs, outputs| {
            let layer = Linear { start: len, inputs, outputs };
            len += layer.len();
            layer
        };
        let (attention, message) = (layer(d, d), layer(d, d));
        let (first, last) = (layer(3 * d, config.hidden), layer(config.hidden, blocks));
        let mut params: Vec<f64> = (0..len).map(|_| rng.random_range(-1.0..1.0)).collect();
        params[..attention.start].iter_mut().for_each(|p| *p *= 3.0_f64.sqrt());
        for layer in [attention, message, first, last] {
            let bound = 1.0 / (layer.inputs as f64).sqrt();
            params[layer.start..][..layer.len()].iter_mut().for_each(|p| *p *= bound);
        }
        let (temperature, momentum) = (config.temperature, vec![0.0; len]);
        Self { cell, d, temperature, attention, message, first, last, params, momentum }
    }

    /// Returns the range of the parameters that hold the value of an input node, or `None` for another node.
    fn input(&self, node: usize) -> Option<Range<usize>> {
        let input = self.cell.inputs.iter().position(|&input| input == node)?;
        let start = (self.cell.n_ops + input) * self.d;
        Some(start..start + self.d)
    }

    /// Computes the scores of all blocks, open or not, `[E][G]`.
    fn scores(&self, edges: &[CellEdge]) -> Trace {
        let (p, d) = (&self.params, self.d);
        let embedding = |op: usize| &p[op * d..(op + 1) * d];
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let attention: Vec<Vec<f64>> = edges
            .iter()
            .map(|edge| self.attention.apply(p, embedding(edge.op)).into_iter().map(sigmoid).collect())
            .collect();
        let mut messages = vec![vec![]; edges.len()];
        let mut nodes: Vec<Vec<f64>> = Vec::with_capacity(self.cell.nodes);
        for node in 0..self.cell.nodes {
            if let Some(value) = self.input(node) {
                nodes.push(p[value].to_vec());
                continue;
            }
            let mut sum = vec![0.0; d];
            for (e, edge) in edges_to(edges, node) {
                messages[e] = self.message.apply(p, &nodes[edge.from]);
                for ((s, a), m) in sum.iter_mut().zip(&attention[e]).zip(&messages[e]) {
                    *s += a * m;
                }
            }
            nodes.push(sum.into_iter().map(f64::tanh).collect());
        }
        let input = |edge: &CellEdge| [&nodes[edge.from], &nodes[edge.to], embedding(edge.op)].concat();
        let inputs: Vec<Vec<f64>> = edges.iter().map(input).collect();
        let hidden: Vec<Vec<f64>> =
            inputs.iter().map(|x| self.first.apply(p, x).into_iter().map(f64::tanh).collect()).collect();
        let logits = hidden.iter().map(|x| self.last.apply(p, x)).collect();
        Trace { nodes, attention, messages, inputs, hidden, logits }
    }

    /// Chooses a block for each edge in training: the one with the largest score plus Gumbel noise among the first `open`.
    pub(super) fn draw(&self, arch: &Arch, open: usize, rng: &mut dyn Rng) -> Choice {
        let mut gumbel = || {
            let exponential = -(1.0 - rng.random::<f64>()).ln();
            // A draw of exactly 0 would give infinite noise.
            -exponential.max(f64::MIN_POSITIVE).ln()
        };
        let edges = self.cell.edges(arch);
        let noise = edges.iter().map(|_| (0..open).map(|_| gumbel()).collect()).collect::<Vec<_>>();
        self.choose(edges, &noise)
    }

    /// Chooses blocks with the given noise, `[E][G]` for G open blocks.
    fn choose(&self, edges: Vec<CellEdge>, noise: &[Vec<f64>]) -> Choice {
        let trace = self.scores(&edges);
        let noisy = |(scores, noise): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
            scores.iter().zip(noise).map(|(s, n)| s + n).collect()
        };
        let noisy: Vec<Vec<f64>> = trace.logits.iter().zip(noise).map(noisy).collect();
        let blocks = noisy.iter().map(|scores| argmax(scores)).collect();
        let soft = noisy.iter().map(|scores| softmax(scores, self.temperature)).collect();
        Choice { edges, blocks, soft, trace }
    }

    /// Returns the edges that an architecture keeps.
    pub(super) fn edges(&self, arch: &Arch) -> Vec<CellEdge> {
        self.cell.edges(arch)
    }

    /// Chooses a block for each edge in evaluation, `[E]`: the one with the largest score among the first `open`.
    pub(super) fn best(&self, edges: &[CellEdge], open: usize) -> Vec<usize> {
        self.scores(edges).logits.iter().map(|scores| argmax(&scores[..open])).collect()
    }

    /// Returns the number of parameters.
    pub(super) fn len(&self) -> usize {
        self.params.len()
    }

    /// Adds the gradient of the parameters to `gradient`. `by_block`, `[E][G]`, is the gradient of the one-hot choice. It is propagated
    /// through the softmax instead (a straight-through estimator).
    pub(super) fn backward(&self, choice: &Choice, by_block: &[Vec<f64>], gradient: &mut [f64]) {
        let (p, d, t) = (&self.params, self.d, &choice.trace);
        let mut d_nodes = vec![vec![0.0; d]; self.cell.nodes];
        for (e, &CellEdge { from, to, op, .. }) in choice.edges.iter().enumerate() {
            let soft = &choice.soft[e];
            let mean: f64 = soft.iter().zip(&by_block[e]).map(|(s, g)| s * g).sum();
            // Blocks that are not open do not occur in the softmax.
            let mut d_logits = vec![0.0; self.last.outputs];
            for ((dl, s), g) in d_logits.iter_mut().zip(soft).zip(&by_block[e]) {
                *dl = s * (g - mean) / self.temperature;
            }
            let d_hidden = self.last.backward(p, &t.hidden[e], &d_logits, gradient);
            let d_hidden: Vec<f64> =
                d_hidden.iter().zip(&t.hidden[e]).map(|(dh, h)| dh * (1.0 - h * h)).collect();
            let d_input = self.first.backward(p, &t.inputs[e], &d_hidden, gradient);
            add(&mut d_nodes[from], &d_input[..d]);
            add(&mut d_nodes[to], &d_input[d..2 * d]);
            add(&mut gradient[op * d..][..d], &d_input[2 * d..]);
        }
        for node in (0..self.cell.nodes).rev() {
            if let Some(value) = self.input(node) {
                add(&mut gradient[value], &d_nodes[node]);
                continue;
            }
            let d_sum: Vec<f64> =
                d_nodes[node].iter().zip(&t.nodes[node]).map(|(dh, h)| dh * (1.0 - h * h)).collect();
            for (e, &CellEdge { from, op, .. }) in edges_to(&choice.edges, node) {
                let attention = &t.attention[e];
                let d_message: Vec<f64> = d_sum.iter().zip(attention).map(|(ds, a)| ds * a).collect();
                let d_attention = d_sum.iter().zip(&t.messages[e]).zip(attention);
                let d_attention: Vec<f64> = d_attention.map(|((ds, m), a)| ds * m * a * (1.0 - a)).collect();
                let d_from = self.message.backward(p, &t.nodes[from], &d_message, gradient);
                add(&mut d_nodes[from], &d_from);
                let d_op = self.attention.backward(p, &p[op * d..][..d], &d_attention, gradient);
                add(&mut gradient[op * d..][..d], &d_op);
            }
        }
    }

    /// Updates the parameters with an SGD step.
    pub(super) fn update(&mut self, gradient: &[f64], step: &SgdStep) {
        let [lr, momentum, decay, scale] =
            [step.lr, step.momentum, step.weight_decay, step.gradient_scale].map(f64::from);
        for ((w, m), g) in self.params.iter_mut().zip(&mut self.momentum).zip(gradient) {
            *m = momentum * *m + scale * g + decay * *w;
            *w -= lr * *m;
        }
    }

    /// Sets the momentum of all parameters to 0, as a new optimiser does.
    pub(super) fn zero_momentum(&mut self) {
        self.momentum.fill(0.0);
    }

    /// Initialises the last layer for a block that opens: the row of the previous block plus its own random row, as `reconstruct_inherit`
    /// in the released code. With a plain copy the two blocks would tie in evaluation, and the first would win every tie.
    pub(super) fn open(&mut self, block: usize) {
        let row = |outputs_before: usize| self.last.start + outputs_before * self.last.inputs;
        let bias = row(self.last.outputs);
        for i in 0..self.last.inputs {
            self.params[row(block) + i] += self.params[row(block - 1) + i];
        }
        self.params[bias + block] += self.params[bias + block - 1];
    }

    pub(super) fn state(&self) -> GateState {
        GateState { params: self.params.clone(), momentum: self.momentum.clone() }
    }

    /// Restores the gate. If the state does not fit, returns a description of the mismatch.
    pub(super) fn restore(&mut self, state: GateState) -> Result<(), String> {
        let GateState { params, momentum } = state;
        if params.len() != self.len() || momentum.len() != self.len() {
            return Err(format!("its gate does not have {} parameters with their momentum", self.len()));
        }
        (self.params, self.momentum) = (params, momentum);
        Ok(())
    }
}

/// State of the gate of [`super::Close`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GateState {
    /// The parameters: embeddings of the operations, the input nodes, and the layers.
    pub params: Vec<f64>,
    /// SGD momentum of each parameter.
    pub momentum: Vec<f64>,
}

/// The position of a linear layer in the parameters: its matrix `[outputs, inputs]`, followed by its bias.
#[derive(Clone, Copy, Debug)]
struct Linear {
    start: usize,
    inputs: usize,
    outputs: usize,
}

impl Linear {
    fn len(self) -> usize {
        self.outputs * (self.inputs + 1)
    }

    fn bias(self) -> usize {
        self.start + self.outputs * self.inputs
    }

    fn apply(self, p: &[f64], x: &[f64]) -> Vec<f64> {
        let rows = p[self.start..self.bias()].chunks_exact(self.inputs);
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
        rows.zip(&p[self.bias()..]).map(|(row, bias)| dot(row) + bias).collect()
    }

    /// Adds the gradient of the layer to `gradient` and returns the gradient of its input.
    fn backward(self, p: &[f64], x: &[f64], dy: &[f64], gradient: &mut [f64]) -> Vec<f64> {
        let mut dx = vec![0.0; self.inputs];
        for (o, &dy) in dy.iter().enumerate() {
            gradient[self.bias() + o] += dy;
            let row = self.start + o * self.inputs;
            for i in 0..self.inputs {
                gradient[row + i] += dy * x[i];
                dx[i] += dy * p[row + i];
            }
        }
        dx
    }
}

fn edges_to(edges: &[CellEdge], node: usize) -> impl Iterator<Item = (usize, &CellEdge)> {
    edges.iter().enumerate().filter(move |(_, edge)| edge.to == node)
}

fn add(to: &mut [f64], values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(t, v)| *t += v);
}

/// Returns the index of the largest value; the first index if several values are equal.
fn argmax(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut p: Vec<f64> = scores.iter().map(|s| ((s - top) / temperature).exp()).collect();
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

#[cfg(test)]
mod tests {
    use pada_space::SubSpace;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn gate(cell: CellShape) -> Gate {
        let config = GateConfig { embedding: 4, hidden: 6, temperature: 1.5 };
        Gate::new(config, cell, 3, &mut ChaCha8Rng::seed_from_u64(1))
    }

    /// A shape and an architecture of each search space.
    fn cells() -> [(CellShape, Arch); 2] {
        let genotype = SubSpace::full(&Darts).sample(&mut ChaCha8Rng::seed_from_u64(5));
        [(CellShape::nb201(), Arch::new([3, 0, 2, 3, 4, 1])), (CellShape::darts(), genotype)]
    }

    /// `[E][G]`
    fn numbers(seed: u64, edges: &[CellEdge], blocks: usize) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        edges.iter().map(|_| (0..blocks).map(|_| rng.random_range(-2.0..2.0)).collect()).collect()
    }

    /// Compares with finite differences of Σ c · softmax: the straight-through gradient is its exact gradient.
    #[test]
    fn the_gradient_is_that_of_the_soft_choice() {
        for ((cell, arch), open) in
            cells().into_iter().flat_map(|cell| [1, 2, 3].map(|open| (cell.clone(), open)))
        {
            let (gate, edges) = (gate(cell.clone()), cell.edges(&arch));
            let (noise, c) = (numbers(2, &edges, open), numbers(3, &edges, open));
            let mut gradient = vec![0.0; gate.len()];
            gate.backward(&gate.choose(edges.clone(), &noise), &c, &mut gradient);
            let soft = |gate: &Gate| {
                let choice = gate.choose(edges.clone(), &noise);
                choice.soft.iter().flatten().zip(c.iter().flatten()).map(|(s, c)| s * c).sum::<f64>()
            };
            const H: f64 = 1e-5;
            for (i, found) in gradient.iter().enumerate() {
                let moved = |by| {
                    let mut gate = gate.clone();
                    gate.params[i] += by;
                    soft(&gate)
                };
                let slope = (moved(H) - moved(-H)) / (2.0 * H);
                assert!((slope - found).abs() < 1e-8, "{open} {i}: {slope} {found}");
            }
            let moved = gradient.iter().filter(|g| **g != 0.0).count();
            assert!(if open == 1 { moved == 0 } else { moved > gate.len() / 2 }, "{open}: {moved}");
        }
    }

    #[test]
    fn closed_blocks_are_never_chosen_and_evaluation_does_not_draw() {
        for (cell, arch) in cells() {
            let (edges, gate, mut rng) = (cell.edges(&arch), gate(cell), ChaCha8Rng::seed_from_u64(0));
            for open in 1..=3 {
                let mut seen = [0; 3];
                for _ in 0..200 {
                    gate.draw(&arch, open, &mut rng).blocks.iter().for_each(|&b| seen[b] += 1);
                }
                assert!((0..3).all(|b| (seen[b] > 0) == (b < open)), "{open}: {seen:?}");
                let best = gate.best(&edges, open);
                assert!(best == gate.best(&edges, open) && best.iter().all(|&b| b < open));
            }
        }
    }

    #[test]
    fn a_block_that_opens_scores_as_the_one_before_it_and_its_own_start() {
        for (cell, arch) in cells() {
            let (edges, before) = (cell.edges(&arch), gate(cell));
            let mut after = before.clone();
            after.open(2);
            let (old, new) = (before.scores(&edges).logits, after.scores(&edges).logits);
            for (old, new) in old.iter().zip(new) {
                assert!((new[2] - (old[1] + old[2])).abs() < 1e-12 && new[..2] == old[..2]);
            }
        }
    }

    /// The two cells of DARTS have nodes of their own: another operation in one changes no score of the other.
    #[test]
    fn the_cells_of_darts_do_not_see_each_other() {
        let [_, (cell, arch)] = cells();
        let gate = gate(cell.clone());
        let mut other = arch.choices().to_vec();
        let edges = cell.edges(&arch);
        assert_eq!(edges.len(), 16);
        let (normal, reduce) = edges.split_at(8);
        assert!(normal.iter().all(|edge| edge.to < 6) && reduce.iter().all(|edge| edge.from >= 6));
        let changed = reduce[0].decision;
        other[changed] = (other[changed] + 1) % 8;
        let scores = |arch: &Arch| gate.scores(&cell.edges(arch)).logits;
        let (old, new) = (scores(&arch), scores(&Arch::new(other)));
        assert_eq!(old[..8], new[..8]);
        assert!(old[8..] != new[8..]);
    }
}
