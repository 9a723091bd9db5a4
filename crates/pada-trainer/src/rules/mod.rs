//! Training rules. A rule defines how one training step uses a batch and the paths that it draws.

mod close;
mod close_blocks;
mod close_gate;
mod differentiable;
mod enas;
mod magic_at;
mod nsas;
mod search_images;
mod sumnas;

pub use close::{Close, CloseConfig, CloseState};
pub use close_blocks::BlocksState;
pub use close_gate::{CellShape, GateConfig, GateState};
pub use differentiable::{
    AttentionSearch, AttentionState, DartsOrder, Differentiable, DifferentiableConfig, DifferentiableMethod,
    DifferentiableState, FirstUpdate, OpCosts, SearchInputs, Zarts,
};
pub use enas::{Enas, EnasConfig, EnasState};
pub use magic_at::{MagicAt, MagicAtConfig, MagicAtState};
pub use nsas::{ConstraintLoss, Constraints, Nsas, NsasConfig, NsasState};
use pada_exec::{Batch, Executor, Logits, LossSpec, SgdStep, StepStats};
use pada_graph::{Graph, Lower, WeightId};
use pada_report::MixtureRecord;
use pada_sampler::{PathSampler, SamplerError, SavedState};
use pada_space::{Arch, SubSpace};
use rand::Rng;
pub use search_images::SearchImages;
pub use sumnas::{Sumnas, SumnasConfig, SumnasState};

use crate::r#loop::clip::{clip_factor, global_norm, position_gradient_norms};
use crate::r#loop::drop_path::DropPaths;
use crate::r#loop::schedule::RunPoint;
use crate::{NotFinite, TrainError};

/// The inputs of a training rule in one step. The rule draws paths from the sampler; the trainer reports the result of the step to it.
pub struct StepContext<'a> {
    /// The executor, which computes the passes and stores the weights.
    pub executor: &'a mut dyn Executor,
    /// The supernet, which lowers a path to its graph.
    pub net: &'a dyn Lower,
    /// The path sampler.
    pub paths: &'a mut dyn PathSampler,
    /// The random stream for drawing paths.
    pub path_rng: &'a mut dyn Rng,
    /// The random stream for all other random numbers of the rule.
    pub rule_rng: &'a mut dyn Rng,
    /// Learning rate, momentum and weight decay of this step. The rule sets the factor on the gradient.
    pub sgd: SgdStep,
    /// Largest L2 norm of the gradient; infinity disables clipping.
    pub clip_norm: f64,
    /// `[B]`, the factor on the loss of each image; `None` means 1 for all.
    pub image_weights: Option<&'a [f32]>,
    /// Label-smoothing factor ε, in `0.0..1.0`.
    pub label_smoothing: f32,
    /// Drop path (stochastic depth), or `None` to drop nothing.
    pub drop_path: Option<DropPaths<'a>>,
    /// Callback before clipping, while the executor has the gradient of the step. Its first argument is the weights of the operations on the
    /// paths.
    pub on_gradient: &'a mut dyn FnMut(&[WeightId], &dyn Executor),
}

/// The result of a step for one path.
#[derive(Clone, Debug)]
pub struct PathOutcome {
    /// The path that was trained.
    pub path: Arch,
    /// Mean cross entropy of the batch, in nats.
    pub loss: f64,
    /// `[B, K]`, the logits before the update.
    pub logits: Logits,
    /// `[B]`, the L2 norm of the input of the classifier, see [`pada_exec::StepStats::feature_norms`].
    pub feature_norms: Vec<f32>,
    /// `[E]`, the gradient norm of the operation at each position after clipping, see [`crate::position_gradient_norms`].
    pub position_norms: Vec<f64>,
}

/// The result of a step.
#[derive(Clone, Debug)]
pub struct StepOutcome {
    /// The result for each path of the step.
    pub paths: Vec<PathOutcome>,
    /// L2 norm of the whole gradient before clipping.
    pub grad_norm: f64,
}

/// A training rule: one way to train a supernet on a batch.
///
/// Only [`step`](Self::step) is required. A rule with state between two steps must also implement [`state`](Self::state) and
/// [`restore`](Self::restore); otherwise a resumed run differs from an uninterrupted one.
pub trait TrainRule: Send {
    /// Trains on one batch.
    ///
    /// # Errors
    /// Returns an error if the executor fails, and [`TrainError::NotFinite`] if a loss or gradient is not finite.
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError>;

