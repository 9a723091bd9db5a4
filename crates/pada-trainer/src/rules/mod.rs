//! Training rules: what one step does with a batch. One file per rule.

mod close;
mod close_blocks;
mod close_gate;
mod magic_at;
mod nsas;
mod summed_paths;
mod sumnas;

pub use close::{Close, CloseConfig};
pub(crate) use close_blocks::BLOCK_WEIGHTS;
pub use close_gate::{CellShape, GateConfig};
pub use magic_at::{MagicAt, MagicAtConfig};
pub use nsas::{Constraints, Nsas, NsasConfig};
use pada_graph::{Batch, Executor, Graph, Logits, LossSpec, Lower, SgdStep, StepStats, WeightId};
use pada_sampler::{PathSampler, SamplerError, SamplerState};
use pada_space::Arch;
use rand::Rng;
pub use summed_paths::SummedPaths;
pub use sumnas::{Sumnas, SumnasConfig};

use crate::error::NotFinite;
use crate::{DropPaths, RunPoint, TrainError, clip_factor, global_norm, position_gradient_norms};

/// What a rule may use during a step. Paths come from the sampler; the rule never tells it what came of them, the trainer does.
pub struct StepContext<'a> {
    /// Computes passes and holds the weights.
    pub executor: &'a mut dyn Executor,
    /// Lowers a path to its graph.
    pub net: &'a dyn Lower,
    /// Draws paths.
    pub paths: &'a mut dyn PathSampler,
    /// The stream paths are drawn from.
    pub path_rng: &'a mut dyn Rng,
    /// The stream of whatever else the rule draws.
    pub rule_rng: &'a mut dyn Rng,
    /// Learning rate, momentum and decay of this step; the rule sets the factor on the gradient.
    pub sgd: SgdStep,
    /// Largest L2 norm of the gradient; infinite for none.
    pub clip_norm: f64,
    /// `[B]`, factors on the images' losses; none stands for ones.
    pub image_weights: Option<&'a [f32]>,
    /// Share of the target that all classes get alike.
    pub label_smoothing: f32,
    /// Draws which paths of the network are dropped; none for none.
    pub drop_path: Option<DropPaths<'a>>,
    /// Is called with the weights of the paths' operations while the step's gradient, before clipping, is there.
    pub on_gradient: &'a mut dyn FnMut(&[WeightId], &dyn Executor),
}

/// What a step did with one path.
#[derive(Clone, Debug)]
pub struct PathOutcome {
    /// The path.
    pub path: Arch,
    /// Mean cross entropy.
    pub loss: f64,
    /// `[B, K]`, before the update.
    pub logits: Logits,
    /// `[B]`, see [`pada_graph::StepStats::feature_norms`].
    pub feature_norms: Vec<f32>,
    /// `[E]`, after clipping, see [`crate::position_gradient_norms`].
    pub position_norms: Vec<f64>,
}

/// What a step did.
#[derive(Clone, Debug)]
pub struct StepOutcome {
    /// Each path it trained.
    pub paths: Vec<PathOutcome>,
    /// L2 norm of the whole gradient before clipping.
    pub grad_norm: f64,
}

/// One way to train a supernet.
pub trait TrainRule: Send {
    /// Trains on one batch.
    ///
    /// # Errors
    /// [`TrainError`]: the executor failed, or a loss or gradient is not finite.
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError>;

    /// Before the first step of an epoch.
    fn begin_epoch(&mut self, epoch: usize, epochs: usize) {
        let _ = (epoch, epochs);
    }

    /// Where in the schedule of the learning rate a step stands: where it stands in the run, unless the rule starts it anew.
    fn schedule_point(&self, at: RunPoint) -> RunPoint {
        at
    }

    /// Puts the weights in place that compute an architecture, where not all architectures share the same ones. Returns a name
    /// for this choice of weights: architectures that compute the same function of them, under one name, have one score.
    ///
    /// # Errors
    /// [`TrainError`]
    fn place_weights(&mut self, arch: &Arch, executor: &mut dyn Executor) -> Result<Vec<u8>, TrainError> {
        let _ = (arch, executor);
        Ok(Vec::new())
    }

    /// Everything a checkpoint must keep beside the executor's weights and momentum.
    fn state(&self) -> SamplerState {
        SamplerState::default()
    }

    /// Goes on from a checkpoint, bit for bit.
    ///
    /// # Errors
    /// [`SamplerError::State`] where the state is of another rule.
    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError> {
        state.lists([]).map(|_: [_; 0]| ())
    }
}

impl StepContext<'_> {
    /// Adds the gradient of one path to the step's.
    fn pass(&mut self, path: Arch, scale: f64, batch: &Batch<'_>) -> Result<Passed, TrainError> {
        let graph = self.net.lower_to_train(&path)?.simplified();
        self.pass_graph(path, &graph, scale, batch)
    }

    /// The same where the path is lowered in another way.
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

    /// Lets the observer see the step's gradient, before anything is clipped.
    fn show_gradient(&mut self, passes: &[Passed]) {
        let mut used: Vec<_> = passes.iter().flat_map(|pass| self.net.on_path(&pass.path)).collect();
        used.sort_unstable();
        used.dedup();
        (self.on_gradient)(&used, self.executor);
    }

    /// The norm of every gradient tensor, and the factor that clipping puts on them.
    fn clip(&self, passes: &[Passed], max_norm: f64) -> Result<Clipped, TrainError> {
        let norms = self.executor.gradient_norms();
        let grad_norm = global_norm(&norms);
        self.clip_norms(passes, norms, grad_norm, max_norm)
    }

    /// The same where the norm of the whole gradient is not that of the executor's tensors.
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

    /// One clip, one update, and what the step found.
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

/// A path whose gradient has been added.
struct Passed {
    path: Arch,
    stats: StepStats,
}

/// A gradient's size.
struct Clipped {
    /// Per tensor, after clipping.
    norms: Vec<f64>,
    /// Of the whole, before.
    grad_norm: f64,
    factor: f64,
}
