#![doc = include_str!("../README.md")]

mod candle;
mod error;
mod files;
mod forward;
mod init;
pub mod ops;
pub mod pickle;
mod pt;

pub use candle::CandleExecutor;
pub use error::{GpuError, WeightsError};
pub use files::{read_metadata, read_weights, to_safetensors};
pub use init::init_weights;
pub use pada_graph::CHECKPOINT_PREFIX;
