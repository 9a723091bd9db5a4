//! Complete experiments: a run from its inputs to its record, and a builder for it.

pub(crate) mod run;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pada_data::Splits;
use pada_sampler::{PathSampler, SamplerError};
use pada_space::SubSpace;
use pada_trainer::Observer;

use crate::config::OWN;
use crate::config::{Config, ConfigError, ImagesConfig, PathsConfig, RankArchs, RunConfig, TruthName};
use crate::error::PadaError;
use crate::experiment::run::Run;
use crate::run::folder::RunFolder;
use crate::run::inputs::Custom;
use crate::run::session::Session;
use crate::run::trained_run::TrainedRun;

/// The images of an [`Experiment`].
#[derive(Clone, Debug)]
pub struct Dataset(Source);

#[derive(Clone, Debug)]
enum Source {
    Named(String),
    Own(Box<Splits>),
}

impl Dataset {
    /// Returns the embedded mini images: 8,000 training and 2,000 test images of CIFAR-10, reduced to 16×16 pixels.
    pub fn mini() -> Self {
        Self(Source::Named("mini".to_owned()))
    }

    /// Returns CIFAR-10, which must have been downloaded into the data folder of the [`Session`].
    pub fn cifar10() -> Self {
        Self(Source::Named("cifar10".to_owned()))
    }

    /// Returns CIFAR-100, which must have been downloaded into the data folder of the [`Session`].
    pub fn cifar100() -> Self {
        Self(Source::Named("cifar100".to_owned()))
    }

    /// Returns the images of a folder. It contains the official binary files of CIFAR, or photographs in the layout of ImageNet, which also
    /// require `data.image_size`.
    pub fn folder(path: impl AsRef<Path>) -> Self {
        Self(Source::Named(path.as_ref().display().to_string()))
    }

    /// Returns your own training and test images.
    pub fn own(splits: impl Into<Splits>) -> Self {
        Self(Source::Own(Box::new(splits.into())))
    }
}

/// Number of architectures that are ranked if there is no benchmark table.
const RANKED: usize = 100;

/// Builder of a run that trains a supernet and ranks architectures with it. It creates a [`RunConfig`].
///
/// ```
/// use pada::prelude::*;
///
/// let folder = std::env::temp_dir().join(format!("pada-experiment-{}", std::process::id()));
/// let mut run = Experiment::nb201(Dataset::mini())
///     .sampler(PathsConfig::importance(), ImagesConfig::importance())
///     .epochs(1)
///     .seed(0)
///     .set("data.train_images=128")
///     .set("rank.images=100")
///     .train(&folder)?;
/// let table = pada::nasbench::mini()?;
/// let agreement = run.evaluate(&table.archs()[..20])?.agreement(&table)?;
/// println!("tau-b {:.2}", agreement.tau_b);
/// # drop(run);
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok::<(), PadaError>(())
/// ```
#[derive(Clone)]
pub struct Experiment {
    assignments: Vec<String>,
    start: RunConfig,
    paths: Option<PathsConfig>,
    images: Option<ImagesConfig>,
    session: Session,
    custom: Custom,
}

impl fmt::Debug for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment").field("config", &self.config()).field("session", &self.session).finish()
    }
}

impl Experiment {
    /// Creates an experiment on the NAS-Bench-201 space with the defaults of `RunConfig`.
    pub fn nb201(dataset: Dataset) -> Self {
        Self::new(RunConfig::default(), dataset)
    }

    /// Creates an experiment from a config.
    pub fn new(mut config: RunConfig, dataset: Dataset) -> Self {
        let mut custom = Custom::default();
        match dataset.0 {
            Source::Named(name) => config.data.source = name,
            Source::Own(splits) => {
                config.data.source = OWN.to_owned();
                config.rank.images = config.rank.images.min(splits.test.len());
                custom.splits = Some(*splits);
            }
        }
        if config.data.source != "mini" && config.rank.truth == Some(TruthName::Mini) {
            // The embedded table belongs to the embedded images.
            config.rank.truth = None;
            if config.rank.archs == RankArchs::Truth {
                config.rank.archs = RankArchs::Random(RANKED);
            }
        }
        let (assignments, paths, images) = (vec![], None, None);
        Self { assignments, start: config, paths, images, session: Session::default(), custom }
    }

    /// Sets the path sampler and the data sampler.
    #[must_use]
    pub fn sampler(mut self, paths: PathsConfig, images: ImagesConfig) -> Self {
        (self.paths, self.images) = (Some(paths), Some(images));
        self
    }

    /// Sets your own path sampler. The config, records and the identity of checkpoints contain `name`. `build` creates the sampler for the
    /// part of the space that paths are drawn from.
    #[must_use]
    pub fn path_sampler<S: PathSampler + 'static>(
        mut self,
        name: &str,
        build: impl Fn(SubSpace) -> Result<S, SamplerError> + Send + Sync + 'static,
    ) -> Self {
        self.paths = Some(PathsConfig::Own { name: name.to_owned() });
        self.custom.paths =
            Some(Arc::new(move |part| build(part).map(|sampler| Box::new(sampler) as Box<dyn PathSampler>)));
        self
    }

    /// Sets the data sampler.
    #[must_use]
    pub fn image_sampler(mut self, images: ImagesConfig) -> Self {
        self.images = Some(images);
        self
    }

    /// Sets the number of passes over the training images.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        self.set(&format!("train.epochs={epochs}"))
    }

    /// Sets the seed of all random streams.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set(&format!("seed={seed}"))
    }

    /// Sets any key of the config, as `section.key=value`. [`Experiment::train`] returns an error if the assignment is not valid.
    #[must_use]
    pub fn set(mut self, assignment: &str) -> Self {
        self.assignments.push(assignment.to_owned());
        self
    }

    /// Sets data folder, device and processes.
    #[must_use]
    pub fn session(mut self, session: Session) -> Self {
        self.session = session;
        self
    }

    /// Returns the resolved config.
    ///
    /// # Errors
    /// Returns an error with the assignment that is not valid.
    pub fn config(&self) -> Result<RunConfig, ConfigError> {
        let mut config = self.start.with_all(&self.assignments)?;
        if let Some(paths) = &self.paths {
            config.paths = paths.clone();
        }
        if let Some(images) = &self.images {
            config.images = *images;
        }
        Ok(config)
    }

    /// Trains the supernet, ranks architectures, and writes all results into a new run folder. If the folder contains the same run, the run is
    /// resumed.
    ///
    /// # Errors
    /// Returns an error if the config is not valid, an input cannot be read, the folder has another run, or training fails.
    pub fn train(&self, folder: impl Into<PathBuf>) -> Result<TrainedRun, PadaError> {
        self.train_with(folder, &mut ())
    }

    /// Trains as [`Experiment::train`], with an observer that receives every step and can stop the run.
    ///
    /// # Errors
    /// Returns the same errors as [`Experiment::train`], and an error of the kind [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) if the
    /// observer stops the run.
    pub fn train_with(
        &self,
        folder: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<TrainedRun, PadaError> {
        let (path, config) = (folder.into(), Config::Run(self.config()?));
        let run = Run::prepare_custom(config.clone(), &self.session, &self.custom)?;
        let folder = RunFolder::create_or_open(&path, &config)?;
        run.execute(&folder, observer)?;
        TrainedRun::of(folder, config, &self.session, &self.custom)
    }
}
