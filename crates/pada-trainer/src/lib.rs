#![doc = include_str!("../README.md")]

mod calibration;
mod checkpoint;
mod clip;
mod config;
mod durable;
mod error;
mod image_scores;
mod image_shape;
mod observer;
mod position_norms;
pub mod rules;
mod running;
mod schedule;
mod score;
mod seeds;
pub mod split;
mod together;
mod trainer;
mod variance;

pub use calibration::Calibration;
pub use checkpoint::{Checkpoint, CheckpointScope, DataState};
pub use clip::{clip_factor, global_norm};
pub use config::{OnNan, TrainConfig};
pub use durable::{check_writable, write_durably};
pub use error::{CheckpointError, NotFinite, TrainError};
pub use image_scores::{ImageScore, image_gradient_norms};
pub use image_shape::image_shape;
pub use observer::{Observer, StepProgress};
pub use position_norms::position_gradient_norms;
pub use rules::{PathOutcome, StepContext, StepOutcome, TrainRule};
pub use schedule::{RunPoint, Schedule};
pub use score::{ArchScore, EvalSet, PlaceWeights, Scorer};
pub use seeds::{Purpose, Streams};
pub use trainer::{TrainSettings, Trainer, TrainerParts};
pub use variance::GradientVariance;
