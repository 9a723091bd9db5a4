use pada_sampler::{ImageAudit, PathAudit};
use serde::{Deserialize, Serialize};

use crate::RanksRecord;

/// What one epoch of supernet training did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// From 0, of its stage.
    pub epoch: usize,
    /// Which supernet of a run that splits its supernet was trained, from 0 for the whole space.
    pub stage: usize,
    /// Learning rate of the first step.
    pub lr: f64,
    /// Mean cross entropy over the images and paths of the epoch, nats.
    pub loss: f64,
    /// Percent of the training images that the paths they were shown to classified correctly.
    pub accuracy: f64,
    /// Steps whose loss or gradient was not finite and that changed nothing.
    #[serde(default)]
    pub skipped_steps: usize,
    /// L2 norm of the gradient before clipping, mean over the steps.
    pub grad_norm: f64,
    /// Gradient variance, see `pada_trainer::GradientVariance`; none where no operation was used twice.
    pub gv: Option<f64>,
    /// The same divided by ‖mean gradient‖².
    pub gv_scale_free: Option<f64>,
    /// The distribution the epoch's paths were drawn from: one row of O probabilities for all positions, or one per position.
    pub path_distribution: Vec<Vec<f64>>,
    /// Its entropy in nats, mean over the rows.
    pub path_entropy: f64,
    /// The paths that were really drawn.
    pub paths: PathAudit,
    /// The images that were really drawn.
    pub images: ImageAudit,
    /// 1/Σq² of the distribution the epoch's images were drawn from; none where each image comes once.
    pub effective_sample_size: Option<f64>,
    /// Its entropy in nats; none likewise.
    pub image_entropy: Option<f64>,
    /// Wall-clock time.
    pub seconds: f64,
    /// The ranks that ended it, and what was sent; none where one process did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<RanksRecord>,
}