    /// Prepares the rule for an epoch. The trainer calls this method before the first step.
    fn begin_epoch(&mut self, epoch: usize, epochs: usize) {
        let _ = (epoch, epochs);
    }

    /// Ends an epoch: the trainer calls this method after the last step, before it asks for [`mixture`](Self::mixture). A rule that measures
    /// something on the trained weights does it here, in batches of `batch` images. It must leave the weights as they are.
    ///
    /// # Errors
    /// Returns an error if the executor fails or a measured number is not finite.
    fn end_epoch(
        &mut self,
        net: &dyn Lower,
        executor: &mut dyn Executor,
        batch: usize,
        rng: &mut dyn Rng,
    ) -> Result<(), TrainError> {
        let _ = (net, executor, batch, rng);
        Ok(())
    }

    /// Returns the position of a step in the learning-rate schedule. By default it equals the position in the run; a rule that restarts the
    /// schedule returns another one.
    fn schedule_point(&self, at: RunPoint) -> RunPoint {
        at
    }

    /// Returns the learning rate of a step, for rules with a rate of their own. `None` leaves it to the schedule.
    fn learning_rate(&self, at: RunPoint) -> Option<f64> {
        let _ = at;
        None
    }

    /// Returns the mixtures of operations that the rule trains, for the record of an epoch. `None` for rules that train paths.
    fn mixture(&self) -> Option<MixtureRecord> {
        None
    }

    /// Returns true if the rule updates weights or parameters itself, by SGD with momentum. The trainer then accepts no other optimizer.
    fn has_own_sgd(&self) -> bool {
        false
    }

    /// Returns true if the rule chooses weights for each architecture, see [`place_weights`](Self::place_weights).
    fn places_weights(&self) -> bool {
        false
    }

    /// Writes the weights of an architecture into the executor, for rules with which architectures do not all share the same weights.
    /// Returns a key of this choice of weights: two equivalent architectures with equal keys have the same score.
    ///
    /// # Errors
    /// Returns an error if the executor fails.
    fn place_weights(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Result<Vec<u8>, TrainError> {
        let _ = (arch, executor);
        Ok(Vec::new())
    }

    /// Returns the state that a checkpoint stores in addition to the weights and momentum of the executor.
    fn state(&self) -> SavedState {
        SavedState::stateless()
    }

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// Returns [`SamplerError::OtherKind`] or [`SamplerError::State`] if the state belongs to another rule. In this case the rule does not
    /// change.
    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        state.read_stateless()
    }
}

