use pada_sampler::{
    DataImportanceConfig, DistributionScope, ImportanceWeights, LinearSchedule, ParetoPathsConfig,
    PathImportanceConfig, Replacement, Variant,
};
use pada_trainer::ImageScore;
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Which paths and which images are trained. The keys behind the two rules have an effect on the rules they name only, and are
/// needed there unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplerConfig {
    /// How paths are drawn.
    pub path: PathRule,
    /// How images are drawn.
    pub data: DataRule,
    /// The one architecture that `path = "fixed"` trains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Whose rule where paper and released code differ: `importance` and `fair`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// Whose rule `data = "importance"` follows, where it is another than `variant`; optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_variant: Option<Variant>,
    /// Share of the importance distribution, linear in the epoch: `importance`, `constant`, `pareto`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<LinearSchedule>,
    /// The same for `data = "importance"`, where it is another than `smoothing`; optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_smoothing: Option<LinearSchedule>,
    /// Whether losses are weighted so that their mean estimates the uniform one: `importance`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance_weights: Option<ImportanceWeights>,
    /// Largest weight of a path's loss; needed by `path = "importance"` with `importance_weights = "unbiased"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_bound: Option<f64>,
    /// Over what p is shared, for `path = "importance"`: `all` positions, those of one `kind` (normal and reduction cells of darts,
    /// first and further layers of a stage of proxyless and macro), or one `position`; optional: `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<DistributionScope>,
    /// Whether an image can come twice in an epoch; needed by `data = "importance"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
    /// What `data = "importance"` goes by; optional: `logits`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_score: Option<ImageScore>,
    /// `[O]`, the distribution of `path = "constant"` over the operations in digit order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Vec<f64>>,
    /// How many paths `path = "pareto"` remembers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<usize>,
}

/// How paths are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathRule {
    /// Each operation equally often (SPOS).
    Uniform,
    /// In proportion to gradient norms (PA&DA).
    Importance,
    /// One architecture, always: training from scratch.
    Fixed,
    /// Each operation of each position once in every step (FairNAS).
    Fair,
    /// Each path differs from the last in one position (Magic-T).
    OneChange,
    /// From a given distribution over operations: a control.
    Constant,
    /// Near paths that are best in training loss and multiply-adds.
    Pareto,
}

/// How images are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataRule {
    /// Each image once an epoch.
    Uniform,
    /// In proportion to gradient norms (PA&DA).
    Importance,
}

