//! The sequence of a run: train, save, rank, compare, record.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use pada_data::Dataset;
use pada_report::{BestEpoch, EpochRecord, EventFile, ImagesRecord, InitRecord, RunRecord, SupernetRecord};
use pada_space::{Arch, SubSpace};
use pada_trainer::split::SubSupernets;
use pada_trainer::{Checkpoint, Observer, Trainer};
use sha2::{Digest, Sha256};

use crate::config::{Config, RankArchs};
use crate::error::PadaError;
use crate::eval::arch_files::write_ranking;
use crate::eval::archs::{archs_and_tables, within_part};
use crate::eval::partial_scores::Part;
use crate::eval::ranking::Ranking;
use crate::eval::tables::Tables;
use crate::run::folder::{RANKING, RECORD, RunFolder};
use crate::run::inherited::Inherited;
use crate::run::inputs::{Custom, Inputs};
use crate::run::session::Session;
use crate::run::supernet_training::{SupernetTraining, Unfinished};

/// The work of a run after its training.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    Rank,
    Nothing,
}

/// A prepared run, whose inputs have been read and checked. It trains a supernet, ranks architectures, and compares the ranking with benchmark
/// tables.
pub struct Run {
    config: Config,
    place: Session,
    inputs: Inputs,
    first: Trainer,
    archs: Vec<Arch>,
    tables: Tables,
    /// The origin of the initial weights, if they are those of another run.
    init: Option<InitRecord>,
}

impl Run {
    /// Reads and checks all inputs of a run. It writes no file.
    ///
    /// # Errors
    /// Returns an error if the config is not valid or an input cannot be read, and [`PadaError::ProcessGroup`] if the processes have different
    /// inputs.
    pub fn prepare(config: impl Into<Config>, place: &Session) -> Result<Self, PadaError> {
        Self::prepare_custom(config.into(), place, &Custom::default())
    }

    /// Reads and checks all inputs of a run that is resumed in `folder`. If there is a checkpoint, the run that `retrain.init` names is not
    /// read again. If the run is ranked and its list of architectures does not exist any more, they are read from its ranking.
    ///
    /// # Errors
    /// Returns the errors of [`Run::prepare`].
    pub fn prepare_to_resume(
        config: impl Into<Config>,
        folder: &Path,
        place: &Session,
    ) -> Result<Self, PadaError> {
        Self::prepare_in(config.into(), place, &Custom::default(), Some(folder))
    }

    pub(crate) fn prepare_custom(
        config: Config,
        place: &Session,
        custom: &Custom,
    ) -> Result<Self, PadaError> {
        Self::prepare_in(config, place, custom, None)
    }

    /// Prepares a new run, or a run that is resumed in a folder.
    fn prepare_in(
        config: Config,
        place: &Session,
        custom: &Custom,
        resumed: Option<&Path>,
    ) -> Result<Self, PadaError> {
        let inputs = Inputs::read(&config, place, custom)?;
        let space = inputs.scoring.network.space.as_ref();
        let listed = resumed.and_then(|folder| with_list_of(&config, folder));
        let listed = listed.as_ref().unwrap_or(&config);
        let (archs, tables) = archs_and_tables(listed, place, space, &inputs.whole)?;
        let archs = within_part(&config, archs, &inputs.whole)?;
        let place = place.clone();
        let has_checkpoint =
            resumed.and_then(|folder| Checkpoint::files(folder).ok()).is_some_and(|files| !files.is_empty());
        let (weights, init) = match config.init() {
            Some((retrain, run)) if !has_checkpoint => {
                let Inherited { weights, record } = Inherited::load(retrain, run, &inputs, &place)?;
                (Some(weights), Some(record))
            }
            Some((_, run)) => (None, Some(InitRecord::of_run(run))),
            None => (None, None),
        };
        let mut first = SupernetTraining::first(&config, &inputs, &place, weights)?;
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
        Ok(Self { config, place, inputs, first, archs, tables, init })
    }

    /// Trains, ranks and writes everything into `folder`. If there is a checkpoint, the run is resumed from it. Process 0 calls this
    /// method; the others call [`Run::run_worker`].
    ///
    /// # Errors
    /// Returns an error if training or ranking fails. After [`ErrorKind::Stopped`](crate::ErrorKind::Stopped) or a failure, the run can be
    /// prepared again and resumed in the same folder.
    pub fn execute(self, folder: &RunFolder, observer: &mut dyn Observer) -> Result<RunRecord, PadaError> {
        self.train_and(Afterwards::Rank, folder, observer)
    }

