use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pada_space::{Arch, SearchSpace};
use pada_trainer::ArchScore;
use serde::{Deserialize, Serialize};

use crate::config::RankBudget;
use crate::error::PadaError;
use crate::eval::arch_files::{read_if_there, read_some_scores, write_file, write_scores};
use crate::eval::score_log::ScoreLog;
use crate::run::folder::{LOCK, lock};
use crate::run::session::Session;
use crate::search::score_cache::{SUBJECT, Subject, check_subject};

/// The scores of an unfinished ranking on disk: `ranking-part.csv` of process 0, `ranking-part-3.csv` of process 3.
pub(crate) struct Part {
    folder: PathBuf,
    rank: usize,
    every: Duration,
    saved: Instant,
    /// Scores on other numbers of images, which are written beside the current ones.
    others: Vec<ArchScore>,
    /// Keeps other rankings out of a folder that belongs to no run.
    _lock: Option<File>,
}

const NAME: &str = "ranking-part";
/// Name of the file with the rounds of a halving.
const ROUNDS: &str = "ranking-part-rounds.json";
/// Name of the files with zero-cost scores.
const ZERO_COST: &str = "zero-cost-part";

/// The rounds of an unfinished halving.
#[derive(Serialize, Deserialize)]
struct Rounds {
    budget: RankBudget,
    rounds: Vec<usize>,
}

impl Part {
    /// Creates the partial scores of this process in the folder of a run.
    pub(crate) fn new(folder: &Path, place: &Session) -> Self {
        let (rank, every) = (place.world.index(), place.checkpoint_every);
        Self { folder: folder.into(), rank, every, saved: Instant::now(), others: vec![], _lock: None }
    }

    /// Creates the partial scores of this process in a folder of their own, for a ranking without a run. Only one ranking at a time can use the
    /// folder.
    ///
    /// # Errors
    /// Returns [`PadaError::FolderInUse`] if another ranking uses the folder, and [`PadaError::OtherScores`] if it has scores of another subject.
    pub(crate) fn of_subject(folder: &Path, subject: &Subject, place: &Session) -> Result<Self, PadaError> {
        let mut part = Self::new(folder, place);
        if part.rank == 0 {
            std::fs::create_dir_all(folder)
                .map_err(|source| PadaError::Write { path: folder.into(), source })?;
            part._lock = Some(lock(folder)?);
            check_subject(&folder.join(SUBJECT), subject)?;
        }
        Ok(part)
    }

    /// Removes the folder that [`Part::of_subject`] created, if nothing else is in it and no other ranking uses it.
    pub(crate) fn remove_folder(self) -> Result<(), PadaError> {
        let _lock = match lock(&self.folder) {
            Err(PadaError::FolderInUse { .. }) => return Ok(()),
            other => other?,
        };
        self.remove_all()?;
        remove(&self.folder.join(SUBJECT))?;
        remove(&self.folder.join(LOCK))?;
        // Files of others stay.
        std::fs::remove_dir(&self.folder).ok();
        Ok(())
    }

    /// Collects the scores on exactly `images` images that all processes have written, by their index in `archs`. All scores are moved into
    /// the file of process 0, so that every other process starts without a file.
    pub(crate) fn collect(
        &mut self,
        archs: &[Arch],
        images: usize,
        space: &dyn SearchSpace,
    ) -> Result<BTreeMap<usize, ArchScore>, PadaError> {
        let places: HashMap<&Arch, usize> =
            archs.iter().enumerate().map(|(place, arch)| (arch, place)).collect();
        let mut all = BTreeMap::new();
        let files = self.files()?;
        for file in &files {
            let scores = read_some_scores(file, &places, space)?;
            all.extend(scores.into_iter().map(|(place, score)| ((score.total, place), score)));
        }
        let (known, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|((total, _), _)| *total == images);
        self.others = others.into_iter().map(|(_, score)| score).collect();
        let known: BTreeMap<usize, ArchScore> =
            known.into_iter().map(|((_, place), score)| (place, score)).collect();
        let own = self.file();
        if files.iter().any(|file| *file != own) {
            self.write(known.values())?;
            files.iter().filter(|file| **file != own).try_for_each(|file| remove(file))?;
        }
        Ok(known)
    }

