use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use pada_report::{MlflowRun, MlflowStore, RunRecord};
use pada_trainer::{CheckpointError, is_temporary, remove_temporary_files, write_durably};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::error::PadaError;

pub(crate) const CONFIG: &str = "config.toml";
pub(crate) const RECORD: &str = "record.json";
pub(crate) const RANKING: &str = "ranking.csv";
/// File name of the HTML report of a run.
const PAGE: &str = "report.html";
pub(crate) const LOCK: &str = "lock";
/// File name of the identifier of a run in stores of MLflow.
const MLFLOW: &str = "mlflow-run-id";

/// The folder of one run, with `config.toml`, checkpoints, `record.json` and `ranking.csv`.
///
/// Only one process can open it at a time. The lock ends with the process, even if the process is killed.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The store of MLflow that every record is logged to.
    mlflow: Option<MlflowStore>,
    /// Locked as long as the folder is open. A folder that is only read may have no lock.
    _lock: Option<File>,
}

impl RunFolder {
    /// Creates a new folder and writes the config into it.
    ///
    /// # Errors
    /// Returns [`PadaError::FolderExists`] if it is the folder of a run, [`PadaError::OtherContents`] if it is a file or has other contents, and
    /// [`PadaError::Write`] if a file cannot be written.
    pub fn create(path: &Path, config: impl Into<Config>) -> Result<Self, PadaError> {
        Self::create_for(path, &config.into())
    }

