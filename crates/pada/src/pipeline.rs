//! How the parts are wired: train, save, rank, compare, record.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pada_data::{ImageSource, Photographs};
use pada_graph::{Executor, WeightLayout};
use pada_report::{EpochRecord, EventFile, ImagesRecord, RankRecord, RunRecord, SupernetRecord};
use pada_space::{Arch, SearchSpace, SubSpace};
use pada_trainer::split::Leaves;
use pada_trainer::{ArchScore, Checkpoint, Observer, TrainError, Trainer, TrainerParts, image_shape};

use crate::ranking::{Part, Ranking, Weights};
use crate::stages::{Stages, Trained};
use crate::{
    ComputeConfig, ConfigError, Device, Network, PadaError, PathRule, RankSplit, RunConfig, RunFolder,
    SupernetConfig, Tables, build, read_archs, write_scores,
};

/// Where a job finds its data and what it computes on.
#[derive(Clone, Debug)]
pub struct Place {
    /// Folder of downloaded data sets and tables.
    pub data_dir: PathBuf,
    /// What computes.
    pub device: Device,
    /// Time between two checkpoints within an epoch; there is one after every epoch too.
    pub checkpoint_every: Duration,
}

/// A run whose inputs have been read and checked: train a supernet, rank architectures with its weights, compare.
pub struct Run {
    config: RunConfig,
    place: Place,
    images: ImageSource,
    /// The part of the space that is trained and ranked.
    whole: SubSpace,
    first: Trainer,
    ranking: Ranking,
}

impl Run {
    /// Reads images and tables and puts the run together; writes nothing.
    ///
    /// # Errors
    /// [`PadaError`]: the config or a file it needs.
    pub fn prepare(config: &RunConfig, place: &Place) -> Result<Self, PadaError> {
        config.check()?;
        let splits = pada_data::open(&config.data.source, &place.data_dir, config.data.photographs())?;
        let network = Network::new(&config.supernet, &splits.test);
        let whole = build::part(&config.supernet, network.space.as_ref())?;
        config.check_positions(whole.allowed().len())?;
        let (archs, tables) = archs_and_tables(config, place, network.space.as_ref())?;
        let archs = within_part(config, archs, &whole)?;
        let rank_images = build::rank_images(config.rank.split, &splits);
        build::within("rank.images", config.rank.images, &rank_images)?;
        let images = build::train_images(config, &splits)?;
        let (config, place) = (config.clone(), place.clone());
        let first = Stages::first(&config, &images, network.space.as_ref(), &whole, place.device)?;
        let rank_images = rank_images.held(config.rank.images)?;
        let ranking = Ranking { archs, images: rank_images, batch: config.rank.batch, network, tables };
        Ok(Self { config, place, images, whole, first, ranking })
    }

