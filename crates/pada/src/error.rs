use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;

/// Why a job did not finish.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PadaError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that should be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that should be written.
    #[error("{path}: {source}; nothing that was there is lost: {}", mend(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A new run would write into an old folder.
    #[error("{path} exists; go on with that run with --resume {path}, or give another --out")]
    FolderExists {
        /// The folder.
        path: PathBuf,
    },
    /// The curves or the record of a run cannot be written or read.
    #[error(transparent)]
    Report(#[from] pada_report::ReportError),
    /// Weights that do not compute the architectures to be scored.
    #[error("{path} alone does not score these architectures: {reason}; --resume of its run ranks them")]
    PartialWeights {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The limits of a search are too narrow.
    #[error("none of {tried} architectures drawn at random is within the limits; widen them")]
    NothingFits {
        /// How many were drawn.
        tried: usize,
    },
    /// A folder of a search that was about something else.
    #[error("{path} holds scores of another {what}; give another --out, or remove it")]
    OtherScores {
        /// The file that says so.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// A run that must be over is not.
    #[error("{path} is not trained to its end; go on with it first: pada-train --resume {path}")]
    NotTrained {
        /// Its folder.
        path: PathBuf,
    },
    /// A file that stands already where another would be written.
    #[error("{path} exists; give another --out, or --overwrite to replace it")]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// Norms whose statistics are in no file.
    #[error(
        "{count} norms of {arch} use the statistics of the batch, so none are stored: leave out --statistics stored, and they are \
         those of training images"
    )]
    NoStatistics {
        /// The architecture.
        arch: String,
        /// How many norms.
        count: usize,
    },
    /// A run that trained one architecture has no weights for another.
    #[error("{path} is a run of {trained} alone, it did not train the weights of {arch}")]
    OtherArch {
        /// The run folder.
        path: PathBuf,
        /// What it trained.
        trained: String,
        /// What was asked for.
        arch: String,
    },
    /// A file that no export wrote.
    #[error("{path} is no exported network: {reason}")]
    NotExported {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A name that no published architecture of the space has.
    #[error("there is no architecture {name:?}; there are {known}")]
    UnknownName {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Another process works in the folder.
    #[error("{path} is in use by another process; wait until that ends, or give another --out")]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that holds no run.
    #[error("{path} holds no run: {file} is not in it")]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file every run folder has.
        file: &'static str,
    },
    /// A device this program cannot compute on.
    #[error("device {device}: {reason}; use --device cpu")]
    Device {
        /// What was asked for.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The config asks for the candle executor, which is not part of this build.
    #[error(
        "this program was built without the candle executor (compute.executor = \"candle\"); build it with \
         `cargo build --release -p pada-train --features candle`, or use \"engine\""
    )]
    CandleNotBuilt,
    /// A line of a list of architectures.
    #[error("{path}, line {line}: {source}")]
    ArchList {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        source: pada_space::SpaceError,
    },
    /// An architecture that stands in a list twice.
    #[error("{path}, line {line}: {arch} stands in line {first} already")]
    ArchTwice {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The architecture.
        arch: String,
        /// Where it stands first.
        first: usize,
    },
    /// A list of architectures without any.
    #[error("{path} holds no architecture")]
    NoArchs {
        /// The file.
        path: PathBuf,
    },
    /// A line of a file of scores.
    #[error("{path}, line {line}: {reason}")]
    Scores {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// An architecture of one file is not in the other.
    #[error("{path} has no row for {arch}; {missing} architectures of the other file are missing from it")]
    NoTruth {
        /// The file that lacks it.
        path: PathBuf,
        /// The first one.
        arch: String,
        /// How many.
        missing: usize,
    },
    /// Images.
    #[error(transparent)]
    Data(#[from] pada_data::DataError),
    /// Truth tables.
    #[error(transparent)]
    Truth(#[from] pada_nasbench::NasBenchError),
    /// Architectures.
    #[error(transparent)]
    Space(#[from] pada_space::SpaceError),
    /// A search ended with an error, for example because a score is NaN.
    #[error("the search failed: {0}")]
    Search(String),
    /// Networks.
    #[error(transparent)]
    Graph(#[from] pada_graph::GraphError),
    /// Samplers.
    #[error(transparent)]
    Sampler(#[from] pada_sampler::SamplerError),
    /// Weights files.
    #[error(transparent)]
    Weights(#[from] pada_models::WeightsError),
    /// Training and scoring.
    #[error(transparent)]
    Train(#[from] pada_trainer::TrainError),
    /// Ranks that work together.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// Checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] pada_trainer::CheckpointError),
    /// Metrics.
    #[error(transparent)]
    Rank(#[from] pada_metrics::MetricsError),
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user: config, command line or an input file.
    Input,
    /// The machine or the run: a full disk, a diverged training.
    Run,
    /// Nobody: it was asked to stop and can go on.
    Stopped,
}

impl ErrorKind {
    /// How a program ends.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Run => 1,
            Self::Input => 2,
            Self::Stopped => 130,
        }
    }
}

/// An error and its causes. Errors of the libraries name their cause themselves; it is not said twice.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.contains(&said) {
            text += &format!(": {said}");
        }
        next = cause.source();
    }
    text
}

/// Whether the folder that a file belongs into is missing.
fn is_no_folder(source: &std::io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What helps against a file that cannot be written.
fn mend(source: &std::io::Error) -> &'static str {
    match source.kind() {
        _ if is_no_folder(source) => "make its folder first, or choose another one with --out",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose another folder with --out"
        }
        _ => "free some space or choose another folder with --out",
    }
}

impl PadaError {
    /// Who can mend it.
    pub fn kind(&self) -> ErrorKind {
        use pada_dist::DistError::{Mpi, PeerExited, Timeout, WeightsDiverged};
        use pada_trainer::{CheckpointError, TrainError};
        if let Some(error) = self.world() {
            let failed =
                matches!(error, Timeout { .. } | PeerExited { .. } | WeightsDiverged { .. } | Mpi { .. });
            return if failed { ErrorKind::Run } else { ErrorKind::Input };
        }
        match self {
            Self::Train(TrainError::Stopped) => ErrorKind::Stopped,
            Self::Train(TrainError::Data(_)) => ErrorKind::Input,
            Self::Report(pada_report::ReportError::Json { .. }) => ErrorKind::Input,
            Self::Write { source, .. } if is_no_folder(source) => ErrorKind::Input,
            Self::Write { .. }
            | Self::Report(_)
            | Self::Train(_)
            | Self::Checkpoint(CheckpointError::Io { .. } | CheckpointError::Exec(_)) => ErrorKind::Run,
            _ => ErrorKind::Input,
        }
    }

    /// What kept ranks from working together, wherever it was found.
    fn world(&self) -> Option<&pada_dist::DistError> {
        use pada_exec::ExecError;
        use pada_trainer::TrainError;
        match self {
            Self::ProcessGroup(error)
            | Self::Train(
                TrainError::ProcessGroup(error) | TrainError::Exec(ExecError::ProcessGroup(error)),
            ) => Some(error),
            _ => None,
        }
    }
}
