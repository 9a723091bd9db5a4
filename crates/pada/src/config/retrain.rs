use std::path::Path;

use pada_data::Augment;
use pada_exec::Decayed;
use pada_trainer::{Recipe, TrainConfig};
use serde::{Deserialize, Serialize};

use super::load::{self, Described, Layers};
use super::schema::{RETRAIN_RUN, Schema};
use super::{
    ComputeConfig, ConfigError, DataConfig, RankSplit, Recalibration, SpaceName, SupernetConfig, augment,
    check, check_recalibration, check_run_name, check_seed, check_train,
};

/// A run of `pada-train retrain`: one architecture is trained from scratch and tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RetrainConfig {
    /// Names the run folder and the record.
    pub name: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// `[data]`: the images.
    pub data: DataConfig,
    /// `[network]`: search space and size of the network.
    pub network: SupernetConfig,
    /// `[compute]`: the executor.
    pub compute: ComputeConfig,
    /// `[train]`: epochs and SGD.
    pub train: TrainConfig,
    /// `[augment]`: random changes to training images.
    pub augment: Augment,
    /// `[retrain]`: the architecture and its recipe.
    pub retrain: RetrainSettings,
    /// `[test]`: the images that the network is tested on.
    pub test: TestConfig,
}

/// The section `[retrain]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetrainSettings {
    /// The architecture in any text form of its space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// The network that it is trained as.
    #[serde(flatten)]
    pub network: RetrainNetwork,
}

/// The network that an architecture is trained as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case")]
pub enum RetrainNetwork {
    /// A network with only the weights of the architecture. Its norms have scale, shift and running statistics, and it is tested and
    /// exported with these.
    StandAlone(StandAloneConfig),
    /// The only path of a supernet, whose norms are those of the supernet. The embedded table of the mini images was made in this way.
    Supernet,
}

/// What publications add to the training of a stand-alone network. A key that is left out adds nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandAloneConfig {
    /// Label-smoothing factor, in `0.0..1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// Epochs of linear learning-rate warm-up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<usize>,
    /// Decay of an exponential moving average of weights and statistics. The average is tested and exported. It starts as the untrained
    /// weights, of which it still holds `ema^n` after n steps, so short runs need a smaller decay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Weights that weight decay applies to; all if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decayed: Option<Decayed>,
    /// `darts`: probability that an edge is dropped for an image. It rises linearly with the epoch from 0 to this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_path: Option<f64>,
    /// `darts` with 32×32 images: weight of the loss of the auxiliary classifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<f64>,
}

/// The section `[test]`: the images that a retrained network is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestConfig {
    /// Where the images come from.
    pub split: RankSplit,
    /// Number of images; the first ones in official order.
    pub images: usize,
    /// Images per batch.
    pub batch: usize,
    /// Training images from which running statistics are computed anew. Without it a stand-alone network is tested with the statistics of
    /// its training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrate: Option<Recalibration>,
}

