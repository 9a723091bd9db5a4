use pada_sampler::{
    DataImportanceConfig, DistributionScope, ImportanceWeights, LinearSchedule, ParetoPathsConfig,
    PathImportanceConfig, Replacement, Unseen, Variant,
};
use pada_trainer::ImageScore;
use serde::{Deserialize, Serialize};

/// The path sampler: the section `[paths]`. Each rule has its own keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PathsConfig {
    /// Every operation has the same probability: SPOS.
    Uniform,
    /// Every architecture whose cell connects input and output has the same probability: the paths of gradient matching.
    Connected,
    /// Operations are drawn in proportion to their gradient norms: PA&DA.
    Importance(PathImportanceConfig),
    /// Every operation of a decision is drawn exactly once in every step: FairNAS.
    Fair {
        /// The released code or the text of the paper, where the two differ.
        variant: Variant,
    },
    /// Every path differs from the previous one in one decision: Magic-T.
    OneChange,
    /// Operations are drawn from a given distribution. This is a control experiment.
    Constant {
        /// `[O]`, the probability of every operation, in digit order.
        distribution: Vec<f64>,
        /// Share of this distribution in the mixture with the uniform distribution.
        smoothing: LinearSchedule,
    },
    /// Paths are drawn near the Pareto front of training loss and multiply-adds.
    Pareto(ParetoPathsConfig),
    /// A sampler that a program provides with [`Experiment::path_sampler`](crate::Experiment::path_sampler).
    Own {
        /// Name of the sampler, which the program chooses.
        name: String,
    },
}

impl PathsConfig {
    /// Returns the rule of PA&DA with the settings of the released code.
    pub fn importance() -> Self {
        Self::Importance(PathImportanceConfig::default())
    }
}

impl ImagesConfig {
    /// Returns the rule of PA&DA with the settings of the released code.
    pub fn importance() -> Self {
        Self::Importance(ImageImportanceConfig::default())
    }
}

/// The data sampler: the section `[images]`. Each rule has its own keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ImagesConfig {
    /// Every image is drawn once per epoch.
    Uniform,
    /// Images are drawn in proportion to their gradient norms: PA&DA.
    Importance(ImageImportanceConfig),
}

/// Settings of `images.rule = "importance"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageImportanceConfig {
    /// The released code or the text of the paper, where the two differ.
    pub variant: Variant,
    /// τ, the share of the importance distribution in the mixture with the uniform distribution.
    pub smoothing: LinearSchedule,
    /// Weights of the losses, for example 1/(N·q) for an image with probability q.
    pub importance_weights: ImportanceWeights,
    /// Sampling with or without replacement: whether an image can be drawn more than once per epoch.
    pub replacement: Replacement,
    /// Importance of an image that was not drawn in an epoch: zero, or its last score, which is not part of the paper.
    #[serde(skip_serializing_if = "is_zero")]
    pub unseen: Unseen,
    /// The score of an image. Images are drawn in proportion to it.
    pub score: ImageScore,
}

/// Left out of the identity of a run, so that checkpoints that were written before this setting existed still belong to their run.
fn is_zero(unseen: &Unseen) -> bool {
    *unseen == Unseen::Zero
}

impl ImageImportanceConfig {
    /// Returns the settings of the data sampler.
    pub fn sampler(&self) -> DataImportanceConfig {
        DataImportanceConfig::default()
            .with_variant(self.variant)
            .with_smoothing(self.smoothing)
            .with_importance_weights(self.importance_weights)
            .with_replacement(self.replacement)
            .with_unseen(self.unseen)
    }
}

impl ImagesConfig {
    /// Returns the score that every training step computes for its images.
    pub fn score(&self) -> ImageScore {
        match self {
            Self::Uniform => ImageScore::default(),
            Self::Importance(config) => config.score,
        }
    }
}

