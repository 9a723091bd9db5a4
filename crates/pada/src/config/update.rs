use pada_trainer::rules::{CloseConfig, Constraints, MagicAtConfig, NsasConfig, SumnasConfig};
use serde::{Deserialize, Serialize};

use super::{ConfigError, RunConfig, SpaceName, check};

/// What a training step does with the gradients of its paths: the section `[update]`. Each rule has its own keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UpdateConfig {
    /// The gradients of all paths of a step are added, and one SGD step follows: SPOS, FairNAS, PA&DA.
    #[default]
    SummedPaths,
    /// Each path is adapted for a few steps; the supernet moves towards their mean.
    Sumnas(SumnasConfig),
    /// Constraint paths are trained beside the path.
    Nsas(NsasConfig),
    /// Edges share blocks of weights, fewer and fewer edges one block.
    Close(CloseConfig),
    /// The path is aligned with the best path so far: Magic-AT, with `paths.rule = "one-change"`.
    MagicAt(MagicAtConfig),
}

impl UpdateConfig {
    /// Checks its numbers, and that the rest of the run suits it.
    pub(super) fn check(&self, run: &RunConfig) -> Result<(), ConfigError> {
        match self {
            Self::SummedPaths => Ok(()),
            Self::Sumnas(c) => {
                check("update.inner_steps", c.inner_steps, c.inner_steps > 0, "at least 1")?;
                let lr = c.inner_lr > 0.0 && c.inner_lr.is_finite();
                check("update.inner_lr", c.inner_lr, lr, "positive")?;
                let momentum = (0.0..1.0).contains(&c.inner_momentum);
                check("update.inner_momentum", c.inner_momentum, momentum, "in 0..1")
            }
            Self::Nsas(c) => {
                check("update.beta", c.beta, (0.0..1.0).contains(&c.beta), "in 0..1")?;
                let none = c.constraints == Constraints::Archive(0);
                check("update.constraints.archive", 0_usize, !none, "at least 1")
            }
            Self::Close(close) => check_close(close, run),
            Self::MagicAt(c) => {
                let weight = c.weight >= 0.0 && c.weight.is_finite();
                check("update.weight", c.weight, weight, "at least 0")?;
                let aligns = run.supernet.space == SpaceName::Nb201;
                let range = "another one: only in nb201 is there an alignment of two paths";
                check("update.rule", "magic-at", aligns, range)
            }
        }
    }
}

fn check_close(close: &CloseConfig, run: &RunConfig) -> Result<(), ConfigError> {
    let (openings, gate) = (&close.openings, close.gate);
    let rises = openings.first() == Some(&0.0) && openings.is_sorted_by(|a, b| a < b);
    let inside = openings.iter().all(|&share| share < 1.0) && openings.len() <= MOST_BLOCKS;
    let shares = "shares of the run: at most 256, the first 0, each larger than the one before, all below 1";
    check("update.openings", format!("{openings:?}"), rises && inside, shares)?;
    if let Some(restart) = close.restart {
        check("update.restart", restart, restart > 0.0 && restart < 1.0, "between 0 and 1")?;
    }
    check("update.gate.embedding", gate.embedding, gate.embedding > 0, "at least 1")?;
    check("update.gate.hidden", gate.hidden, gate.hidden > 0, "at least 1")?;
    let t = gate.temperature;
    check("update.gate.temperature", t, t > 0.0 && t.is_finite(), "positive")?;
    let cell = run.supernet.space.cell().is_some();
    let range = "another one: CLOSE shares weights between the edges of a cell, which all have the same operations in nb201 only";
    check("update.rule", "close", cell, range)?;
    check("split", "given", run.split.is_none(), "left out with update.rule = \"close\"")
}

/// A block's number is one byte of the name of an assignment.
const MOST_BLOCKS: usize = 256;

/// How a supernet is split into several, each for a part of the space: the section `[split]`, optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
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
