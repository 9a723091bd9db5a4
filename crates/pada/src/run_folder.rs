use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pada_report::RunRecord;
use pada_trainer::{CheckpointError, write_durably};

use crate::{PadaError, RunConfig};

const CONFIG: &str = "config.toml";

/// The folder of one run: `config.toml`, checkpoints, `record.json`, `ranking.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder and writes the config into it.
    ///
    /// # Errors
    /// [`PadaError::FolderExists`] or [`PadaError::Write`]
    pub fn create(path: &Path, config: &RunConfig) -> Result<Self, PadaError> {
        let io = |source: std::io::Error| match source.kind() {
            ErrorKind::AlreadyExists => PadaError::FolderExists { path: path.into() },
            _ => PadaError::Write { path: path.into(), source },
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(io)?;
        }
        std::fs::create_dir(path).map_err(io)?;
        let folder = Self { path: path.into() };
        folder.write(CONFIG, config.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// Makes `<parent>/<name>-s<seed>-001`, or with the next number that is free.
    ///
    /// # Errors
    /// [`PadaError::Write`]
    pub fn create_numbered(parent: &Path, config: &RunConfig) -> Result<Self, PadaError> {
        let path = |n: usize| parent.join(format!("{}-s{}-{n:03}", config.name, config.seed));
        let mut number = 1;
        loop {
            match Self::create(&path(number), config) {
                Err(PadaError::FolderExists { .. }) => number += 1,
                other => return other,
            }
        }
    }

    /// Opens the folder of a run that was started.
    ///
    /// # Errors
    /// [`PadaError::NotARun`] or [`PadaError::Config`]
    pub fn open(path: &Path) -> Result<(Self, RunConfig), PadaError> {
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(PadaError::NotARun { path: path.into(), file: CONFIG });
        }
        Ok((Self { path: path.into() }, RunConfig::read(&file)?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Scores of all ranked architectures.
    pub fn ranking(&self) -> PathBuf {
        self.path.join("ranking.csv")
    }

    /// Writes the record, replacing an older one.
    ///
    /// # Errors
    /// [`PadaError::Write`]
    pub fn write_record(&self, record: &RunRecord) -> Result<(), PadaError> {
        self.write("record.json", record.to_json().as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PadaError> {
        match write_durably(&self.path.join(name), bytes) {
            Err(CheckpointError::Io { path, source }) => Err(PadaError::Write { path, source }),
            other => Ok(other?),
        }
    }
}
