use pada_exec::{Batch, Executor, SgdStep, State};
use pada_graph::WeightLayout;
use pada_sampler::{SamplerError, SavedState};
use pada_space::Arch;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::close_blocks::{Blocks, BlocksState};
use super::close_gate::{CellShape, Gate, GateConfig, GateState};
use super::{StepContext, StepOutcome, TrainRule};
use crate::TrainError;
use crate::r#loop::schedule::RunPoint;

/// Settings of [`Close`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseConfig {
    /// Progress of the run at which each block opens, in `0.0..1.0`, rounded to the nearest epoch. The first number is 0. The released code
    /// uses 0, 0.2, 0.4 and 0.6.
    pub openings: Vec<f64>,
    /// Progress of the run at which the learning-rate schedule restarts with a new optimiser, whose momentum is 0, or `None` for no restart.
    /// The released code uses 0.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<f64>,
    /// Settings of the gate that assigns blocks to edges.
    pub gate: GateConfig,
}

/// CLOSE: curriculum learning on the extent of weight sharing.
///
/// Weights are stored in blocks. A block has one set of weights for every operation of every layer, and a gate assigns each edge of a path
/// to a block. Training starts with one block, so all edges of a layer share their convolutions. At fixed epochs another block opens as a
/// copy of the most recent one. In a reduction cell of DARTS, the edges with stride 2 and the edges with stride 1 have sets of their own.
///
/// One SGD step updates blocks, gate, stem, reductions and classifier, and one norm clips their gradients: the norm over the blocks, the
/// gate, and all tensors that belong to no operation. Whether the paper includes the gate in this norm is not verified. If the learning
/// rate restarts, each part of the run follows the schedule over its own epochs, and the second part starts with a new optimiser: the
/// momentum of all weights and of the gate is 0.
///
/// The executor has only the weights that were written into it last. To score architectures from a checkpoint, restore the state of the
/// rule as well.
///
/// # Source
/// Zhou et al., *CLOSE: Curriculum Learning on the Sharing Extent Towards Better One-shot NAS*, ECCV 2022, and
/// <https://github.com/walkerning/aw_nas>, `examples/research/close`.
/// DIFFERS: the released code mixes the outputs of all open blocks, and this code mixes their weights. The forward pass is the same (it
/// uses one block), but the gradient of the gate becomes ⟨gradient of the weights of the edge, weights of each block⟩, which needs no
/// forward pass of the other blocks. Because a batch norm follows every convolution, this gradient depends on the direction of a block and
/// not on its scale. In the released code the copy is added to a random initialisation; here it is a plain copy, as in the paper. The
/// released code reduces the learning rate on plateaus; here the learning rate follows the schedule.
#[derive(Clone, Debug)]
pub struct Close {
    config: CloseConfig,
    blocks: Blocks,
    gate: Gate,
    /// True between a restart and the next step, which sets the momentum of the executor to 0.
    restarts: bool,
}

/// State of [`Close`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CloseState {
    /// The open blocks.
    pub blocks: BlocksState,
    /// The gate.
    pub gate: GateState,
    /// True between a restart of the learning rate and the next step, which sets the momentum of the executor to 0.
    #[serde(default)]
    pub restarts: bool,
}

impl CloseState {
    /// Kind of the [`SavedState`] that holds this state.
    pub const KIND: &str = "close";
}

impl Close {
    /// Creates the rule at the start of a run, with one block. The block is initialised with the weights of the first edge of each group of
    /// edges that share it.
    ///
    /// # Panics
    /// Panics if `layout` is not that of a supernet of the space of `cell`: the edges of a group do not have the same operations with weights
    /// of the same shapes.
    pub fn new(
        config: CloseConfig,
        cell: CellShape,
        layout: &WeightLayout,
        weights: &[f32],
        rng: &mut dyn Rng,
    ) -> Self {
        let blocks = Blocks::new(&cell, layout, weights);
        let gate = Gate::new(config.gate, cell, config.openings.len(), rng);
        Self { config, blocks, gate, restarts: false }
    }

    /// Returns the weights of each open block.
    pub fn blocks(&self) -> &[Vec<f32>] {
        self.blocks.weights()
    }
}

/// Converts a share of the run to the index of an epoch.
fn epoch_of(share: f64, epochs: usize) -> usize {
    (share * epochs as f64).round() as usize
}