impl StepContext<'_> {
    /// Adds the gradient of one path to the gradient of the step.
    fn pass(&mut self, path: Arch, scale: f64, batch: &Batch<'_>) -> Result<Passed, TrainError> {
        let graph = self.net.lower_to_train(&path)?.simplified();
        self.pass_graph(path, &graph, scale, batch)
    }

    /// Adds the gradient of one path, given its graph, to the gradient of the step.
    fn pass_graph(
        &mut self,
        path: Arch,
        graph: &Graph,
        scale: f64,
        batch: &Batch<'_>,
    ) -> Result<Passed, TrainError> {
        let dropout = self.drop_path.as_ref().is_some_and(|drop| drop.dropout > 0.0);
        let graph = if dropout { &graph.with_dropout()? } else { graph };
        let images = batch.images.len();
        let drop_path = match &mut self.drop_path {
            Some(drop) => drop.draw(graph, images),
            None => vec![1.0; graph.drop_path_slots() * images],
        };
        let loss = LossSpec {
            scale: scale as f32,
            image_weights: self.image_weights,
            label_smoothing: self.label_smoothing,
            drop_path: &drop_path,
        };
        let stats = self.executor.gradients(graph, batch, &loss)?;
        for (what, value) in [("loss", stats.loss), ("alignment", stats.alignment)] {
            if !value.is_finite() {
                return Err(NotFinite { what, value, path }.into());
            }
        }
        Ok(Passed { path, stats })
    }

    /// The weights of the operations on the paths of a step, without repeats.
    fn weights_of(&self, passes: &[Passed]) -> Vec<WeightId> {
        let mut used: Vec<_> = passes.iter().flat_map(|pass| self.net.on_path(&pass.path)).collect();
        used.sort_unstable();
        used.dedup();
        used
    }

    /// Passes the gradient of the step to the callback before clipping.
    fn show_gradient(&mut self, passes: &[Passed]) {
        let used = self.weights_of(passes);
        (self.on_gradient)(&used, self.executor);
    }

    /// Computes the norm of every gradient tensor and the clipping factor.
    fn clip(&self, passes: &[Passed], max_norm: f64) -> Result<Clipped, TrainError> {
        let layout = self.net.weights();
        // Factors of mixtures are buffers that have a gradient, but no step moves them.
        let norms = layout.iter().zip(self.executor.gradient_norms());
        let norms: Vec<f64> =
            norms.map(|((id, _), norm)| if layout.is_trained(id) { norm } else { 0.0 }).collect();
        let grad_norm = global_norm(&norms);
        self.clip_norms(passes, norms, grad_norm, max_norm)
    }

    /// Computes the clipping factor from a given norm of the whole gradient, for rules with gradients outside the executor.
    fn clip_norms(
        &self,
        passes: &[Passed],
        mut norms: Vec<f64>,
        grad_norm: f64,
        max_norm: f64,
    ) -> Result<Clipped, TrainError> {
        if !grad_norm.is_finite() {
            let path = passes[0].path.clone();
            return Err(NotFinite { what: "gradient norm", value: grad_norm, path }.into());
        }
        let factor = clip_factor(grad_norm, max_norm);
        norms.iter_mut().for_each(|norm| *norm *= factor);
        Ok(Clipped { norms, grad_norm, factor })
    }

    /// Clips once, updates once, and returns the result of the step.
    fn descend(&mut self, passes: Vec<Passed>) -> Result<StepOutcome, TrainError> {
        let used = self.weights_of(&passes);
        let sgd = self.sgd;
        self.descend_on(passes, &used, &sgd)
    }

    /// Does the same with other weights for the callback, and another step of the optimizer, whose factor on the gradient is set here.
    fn descend_on(
        &mut self,
        passes: Vec<Passed>,
        used: &[WeightId],
        sgd: &SgdStep,
    ) -> Result<StepOutcome, TrainError> {
        let clipped = self.clip(&passes, self.clip_norm)?;
        (self.on_gradient)(used, self.executor);
        self.executor.update(&SgdStep { gradient_scale: clipped.factor as f32, ..*sgd });
        Ok(self.outcome(passes, &clipped))
    }

    fn outcome(&self, passes: Vec<Passed>, clipped: &Clipped) -> StepOutcome {
        let outcome = |Passed { path, stats }| PathOutcome {
            position_norms: position_gradient_norms(self.net.weights(), &path, &clipped.norms),
            path,
            loss: stats.loss,
            logits: stats.logits,
            feature_norms: stats.feature_norms,
        };
        StepOutcome { paths: passes.into_iter().map(outcome).collect(), grad_norm: clipped.grad_norm }
    }
}

/// A path whose gradient was added to the gradient of the step.
struct Passed {
    path: Arch,
    stats: StepStats,
}

/// The norms of a clipped gradient.
struct Clipped {
    /// Norm of each tensor after clipping.
    norms: Vec<f64>,
    /// Norm of the whole gradient before clipping.
    grad_norm: f64,
    factor: f64,
}

/// Returns an error if a restored path is not in the space of a rule.
fn check_paths<'a>(
    kind: &str,
    paths: impl IntoIterator<Item = &'a Arch>,
    space: &SubSpace,
) -> Result<(), SamplerError> {
    match paths.into_iter().find(|path| !space.contains(path)) {
        None => Ok(()),
        Some(path) => {
            let reason = format!("it contains the path {path}, which is not in the space");
            Err(SamplerError::State { kind: kind.to_owned(), reason })
        }
    }
}

/// Sums the gradients of all paths of a step, clips the sum once, and takes one SGD step. SPOS and PA&DA use this rule with one path per
/// step; FairNAS uses it with [`pada_sampler::FairPaths`].
#[derive(Clone, Copy, Debug, Default)]
pub struct SummedPaths;

impl TrainRule for SummedPaths {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        ctx.executor.zero_gradient();
        let mut passes = Vec::new();
        for path in ctx.paths.next_paths(ctx.path_rng) {
            let weight = ctx.paths.loss_weight(&path)?;
            passes.push(ctx.pass(path, weight, batch)?);
        }
        ctx.descend(passes)
    }
}
