//! How the parts are wired: train, save, rank, compare, record.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pada_data::{Dataset, InMemoryDataset};
use pada_dist::ProcessGroup;
use pada_report::{EpochRecord, EventFile, ImagesRecord, RunRecord, SupernetRecord};
use pada_space::{Arch, Equivalence, SearchSpace, SubSpace};
use pada_trainer::split::SubSupernets;
use pada_trainer::{Observer, RngStream, Trainer};

use crate::config::{can_be_listed, check};
use crate::inputs::{Custom, Inputs};
use crate::ranking_part::Part;
use crate::stages::{SupernetTraining, Unfinished};
use crate::{
    Config, ConfigError, Device, PadaError, RankArchs, RunFolder, SpaceName, Tables, read_archs, write_scores,
};

/// Where a job finds its data and what it computes on.
#[derive(Clone, Debug)]
pub struct Session {
    /// Folder of downloaded data sets and tables.
    pub data_dir: PathBuf,
    /// What computes.
    pub device: Device,
    /// Time between two checkpoints within an epoch; there is one after every epoch too.
    pub checkpoint_every: Duration,
    /// The ranks that work on the same job.
    pub world: ProcessGroup,
}

impl Default for Session {
    /// One process on the CPU, data in `data/`, a checkpoint every minute.
    fn default() -> Self {
        Self {
            data_dir: "data".into(),
            device: Device::Cpu,
            checkpoint_every: Duration::from_secs(60),
            world: ProcessGroup::single(),
        }
    }
}

/// A run whose inputs have been read and checked: train a supernet, rank architectures with its weights, compare.
pub struct Run {
    config: Config,
    place: Session,
    inputs: Inputs,
    first: Trainer,
    archs: Vec<Arch>,
    tables: Tables,
}

impl Run {
    /// Reads images and tables and puts the run together; writes nothing. Ranks that are not about the same run are refused.
    ///
    /// # Errors
    /// [`PadaError`]: the config or a file it needs, or [`PadaError::ProcessGroup`].
    pub fn prepare(config: impl Into<Config>, place: &Session) -> Result<Self, PadaError> {
        Self::prepare_custom(config.into(), place, &Custom::default())
    }

    pub(crate) fn prepare_custom(
        config: Config,
        place: &Session,
        custom: &Custom,
    ) -> Result<Self, PadaError> {
        let inputs = Inputs::read(&config, place, custom)?;
        let space = inputs.scoring.network.space.as_ref();
        let (archs, tables) = archs_and_tables(&config, place, space, &inputs.whole)?;
        let archs = within_part(&config, archs, &inputs.whole)?;
        let place = place.clone();
        let mut first = SupernetTraining::first(&config, &inputs, &place)?;
        if !place.world.is_single() {
            let scored_on = &inputs.scoring.images;
            place.world.check_same(&[
                ("version", env!("CARGO_PKG_VERSION").to_owned()),
                ("config", config.to_toml()),
                ("set of training images", first.parts().images.sha256().to_owned()),
                ("set of images to rank on", scored_on.sha256()),
                ("list of architectures", archs.iter().map(|arch| format!("{arch}\n")).collect()),
                ("executor", first.parts().executor.name().to_owned()),
            ])?;
        }
        Ok(Self { config, place, inputs, first, archs, tables })
    }