    /// Trains, ranks and keeps everything in `folder`; goes on from the last checkpoint there.
    ///
    /// # Errors
    /// [`PadaError`]. After [`Blame::Stopped`](crate::Blame::Stopped) or a failure, a run prepared again goes on in the same folder.
    pub fn finish(mut self, folder: &RunFolder, observer: &mut dyn Observer) -> Result<RunRecord, PadaError> {
        let mut record = self.new_record();
        let stages = Stages {
            config: &self.config,
            images: &self.images,
            space: self.ranking.network.space.as_ref(),
            whole: self.whole,
            device: self.place.device,
            folder: folder.path(),
            checkpoint_every: self.place.checkpoint_every,
            done: vec![],
            next: 0,
            split_seconds: 0.0,
        };
        let ops = self.ranking.network.space.op_names();
        let mut events = None;
        let mut on_epoch = |epochs: &[EpochRecord]| {
            set_epochs(&mut record, epochs);
            folder.write_record(&record)?;
            Ok(event_file(&mut events, folder, &record)?.epochs(epochs, ops)?)
        };
        let trained = stages.train(self.first, observer, &mut on_epoch)?;
        let Trained { mut trainer, mut leaves, epochs, split_seconds } = trained;
        set_epochs(&mut record, &epochs);
        record.train_seconds += split_seconds;
        record.parts = leaves.iter().flat_map(Leaves::parts).map(part_record).collect();
        let TrainerParts { executor, net, rule, .. } = trainer.parts();
        let mut place = |arch: &Arch, executor: &mut dyn Executor| match &mut leaves {
            Some(leaves) => leaves
                .place(arch, executor)
                .map(|leaf| leaf.to_string().into_bytes())
                .ok_or_else(|| TrainError::NotTrained { arch: arch.clone() }),
            None => rule.place_weights(arch, executor),
        };
        let mut part = Part { folder, every: self.place.checkpoint_every };
        let weights = Weights { executor: executor.as_mut(), net: net.as_ref(), place: &mut place };
        let (scores, ranking) = self.ranking.run(weights, Some(&mut part), observer)?;
        write_scores(&folder.ranking(), &scores)?;
        folder.remove_scored()?;
        let events = event_file(&mut events, folder, &record)?;
        events.epochs(&epochs, ops)?;
        events.ranking(&epochs, &ranking.agreements)?;
        record.ranking = Some(ranking);
        folder.write_record(&record)?;
        Ok(record)
    }

    fn new_record(&mut self) -> RunRecord {
        let (config, parts) = (&self.config, self.first.parts());
        RunRecord {
            name: config.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            method: config.method(),
            seed: config.seed,
            device: parts.executor.name().to_owned(),
            threads: rayon::current_num_threads(),
            supernet: SupernetRecord {
                space: self.ranking.network.space.name().to_owned(),
                channels: config.supernet.channels,
                cells: config.supernet.cells,
                weights: parts.net.weights().numel(),
            },
            train_images: ImagesRecord {
                name: self.images.name().to_owned(),
                images: self.images.len(),
                sha256: self.images.sha256(),
            },
            parts: vec![],
            epochs: vec![],
            train_seconds: 0.0,
            ranking: None,
        }
    }
}

/// Which architectures a run ranks and what it compares them with.
fn archs_and_tables(
    config: &RunConfig,
    place: &Place,
    space: &dyn SearchSpace,
) -> Result<(Vec<Arch>, Tables), PadaError> {
    if config.sampler.path == PathRule::Fixed {
        // One architecture from scratch: its accuracy is the result, there is nothing to rank.
        return Ok((vec![space.parse(config.sampler.fixed_arch()?)?], Tables::none()));
    }
    let rank = &config.rank;
    let tables = Tables::load(rank.truth, &rank.compare, &place.data_dir, space)?;
    let archs = match rank.archs.as_str() {
        "truth" => tables.archs().to_vec(),
        "all" => space.archs().collect(),
        file => read_archs(Path::new(file), space)?,
    };
    Ok((archs, tables))
}

/// The architectures of a list that a part of the space holds. Those of a table or of the whole space may lie outside it, those that
/// somebody named may not.
fn within_part(config: &RunConfig, mut archs: Vec<Arch>, part: &SubSpace) -> Result<Vec<Arch>, ConfigError> {
    let named =
        !["truth", "all"].contains(&config.rank.archs.as_str()) || config.sampler.path == PathRule::Fixed;
    if let Some(outside) = archs.iter().find(|arch| named && !part.contains(arch)) {
        let (key, value) = ("supernet.ops", format!("{:?}, without {outside}", config.supernet.ops));
        let range = "the operations of every architecture that is named";
        return Err(ConfigError::Range { key, value, range });
    }
    archs.retain(|arch| part.contains(arch));
    if archs.is_empty() {
        let (key, value) = ("rank.archs", config.rank.archs.clone());
        return Err(ConfigError::Range { key, value, range: "a list with an architecture of supernet.ops" });
    }
    Ok(archs)
}

