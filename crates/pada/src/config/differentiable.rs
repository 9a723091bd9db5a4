//! The keys of `[update]` for differentiable searches.

use pada_models::MixtureSettings;
use pada_search::{ArchOptimizer, CostTerm};
use pada_trainer::rules::{DartsOrder, DifferentiableConfig, DifferentiableMethod, FirstUpdate};
use serde::{Deserialize, Serialize};

use super::samplers::{ImagesConfig, PathsConfig};
use super::{ConfigError, RunConfig, SpaceName, TrainPart, UpdateConfig, check};

/// The names of the differentiable search methods, which are training rules.
pub const DIFFERENTIABLE_METHODS: [&str; 7] =
    ["darts", "pc-darts", "darts-pt", "gdas", "snas", "proxyless-nas", "fbnet"];

/// Settings of a differentiable search. Each optional key belongs to the methods that its description names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferentiableKeys {
    /// Learning rate of Adam for the architecture parameters.
    pub arch_lr: f64,
    /// β₁ of Adam.
    pub arch_beta1: f64,
    /// L2 decay of the architecture parameters.
    pub arch_weight_decay: f64,
    /// Share of the epochs after which architecture parameters are trained, in `0.0..1.0`.
    pub start: f64,
    /// The update that a step begins with.
    pub first_update: FirstUpdate,
    /// Order of the approximation, for `darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<DartsOrder>,
    /// K, the number of parts into which channels are divided, for `pc-darts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_parts: Option<usize>,
    /// First and last temperature, for `gdas` and `snas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<[f64; 2]>,
    /// First temperature, for `fbnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_temperature: Option<f64>,
    /// Factor on the temperature per epoch, for `fbnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_decay: Option<f64>,
    /// Steps of the weights per step of the architecture parameters, for `proxyless-nas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<usize>,
    /// Share of the epochs after which operations are chosen, for `darts-pt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_start: Option<f64>,
    /// Learning rate of the weights from then on, for `darts-pt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_lr: Option<f64>,
    /// a in the loss, cross entropy · a · (ln E / ln T)^b, where E is the expected number of multiply-adds, for `proxyless-nas` and `fbnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_weight: Option<f64>,
    /// b in the loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_exponent: Option<f64>,
    /// T in the loss, in multiply-adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_target: Option<f64>,
}

/// A differentiable search: the settings of the rule, and the mixtures of its network.
pub(crate) struct DifferentiableSearch {
    pub(crate) rule: DifferentiableConfig,
    pub(crate) mixtures: MixtureSettings,
}

impl UpdateConfig {
    fn differentiable_keys(&self) -> Option<&DifferentiableKeys> {
        match self {
            Self::Darts(keys)
            | Self::PcDarts(keys)
            | Self::DartsPt(keys)
            | Self::Gdas(keys)
            | Self::Snas(keys)
            | Self::ProxylessNas(keys)
            | Self::FbNet(keys) => Some(keys),
            _ => None,
        }
    }

    /// Returns the settings of a differentiable search, or `None` for other rules.
    pub(crate) fn differentiable(&self) -> Option<DifferentiableSearch> {
        let keys = self.differentiable_keys()?;
        let temperature = keys.temperature.unwrap_or([1.0; 2]);
        let method = match self {
            Self::DartsPt(_) => DifferentiableMethod::Perturbation {
                start: keys.selection_start.unwrap_or_default(),
                lr: keys.selection_lr.unwrap_or_default(),
            },
            Self::Gdas(_) => DifferentiableMethod::Gdas { temperature },
            Self::Snas(_) => DifferentiableMethod::Snas { temperature },
            Self::ProxylessNas(_) => DifferentiableMethod::Proxyless { every: keys.every.unwrap_or(1) },
            Self::FbNet(_) => DifferentiableMethod::FbNet {
                temperature: keys.first_temperature.unwrap_or(1.0),
                decay: keys.temperature_decay.unwrap_or(1.0),
            },
            _ => DifferentiableMethod::Darts { order: keys.order.unwrap_or_default() },
        };
        let weight = keys.cost_weight.unwrap_or_default();
        let term = CostTerm { weight, exponent: keys.cost_exponent.unwrap_or(1.0), target: keys.cost_target };
        // The public code of ProxylessNAS has no term without a target, FBNet's loss has no target at all.
        let has_cost = match self {
            Self::ProxylessNas(_) => keys.cost_target.is_some(),
            Self::FbNet(_) => weight > 0.0,
            _ => false,
        };
        let optimizer = ArchOptimizer {
            learning_rate: keys.arch_lr,
            beta1: keys.arch_beta1,
            weight_decay: keys.arch_weight_decay,
        };
        let cost = has_cost.then_some(term);
        let rule =
            DifferentiableConfig { method, optimizer, start: keys.start, first: keys.first_update, cost };
        Some(DifferentiableSearch {
            rule,
            mixtures: MixtureSettings { channel_parts: keys.channel_parts.unwrap_or(1) },
        })
    }

