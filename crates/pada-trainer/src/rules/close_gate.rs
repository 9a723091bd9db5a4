use pada_exec::SgdStep;
use pada_space::Arch;
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

/// The cell whose edges a gate assigns to blocks. The edges are the positions of an architecture.
#[derive(Clone, Copy, Debug)]
pub struct CellShape {
    /// `[E]`, edges as (from, to) with from < to. Node 0 is the input of the cell.
    pub edges: &'static [(usize, usize)],
    /// O, the number of operations.
    pub n_ops: usize,
}

/// The gate of CLOSE. It assigns each edge of an architecture to a block of weights.
///
/// A message along an edge is `σ(A·o) ⊙ (W·h_from)`, where o is the embedding of its operation. The value of a node is `tanh(Σ messages)`,
/// and the value of the input node is learned. A hidden layer with tanh computes the score of each block for an edge from the embeddings of
/// its source node, target node and operation.
///
/// # Source
/// Zhou et al., CLOSE, ECCV 2022, with the messages of GATES (Ning et al., ECCV 2020).
/// DIFFERS: the released gate has five rounds of messages on residual graph layers, three hidden layers of 200 with ReLU and dropout,
/// and its hidden layers do not have the operation as an input. The effect of these differences is not verified.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    cell: CellShape,
    nodes: usize,
    d: usize,
    temperature: f64,
    attention: Linear,
    message: Linear,
    first: Linear,
    last: Linear,
    /// Embeddings of the operations, the input node, and then the layers.
    params: Vec<f64>,
    momentum: Vec<f64>,
}

/// The blocks of the edges of an architecture, with the values that the backward pass needs.
pub(super) struct Choice {
    /// `[E]`, the block of each edge.
    pub(super) blocks: Vec<usize>,
    /// `[E][G]`, the softmax over the open blocks that replaces the choice in the backward pass.
    soft: Vec<Vec<f64>>,
    trace: Trace,
}

