use pada_trainer::rules::{MagicAtConfig, NsasConfig, SumnasConfig};
use serde::{Deserialize, Serialize};

/// What a training step does with its paths: the section `[rule]`, optional; without it `summed-paths`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum RuleConfig {
    /// The paths' gradients are summed and moved along once: SPOS, FairNAS, PA&DA.
    SummedPaths(NoSettings),
    /// Each path is adapted for a few steps; the supernet moves towards their mean.
    Sumnas(SumnasConfig),
    /// Constraint paths are trained beside the path.
    Nsas(NsasConfig),
    /// The path is aligned with the best path so far: Magic-AT, with `sampler.path = "one-change"`.
    MagicAt(MagicAtConfig),
}

/// A rule without settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoSettings {}

impl Default for RuleConfig {
    fn default() -> Self {
        Self::SummedPaths(NoSettings {})
    }
}

/// How a supernet is split into several, each for a part of the space: the section `[split]`, optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum SplitConfig {
    /// Few-Shot NAS: every operation of some positions gets a supernet.
    FewShot(FewShotConfig),
    /// Gradient matching: operations whose gradients disagree go apart.
    GradientMatching(GradientMatchingConfig),
}

/// Settings of Few-Shot NAS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FewShotConfig {
    /// Positions whose operations are separated, from 0.
    pub positions: Vec<usize>,
    /// Epochs that each part trains, starting from the weights of the whole.
    pub leaf_epochs: usize,
}

/// Settings of the splits by gradient matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientMatchingConfig {
    /// How often every supernet is split in two: 3 for 8 parts.
    pub splits: usize,
    /// Pairs of a batch and a random path that each operation's gradient is compared over.
    pub samples: usize,
    /// Epochs a part trains before it is split again.
    pub between_epochs: usize,
    /// Epochs that each part trains after the last split.
    pub leaf_epochs: usize,
    /// Whether parts start anew after the last split.
    pub last: LastSplit,
}

/// Where the parts of the last split start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastSplit {
    /// From new weights.
    Reinitialise,
    /// From the weights of the supernet they are a part of.
    Inherit,
}
