use std::collections::BTreeMap;
use std::ops::Range;

use pada_exec::{Executor, SgdStep, State, UnusedWeights};
use pada_graph::{WeightId, WeightLayout};
use serde::{Deserialize, Serialize};

use super::close_gate::{CellEdge, CellShape};

/// The GLOW blocks of CLOSE. A block has one set of weights for every layer, every group of edges and every operation with weights; an edge
/// that is assigned to the block uses this set. The executor has a slot for each layer, edge and operation. The
/// blocks of a path are written into its slots
/// before a pass, and the gradients are read from the slots after the pass.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    shared: Vec<Shared>,
    /// Number of weights of one block.
    numel: usize,
    /// `[G][numel]`, the weights of the open blocks.
    weights: Vec<Vec<f32>>,
    momentum: Vec<Vec<f32>>,
    /// `[G][numel]`, the gradient of this step.
    gradient: Vec<Vec<f32>>,
    /// `[G][shared]`, true if a path of this step used the tensor.
    touched: Vec<Vec<bool>>,
    /// The gradient that each slot had accumulated before the last pass of this step.
    gathered: BTreeMap<WeightId, Vec<f32>>,
}

/// A weight tensor of an operation in a layer. All edges of a group share it.
#[derive(Clone, Debug)]
struct Shared {
    op: usize,
    /// The slot of each edge, by the decision of the edge.
    slots: BTreeMap<usize, WeightId>,
    /// Range of the tensor within a block.
    range: Range<usize>,
}

impl Shared {
    /// Returns the slots of the edges that use this tensor, with their positions in `edges`.
    fn slots_of<'a>(&'a self, edges: &'a [CellEdge]) -> impl Iterator<Item = (usize, WeightId)> + 'a {
        let of_op = edges.iter().enumerate().filter(|(_, edge)| edge.op == self.op);
        of_op.filter_map(|(e, edge)| Some((e, *self.slots.get(&edge.decision)?)))
    }
}

impl Blocks {
    /// Creates one block, with the initial weights of the first edge of each group.
    ///
    /// # Panics
    /// Panics if the edges of a group do not have the same operations with weights of the same shapes.
    pub(super) fn new(cell: &CellShape, layout: &WeightLayout, weights: &[f32]) -> Self {
        // (layer, group, operation, index of its tensor): a slot for each edge.
        let mut slots: BTreeMap<(usize, usize, usize, usize), BTreeMap<usize, WeightId>> = BTreeMap::new();
        let mut tensors: BTreeMap<(usize, usize, usize), usize> = BTreeMap::new();
        for (id, spec) in layout.iter() {
            let Some(owner) = &spec.owner else { continue };
            let nth = tensors.entry((owner.cell, owner.op, owner.position)).or_insert(0);
            let of_all_edges =
                slots.entry((owner.cell, cell.group(owner.position), owner.op, *nth)).or_default();
            of_all_edges.insert(owner.position, id);
            *nth += 1;
        }
        let (mut shared, mut block) = (Vec::new(), Vec::new());
        let mut edges: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for ((layer, group, op, _), slots) in slots {
            let decisions: Vec<usize> = slots.keys().copied().collect();
            let of_group = edges.entry((layer, group)).or_insert_with(|| decisions.clone());
            assert_eq!(decisions, *of_group, "all edges of a group have the same operations");
            let first = slots[&decisions[0]];
            let shape = &layout.spec(first).shape;
            assert!(slots.values().all(|&id| layout.spec(id).shape == *shape), "of the same shapes");
            let start = block.len();
            block.extend_from_slice(&weights[layout.range(first)]);
            shared.push(Shared { op, slots, range: start..block.len() });
        }
        let numel = block.len();
        let mut blocks = Self {
            shared,
            numel,
            weights: vec![],
            momentum: vec![],
            gradient: vec![],
            touched: vec![],
            gathered: BTreeMap::new(),
        };
        blocks.push(block, vec![0.0; numel]);
        blocks
    }

    fn push(&mut self, weights: Vec<f32>, momentum: Vec<f32>) {
        self.weights.push(weights);
        self.momentum.push(momentum);
        self.gradient.push(vec![0.0; self.numel]);
        self.touched.push(vec![false; self.shared.len()]);
    }

