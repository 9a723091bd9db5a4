use std::path::PathBuf;

use thiserror::Error;

/// The error type of this crate.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A file is not a run record, or a record of an unknown version.
    #[error("{path} is not a run record: {source}; resuming the run in its folder writes the record again")]
    Json {
        /// The file.
        path: PathBuf,
        /// The JSON error with line and column.
        source: serde_json::Error,
    },
}