impl SamplerConfig {
    /// Settings of the path sampler for `path = "importance"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn path_importance(&self) -> Result<PathImportanceConfig, ConfigError> {
        let importance_weights = need(self.importance_weights, "importance_weights", PATH)?;
        let weight_bound = match importance_weights {
            ImportanceWeights::None => f64::INFINITY,
            ImportanceWeights::Unbiased => {
                need(self.weight_bound, "weight_bound", "importance_weights = \"unbiased\"")?
            }
        };
        Ok(PathImportanceConfig::default()
            .with_variant(need(self.variant, "variant", PATH)?)
            .with_smoothing(need(self.smoothing, "smoothing", PATH)?)
            .with_importance_weights(importance_weights)
            .with_weight_bound(weight_bound)
            .with_scope(self.share.unwrap_or_default()))
    }

    /// Settings of the data sampler for `data = "importance"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn data_importance(&self) -> Result<DataImportanceConfig, ConfigError> {
        Ok(DataImportanceConfig::default()
            .with_variant(need(self.data_variant.or(self.variant), "variant", DATA)?)
            .with_smoothing(need(self.data_smoothing.or(self.smoothing), "smoothing", DATA)?)
            .with_importance_weights(need(self.importance_weights, "importance_weights", DATA)?)
            .with_replacement(need(self.replacement, "replacement", DATA)?))
    }

    /// Settings of the path sampler for `path = "pareto"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn pareto(&self) -> Result<ParetoPathsConfig, ConfigError> {
        const PARETO: &str = "path = \"pareto\"";
        let smoothing = need(self.smoothing, "smoothing", PARETO)?;
        Ok(ParetoPathsConfig::new(smoothing, need(self.memory, "memory", PARETO)?))
    }

    /// Target and share of `path = "constant"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn constant(&self) -> Result<(&[f64], LinearSchedule), ConfigError> {
        const CONSTANT: &str = "path = \"constant\"";
        let target = need(self.distribution.as_deref(), "distribution", CONSTANT)?;
        Ok((target, need(self.smoothing, "smoothing", CONSTANT)?))
    }

    /// Whose rule `path = "fair"` follows.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn fair(&self) -> Result<Variant, ConfigError> {
        need(self.variant, "variant", "path = \"fair\"")
    }

    /// The architecture of `path = "fixed"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn fixed_arch(&self) -> Result<&str, ConfigError> {
        need(self.arch.as_deref(), "arch", "path = \"fixed\"")
    }

    /// Whether paths can be drawn from parts whose positions have different operations.
    pub(crate) fn works_on_parts(&self) -> bool {
        match self.path {
            PathRule::Uniform | PathRule::OneChange | PathRule::Pareto => true,
            PathRule::Importance => self.share == Some(DistributionScope::Position),
            PathRule::Fixed | PathRule::Fair | PathRule::Constant => false,
        }
    }

    /// The rules in words, for records: their names, whose variant, and every switch that is not the usual one.
    pub fn describe(&self) -> String {
        let variant = self.variant.unwrap_or_default();
        let name = match (self.path, self.data) {
            (PathRule::Importance, DataRule::Importance) => format!("PA&DA ({variant})"),
            (PathRule::Importance, DataRule::Uniform) => format!("PA ({variant})"),
            (PathRule::Uniform, DataRule::Uniform) => "SPOS".to_owned(),
            (PathRule::Uniform, DataRule::Importance) => {
                format!("DA ({})", self.data_variant.unwrap_or(variant))
            }
            (PathRule::Fixed, _) => {
                return format!("{} from scratch", self.arch.as_deref().unwrap_or_default());
            }
            (PathRule::Fair, _) => format!("fair paths ({variant})"),
            (PathRule::OneChange, _) => "one change a path".to_owned(),
            (PathRule::Constant, _) => "constant paths".to_owned(),
            (PathRule::Pareto, _) => "paths near the Pareto front".to_owned(),
        };
        let (paths, data) = (self.path == PathRule::Importance, self.data == DataRule::Importance);
        let named = paths || self.path == PathRule::Uniform;
        let mut parts = vec![name];
        if data && !named {
            parts.push("images by importance".to_owned());
        }
        if let (true, Some(variant)) = (data && self.path != PathRule::Uniform, self.data_variant) {
            parts.push(format!("images as in {variant}"));
        }
        if let (true, Some(LinearSchedule { first, last })) = (data, self.data_smoothing) {
            parts.push(format!("images from {first} to {last} by importance"));
        }
        let unbiased = self.importance_weights == Some(ImportanceWeights::Unbiased);
        let switches = [
            ((paths || data) && unbiased, "unbiased losses"),
            (paths && self.share == Some(DistributionScope::Kind), "p per kind of positions"),
            (paths && self.share == Some(DistributionScope::Position), "p per position"),
            (data && self.replacement == Some(Replacement::Without), "without replacement"),
            (data && self.image_score == Some(ImageScore::LastLayer), "images by last-layer norm"),
            (data && self.image_score == Some(ImageScore::Loss), "images by loss"),
        ];
        parts.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, text)| text.to_owned()));
        parts.join(", ")
    }
}

const PATH: &str = "path = \"importance\"";
const DATA: &str = "data = \"importance\"";

fn need<T>(value: Option<T>, key: &'static str, by: &'static str) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { key, by })
}
