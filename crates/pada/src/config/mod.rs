//! Typed configs, which contain all settings that change the result of a run.
//!
//! A [`RunConfig`] trains a supernet and ranks architectures with it. A [`RetrainConfig`] trains one architecture from scratch. Every key
//! has a default, so a file contains only the keys that differ; `extends = "base.toml"` starts from another file. `docs/config.md` lists
//! all keys.

mod augment;
mod budget;
mod differentiable;
mod error;
mod extension;
mod load;
mod published;
mod rank;
mod retrain;
mod samplers;
mod schema;
mod supernet;
mod tables;
mod update;

use std::path::Path;

pub use budget::RankBudget;
pub use differentiable::{DifferentiableKeys, EnasKeys, SEARCH_RULES};
pub(crate) use differentiable::{DifferentiableSearch, SearchRule};
pub use error::ConfigError;
pub(crate) use load::nearest;
pub use load::{ConfigPlace, in_home};
use load::{Described, Layers};
use pada_data::{Augment, Damaged, Photographs};
use pada_exec::{BatchNormSync, Convolution, Optimizer, Precision};
use pada_space::SearchSpace;
use pada_trainer::rules::DartsOrder;
use pada_trainer::{OptimizerName, Schedule, TrainConfig};
pub(crate) use published::{PublishedNet, StandAloneArch, space_of};
pub(crate) use rank::ZERO_COST_IMAGES;
pub use rank::{FusePart, RankArchs, RankConfig, RankSplit, Recalibration, TruthName};
pub(crate) use rank::{can_be_listed, check_list, check_recalibration};
pub(crate) use retrain::in_words_of_retrain;
pub use retrain::{
    RetrainConfig, RetrainNetwork, RetrainSettings, SkeletonName, StandAloneConfig, TestConfig,
};
pub use samplers::{ImageImportanceConfig, ImagesConfig, PathsConfig};
use schema::{RUN, Schema};
use serde::{Deserialize, Serialize};
pub(crate) use supernet::SupernetSize;
pub use supernet::{SpaceName, SupernetConfig, WidthsName, search_space};
pub use tables::{config_tables, retrain_config_tables};
pub use update::{
    FewShotConfig, GradientMatchingConfig, LastSchedule, LastSplit, SplitConfig, SplitSchedule, UpdateConfig,
};

/// The name in a config for images that the program which started the run provides itself.
pub(crate) const OWN: &str = "own";

/// The config of a run without arguments. The file is a link to `configs/mini/pada.toml`, so that a package of this crate contains it.
const MINI: &str = include_str!("mini.toml");

