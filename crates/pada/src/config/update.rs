use pada_trainer::rules::{CloseConfig, Constraints, MagicAtConfig, NsasConfig, SumnasConfig};
use pada_trainer::{OptimizerName, Schedule};
use serde::{Deserialize, Serialize};

use super::differentiable::{DifferentiableKeys, EnasKeys};
use super::{ConfigError, RunConfig, SpaceName, check};

/// The training rule, which computes an update from the gradients of the paths of a step: the section `[update]`. Each rule has its own
/// keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum UpdateConfig {
    /// One SGD step with the sum of the gradients of all paths: SPOS, FairNAS, PA&DA.
    #[default]
    SummedPaths,
    /// Meta-gradient of paths that are adapted for a few steps: SUMNAS.
    Sumnas(SumnasConfig),
    /// Loss with additional constraint paths: NSAS.
    Nsas(NsasConfig),
    /// Curriculum on weight sharing: edges share blocks of weights, and the number of blocks grows: CLOSE.
    Close(CloseConfig),
    /// Alignment of each path with the best path so far: Magic-AT, together with `paths.rule = "one-change"`.
    MagicAt(MagicAtConfig),
    /// Differentiable search: DARTS.
    Darts(Box<DifferentiableKeys>),
    /// Differentiable search on a part of the channels: PC-DARTS.
    PcDarts(Box<DifferentiableKeys>),
    /// DARTS, whose operations are chosen by the accuracy without them: DARTS-PT.
    DartsPt(Box<DifferentiableKeys>),
    /// Differentiable search with hard draws: GDAS.
    Gdas(Box<DifferentiableKeys>),
    /// GDAS, whose weights are trained with the loss of NSAS: GDAS-NSAS.
    GdasNsas(Box<DifferentiableKeys>),
    /// Differentiable search with soft draws and one loss: SNAS.
    Snas(Box<DifferentiableKeys>),
    /// Differentiable search with binary gates: ProxylessNAS.
    ProxylessNas(Box<DifferentiableKeys>),
    /// Differentiable search with soft draws and a loss of costs: FBNet.
    #[serde(rename = "fbnet")]
    FbNet(Box<DifferentiableKeys>),
    /// Differentiable search that samples displacements: ZARTS.
    Zarts(Box<DifferentiableKeys>),
    /// Differentiable search over a normal distribution of logits: BaLeNAS.
    #[serde(rename = "balenas")]
    BaleNas(Box<DifferentiableKeys>),
    /// Search by the attention of a network to its operations: AGNAS.
    Agnas,
    /// Search by a controller that draws the paths and learns after each epoch: ENAS.
    Enas(EnasKeys),
}

impl UpdateConfig {
    /// Checks the numbers, and that the rule fits the other settings of the run.
    pub(super) fn check(&self, run: &RunConfig) -> Result<(), ConfigError> {
        if matches!(self, Self::Sumnas(_) | Self::Close(_)) {
            let optimizer = run.train.optimizer;
            let range = "\"sgd\" if update.rule is \"sumnas\" or \"close\", which have an SGD of their own";
            check("train.optimizer", format!("{optimizer:?}"), optimizer == OptimizerName::Sgd, range)?;
        }
        match self {
            Self::SummedPaths => Ok(()),
            Self::Sumnas(c) => {
                check("update.inner_steps", c.inner_steps, c.inner_steps > 0, "at least 1")?;
                let lr = c.inner_lr > 0.0 && c.inner_lr.is_finite();
                check("update.inner_lr", c.inner_lr, lr, "positive")?;
                let momentum = (0.0..1.0).contains(&c.inner_momentum);
                check("update.inner_momentum", c.inner_momentum, momentum, "at least 0 and below 1")
            }
            Self::Nsas(c) => {
                check("update.beta", c.beta, (0.0..1.0).contains(&c.beta), "at least 0 and below 1")?;
                let none = c.constraints == Constraints::Archive(0);
                check("update.constraints.archive", 0_usize, !none, "at least 1")
            }
            Self::Close(close) => check_close(close, run),
            Self::MagicAt(c) => {
                let weight = c.weight >= 0.0 && c.weight.is_finite();
                check("update.weight", c.weight, weight, "at least 0")?;
                let range = match run.supernet.space {
                    SpaceName::Nb201 => return Ok(()),
                    SpaceName::Darts => {
                        "another rule in the space darts: Magic-AT aligns the input and the output of an operation with those of the same \
                         place in the anchor, and an anchor lacks the edges that its nodes do not keep"
                    }
                    SpaceName::Proxyless | SpaceName::Macro => {
                        "another rule in a space whose batch norms have running statistics: Magic-AT sends the batch through path and \
                         anchor, and the norms that both share would mix the statistics of the two"
                    }
                };
                check("update.rule", "magic-at", false, range)
            }
            _ => self.check_differentiable(run),
        }
    }
}

