//! Longer training of a run that is finished or in progress.

use pada_sampler::LinearSchedule;
use pada_trainer::Schedule;

use super::{Config, ConfigError, ImagesConfig, PathsConfig, RunConfig, UpdateConfig};

impl Config {
    /// Returns the config of the same run with more epochs. A run can be extended if none of its numbers depends on the number of epochs, so
    /// that the extended run equals a run that had this number from the start.
    ///
    /// # Errors
    /// Returns [`ConfigError::CannotExtend`] with the setting that depends on the number of epochs, and [`ConfigError::Range`] if the run has
    /// more epochs already.
    pub fn extended(&self, epochs: usize) -> Result<Self, ConfigError> {
        let now = self.train().epochs;
        if epochs < now {
            let (key, value) = ("--extend-to", format!("{epochs}, but the run has {now} epochs"));
            return Err(ConfigError::Range { key, value, range: "at least this number" });
        }
        if let Some(reason) = self.depends_on_epochs() {
            return Err(ConfigError::CannotExtend { epochs, reason, advice: self.instead_of_extending() });
        }
        let mut longer = self.clone();
        match &mut longer {
            Self::Run(config) => config.train.epochs = epochs,
            Self::Retrain(config) => config.train.epochs = epochs,
        }
        longer.check().map(|()| longer)
    }

    /// Returns the setting whose effect in an epoch depends on the number of all epochs, if there is one.
    pub(crate) fn depends_on_epochs(&self) -> Option<&'static str> {
        let by_schedule = match self.train().schedule {
            Schedule::Cosine => Some("train.schedule = \"cosine\" ends with the last epoch"),
            Schedule::OneCycle => Some("train.schedule = \"one-cycle\" ends with the last epoch"),
            Schedule::Linear => Some("train.schedule = \"linear\" ends with the last epoch"),
            Schedule::Constant | Schedule::Step | Schedule::Plateau => None,
        };
        by_schedule.or_else(|| match self {
            Self::Run(config) => of_supernet(config),
            Self::Retrain(config) => {
                let drops = config.stand_alone().and_then(|alone| alone.drop_path).is_some_and(|p| p > 0.0);
                drops.then_some("retrain.drop_path rises until the last epoch")
            }
        })
    }

    /// Returns what a user can do instead of extending the run.
    pub(crate) fn instead_of_extending(&self) -> &'static str {
        match self {
            Self::Run(_) => "start a new run with this train.epochs",
            Self::Retrain(_) => {
                "start a new run, which can have the weights of this one: pada retrain --init RUN_DIR"
            }
        }
    }
}

fn of_supernet(config: &RunConfig) -> Option<&'static str> {
    let moves = |schedule: &LinearSchedule| schedule.first != schedule.last;
    let (by_paths, own) = match &config.paths {
        PathsConfig::Importance(paths) => (moves(&paths.smoothing), false),
        PathsConfig::Constant { smoothing, .. } => (moves(smoothing), false),
        PathsConfig::Pareto(paths) => (moves(&paths.smoothing), false),
        PathsConfig::Own { .. } => (false, true),
        PathsConfig::Uniform | PathsConfig::Connected | PathsConfig::Fair { .. } | PathsConfig::OneChange => {
            (false, false)
        }
    };
    let by_images = matches!(&config.images, ImagesConfig::Importance(images) if moves(&images.smoothing));
    [
        (config.split.is_some(), "its sub-supernets start from the supernet after its last epoch"),
        (by_paths, "paths.smoothing rises until the last epoch"),
        (own, "paths.rule = \"own\" may depend on the number of epochs"),
        (by_images, "images.smoothing rises until the last epoch"),
        (
            matches!(config.update, UpdateConfig::Close(_)),
            "update.rule = \"close\" changes its blocks at shares of all epochs",
        ),
        (
            config.update.depends_on_epochs(),
            "update.rule trains architecture parameters from a share of all epochs on, or with a temperature that falls until the last epoch",
        ),
    ]
    .into_iter()
    .find_map(|(depends, reason)| depends.then_some(reason))
}
