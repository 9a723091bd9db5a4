use std::path::PathBuf;

use thiserror::Error;

/// Why a weights file cannot be used.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no weights file, or a damaged one.
    #[error("{path} is not a readable {format} file: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// safetensors or PyTorch.
        format: &'static str,
        /// What the reader said.
        message: String,
    },
    /// Neither `.safetensors` nor a PyTorch ending.
    #[error(
        "{path}: weights are read from files, .safetensors, .pt or .pth; in the folder of a run these are the epoch-N.safetensors"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Tensors of the network are not in the file.
    #[error(
        "{path}: {count} of the network's {total} tensors are missing, first {first}; do channels, cells and space match the file?"
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The first name that is missing.
        first: String,
        /// How many are.
        count: usize,
        /// How many the network has.
        total: usize,
    },
    /// The file has tensors the network does not.
    #[error(
        "{path}: {count} tensors are not in the network, first {first}; do channels, cells and space match the file?"
    )]
    Unexpected {
        /// The file.
        path: PathBuf,
        /// The first such name.
        first: String,
        /// How many there are.
        count: usize,
    },
    /// A tensor has another shape or type.
    #[error(
        "{path}: {name} is {found}, the network has f32 {expected:?}; do channels, cells and space match the file?"
    )]
    WrongTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type and shape in the file.
        found: String,
        /// Its shape in the network.
        expected: Vec<usize>,
    },
    /// A weight is NaN or infinite.
    #[error("{path}: {name} holds a number that is not finite")]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
}
