#![doc = include_str!("../README.md")]

mod darts;
mod error;
mod files;
mod init;
mod mobile;
mod nb201;
pub mod pickle;
mod pt;
mod steps;

pub use darts::{DartsModel, DartsNet, DartsSize, DartsSkeleton, DartsTraining, DropPath};
pub use error::WeightsError;
pub use files::{read_metadata, read_weights, to_safetensors};
pub use init::init_weights;
pub use mobile::{MacroNet, MobileModel, ProxylessNet};
pub use nb201::{Nb201Net, Norms};
pub use pada_graph::CHECKPOINT_PREFIX;