    fn create_for(path: &Path, config: &Config) -> Result<Self, PadaError> {
        let io = |source: std::io::Error| match source.kind() {
            ErrorKind::AlreadyExists if !path.join(CONFIG).is_file() => {
                PadaError::OtherContents { path: path.into() }
            }
            ErrorKind::AlreadyExists => PadaError::FolderExists { path: path.into() },
            _ => PadaError::Write { path: path.into(), source },
        };
        // A parent that is a file or a dangling link also "already exists", but no other number of the run makes it a folder.
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| PadaError::Write { path: parent.into(), source })?;
        }
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && Self::is_unborn(path) => {}
            made => made.map_err(io)?,
        }
        let folder = Self { path: path.into(), mlflow: None, _lock: Some(lock(path)?) };
        remove_temporary_files(path)?;
        folder.write(CONFIG, config.to_toml().as_bytes())?;
        Ok(folder)
    }

    /// Returns true if a folder was created for a run that ended before its config was written. Such a folder can be used for a new run.
    pub fn is_unborn(path: &Path) -> bool {
        let ours = |name: &str| name == LOCK || is_temporary(name);
        let all_ours = |entries: std::fs::ReadDir| {
            entries.into_iter().all(|entry| entry.is_ok_and(|e| e.file_name().to_str().is_some_and(ours)))
        };
        std::fs::read_dir(path).is_ok_and(all_ours)
    }

    /// Creates `<parent>/<name>-s<seed>-001`, or the folder with the next free number.
    ///
    /// # Errors
    /// Returns [`PadaError::Write`] if the folder or the config cannot be written.
    pub fn create_numbered(parent: &Path, config: impl Into<Config>) -> Result<Self, PadaError> {
        let config = config.into();
        let path = |n: usize| parent.join(format!("{}-s{}-{n:03}", config.name(), config.seed()));
        let mut number = 1;
        loop {
            match Self::create_for(&path(number), &config) {
                Err(PadaError::FolderExists { .. } | PadaError::OtherContents { .. }) => number += 1,
                other => return other,
            }
        }
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// Returns [`PadaError::NotARun`] if the folder has no config, [`PadaError::Config`] if the config is not valid, and
    /// [`PadaError::FolderInUse`] if another process has opened it.
    pub fn open(path: &Path) -> Result<(Self, Config), PadaError> {
        let file = config_file(path)?;
        let folder = Self { path: path.into(), mlflow: None, _lock: Some(lock(path)?) };
        remove_temporary_files(path)?;
        Ok((folder, Config::read(&file)?))
    }

    /// Creates the folder of a run, or opens it if it contains the same run.
    ///
    /// # Errors
    /// Returns the errors of [`RunFolder::create`] and [`RunFolder::open`], and [`PadaError::FolderExists`] if the folder has another run.
    pub(crate) fn create_or_open(path: &Path, config: &Config) -> Result<Self, PadaError> {
        if !path.is_dir() || Self::is_unborn(path) {
            return Self::create_for(path, config);
        }
        match Self::open(path)? {
            (folder, found) if found == *config => Ok(folder),
            _ => Err(PadaError::FolderExists { path: path.into() }),
        }
    }

    /// Writes the config again if the file says something else: an earlier version wrote no value for a key, or a user changed the file.
    pub(crate) fn complete(&self, config: &Config) -> Result<(), PadaError> {
        let text = config.to_toml();
        match std::fs::read_to_string(self.path.join(CONFIG)) {
            Ok(written) if written == text => Ok(()),
            _ => self.write(CONFIG, text.as_bytes()),
        }
    }

    /// Opens the folder of a run that was started, to read it. Several processes can read a folder at the same time, but not while one
    /// trains in it. A folder that this user may not write to is read without a lock.
    ///
    /// # Errors
    /// Returns [`PadaError::NotARun`], [`PadaError::FolderInUse`] or [`PadaError::Config`].
    pub fn open_to_read(path: &Path) -> Result<(Self, Config), PadaError> {
        let file = config_file(path)?;
        Ok((Self { path: path.into(), mlflow: None, _lock: lock_to_read(path)? }, Config::read(&file)?))
    }

    /// Returns a run folder without opening it, so that another process can train in it.
    pub fn unlocked(path: &Path) -> Self {
        Self { path: path.into(), mlflow: None, _lock: None }
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the file with the scores of all ranked architectures.
    pub fn ranking(&self) -> PathBuf {
        self.path.join(RANKING)
    }

    /// Returns the path of the HTML report.
    pub fn page(&self) -> PathBuf {
        Self::page_of(&self.path)
    }

    /// Returns the path of the HTML report of a folder that is not open.
    pub fn page_of(path: &Path) -> PathBuf {
        path.join(PAGE)
    }

    /// Writes the record and replaces an older one.
    ///
    /// # Errors
    /// Returns [`PadaError::Write`] if the file cannot be written.
    pub fn write_record(&self, record: &RunRecord) -> Result<(), PadaError> {
        self.write(RECORD, record.to_json().as_bytes())?;
        if let Some(store) = &self.mlflow
            && let Err(error) = self.log(store, record)
        {
            // A run does not end because it cannot be logged.
            tracing::warn!("the run is not logged to {}: {error}", store.folder().display());
        }
        Ok(())
    }

    /// Logs every further record of the run to a file store of MLflow, a folder that is created if it does not exist.
    ///
    /// # Errors
    /// Returns [`PadaError::Report`] if the store cannot be written.
    pub fn log_to_mlflow(&mut self, store: &Path) -> Result<(), PadaError> {
        self.mlflow = Some(MlflowStore::open(store)?);
        Ok(())
    }

    /// Writes the record of the run in this folder to a file store of MLflow. The run replaces what was logged of it before.
    ///
    /// # Errors
    /// Returns [`PadaError::NotARun`] if there is no config, [`PadaError::Report`] if there is no record or the store cannot be written, and
    /// [`PadaError::Write`] if the folder has no identifier yet and cannot be written.
    pub fn write_mlflow(&self, store: &Path) -> Result<(), PadaError> {
        self.log(&MlflowStore::open(store)?, &RunRecord::read(&self.path.join(RECORD))?)
    }

    fn log(&self, store: &MlflowStore, record: &RunRecord) -> Result<(), PadaError> {
        let config = Config::read(&config_file(&self.path)?)?;
        let space = config.space()?;
        let name = self.path.file_name().map_or_else(|| config.name().into(), |name| name.to_string_lossy());
        Ok(store.write(&MlflowRun {
            id: &self.mlflow_id()?,
            name: &name,
            params: &params(&config),
            record,
            op_names: space.op_names(),
            is_finished: record.has_ended(),
        })?)
    }

    /// Returns the identifier of the run in stores of MLflow, which is kept in the folder.
    fn mlflow_id(&self) -> Result<String, PadaError> {
        const DIGITS: usize = 32;
        let file = self.path.join(MLFLOW);
        if let Ok(id) = std::fs::read_to_string(&file)
            && id.trim().len() == DIGITS
            && id.trim().bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Ok(id.trim().to_owned());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        let digest = Sha256::digest(format!("{now} {} {}", std::process::id(), path.display()));
        let id = hex::encode(digest)[..DIGITS].to_owned();
        self.write(MLFLOW, id.as_bytes())?;
        Ok(id)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PadaError> {
        match write_durably(&self.path.join(name), bytes) {
            Err(CheckpointError::Io { path, source }) => Err(PadaError::Write { path, source }),
            other => Ok(other?),
        }
    }
}

/// Returns the keys of a config, as `section.key`, and their values, texts without quotation marks.
fn params(config: &Config) -> Vec<(String, String)> {
    let plain = |(key, value): (String, String)| match value.parse() {
        Ok(toml::Value::String(text)) => (key, text),
        _ => (key, value),
    };
    config.settings().into_iter().map(plain).collect()
}

/// The config of a run folder.
fn config_file(folder: &Path) -> Result<PathBuf, PadaError> {
    let file = folder.join(CONFIG);
    if file.is_file() { Ok(file) } else { Err(PadaError::NotARun { path: folder.into(), file: CONFIG }) }
}

/// Keeps processes that write out of a folder as long as the file is open. Returns `None` where no lock file can be opened, as on a
/// read-only file system.
fn lock_to_read(folder: &Path) -> Result<Option<File>, PadaError> {
    let path = folder.join(LOCK);
    let writable = File::options().create(true).truncate(false).write(true).open(&path);
    let Ok(file) = writable.or_else(|_| File::open(&path)) else { return Ok(None) };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(PadaError::FolderInUse { path: folder.into() }),
        // Some network file systems have no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// Locks a folder against other processes, as long as the returned file is open.
pub(crate) fn lock(folder: &Path) -> Result<File, PadaError> {
    let path = folder.join(LOCK);
    let io = |source| PadaError::Write { path: path.clone(), source };
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(PadaError::FolderInUse { path: folder.into() }),
        Err(TryLockError::Error(source)) if has_no_locks(&source) => {
            tracing::warn!(
                "{}: the file system has no locks ({source}), so start only one process in this folder",
                folder.display()
            );
            Ok(file)
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Returns whether a lock failed because the file system has none: ENOSYS and ENOTSUP, or ENOLCK.
fn has_no_locks(error: &std::io::Error) -> bool {
    const ENOLCK: i32 = 37;
    error.kind() == std::io::ErrorKind::Unsupported || error.raw_os_error() == Some(ENOLCK)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    #[cfg(target_os = "linux")]
    fn file_systems_without_locks_are_known() {
        // ENOSYS, ENOLCK, EOPNOTSUPP; EIO
        for (code, without) in [(38, true), (37, true), (95, true), (5, false)] {
            assert_eq!(has_no_locks(&std::io::Error::from_raw_os_error(code)), without, "{code}");
        }
    }

    #[test]
    fn several_can_read_a_folder_and_none_while_one_trains_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        let training = RunFolder::create(&path, RunConfig::default()).unwrap();
        assert!(matches!(RunFolder::open_to_read(&path), Err(PadaError::FolderInUse { .. })));
        drop(training);
        let readers = [RunFolder::open_to_read(&path).unwrap(), RunFolder::open_to_read(&path).unwrap()];
        assert!(matches!(RunFolder::open(&path), Err(PadaError::FolderInUse { .. })));
        drop(readers);
        RunFolder::open(&path).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_no_run_and_is_removed_at_the_next_start() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        std::fs::create_dir(&path).unwrap();
        let left =
            [".config.toml.a1b2c3.tmp", ".epoch-0001.safetensors.d4e5f6.tmp"].map(|name| path.join(name));
        left.iter().for_each(|file| std::fs::write(file, "half").unwrap());
        assert!(RunFolder::is_unborn(&path));
        drop(RunFolder::create(&path, RunConfig::default()).unwrap());
        assert!(left.iter().all(|file| !file.exists()));
        std::fs::write(&left[1], "half").unwrap();
        drop(RunFolder::open(&path).unwrap());
        assert!(!left[1].exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_in_which_no_file_can_be_made_is_read_without_a_lock() {
        assert!(lock(Path::new("/proc/self")).is_err());
        assert!(lock_to_read(Path::new("/proc/self")).unwrap().is_none());
    }

    #[test]
    fn a_folder_of_runs_that_is_no_folder_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let runs = parent.path().join("runs");
        let refused = |runs: &Path| match RunFolder::create_numbered(runs, RunConfig::default()) {
            Err(PadaError::Write { path, .. }) => path == runs,
            _ => false,
        };
        std::fs::write(&runs, "a file").unwrap();
        assert!(refused(&runs));
        std::fs::remove_file(&runs).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere", &runs).unwrap();
            assert!(refused(&runs));
        }
    }
}
