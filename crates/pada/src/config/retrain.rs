use std::path::Path;

use pada_data::Augment;
use pada_exec::Decayed;
use pada_models::DartsSkeleton;
use pada_space::SearchSpace;
use pada_trainer::{Recipe, TrainConfig};
use serde::{Deserialize, Serialize};

use super::load::{self, Described, Layers};
use super::published::{StandAloneArch, space_of};
use super::schema::{RETRAIN_RUN, Schema};
use super::{
    ComputeConfig, ConfigError, DataConfig, RankSplit, Recalibration, SpaceName, SupernetConfig, augment,
    check, check_recalibration, check_run_name, check_seed, check_train,
};

/// The config of `pada retrain`, which trains one architecture from scratch and tests it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RetrainConfig {
    /// Name of the run folder and of the record.
    pub name: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// `[data]`: the images.
    pub data: DataConfig,
    /// `[network]`: search space and size of the network.
    pub network: SupernetConfig,
    /// `[compute]`: the executor.
    pub compute: ComputeConfig,
    /// `[train]`: number of epochs and SGD.
    pub train: TrainConfig,
    /// `[augment]`: random changes to training images.
    pub augment: Augment,
    /// `[retrain]`: the architecture and its recipe.
    pub retrain: RetrainSettings,
    /// `[test]`: the images that the network is tested on.
    pub test: TestConfig,
}

/// The section `[retrain]`: the architecture and the network that it is trained as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrainSettings {
    /// The architecture in any text form of its space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Folder of a finished run whose weights of the architecture the training starts from. `None` starts from random weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<String>,
    /// The network that it is trained as.
    #[serde(flatten)]
    pub network: RetrainNetwork,
}

/// The network that an architecture is trained as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case")]
pub enum RetrainNetwork {
    /// A network with only the weights of the architecture. Its batch norms have scale, shift and running statistics, with which it is
    /// tested and exported.
    StandAlone(StandAloneConfig),
    /// The only path of a supernet, with the batch norms of the supernet. The embedded table for the mini images was created in this way.
    Supernet,
}

/// Additions of publications to the training of a stand-alone network. `None` adds nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandAloneConfig {
    /// Number of epochs of linear learning-rate warm-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<usize>,
    /// Decay of an exponential moving average (EMA) of weights and statistics. The average is tested and exported. The share of the untrained
    /// weights in it is `ema^n` after n steps, so short runs need a smaller decay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Weights that weight decay applies to. `None` means all weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decayed: Option<Decayed>,
    /// Probability that an edge is dropped for an image, for `darts`. It increases linearly with the epoch from 0 to this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
    /// Probability that an input of the classifier is dropped for an image (dropout).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
    /// Weight of the loss of the auxiliary classifier, for `darts` with 32×32 images, or with 224×224 images and [`SkeletonName::ImageNet`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<f64>,
    /// The layers around the cells, for `darts`. `None` means [`SkeletonName::Cifar`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skeleton: Option<SkeletonName>,
}

/// The layers around the cells of a stand-alone DARTS network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum SkeletonName {
    /// One convolution before the cells, for small images.
    #[default]
    Cifar,
    /// Three convolutions of stride 2 before the cells, for images of 224×224 pixels.
    ImageNet,
}

impl From<SkeletonName> for DartsSkeleton {
    fn from(name: SkeletonName) -> Self {
        match name {
            SkeletonName::Cifar => Self::Cifar,
            SkeletonName::ImageNet => Self::ImageNet,
        }
    }
}

/// The section `[test]`: the images that a retrained network is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestConfig {
    /// Test images, or training images that are not trained on.
    pub split: RankSplit,
    /// Number of images; the first ones in official order.
    pub images: usize,
    /// Images per batch.
    pub batch: usize,
    /// Training images from which running statistics are recomputed. With `None`, a stand-alone network is tested with the running
    /// statistics of its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrate: Option<Recalibration>,
    /// The network is tested after every this number of epochs, so that the record has the best epoch beside the last one. With `None` it is
    /// tested only after the last epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<usize>,
}

