//! What a run is: one TOML file holds everything that changes its result.

mod alone;
mod augment;
mod load;
mod rank;
mod rule;
mod sampler;
mod supernet;

pub use alone::AloneConfig;
use pada_data::{Augment, Damaged, Photographs};
use pada_graph::{BatchNormSync, Precision};
use pada_trainer::TrainConfig;
pub use rank::{RankArchs, RankConfig, RankSplit, Recalibration, TruthName};
pub(crate) use rank::{can_be_listed, check_list, check_recalibration};
pub use rule::{FewShotConfig, GradientMatchingConfig, LastSplit, NoSettings, RuleConfig, SplitConfig};
pub use sampler::{DataRule, PathRule, SamplerConfig};
use serde::{Deserialize, Serialize};
pub(crate) use supernet::SupernetSize;
pub use supernet::{SpaceName, SupernetConfig, WidthsName};

use crate::ConfigError;

/// A whole run. Every key must be given, unless it says that it is optional; no other key may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Names the run folder and the record.
    pub name: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// `[data]`
    pub data: DataConfig,
    /// `[supernet]`
    pub supernet: SupernetConfig,
    /// `[compute]`
    pub compute: ComputeConfig,
    /// `[train]`
    pub train: TrainConfig,
    /// `[augment]`
    pub augment: Augment,
    /// `[sampler]`
    pub sampler: SamplerConfig,
    /// `[rule]`, optional: what a step does with its paths.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rule: RuleConfig,
    /// `[split]`, optional: how the supernet is split into several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// `[alone]`, optional: an architecture as a network of its own, and what publications add to its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<AloneConfig>,
    /// `[rank]`
    pub rank: RankConfig,
}

impl RunConfig {
    /// Everything that changes how a supernet is trained, as one text: the keys of some sections with their values, so that a key that
    /// comes later and is not there leaves older checkpoints theirs.
    pub(crate) fn identity(&self) -> String {
        let settings = self.identity_settings();
        settings.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
    }

