use std::path::Path;

use pada_data::Dataset;
use pada_exec::State;
use pada_graph::{Cost, Lower};
use pada_space::Arch;
use pada_trainer::{Calibration, TrainError, image_shape};

use super::exported::{ALONE, About};
use super::{ExportJob, ExportWeights};
use crate::config::{ComputeConfig, Config, ConfigError, Recalibration, StandAloneConfig, SupernetConfig};
use crate::error::PadaError;
use crate::eval::weights_file::{check_part, read_scored};
use crate::run::build;
use crate::run::network::Network;
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;

/// The weights and the architecture that are exported.
pub(super) struct Source {
    pub(super) supernet: SupernetConfig,
    /// The recipe, if the architecture was trained as a stand-alone network.
    pub(super) alone: Option<StandAloneConfig>,
    /// The recalibration with which the run scores, if there is one.
    pub(super) recalibrated: Option<(Recalibration, Calibration)>,
    pub(super) arch: Arch,
    /// Cost of the stand-alone network of the architecture.
    pub(super) cost: Cost,
    /// A text form of the architecture, from which it can be read again.
    text: String,
    /// All weights of the supernet, as placed for the architecture.
    pub(super) weights: Vec<f32>,
    /// The images that were trained on.
    pub(super) images: Dataset,
    pub(super) compute: ComputeConfig,
    /// Name of the file or folder of the weights, without its path.
    name: String,
}

impl Source {
    pub(super) fn read(job: &ExportJob, place: &Session) -> Result<Self, PadaError> {
        let arch = job.arch.as_deref();
        match &job.weights {
            ExportWeights::Run(folder) => Self::run(TrainedRun::load_in(folder, place)?, arch),
            ExportWeights::RunWithData { folder, data } => {
                Self::run(TrainedRun::load_with_data(folder, data, place)?, arch)
            }
            ExportWeights::File { path, supernet, data, photographs, compute } => {
                let images = pada_data::open(data, &place.data_dir, *photographs)?.train;
                let net = build::supernet(supernet, image_shape(&images), images.classes())?;
                let space = supernet.space()?;
                let range = "an architecture unless --weights is the folder of a run of one architecture";
                let missing = ConfigError::Range { key: "--arch", value: "not given".to_owned(), range };
                let arch = space.parse(arch.ok_or(missing)?)?;
                let (weights, part) = read_scored(path, net.as_ref(), space.as_ref())?;
                check_part(path, &part, &arch)?;
                let (supernet, name) = (supernet.clone(), name(path));
                let (alone, recalibrated) = (None, None);
                let text = arch.to_string();
                let compute = *compute;
                let cost = Network::new(&supernet, &images)?.cost(&arch)?;
                Ok(Self { supernet, alone, recalibrated, arch, cost, text, weights, images, compute, name })
            }
        }
    }

    fn run(run: TrainedRun, arch: Option<&str>) -> Result<Self, PadaError> {
        let TrainedRun { folder, config, inputs, mut trained, .. } = run;
        let path = folder.path();
        let space = inputs.scoring.network.space.as_ref();
        let given = arch.map(|text| space.parse(text)).transpose()?;
        let arch = match (&config, given) {
            (Config::Retrain(config), given) => {
                let trained = space.parse(config.arch()?)?;
                if let Some(other) = given.filter(|given| *given != trained) {
                    let (path, trained, arch) = (path.into(), trained.to_string(), other.to_string());
                    return Err(PadaError::OtherArch { path, trained, arch });
                }
                trained
            }
            (_, Some(given)) => given,
            (_, None) => {
                let (key, value) = ("--arch", "not given".to_owned());
                let range = "one of the architectures that the run trained";
                return Err(ConfigError::Range { key, value, range }.into());
            }
        };
        check_part(path, &inputs.whole, &arch)?;
        let text = match &config {
            // The digit of a published network does not describe it.
            Config::Retrain(config) if config.network.space()?.check(&arch).is_err() => {
                config.arch()?.to_owned()
            }
            _ => arch.to_string(),
        };
        if let Config::Run(run) = &config
            && run.update.has_partial_channels()
        {
            let (key, value) = ("--weights", path.display().to_string());
            let range = "a run with another rule than pc-darts, whose operations see a part of the channels; train the architecture with pada retrain";
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let mut weights = trained.with_weights(|weights| {
            (weights.place)(&arch, weights.executor)?;
            let values = weights.executor.read(State::Weights);
            weights.executor.deferred_error()?;
            Ok::<_, TrainError>(values)
        })?;
        if matches!(&config, Config::Run(run) if run.update.differentiable().is_some()) {
            // The factors of mixtures come last, and no path reads them.
            let net =
                build::supernet(config.network(), image_shape(&inputs.images), inputs.images.classes())?;
            weights.truncate(net.weights().numel());
        }
        let cost = inputs.scoring.network.cost(&arch)?;
        let (images, name) = (inputs.images, name(folder.path()));
        let (supernet, alone, compute) =
            (config.network().clone(), config.stand_alone().cloned(), config.compute());
        let recalibrated = config.scored_on().recalibrate.zip(inputs.scoring.calibration);
        Ok(Self { supernet, alone, recalibrated, arch, cost, text, weights, images, compute, name })
    }

    /// Creates the network that the weights belong to.
    pub(super) fn net(&self) -> Result<Box<dyn Lower>, PadaError> {
        build::net_of(
            &self.supernet,
            self.alone.as_ref(),
            &self.text,
            image_shape(&self.images),
            self.images.classes(),
        )
    }

    /// Returns the metadata of the architecture and its supernet: every key of `[supernet]`, and all keys together as TOML, from which the
    /// network can be rebuilt.
    pub(super) fn about(&self) -> About {
        let table = toml::Table::try_from(&self.supernet).expect("a config is a table");
        let text = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut about: About = table.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let further = [("arch", self.text.clone()), ("supernet", table.to_string())];
        about.extend(further.map(|(key, value)| (key.to_owned(), value)));
        about.insert("weights".to_owned(), self.name.clone());
        if let Some(alone) = &self.alone {
            let table = toml::Table::try_from(alone).expect("a config is a table");
            about.insert(ALONE.to_owned(), table.to_string());
        }
        about
    }
}

fn name(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
