#![doc = include_str!("../README.md")]

mod error;
mod r#loop;
pub mod rules;
mod scoring;
pub mod split;
mod state;
mod variance;

pub use error::{CheckpointError, NotFinite, TrainError};
pub use r#loop::average::Average;
pub use r#loop::clip::{clip_factor, global_norm, position_gradient_norms};
pub use r#loop::config::{OnNan, OptimizerName, TrainConfig};
pub use r#loop::drop_path::DropPaths;
pub use r#loop::observer::{Observer, StepProgress};
pub use r#loop::recipe::Recipe;
pub use r#loop::running::communication_record;
pub use r#loop::schedule::{RunPoint, Schedule, ScheduleSpan};
pub use r#loop::trainer::{Extension, TrainSettings, Trainer, TrainerParts};
pub use rules::{PathOutcome, StepContext, StepOutcome, TrainRule};
pub use scoring::calibration::{Calibration, RecalibratedMean};
pub use scoring::fixed_images::image_shape;
pub use scoring::image_scores::{ImageScore, image_gradient_norms};
pub use scoring::scorer::{ArchScore, Asked, EvalSet, Known, PlaceWeights, Scorer};
pub use state::checkpoint::{Checkpoint, CheckpointScope, DataState};
pub use state::durable::{check_writable, is_temporary, remove_temporary_files, write_durably};
pub use state::identity::weights_sha256;
pub use state::streams::RngStream;
pub use variance::{GradientVariance, Variance};