/// The config of a supernet run: train a supernet, rank architectures, and compare the ranking with benchmark tables.
///
/// `RunConfig::default()` has the default of every key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RunConfig {
    /// Name of the run folder and of the record.
    pub name: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// `[data]`: the images.
    pub data: DataConfig,
    /// `[supernet]`: the weight-sharing network.
    pub supernet: SupernetConfig,
    /// `[compute]`: the executor.
    pub compute: ComputeConfig,
    /// `[train]`: number of epochs and SGD.
    pub train: TrainConfig,
    /// `[augment]`: random changes to training images.
    pub augment: Augment,
    /// `[paths]`: the path sampler.
    pub paths: PathsConfig,
    /// `[images]`: the data sampler.
    pub images: ImagesConfig,
    /// `[update]`: the training rule, which computes an update from the gradients of the paths of a step.
    pub update: UpdateConfig,
    /// `[split]`: the split into sub-supernets, or `None` for a single supernet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitConfig>,
    /// `[rank]`: the architectures that are scored, the images, and the benchmark tables.
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
    /// Returns the config of a run without arguments: PA&DA on the embedded mini images.
    ///
    /// # Panics
    /// This function never panics, because a test parses the embedded config.
    pub fn mini() -> Self {
        Self::parse(MINI, Path::new("configs/mini/pada.toml")).expect("the embedded config is valid")
    }

    /// Returns [`RunConfig::mini`] with assignments of the form `section.key=value` applied. Defaults that depend on other keys follow
    /// the assignments.
    ///
    /// # Errors
    /// Returns an error with the assignment if it is not valid.
    pub fn mini_with<S: AsRef<str>>(assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RUN);
        layers.text(MINI, Path::new("configs/mini/pada.toml"))?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Parses a config. Errors use `name` as the path of the text.
    ///
    /// # Errors
    /// Returns an error with file and line if the config is not valid.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RUN);
        layers.text(text, name)?;
        layers.resolve()
    }

    /// Parses the config of a run folder, which an earlier version may have written.
    fn parse_folder(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::of_folder(&RUN);
        layers.text(text, name)?;
        layers.resolve()
    }

    /// Reads a config file and the files that it extends.
    ///
    /// # Errors
    /// Returns an error with file and line if a file cannot be read or is not valid.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::read_with::<&str>(path, &[])
    }

    /// Reads a config file and applies assignments of the form `section.key=value`. Defaults that depend on other keys follow the
    /// assignments.
    ///
    /// # Errors
    /// Returns an error with file and line, or with the assignment, if one of them is not valid.
    pub fn read_with<S: AsRef<str>>(path: &Path, assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RUN);
        layers.file(path)?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Returns the config with an assignment `section.key=value` applied. The value is TOML or plain text. `none` unsets a key that can be
    /// unset. A change of the rule of a section drops the other keys of the section.
    ///
    /// # Errors
    /// Returns an error with the assignment if it is not valid.
    pub fn with(&self, assignment: &str) -> Result<Self, ConfigError> {
        self.with_all(&[assignment])
    }

    /// Returns the config with several assignments applied. Their order does not matter.
    ///
    /// # Errors
    /// Returns an error with the assignment if it is not valid.
    pub fn with_all<S: AsRef<str>>(&self, assignments: &[S]) -> Result<Self, ConfigError> {
        check_seed(self.seed)?;
        let mut layers = Layers::of(self);
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Returns every key that is set, as `section.key`, with its value as TOML, sorted by key.
    ///
    /// # Panics
    /// Panics if the seed is too large for a TOML file; [`RunConfig::check`] rejects such a seed.
    pub fn settings(&self) -> Vec<(String, String)> {
        load::settings(self)
    }

    /// Writes the config as a TOML file with every key. [`RunConfig::parse`] returns an equal config.
    ///
    /// # Panics
    /// Panics if the seed is too large for a TOML file; [`RunConfig::check`] rejects such a seed.
    pub fn to_toml(&self) -> String {
        load::to_toml(self)
    }

    /// Describes samplers, update rule and splits in words, for records.
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
            (UpdateConfig::Darts(keys), _) => match keys.order.unwrap_or_default() {
                DartsOrder::First => "DARTS, first order".to_owned(),
                DartsOrder::Second => "DARTS, second order".to_owned(),
            },
            (UpdateConfig::PcDarts(_), _) => "PC-DARTS".to_owned(),
            (UpdateConfig::DartsPt(_), _) => "DARTS-PT".to_owned(),
            (UpdateConfig::Gdas(_), _) => "GDAS".to_owned(),
            (UpdateConfig::GdasNsas(_), _) => "GDAS-NSAS".to_owned(),
            (UpdateConfig::Snas(_), _) => "SNAS".to_owned(),
            (UpdateConfig::ProxylessNas(_), _) => "ProxylessNAS".to_owned(),
            (UpdateConfig::FbNet(_), _) => "FBNet".to_owned(),
            (UpdateConfig::Zarts(_), _) => "ZARTS".to_owned(),
            (UpdateConfig::BaleNas(_), _) => "BaLeNAS".to_owned(),
            (UpdateConfig::Agnas, _) => "AGNAS".to_owned(),
            (UpdateConfig::Enas(_), _) => "ENAS".to_owned(),
        };
        match &self.split {
            None => rule,
            Some(SplitConfig::FewShot(_)) => format!("Few-Shot, {rule}"),
            Some(SplitConfig::GradientMatching(_)) => format!("GM, {rule}"),
        }
    }

    /// Checks the ranges of all numbers, and that all settings fit the search space.
    ///
    /// # Errors
    /// Returns an error with the key if a value is out of range or does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        check_run_name(&self.name)?;
        check_seed(self.seed)?;
        self.supernet.size()?;
        check_train(&self.train, &self.data)?;
        if let Some(SplitConfig::GradientMatching(split)) = &self.split {
            check("split.splits", split.splits, (1..=6).contains(&split.splits), "from 1 to 6")?;
            check("split.samples", split.samples, split.samples > 0, "at least 1")?;
            let trained = split.leaf_epochs > 0 || split.last == LastSplit::Inherit;
            check(
                "split.leaf_epochs",
                split.leaf_epochs,
                trained,
                "at least 1 if split.last is \"reinitialise\"",
            )?;
            let starts_anew =
                split.schedule == SplitSchedule::WholeRun && split.last == LastSplit::Reinitialise;
            let continues = matches!(self.train.optimizer, OptimizerName::Sgd | OptimizerName::Nesterov)
                && self.train.schedule != Schedule::Plateau;
            check(
                "split.schedule",
                "whole-run",
                continues || split.schedule != SplitSchedule::WholeRun,
                "another one with RMSprop or a plateau: sub-supernets inherit momentum, but neither squares of gradients nor losses",
            )?;
            check(
                "split.last_schedule",
                "whole-run",
                starts_anew || split.last_schedule == LastSchedule::Leaf,
                "\"leaf\" unless split.schedule is \"whole-run\" and split.last is \"reinitialise\"",
            )?;
        }
        let fits = self.split.is_none() || self.paths.works_on_parts();
        let range = "another rule if there is a [split]: strict fairness (FairNAS) draws every operation of every decision once per step, \
                     so all decisions need equally many operations, and a sub-supernet has fewer at the decision that was split; a constant \
                     distribution can be impossible in a sub-supernet";
        check("paths.rule", self.paths.rule(), fits, range)?;
        let connects = self.paths != PathsConfig::Connected || self.supernet.space == SpaceName::Nb201;
        let range = "another rule unless the search space is nb201: only its cells can have no connection between input and output";
        check("paths.rule", self.paths.rule(), connects, range)?;
        augment::check_augment(&self.augment, &self.data)?;
        self.update.check(self)?;
        self.rank.check(self)?;
        self.rank.split.check(self.data.train)
    }

    /// Checks that the decisions of a split exist in the space, which has `n` decisions.
    pub(crate) fn check_positions(&self, n: usize) -> Result<(), ConfigError> {
        let Some(SplitConfig::FewShot(split)) = &self.split else { return Ok(()) };
        let (value, range) =
            (format!("{:?}", split.positions), "a list of different decisions of the space, counted from 0");
        let mut seen = std::collections::HashSet::new();
        let holds = split.positions.iter().all(|&e| e < n && seen.insert(e)) && !seen.is_empty();
        check("split.positions", value, holds, range)
    }
}

