use pada_trainer::rules::{CloseConfig, Constraints, MagicAtConfig, NsasConfig, SumnasConfig};
use serde::{Deserialize, Serialize};

use super::{RunConfig, check};
use crate::{ConfigError, SpaceName, build};

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
    /// Edges share blocks of weights, fewer and fewer edges one block.
    Close(CloseConfig),
    /// The path is aligned with the best path so far: Magic-AT, with `sampler.path = "one-change"`.
    MagicAt(MagicAtConfig),
}

impl RuleConfig {
    /// Checks its numbers, and that the rest of the run suits it.
    pub(super) fn check(&self, run: &RunConfig) -> Result<(), ConfigError> {
        match self {
            Self::SummedPaths(_) => Ok(()),
            Self::Sumnas(c) => {
                check("rule.inner_steps", c.inner_steps, c.inner_steps > 0, "at least 1")?;
                let lr = c.inner_lr > 0.0 && c.inner_lr.is_finite();
                check("rule.inner_lr", c.inner_lr, lr, "positive")?;
                let momentum = (0.0..1.0).contains(&c.inner_momentum);
                check("rule.inner_momentum", c.inner_momentum, momentum, "in 0..1")
            }
            Self::Nsas(c) => {
                check("rule.beta", c.beta, (0.0..1.0).contains(&c.beta), "in 0..1")?;
                let none = c.constraints == Constraints::Archive(0);
                check("rule.constraints.archive", 0_usize, !none, "at least 1")
            }
            Self::Close(close) => check_close(close, run),
            Self::MagicAt(c) => {
                let weight = c.weight >= 0.0 && c.weight.is_finite();
                check("rule.weight", c.weight, weight, "at least 0")?;
                let aligns = run.supernet.space == SpaceName::Nb201;
                let range = "another one: only in nb201 is there an alignment of two paths";
                check("rule.name", "magic-at", aligns, range)
            }
        }
    }
}

fn check_close(close: &CloseConfig, run: &RunConfig) -> Result<(), ConfigError> {
    let (openings, gate) = (&close.openings, close.gate);
    let rises = openings.first() == Some(&0.0) && openings.is_sorted_by(|a, b| a < b);
    let inside = openings.iter().all(|&share| share < 1.0) && openings.len() <= MOST_BLOCKS;
    let shares = "shares of the run: at most 256, the first 0, each larger than the one before, all below 1";
    check("rule.openings", format!("{openings:?}"), rises && inside, shares)?;
    if let Some(restart) = close.restart {
        check("rule.restart", restart, restart > 0.0 && restart < 1.0, "between 0 and 1")?;
    }
    check("rule.gate.embedding", gate.embedding, gate.embedding > 0, "at least 1")?;
    check("rule.gate.hidden", gate.hidden, gate.hidden > 0, "at least 1")?;
    let t = gate.temperature;
    check("rule.gate.temperature", t, t > 0.0 && t.is_finite(), "positive")?;
    let cell = build::cell(run.supernet.space).is_some();
    let range = "another one: CLOSE shares weights between the edges of a cell, which all have the same operations in nb201 only";
    check("rule.name", "close", cell, range)?;
    check("split", "given", run.split.is_none(), "left out with rule.name = \"close\"")
}

/// A block's number is one byte of the name of an assignment.
const MOST_BLOCKS: usize = 256;

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