    /// Returns G, the number of open blocks.
    pub(super) fn open(&self) -> usize {
        self.weights.len()
    }

    /// Returns the weights of the open blocks, `[G][numel]`.
    pub(super) fn weights(&self) -> &[Vec<f32>] {
        &self.weights
    }

    /// Opens another block: a copy of the most recent one, with zero momentum.
    pub(super) fn grow(&mut self) {
        let newest = self.weights[self.open() - 1].clone();
        self.push(newest, vec![0.0; self.numel]);
    }

    /// Sets the momentum of all blocks to 0, as a new optimiser does.
    pub(super) fn zero_momentum(&mut self) {
        self.momentum.iter_mut().for_each(|m| m.fill(0.0));
    }

    /// Zeroes the gradients of the blocks at the start of a step.
    pub(super) fn zero_gradient(&mut self) {
        self.gradient.iter_mut().for_each(|g| g.fill(0.0));
        self.touched.iter_mut().for_each(|t| t.fill(false));
        self.gathered.clear();
    }

    /// Writes the assigned blocks, `[E]`, into the slots of the edges of an architecture.
    pub(super) fn place(&self, edges: &[CellEdge], blocks: &[usize], executor: &mut dyn Executor) {
        let mut weights = executor.read(State::Weights);
        for shared in &self.shared {
            for (e, slot) in shared.slots_of(edges) {
                let block = &self.weights[blocks[e]];
                weights[executor.layout().range(slot)].copy_from_slice(&block[shared.range.clone()]);
            }
        }
        executor.write(State::Weights, &weights);
    }

    /// Adds the gradients of the slots that the last pass used to the assigned blocks. Returns the gradient of the assignment, `[E][G]`.
    ///
    /// If an edge computes with `Σ_k g_k · (weights of block k)`, then ∂L/∂g_k = ⟨gradient of the slot, weights of block k⟩, summed over
    /// all layers.
    pub(super) fn take(
        &mut self,
        edges: &[CellEdge],
        blocks: &[usize],
        used: &[WeightId],
        executor: &dyn Executor,
    ) -> Vec<Vec<f64>> {
        let mut by_block = vec![vec![0.0; self.open()]; blocks.len()];
        for (i, shared) in self.shared.iter().enumerate() {
            for (e, slot) in shared.slots_of(edges) {
                if used.binary_search(&slot).is_err() {
                    continue;
                }
                let all = executor.gradient(slot);
                let gradient: Vec<f32> = match self.gathered.get(&slot) {
                    // An earlier path of this step used the slot, possibly with another block.
                    Some(before) => all.iter().zip(before).map(|(all, before)| all - before).collect(),
                    None => all.to_vec(),
                };
                self.gathered.insert(slot, all.into_owned());
                let range = shared.range.clone();
                for (k, weights) in self.weights.iter().enumerate() {
                    let dot = |(g, w): (&f32, &f32)| f64::from(*g) * f64::from(*w);
                    by_block[e][k] += gradient.iter().zip(&weights[range.clone()]).map(dot).sum::<f64>();
                }
                let sum = &mut self.gradient[blocks[e]][range];
                sum.iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g);
                self.touched[blocks[e]][i] = true;
            }
        }
        by_block
    }

    /// Computes the squared L2 norm of the gradient of all blocks.
    pub(super) fn squared_norm(&self) -> f64 {
        self.gradient.iter().flatten().map(|&g| f64::from(g) * f64::from(g)).sum()
    }

    /// Updates the blocks with an SGD step, in the same way as an executor updates its weights.
    pub(super) fn update(&mut self, step: &SgdStep) {
        for block in 0..self.open() {
            for (shared, touched) in self.shared.iter().zip(&self.touched[block]) {
                if step.unused == UnusedWeights::Frozen && !touched {
                    continue;
                }
                let range = shared.range.clone();
                let momentum = &mut self.momentum[block][range.clone()];
                let gradient = &self.gradient[block][range.clone()];
                step.apply_sgd(&mut self.weights[block][range], momentum, gradient);
            }
        }
    }

    pub(super) fn state(&self) -> BlocksState {
        BlocksState { weights: self.weights.clone(), momentum: self.momentum.clone() }
    }

    /// Restores the blocks, of which at most `most` can be open. If the state does not fit, returns a description of the mismatch.
    pub(super) fn restore(&mut self, state: BlocksState, most: usize) -> Result<(), String> {
        let BlocksState { weights, momentum } = state;
        if weights.is_empty() || weights.len() > most {
            return Err(format!("it has {} blocks instead of 1 to {most}", weights.len()));
        }
        let fits = |list: &[Vec<f32>]| list.iter().all(|block| block.len() == self.numel);
        if momentum.len() != weights.len() || !fits(&weights) || !fits(&momentum) {
            return Err(format!("its blocks do not all have {} weights with their momentum", self.numel));
        }
        for lists in [&mut self.weights, &mut self.momentum, &mut self.gradient] {
            lists.clear();
        }
        self.touched.clear();
        weights.into_iter().zip(momentum).for_each(|(weights, momentum)| self.push(weights, momentum));
        Ok(())
    }
}