impl TrainRule for Close {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        if std::mem::take(&mut self.restarts) {
            let zeros = vec![0.0; ctx.net.weights().numel()];
            ctx.executor.write(State::Momentum, &zeros);
        }
        ctx.executor.zero_gradient();
        self.blocks.zero_gradient();
        let mut gate_gradient = vec![0.0; self.gate.len()];
        let mut passes = Vec::new();
        for path in ctx.paths.next_paths(ctx.path_rng) {
            // This fails for an architecture of another space, which has no edges.
            let graph = ctx.net.lower(&path)?.simplified();
            let choice = self.gate.draw(&path, self.blocks.open(), ctx.rule_rng);
            self.blocks.place(&choice.edges, &choice.blocks, ctx.executor);
            let weight = ctx.paths.loss_weight(&path)?;
            passes.push(ctx.pass_graph(path, &graph, weight, batch)?);
            let by_block = self.blocks.take(&choice.edges, &choice.blocks, &graph.weights(), ctx.executor);
            self.gate.backward(&choice, &by_block, &mut gate_gradient);
        }
        let norms = ctx.executor.gradient_norms();
        let others = ctx.net.weights().iter().zip(&norms).filter(|((_, spec), _)| spec.owner.is_none());
        let squares = others.map(|(_, norm)| norm * norm).sum::<f64>()
            + self.blocks.squared_norm()
            + gate_gradient.iter().map(|g| g * g).sum::<f64>();
        let clipped = ctx.clip_norms(&passes, norms, squares.sqrt(), ctx.clip_norm)?;
        ctx.show_gradient(&passes);
        let step = SgdStep { gradient_scale: clipped.factor as f32, ..ctx.sgd };
        // This also updates the slots, with their own momentum. It has no effect, because a block overwrites each slot before its next use.
        ctx.executor.update(&step);
        self.blocks.update(&step);
        self.gate.update(&gate_gradient, &step);
        Ok(ctx.outcome(passes, &clipped))
    }

    fn begin_epoch(&mut self, epoch: usize, epochs: usize) {
        let due = |&&share: &&f64| epoch_of(share, epochs) <= epoch;
        let due = self.config.openings.iter().filter(due).count();
        while self.blocks.open() < due {
            self.gate.open(self.blocks.open());
            self.blocks.grow();
        }
        if self.config.restart.is_some_and(|share| epoch_of(share, epochs) == epoch) && epoch > 0 {
            self.blocks.zero_momentum();
            self.gate.zero_momentum();
            self.restarts = true;
        }
    }

    fn schedule_point(&self, at: RunPoint) -> RunPoint {
        let Some(restart) = self.config.restart.map(|share| epoch_of(share, at.epochs)) else { return at };
        match at.epoch < restart {
            true => RunPoint { epochs: restart, ..at },
            false => RunPoint { epoch: at.epoch - restart, epochs: at.epochs - restart, ..at },
        }
    }

    fn has_own_sgd(&self) -> bool {
        true
    }

    fn places_weights(&self) -> bool {
        true
    }

    fn place_weights(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Result<Vec<u8>, TrainError> {
        let edges = self.gate.edges(arch);
        let blocks = self.gate.best(&edges, self.blocks.open());
        self.blocks.place(&edges, &blocks, executor);
        // By decision, because architectures that are equal otherwise can keep other edges without weights.
        let mut key = vec![0; arch.choices().len()];
        edges.iter().zip(blocks).for_each(|(edge, block)| key[edge.decision] = block as u8);
        Ok(key)
    }

    fn state(&self) -> SavedState {
        SavedState::new(
            CloseState::KIND,
            &CloseState { blocks: self.blocks.state(), gate: self.gate.state(), restarts: self.restarts },
        )
    }

    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        let CloseState { blocks, gate, restarts } = state.read(CloseState::KIND)?;
        let mut restored = Self { restarts, ..self.clone() };
        let restore = |restored: &mut Self| -> Result<(), String> {
            restored.blocks.restore(blocks, restored.config.openings.len())?;
            restored.gate.restore(gate)
        };
        restore(&mut restored)
            .map_err(|reason| SamplerError::State { kind: CloseState::KIND.to_owned(), reason })?;
        *self = restored;
        Ok(())
    }
}
