//! Runs as a page shows them: what their folders hold, read without touching it.

mod preferred;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use pada_data::Dataset;
use pada_report::html::{Accuracies, ArchAccuracy, Found, RunView, page};
use pada_report::{ReportError, RunRecord};
use pada_space::{Decision, DecisionKind};

use crate::config::{Config, DataConfig, RunConfig, TruthName};
use crate::error::PadaError;
use crate::eval::arch_files::read_scores;
use crate::eval::arch_files::write_file;
use crate::eval::tables::Tables;
use crate::run::build;
use crate::run::folder::{CONFIG, RANKING, RECORD};

/// Reads runs for a page. Takes no lock and writes nothing, so it reads runs that are under way too. What many runs share, images and
/// tables, is read once.
#[derive(Default)]
pub struct RunReader {
    data_dir: PathBuf,
    images: Vec<(DataConfig, Found<Rc<Dataset>>)>,
    tables: Vec<(TruthName, Found<Rc<Tables>>)>,
}

impl RunReader {
    /// With the folder of downloaded data sets and tables.
    pub fn new(data_dir: &Path) -> Self {
        Self { data_dir: data_dir.into(), ..Self::default() }
    }

    /// The run of a folder, as far as it is. Images, tables and checkpoints that are not there are said to be missing.
    ///
    /// # Errors
    /// [`PadaError::NotARun`], and those of a config, record or list of scores that is there and cannot be read.
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
        let space = config.network().space()?;
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
            images: self.preferred(folder, &config, record.as_ref())?,
            record,
        })
    }

    /// Predicted and true accuracies, where both are there.
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
            return Ok(Err(format!("The folder has no {RANKING}, which holds the scores.")));
        }
        let scores = read_scores(&file, config.supernet.space()?.as_ref())?;
        let tables = match self.tables(config) {
            Ok(tables) => tables,
            Err(reason) => return Ok(Err(reason)),
        };
        let accuracy = |(arch, predicted)| {
            let stand_alone = tables.main_accuracy(&arch)?;
            Some(ArchAccuracy { arch: arch.to_string(), predicted, stand_alone })
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

    /// The images that a run trains on, where they are here and the same.
    fn images(&mut self, config: &Config, record: &RunRecord) -> Found<Rc<Dataset>> {
        let data = config.data();
        let found = match self.images.iter().find(|(known, _)| known == data) {
            Some((_, found)) => found.clone(),
            None => {
                let splits = pada_data::open(&data.source, &self.data_dir, data.photographs())
                    .map_err(PadaError::from);
                let images = splits.and_then(|splits| {
                    let trainable = build::trainable(data.train, &splits);
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
            false => {
                Err("The training images differ from those of the run: their SHA-256 is another.".to_owned())
            }
        })
    }
}

/// The run folders that a path means: itself, or those within it in the order of their names, as `pada reproduce` makes them.
///
/// # Errors
/// [`PadaError::NotARun`] where there is none, [`PadaError::Read`] for a folder that cannot be read.
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

/// Writes the page of some runs, whole or not at all.
///
/// # Errors
/// [`PadaError::Write`]
pub fn write_page(path: &Path, runs: &[RunView]) -> Result<(), PadaError> {
    write_file(path, page(runs).as_bytes())
}
