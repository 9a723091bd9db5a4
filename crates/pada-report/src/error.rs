use std::path::PathBuf;

use thiserror::Error;

/// Why a record, a plot or an event file cannot be read or written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no run record, or one of another version.
    #[error("{path} is not a run record: {source}; `pada-train --resume` with its folder writes it anew")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// A plot that cannot be drawn.
    #[error("plot: {reason}")]
    Plot {
        /// What the drawing library said.
        reason: String,
    },
}
