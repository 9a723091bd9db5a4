//! The keys of `[update]` for differentiable searches.

use pada_models::MixtureSettings;
use pada_search::{ArchOptimizer, CostTerm, ReinforceConfig, ZerothOrder};
use pada_trainer::rules::{
    ConstraintLoss, Constraints, DartsOrder, DifferentiableConfig, DifferentiableMethod, EnasConfig,
    FirstUpdate, NsasConfig, Zarts,
};
use serde::{Deserialize, Serialize};

use super::samplers::{ImagesConfig, PathsConfig};
use super::{ConfigError, RunConfig, SpaceName, SplitConfig, TrainPart, UpdateConfig, check};

/// The names of all training rules: those for paths, then searches that train logits, then the others.
pub(super) const RULES: [&str; 17] = [
    "summed-paths",
    "sumnas",
    "nsas",
    "close",
    "magic-at",
    "darts",
    "pc-darts",
    "darts-pt",
    "gdas",
    "gdas-nsas",
    "snas",
    "proxyless-nas",
    "fbnet",
    "zarts",
    "balenas",
    "agnas",
    "enas",
];

/// Number of rules for paths.
const PATH_RULES: usize = 5;

/// The names of the search methods that are training rules: differentiable searches, and ENAS.
pub const SEARCH_RULES: &[&str] = RULES.split_at(PATH_RULES).1;

/// The searches that train logits.
pub(super) const WITH_LOGITS: &[&str] = SEARCH_RULES.split_at(10).0;

/// The searches that train logits or a controller by Adam; ENAS is the last.
pub(super) const WITH_LEARNING_RATE: &[&str] = &[
    "darts",
    "pc-darts",
    "darts-pt",
    "gdas",
    "gdas-nsas",
    "snas",
    "proxyless-nas",
    "fbnet",
    "balenas",
    "enas",
];

/// The searches that train logits by Adam.
pub(super) const WITH_ADAM: &[&str] = WITH_LEARNING_RATE.split_at(WITH_LEARNING_RATE.len() - 1).0;

/// Settings of a differentiable search. Each optional key belongs to the methods that its description names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DifferentiableKeys {
    /// Learning rate of Adam for the architecture parameters, for all but `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch_lr: Option<f64>,
    /// β₁ of Adam, for all but `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch_beta1: Option<f64>,
    /// L2 decay of the architecture parameters, for all but `zarts`. For `balenas` it is the precision of the prior per validation image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch_weight_decay: Option<f64>,
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
    /// β, the share of the constraint paths in the loss of the weights, for `gdas-nsas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta: Option<f64>,
    /// M, the number of constraint paths, for `gdas-nsas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<usize>,
    /// First temperature, for `fbnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_temperature: Option<f64>,
    /// Factor on the temperature per epoch, for `fbnet`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_decay: Option<f64>,
    /// Steps of the weights per step of the architecture parameters, for `proxyless-nas` and `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<usize>,
    /// Share of the epochs after which operations are chosen, for `darts-pt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_start: Option<f64>,
    /// Learning rate of the weights from then on, for `darts-pt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_lr: Option<f64>,
    /// K, the number of displacements of the architecture parameters that are tried in a step, for `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// M, the number of steps of the weights after each displacement, for `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_steps: Option<usize>,
    /// σ, the first standard deviation of displacements, for `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// τ, the difference of losses at which the weight of a displacement falls by a factor of e, for `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_temperature: Option<f64>,
    /// λ, the probability that a displacement is drawn around 0, for `zarts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undirected: Option<f64>,
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

/// Settings of ENAS.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnasKeys {
    /// Learning rate of Adam for the controller.
    pub arch_lr: f64,
    /// Number of updates of the controller after each epoch.
    pub controller_steps: usize,
    /// Number of architectures per update.
    pub controller_batch: usize,
    /// Weight of the entropy of the controller in its reward.
    pub entropy_weight: f64,
    /// Number of architectures that are drawn and compared after each epoch.
    pub candidates: usize,
}