struct Trace {
    ops: Vec<usize>,
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
        let mut len = (cell.n_ops + 1) * d;
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
        let nodes = cell.edges.iter().map(|&(_, to)| to + 1).max().unwrap_or(1);
        let (temperature, momentum) = (config.temperature, vec![0.0; len]);
        Self { cell, nodes, d, temperature, attention, message, first, last, params, momentum }
    }

    /// Computes the scores of all blocks, open or not, `[E][G]`.
    fn scores(&self, arch: &Arch) -> Trace {
        let (p, d) = (&self.params, self.d);
        let ops: Vec<usize> = arch.choices().iter().map(|&op| usize::from(op)).collect();
        let embedding = |op: usize| &p[op * d..(op + 1) * d];
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let attention: Vec<Vec<f64>> = ops
            .iter()
            .map(|&op| self.attention.apply(p, embedding(op)).into_iter().map(sigmoid).collect())
            .collect();
        let mut messages = vec![vec![]; ops.len()];
        let mut nodes = vec![embedding(self.cell.n_ops).to_vec()];
        for node in 1..self.nodes {
            let mut sum = vec![0.0; d];
            for (e, &(from, _)) in self.edges_to(node) {
                messages[e] = self.message.apply(p, &nodes[from]);
                for ((s, a), m) in sum.iter_mut().zip(&attention[e]).zip(&messages[e]) {
                    *s += a * m;
                }
            }
            nodes.push(sum.into_iter().map(f64::tanh).collect());
        }
        let input = |(&(from, to), &op): (&(usize, usize), &usize)| {
            [&nodes[from], &nodes[to], embedding(op)].concat()
        };
        let inputs: Vec<Vec<f64>> = self.cell.edges.iter().zip(&ops).map(input).collect();
        let hidden: Vec<Vec<f64>> =
            inputs.iter().map(|x| self.first.apply(p, x).into_iter().map(f64::tanh).collect()).collect();
        let logits = hidden.iter().map(|x| self.last.apply(p, x)).collect();
        Trace { ops, nodes, attention, messages, inputs, hidden, logits }
    }

    fn edges_to(&self, node: usize) -> impl Iterator<Item = (usize, &(usize, usize))> {
        self.cell.edges.iter().enumerate().filter(move |(_, edge)| edge.1 == node)
    }

    /// Chooses a block for each edge in training: the one with the largest score plus Gumbel noise among the first `open`.
    pub(super) fn draw(&self, arch: &Arch, open: usize, rng: &mut dyn Rng) -> Choice {
        let mut gumbel = || {
            let exponential = -(1.0 - rng.random::<f64>()).ln();
            // A draw of exactly 0 would give infinite noise.
            -exponential.max(f64::MIN_POSITIVE).ln()
        };
        let noise = self.cell.edges.iter().map(|_| (0..open).map(|_| gumbel()).collect()).collect::<Vec<_>>();
        self.choose(arch, &noise)
    }

    /// Chooses blocks with the given noise, `[E][G]` for G open blocks.
    fn choose(&self, arch: &Arch, noise: &[Vec<f64>]) -> Choice {
        let trace = self.scores(arch);
        let noisy = |(scores, noise): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
            scores.iter().zip(noise).map(|(s, n)| s + n).collect()
        };
        let noisy: Vec<Vec<f64>> = trace.logits.iter().zip(noise).map(noisy).collect();
        let blocks = noisy.iter().map(|scores| argmax(scores)).collect();
        let soft = noisy.iter().map(|scores| softmax(scores, self.temperature)).collect();
        Choice { blocks, soft, trace }
    }

    /// Chooses a block for each edge in evaluation, `[E]`: the one with the largest score among the first `open`.
    pub(super) fn best(&self, arch: &Arch, open: usize) -> Vec<usize> {
        self.scores(arch).logits.iter().map(|scores| argmax(&scores[..open])).collect()
    }

    /// Returns the number of parameters.
    pub(super) fn len(&self) -> usize {
        self.params.len()
    }

    /// Adds the gradient of the parameters to `gradient`. `by_block`, `[E][G]`, is the gradient of the one-hot choice. It is propagated
    /// through the softmax instead (a straight-through estimator).
    pub(super) fn backward(&self, choice: &Choice, by_block: &[Vec<f64>], gradient: &mut [f64]) {
        let (p, d, t) = (&self.params, self.d, &choice.trace);
        let mut d_nodes = vec![vec![0.0; d]; self.nodes];
        for (e, &(from, to)) in self.cell.edges.iter().enumerate() {
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
            add(&mut gradient[t.ops[e] * d..][..d], &d_input[2 * d..]);
        }
        for node in (1..self.nodes).rev() {
            let d_sum: Vec<f64> =
                d_nodes[node].iter().zip(&t.nodes[node]).map(|(dh, h)| dh * (1.0 - h * h)).collect();
            for (e, &(from, _)) in self.edges_to(node) {
                let (attention, op) = (&t.attention[e], t.ops[e]);
                let d_message: Vec<f64> = d_sum.iter().zip(attention).map(|(ds, a)| ds * a).collect();
                let d_attention = d_sum.iter().zip(&t.messages[e]).zip(attention);
                let d_attention: Vec<f64> = d_attention.map(|((ds, m), a)| ds * m * a * (1.0 - a)).collect();
                let d_from = self.message.backward(p, &t.nodes[from], &d_message, gradient);
                add(&mut d_nodes[from], &d_from);
                let d_op = self.attention.backward(p, &p[op * d..][..d], &d_attention, gradient);
                add(&mut gradient[op * d..][..d], &d_op);
            }
        }
        add(&mut gradient[self.cell.n_ops * d..][..d], &d_nodes[0]);
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
    /// The parameters: embeddings of the operations, the input node, and the layers.
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
    use pada_space::Nb201;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const CELL: CellShape = CellShape { edges: &Nb201::EDGES, n_ops: 5 };

    fn gate() -> Gate {
        let config = GateConfig { embedding: 4, hidden: 6, temperature: 1.5 };
        Gate::new(config, CELL, 3, &mut ChaCha8Rng::seed_from_u64(1))
    }

    fn arch() -> Arch {
        Arch::new([3, 0, 2, 3, 4, 1])
    }

    /// `[E][G]`
    fn numbers(seed: u64, blocks: usize) -> Vec<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..6).map(|_| (0..blocks).map(|_| rng.random_range(-2.0..2.0)).collect()).collect()
    }

    /// Compares with finite differences of Σ c · softmax: the straight-through gradient is its exact gradient.
    #[test]
    fn the_gradient_is_that_of_the_soft_choice() {
        for open in [1, 2, 3] {
            let (gate, noise, c) = (gate(), numbers(2, open), numbers(3, open));
            let mut gradient = vec![0.0; gate.len()];
            gate.backward(&gate.choose(&arch(), &noise), &c, &mut gradient);
            let soft = |gate: &Gate| {
                let choice = gate.choose(&arch(), &noise);
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
        let (gate, mut rng) = (gate(), ChaCha8Rng::seed_from_u64(0));
        for open in 1..=3 {
            let mut seen = [0; 3];
            for _ in 0..200 {
                gate.draw(&arch(), open, &mut rng).blocks.iter().for_each(|&b| seen[b] += 1);
            }
            assert!((0..3).all(|b| (seen[b] > 0) == (b < open)), "{open}: {seen:?}");
            let best = gate.best(&arch(), open);
            assert!(best == gate.best(&arch(), open) && best.iter().all(|&b| b < open));
        }
    }

    #[test]
    fn a_block_that_opens_scores_as_the_one_before_it_and_its_own_start() {
        let (before, mut after) = (gate(), gate());
        after.open(2);
        let (old, new) = (before.scores(&arch()).logits, after.scores(&arch()).logits);
        for (old, new) in old.iter().zip(new) {
            assert!((new[2] - (old[1] + old[2])).abs() < 1e-12 && new[..2] == old[..2]);
        }
    }
}
