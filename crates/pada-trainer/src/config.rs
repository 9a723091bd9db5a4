use pada_graph::UnusedWeights;
use serde::{Deserialize, Serialize};

use crate::Schedule;

/// Epochs and SGD: the section `[train]` of a config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over N images.
    pub epochs: usize,
    /// Images per step; the last step of an epoch takes what is left.
    pub batch: usize,
    /// Learning rate of the first epoch.
    pub lr: f64,
    /// How it goes on.
    pub schedule: Schedule,
    /// Of SGD.
    pub momentum: f64,
    /// L2 weight decay.
    pub weight_decay: f64,
    /// Largest L2 norm of a step's gradient; `inf` for none.
    pub clip_norm: f64,
    /// What happens to weights that a step's paths do not use.
    pub unused_weights: UnusedWeights,
    /// What happens where a loss or gradient is NaN or infinite; optional: `stop`.
    #[serde(default, skip_serializing_if = "is_stop")]
    pub on_nan: OnNan,
}

fn is_stop(on_nan: &OnNan) -> bool {
    *on_nan == OnNan::Stop
}

/// What happens where a loss or gradient is NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// Training ends with an error.
    #[default]
    Stop,
    /// The step changes neither weights nor the rule, and is counted; an epoch without any other step ends training all the same.
    Skip,
}
