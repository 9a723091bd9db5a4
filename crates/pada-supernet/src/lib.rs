#![doc = include_str!("../README.md")]

mod candle;
mod error;
mod files;
mod init;
pub mod ops;
pub mod pickle;
mod pt;

pub use candle::CandleExecutor;
pub use error::WeightsError;
pub use files::{CHECKPOINT_PREFIX, read_metadata, read_weights, to_safetensors};
pub use init::init_weights;
