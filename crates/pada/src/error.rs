use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::ConfigError;

/// Error of a run, ranking, search, export or other task.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PadaError {
    /// A config is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("{path}: {source}; existing files are unchanged; {}", mend(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The name of an output file does not fit the format that is written.
    #[error("{path}: a file of this format ends in {}; give another --out", listed(endings))]
    WrongEnding {
        /// The file.
        path: PathBuf,
        /// The endings that fit, without the dot.
        endings: &'static [&'static str],
    },
    /// An output file is also an input of the command.
    #[error("{path} is read by this command, and would be overwritten; give another --out")]
    OverwritesInput {
        /// The file.
        path: PathBuf,
    },
    /// The folder of a new run exists.
    #[error("{path} exists; resume its run with --resume {path}, or give another --out")]
    FolderExists {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of a new run is a file, or a folder with other contents.
    #[error("{path} exists and is not the folder of a run; give another --out")]
    OtherContents {
        /// The file or folder.
        path: PathBuf,
    },
    /// A zero-cost score cannot be computed.
    #[error(transparent)]
    ZeroCost(#[from] pada_zerocost::ZeroCostError),
    /// The curves or the record of a run cannot be written or read.
    #[error(transparent)]
    Report(#[from] pada_report::ReportError),
    /// The weights of a file cannot score the architectures.
    #[error(
        "{path} cannot score these architectures: {reason}; resume the run that the file belongs to, which ranks them: pada --resume RUN_DIR"
    )]
    PartialWeights {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// Weights are read from a file, but the folder of a run was given.
    #[error("{path} is the folder of a run, and weights are read from a file; {advice}")]
    NotAFile {
        /// The folder.
        path: PathBuf,
        /// The step that leads to weights, for the message.
        advice: String,
    },
    /// The constraints of a search are too narrow.
    #[error("none of {tried} random architectures is within the limits; choose wider limits")]
    NothingFits {
        /// Number of architectures that were drawn.
        tried: usize,
    },
    /// The folder of a search or a ranking has scores of another one.
    #[error("{path} belongs to scores of another {what}; give another --out, or remove the folder")]
    OtherScores {
        /// The file that describes the scores.
        path: PathBuf,
        /// The property that differs.
        what: &'static str,
    },
    /// The training of a run is not finished.
    #[error("the training of {path} is not finished; finish it first: pada --resume {path}")]
    NotTrained {
        /// The run folder.
        path: PathBuf,
    },
    /// A file to write exists.
    #[error("{path} exists; give another --out, or replace the file with --overwrite")]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// Stored running statistics are requested, but the batch norms have none.
    #[error(
        "{count} batch norms of {arch} use batch statistics, so no running statistics are stored; leave out --statistics stored to \
         compute them from training images"
    )]
    NoStatistics {
        /// The architecture.
        arch: String,
        /// Number of batch norms.
        count: usize,
    },
    /// A run that trained one architecture has no weights for another one.
    #[error("{path} trained only the architecture {trained}, so it has no weights of {arch}")]
    OtherArch {
        /// The run folder.
        path: PathBuf,
        /// The architecture that the run trained.
        trained: String,
        /// The requested architecture.
        arch: String,
    },
    /// A data set that is given for a finished run has other images than the run.
    #[error(
        "{data} does not have the images that {path} used ({name}): their SHA-256 differ; give the data set with the same files, or leave out --data \
         if it is where it was"
    )]
    OtherImages {
        /// The run folder.
        path: PathBuf,
        /// The data set that was given.
        data: String,
        /// Name of the images in the record of the run.
        name: String,
    },
    /// The weights of a run do not fit the network that is to start from them.
    #[error(
        "{path} cannot be the start of this network: {what}: {theirs} in the run, {ours} here; set `{key}` to the value of the run, or start from \
         another run"
    )]
    OtherSize {
        /// The run folder.
        path: PathBuf,
        /// The size that differs.
        what: &'static str,
        /// The value of the run.
        theirs: String,
        /// The value of the network that is to start from the run.
        ours: String,
        /// The key of the config that sets the value.
        key: &'static str,
    },
    /// A file is not an exported network.
    #[error("{path} is not an exported network: {reason}")]
    NotExported {
        /// The file.
        path: PathBuf,
        /// The part that is missing or wrong.
        reason: String,
    },
    /// No published architecture of the space has the name.
    #[error("there is no published architecture {name:?}; {known}")]
    UnknownName {
        /// The name.
        name: String,
        /// The nearest names, as a sentence.
        known: String,
    },
    /// Another process uses the folder.
    #[error("{path} is in use by another process; wait until it ends, or give another --out")]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// Two columns of a table have the name that is asked for.
    #[error("{}: the column {column} occurs twice; rename one of them", path.display())]
    ColumnTwice {
        /// The file.
        path: PathBuf,
        /// The name.
        column: String,
    },
    /// A folder is not a run folder.
    #[error("{path} is not a run folder: it has no {file}")]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The missing file, which every run folder has.
        file: &'static str,
    },
    /// A device cannot be used.
    #[error("device {device}: {reason}; use --device cpu")]
    Device {
        /// The requested device.
        device: String,
        /// The reason.
        reason: String,
    },
    /// The config asks for the candle executor, which is not part of this build.
    #[error(
        "this program was built without the candle executor (compute.executor = \"candle\"); build it with \
         `cargo build --release -p pada-train --features candle`, or use \"engine\""
    )]
    CandleNotBuilt,
    /// A line of a file of architectures is not valid.
    #[error("{path}, line {line}: {source}")]
    ArchList {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The error of the line.
        source: pada_space::SpaceError,
    },
    /// An architecture occurs twice in a file.
    #[error("{path}, line {line}: {arch} occurs already in line {first}")]
    ArchTwice {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// The architecture.
        arch: String,
        /// Line number of its first occurrence, from 1.
        first: usize,
    },
    /// A file has no architecture.
    #[error("{path} has no architecture")]
    NoArchs {
        /// The file.
        path: PathBuf,
    },
    /// A line of a file of scores is not valid.
    #[error("{path}, line {line}: {reason}")]
    Scores {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// The reason why the file is rejected.
        reason: String,
    },
    /// A table does not have the column that is read.
    #[error("{path}: there is no column {column}; the columns are {columns}{advice}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns of the file.
        columns: String,
        /// The option that helps, after a semicolon, or nothing.
        advice: &'static str,
    },
    /// A score is infinite, NaN or missing.
    #[error("{path}, line {line}: {column} is {text:?}, but it must be a finite number{advice}")]
    UndefinedScore {
        /// The file.
        path: PathBuf,
        /// Line number, or number of the entry of a file of numpy, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The text of the score.
        text: String,
        /// The option that helps, after a semicolon, or nothing.
        advice: &'static str,
    },
    /// An architecture of one file is not in the other.
    #[error(
        "{path} has no row for {arch}; in total, {missing} architectures of the other file are missing{advice}"
    )]
    NoTruth {
        /// The file without the architecture.
        path: PathBuf,
        /// The first missing architecture.
        arch: String,
        /// Number of missing architectures.
        missing: usize,
        /// The option that helps, after a semicolon, or nothing.
        advice: &'static str,
    },
    /// A table of latencies has no row.
    #[error("{path} has no operation; write it with `pada latency measure --out {path}`")]
    NoOperations {
        /// The file.
        path: PathBuf,
    },
    /// A table of latencies does not have an operation of the network.
    #[error(
        "{path} has no latency of {operation}, so it was measured for a network of another size; measure this network with `pada latency measure` and \
         the space, the channels, the image size and the classes that it has"
    )]
    NoOperation {
        /// The file.
        path: PathBuf,
        /// The operation with its shapes.
        operation: String,
    },
    /// An architecture has an operation that no other measured architecture has.
    #[error("the operation {operation} was not measured; please report it")]
    NotMeasured {
        /// The operation with its shapes.
        operation: String,
    },
    /// Images cannot be read.
    #[error(transparent)]
    Data(#[from] pada_data::DataError),
    /// A benchmark table cannot be read.
    #[error(transparent)]
    Truth(#[from] pada_nasbench::NasBenchError),
    /// An architecture is not valid.
    #[error(transparent)]
    Space(#[from] pada_space::SpaceError),
    /// A search ended with an error, for example because a score is NaN.
    #[error("the search failed: {0}")]
    Search(String),
    /// A network cannot be created.
    #[error(transparent)]
    Graph(#[from] pada_graph::GraphError),
    /// A sampler failed.
    #[error(transparent)]
    Sampler(#[from] pada_sampler::SamplerError),
    /// A file of weights cannot be read.
    #[error(transparent)]
    Weights(#[from] pada_models::WeightsError),
    /// Training or scoring failed.
    #[error(transparent)]
    Train(#[from] pada_trainer::TrainError),
    /// Processes cannot work together.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] pada_trainer::CheckpointError),
    /// Metrics cannot be computed.
    #[error(transparent)]
    Rank(#[from] pada_metrics::MetricsError),
}

/// The kind of an error, by the way to fix it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The user can fix config, command line or an input file.
    Input,
    /// The machine or the run failed, for example by a full disk or diverged training.
    Run,
    /// The run stopped on request and can be resumed.
    Stopped,
}

impl ErrorKind {
    /// Returns the exit code of a program: 1 for [`ErrorKind::Run`], 2 for [`ErrorKind::Input`], 130 for [`ErrorKind::Stopped`].
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Run => 1,
            Self::Input => 2,
            Self::Stopped => 130,
        }
    }
}

/// Formats an error with its causes. A cause whose text is already part of the message is not repeated, and the numbers of errors of the operating
/// system are left out.
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
    without_error_numbers(&text)
}

/// Removes ` (os error 2)` behind the descriptions of errors of the operating system.
fn without_error_numbers(text: &str) -> String {
    const NUMBER: &str = " (os error ";
    let mut parts = text.split(NUMBER);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.parse::<i32>().is_ok() => shown += rest,
            _ => shown.extend([NUMBER, part]),
        }
    }
    shown
}

/// Returns true if the folder of a file is missing.
fn is_no_folder(source: &std::io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Returns advice for a file that cannot be written.
fn mend(source: &std::io::Error) -> &'static str {
    match source.kind() {
        _ if is_no_folder(source) => "create its folder first, or choose another one with --out",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose another folder with --out"
        }
        _ => "free some space or choose another folder with --out",
    }
}

/// Endings of files as a message lists them.
fn listed(endings: &[&str]) -> String {
    endings.iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(" or ")
}

impl PadaError {
    /// Returns the kind of the error.
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

    /// Returns the error of the process group, if it is the cause of this error.
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