    /// Returns whether a differentiable search does something in an epoch that depends on the number of all epochs.
    pub(super) fn depends_on_epochs(&self) -> bool {
        let Some(search) = self.differentiable() else { return false };
        let by_method = matches!(self, Self::Gdas(_) | Self::Snas(_) | Self::DartsPt(_));
        by_method || search.rule.start > 0.0
    }

    /// Returns whether the operations of the supernet see a part of the channels.
    pub(crate) fn has_partial_channels(&self) -> bool {
        self.differentiable().is_some_and(|search| search.mixtures.channel_parts > 1)
    }

    /// Returns the name of the rule in configs.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Self::SummedPaths => "summed-paths",
            Self::Sumnas(_) => "sumnas",
            Self::Nsas(_) => "nsas",
            Self::Close(_) => "close",
            Self::MagicAt(_) => "magic-at",
            Self::Darts(_) => "darts",
            Self::PcDarts(_) => "pc-darts",
            Self::DartsPt(_) => "darts-pt",
            Self::Gdas(_) => "gdas",
            Self::Snas(_) => "snas",
            Self::ProxylessNas(_) => "proxyless-nas",
            Self::FbNet(_) => "fbnet",
        }
    }

    /// Checks the numbers of a differentiable search, and that it fits the other settings of the run. Other rules pass.
    pub(super) fn check_differentiable(&self, run: &RunConfig) -> Result<(), ConfigError> {
        let Some(keys) = self.differentiable_keys() else { return Ok(()) };
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let share = |value: f64| (0.0..1.0).contains(&value);
        check("update.arch_lr", keys.arch_lr, positive(keys.arch_lr), "positive")?;
        check("update.arch_beta1", keys.arch_beta1, share(keys.arch_beta1), "at least 0 and below 1")?;
        let decay = keys.arch_weight_decay;
        check("update.arch_weight_decay", decay, decay >= 0.0 && decay.is_finite(), "at least 0")?;
        check("update.start", keys.start, share(keys.start), "at least 0 and below 1")?;
        for temperature in keys.temperature.iter().flatten() {
            check("update.temperature", temperature, positive(*temperature), "positive")?;
        }
        if let Some(temperature) = keys.first_temperature {
            check("update.first_temperature", temperature, positive(temperature), "positive")?;
        }
        if let Some(exponent) = keys.cost_exponent {
            check("update.cost_exponent", exponent, exponent.is_finite(), "finite")?;
        }
        if let Some(decay) = keys.temperature_decay {
            check("update.temperature_decay", decay, decay > 0.0 && decay <= 1.0, "above 0 and at most 1")?;
        }
        if let Some(start) = keys.selection_start {
            check("update.selection_start", start, share(start), "at least 0 and below 1")?;
        }
        if let Some(lr) = keys.selection_lr {
            check("update.selection_lr", lr, positive(lr), "positive")?;
        }
        if let Some(weight) = keys.cost_weight {
            check("update.cost_weight", weight, weight >= 0.0 && weight.is_finite(), "at least 0")?;
        }
        if let Some(target) = keys.cost_target {
            check("update.cost_target", target, target > 1.0 && target.is_finite(), "above 1")?;
        }
        let rule = self.rule();
        let space = run.supernet.space;
        let has_cost = self.differentiable().is_some_and(|search| search.rule.cost.is_some());
        let range = "left out or 0 in the space darts, where the cost of an edge depends on the inputs that its node keeps";
        check("update.cost_weight", "given", !has_cost || space != SpaceName::Darts, range)?;
        let single =
            matches!(space, SpaceName::Nb201 | SpaceName::Darts) || !matches!(self, Self::PcDarts(_));
        let range = "another rule in a space of layers: PC-DARTS weighs the edges of a node, and a layer has one input";
        check("update.rule", rule, single, range)?;
        if let Some(parts) = keys.channel_parts {
            let channels = run.supernet.channels.unwrap_or(0);
            let range = "at least 2 and a divisor of supernet.channels; with one part, PC-DARTS is DARTS without edge weights: update.rule = \"darts\"";
            check("update.channel_parts", parts, parts > 1 && channels.is_multiple_of(parts), range)?;
        }
        let range = "left out if update.rule is a differentiable search, which trains a mixture of all operations and draws no paths";
        check("split", "given", run.split.is_none(), range)?;
        let range = "\"uniform\" if update.rule is a differentiable search, which draws no paths";
        check("paths.rule", run.paths.rule(), run.paths == PathsConfig::Uniform, range)?;
        let range = "\"uniform\" if update.rule is a differentiable search";
        check("images.rule", "importance", run.images == ImagesConfig::Uniform, range)?;
        let range = "\"half\" or \"nas-bench-201\" if update.rule is a differentiable search other than snas: architecture parameters are trained on the \
                     validation images, which are the other half of the training images";
        let has_half = run.data.train != TrainPart::All || matches!(self, Self::Snas(_));
        check("data.train", "all", has_half, range)
    }
}