impl PathsConfig {
    /// Returns true if the rule can draw paths from sub-supernets, whose decisions have different operations.
    pub(crate) fn works_on_parts(&self) -> bool {
        match self {
            Self::Uniform
            | Self::Connected
            | Self::Importance(_)
            | Self::OneChange
            | Self::Pareto(_)
            | Self::Own { .. } => true,
            Self::Fair { .. } | Self::Constant { .. } => false,
        }
    }

    /// Returns the name of the rule in a config.
    pub(crate) fn rule(&self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Connected => "connected",
            Self::Importance(_) => "importance",
            Self::Fair { .. } => "fair",
            Self::OneChange => "one-change",
            Self::Constant { .. } => "constant",
            Self::Pareto(_) => "pareto",
            Self::Own { .. } => "own",
        }
    }
}

/// Describes both samplers in words, for records: their names, the variant, and every setting that differs from PA&DA.
pub(super) fn describe(paths: &PathsConfig, images: &ImagesConfig) -> String {
    let name = match (paths, images) {
        (PathsConfig::Importance(p), ImagesConfig::Importance(_)) => format!("PA&DA ({})", p.variant),
        (PathsConfig::Importance(p), ImagesConfig::Uniform) => format!("PA ({})", p.variant),
        (PathsConfig::Uniform, ImagesConfig::Uniform) => "SPOS".to_owned(),
        (PathsConfig::Uniform, ImagesConfig::Importance(i)) => format!("DA ({})", i.variant),
        (PathsConfig::Connected, _) => "connected paths".to_owned(),
        (PathsConfig::Fair { variant }, _) => format!("fair paths ({variant})"),
        (PathsConfig::OneChange, _) => "one change a path".to_owned(),
        (PathsConfig::Constant { .. }, _) => "constant paths".to_owned(),
        (PathsConfig::Pareto(_), _) => "paths near the Pareto front".to_owned(),
        (PathsConfig::Own { name }, _) => format!("own paths ({name})"),
    };
    let mut parts = vec![name];
    let importance = match paths {
        PathsConfig::Importance(config) => Some(config),
        _ => None,
    };
    let mut unbiased = importance.is_some_and(|p| p.importance_weights == ImportanceWeights::Unbiased);
    if let ImagesConfig::Importance(images) = images {
        let (variant, smoothing) = match paths {
            PathsConfig::Importance(p) => (Some(p.variant), p.smoothing),
            PathsConfig::Fair { variant } => (Some(*variant), LinearSchedule::default()),
            PathsConfig::Pareto(p) => (None, p.smoothing),
            PathsConfig::Constant { smoothing, .. } => (None, *smoothing),
            PathsConfig::Uniform => (Some(images.variant), LinearSchedule::default()),
            PathsConfig::Connected | PathsConfig::OneChange | PathsConfig::Own { .. } => {
                (None, LinearSchedule::default())
            }
        };
        if importance.is_none() && *paths != PathsConfig::Uniform {
            parts.push("images by importance".to_owned());
        }
        if images.variant != variant.unwrap_or_default() {
            parts.push(format!("images as in {}", images.variant));
        }
        if images.smoothing != smoothing {
            let LinearSchedule { first, last } = images.smoothing;
            parts.push(format!("images from {first} to {last} by importance"));
        }
        unbiased |= images.importance_weights == ImportanceWeights::Unbiased;
    }
    let scope = importance.map(|p| p.scope);
    let image = match images {
        ImagesConfig::Uniform => None,
        ImagesConfig::Importance(config) => Some(config),
    };
    let switches = [
        (unbiased, "unbiased losses"),
        (scope == Some(DistributionScope::Kind), "p per kind of positions"),
        (scope == Some(DistributionScope::Position), "p per position"),
        (image.is_some_and(|i| i.replacement == Replacement::Without), "without replacement"),
        (image.is_some_and(|i| i.unseen == Unseen::Keep), "unseen images keep their score"),
        (image.is_some_and(|i| i.score == ImageScore::LastLayer), "images by last-layer norm"),
        (image.is_some_and(|i| i.score == ImageScore::Loss), "images by loss"),
    ];
    parts.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, text)| text.to_owned()));
    parts.join(", ")
}