    /// Trains as [`Run::execute`] does, without a ranking: for a differentiable search, whose result is one architecture.
    pub(crate) fn execute_without_ranking(
        self,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<RunRecord, PadaError> {
        self.train_and(Afterwards::Nothing, folder, observer)
    }

    fn train_and(
        mut self,
        afterwards: Afterwards,
        folder: &RunFolder,
        observer: &mut dyn Observer,
    ) -> Result<RunRecord, PadaError> {
        folder.complete(&self.config)?;
        let mut record = self.new_record();
        // A resumed run has the details in its record.
        let earlier = RunRecord::read(&folder.path().join(RECORD)).ok().and_then(|record| record.init);
        record.init = match (self.init.take(), earlier) {
            (Some(init), Some(earlier)) if init.weights_sha256.is_none() => Some(earlier),
            (init, _) => init,
        };
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
        if afterwards == Afterwards::Nothing {
            event_file(&mut events, folder, &record)?.epochs(&trained.epochs, ops)?;
            record.config_sha256 = Some(text_sha256(&self.config.to_toml()));
            folder.write_record(&record)?;
            return Ok(record);
        }
        let mut part = Part::new(folder.path(), &self.place);
        let ranking = Ranking::of(&self.config, &self.inputs, &self.archs, &self.tables, &self.place.world);
        let ranked = trained.with_weights(|weights| ranking.run(weights, Some(&mut part), observer))?;
        let epochs = trained.epochs;
        write_ranking(&folder.ranking(), &ranked)?;
        let ranking = ranked.record;
        part.remove_all()?;
        let events = event_file(&mut events, folder, &record)?;
        events.epochs(&epochs, ops)?;
        events.ranking(&epochs, &ranking.agreements)?;
        record.ranking = Some(ranking);
        record.config_sha256 = Some(text_sha256(&self.config.to_toml()));
        folder.write_record(&record)?;
        Ok(record)
    }

    /// Returns the record of a run that is finished with this config, so that resuming it would compute the same results again. Returns `None` if
    /// something is left to do: training, a ranking, or a ranking with changed settings.
    pub fn finished(folder: &RunFolder, config: &Config) -> Option<RunRecord> {
        let record = RunRecord::read(&folder.path().join(RECORD)).ok()?;
        let is_same = record.config_sha256 == Some(text_sha256(&config.to_toml()));
        (is_same && record.ranking.is_some() && folder.ranking().is_file()).then_some(record)
    }

    /// Resumes the run of a folder from its last checkpoint. If training is finished, it only ranks again.
    ///
    /// # Errors
    /// Returns the same errors as [`Run::execute`], and [`PadaError::NotARun`] if the folder has no config.
    pub fn resume(
        folder: &Path,
        session: &Session,
        observer: &mut dyn Observer,
    ) -> Result<RunRecord, PadaError> {
        let (folder, config) = RunFolder::open(folder)?;
        Self::prepare_to_resume(config, folder.path(), session)?.execute(&folder, observer)
    }

    /// Does the work of a process other than process 0, which calls [`Run::execute`]. It writes only partial scores, if it has access to the
    /// folder of process 0.
    ///
    /// # Errors
    /// Returns the same errors as [`Run::execute`].
    pub fn run_worker(self, observer: &mut dyn Observer) -> Result<(), PadaError> {
        let folder = self.place.world.broadcast(vec![])?;
        let folder = PathBuf::from(String::from_utf8_lossy(&folder).into_owned());
        let stages =
            SupernetTraining::new(&self.config, &self.inputs, &folder, &self.place, Unfinished::Train);
        let mut trained = stages.train(self.first, observer, &mut |_| Ok(()))?;
        let mut part = Part::new(&folder, &self.place);
        let ranking = Ranking::of(&self.config, &self.inputs, &self.archs, &self.tables, &self.place.world);
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
            init: None,
            config_sha256: None,
            sub_supernets: vec![],
            epochs: vec![],
            train_seconds: 0.0,
            best_epoch: None,
            ranking: None,
        }
    }
}

/// Returns the config with the ranking of a run as its list of architectures, if it had a file that does not exist any more.
fn with_list_of(config: &Config, folder: &Path) -> Option<Config> {
    let (Config::Run(run), ranking) = (config, folder.join(RANKING)) else { return None };
    let RankArchs::File(list) = &run.rank.archs else { return None };
    if Path::new(list).exists() || !ranking.is_file() {
        return None;
    }
    tracing::warn!("{list} does not exist; the architectures are those of {}", ranking.display());
    let mut run = run.clone();
    run.rank.archs = RankArchs::File(ranking.display().to_string());
    Some(Config::Run(run))
}

/// Computes the SHA-256 of a text, in hexadecimal.
fn text_sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Returns the path of a folder for other processes that share its disk.
fn shared_path(folder: &Path) -> Vec<u8> {
    std::path::absolute(folder).unwrap_or_else(|_| folder.into()).to_string_lossy().into_owned().into_bytes()
}

/// Returns the TensorBoard event file of this session and creates it on first use. Its clock counts only training time.
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
    record.best_epoch = BestEpoch::of(epochs);
    record.train_seconds = epochs.iter().map(|epoch| epoch.seconds).sum();
}

/// Returns the digits that a part of the space allows at each position.
fn part_record(part: &SubSpace) -> Vec<String> {
    part.allowed().iter().map(|ops| Arch::new(ops.as_slice()).to_string()).collect()
}

fn source_record(images: &Dataset) -> ImagesRecord {
    ImagesRecord {
        name: images.name().to_owned(),
        images: images.len(),
        sha256: images.sha256(),
        class_names: images.class_names(),
    }
}
