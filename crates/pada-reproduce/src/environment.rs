use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::ReproduceError;

/// The program and the folders that trials use.
#[derive(Clone)]
pub struct Environment<'a> {
    /// The program `pada`, which is started once for each trial.
    pub program: PathBuf,
    /// The folder `configs` of the repository: presets name files in it.
    pub configs: PathBuf,
    /// The folder in which tables and their trials are written unless a plan sets another folder.
    pub runs: PathBuf,
    /// The folder of data sets and benchmark tables.
    pub data: PathBuf,
    /// The commit that is written into tables, if it is known.
    pub commit: Option<String>,
    /// The number of times that the user requested a stop. Each request is passed on to the running trial.
    pub stops: &'a AtomicUsize,
    /// Receives the events.
    pub events: &'a (dyn Fn(Event<'_>) + Sync),
}

/// An event while trials run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A folder was read: some trials of the plan are finished already.
    Planned {
        /// The folder of the trials.
        folder: &'a Path,
        /// Trials of the plan.
        trials: usize,
        /// Trials that are finished.
        finished: usize,
    },
    /// A trial printed a line on its standard error stream.
    Line {
        /// The name of the trial.
        trial: &'a str,
        /// The line.
        line: &'a str,
    },
    /// A trial failed. The others still run.
    Failed {
        /// The method and the seed.
        trial: &'a str,
        /// The last error that it printed.
        reason: &'a str,
    },
    /// A run of a shard is not copied, because the target folder contains one of the same name.
    LeftOut {
        /// The run that is kept.
        kept: &'a Path,
        /// The folder of the shard.
        from: &'a Path,
    },
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned { folder, trials, finished } => {
                write!(f, "{}: {trials} trials, {finished} of them finished", folder.display())
            }
            Self::Line { trial, line } => write!(f, "{trial}: {line}"),
            Self::Failed { trial, reason } => write!(f, "{trial} failed: {reason}"),
            Self::LeftOut { kept, from } => {
                write!(
                    f,
                    "{} exists; the trial of the same name in {} is skipped",
                    kept.display(),
                    from.display()
                )
            }
        }
    }
}

impl Environment<'_> {
    /// Returns `true` once the user has requested a stop.
    pub(crate) fn stop_requested(&self) -> bool {
        self.stops.load(Ordering::Relaxed) > 0
    }

    /// Returns the path of a file in the folder `configs`.
    pub(crate) fn config(&self, file: &str) -> Result<PathBuf, ReproduceError> {
        let path = self.configs.join(file);
        if path.is_file() {
            return Ok(path);
        }
        Err(ReproduceError::Usage(format!(
            "{} does not exist; run the command in a clone of the repository",
            path.display()
        )))
    }

    /// Returns the folder of a table and its trials, `named` or the default, and creates it if it does not exist.
    pub(crate) fn out_folder(&self, named: Option<&Path>, usual: String) -> Result<PathBuf, ReproduceError> {
        let out = named.map_or_else(|| self.runs.join(usual), Path::to_owned);
        let out = std::path::absolute(&out).map_err(ReproduceError::io(&out))?;
        std::fs::create_dir_all(&out).map_err(ReproduceError::io(&out))?;
        Ok(out)
    }

    /// Returns a command that starts the program with the same data folder.
    pub(crate) fn call(&self) -> Result<Command, ReproduceError> {
        let mut command = Command::new(&self.program);
        command.env("PADA_DATA", std::path::absolute(&self.data).map_err(ReproduceError::io(&self.data))?);
        Ok(command)
    }
}

/// Returns the commit of the clone that contains a folder, with a mark if files differ from it. `None` if git is not installed or the
/// folder is in no clone.
pub fn commit_of(folder: &Path) -> Option<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).current_dir(folder).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let hash = git(&["rev-parse", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() { hash } else { format!("{hash} with changes") })
}

/// Writes a file atomically and creates its folder.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReproduceError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(ReproduceError::io(folder))?;
    }
    Ok(pada::write_file(path, bytes)?)
}

/// The reason why writing a CSV file to memory cannot fail.
pub(crate) const MEMORY: &str = "memory accepts all bytes, and all rows have the columns of the header";

/// Returns the bytes of a CSV file.
pub(crate) fn csv_bytes(csv: csv::Writer<Vec<u8>>) -> Vec<u8> {
    csv.into_inner().expect(MEMORY)
}