/// The config of a run folder, for either kind of run.
#[derive(Clone, Debug, PartialEq)]
pub enum Config {
    /// A supernet run.
    Run(RunConfig),
    /// A run of `pada retrain`.
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
    /// Reads the config of a run folder. A file with the section `[retrain]` or `[network]` is a [`RetrainConfig`].
    ///
    /// # Errors
    /// Returns an error with file and line if the file cannot be read or is not valid.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = crate::text::read(path).map_err(|source| ConfigError::Io { path: path.into(), source })?;
        Self::parse(&text, path)
    }

    /// Parses the config of a run folder, also of one that an earlier version wrote. Errors use `name` as the path of the text.
    ///
    /// # Errors
    /// Returns an error with file and line if the config is not valid.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let table = text.parse::<toml::Table>().unwrap_or_default();
        if ["retrain", "network"].iter().any(|section| table.contains_key(*section)) {
            return RetrainConfig::parse_folder(text, name).map(Self::Retrain);
        }
        RunConfig::parse_folder(text, name).map(Self::Run)
    }

    /// Returns the name of the run.
    pub fn name(&self) -> &str {
        match self {
            Self::Run(config) => &config.name,
            Self::Retrain(config) => &config.name,
        }
    }

    /// Returns the seed of all random streams.
    pub fn seed(&self) -> u64 {
        match self {
            Self::Run(config) => config.seed,
            Self::Retrain(config) => config.seed,
        }
    }

    /// Returns the section `[data]`.
    pub fn data(&self) -> &DataConfig {
        match self {
            Self::Run(config) => &config.data,
            Self::Retrain(config) => &config.data,
        }
    }

    /// Returns the space that the architectures of the run belong to, see [`RetrainConfig::space`].
    ///
    /// # Errors
    /// Returns an error if the size or the architecture of the config is not valid.
    pub fn space(&self) -> Result<Box<dyn SearchSpace>, ConfigError> {
        match self {
            Self::Run(config) => config.supernet.space(),
            Self::Retrain(config) => config.space(),
        }
    }

    /// Returns search space and size of the network.
    pub fn network(&self) -> &SupernetConfig {
        match self {
            Self::Run(config) => &config.supernet,
            Self::Retrain(config) => &config.network,
        }
    }

    /// Returns the section `[compute]`.
    pub fn compute(&self) -> ComputeConfig {
        match self {
            Self::Run(config) => config.compute,
            Self::Retrain(config) => config.compute,
        }
    }

    /// Returns the section `[train]`.
    pub fn train(&self) -> &TrainConfig {
        match self {
            Self::Run(config) => &config.train,
            Self::Retrain(config) => &config.train,
        }
    }

    /// Returns the augmentation of the training images.
    pub fn augment(&self) -> &Augment {
        match self {
            Self::Run(config) => &config.augment,
            Self::Retrain(config) => &config.augment,
        }
    }

    /// Returns the images that architectures are scored on.
    pub fn scored_on(&self) -> TestConfig {
        match self {
            Self::Run(RunConfig { rank, .. }) => TestConfig {
                split: rank.split,
                images: rank.images,
                batch: rank.batch,
                recalibrate: rank.recalibrate,
                every: None,
            },
            Self::Retrain(config) => config.test,
        }
    }

    /// Returns the split of the supernet, if there is one.
    pub fn split(&self) -> Option<&SplitConfig> {
        match self {
            Self::Run(config) => config.split.as_ref(),
            Self::Retrain(_) => None,
        }
    }

    /// Returns the recipe of the stand-alone network, if one is trained.
    pub fn stand_alone(&self) -> Option<&StandAloneConfig> {
        match self {
            Self::Run(_) => None,
            Self::Retrain(config) => config.stand_alone(),
        }
    }

    /// Describes the method in words, for records.
    pub fn method(&self) -> String {
        match self {
            Self::Run(config) => config.method(),
            Self::Retrain(config) => {
                format!("{} from scratch", config.retrain.arch.as_deref().unwrap_or_default())
            }
        }
    }

    /// Checks the ranges of all numbers, and that all settings fit the search space.
    ///
    /// # Errors
    /// Returns an error with the key if a value is out of range or does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Run(config) => config.check(),
            Self::Retrain(config) => config.check(),
        }
    }

    /// Returns every key that is set, as `section.key`, with its value as TOML, sorted by key.
    ///
    /// # Panics
    /// Panics if the seed is too large for a TOML file; [`Config::check`] rejects such a seed.
    pub fn settings(&self) -> Vec<(String, String)> {
        match self {
            Self::Run(config) => config.settings(),
            Self::Retrain(config) => config.settings(),
        }
    }

    /// Writes the config as a TOML file with every key. [`Config::parse`] returns an equal config.
    ///
    /// # Panics
    /// Panics if the seed is too large for a TOML file; [`Config::check`] rejects such a seed.
    pub fn to_toml(&self) -> String {
        match self {
            Self::Run(config) => config.to_toml(),
            Self::Retrain(config) => config.to_toml(),
        }
    }

    /// Renames the key in an error of a check that both kinds of runs share to the key of this kind.
    pub(crate) fn in_own_words(&self, error: ConfigError) -> ConfigError {
        match self {
            Self::Run(_) => error,
            Self::Retrain(_) => in_words_of_retrain(error),
        }
    }

    /// Sets the place of the images.
    pub(crate) fn set_data_source(&mut self, source: &str) {
        let data = match self {
            Self::Run(config) => &mut config.data,
            Self::Retrain(config) => &mut config.data,
        };
        source.clone_into(&mut data.source);
    }

    /// Returns the run whose weights the training starts from, if there is one.
    pub(crate) fn init(&self) -> Option<(&RetrainConfig, &Path)> {
        match self {
            Self::Run(_) => None,
            Self::Retrain(config) => config.retrain.init.as_deref().map(|run| (config, Path::new(run))),
        }
    }

    /// Returns the settings that determine which checkpoints a run can use, as canonical JSON with sorted keys and all defaults.
    ///
    /// Epochs, learning rate, augmentation and seed are absent, because a checkpoint stores them itself. The batch-norm statistics of several
    /// processes are absent as well, because they matter only together with the number of processes.
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
            if !self.data().normalize.is_usual() {
                let digits = serde_json::to_value(self.data().normalize).expect("a name is JSON");
                sections.insert("normalize".to_owned(), digits);
            }
            if let Some(compute) = sections.get_mut("compute").and_then(serde_json::Value::as_object_mut) {
                compute.remove("norms");
                // Versions without this key had only direct convolutions.
                if compute.get("convolution").is_some_and(|value| value == "direct") {
                    compute.remove("convolution");
                }
            }
        }
        json
    }
}

