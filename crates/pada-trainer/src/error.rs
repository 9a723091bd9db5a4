use std::path::PathBuf;

use pada_data::DataError;
use pada_graph::{ExecError, GraphError};
use pada_space::Arch;
use thiserror::Error;

/// Why training stopped.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A loss or gradient is NaN or infinite, as a rule sees it.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
    /// The same, with the place in the run.
    #[error(
        "epoch {epoch}, step {step}, path {path}: the {what} is {value}; {}: lower train.lr, clip harder with train.clip_norm, or leave out such steps with train.on_nan = \"skip\"",
        .checkpoint.as_ref().map_or("no checkpoint was written yet".into(), |c| format!("{} holds finite weights", c.display()))
    )]
    Diverged {
        /// From 0.
        epoch: usize,
        /// From 0.
        step: usize,
        /// The path that was trained.
        path: Arch,
        /// Loss, alignment or gradient norm.
        what: &'static str,
        /// NaN or infinite.
        value: f64,
        /// The last checkpoint.
        checkpoint: Option<PathBuf>,
    },
    /// The network does not take these images.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An image could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint between two steps could not be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Ranks that train together cannot go on.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// A pass failed.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// An architecture that no trained supernet holds.
    #[error("{arch} is in no part of the space that was trained")]
    NotTrained {
        /// The architecture.
        arch: Arch,
    },
    /// The observer asked to stop.
    #[error("stopped on request")]
    Stopped,
}

/// A number that must be finite is not.
#[derive(Clone, Debug, Error)]
#[error("path {path}: the {what} is {value}")]
pub struct NotFinite {
    /// Loss, alignment or gradient norm.
    pub what: &'static str,
    /// NaN or infinite.
    pub value: f64,
    /// The path that was trained.
    pub path: Arch,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The weights cannot be read from where they are.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// The content is damaged.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// All checkpoints of a folder are damaged.
    #[error(
        "{newest}; no older checkpoint is whole either. Without them `--resume` trains from the first epoch: \
         rm {folder}/epoch-*.safetensors"
    )]
    NoneWhole {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with the newest.
        newest: Box<CheckpointError>,
    },
    /// It is a checkpoint of another run.
    #[error("{path} belongs to another run: {reason}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
}
