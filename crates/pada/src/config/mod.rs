//! Typed configs: everything that changes the result of a run.
//!
//! [`RunConfig`] trains a supernet and ranks with it, [`RetrainConfig`] trains one architecture from scratch. Every key has a default, so
//! a file says only what differs; `extends = "base.toml"` starts from another file. `docs/config.md` lists all keys.

mod augment;
mod error;
mod load;
mod rank;
mod retrain;
mod samplers;
mod schema;
mod supernet;
mod tables;
mod update;

use std::path::Path;

pub use error::ConfigError;
pub use load::ConfigPlace;
use load::{Described, Layers};
use pada_data::{Augment, Damaged, Photographs};
use pada_exec::{BatchNormSync, Precision};
use pada_trainer::TrainConfig;
pub use rank::{RankArchs, RankConfig, RankSplit, Recalibration, TruthName};
pub(crate) use rank::{can_be_listed, check_list, check_recalibration};
pub(crate) use retrain::in_words_of_retrain;
pub use retrain::{RetrainConfig, RetrainNetwork, RetrainSettings, StandAloneConfig, TestConfig};
pub use samplers::{ImageImportanceConfig, ImagesConfig, PathsConfig};
use schema::{RUN, Schema};
use serde::{Deserialize, Serialize};
pub(crate) use supernet::SupernetSize;
pub use supernet::{SpaceName, SupernetConfig, WidthsName, search_space};
pub use tables::{config_tables, retrain_config_tables};
pub use update::{FewShotConfig, GradientMatchingConfig, LastSplit, SplitConfig, UpdateConfig};

/// Stands in a config for images or a sampler of the program that started the run.
pub(crate) const OWN: &str = "own";

/// The config of a run without arguments: a link to `configs/mini/pada.toml`, so that a package of this crate holds it.
const MINI: &str = include_str!("mini.toml");

/// A supernet run: train, rank, compare.
///
/// `RunConfig::default()` holds the defaults of all keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunConfig {
    /// Names the run folder and the record.
    pub name: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// `[data]`: the images.
    pub data: DataConfig,
    /// `[supernet]`: the weight-sharing network.
    pub supernet: SupernetConfig,
    /// `[compute]`: the executor.
    pub compute: ComputeConfig,
    /// `[train]`: epochs and SGD.
    pub train: TrainConfig,
    /// `[augment]`: random changes to training images.
    pub augment: Augment,
    /// `[paths]`: the path sampler.
    pub paths: PathsConfig,
    /// `[images]`: the data sampler.
    pub images: ImagesConfig,
    /// `[update]`: what a step does with the gradients of its paths.
    pub update: UpdateConfig,
    /// `[split]`: how the supernet is split into sub-supernets, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// `[rank]`: which architectures are scored, and what the ranking is compared with.
    pub rank: RankConfig,
}

impl Described for RunConfig {
    const SCHEMA: &'static Schema = &RUN;
}

impl Default for RunConfig {
    fn default() -> Self {
        Layers::new(&RUN).resolve().expect("every key has a default")
    }
}

impl RunConfig {
    /// The config of the run without arguments: PA&DA on the embedded mini images.
    ///
    /// # Panics
    /// Never: a test reads it.
    pub fn mini() -> Self {
        Self::parse(MINI, Path::new("configs/mini/pada.toml")).expect("the embedded config is valid")
    }

