//! From names to parts: the only place that matches on the names of spaces, rules and samplers.

use pada_data::{ImageSet, Splits};
use pada_engine::Engine;
use pada_graph::{Executor, Lower, Nb201Net, Norms, Shape};
use pada_sampler::{
    DataImportance, DataSampler, FixedPath, PathImportance, PathSampler, UniformData, UniformPaths,
};
use pada_space::{Nb201, SearchSpace};
use pada_supernet::{CandleExecutor, init_weights};
use pada_trainer::rules::SummedPaths;
use pada_trainer::{Purpose, TrainSettings, Trainer, TrainerParts};

use crate::{
    ComputeConfig, ConfigError, DataRule, Device, ExecutorName, PadaError, PathRule, RankSplit, RunConfig,
    SamplerConfig, SpaceName, SupernetConfig, TrainPart,
};

pub(crate) fn space(name: SpaceName) -> Box<dyn SearchSpace> {
    match name {
        SpaceName::Nb201 => Box::new(Nb201::new()),
    }
}

/// The network whose weights are shared.
pub(crate) fn supernet(config: &SupernetConfig, input: Shape, classes: usize) -> Box<dyn Lower> {
    match config.space {
        SpaceName::Nb201 => {
            Box::new(Nb201Net::new(config.channels, config.cells, input, classes, Norms::Plain))
        }
    }
}

/// The network as benchmarks of the space train it alone.
pub(crate) fn alone(config: &SupernetConfig, input: Shape, classes: usize) -> Box<dyn Lower> {
    match config.space {
        SpaceName::Nb201 => {
            Box::new(Nb201Net::new(config.channels, config.cells, input, classes, Norms::Affine))
        }
    }
}

/// What computes, on the device that was chosen.
pub(crate) fn executor(
    compute: ComputeConfig,
    device: Device,
    net: &dyn Lower,
    weights: Vec<f32>,
) -> Box<dyn Executor> {
    let layout = net.weights().clone();
    match (compute.executor, device) {
        (ExecutorName::Engine, Device::Cpu) => Box::new(Engine::new(layout, weights, compute.precision)),
        (ExecutorName::Candle, Device::Cpu) => {
            Box::new(CandleExecutor::new(layout, weights, compute.precision))
        }
    }
}

fn path_sampler(config: &SamplerConfig, space: &dyn SearchSpace) -> Result<Box<dyn PathSampler>, PadaError> {
    Ok(match config.path {
        PathRule::Uniform => Box::new(UniformPaths::new(space.n_ops())),
        PathRule::Importance => Box::new(PathImportance::new(space.n_ops(), config.path_importance()?)?),
        PathRule::Fixed => Box::new(FixedPath::new(space.parse(config.fixed_arch()?)?)),
    })
}

fn data_sampler(config: &SamplerConfig, images: usize) -> Result<Box<dyn DataSampler>, PadaError> {
    let n = images as u32;
    Ok(match config.data {
        DataRule::Uniform => Box::new(UniformData::new(n)),
        DataRule::Importance => Box::new(DataImportance::new(n, config.data_importance()?)?),
    })
}

/// The images a run trains on.
pub(crate) fn train_images(config: &RunConfig, splits: &Splits) -> Result<ImageSet, ConfigError> {
    let mut images = match config.data.train {
        TrainPart::All => splits.train.clone(),
        TrainPart::Half => splits.halves().0,
    };
    if let Some(n) = config.data.train_images {
        within("data.train_images", n, &images)?;
        images = images.first(n);
    }
    Ok(images)
}

/// The images architectures are scored on.
pub(crate) fn rank_images(split: RankSplit, splits: &Splits) -> ImageSet {
    match split {
        RankSplit::Test => splits.test.clone(),
        RankSplit::Valid => {
            ImageSet { name: format!("{}, validation half", splits.train.name), ..splits.halves().1 }
        }
    }
}

/// Refuses more images than there are.
pub(crate) fn within(key: &'static str, n: usize, images: &ImageSet) -> Result<(), ConfigError> {
    let value = format!("{n}, but {} has {} images", images.name, images.len());
    let range = "no more than that";
    if n <= images.len() { Ok(()) } else { Err(ConfigError::Range { key, value, range }) }
}

/// A run at its start.
pub(crate) fn trainer(
    config: &RunConfig,
    images: ImageSet,
    space: &dyn SearchSpace,
    device: Device,
) -> Result<Trainer, PadaError> {
    let shape = Shape::new(images.channels, images.height, images.width);
    let net = supernet(&config.supernet, shape, images.classes);
    let weights = init_weights(net.weights(), &mut Purpose::Init.stream(config.seed));
    let settings = TrainSettings { train: config.train.clone(), augment: config.augment, seed: config.seed };
    let parts = TrainerParts {
        executor: executor(config.compute, device, net.as_ref(), weights),
        net,
        n_ops: space.op_names().len(),
        paths: path_sampler(&config.sampler, space)?,
        data: data_sampler(&config.sampler, images.len())?,
        rule: Box::new(SummedPaths),
        images,
    };
    Ok(Trainer::new(settings, parts))
}