impl StandAloneConfig {
    /// The additions that the trainer knows.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            warm_up: self.warm_up.unwrap_or(0),
            drop_path: self.drop_path.unwrap_or(0.0),
            ema: self.ema,
            decayed: self.decayed.unwrap_or_default(),
        }
    }

    fn check(&self, run: &RetrainConfig) -> Result<(), ConfigError> {
        let share = |key, value: Option<f64>| match value {
            Some(value) => check(key, value, (0.0..1.0).contains(&value), "at least 0 and below 1"),
            None => Ok(()),
        };
        share("retrain.label_smoothing", self.label_smoothing)?;
        share("retrain.drop_path", self.drop_path)?;
        share("retrain.ema", self.ema)?;
        if let Some(warm_up) = self.warm_up {
            let range = "no more than train.epochs";
            check("retrain.warm_up", warm_up, warm_up <= run.train.epochs, range)?;
        }
        if let Some(auxiliary) = self.auxiliary {
            let positive = auxiliary > 0.0 && auxiliary.is_finite();
            check("retrain.auxiliary", auxiliary, positive, "positive, or unset")?;
        }
        let space = run.network.space;
        let darts = [
            ("retrain.drop_path", self.drop_path, "its layers have no edges to drop"),
            (
                "retrain.auxiliary",
                self.auxiliary,
                "its networks are published without an auxiliary classifier",
            ),
        ];
        match darts.into_iter().find(|(_, value, _)| value.is_some()) {
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

/// Some published architectures have names that no folder should have; their digits are shorter.
const LONGEST_NAME: usize = 40;

impl RetrainConfig {
    /// The config of `pada-train retrain` without `--config`: the mini images and the recipe of the default run, with the architecture as
    /// the only path of a supernet.
    ///
    /// # Panics
    /// Never: a test calls it.
    pub fn mini() -> Self {
        Self::mini_with::<&str>(&[]).expect("the assignments are valid")
    }

    /// The same with assignments `section.key=value` on top.
    ///
    /// # Errors
    /// [`ConfigError`] with the assignment.
    pub fn mini_with<S: AsRef<str>>(assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RETRAIN_RUN);
        layers.assignments(&["name=mini", "retrain.network=supernet"])?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// Reads a config from a text; errors call it `name`.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line.
    pub fn parse(text: &str, name: &Path) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RETRAIN_RUN);
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

    /// Reads a config file, with assignments `section.key=value` on top.
    ///
    /// # Errors
    /// [`ConfigError`] with file and line, or with the assignment.
    pub fn read_with<S: AsRef<str>>(path: &Path, assignments: &[S]) -> Result<Self, ConfigError> {
        let mut layers = Layers::new(&RETRAIN_RUN);
        layers.file(path)?;
        layers.assignments(assignments)?;
        layers.resolve()
    }

    /// The config with `section.key=value` applied; the value is TOML, or a plain text.
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

    /// The config for an architecture, in any text form of its space. Its name is added to the name of the run.
    ///
    /// # Errors
    /// [`ConfigError::Arch`] if the text is not an architecture of the space.
    pub fn of_arch(mut self, text: &str) -> Result<Self, ConfigError> {
        let space = self.network.space().map_err(in_words_of_retrain)?;
        let arch = space.parse(text)?.to_string();
        let word = text.len() <= LONGEST_NAME && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        self.name = format!("{}-{}", self.name, if word { text } else { &arch });
        self.retrain.arch = Some(arch);
        Ok(self)
    }

    /// The architecture.
    ///
    /// # Errors
    /// [`ConfigError::Missing`] if the config does not say which.
    pub fn arch(&self) -> Result<&str, ConfigError> {
        let missing = || ConfigError::Missing {
            key: "retrain.arch".to_owned(),
            by: "a run of `pada-train retrain`".to_owned(),
            about: "The architecture in any text form of its space; `--arch` sets it.",
        };
        self.retrain.arch.as_deref().ok_or_else(missing)
    }

    /// The recipe, if a stand-alone network is trained.
    pub fn stand_alone(&self) -> Option<&StandAloneConfig> {
        match &self.retrain.network {
            RetrainNetwork::StandAlone(config) => Some(config),
            RetrainNetwork::Supernet => None,
        }
    }

    /// Checks the ranges of all numbers, and that everything suits the space.
    ///
    /// # Errors
    /// [`ConfigError`]
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

    /// Every key that is set, as `section.key`, with its value as TOML, in the order of the keys.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`RetrainConfig::check`] refuses.
    pub fn settings(&self) -> Vec<(String, String)> {
        load::settings(self)
    }

    /// The config as a TOML file with every key, which reads back the same.
    ///
    /// # Panics
    /// If the seed is too large for a file, which [`RetrainConfig::check`] refuses.
    pub fn to_toml(&self) -> String {
        load::to_toml(self)
    }
}

/// Keys of supernet runs that shared checks name, and what they are called in a config of `pada-train retrain`.
const RENAMED: [(&str, &str); 9] = [
    ("supernet.channels", "network.channels"),
    ("supernet.cells", "network.cells"),
    ("supernet.widths", "network.widths"),
    ("rank.split", "test.split"),
    ("rank.images", "test.images"),
    ("rank.batch", "test.batch"),
    ("rank.recalibrate", "test.recalibrate"),
    ("rank.recalibrate.images", "test.recalibrate.images"),
    ("rank.recalibrate.batch", "test.recalibrate.batch"),
];

/// An error of a check that is shared with supernet runs, with the key of a config of `pada-train retrain`.
pub(crate) fn in_words_of_retrain(mut error: ConfigError) -> ConfigError {
    use ConfigError::{Needed, NoEffect, Range};
    if let Range { key, .. } | Needed { key, .. } | NoEffect { key, .. } = &mut error
        && let Some((_, new)) = RENAMED.iter().find(|(old, _)| *old == *key)
    {
        *key = new;
    }
    error
}