    /// The same as JSON: one text for each key.
    pub(crate) fn identity_json(&self) -> serde_json::Value {
        self.identity_settings()
            .map(|(key, value)| (key, value.into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn identity_settings(&self) -> impl Iterator<Item = (String, String)> {
        const SECTIONS: [&str; 6] = ["supernet", "compute", "sampler", "rule", "split", "alone"];
        // What norms do, a checkpoint says beside the number of ranks.
        const ELSEWHERE: &str = "compute.norms";
        let counts =
            |key: &str| key != ELSEWHERE && SECTIONS.contains(&key.split('.').next().unwrap_or_default());
        self.settings().into_iter().filter(move |(key, _)| counts(key))
    }

    /// Sampler, rule and splits in words, for records.
    pub fn method(&self) -> String {
        let sampler = self.sampler.describe();
        let rule = match &self.rule {
            RuleConfig::SummedPaths(_) => match (self.sampler.path, self.sampler.data) {
                (PathRule::Fair, DataRule::Uniform) => sampler.replace("fair paths", "FairNAS"),
                _ => sampler,
            },
            RuleConfig::Sumnas(rule) => format!("SUMNAS ({}), {sampler}", rule.variant),
            RuleConfig::Nsas(_) => format!("NSAS, {sampler}"),
            RuleConfig::Close(_) => format!("CLOSE, {sampler}"),
            RuleConfig::MagicAt(_) if self.sampler.path == PathRule::OneChange => {
                format!("Magic-AT, {sampler}")
            }
            RuleConfig::MagicAt(_) => format!("Magic-A, {sampler}"),
        };
        match &self.split {
            None => rule,
            Some(SplitConfig::FewShot(_)) => format!("Few-Shot, {rule}"),
            Some(SplitConfig::GradientMatching(_)) => format!("GM, {rule}"),
        }
    }

    /// Checks the ranges of all numbers, and that everything suits the space.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn check(&self) -> Result<(), ConfigError> {
        let (t, r) = (&self.train, &self.rank);
        check("name", format!("{:?}", self.name), names_a_folder(&self.name), NAMES)?;
        self.check_seed()?;
        self.supernet.size()?;
        let counts = [
            ("data.train_images", self.data.train_images.unwrap_or(1)),
            ("train.epochs", t.epochs),
            ("train.batch", t.batch),
        ];
        for (key, count) in counts {
            check(key, count, count > 0, "at least 1")?;
        }
        if let Some(SplitConfig::GradientMatching(split)) = &self.split {
            check("split.splits", split.splits, (1..=6).contains(&split.splits), "in 1..=6")?;
            check("split.samples", split.samples, split.samples > 0, "at least 1")?;
            let trained = split.leaf_epochs > 0 || split.last == LastSplit::Inherit;
            check(
                "split.leaf_epochs",
                split.leaf_epochs,
                trained,
                "at least 1 with last = \"reinitialise\"",
            )?;
        }
        let fits = self.split.is_none() || self.sampler.works_on_parts();
        let range =
            "uniform, one-change, pareto, or importance with share = \"position\", where there is a [split]";
        check("sampler.path", self.sampler.describe(), fits, range)?;
        check("train.lr", t.lr, t.lr > 0.0 && t.lr.is_finite(), "positive")?;
        check("train.momentum", t.momentum, (0.0..1.0).contains(&t.momentum), "in 0..1")?;
        check("train.weight_decay", t.weight_decay, (0.0..1.0).contains(&t.weight_decay), "in 0..1")?;
        check("train.clip_norm", t.clip_norm, t.clip_norm > 0.0, "positive, or inf for no clipping")?;
        augment::check_augment(self)?;
        self.rule.check(self)?;
        if let Some(alone) = &self.alone {
            alone.check(self)?;
        }
        r.check(self)?;
        let held_out = r.split == RankSplit::Test || self.data.train == TrainPart::Half;
        check("rank.split", "valid", held_out, "\"test\", unless data.train is \"half\"")
    }
}

impl RunConfig {
    /// A config is a TOML file, whose numbers have a sign.
    pub(super) fn check_seed(&self) -> Result<(), ConfigError> {
        check("seed", self.seed, i64::try_from(self.seed).is_ok(), "at most 9223372036854775807")
    }

    /// Checks that a split names positions that the space has; `n` is their number.
    pub(crate) fn check_positions(&self, n: usize) -> Result<(), ConfigError> {
        let Some(SplitConfig::FewShot(split)) = &self.split else { return Ok(()) };
        let (value, range) = (format!("{:?}", split.positions), "different positions of the space, from 0");
        let mut seen = std::collections::HashSet::new();
        let holds = split.positions.iter().all(|&e| e < n && seen.insert(e)) && !seen.is_empty();
        check("split.positions", value, holds, range)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What names of runs are.
const NAMES: &str =
    "the name of a folder: 1 to 100 letters, digits, spaces and signs but / and \\, the first no dot";

/// Whether a run's folder can be named so, and lies then where runs lie.
fn names_a_folder(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && c != '/' && c != '\\';
    (1..=100).contains(&name.chars().count()) && !name.starts_with('.') && name.chars().all(plain)
}

pub(crate) fn check(
    key: &'static str,
    value: impl ToString,
    holds: bool,
    range: &'static str,
) -> Result<(), ConfigError> {
    let bad = || Err(ConfigError::Range { key, value: value.to_string(), range });
    if holds { Ok(()) } else { bad() }
}

/// Which images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `mini`, `cifar10`, `cifar100`, or a folder that holds the official binary files of one of these two, or photographs in ImageNet's
    /// layout.
    pub source: String,
    /// For photographs: height and width of the images that they become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Optional, for photographs: whether a damaged file stops the run or is left out; `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Damaged>,
    /// Which training images are trained on.
    pub train: TrainPart,
    /// Optional: only the first so many of them, in official order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
}

impl DataConfig {
    /// How photographs are read; none for images that have their own size.
    pub fn photographs(&self) -> Option<Photographs> {
        self.image_size.map(|size| Photographs { size, damaged: self.damaged.unwrap_or_default() })
    }
}

/// Which training images a supernet is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPart {
    /// All of them.
    All,
    /// One half; the other is there to rank on, see [`pada_data::Splits::halves`].
    Half,
}

/// What computes forward and backward passes. Other executors and precisions round otherwise, so it is a part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeConfig {
    /// Which executor.
    pub executor: ExecutorName,
    /// `f32`; `bf16`, faster and less exact; `f64` to check with.
    pub precision: Precision,
    /// Optional, where several ranks train together: whether batch norms take the statistics of the whole batch, `sync`, or of each
    /// rank's own images, `local`; `sync`. With `local` the result depends on the number of ranks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norms: BatchNormSync,
}

/// An executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorName {
    /// The fast one.
    Engine,
    /// The readable one.
    Candle,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_of_a_run_holds_the_keys_that_are_there() {
        let identity = RunConfig::mini().identity();
        let start =
            "compute.executor = \"engine\", compute.precision = \"f32\", sampler.data = \"importance\", ";
        assert!(identity.starts_with(start), "{identity}");
        for other in ["data_smoothing", "norms", "train.", "seed", "name"] {
            assert!(!identity.contains(other), "{other} in {identity}");
        }
        let changed = |set: &str| RunConfig::mini().with(set).unwrap().identity();
        assert_eq!(changed("train.epochs=3"), identity);
        assert_eq!(changed("compute.norms=\"local\""), identity);
        assert!(
            changed("sampler.data_smoothing={first=0.0, last=0.3}")
                .contains("sampler.data_smoothing.last = 0.3")
        );
        assert_ne!(changed("supernet.cells=2"), identity);
        assert_ne!(changed("rule={name=\"nsas\", beta=0.8, constraints=\"random-and-diverse\"}"), identity);
    }
}
