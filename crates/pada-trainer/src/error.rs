use std::path::PathBuf;

use pada_data::DataError;
use pada_exec::ExecError;
use pada_graph::GraphError;
use pada_sampler::SamplerError;
use pada_space::Arch;
use thiserror::Error;

/// Error of training: it cannot start or cannot continue.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A loss or gradient is NaN or infinite. Training rules return this error.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// A loss or gradient is NaN or infinite, with epoch, step and checkpoint. The trainer returns this error.
    #[error(
        "epoch {epoch}, step {step}, path {path}: the {what} is {value}; {}: lower train.lr, lower train.clip_norm, or skip such steps with train.on_nan = \"skip\"",
        .checkpoint.as_ref().map_or("no checkpoint was written yet".into(), |c| format!("{} holds finite weights", c.display()))
    )]
    Diverged {
        /// Index of the epoch, from 0.
        epoch: usize,
        /// Index of the step, from 0.
        step: usize,
        /// The path that was trained.
        path: Arch,
        /// The number that is not finite: loss, alignment or gradient norm.
        what: &'static str,
        /// The value that is NaN or infinite.
        value: f64,
        /// The last checkpoint of this session.
        checkpoint: Option<PathBuf>,
    },
    /// The parts of a trainer do not fit together, or the data sampler does not fit the data set.
    #[error("training cannot start: {reason}")]
    Setup {
        /// The reason why the parts do not fit.
        reason: String,
    },
    /// A sampler rejects the result of a step, or draws a path or image that does not exist.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The network does not accept the images.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An image cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Processes that train together cannot continue.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// The executor failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// An architecture belongs to no supernet that was trained.
    #[error("the architecture {arch} is not in the part of the search space that was trained")]
    NotTrained {
        /// The architecture.
        arch: Arch,
    },
    /// The observer requested to stop.
    #[error("stopped on request")]
    Stopped,
}

/// A loss or gradient that is not finite.
#[derive(Clone, Debug, Error)]
#[error("path {path}: the {what} is {value}")]
pub struct NotFinite {
    /// The number that is not finite: loss, alignment or gradient norm.
    pub what: &'static str,
    /// The value, which is NaN or infinite.
    pub value: f64,
    /// The path that was trained.
    pub path: Arch,
}

/// Error of a checkpoint: it cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system reported an error.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The weights cannot be read from the device.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The content of the file is damaged.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason why the checkpoint is rejected.
        reason: String,
    },
    /// All checkpoints of a folder are damaged.
    #[error(
        "{newest}; no older checkpoint is intact either. To train from the first epoch, remove all checkpoints: \
         rm {folder}/epoch-*.safetensors"
    )]
    NoneIntact {
        /// The folder.
        folder: PathBuf,
        /// The error of the newest checkpoint.
        newest: Box<CheckpointError>,
    },
    /// The file is a safetensors file, but no checkpoint.
    #[error(
        "{path} is no checkpoint: it contains tensors, but not the state of a run; move it out of the folder of the run"
    )]
    NotACheckpoint {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint was written by a newer version of the program.
    #[error(
        "{path} has checkpoint format {found}, but this version of pada reads formats up to {supported}; update pada to use it"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        found: u64,
        /// The newest version that can be read.
        supported: u64,
    },
    /// The checkpoint has no format version.
    #[error(
        "{path} is a checkpoint without a format version, which this version of pada cannot read; \
         continue the run with the version that started it, or start a new run in another folder"
    )]
    UnversionedFormat {
        /// The file.
        path: PathBuf,
    },
    /// The checkpoint is intact, but it belongs to another run or another network.
    #[error("{path} belongs to another run: {reason}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The difference in words.
        reason: String,
    },
}
