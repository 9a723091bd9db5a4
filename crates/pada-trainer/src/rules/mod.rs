//! Training rules: what one step does with a batch and the paths of the step.

mod close;
mod close_blocks;
mod close_gate;
mod magic_at;
mod nsas;
mod sumnas;

pub use close::{Close, CloseConfig, CloseState};
pub use close_blocks::BlocksState;
pub use close_gate::{CellShape, GateConfig, GateState};
pub use magic_at::{MagicAt, MagicAtConfig, MagicAtState};
pub use nsas::{Constraints, Nsas, NsasConfig, NsasState};
use pada_exec::{Batch, Executor, Logits, LossSpec, SgdStep, StepStats};
use pada_graph::{Graph, Lower, WeightId};
use pada_sampler::{PathSampler, SamplerError, SavedState};
use pada_space::{Arch, SubSpace};
use rand::Rng;
pub use sumnas::{Sumnas, SumnasConfig, SumnasState};

use crate::r#loop::clip::{clip_factor, global_norm, position_gradient_norms};
use crate::r#loop::drop_path::DropPaths;
use crate::r#loop::schedule::RunPoint;
use crate::{NotFinite, TrainError};

/// What a rule can use in a step. The rule draws paths from the sampler, but does not report to it; the trainer does.
pub struct StepContext<'a> {
    /// Computes passes and keeps the weights.
    pub executor: &'a mut dyn Executor,
    /// The supernet: lowers a path to its graph.
    pub net: &'a dyn Lower,
    /// Draws paths.
    pub paths: &'a mut dyn PathSampler,
    /// The random stream of paths.
    pub path_rng: &'a mut dyn Rng,
    /// The random stream of everything else that the rule draws.
    pub rule_rng: &'a mut dyn Rng,
    /// Learning rate, momentum and weight decay of this step. The rule sets the factor on the gradient.
    pub sgd: SgdStep,
    /// The gradient is clipped to this L2 norm; infinity does not clip.
    pub clip_norm: f64,
    /// `[B]`, the factor on the loss of each image; `None` stands for ones.
    pub image_weights: Option<&'a [f32]>,
    /// Label-smoothing factor ε, in `0.0..1.0`.
    pub label_smoothing: f32,
    /// Draws which paths of the network are dropped; `None` drops none.
    pub drop_path: Option<DropPaths<'a>>,
    /// Is called with the weights of the operations on the paths while the executor has the gradient of the step, before clipping.
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
    /// `[B]`, the norm of the input of the classifier, see [`pada_exec::StepStats::feature_norms`].
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
/// Only [`step`](Self::step) is required. A rule that remembers anything between two steps must also implement [`state`](Self::state) and
/// [`restore`](Self::restore), otherwise a resumed run differs from one that was never interrupted.
pub trait TrainRule: Send {
    /// Trains on one batch.
    ///
    /// # Errors
    /// Returns [`TrainError`] if the executor fails, and [`TrainError::NotFinite`] if a loss or gradient is not finite.
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError>;

    /// Is called before the first step of an epoch.
    fn begin_epoch(&mut self, epoch: usize, epochs: usize) {
        let _ = (epoch, epochs);
    }

    /// The position of a step in the learning-rate schedule. It is the position in the run unless the rule restarts the schedule.
    fn schedule_point(&self, at: RunPoint) -> RunPoint {
        at
    }

    /// Whether the rule chooses weights for each architecture, see [`place_weights`](Self::place_weights).
    fn places_weights(&self) -> bool {
        false
    }

    /// Writes the weights of an architecture into the executor, if architectures do not all share the same weights. Returns a name of this
    /// choice of weights: two architectures that compute the same function of weights with the same name have the same score.
    ///
    /// # Errors
    /// Returns [`TrainError`] from the executor.
    fn place_weights(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Result<Vec<u8>, TrainError> {
        let _ = (arch, executor);
        Ok(Vec::new())
    }

    /// The state that a checkpoint stores, in addition to the weights and momentum of the executor.
    fn state(&self) -> SavedState {
        SavedState::stateless()
    }

    /// Restores a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// Returns [`SamplerError::OtherKind`] or [`SamplerError::State`] if the state belongs to another rule. The rule is unchanged then.
    fn restore(&mut self, state: &SavedState) -> Result<(), SamplerError> {
        state.read_stateless()
    }
}

impl StepContext<'_> {
    /// Adds the gradient of one path to that of the step.
    fn pass(&mut self, path: Arch, scale: f64, batch: &Batch<'_>) -> Result<Passed, TrainError> {
        let graph = self.net.lower_to_train(&path)?.simplified();
        self.pass_graph(path, &graph, scale, batch)
    }

    /// The same for a path that was lowered in another way.
    fn pass_graph(
        &mut self,
        path: Arch,
        graph: &Graph,
        scale: f64,
        batch: &Batch<'_>,
    ) -> Result<Passed, TrainError> {
        let numbers = graph.drop_path_slots() * batch.images.len();
        let drop_path = match &mut self.drop_path {
            Some(paths) => paths.draw(numbers),
            None => vec![1.0; numbers],
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

    /// Reports the gradient of the step before clipping.
    fn show_gradient(&mut self, passes: &[Passed]) {
        let mut used: Vec<_> = passes.iter().flat_map(|pass| self.net.on_path(&pass.path)).collect();
        used.sort_unstable();
        used.dedup();
        (self.on_gradient)(&used, self.executor);
    }

    /// Computes the norm of every gradient tensor and the factor of clipping.
    fn clip(&self, passes: &[Passed], max_norm: f64) -> Result<Clipped, TrainError> {
        let norms = self.executor.gradient_norms();
        let grad_norm = global_norm(&norms);
        self.clip_norms(passes, norms, grad_norm, max_norm)
    }

    /// The same if the norm of the whole gradient is not that of the tensors of the executor.
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
        let clipped = self.clip(&passes, self.clip_norm)?;
        self.show_gradient(&passes);
        self.executor.update(&SgdStep { gradient_scale: clipped.factor as f32, ..self.sgd });
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

/// A path whose gradient was added to that of the step.
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

/// Checks that restored paths belong to the space of a rule.
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

/// Sums the gradients of all paths of a step, clips the sum once, and takes one SGD step. With one path per step this is how SPOS and
/// PA&DA train, and with [`pada_sampler::FairPaths`] it is FairNAS.
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
