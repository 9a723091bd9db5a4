use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pada_space::{Arch, SearchSpace};
use pada_trainer::ArchScore;

use crate::error::PadaError;
use crate::eval::arch_files::{read_some_scores, write_scores};
use crate::run::session::Session;

/// The scores of an unfinished ranking on disk: `ranking-part.csv` of process 0, `ranking-part-3.csv` of process 3.
pub(crate) struct Part {
    folder: PathBuf,
    rank: usize,
    every: Duration,
    saved: Instant,
}

const NAME: &str = "ranking-part";

impl Part {
    /// Creates the partial scores of this process in the folder of a run.
    pub(crate) fn new(folder: &Path, place: &Session) -> Self {
        let (rank, every) = (place.world.index(), place.checkpoint_every);
        Self { folder: folder.into(), rank, every, saved: Instant::now() }
    }

    /// Collects the scores that all processes have written, by their index in `archs`. The scores are moved into the file of process 0, so
    /// that every process starts with an empty file.
    pub(crate) fn collect(
        &self,
        archs: &[Arch],
        images: usize,
        space: &dyn SearchSpace,
    ) -> Result<BTreeMap<usize, ArchScore>, PadaError> {
        let places: HashMap<&Arch, usize> =
            archs.iter().enumerate().map(|(place, arch)| (arch, place)).collect();
        let mut known = BTreeMap::new();
        let files = self.files()?;
        for file in &files {
            known.extend(read_some_scores(file, &places, images, space)?);
        }
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

    /// Removes all files of partial scores after the ranking is finished.
    pub(crate) fn remove_all(&self) -> Result<(), PadaError> {
        self.files()?.iter().try_for_each(|file| remove(file))
    }

    fn write<'s>(&self, scores: impl Iterator<Item = &'s ArchScore>) -> Result<(), PadaError> {
        write_scores(&self.file(), &scores.cloned().collect::<Vec<_>>())
    }

    fn file(&self) -> PathBuf {
        self.folder.join(match self.rank {
            0 => format!("{NAME}.csv"),
            rank => format!("{NAME}-{rank}.csv"),
        })
    }

    fn files(&self) -> Result<Vec<PathBuf>, PadaError> {
        let io = |source| PadaError::Read { path: self.folder.clone(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(NAME) && name.ends_with(".csv") {
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
