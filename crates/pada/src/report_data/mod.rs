//! Data of runs for HTML reports, read from the run folders without changing them.

mod preferred;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use pada_data::Dataset;
use pada_report::html::{Accuracies, ArchAccuracy, Found, RunView, page};
use pada_report::{ReportError, RunRecord};
use pada_space::{Decision, DecisionKind};

use crate::config::{Config, DataConfig, RunConfig, TruthName};
use crate::error::PadaError;
use crate::eval::arch_files::{read_score_column, read_scores, write_file};
use crate::eval::picture::{best_picture, found_picture};
use crate::eval::ranking::FUSED;
use crate::eval::tables::Tables;
use crate::run::build;
use crate::run::folder::{CONFIG, RANKING, RECORD};

/// Reads the data of runs for an HTML report. It takes no lock and writes no file, so it can also read running runs. Images and tables that
/// several runs share are read only once.
#[derive(Default)]
pub struct RunReader {
    data_dir: PathBuf,
    images: Vec<(DataConfig, Found<Rc<Dataset>>)>,
    tables: Vec<(TruthName, Found<Rc<Tables>>)>,
}

impl RunReader {
    /// Creates a reader with the folder of downloaded data sets and benchmark tables.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.into(), ..Self::default() }
    }

    /// Reads the run of a folder in its current state. If images, tables or checkpoints are missing, the report gives the reason.
    ///
    /// # Errors
    /// Returns [`PadaError::NotARun`] if the folder has no config, or the error of an existing config, record or file of scores that cannot be
    /// read.
    pub fn read(&mut self, folder: &Path) -> Result<RunView, PadaError> {
        let file = folder.join(CONFIG);
        if !file.is_file() {
            return Err(PadaError::NotARun { path: folder.into(), file: CONFIG });
        }
        let config = Config::read(&file)?;
        let record = match RunRecord::read(&folder.join(RECORD)) {
            Err(ReportError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        let space = config.space()?;
        let chooses_op = |p: Decision| matches!(p.kind, DecisionKind::Operation { .. });
        Ok(RunView {
            folder: folder.display().to_string(),
            name: config.name().to_owned(),
            method: config.method(),
            seed: config.seed(),
            config: config.to_toml(),
            settings: config.settings(),
            planned_epochs: config.split().is_none().then_some(config.train().epochs),
            op_names: space.op_names().iter().map(|name| (*name).to_owned()).collect(),
            op_decisions: space.decisions().into_iter().map(chooses_op).collect(),
            accuracies: self.accuracies(folder, &config, record.as_ref())?,
            scores: scores(folder, &config, record.as_ref())?,
            images: self.preferred(folder, &config, record.as_ref())?,
            best: best_picture(&config, record.as_ref()),
            found: found_picture(&config, record.as_ref()),
            record,
        })
    }

    /// Reads predicted and stand-alone accuracies of the architectures that have both.
    fn accuracies(
        &mut self,
        folder: &Path,
        config: &Config,
        record: Option<&RunRecord>,
    ) -> Result<Found<Accuracies>, PadaError> {
        let Config::Run(config) = config else {
            return Ok(Err("The run trained one stand-alone network, so there is no ranking.".to_owned()));
        };
        let file = folder.join(RANKING);
        if record.is_none_or(|record| record.ranking.is_none()) {
            return Ok(Err("The architectures have not been ranked yet.".to_owned()));
        }
        if !file.is_file() {
            return Ok(Err(format!("The run folder has no {RANKING}, the file with the scores.")));
        }
        let space = config.supernet.space()?;
        let scores = read_scores(&file, space.as_ref())?;
        let fuses = record.and_then(|record| record.ranking.as_ref()?.fusion.as_ref()).is_some();
        // The file of an earlier version has no such column.
        let fused: HashMap<_, _> = match fuses && !config.rank.fuse.is_empty() {
            true => read_score_column(&file, FUSED, space.as_ref()).unwrap_or_default().into_iter().collect(),
            false => HashMap::new(),
        };
        let tables = match self.tables(config) {
            Ok(tables) => tables,
            Err(reason) => return Ok(Err(reason)),
        };
        let accuracy = |(arch, predicted)| {
            let stand_alone = tables.main_accuracy(&arch)?;
            let fused = fused.get(&arch).copied();
            Some(ArchAccuracy { arch: arch.to_string(), predicted, stand_alone, fused })
        };
        let table = tables.main_name().unwrap_or_default().to_owned();
        Ok(Ok(Accuracies { table, archs: scores.into_iter().filter_map(accuracy).collect() }))
    }

    fn tables(&mut self, config: &RunConfig) -> Found<Rc<Tables>> {
        let Some(name) = config.rank.truth else {
            return Err("The run was not compared with a benchmark table.".to_owned());
        };
        if let Some((_, found)) = self.tables.iter().find(|(known, _)| *known == name) {
            return found.clone();
        }
        let found = Tables::load(Some(name), &[], &self.data_dir).map(Rc::new);
        let found = found.map_err(|error| format!("The benchmark table is not available: {error}."));
        self.tables.push((name, found.clone()));
        found
    }

    /// Reads the images that a run trains on, if they are available and unchanged.
    fn images(&mut self, config: &Config, record: &RunRecord) -> Found<Rc<Dataset>> {
        let data = config.data();
        let found = match self.images.iter().find(|(known, _)| known == data) {
            Some((_, found)) => found.clone(),
            None => {
                let splits = pada_data::open(&data.source, &self.data_dir, data.photographs())
                    .map_err(PadaError::from);
                let images = splits.and_then(|splits| {
                    let trainable = build::trainable(data.train, &splits)?;
                    Ok(Rc::new(build::train_images(data.train_images, trainable)?))
                });
                let found =
                    images.map_err(|error| format!("The training images are not available: {error}."));
                self.images.push((data.clone(), found.clone()));
                found
            }
        };
        found.and_then(|images| match images.sha256() == record.train_images.sha256 {
            true => Ok(images),
            false => Err("The training images differ from the images of the run: they have another SHA-256."
                .to_owned()),
        })
    }
}

/// Reads the scores of all ranked architectures, in percent. The list is empty if nothing was ranked, or if the file is missing.
fn scores(folder: &Path, config: &Config, record: Option<&RunRecord>) -> Result<Vec<f64>, PadaError> {
    let (Config::Run(config), file) = (config, folder.join(RANKING)) else { return Ok(vec![]) };
    if record.is_none_or(|record| record.ranking.is_none()) || !file.is_file() {
        return Ok(vec![]);
    }
    let scores = read_scores(&file, config.supernet.space()?.as_ref())?;
    Ok(scores.into_iter().map(|(_, score)| score).collect())
}

/// Finds the run folders of a path: the path itself, or the folders within it sorted by name, as `pada reproduce` creates them.
///
/// # Errors
/// Returns [`PadaError::NotARun`] if there is none, and [`PadaError::Read`] if a folder cannot be read.
pub fn run_folders(path: &Path) -> Result<Vec<PathBuf>, PadaError> {
    let is_run = |path: &Path| path.join(CONFIG).is_file();
    if is_run(path) || !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let io = |source| PadaError::Read { path: path.into(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let within = entry.map_err(io)?.path();
        if is_run(&within) {
            found.push(within);
        }
    }
    found.sort_unstable();
    if found.is_empty() { Err(PadaError::NotARun { path: path.into(), file: CONFIG }) } else { Ok(found) }
}

/// Writes the HTML report of some runs atomically.
///
/// # Errors
/// Returns [`PadaError::Write`] if the file cannot be written.
pub fn write_page(path: &Path, runs: &[RunView]) -> Result<(), PadaError> {
    write_file(path, page(runs).as_bytes())
}
