#![doc = include_str!("../README.md")]

mod darts;
mod error;
mod files;
mod init;
mod mixtures;
mod mobile;
mod nb201;
pub mod pickle;
mod pt;
mod pt_write;
mod steps;

pub use darts::{DartsModel, DartsNet, DartsSize, DartsSkeleton, DartsTraining, DropPath};
pub use error::WeightsError;
pub use files::{read_metadata, read_weights, read_weights_under, to_safetensors};
pub use init::init_weights;
pub use mixtures::MixtureSettings;
pub use mobile::{MacroNet, MobileModel, ProxylessNet};
pub use nb201::{Nb201Net, Norms};
pub use pada_graph::CHECKPOINT_PREFIX;
pub use pt_write::to_pytorch;
