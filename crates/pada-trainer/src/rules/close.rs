use pada_graph::{Batch, Executor, SgdStep, WeightLayout};
use pada_sampler::{SamplerError, SamplerState};
use pada_space::Arch;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::close_blocks::Blocks;
use super::close_gate::{CellShape, Gate, GateConfig};
use super::{StepContext, StepOutcome, TrainRule};
use crate::{RunPoint, TrainError};

/// Settings of [`Close`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseConfig {
    /// Shares of the run at which blocks open, the first 0; 0, .2, .4 and .6 in the released code. Each opens before the nearest
    /// epoch.
    pub openings: Vec<f64>,
    /// Optional: share of the run at which the learning rate starts anew; .4 in the released code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<f64>,
    /// What assigns blocks to edges.
    pub gate: GateConfig,
}

/// Curriculum on the extent of sharing. Weights live in blocks: a block has, for each cell, one set of weights for every operation, and
/// a gate assigns each edge of a path to a block. There is one block at first, so that all edges of a cell share their convolutions;
/// at fixed epochs another one opens, as a copy of the newest.
///
/// Blocks, gate, stem, reductions and classifier are moved by the same SGD, with one clip: slots' gradients are summed into the
/// blocks, and the norm is that of blocks, gate and all tensors without an owner. That the gate is a part of it is unverified against
/// the paper. Before and after the restart the learning rate follows its schedule over the epochs of that part; momentum stays.
///
/// The executor's slots hold what was placed there last, so a checkpoint's weights do not score architectures without the rule's
/// state beside them.
///
/// # Source
/// Zhou et al., *CLOSE: Curriculum Learning on the Sharing Extent Towards Better One-shot NAS*, ECCV 2022, and
/// <https://github.com/walkerning/aw_nas>, `examples/research/close`.
/// DIFFERS: the released code mixes the outputs of all open blocks. Here their weights are mixed: the pass is the same, that of one
/// block, but the gradient of the gate is ⟨gradient of the edge's weights, weights of each block⟩ and costs no pass of the others. A norm
/// follows every convolution, so it tells how another block differs in direction, not in scale. A released block is added to its own
/// random start when it opens, here it is a copy as in the paper. The released learning rate falls on plateaus, here by the schedule.
#[derive(Clone, Debug)]
pub struct Close {
    config: CloseConfig,
    blocks: Blocks,
    gate: Gate,
}

impl Close {
    /// The rule at the start of a run: one block, that starts as position 0 of each cell in `weights`.
    ///
    /// # Panics
    /// If the positions of a cell do not have the same operations with weights of the same shapes.
    pub fn new(
        config: CloseConfig,
        cell: CellShape,
        layout: &WeightLayout,
        weights: &[f32],
        rng: &mut dyn Rng,
    ) -> Self {
        let blocks = Blocks::new(cell.edges.len(), layout, weights);
        let gate = Gate::new(config.gate, cell, config.openings.len(), rng);
        Self { config, blocks, gate }
    }

    /// The weights of the open blocks, one list each.
    pub fn blocks(&self) -> &[Vec<f32>] {
        self.blocks.weights()
    }
}

/// The epoch before which something happens that a config gives as a share of the run.
fn epoch_of(share: f64, epochs: usize) -> usize {
    (share * epochs as f64).round() as usize
}

impl TrainRule for Close {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        ctx.executor.zero_gradient();
        self.blocks.zero_gradient();
        let mut gate_gradient = vec![0.0; self.gate.len()];
        let mut passes = Vec::new();
        for path in ctx.paths.next_paths(ctx.path_rng) {
            let choice = self.gate.draw(&path, self.blocks.open(), ctx.rule_rng);
            self.blocks.place(&path, &choice.blocks, ctx.executor);
            let weight = ctx.paths.loss_weight(&path);
            let graph = ctx.net.lower(&path)?.simplified();
            passes.push(ctx.pass_graph(path, &graph, weight, batch)?);
            let by_block = self.blocks.take(&choice.blocks, &graph.weights(), ctx.executor);
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
        // Slots move too, with a momentum of their own; it does not matter, a block is written over them before they compute.
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
    }

    fn schedule_point(&self, at: RunPoint) -> RunPoint {
        let Some(restart) = self.config.restart.map(|share| epoch_of(share, at.epochs)) else { return at };
        match at.epoch < restart {
            true => RunPoint { epochs: restart, ..at },
            false => RunPoint { epoch: at.epoch - restart, epochs: at.epochs - restart, ..at },
        }
    }

    fn place_weights(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Result<Vec<u8>, TrainError> {
        let blocks = self.gate.best(arch, self.blocks.open());
        self.blocks.place(arch, &blocks, executor);
        Ok(blocks.into_iter().map(|block| block as u8).collect())
    }

    fn state(&self) -> SamplerState {
        let mut state = self.blocks.state();
        state.0.extend(self.gate.state().0);
        state
    }

    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        let (gate, blocks) = state.0.clone().into_iter().partition(|(name, _)| name.starts_with("gate"));
        let mut restored = self.clone();
        restored.blocks.restore(&SamplerState(blocks), self.config.openings.len())?;
        restored.gate.restore(&SamplerState(gate))?;
        *self = restored;
        Ok(())
    }
}
