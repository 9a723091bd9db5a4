use thiserror::Error;

/// The error type for candle on a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GpuError {
    /// The crate was built without its feature `cuda`.
    #[error(
        "this program was built without candle's kernels for GPUs; where nvcc is installed, \
         `cargo build --release -p pada-train --features candle-cuda` builds them, and compute.executor = \"engine\" has its own"
    )]
    NotBuilt,
    /// There is no GPU with this number, or it cannot be used.
    #[error("candle cannot use GPU {ordinal}: {message}")]
    Refused {
        /// Number of the GPU.
        ordinal: usize,
        /// Error message of candle.
        message: String,
    },
}
