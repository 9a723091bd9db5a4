#![doc = include_str!("../README.md")]

mod audit;
mod constant_paths;
mod data_importance;
mod data_sampler;
mod error;
mod fair_paths;
mod fixed_path;
mod one_change_paths;
mod pareto_paths;
mod path_importance;
mod path_sampler;
mod rows;
mod schedule;
mod state;
mod uniform_data;
mod uniform_paths;
mod variant;
mod weighted_draws;

pub use audit::{effective_sample_size, entropy};
pub use constant_paths::{ConstantPaths, ConstantPathsState};
pub use data_importance::{DataImportance, DataImportanceConfig, DataImportanceState, Replacement, Unseen};
pub use data_sampler::DataSampler;
pub use error::SamplerError;
pub use fair_paths::{FairPaths, FairPathsState};
pub use fixed_path::FixedPath;
pub use one_change_paths::{OneChangePaths, OneChangePathsState};
pub use pareto_paths::{CostOf, ParetoPaths, ParetoPathsConfig, ParetoPathsState, RememberedPath};
pub use path_importance::{DistributionScope, PathImportance, PathImportanceConfig, PathImportanceState};
pub use path_sampler::{PathObservation, PathSampler};
/// The version of `rand` whose [`rand::Rng`] the traits of this crate use.
pub use rand;
pub use schedule::{LinearSchedule, Progress};
pub use state::SavedState;
pub use uniform_data::UniformData;
pub use uniform_paths::{ConnectedPaths, IsConnected, UniformPaths};
pub use variant::{ImportanceWeights, Variant};
pub use weighted_draws::{AliasTable, draw_without_replacement};
