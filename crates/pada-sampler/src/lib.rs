#![doc = include_str!("../README.md")]

mod alias;
mod audit;
mod constant_paths;
mod data_importance;
mod error;
mod fair_paths;
mod fixed_path;
mod gumbel;
mod linear_schedule;
mod one_change_paths;
mod pareto_paths;
mod path_importance;
mod path_seen;
mod rows;
mod state;
mod uniform_data;
mod uniform_paths;

pub use alias::AliasTable;
pub use audit::{effective_sample_size, entropy};
pub use constant_paths::ConstantPaths;
pub use data_importance::{DataImportance, DataImportanceConfig, Replacement};
pub use error::SamplerError;
pub use fair_paths::FairPaths;
pub use fixed_path::FixedPath;
pub use gumbel::draw_without_replacement;
pub use linear_schedule::LinearSchedule;
pub use one_change_paths::OneChangePaths;
use pada_space::Arch;
pub use pareto_paths::{CostOf, ParetoPaths, ParetoPathsConfig};
pub use path_importance::{DistributionScope, PathImportance, PathImportanceConfig};
pub use path_seen::PathObservation;
pub use rand;
use rand::Rng;
use serde::{Deserialize, Serialize};
pub use state::SamplerState;
pub use uniform_data::UniformData;
pub use uniform_paths::UniformPaths;

/// Draws the paths a supernet trains on. O is the number of operations.
pub trait PathSampler: Send {
    /// The paths of one step.
    fn next_paths(&mut self, rng: &mut dyn Rng) -> Vec<Arch>;

    /// The factor on the loss of a path that was just drawn.
    fn loss_weight(&self, path: &Arch) -> f64 {
        let _ = path;
        1.0
    }

    /// What a step found of one of its paths.
    fn observe(&mut self, seen: &PathObservation<'_>);

    /// Ends an epoch; `progress` is its number, counted from 0, divided by the number of epochs.
    fn end_epoch(&mut self, progress: f64);

    /// The distribution operations are drawn from: one row of O probabilities for all positions that choose one, one per kind of
    /// them, or one for every position.
    fn distribution(&self) -> Vec<Vec<f64>>;

    /// Everything a checkpoint must keep.
    fn state(&self) -> SamplerState;

    /// Goes on from a checkpoint, bit for bit.
    ///
    /// # Errors
    /// [`SamplerError::State`] where the state is of another sampler; this one is unchanged then.
    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError>;
}

/// Draws the images a supernet trains on. N is the number of images.
pub trait DataSampler: Send {
    /// The images of one epoch, in training order: N places in the image set.
    fn epoch_order(&mut self, rng: &mut dyn Rng) -> Vec<u32>;

    /// The factor on the loss of an image of the current epoch.
    fn loss_weight(&self, image: u32) -> f32 {
        let _ = image;
        1.0
    }

    /// What a step found: one gradient norm for each of its images.
    fn observe(&mut self, images: &[u32], grad_norms: &[f32]);

    /// Ends an epoch; `progress` is its number, counted from 0, divided by the number of epochs.
    fn end_epoch(&mut self, progress: f64);

    /// The distribution images are drawn from, `[N]`; none where each image comes once.
    fn distribution(&self) -> Option<&[f64]>;

    /// Everything a checkpoint must keep.
    fn state(&self) -> SamplerState;

    /// Goes on from a checkpoint, bit for bit.
    ///
    /// # Errors
    /// [`SamplerError::State`] where the state is of another sampler; this one is unchanged then.
    fn restore(&mut self, state: &SamplerState) -> Result<(), SamplerError>;
}

/// Whose rule is followed where the text and the released code of PA&DA differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// The authors' public code.
    #[default]
    Released,
    /// The text of the paper.
    Paper,
}

impl std::fmt::Display for Variant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Paper => "paper",
        })
    }
}

/// Whether losses are weighted so that their mean estimates the uniform one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportanceWeights {
    /// A plain mean, as in the released code: biased towards what is drawn often.
    #[default]
    None,
    /// Losses divided by how much more often than uniformly they are drawn (Eq. 5).
    Unbiased,
}