impl StandAloneConfig {
    /// Returns the additions in the form that the trainer uses.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            warm_up: self.warm_up.unwrap_or(0),
            drop_path: self.drop_path.unwrap_or(0.0),
            dropout: self.dropout.unwrap_or(0.0),
            ema: self.ema,
            decayed: self.decayed.unwrap_or_default(),
        }
    }

    fn check(&self, run: &RetrainConfig) -> Result<(), ConfigError> {
        let share = |key, value: Option<f64>| match value {
            Some(value) => check(key, value, (0.0..1.0).contains(&value), "at least 0 and below 1"),
            None => Ok(()),
        };
        share("retrain.drop_path", self.drop_path)?;
        share("retrain.dropout", self.dropout)?;
        share("retrain.ema", self.ema)?;
        if let Some(warm_up) = self.warm_up {
            let range = "at most train.epochs";
            check("retrain.warm_up", warm_up, warm_up <= run.train.epochs, range)?;
        }
        if let Some(auxiliary) = self.auxiliary {
            let positive = auxiliary > 0.0 && auxiliary.is_finite();
            check("retrain.auxiliary", auxiliary, positive, "positive, or left out")?;
        }
        let space = run.network.space;
        let darts = [
            ("retrain.drop_path", self.drop_path, "its layers have no edges that can be dropped"),
            ("retrain.auxiliary", self.auxiliary, "its published networks have no auxiliary classifier"),
        ];
        let mut darts = darts
            .into_iter()
            .map(|(key, value, reason)| (key, value.is_some(), reason))
            .chain([("retrain.skeleton", self.skeleton.is_some(), "its networks have one stem")]);
        match darts.find(|(_, is_given, _)| *is_given) {
            Some((key, _, reason)) if space != SpaceName::Darts => {
                Err(ConfigError::NoEffect { key, space: space.name(), reason })
            }
            _ => Ok(()),
        }
    }
}

impl Described for RetrainConfig {
    const SCHEMA: &'static Schema = &RETRAIN_RUN;
}

impl Default for RetrainConfig {
    fn default() -> Self {
        Layers::new(&RETRAIN_RUN).resolve().expect("every key but the architecture has a default")
    }
}

/// Longest name of an architecture in the name of a run, in characters. For longer names, the run is named after the digits.
const LONGEST_NAME: usize = 40;

/// The end of the name of a run of a network that has neither name nor digits.
const UNNAMED: &str = "network";

impl RetrainConfig {
    /// Returns the config of `pada retrain` without `--config`. It uses the mini images and the settings of the default run, and trains
    /// the architecture as the only path of a supernet.
    ///
    /// # Panics
    /// This function never panics, because a test calls it.
    pub fn mini() -> Self {
        Self::mini_with::<&str>(&[]).expect("the assignments are valid")
    }