    /// The same with assignments `section.key=value` on top. Defaults that depend on other keys see the assignments.
    ///
    /// # Errors
    /// [`ConfigError`] with the assignment.
    pub fn mini_with<S: AsRef<str>>(assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RUN);
        layers.text(MINI, Path::new("configs/mini/pada.toml"))?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Reads a config from a text; errors call it `name`.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RUN);
        layers.text(text, name)?;
        layers.resolve()
    }

    /// Reads a config file and the files it extends.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_with::<&str>(path, &[])
    }

    /// Reads a config file, with assignments `section.key=value` on top. Defaults that depend on other keys see the assignments.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line, or with the assignment.
    pub fn read_with<S: AsRef<str>>(path: &Path, assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RUN);
        layers.file(path)?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// The config with `section.key=value` applied; the value is TOML, or a plain text. `none` unsets a key that can be unset, and
    /// another rule starts its section anew.
    ///
    /// # Errors
    /// [`ConfigError`] with the assignment.
    pub fn with(&self, assignment: &str) -> Result<Self, ConfigError> {
        self.with_all(&[assignment])
    }

    /// The config with several assignments applied. Their order does not matter.
    ///
    /// # Errors
    /// [`ConfigError`] with the assignment.
    pub fn with_all<S: AsRef<str>>(&self, assignments: &[S]) -> Result<Self, ConfigError> {
        check_seed(self.seed)?;
        let mut layers = Layers::of(self);
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Every key that is set, as `section.key`, with its value as TOML, in the order of the keys.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`RunConfig::check`] refuses.
    pub fn settings(&self) -> Vec<(String, String)> {
        load::settings(self)
    }

    /// The config as a TOML file with every key, which reads back the same.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`RunConfig::check`] refuses.
    pub fn to_toml(&self) -> String {
        load::to_toml(self)
    }

    /// Sampler, update rule and splits in words, for records.
    pub fn method(&self) -> String {
        let samplers = samplers::describe(&self.paths, &self.images);
        let rule = match (&self.update, &self.paths) {
            (UpdateConfig::SummedPaths, PathsConfig::Fair { .. }) if self.images == ImagesConfig::Uniform => {
                samplers.replace("fair paths", "FairNAS")
            }
            (UpdateConfig::SummedPaths, _) => samplers,
            (UpdateConfig::Sumnas(rule), _) => format!("SUMNAS ({}), {samplers}", rule.variant),
            (UpdateConfig::Nsas(_), _) => format!("NSAS, {samplers}"),
            (UpdateConfig::Close(_), _) => format!("CLOSE, {samplers}"),
            (UpdateConfig::MagicAt(_), PathsConfig::OneChange) => format!("Magic-AT, {samplers}"),
            (UpdateConfig::MagicAt(_), _) => format!("Magic-A, {samplers}"),
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
        check_run_name(&self.name)?;
        check_seed(self.seed)?;
        self.supernet.size()?;
        check_train(&self.train, &self.data)?;
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
        let fits = self.split.is_none() || self.paths.works_on_parts();
        let range =
            "uniform, one-change, pareto, or importance with scope = \"position\", where there is a [split]";
        check("paths.rule", self.paths.rule(), fits, range)?;
        augment::check_augment(&self.augment, &self.data)?;
        self.update.check(self)?;
        self.rank.check(self)?;
        self.rank.split.check(self.data.train)
    }

    /// Checks that a split names decisions that the space has; `n` is their number.
    pub(crate) fn check_positions(&self, n: usize) -> Result<(), ConfigError> {
        let Some(SplitConfig::FewShot(split)) = &self.split else { return Ok(()) };
        let (value, range) = (format!("{:?}", split.positions), "different positions of the space, from 0");
        let mut seen = std::collections::HashSet::new();
        let holds = split.positions.iter().all(|&e| e < n && seen.insert(e)) && !seen.is_empty();
        check("split.positions", value, holds, range)
    }
}

/// Either kind of run, as a run folder holds it.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// A supernet run.
    Run(RunConfig),
    /// A run of `pada-train retrain`.
    Retrain(RetrainConfig),
}

impl From<RunConfig> for Config {
    fn from(config: RunConfig) -> Self {
        Self::Run(config)
    }
}

impl From<RetrainConfig> for Config {
    fn from(config: RetrainConfig) -> Self {
        Self::Retrain(config)
    }
}

impl From<&RunConfig> for Config {
    fn from(config: &RunConfig) -> Self {
        Self::Run(config.clone())
    }
}

impl From<&RetrainConfig> for Config {
    fn from(config: &RetrainConfig) -> Self {
        Self::Retrain(config.clone())
    }
}

impl From<&Config> for Config {
    fn from(config: &Config) -> Self {
        config.clone()
    }
}