/// A search that is a training rule: the settings of the rule, and the mixtures of its network, if it has any.
pub(crate) struct DifferentiableSearch {
    pub(crate) rule: SearchRule,
    pub(crate) mixtures: Option<MixtureSettings>,
}

/// The rule of a search that trains a supernet.
pub(crate) enum SearchRule {
    /// Trains logits.
    Logits(DifferentiableConfig),
    /// Trains attention: AGNAS.
    Attention,
    /// Trains a controller: ENAS.
    Controller(EnasConfig),
}

impl SearchRule {
    /// Returns whether the rule trains logits on validation images.
    pub(crate) fn trains_on_validation(&self) -> bool {
        matches!(self, Self::Logits(config) if !matches!(config.method, DifferentiableMethod::Snas { .. }))
    }

    /// Returns the preference for cheap architectures.
    pub(crate) fn cost(&self) -> Option<CostTerm> {
        match self {
            Self::Logits(config) => config.cost,
            Self::Attention | Self::Controller(_) => None,
        }
    }
}

impl UpdateConfig {
    fn differentiable_keys(&self) -> Option<&DifferentiableKeys> {
        match self {
            Self::Darts(keys)
            | Self::PcDarts(keys)
            | Self::DartsPt(keys)
            | Self::Gdas(keys)
            | Self::GdasNsas(keys)
            | Self::Snas(keys)
            | Self::ProxylessNas(keys)
            | Self::FbNet(keys)
            | Self::Zarts(keys)
            | Self::BaleNas(keys) => Some(keys),
            _ => None,
        }
    }

    /// Returns the settings of a differentiable search, or `None` for other rules.
    pub(crate) fn differentiable(&self) -> Option<DifferentiableSearch> {
        if *self == Self::Agnas {
            let (rule, mixtures) = (SearchRule::Attention, Some(MixtureSettings::Attention));
            return Some(DifferentiableSearch { rule, mixtures });
        }
        if let Self::Enas(keys) = self {
            let controller = ReinforceConfig {
                learning_rate: keys.arch_lr,
                batch: keys.controller_batch,
                entropy_weight: keys.entropy_weight,
                ..ReinforceConfig::enas()
            };
            let EnasKeys { controller_steps, candidates, .. } = *keys;
            let rule = SearchRule::Controller(EnasConfig { controller, controller_steps, candidates });
            return Some(DifferentiableSearch { rule, mixtures: None });
        }
        let keys = self.differentiable_keys()?;
        let temperature = keys.temperature.unwrap_or([1.0; 2]);
        let method = match self {
            Self::DartsPt(_) => DifferentiableMethod::Perturbation {
                start: keys.selection_start.unwrap_or_default(),
                lr: keys.selection_lr.unwrap_or_default(),
            },
            Self::Gdas(_) | Self::GdasNsas(_) => DifferentiableMethod::Gdas { temperature },
            Self::Snas(_) => DifferentiableMethod::Snas { temperature },
            Self::ProxylessNas(_) => DifferentiableMethod::Proxyless { every: keys.every.unwrap_or(1) },
            Self::FbNet(_) => DifferentiableMethod::FbNet {
                temperature: keys.first_temperature.unwrap_or(1.0),
                decay: keys.temperature_decay.unwrap_or(1.0),
            },
            Self::Zarts(_) => DifferentiableMethod::Zarts(Zarts {
                rule: ZerothOrder {
                    samples: keys.samples.unwrap_or(1),
                    temperature: keys.loss_temperature.unwrap_or(1.0),
                    undirected: keys.undirected.unwrap_or_default(),
                },
                every: keys.every.unwrap_or(1),
                inner_steps: keys.inner_steps.unwrap_or_default(),
                deviation: keys.deviation.unwrap_or(1.0),
            }),
            Self::BaleNas(_) => DifferentiableMethod::Variational,
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
            learning_rate: keys.arch_lr.unwrap_or_default(),
            beta1: keys.arch_beta1.unwrap_or_default(),
            weight_decay: keys.arch_weight_decay.unwrap_or_default(),
        };
        let cost = has_cost.then_some(term);
        let constraints = keys.beta.zip(keys.archive).map(|(beta, archive)| NsasConfig {
            beta,
            constraints: Constraints::Archive(archive),
            constraint_loss: ConstraintLoss::Trained,
        });
        let (start, first) = (keys.start, keys.first_update);
        let rule = DifferentiableConfig { method, optimizer, start, first, cost, constraints };
        Some(DifferentiableSearch {
            rule: SearchRule::Logits(rule),
            mixtures: Some(MixtureSettings::Factors { channel_parts: keys.channel_parts.unwrap_or(1) }),
        })
    }