/// Checks that the seed fits a TOML file, whose integers are signed.
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
    check_schedule(t)?;
    check_optimizer(t)?;
    let smoothing = t.label_smoothing;
    let inside = (0.0..1.0).contains(&smoothing);
    check("train.label_smoothing", smoothing, inside, "at least 0 and below 1")?;
    check("train.momentum", t.momentum, (0.0..1.0).contains(&t.momentum), "at least 0 and below 1")?;
    check(
        "train.weight_decay",
        t.weight_decay,
        (0.0..1.0).contains(&t.weight_decay),
        "at least 0 and below 1",
    )?;
    check("train.clip_norm", t.clip_norm, t.clip_norm > 0.0, "positive, or inf to disable clipping")
}

/// Checks that the keys of a learning-rate schedule are in their ranges, and that only those of the given schedule are given.
fn check_schedule(t: &TrainConfig) -> Result<(), ConfigError> {
    use Schedule::{Cosine, Plateau, Step};
    if let Some(min_lr) = t.min_lr {
        let key = "train.min_lr";
        let range = "left out unless train.schedule is \"cosine\" or \"plateau\"";
        check(key, min_lr, matches!(t.schedule, Cosine | Plateau), range)?;
        check(key, min_lr, (0.0..=t.lr).contains(&min_lr), "at least 0 and at most train.lr")?;
    }
    if let Some(decay) = t.lr_decay {
        let key = "train.lr_decay";
        let range = "left out unless train.schedule is \"step\" or \"plateau\"";
        check(key, decay, matches!(t.schedule, Step | Plateau), range)?;
        check(key, decay, decay > 0.0 && decay < 1.0, "above 0 and below 1")?;
    }
    if let Some(epochs) = t.lr_decay_epochs {
        let key = "train.lr_decay_epochs";
        check(key, epochs, t.schedule == Step, "left out unless train.schedule is \"step\"")?;
        check(key, epochs, epochs > 0.0 && epochs.is_finite(), "positive")?;
    }
    if let Some(patience) = t.patience {
        let range = "left out unless train.schedule is \"plateau\"";
        check("train.patience", patience, t.schedule == Plateau, range)?;
    }
    Ok(())
}

