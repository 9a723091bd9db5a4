//! The items that most programs need: `use pada::prelude::*;`.

pub use pada_data::{InMemoryDataset, Normalize, Splits};
pub use pada_nasbench::BenchmarkTable;
pub use pada_sampler::{PathObservation, PathSampler, Progress, SamplerError, SavedState};
pub use pada_space::{Arch, SearchSpace, SubSpace};
pub use pada_trainer::{ArchScore, Observer};

pub use crate::{
    Config, ConfigError, Dataset, Device, ErrorKind, Evaluation, Experiment, ImagesConfig, PadaError,
    PathsConfig, RetrainConfig, Run, RunConfig, RunFolder, Session, SubSupernet, TrainedRun,
};