/// The event file of this session, made when it is first needed; the clock of a run counts training only.
fn event_file<'a>(
    events: &'a mut Option<EventFile>,
    folder: &RunFolder,
    record: &RunRecord,
) -> Result<&'a mut EventFile, PadaError> {
    match events {
        Some(events) => Ok(events),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            Ok(events.insert(EventFile::create(folder.path(), now - record.train_seconds)?))
        }
    }
}

fn set_epochs(record: &mut RunRecord, epochs: &[EpochRecord]) {
    record.epochs = epochs.to_vec();
    record.train_seconds = epochs.iter().map(|epoch| epoch.seconds).sum();
}

/// The digits that a part allows at each position.
fn part_record(part: &SubSpace) -> Vec<String> {
    part.allowed().iter().map(|ops| Arch::new(ops.as_slice()).to_string()).collect()
}

/// Architectures to score with weights from a file.
#[derive(Clone, Debug)]
pub struct RankJob {
    /// Weights: a checkpoint, `.safetensors`, or a PyTorch `.pt`.
    pub weights: PathBuf,
    /// The network they belong to.
    pub supernet: SupernetConfig,
    /// What computes.
    pub compute: ComputeConfig,
    /// Data set, as `data.source` of a config.
    pub data: String,
    /// How photographs are read; none for data sets whose images have their own size.
    pub photographs: Option<Photographs>,
    /// Where the images come from.
    pub split: RankSplit,
    /// The first so many images; all if none is given.
    pub limit: Option<usize>,
    /// Images per batch.
    pub batch: usize,
    /// A file with one architecture a line; all of the space if none is given.
    pub archs: Option<PathBuf>,
    /// What to compare with.
    pub truth: Option<crate::TruthName>,
}

/// Scores architectures with weights from a file, and compares the ranking where a table is given.
///
/// # Errors
/// [`PadaError`]
pub fn rank_weights(
    job: &RankJob,
    place: &Place,
    observer: &mut dyn Observer,
) -> Result<(Vec<ArchScore>, RankRecord), PadaError> {
    let splits = pada_data::open(&job.data, &place.data_dir, job.photographs)?;
    let images = build::rank_images(job.split, &splits);
    let network = Network::new(&job.supernet, &images);
    let space = network.space.as_ref();
    let tables = match job.truth {
        Some(name) => Tables::load(name, &[], &place.data_dir, space)?,
        None => Tables::none(),
    };
    let archs = match &job.archs {
        Some(path) => read_archs(path, space)?,
        None => space.archs().collect(),
    };
    let net = build::supernet(&job.supernet, image_shape(&images), images.classes());
    let weights = pada_supernet::read_weights(&job.weights, net.weights())?;
    let scope = Checkpoint::scope(&job.weights)?;
    let stranger = archs.iter().find(|arch| scope.part.as_ref().is_some_and(|part| !part.contains(arch)));
    if scope.by_rule || stranger.is_some() {
        let reason = match stranger {
            _ if scope.by_rule => "its weights are chosen for each architecture by CLOSE's gate".to_owned(),
            stranger => {
                format!("it was trained on a part of the space without {}", stranger.expect("there is one"))
            }
        };
        return Err(PadaError::PartialWeights { path: job.weights.clone(), reason });
    }
    let mut executor = build::executor(job.compute, place.device, net.as_ref(), weights);
    let images = images.held(job.limit.unwrap_or(usize::MAX))?;
    let ranking = Ranking { archs, images, batch: job.batch, network, tables };
    let place = &mut |_: &Arch, _: &mut dyn Executor| Ok(vec![]);
    ranking.run(Weights { executor: executor.as_mut(), net: net.as_ref(), place }, None, observer)
}

/// Names and shapes of a supernet's weights.
pub fn weight_layout(supernet: &SupernetConfig, classes: usize) -> WeightLayout {
    // The weights are the same for every image size.
    build::supernet(supernet, pada_graph::Shape::new(3, 32, 32), classes).weights().clone()
}