    /// Returns whether a differentiable search does something in an epoch that depends on the number of all epochs.
    pub(super) fn depends_on_epochs(&self) -> bool {
        let by_method = matches!(
            self,
            Self::Gdas(_) | Self::GdasNsas(_) | Self::Snas(_) | Self::DartsPt(_) | Self::Zarts(_)
        );
        by_method || self.differentiable_keys().is_some_and(|keys| keys.start > 0.0)
    }

    /// Returns whether the operations of the supernet see a part of the channels.
    pub(crate) fn has_partial_channels(&self) -> bool {
        let mixtures = self.differentiable().and_then(|search| search.mixtures);
        mixtures.is_some_and(|mixtures| mixtures.channel_parts() > 1)
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
            Self::GdasNsas(_) => "gdas-nsas",
            Self::Snas(_) => "snas",
            Self::ProxylessNas(_) => "proxyless-nas",
            Self::FbNet(_) => "fbnet",
            Self::Zarts(_) => "zarts",
            Self::BaleNas(_) => "balenas",
            Self::Agnas => "agnas",
            Self::Enas(_) => "enas",
        }
    }

    /// Checks the numbers of a differentiable search, and that it fits the other settings of the run. Other rules pass.
    pub(super) fn check_differentiable(&self, run: &RunConfig) -> Result<(), ConfigError> {
        let Some(search) = self.differentiable() else { return Ok(()) };
        if let Some(keys) = self.differentiable_keys() {
            keys.check_numbers()?;
            // With a split, the last stage decides.
            let epochs = match &run.split {
                None => run.train.epochs,
                Some(SplitConfig::FewShot(split)) => split.leaf_epochs,
                Some(SplitConfig::GradientMatching(split)) => split.leaf_epochs,
            };
            let trains = keys.start * (epochs as f64) <= epochs as f64 - 1.0;
            let range = "smaller, so that at least one epoch trains architecture parameters; set update.start=0, or more epochs";
            check(
                "update.start",
                format!("{} of {epochs} epochs", keys.start),
                trains || epochs == 0,
                range,
            )?;
            let range =
                "left out if update.rule is \"darts-pt\", which chooses all operations before a split";
            check("split", "given", run.split.is_none() || !matches!(self, Self::DartsPt(_)), range)?;
        }
        if let Self::Enas(keys) = self {
            let positive = keys.arch_lr > 0.0 && keys.arch_lr.is_finite();
            check("update.arch_lr", keys.arch_lr, positive, "positive")?;
            let weight = keys.entropy_weight;
            check("update.entropy_weight", weight, weight >= 0.0 && weight.is_finite(), "at least 0")?;
            let range = "another rule in a space whose batch norms have running statistics: ENAS compares paths on one batch, and these would have \
                         to be recalibrated for each of them";
            check("update.rule", "enas", !run.supernet.space.recalibrates(), range)?;
        }
        if let SearchRule::Logits(DifferentiableConfig {
            method: DifferentiableMethod::Variational,
            optimizer,
            ..
        }) = &search.rule
        {
            let decay = optimizer.weight_decay;
            let range = "positive if update.rule is \"balenas\", whose prior it is";
            check("update.arch_weight_decay", decay, decay > 0.0, range)?;
        }
        let rule = self.rule();
        let space = run.supernet.space;
        let has_cost = search.rule.cost().is_some();
        let range = "left out or 0 in the space darts, where the cost of an edge depends on the inputs that its node keeps";
        check("update.cost_weight", "given", !has_cost || space != SpaceName::Darts, range)?;
        let is_cell = space.cell().is_some();
        let range = "another rule in a space of layers: PC-DARTS weighs the edges of a node, and a layer has one input";
        check("update.rule", rule, is_cell || !matches!(self, Self::PcDarts(_)), range)?;
        let range =
            "another rule in a space of layers: the attention of AGNAS belongs to the edges of a cell";
        check("update.rule", rule, is_cell || *self != Self::Agnas, range)?;
        if let Some(parts) = self.differentiable_keys().and_then(|keys| keys.channel_parts) {
            let channels = run.supernet.channels.unwrap_or(0);
            let range = "at least 2 and a divisor of supernet.channels; with one part, PC-DARTS is DARTS without edge weights: update.rule = \"darts\"";
            check("update.channel_parts", parts, parts > 1 && channels.is_multiple_of(parts), range)?;
        }
        let range = "\"uniform\" if update.rule is a search that trains a supernet of its own, because it chooses paths itself";
        check("paths.rule", run.paths.rule(), run.paths == PathsConfig::Uniform, range)?;
        let range = "\"uniform\" if update.rule is a search that trains a supernet of its own";
        check("images.rule", "importance", run.images == ImagesConfig::Uniform, range)?;
        let range = "\"half\" or \"nas-bench-201\" if update.rule is a search other than snas: it needs validation images, which are the other half of \
                     the training images";
        let has_half = run.data.train != TrainPart::All || matches!(self, Self::Snas(_));
        check("data.train", "all", has_half, range)
    }
}

