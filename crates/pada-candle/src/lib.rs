#![doc = include_str!("../README.md")]

mod error;
mod executor;
mod forward;
mod loss;
pub mod ops;

pub use error::GpuError;
pub use executor::CandleExecutor;