fn check_close(close: &CloseConfig, run: &RunConfig) -> Result<(), ConfigError> {
    let (openings, gate) = (&close.openings, close.gate);
    let rises = openings.first() == Some(&0.0) && openings.is_sorted_by(|a, b| a < b);
    let inside = openings.iter().all(|&share| share < 1.0) && openings.len() <= MOST_BLOCKS;
    let shares = "a list of at most 256 increasing shares of the run, the first 0, all below 1";
    check("update.openings", format!("{openings:?}"), rises && inside, shares)?;
    if let Some(restart) = close.restart {
        let range = "left out if train.schedule is \"plateau\", whose rate depends on the losses and not on the epoch";
        check("update.restart", restart, run.train.schedule != Schedule::Plateau, range)?;
        check("update.restart", restart, restart > 0.0 && restart < 1.0, "above 0 and below 1")?;
    }
    check("update.gate.embedding", gate.embedding, gate.embedding > 0, "at least 1")?;
    check("update.gate.hidden", gate.hidden, gate.hidden > 0, "at least 1")?;
    let t = gate.temperature;
    check("update.gate.temperature", t, t > 0.0 && t.is_finite(), "positive")?;
    let cell = run.supernet.space.cell().is_some();
    let range = "another rule in a space of layers: CLOSE lets the edges of a cell share blocks of weights, and layers have weights of different \
                 shapes";
    check("update.rule", "close", cell, range)?;
    let range = "left out if update.rule is \"close\": CLOSE reduces the sharing of one supernet with its blocks, and a sub-supernet would \
                 start without the blocks and the gate of the supernet that was split";
    check("split", "given", run.split.is_none(), range)
}

/// Largest number of blocks, because the key of an assignment stores the index of a block in one byte.
const MOST_BLOCKS: usize = 256;

/// The split of a supernet into sub-supernets, each for a part of the space: the optional section `[split]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SplitConfig {
    /// Few-shot NAS: one sub-supernet for every combination of operations of some decisions.
    FewShot(FewShotConfig),
    /// Gradient matching: operations whose gradients disagree are separated.
    GradientMatching(GradientMatchingConfig),
}

/// Settings of few-shot NAS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FewShotConfig {
    /// Decisions whose operations are separated, counted from 0.
    pub positions: Vec<usize>,
    /// Number of epochs that each sub-supernet is trained, starting from the weights of the supernet.
    pub leaf_epochs: usize,
}

/// Settings of the splits by gradient matching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientMatchingConfig {
    /// Number of times that every supernet is split in two; 3 gives 8 sub-supernets.
    pub splits: usize,
    /// Number of pairs of a batch and a random path over which gradients are compared.
    pub samples: usize,
    /// Number of epochs between two splits.
    pub between_epochs: usize,
    /// Number of epochs that each sub-supernet is trained after the last split.
    pub leaf_epochs: usize,
    /// Initial weights of the sub-supernets after the last split.
    pub last: LastSplit,
    /// The learning-rate schedule and the momentum of the stages of the run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub schedule: SplitSchedule,
    /// With [`SplitSchedule::WholeRun`] and [`LastSplit::Reinitialise`], the length of the schedule that the last sub-supernets follow from
    /// its start.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_schedule: LastSchedule,
}

/// Left out of the identity of a run, so that checkpoints that were written before a setting existed still belong to their run.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl GradientMatchingConfig {
    /// Returns the number of epochs that a sub-supernet and its ancestors are trained, together with `first`, the epochs of the supernet.
    pub fn total_epochs(&self, first: usize) -> usize {
        first + self.splits.saturating_sub(1) * self.between_epochs + self.leaf_epochs
    }
}

/// The learning-rate schedule and the momentum of the stages of a run that splits its supernet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitSchedule {
    /// Every supernet follows a schedule of its own and starts with momentum 0.
    #[default]
    PerStage,
    /// One schedule spans the epochs of the whole run, and a sub-supernet inherits the momentum of the supernet that was split, as in the
    /// public code of gradient matching. Sub-supernets with new weights start with momentum 0 at the start of a schedule.
    WholeRun,
}

/// The length of the schedule of sub-supernets with new weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastSchedule {
    /// The epochs of the sub-supernet, as the public code has it in the DARTS space (`--fix_sche 1`).
    #[default]
    Leaf,
    /// The epochs of the whole run, so that training ends before the learning rate is small, as the public code has it on NAS-Bench-201.
    WholeRun,
}

/// Initial weights of the sub-supernets after the last split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastSplit {
    /// New random weights.
    Reinitialise,
    /// The weights of the supernet that was split.
    Inherit,
}
