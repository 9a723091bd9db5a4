use std::sync::Arc;

use pada_data::{Dataset, Splits};
use pada_sampler::{PathSampler, SamplerError};
use pada_space::SubSpace;
use pada_trainer::image_shape;

use crate::config::OWN;
use crate::config::{Config, ConfigError, RankSplit, RunConfig, TrainPart};
use crate::error::PadaError;
use crate::run::build;
use crate::run::network::Network;
use crate::run::scoring::Scoring;
use crate::run::session::Session;

/// Creates a path sampler for a part of the space.
pub(crate) type PathSamplerFactory =
    Arc<dyn Fn(SubSpace) -> Result<Box<dyn PathSampler>, SamplerError> + Send + Sync>;

/// Inputs that a program provides instead of a key of the config.
#[derive(Clone, Default)]
pub(crate) struct Custom {
    /// The images of `data.source = "own"`.
    pub(crate) splits: Option<Splits>,
    /// The sampler of `paths.rule = "own"`.
    pub(crate) paths: Option<PathSamplerFactory>,
}

/// The inputs of a run: images and network, checked against each other.
pub(crate) struct Inputs {
    /// The training images.
    pub(crate) images: Dataset,
    /// The images on which a differentiable search trains architecture parameters. `None` for other training rules.
    pub(crate) validation: Option<Dataset>,
    /// The part of the space that is trained and ranked.
    pub(crate) whole: SubSpace,
    /// Images and network that architectures are scored with.
    pub(crate) scoring: Scoring,
    /// The sampler of `paths.rule = "own"`.
    pub(crate) own_paths: Option<PathSamplerFactory>,
}

/// Logs a warning for each benchmark table whose accuracies belong to other images than those of the run.
fn warn_of_foreign_tables(config: &RunConfig, splits: &Splits) {
    let images = splits.test.name();
    let set = images.split(' ').next().unwrap_or_default();
    for table in config.rank.truth.iter().chain(&config.rank.compare) {
        if !table.images().contains(&set) {
            tracing::warn!(
                "the table {table} has accuracies of other images than {images}, so the agreement with it says little; rank.truth = \"none\" and rank.compare = [] leave it out"
            );
        }
    }
}

/// Checks that random crops of padded images show a part of the image.
fn check_crop(config: &Config, images: &Dataset) -> Result<(), ConfigError> {
    let (padding, shape) = (config.augment().crop_padding, image_shape(images));
    if padding < shape.height.min(shape.width) {
        return Ok(());
    }
    let (key, value, range) = ("augment.crop_padding", padding.to_string(), "smaller than the images");
    Err(ConfigError::Range { key, value, range })
}

impl Inputs {
    /// Reads and checks all inputs. It writes no file.
    pub(crate) fn read(config: &Config, place: &Session, custom: &Custom) -> Result<Self, PadaError> {
        config.check()?;
        Self::read_checked(config, place, custom).map_err(|error| match error {
            PadaError::Config(error) => config.in_own_words(error).into(),
            other => other,
        })
    }

    fn read_checked(config: &Config, place: &Session, custom: &Custom) -> Result<Self, PadaError> {
        let data = config.data();
        let splits = match &custom.splits {
            Some(splits) => splits.clone(),
            None if data.source == OWN => {
                let range = "the name of a data set or a folder, because only the program that started the run has its images";
                return Err(ConfigError::Range { key: "data.source", value: OWN.to_owned(), range }.into());
            }
            None => pada_data::open(&data.source, &place.data_dir, data.photographs())?,
        };
        let splits = build::normalised(data.normalize, splits)?;
        let network = match config {
            Config::Retrain(config) if config.stand_alone().is_some() => {
                Network::retrained(config, &splits.test)?
            }
            _ => Network::new(config.network(), &splits.test)?,
        };
        // Images that are too small for one architecture are too small for all.
        network.cost(&network.space.nth(0).expect("a space has an architecture"))?;
        check_crop(config, &splits.train)?;
        let whole = build::part(config.network(), network.space.as_ref())?;
        if let Config::Run(config) = config {
            config.check_positions(whole.allowed().len())?;
        }
        let rank = config.scored_on();
        let rank_images = build::rank_images(rank.split, data.train, &splits)?;
        if let Config::Run(config) = config {
            warn_of_foreign_tables(config, &splits);
        }
        let trainable = build::trainable(data.train, &splits)?;
        let calibration = build::calibration(rank.recalibrate, &trainable)?;
        let images = build::train_images(data.train_images, trainable)?;
        let scoring =
            Scoring { images: rank_images.to_memory(rank.images)?, batch: rank.batch, calibration, network };
        let validation = match config {
            Config::Run(run) if run.update.differentiable().is_some() && data.train != TrainPart::All => {
                Some(build::rank_images(RankSplit::Valid, data.train, &splits)?)
            }
            _ => None,
        };
        Ok(Self { images, validation, whole, scoring, own_paths: custom.paths.clone() })
    }
}
