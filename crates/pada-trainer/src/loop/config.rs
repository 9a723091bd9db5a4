use pada_exec::UnusedWeights;
use serde::{Deserialize, Serialize};

use crate::r#loop::schedule::Schedule;

/// Number of epochs and settings of SGD: the section `[train]` of a config. The default is the protocol of PA&DA on NAS-Bench-201.
///
/// ```
/// use pada_trainer::TrainConfig;
///
/// let train = TrainConfig { epochs: 20, batch: 64, ..TrainConfig::default() };
/// assert_eq!((train.lr, train.momentum, train.clip_norm), (0.05, 0.9, 5.0));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of epochs; an epoch draws as many images as the data set has.
    pub epochs: usize,
    /// Batch size. The last batch of an epoch may be smaller.
    pub batch: usize,
    /// Initial learning rate.
    pub lr: f64,
    /// Learning-rate schedule.
    pub schedule: Schedule,
    /// SGD momentum.
    pub momentum: f64,
    /// Weight decay (L2 penalty) of SGD.
    pub weight_decay: f64,
    /// Largest L2 norm of the gradient of a step; `inf` disables clipping.
    pub clip_norm: f64,
    /// Treatment of unused weights, which are not on a path of the step: momentum and weight decay change them, or they are frozen.
    pub unused_weights: UnusedWeights,
    /// Reaction to a loss or gradient that is NaN or infinite. The default is to stop.
    #[serde(default, skip_serializing_if = "is_stop")]
    pub on_nan: OnNan,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 250,
            batch: 256,
            lr: 0.05,
            schedule: Schedule::Cosine,
            momentum: 0.9,
            weight_decay: 2.5e-4,
            clip_norm: 5.0,
            unused_weights: UnusedWeights::Decay,
            on_nan: OnNan::Stop,
        }
    }
}

fn is_stop(on_nan: &OnNan) -> bool {
    *on_nan == OnNan::Stop
}

/// Reaction to a loss or gradient that is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// Training stops with an error.
    #[default]
    Stop,
    /// The step is skipped. It changes neither the weights nor the training rule, and the record counts it. If all steps of an epoch are
    /// skipped, training stops with an error.
    Skip,
}