fn check_optimizer(t: &TrainConfig) -> Result<(), ConfigError> {
    let rms_prop = matches!(t.optimizer(), Optimizer::RmsProp(_));
    for (key, value) in [("train.rms_decay", t.rms_decay), ("train.rms_eps", t.rms_eps)] {
        let Some(value) = value else { continue };
        let range = "left out unless train.optimizer is \"rmsprop\" or \"rmsprop-tf\"";
        check(key, value, rms_prop, range)?;
        check(key, value, value > 0.0 && value < 1.0, "above 0 and below 1")?;
    }
    let moves = t.optimizer != OptimizerName::Nesterov || t.momentum > 0.0;
    check("train.momentum", t.momentum, moves, "above 0 if train.optimizer is \"nesterov\"")
}

/// Description of valid names of runs.
const NAMES: &str =
    "the name of a folder: 1 to 100 characters without /, \\ and control characters, not starting with a dot";

/// Returns true if a name is a valid name of a run folder. Such a folder is always inside the folder of all runs.
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

/// The training images: the section `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// `mini`, `cifar10`, `cifar100`, or a folder with the official binary files of CIFAR or with photographs in the layout of ImageNet.
    pub source: String,
    /// Height and width that photographs are resized to, in pixels. It is required for photographs and not valid for other images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<usize>,
    /// Reaction to a photograph that cannot be decoded. With `None` the run stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<Damaged>,
    /// Digits of mean and standard deviation of the normalisation.
    #[serde(default, skip_serializing_if = "NormalizeDigits::is_usual")]
    pub normalize: NormalizeDigits,
    /// Part of the training images that is trained on.
    pub train: TrainPart,
    /// Trains only on the first N images of this part, in official order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<usize>,
}

