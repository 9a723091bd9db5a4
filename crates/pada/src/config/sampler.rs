use pada_sampler::{
    DataImportanceConfig, ImportanceWeights, PathImportanceConfig, Ramp, Replacement, Variant,
};
use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// Which paths and which images are trained. The keys behind the two rules are needed by `importance` and have no effect on
/// the other rules.
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
    /// Whose rule where paper and released code differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// Share of the importance distribution, linear in the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<Ramp>,
    /// Whether losses are weighted so that their mean estimates the uniform one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importance_weights: Option<ImportanceWeights>,
    /// Largest weight of a path's loss; needed by `path = "importance"` with `importance_weights = "unbiased"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_bound: Option<f64>,
    /// Whether an image can come twice in an epoch; needed by `data = "importance"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<Replacement>,
}

/// How paths are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathRule {
    /// Each operation equally often (SPOS).
    Uniform,
    /// In proportion to gradient norms (PA&DA).
    Importance,
    /// One architecture, always: training from scratch.
    Fixed,
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
        Ok(PathImportanceConfig {
            variant: need(self.variant, "variant", PATH)?,
            smoothing: need(self.smoothing, "smoothing", PATH)?,
            importance_weights,
            weight_bound,
        })
    }

    /// Settings of the data sampler for `data = "importance"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn data_importance(&self) -> Result<DataImportanceConfig, ConfigError> {
        Ok(DataImportanceConfig {
            variant: need(self.variant, "variant", DATA)?,
            smoothing: need(self.smoothing, "smoothing", DATA)?,
            importance_weights: need(self.importance_weights, "importance_weights", DATA)?,
            replacement: need(self.replacement, "replacement", DATA)?,
        })
    }

    /// The architecture of `path = "fixed"`.
    ///
    /// # Errors
    /// [`ConfigError::Missing`]
    pub fn fixed_arch(&self) -> Result<&str, ConfigError> {
        need(self.arch.as_deref(), "arch", "path = \"fixed\"")
    }

    /// The rules in words, for records.
    pub fn describe(&self) -> String {
        let variant = match self.variant {
            Some(Variant::Paper) => "paper",
            _ => "released",
        };
        match (self.path, self.data) {
            (PathRule::Importance, DataRule::Importance) => format!("PA&DA ({variant})"),
            (PathRule::Uniform, DataRule::Uniform) => "SPOS".to_owned(),
            (PathRule::Importance, DataRule::Uniform) => format!("PA ({variant})"),
            (PathRule::Uniform, DataRule::Importance) => format!("DA ({variant})"),
            (PathRule::Fixed, _) => format!("{} from scratch", self.arch.as_deref().unwrap_or_default()),
        }
    }
}

const PATH: &str = "path = \"importance\"";
const DATA: &str = "data = \"importance\"";

fn need<T>(value: Option<T>, key: &'static str, by: &'static str) -> Result<T, ConfigError> {
    value.ok_or(ConfigError::Missing { key, by })
}