    /// Returns [`RetrainConfig::mini`] with assignments of the form `section.key=value` applied.
    ///
    /// # Errors
    /// Returns an error with the assignment if it is not valid.
    pub fn mini_with<S: AsRef<str>>(assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RETRAIN_RUN);
        layers.assignments(&["name=mini", "retrain.network=supernet"])?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Parses a config. Errors use `name` as the path of the text.
    ///
    /// # Errors
    /// Returns an error with file and line if the config is not valid.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RETRAIN_RUN);
        layers.text(text, name)?;
        layers.resolve()
    }

    /// Parses the config of a run folder, which may contain keys of earlier versions.
    pub(super) fn parse_folder(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::of_folder(&RETRAIN_RUN);
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

    /// Reads a config file and applies assignments of the form `section.key=value`.
    ///
    /// # Errors
    /// Returns an error with file and line, or with the assignment, if one of them is not valid.
    pub fn read_with<S: AsRef<str>>(path: &Path, assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RETRAIN_RUN);
        layers.file(path)?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Returns the config with an assignment `section.key=value` applied. The value is TOML or plain text.
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

    /// Returns the config for an architecture, in any text form of its space. The name of the architecture is appended to the name of the
    /// run.
    ///
    /// A stand-alone network of `darts` or `proxyless` may also be a published network that is not in the space: a name such as
    /// `AmoebaNet`, `AGNAS` or `MnasNet_A1`, a genotype with any number of nodes, or a network of MobileNet blocks.
    ///
    /// # Errors
    /// Returns [`ConfigError::Arch`] if the text is not an architecture of the space.
    pub fn of_arch(mut self, text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let word = text.len() <= LONGEST_NAME && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let read = match self.stand_alone() {
            Some(_) => StandAloneArch::read(&self.network, text).map_err(in_words_of_retrain)?,
            None => {
                let space = self.network.space().map_err(in_words_of_retrain)?;
                StandAloneArch::Searched(space.parse(text)?)
            }
        };
        let (arch, short) = match read {
            StandAloneArch::Searched(arch) => (arch.to_string(), arch.to_string()),
            StandAloneArch::Published(_) => (text.to_owned(), UNNAMED.to_owned()),
        };
        self.name = format!("{}-{}", self.name, if word { text } else { &short });
        self.retrain.arch = Some(arch);
        Ok(self)
    }

    /// Returns the space that the architecture belongs to: the search space of `[network]`, or for a published network that is not in it the
    /// space of that network alone.
    ///
    /// # Errors
    /// Returns an error if the config has no architecture, or no valid size, or if the text is not an architecture.
    pub fn space(&self) -> Result<Box<dyn SearchSpace>, ConfigError> {
        match self.stand_alone() {
            Some(_) => space_of(&self.network, self.arch()?).map_err(in_words_of_retrain),
            None => self.network.space().map_err(in_words_of_retrain),
        }
    }

    /// Returns the text of the architecture.
    ///
    /// # Errors
    /// Returns [`ConfigError::Missing`] if the config has no architecture.
    pub fn arch(&self) -> Result<&str, ConfigError> {
        let missing = || ConfigError::Missing {
            key: "retrain.arch".to_owned(),
            by: "`pada retrain`".to_owned(),
            about: "The architecture in any text form of its space; `--arch` sets it.",
        };
        self.retrain.arch.as_deref().ok_or_else(missing)
    }

    /// Returns the recipe, if a stand-alone network is trained.
    pub fn stand_alone(&self) -> Option<&StandAloneConfig> {
        match &self.retrain.network {
            RetrainNetwork::StandAlone(config) => Some(config),
            RetrainNetwork::Supernet => None,
        }
    }

    /// Checks the ranges of all numbers, and that all settings fit the search space.
    ///
    /// # Errors
    /// Returns an error with the key if a value is out of range or does not fit.
    pub fn check(&self) -> Result<(), ConfigError> {
        let checks = || {
            check_run_name(&self.name)?;
            check_seed(self.seed)?;
            self.network.size()?;
            check_train(&self.train, &self.data)?;
            augment::check_augment(&self.augment, &self.data)?;
            for (key, count) in [("test.images", self.test.images), ("test.batch", self.test.batch)] {
                check(key, count, count > 0, "at least 1")?;
            }
            if let Some(every) = self.test.every {
                check("test.every", every, every > 0, "at least 1, or \"none\"")?;
            }
            match (self.stand_alone(), self.test.recalibrate) {
                (None, recalibrate) => check_recalibration(recalibrate, self.network.space)?,
                (Some(_), Some(given)) => given.check()?,
                (Some(_), None) => {}
            }
            self.test.split.check(self.data.train)
        };
        checks().map_err(in_words_of_retrain)?;
        self.stand_alone().map_or(Ok(()), |config| config.check(self))
    }

    /// Returns every key that is set, as `section.key`, with its value as TOML, sorted by key.
    ///
    /// # Panics
    /// Panics if the seed is too large for a TOML file; [`RetrainConfig::check`] rejects such a seed.
    pub fn settings(&self) -> Vec<(String, String)> {
        load::settings(self)
    }

    /// Writes the config as a TOML file with every key. [`RetrainConfig::parse`] returns an equal config.
    ///
    /// # Panics
    /// Panics if the seed is too large for a TOML file; [`RetrainConfig::check`] rejects such a seed.
    pub fn to_toml(&self) -> String {
        load::to_toml(self)
    }
}

/// Keys of supernet runs in errors of shared checks, with their names in a config of `pada retrain`.
const RENAMED: [(&str, &str); 10] = [
    ("supernet.channels", "network.channels"),
    ("supernet.cells", "network.cells"),
    ("supernet.widths", "network.widths"),
    ("rank.split", "test.split"),
    ("rank.images", "test.images"),
    ("rank.batch", "test.batch"),
    ("rank.recalibrate", "test.recalibrate"),
    ("rank.recalibrate.images", "test.recalibrate.images"),
    ("rank.recalibrate.batch", "test.recalibrate.batch"),
    ("rank.recalibrate.momentum", "test.recalibrate.momentum"),
];

/// Renames the key in an error of a shared check to the key of a config of `pada retrain`.
pub(crate) fn in_words_of_retrain(mut error: ConfigError) -> ConfigError {
    use ConfigError::{Needed, NoEffect, Range};
    if let Range { key, .. } | Needed { key, .. } | NoEffect { key, .. } = &mut error
        && let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == *key)
    {
        *key = new;
    }
    error
}