impl DataConfig {
    /// Returns the settings for reading photographs, or `None` for images of a fixed size.
    pub fn photographs(&self) -> Option<Photographs> {
        self.image_size.map(|size| Photographs { size, damaged: self.damaged.unwrap_or_default() })
    }
}

/// Part of the training images that is trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainPart {
    /// All training images.
    All,
    /// One half of the training images. The other half is available for ranking, see [`pada_data::Splits::halves`].
    Half,
    /// The 25,000 training images of the split of NAS-Bench-201. The other 25,000 are available for ranking, see
    /// [`pada_data::Splits::nas_bench_201`].
    #[serde(rename = "nas-bench-201")]
    NasBench201,
}

/// The digits of mean and standard deviation that images are normalised with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormalizeDigits {
    /// The numbers that are usual for the data set; four digits for CIFAR.
    #[default]
    Usual,
    /// CIFAR-10 and CIFAR-100 only: the digits of the released code of PA-DA, see [`pada_data::Cifar::released`].
    Released,
}

impl NormalizeDigits {
    fn is_usual(&self) -> bool {
        *self == Self::Usual
    }
}

/// The executor and its precision: the section `[compute]`. They change the rounding and therefore the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeConfig {
    /// The executor.
    pub executor: ExecutorName,
    /// Precision of the computation: `f32`; `bf16`, which is faster and less exact; `f64`, for checks.
    pub precision: Precision,
    /// Algorithm of convolutions of the engine on the CPU. Files of versions without a choice lack it.
    #[serde(default = "direct")]
    pub convolution: Convolution,
    /// Scope of batch-norm statistics if several processes train together. With `local` the result depends on the number of processes.
    #[serde(default)]
    pub norms: BatchNormSync,
}

fn direct() -> Convolution {
    Convolution::Direct
}

/// An executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum ExecutorName {
    /// The fast executor, with the kernels of this project.
    Engine,
    /// The readable reference on candle, only in a build with the feature `candle`.
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
        let start = r#"{"compute":{"convolution":"auto","executor":"engine","precision":"f32"},"images":{"importance_weights":"none","#;
        assert!(mini.starts_with(start), "{mini}");
        for other in ["norms", "train", "seed", "name", "rank"] {
            assert!(!mini.contains(&format!("\"{other}\"")), "{other} in {mini}");
        }
        let changed = |set: &str| identity(RunConfig::mini().with(set).unwrap());
        for same in ["train.epochs=3", "compute.norms=local", "seed=5", "name=other", "rank.images=3"] {
            assert_eq!(changed(same), mini, "{same}");
        }
        // Folders of earlier versions computed directly and do not say so.
        let direct = changed("compute.convolution=direct");
        assert_eq!(direct, mini.replace("\"convolution\":\"auto\",", ""));
        // A config with an explicit default equals the config without the key.
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