impl DifferentiableKeys {
    /// Checks the ranges of all numbers that need no other section.
    fn check_numbers(&self) -> Result<(), ConfigError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let at_least_0 = |value: f64| value >= 0.0 && value.is_finite();
        let share = |value: f64| (0.0..1.0).contains(&value);
        let probability = |value: f64| (0.0..=1.0).contains(&value);
        let given = |key, value: Option<f64>, is_in: &dyn Fn(f64) -> bool, range| match value {
            Some(value) => check(key, value, is_in(value), range),
            None => Ok(()),
        };
        given("update.arch_lr", self.arch_lr, &positive, "positive")?;
        given("update.arch_beta1", self.arch_beta1, &share, "at least 0 and below 1")?;
        given("update.arch_weight_decay", self.arch_weight_decay, &at_least_0, "at least 0")?;
        check("update.start", self.start, share(self.start), "at least 0 and below 1")?;
        for temperature in self.temperature.iter().flatten() {
            check("update.temperature", temperature, positive(*temperature), "positive")?;
        }
        given("update.beta", self.beta, &share, "at least 0 and below 1")?;
        given("update.first_temperature", self.first_temperature, &positive, "positive")?;
        let decay = |value: f64| value > 0.0 && value <= 1.0;
        given("update.temperature_decay", self.temperature_decay, &decay, "above 0 and at most 1")?;
        given("update.selection_start", self.selection_start, &share, "at least 0 and below 1")?;
        given("update.selection_lr", self.selection_lr, &positive, "positive")?;
        given("update.deviation", self.deviation, &positive, "positive")?;
        given("update.loss_temperature", self.loss_temperature, &positive, "positive")?;
        given("update.undirected", self.undirected, &probability, "at least 0 and at most 1")?;
        given("update.cost_weight", self.cost_weight, &at_least_0, "at least 0")?;
        given("update.cost_exponent", self.cost_exponent, &f64::is_finite, "finite")?;
        let target = |value: f64| value > 1.0 && value.is_finite();
        given("update.cost_target", self.cost_target, &target, "above 1")
    }
}