impl Config {
    /// Reads the config of a run folder. A file with the section `[retrain]` or `[network]` is that of a retraining.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the config of a run folder from a text; errors call it `name`.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let table = text.parse::<toml::Table>().unwrap_or_default();
        if ["retrain", "network"].iter().any(|section| table.contains_key(*section)) {
            return RetrainConfig::parse(text, name).map(Self::Retrain);
        }
        RunConfig::parse(text, name).map(Self::Run)
    }

    /// The name of the run.
    pub fn name(&self) -> &str {
        match self {
            Self::Run(config) => &config.name,
            Self::Retrain(config) => &config.name,
        }
    }

    /// The seed of all random streams.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Run(config) => config.seed,
            Self::Retrain(config) => config.seed,
        }
    }

    /// The images.
    pub fn data(&self) -> &DataConfig {
        match self {
            Self::Run(config) => &config.data,
            Self::Retrain(config) => &config.data,
        }
    }

    /// Search space and size of the network.
    pub fn network(&self) -> &SupernetConfig {
        match self {
            Self::Run(config) => &config.supernet,
            Self::Retrain(config) => &config.network,
        }
    }

    /// The executor.
    pub fn compute(&self) -> ComputeConfig {
        match self {
            Self::Run(config) => config.compute,
            Self::Retrain(config) => config.compute,
        }
    }

    /// Epochs and SGD.
    pub fn train(&self) -> &TrainConfig {
        match self {
            Self::Run(config) => &config.train,
            Self::Retrain(config) => &config.train,
        }
    }

    /// Random changes to training images.
    pub fn augment(&self) -> &Augment {
        match self {
            Self::Run(config) => &config.augment,
            Self::Retrain(config) => &config.augment,
        }
    }

    /// The images that architectures are scored on.
    pub fn scored_on(&self) -> TestConfig {
        match self {
            Self::Run(RunConfig { rank, .. }) => TestConfig {
                split: rank.split,
                images: rank.images,
                batch: rank.batch,
                recalibrate: rank.recalibrate,
            },
            Self::Retrain(config) => config.test,
        }
    }

    /// How the supernet is split, if it is.
    pub fn split(&self) -> Option<&SplitConfig> {
        match self {
            Self::Run(config) => config.split.as_ref(),
            Self::Retrain(_) => None,
        }
    }

    /// The recipe of a stand-alone network, if one is trained.
    pub fn stand_alone(&self) -> Option<&StandAloneConfig> {
        match self {
            Self::Run(_) => None,
            Self::Retrain(config) => config.stand_alone(),
        }
    }

    /// The method in words, for records.
    pub fn method(&self) -> String {
        match self {
            Self::Run(config) => config.method(),
            Self::Retrain(config) => {
                format!("{} from scratch", config.retrain.arch.as_deref().unwrap_or_default())
            }
        }
    }

    /// Checks the ranges of all numbers, and that everything suits the space.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Run(config) => config.check(),
            Self::Retrain(config) => config.check(),
        }
    }

    /// Every key that is set, as `section.key`, with its value as TOML, in the order of the keys.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`Config::check`] refuses.
    pub fn settings(&self) -> Vec<(String, String)> {
        match self {
            Self::Run(config) => config.settings(),
            Self::Retrain(config) => config.settings(),
        }
    }

    /// The config as a TOML file with every key, which reads back the same.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`Config::check`] refuses.
    pub fn to_toml(&self) -> String {
        match self {
            Self::Run(config) => config.to_toml(),
            Self::Retrain(config) => config.to_toml(),
        }
    }

    /// An error of a check that both kinds of runs share, with the keys of this kind.
    pub(crate) fn in_own_words(&self, error: ConfigError) -> ConfigError {
        match self {
            Self::Run(_) => error,
            Self::Retrain(_) => in_words_of_retrain(error),
        }
    }

    /// The settings that decide which weights a run of this network and these samplers can have, as canonical JSON: keys are sorted and
    /// defaults are filled in. Epochs, learning rate and augmentation are not in it, nor is the seed: a checkpoint stores them itself. The
    /// batch-norm statistics of several processes are not in it either, because they matter only together with the number of processes.
    pub(crate) fn identity(&self) -> serde_json::Value {
        const SECTIONS: [&str; 8] =
            ["supernet", "network", "compute", "paths", "images", "update", "split", "retrain"];
        let json = match self {
            Self::Run(config) => serde_json::to_value(config),
            Self::Retrain(config) => serde_json::to_value(config),
        };
        let mut json = json.expect("a config has text keys");
        if let Some(sections) = json.as_object_mut() {
            sections.retain(|section, _| SECTIONS.contains(&section.as_str()));
            if let Some(compute) = sections.get_mut("compute").and_then(serde_json::Value::as_object_mut) {
                compute.remove("norms");
            }
        }
        json
    }
}

/// A config is a TOML file, whose numbers have a sign.
fn check_seed(seed: u64) -> Result<(), ConfigError> {
    check("seed", seed, i64::try_from(seed).is_ok(), "at most 9223372036854775807")
}

fn check_run_name(name: &str) -> Result<(), ConfigError> {
    check("name", format!("{name:?}"), names_a_folder(name), NAMES)
}

