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
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// It is no weights file, or a damaged one.
    #[error("{path} is not a readable {format} file: {message}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// safetensors or PyTorch.
        format: &'static str,
        /// The error message of the reader.
        message: String,
    },
    /// Another kind of file, at its first bytes.
    #[error("{path} is {what}")]
    NotWeights {
        /// The file.
        path: PathBuf,
        /// The content of the file, and what the user should do.
        what: &'static str,
    },
    /// There is no state dict under the requested key.
    #[error(
        "{path} has no state dict under the key {key:?}; {}",
        if known.is_empty() { "it has no keys".to_owned() } else { format!("it has {}", known.iter().map(|key| format!("{key:?}")).collect::<Vec<_>>().join(", ")) }
    )]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The requested key.
        key: String,
        /// The keys that have a state dict. The file itself is `""`.
        known: Vec<String>,
    },
    /// Neither the first bytes nor the name are those of a file of weights.
    #[error(
        "{path}: weights are read from .safetensors files and PyTorch files; in the folder of a run these are the epoch-N.safetensors"
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
        /// The number of tensors that are missing.
        count: usize,
        /// The number of tensors of the network.
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
        /// The number of such tensors.
        count: usize,
    },
    /// Two tensors of the file are the same tensor of the network.
    #[error(
        "{path}: {:?} and {:?} are both the tensor {name} of the network; save one of the two networks alone: torch.save(model.state_dict(), FILE)",
        both[0],
        both[1]
    )]
    SameName {
        /// The file.
        path: PathBuf,
        /// The name in the network.
        name: String,
        /// The names in the file.
        both: [String; 2],
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
        /// The type and shape of the tensor in the file.
        found: String,
        /// The shape of the tensor in the network.
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