/// State of the blocks of [`super::Close`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BlocksState {
    /// The weights of each open block.
    pub weights: Vec<Vec<f32>>,
    /// SGD momentum of each weight.
    pub momentum: Vec<Vec<f32>>,
}

#[cfg(test)]
mod tests {
    use pada_candle::CandleExecutor;
    use pada_exec::{Batch, Images, LossSpec, Precision};
    use pada_graph::{Lower, Shape};
    use pada_models::init_weights;
    use pada_models::{Nb201Net, Norms};
    use pada_space::Arch;
    use rand::RngExt;

    use super::*;
    use crate::RngStream;

    /// The gradient of the choice is the slope of the loss when an edge's weights move towards those of a block.
    #[test]
    fn the_gradient_of_the_choice_is_a_slope_of_the_loss() {
        let mut rng = RngStream::Init.stream(1);
        let net = Nb201Net::new(2, 1, Shape::new(3, 8, 8), 4, Norms::Plain);
        let weights = init_weights(net.weights(), &mut rng);
        let mut executor = CandleExecutor::new(net.weights().clone(), weights.clone(), Precision::F64);
        let cell = CellShape::nb201();
        let mut blocks = Blocks::new(&cell, net.weights(), &weights);
        blocks.grow();
        blocks.weights[1].iter_mut().for_each(|w| *w += rng.random_range(-0.3..0.3));
        let pixels: Vec<f32> = (0..8 * 3 * 64).map(|_| rng.random_range(-1.0..1.0)).collect();
        let images = Images::given(&pixels, net.input());
        let batch = Batch { images, labels: &[0, 1, 2, 3, 0, 1, 2, 3] };

        let (arch, assigned) = (Arch::new([3, 2, 3, 1, 2, 3]), [0, 1, 0, 1, 0, 1]);
        let graph = net.lower(&arch).unwrap();
        let edges = cell.edges(&arch);
        blocks.place(&edges, &assigned, &mut executor);
        let start = executor.read(State::Weights);
        executor.gradients(&graph, &batch, &LossSpec::default()).unwrap();
        let by_block = blocks.take(&edges, &assigned, &graph.weights(), &executor);

        // Small, as ReLUs bend the loss; not smaller, as weights are f32.
        const H: f32 = 1e-4;
        for (position, &op) in arch.choices().iter().enumerate() {
            for (block, found) in by_block[position].iter().enumerate() {
                let mut loss = |by: f32| {
                    let mut moved = start.clone();
                    for shared in blocks.shared.iter().filter(|shared| shared.op == usize::from(op)) {
                        let towards = &blocks.weights[block][shared.range.clone()];
                        let slot = &mut moved[net.weights().range(shared.slots[&position])];
                        slot.iter_mut().zip(towards).for_each(|(w, t)| *w += by * t);
                    }
                    executor.write(State::Weights, &moved);
                    executor.gradients(&graph, &batch, &LossSpec::default()).unwrap().loss
                };
                let slope = (loss(H) - loss(-H)) / f64::from(2.0 * H);
                assert!((slope - found).abs() < 2e-4, "{position} {block}: {slope} {found}");
                // A norm follows, so more of an edge's own weights changes nothing.
                assert!(assigned[position] != block || found.abs() < 1e-3, "{position}: {found}");
            }
        }
        let largest = by_block.iter().flatten().fold(0.0_f64, |top, g| top.max(g.abs()));
        assert!(largest > 1e-2, "{by_block:?}");
    }
}