    /// Trains, ranks and writes everything into `folder`. If there is a checkpoint, the run is resumed from it. Process 0 calls this
    /// method; the others call [`Run::run_worker`].
    ///
    /// # Errors
    /// [`PadaError`]. After [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) or a failure, the run can be prepared again and resumed in
    /// the same folder.
    pub fn execute(
        mut self,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<RunRecord, PadaError> {
        let mut record = self.new_record();
        self.place.world.broadcast(shared_path(folder.path()))?;
        let (space, folder_path) = (self.inputs.scoring.network.space.as_ref(), folder.path());
        let stages =
            SupernetTraining::new(&self.config, &self.inputs, folder_path, &self.place, Unfinished::Train);
        let ops = space.op_names();
        let mut events = None;
        let mut on_epoch = |epochs: &[EpochRecord]| {
            set_epochs(&mut record, epochs);
            folder.write_record(&record)?;
            Ok(event_file(&mut events, folder, &record)?.epochs(epochs, ops)?)
        };
        let mut trained = stages.train(self.first, observer, &mut on_epoch)?;
        set_epochs(&mut record, &trained.epochs);
        record.train_seconds += trained.split_seconds;
        record.sub_supernets = trained.leaves.iter().flat_map(SubSupernets::parts).map(part_record).collect();
        let mut part = Part::new(folder.path(), &self.place);
        let ranking = self.inputs.ranking(&self.archs, &self.tables, &self.place.world);
        let (scores, ranking) =
            trained.with_weights(|weights| ranking.run(weights, Some(&mut part), observer))?;
        let epochs = trained.epochs;
        write_scores(&folder.ranking(), &scores)?;
        part.remove_all()?;
        let events = event_file(&mut events, folder, &record)?;
        events.epochs(&epochs, ops)?;
        events.ranking(&epochs, &ranking.agreements)?;
        record.ranking = Some(ranking);
        folder.write_record(&record)?;
        Ok(record)
    }

    /// Resumes the run of a folder from its last checkpoint. A finished run only ranks again.
    ///
    /// # Errors
    /// [`PadaError`], as [`Run::execute`].
    pub fn resume(
        folder: &Path,
        session: &Session,
        observer: &mut dyn Observer,
    ) -> Result<RunRecord, PadaError> {
        let (folder, config) = RunFolder::open(folder)?;
        Self::prepare(config, session)?.execute(&folder, observer)
    }

    /// Does this process's share of the work that process 0 does with [`Run::execute`]. It writes nothing but partial scores, if the
    /// folder of process 0 can be seen from here.
    ///
    /// # Errors
    /// [`PadaError`], as [`Run::execute`].
    pub fn run_worker(self, observer: &mut dyn Observer) -> Result<(), PadaError> {
        let folder = self.place.world.broadcast(vec![])?;
        let folder = PathBuf::from(String::from_utf8_lossy(&folder).into_owned());
        let stages =
            SupernetTraining::new(&self.config, &self.inputs, &folder, &self.place, Unfinished::Train);
        let mut trained = stages.train(self.first, observer, &mut |_| Ok(()))?;
        let mut part = Part::new(&folder, &self.place);
        let ranking = self.inputs.ranking(&self.archs, &self.tables, &self.place.world);
        trained.with_weights(|weights| ranking.run(weights, Some(&mut part), observer))?;
        Ok(())
    }

    fn new_record(&mut self) -> RunRecord {
        let (config, parts) = (&self.config, self.first.parts());
        RunRecord {
            name: config.name().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            method: config.method(),
            seed: config.seed(),
            device: parts.executor.name().to_owned(),
            threads: rayon::current_num_threads(),
            supernet: SupernetRecord {
                space: self.inputs.scoring.network.space.name().to_owned(),
                channels: config.network().channels,
                cells: config.network().cells,
                params: parts.net.weights().numel(),
            },
            train_images: source_record(&self.inputs.images),
            sub_supernets: vec![],
            epochs: vec![],
            train_seconds: 0.0,
            ranking: None,
        }
    }
}

/// A folder as other ranks see it, where they share its disk.
fn shared_path(folder: &Path) -> Vec<u8> {
    std::path::absolute(folder).unwrap_or_else(|_| folder.into()).to_string_lossy().into_owned().into_bytes()
}

/// Which architectures a run ranks and what it compares them with.
fn archs_and_tables(
    config: &Config,
    place: &Session,
    space: &dyn SearchSpace,
    part: &SubSpace,
) -> Result<(Vec<Arch>, Tables), PadaError> {
    let config = match config {
        Config::Run(config) => config,
        // One architecture from scratch: its accuracy is the result, there is nothing to rank.
        Config::Retrain(config) => return Ok((vec![space.parse(config.arch()?)?], Tables::none())),
    };
    let rank = &config.rank;
    let tables = Tables::load(rank.truth, &rank.compare, &place.data_dir)?;
    let archs = ranked_archs(&rank.archs, config.supernet.space, space, part, &tables, config.seed)?;
    Ok((archs, tables))
}

/// The architectures of a space that are ranked; a random list is one of `part`.
pub(crate) fn ranked_archs(
    archs: &RankArchs,
    name: SpaceName,
    space: &dyn SearchSpace,
    part: &SubSpace,
    tables: &Tables,
    seed: u64,
) -> Result<Vec<Arch>, PadaError> {
    match archs {
        RankArchs::Truth => Ok(tables.archs().to_vec()),
        RankArchs::All if can_be_listed(name) => Ok(space.archs().collect()),
        RankArchs::All => {
            let (key, value) = ("the list of architectures", "all".to_owned());
            let range = "random:100 or a file: the space is too large to rank all of it";
            Err(ConfigError::Range { key, value, range }.into())
        }
        RankArchs::Random(n) => Ok(random_archs(*n, space, part, seed)?),
        RankArchs::File(file) => read_archs(Path::new(file), space),
    }
}

/// Different architectures of a part of a space.
fn random_archs(
    n: usize,
    space: &dyn SearchSpace,
    part: &SubSpace,
    seed: u64,
) -> Result<Vec<Arch>, ConfigError> {
    /// Draws in a row that may be known already.
    const PATIENCE: usize = 10_000;
    const IN_SPACE: &str = "a drawn architecture is in the space";
    let (mut rng, mut seen, mut archs) = (RngStream::Rank.stream(seed), HashSet::new(), Vec::new());
    let mut in_vain = 0;
    while archs.len() < n && in_vain < PATIENCE {
        let arch = space.without_dead_edges(&part.sample(&mut rng)).expect(IN_SPACE);
        if seen.insert(space.canonical(&arch, Equivalence::SharedWeights).expect(IN_SPACE)) {
            archs.push(arch);
            in_vain = 0;
        } else {
            in_vain += 1;
        }
    }
    let value = format!("random:{n}, but {} different ones were found", archs.len());
    check("rank.archs", value, archs.len() == n, "no more than there are")?;
    Ok(archs)
}

/// The architectures of a list that a part of the space holds. Those of a table or of the whole space may lie outside it, those that
/// somebody named may not.
fn within_part(config: &Config, mut archs: Vec<Arch>, part: &SubSpace) -> Result<Vec<Arch>, ConfigError> {
    let named = match config {
        Config::Run(config) => matches!(config.rank.archs, RankArchs::File(_)),
        Config::Retrain(_) => true,
    };
    if let Some(outside) = archs.iter().find(|arch| named && !part.contains(arch)) {
        let (key, value) = ("supernet.ops", format!("{:?}, without {outside}", config.network().ops));
        let range = "the operations of every architecture that is named";
        return Err(ConfigError::Range { key, value, range });
    }
    archs.retain(|arch| part.contains(arch));
    let range = "a list with an architecture of supernet.ops";
    let asked = match config {
        Config::Run(config) => config.rank.archs.to_string(),
        Config::Retrain(config) => config.retrain.arch.clone().unwrap_or_default(),
    };
    check("rank.archs", asked, !archs.is_empty(), range)?;
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

fn source_record(images: &Dataset) -> ImagesRecord {
    ImagesRecord { name: images.name().to_owned(), images: images.len(), sha256: images.sha256() }
}

pub(crate) fn images_record(images: &InMemoryDataset) -> ImagesRecord {
    ImagesRecord { name: images.name.clone(), images: images.len(), sha256: images.sha256() }
}
