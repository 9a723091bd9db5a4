use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pada_report::RunRecord;
use pada_trainer::{CheckpointError, write_durably};

use crate::config::Config;
use crate::error::PadaError;

pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const RECORD: &str = "record.json";
pub(crate) const RANKING: &str = "ranking.csv";
/// The page about the run.
const PAGE: &str = "report.html";
const LOCK: &str = "lock";

/// The folder of one run: `config.toml`, checkpoints, `record.json`, `ranking.csv`.
///
/// Only one process can have it open: a second one is refused. The lock goes with the process, however that ends.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Held locked as long as the folder is open.
    _lock: File,
}

impl RunFolder {
    /// Creates a new folder and writes the config into it.
    ///
    /// # Errors
    /// Returns [`PadaError::FolderExists`] or [`PadaError::Write`].
    pub fn create(path: &Path, config: impl Into<Config>) -> Result<Self, PadaError> {
        Self::create_for(path, &config.into())
    }

    fn create_for(path: &Path, config: &Config) -> Result<Self, PadaError> {
        let io = |source: std::io::Error| match source.kind() {
            ErrorKind::AlreadyExists => PadaError::FolderExists { path: path.into() },
            _ => PadaError::Write { path: path.into(), source },
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && Self::is_unborn(path) => {}
            made => made.map_err(io)?,
        }
        let folder = Self { path: path.into(), _lock: lock(path)? };
        folder.write(CONFIG, config.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// Whether a folder was made for a run that ended before its config was written: it is as good as new.
    pub fn is_unborn(path: &Path) -> bool {
        let ours = |name: &str| name == LOCK || name.starts_with(".tmp");
        let all_ours = |entries: std::fs::ReadDir| {
            entries.into_iter().all(|entry| entry.is_ok_and(|e| e.file_name().to_str().is_some_and(ours)))
        };
        std::fs::read_dir(path).is_ok_and(all_ours)
    }

    /// Makes `<parent>/<name>-s<seed>-001`, or with the next number that is free.
    ///
    /// # Errors
    /// [`PadaError::Write`]
    pub fn create_numbered(parent: &Path, config: impl Into<Config>) -> Result<Self, PadaError> {
        let config = config.into();
        let path = |n: usize| parent.join(format!("{}-s{}-{n:03}", config.name(), config.seed()));
        let mut number = 1;
        loop {
            match Self::create_for(&path(number), &config) {
                Err(PadaError::FolderExists { .. }) => number += 1,
                other => return other,
            }
        }
    }

    /// Opens the folder of a run that was started.
    ///
    /// # Errors
    /// [`PadaError::NotARun`] or [`PadaError::Config`]
    pub fn open(path: &Path) -> Result<(Self, Config), PadaError> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(PadaError::NotARun { path: path.into(), file: CONFIG });
        }
        Ok((Self { path: path.into(), _lock: lock(path)? }, Config::read(&file)?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Scores of all ranked architectures.
    pub fn ranking(&self) -> PathBuf {
        self.path.join(RANKING)
    }

    /// The page about the run.
    pub fn page(&self) -> PathBuf {
        Self::page_of(&self.path)
    }

    /// The page about the run of a folder that is not open.
    pub fn page_of(path: &Path) -> PathBuf {
        path.join(PAGE)
    }

    /// Writes the record, replacing an older one.
    ///
    /// # Errors
    /// [`PadaError::Write`]
    pub fn write_record(&self, record: &RunRecord) -> Result<(), PadaError> {
        self.write(RECORD, record.to_json().as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PadaError> {
        match write_durably(&self.path.join(name), bytes) {
            Err(CheckpointError::Io { path, source }) => Err(PadaError::Write { path, source }),
            other => Ok(other?),
        }
    }
}

/// Keeps other processes out of a folder as long as the file is open.
pub(crate) fn lock(folder: &Path) -> Result<File, PadaError> {
    let path = folder.join(LOCK);
    let io = |source| PadaError::Write { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PadaError::FolderInUse { path: folder.into() }),
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}
