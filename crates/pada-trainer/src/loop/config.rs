use pada_exec::{Optimizer, RmsProp, RmsPropForm, UnusedWeights};
use serde::{Deserialize, Serialize};

use crate::r#loop::schedule::Schedule;

/// Number of epochs and settings of the optimizer: the section `[train]` of a config. The default is the protocol of PA&DA on NAS-Bench-201.
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
    /// Smallest learning rate of [`Schedule::Cosine`] (`eta_min` of PyTorch) and [`Schedule::Plateau`] (`min_lr`). `None` means 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,
    /// Factor on the learning rate at each decay of [`Schedule::Step`] and [`Schedule::Plateau`], in `0.0..1.0`. `None` means 0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_decay: Option<f64>,
    /// Number of epochs between two decays of [`Schedule::Step`]; it may be a fraction, as 2.4 in MnasNet. `None` means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_decay_epochs: Option<f64>,
    /// Number of epochs without a smaller training loss that [`Schedule::Plateau`] tolerates before it decays. `None` means 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Optimizer.
    #[serde(default, skip_serializing_if = "is_sgd")]
    pub optimizer: OptimizerName,
    /// Decay of the moving average of squared gradients of RMSprop (`alpha` of PyTorch). `None` means 0.99, with `rmsprop-tf` 0.9.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rms_decay: Option<f64>,
    /// ε of RMSprop. `None` means 1e-8, with `rmsprop-tf` 1e-10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rms_eps: Option<f64>,
    /// Momentum of the optimizer.
    pub momentum: f64,
    /// Weight decay (L2 penalty), which is added to the gradient.
    pub weight_decay: f64,
    /// Label-smoothing factor ε of the loss, in `0.0..1.0`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
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
            min_lr: None,
            lr_decay: None,
            lr_decay_epochs: None,
            patience: None,
            optimizer: OptimizerName::Sgd,
            rms_decay: None,
            rms_eps: None,
            momentum: 0.9,
            weight_decay: 2.5e-4,
            label_smoothing: 0.0,
            clip_norm: 5.0,
            unused_weights: UnusedWeights::Decay,
            on_nan: OnNan::Stop,
        }
    }
}

impl TrainConfig {
    /// Returns the optimizer with its settings.
    pub fn optimizer(&self) -> Optimizer {
        let rms_prop = |form, [decay, eps]: [f64; 2]| {
            let decay = self.rms_decay.unwrap_or(decay) as f32;
            Optimizer::RmsProp(RmsProp { decay, eps: self.rms_eps.unwrap_or(eps) as f32, form })
        };
        match self.optimizer {
            OptimizerName::Sgd => Optimizer::Sgd,
            OptimizerName::Nesterov => Optimizer::Nesterov,
            OptimizerName::Rmsprop => rms_prop(RmsPropForm::PyTorch, RMSPROP),
            OptimizerName::RmspropTf => rms_prop(RmsPropForm::TensorFlow, RMSPROP_TF),
        }
    }
}

/// Defaults of the decay α and of ε: those of `torch.optim.RMSprop`, and those of `RMSpropTF` of timm.
const RMSPROP: [f64; 2] = [0.99, 1e-8];
const RMSPROP_TF: [f64; 2] = [0.9, 1e-10];

/// An optimizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerName {
    /// [`Optimizer::Sgd`]: stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// [`Optimizer::Nesterov`]: SGD with Nesterov momentum.
    Nesterov,
    /// [`Optimizer::RmsProp`] in the form of PyTorch.
    Rmsprop,
    /// [`Optimizer::RmsProp`] in the form of TensorFlow 1, with which MnasNet and EfficientNet were trained.
    RmspropTf,
}

fn is_sgd(optimizer: &OptimizerName) -> bool {
    *optimizer == OptimizerName::Sgd
}

pub(crate) fn is_zero(number: &f64) -> bool {
    *number == 0.0
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
