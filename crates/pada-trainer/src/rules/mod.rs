//! Training rules: what one step does with a batch. One file per rule.

mod summed_paths;

use pada_graph::{Batch, Executor, Logits, Lower, SgdStep, WeightId};
use pada_sampler::PathSampler;
use pada_space::Arch;
use rand::Rng;
pub use summed_paths::SummedPaths;

use crate::TrainError;

/// What a rule may use during a step. Paths come from the sampler; the rule never tells it what came of them, the trainer does.
pub struct StepContext<'a> {
    /// Computes passes and holds the weights.
    pub executor: &'a mut dyn Executor,
    /// Lowers a path to its graph.
    pub net: &'a dyn Lower,
    /// How many operations a position has at most, O.
    pub n_ops: usize,
    /// Draws paths.
    pub paths: &'a mut dyn PathSampler,
    /// The stream paths are drawn from.
    pub path_rng: &'a mut dyn Rng,
    /// Learning rate, momentum and decay of this step; the rule sets the factor on the gradient.
    pub sgd: SgdStep,
    /// Largest L2 norm of the gradient; infinite for none.
    pub clip_norm: f64,
    /// `[B]`, factors on the images' losses; none stands for ones.
    pub image_weights: Option<&'a [f32]>,
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
    /// `[O]`, see [`crate::op_gradient_norms`].
    pub op_grad_norms: Vec<f64>,
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
pub trait TrainRule {
    /// Trains on one batch.
    ///
    /// # Errors
    /// [`TrainError`]: the executor failed, or a loss or gradient is not finite.
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError>;
}