fn check_train(t: &TrainConfig, data: &DataConfig) -> Result<(), ConfigError> {
    let counts = [
        ("data.train_images", data.train_images.unwrap_or(1)),
        ("train.epochs", t.epochs),
        ("train.batch", t.batch),
    ];
    for (key, count) in counts {
        check(key, count, count > 0, "at least 1")?;
    }
    check("train.lr", t.lr, t.lr > 0.0 && t.lr.is_finite(), "positive")?;
    check("train.momentum", t.momentum, (0.0..1.0).contains(&t.momentum), "in 0..1")?;
    check("train.weight_decay", t.weight_decay, (0.0..1.0).contains(&t.weight_decay), "in 0..1")?;
    check("train.clip_norm", t.clip_norm, t.clip_norm > 0.0, "positive, or inf for no clipping")
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

/// The images: the section `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `mini`, `cifar10`, `cifar100`, or a folder with the official binary files of CIFAR or with photographs in ImageNet's layout.
    pub source: String,
    /// Height and width that photographs are resized to. Photographs need it, other images do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// What happens if a photograph cannot be decoded; the run stops if nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Damaged>,
    /// Training images that are trained on.
    pub train: TrainPart,
    /// Trains only on the first N of these images, in official order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
}

impl DataConfig {
    /// How photographs are read, or `None` for images that have their own size.
    pub fn photographs(&self) -> Option<Photographs> {
        self.image_size.map(|size| Photographs { size, damaged: self.damaged.unwrap_or_default() })
    }
}

/// Training images that are trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPart {
    /// All of them.
    All,
    /// One half. The other half is available for ranking, see [`pada_data::Splits::halves`].
    Half,
}

/// The executor: the section `[compute]`. Executors and precisions round differently, so these keys belong to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeConfig {
    /// The executor.
    pub executor: ExecutorName,
    /// `f32`; `bf16`, which is faster and less exact; `f64` for checks.
    pub precision: Precision,
    /// Batch-norm statistics if several processes train together. With `local` the result depends on the number of processes.
    #[serde(default)]
    pub norms: BatchNormSync,
}

/// An executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorName {
    /// The fast executor.
    Engine,
    /// The readable reference.
    Candle,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn the_identity_of_a_run_is_canonical_and_holds_what_decides_about_its_weights() {
        let identity = |config: RunConfig| Config::Run(config).identity().to_string();
        let mini = identity(RunConfig::mini());
        let start =
            r#"{"compute":{"executor":"engine","precision":"f32"},"images":{"importance_weights":"none","#;
        assert!(mini.starts_with(start), "{mini}");
        for other in ["norms", "train", "seed", "name", "rank"] {
            assert!(!mini.contains(&format!("\"{other}\"")), "{other} in {mini}");
        }
        let changed = |set: &str| identity(RunConfig::mini().with(set).unwrap());
        for same in ["train.epochs=3", "compute.norms=local", "seed=5", "name=other", "rank.images=3"] {
            assert_eq!(changed(same), mini, "{same}");
        }
        // A default is the same as its value, wherever it is said.
        assert_eq!(changed("images.smoothing={first=0.0, last=1.0}"), mini);
        assert_eq!(identity(RunConfig::default()), mini);
        assert!(changed("images.smoothing.last=0.3").contains(r#""smoothing":{"first":0.0,"last":0.3}"#));
        for other in ["supernet.cells=2", "update.rule=nsas", "paths.weight_bound=3", "compute.precision=f64"]
        {
            assert_ne!(changed(other), mini, "{other}");
        }
        let retrain =
            |text: &str| Config::Retrain(RetrainConfig::default().of_arch(text).unwrap()).identity();
        assert_ne!(retrain("333333"), retrain("333332"));
        assert_eq!(retrain("333333")["retrain"]["network"], "stand-alone");
    }

    #[test]
    fn every_default_is_a_value_of_its_key() {
        use schema::{KeyDefault, RETRAIN_RUN};
        for section in RUN.sections.iter().chain(RETRAIN_RUN.sections) {
            for key in section.keys {
                if let KeyDefault::Is(text) | KeyDefault::Unless(text) = key.default {
                    let value =
                        format!("value = {text}").parse::<toml::Table>().unwrap().remove("value").unwrap();
                    assert!(key.kind.accepts(&value), "{}: {text}", section.path(key.name));
                }
                let Some(tag) = section.tag.and_then(|tag| section.key(tag)) else {
                    assert!(key.of.is_empty(), "{}", key.name);
                    continue;
                };
                for of in key.of {
                    let value = toml::Value::String((*of).to_owned());
                    assert!(tag.kind.accepts(&value), "{}: no {of}", section.path(key.name));
                }
            }
        }
    }
}
