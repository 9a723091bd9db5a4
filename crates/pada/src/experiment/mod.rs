//! Whole experiments: a run from its inputs to its record, and the builder around it.

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
    /// The embedded mini images: 8,000 training and 2,000 test images of CIFAR-10, halved to 16×16 pixels.
    pub fn mini() -> Self {
        Self(Source::Named("mini".to_owned()))
    }

    /// CIFAR-10, downloaded into the data folder of the [`Session`].
    pub fn cifar10() -> Self {
        Self(Source::Named("cifar10".to_owned()))
    }

    /// CIFAR-100, downloaded into the data folder of the [`Session`].
    pub fn cifar100() -> Self {
        Self(Source::Named("cifar100".to_owned()))
    }

    /// A folder with the official binary files of CIFAR, or with photographs in ImageNet's layout, which also need
    /// `data.image_size`.
    pub fn folder(path: impl AsRef<Path>) -> Self {
        Self(Source::Named(path.as_ref().display().to_string()))
    }

    /// Images of your own: training and test images as bytes.
    pub fn own(splits: impl Into<Splits>) -> Self {
        Self(Source::Own(Box::new(splits.into())))
    }
}

/// Architectures that are ranked if there is no table to compare with.
const RANKED: usize = 100;

/// Trains a supernet and ranks architectures with it: a [`RunConfig`] with a builder around it.
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
/// let table = pada::truth::mini(run.space())?;
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
    /// An experiment on the NAS-Bench-201 space with the defaults of `RunConfig`.
    pub fn nb201(dataset: Dataset) -> Self {
        Self::new(RunConfig::default(), dataset)
    }

    /// An experiment that starts from a config.
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
            // The embedded table is about the embedded images.
            config.rank.truth = None;
            if config.rank.archs == RankArchs::Truth {
                config.rank.archs = RankArchs::Random(RANKED);
            }
        }
        let (assignments, paths, images) = (vec![], None, None);
        Self { assignments, start: config, paths, images, session: Session::default(), custom }
    }

    /// The path sampler and the data sampler.
    #[must_use]
    pub fn sampler(mut self, paths: PathsConfig, images: ImagesConfig) -> Self {
        (self.paths, self.images) = (Some(paths), Some(images));
        self
    }

    /// A path sampler of your own. `name` stands for it in the config, in records and in the identity of checkpoints; `build` gets the
    /// part of the space that paths must come from.
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

    /// The data sampler.
    #[must_use]
    pub fn image_sampler(mut self, images: ImagesConfig) -> Self {
        self.images = Some(images);
        self
    }

    /// Passes over the training images.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        self.set(&format!("train.epochs={epochs}"))
    }

    /// Seed of all random streams.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set(&format!("seed={seed}"))
    }

    /// Any other key of the config, as `section.key=value`. [`Experiment::train`] reports wrong ones.
    #[must_use]
    pub fn set(mut self, assignment: &str) -> Self {
        self.assignments.push(assignment.to_owned());
        self
    }

    /// Data folder, device and processes.
    #[must_use]
    pub fn session(mut self, session: Session) -> Self {
        self.session = session;
        self
    }

    /// The resolved config.
    ///
    /// # Errors
    /// [`ConfigError`] with the assignment that is wrong.
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

    /// Trains, ranks, and writes everything into a new run folder. A folder that holds the same run is resumed.
    ///
    /// # Errors
    /// [`PadaError`]
    pub fn train(&self, folder: impl Into<PathBuf>) -> Result<TrainedRun, PadaError> {
        self.train_with(folder, &mut ())
    }

    /// The same with an observer, which sees every step and can stop the run.
    ///
    /// # Errors
    /// [`PadaError`]
    pub fn train_with(
        &self,
        folder: impl Into<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<TrainedRun, PadaError> {
        let (path, config) = (folder.into(), Config::Run(self.config()?));
        let run = Run::prepare_custom(config.clone(), &self.session, &self.custom)?;
        let folder = match path.is_dir() && !RunFolder::is_unborn(&path) {
            true => match RunFolder::open(&path)? {
                (folder, found) if found == config => folder,
                _ => return Err(PadaError::FolderExists { path }),
            },
            false => RunFolder::create(&path, &config)?,
        };
        run.execute(&folder, observer)?;
        TrainedRun::of(folder, config, &self.session, &self.custom)
    }
}