    /// Returns true if scores should be written now.
    pub(crate) fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.every
    }

    /// Writes the scores that this process has so far. Other processes than process 0 write them only if they have access to the folder.
    pub(crate) fn save<'s>(&mut self, scores: impl Iterator<Item = &'s ArchScore>) -> Result<(), PadaError> {
        if self.rank == 0 || self.folder.is_dir() {
            self.write(scores)?;
        }
        self.saved = Instant::now();
        Ok(())
    }

    /// Returns the rounds that [`Part::save_rounds`] saved for this budget and this number of images, if there are any.
    pub(crate) fn rounds(&self, budget: RankBudget, images: usize) -> Result<Option<Vec<usize>>, PadaError> {
        let Some(bytes) = read_if_there(&self.folder.join(ROUNDS))? else { return Ok(None) };
        let saved = serde_json::from_slice::<Rounds>(&bytes).ok();
        let saved = saved.filter(|saved| saved.budget == budget && saved.rounds.last() == Some(&images));
        Ok(saved.map(|saved| saved.rounds))
    }

    /// Saves the rounds of a halving, which depend on the measured speed, so that a resumed ranking has the same.
    pub(crate) fn save_rounds(&self, budget: RankBudget, rounds: &[usize]) -> Result<(), PadaError> {
        let rounds = Rounds { budget, rounds: rounds.to_vec() };
        let json = serde_json::to_vec(&rounds).expect("numbers are valid JSON");
        write_file(&self.folder.join(ROUNDS), &json)
    }

    /// Opens the file with the zero-cost scores of this process, which also knows the scores of the files of other processes. Scores of
    /// another subject are removed. Returns `None` for another process than process 0 that has no access to the folder.
    pub(crate) fn zero_cost(
        &self,
        subject: &str,
        space: &dyn SearchSpace,
    ) -> Result<Option<ScoreLog>, PadaError> {
        if self.rank > 0 && !self.folder.is_dir() {
            return Ok(None);
        }
        let path = self.path(ZERO_COST);
        let mut log = ScoreLog::replace(&path, subject, space)?;
        for other in self.named(&[ZERO_COST])?.iter().filter(|other| **other != path) {
            log.learn(other, subject, space)?;
        }
        Ok(Some(log))
    }

    /// Removes all files of partial scores after the ranking is finished.
    pub(crate) fn remove_all(&self) -> Result<(), PadaError> {
        remove(&self.folder.join(ROUNDS))?;
        let files = self.named(&[NAME, ZERO_COST])?;
        files.iter().try_for_each(|file| remove(file))
    }

    fn write<'s>(&self, scores: impl Iterator<Item = &'s ArchScore>) -> Result<(), PadaError> {
        let all: Vec<ArchScore> = self.others.iter().cloned().chain(scores.cloned()).collect();
        write_scores(&self.file(), &all)
    }

    fn file(&self) -> PathBuf {
        self.path(NAME)
    }

    /// Returns the file of this process.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(match self.rank {
            0 => format!("{name}.csv"),
            rank => format!("{name}-{rank}.csv"),
        })
    }

    /// Returns the files with the scores of all processes.
    fn files(&self) -> Result<Vec<PathBuf>, PadaError> {
        self.named(&[NAME])
    }

    fn named(&self, names: &[&str]) -> Result<Vec<PathBuf>, PadaError> {
        let io = |source| PadaError::Read { path: self.folder.clone(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if names.iter().any(|start| name.starts_with(start)) && name.ends_with(".csv") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

fn remove(path: &Path) -> Result<(), PadaError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(PadaError::Write { path: path.into(), source })
        }
        _ => Ok(()),
    }
}
