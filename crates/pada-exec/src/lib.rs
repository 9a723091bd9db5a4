#![doc = include_str!("../README.md")]

mod batch;
mod device_data;
mod error;
mod executor;
mod images;
mod inspect;
mod loss;
mod sgd;

pub use batch::{Batch, Logits};
pub use device_data::{
    AugmentedIndex, ByteImages, CorrectCounts, DeviceData, DeviceDataset, correct_counts, count_correct,
    upload_dataset,
};
pub use error::ExecError;
pub use executor::{BatchNormSync, Convolution, Executor, Precision, State, StepStats};
pub use images::{Images, Pixels};
pub use inspect::{ChannelProducts, Inspect, Inspected, Inspection, NormVariances, Objective, Signs};
pub use loss::{LossSpec, cross_entropy, cross_entropy_f64};
pub use sgd::{Decayed, HostWeights, Optimizer, RmsProp, RmsPropForm, SgdStep, UnusedWeights};
