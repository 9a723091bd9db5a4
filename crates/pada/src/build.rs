//! From names to parts: the only place that builds spaces, rules and samplers. What their keys need is checked in `config`.

use pada_data::{DataLoader, Dataset, Splits};
use pada_engine::Engine;
use pada_graph::{
    Cost, DartsNet, DartsSize, Executor, Lower, MacroNet, Nb201Net, Norms, ProxylessNet, Shape, WeightLayout,
};
use pada_models::{CandleExecutor, init_weights};
use pada_sampler::{
    ConstantPaths, CostOf, DataImportance, DataSampler, FairPaths, FixedPath, OneChangePaths, ParetoPaths,
    PathImportance, PathSampler, UniformData, UniformPaths,
};
use pada_space::{
    Arch, Darts, NasBenchMacro, Nb201, Nb201Op, Proxyless, ProxylessWidths, SearchSpace, SubSpace,
};
use pada_trainer::rules::{CellShape, Close, MagicAt, Nsas, SummedPaths, Sumnas};
use pada_trainer::{
    Calibration, ImageScore, RngStream, TrainConfig, TrainRule, TrainSettings, Trainer, TrainerParts,
    image_shape,
};

use crate::alone::net as alone_net;
use crate::config::{SupernetSize, check};
use crate::device;
use crate::inputs::{Inputs, PathSamplerFactory};
use crate::{
    ComputeConfig, Config, ConfigError, Device, ExecutorName, ImagesConfig, PadaError, PathsConfig,
    RankSplit, Recalibration, RunConfig, Session, SpaceName, StandAloneConfig, SupernetConfig, TrainPart,
    UpdateConfig,
};

/// A search space by its name; that of ProxylessNAS with the channels of its search.
pub fn space(name: SpaceName) -> Box<dyn SearchSpace> {
    match name {
        SpaceName::Nb201 => Box::new(Nb201::new()),
        SpaceName::Darts => Box::new(Darts),
        SpaceName::Proxyless => Box::new(Proxyless::new(ProxylessWidths::SEARCH)),
        SpaceName::Macro => Box::new(NasBenchMacro),
    }
}

/// The search space of a supernet.
pub(crate) fn space_of(config: &SupernetConfig) -> Result<Box<dyn SearchSpace>, ConfigError> {
    Ok(match config.size()? {
        SupernetSize::Proxyless(widths) => Box::new(Proxyless::new(widths)),
        _ => space(config.space),
    })
}

/// The cell of a space whose positions are the edges of one.
pub(crate) fn cell(name: SpaceName) -> Option<CellShape> {
    match name {
        SpaceName::Nb201 => Some(CellShape { edges: &Nb201::EDGES, n_ops: Nb201Op::ALL.len() }),
        SpaceName::Darts | SpaceName::Proxyless | SpaceName::Macro => None,
    }
}

/// The network whose weights are shared. Of cells it has norms with the statistics of the batch, of MobileNet blocks with running ones.
pub(crate) fn supernet(
    config: &SupernetConfig,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, ConfigError> {
    let norms = if config.space.recalibrates() { Norms::Running } else { Norms::Plain };
    Ok(network(config.size()?, norms, input, classes))
}

/// The network as benchmarks of the space train it alone. In the DARTS space that is larger than the supernet: C=36, 20 cells.
pub(crate) fn alone(
    config: &SupernetConfig,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, ConfigError> {
    let size = match config.size()? {
        SupernetSize::Darts { .. } => {
            let DartsSize { channels, layers, .. } = DartsSize::CIFAR;
            SupernetSize::Darts { channels, cells: layers }
        }
        other => other,
    };
    Ok(network(size, Norms::Affine, input, classes))
}

pub(crate) fn network(size: SupernetSize, norms: Norms, input: Shape, classes: usize) -> Box<dyn Lower> {
    match size {
        SupernetSize::Nb201 { channels, cells } => {
            Box::new(Nb201Net::new(channels, cells, input, classes, norms))
        }
        SupernetSize::Darts { channels, cells } => {
            Box::new(DartsNet::new(DartsSize { channels, layers: cells, input, classes }, norms))
        }
        SupernetSize::Proxyless(widths) => Box::new(ProxylessNet::new(&widths, input, classes, norms)),
        SupernetSize::Macro => Box::new(MacroNet::new(input, classes, norms)),
    }
}

/// The network that a run trains.
pub(crate) fn trained(config: &Config, input: Shape, classes: usize) -> Result<Box<dyn Lower>, PadaError> {
    match config {
        Config::Retrain(config) if config.stand_alone().is_some() => {
            let arch = space_of(&config.network)?.parse(config.arch()?)?;
            net_of(&config.network, config.stand_alone(), &arch, input, classes)
        }
        _ => Ok(supernet(config.network(), input, classes)?),
    }
}

/// The network whose weights compute an architecture: the supernet, or one of its own.
pub(crate) fn net_of(
    config: &SupernetConfig,
    alone: Option<&StandAloneConfig>,
    arch: &Arch,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, PadaError> {
    match alone {
        None => Ok(supernet(config, input, classes)?),
        Some(alone) => alone_net(config, alone, arch, input, classes),
    }
}

/// What computes, on the device that was chosen.
///
/// # Errors
/// [`PadaError::Device`] where that cannot compute this.
pub(crate) fn executor(
    compute: ComputeConfig,
    device: Device,
    net: &dyn Lower,
    weights: Vec<f32>,
) -> Result<Box<dyn Executor>, PadaError> {
    let layout = net.weights().clone();
    let ComputeConfig { executor, precision, .. } = compute;
    Ok(match (executor, device) {
        (ExecutorName::Engine, Device::Cpu) => Box::new(Engine::new(layout, weights, precision)),
        (ExecutorName::Engine, Device::Cuda(ordinal)) => {
            device::engine(ordinal, layout, &weights, precision)?
        }
        (ExecutorName::Candle, Device::Cpu) => Box::new(CandleExecutor::new(layout, weights, precision)),
        (ExecutorName::Candle, Device::Cuda(ordinal)) => {
            let executor = CandleExecutor::on_gpu(ordinal, layout, weights, precision);
            Box::new(executor.map_err(|error| device::refused(ordinal, &error))?)
        }
    })
}

/// The same for training, where several ranks compute one batch.
fn training_executor(
    compute: ComputeConfig,
    place: &Session,
    net: &dyn Lower,
    weights: Vec<f32>,
) -> Result<Box<dyn Executor>, PadaError> {
    if place.world.is_single() {
        return executor(compute, place.device, net, weights);
    }
    if let Device::Cuda(ordinal) = place.device {
        let reason = "several ranks train together on CPUs only".to_owned();
        return Err(PadaError::Device { device: format!("cuda:{ordinal}"), reason });
    }
    let engine = compute.executor == ExecutorName::Engine;
    check("compute.executor", "candle", engine, "\"engine\" where several ranks train together")?;
    let engine = Engine::new(net.weights().clone(), weights, compute.precision);
    Ok(Box::new(engine.across(place.world.clone(), compute.norms)))
}

/// The part of its space that a run is about.
pub(crate) fn part(config: &SupernetConfig, space: &dyn SearchSpace) -> Result<SubSpace, PadaError> {
    match config.ops.as_slice() {
        [] => Ok(SubSpace::full(space)),
        ops => Ok(SubSpace::with_ops(space, ops)?),
    }
}

fn path_sampler(
    config: &Config,
    own: Option<&PathSamplerFactory>,
    space: &dyn SearchSpace,
    part: SubSpace,
    cost: impl FnOnce() -> Result<CostOf, ConfigError>,
) -> Result<Box<dyn PathSampler>, PadaError> {
    let paths = match config {
        Config::Run(config) => &config.paths,
        Config::Retrain(config) => return Ok(Box::new(FixedPath::new(space.parse(config.arch()?)?))),
    };
    Ok(match paths {
        PathsConfig::Uniform => Box::new(UniformPaths::new(part)),
        PathsConfig::Importance(config) => Box::new(PathImportance::new(part, *config)?),
        PathsConfig::Fair { variant } => Box::new(FairPaths::new(part, *variant)?),
        PathsConfig::OneChange => Box::new(OneChangePaths::new(part)),
        PathsConfig::Constant { distribution, smoothing } => {
            let (found, ops) = (distribution.len(), space.op_names().len());
            if found != ops {
                let value = format!("{found} numbers for {ops} operations");
                let range = "one probability for every operation";
                return Err(ConfigError::Range { key: "paths.distribution", value, range }.into());
            }
            Box::new(ConstantPaths::new(part, distribution, *smoothing)?)
        }
        PathsConfig::Own { name } => {
            let range = "a rule of pada: the sampler of this run belongs to the program that started it";
            let foreign = || ConfigError::Range { key: "paths.rule", value: format!("own, {name}"), range };
            own.ok_or_else(foreign)?(part)
        }
        PathsConfig::Pareto(config) => Box::new(ParetoPaths::new(part, *config, cost()?)?),
    })
}

/// `weights` are those that the run, or stage, starts from.
fn rule(
    config: &Config,
    part: &SubSpace,
    stage: usize,
    layout: &WeightLayout,
    weights: &[f32],
) -> Box<dyn TrainRule> {
    let Config::Run(config) = config else { return Box::new(SummedPaths) };
    match &config.update {
        UpdateConfig::SummedPaths => Box::new(SummedPaths),
        UpdateConfig::Sumnas(config) => Box::new(Sumnas::new(*config)),
        UpdateConfig::Nsas(config) => Box::new(Nsas::new(*config, part.clone())),
        UpdateConfig::Close(close) => {
            let cell = cell(config.supernet.space).expect("a config is checked before anything is built");
            let mut rng = RngStream::RuleStart.stage_stream(config.seed, stage);
            Box::new(Close::new(close.clone(), cell, layout, weights, &mut rng))
        }
        UpdateConfig::MagicAt(config) => Box::new(MagicAt::new(*config, part.clone())),
    }
}

fn data_sampler(config: &Config, images: usize) -> Result<Box<dyn DataSampler>, PadaError> {
    let n = images as u32;
    Ok(match config {
        Config::Run(RunConfig { images: ImagesConfig::Importance(config), .. }) => {
            Box::new(DataImportance::new(n, config.sampler())?)
        }
        Config::Run(_) | Config::Retrain(_) => Box::new(UniformData::new(n)),
    })
}

/// The images that may be trained on.
pub(crate) fn trainable(part: TrainPart, splits: &Splits) -> Dataset {
    match part {
        TrainPart::All => splits.train.clone(),
        TrainPart::Half => splits.halves().0,
    }
}

/// What running statistics are taken from, of the images that may be trained on.
pub(crate) fn calibration(
    config: Option<Recalibration>,
    trainable: &Dataset,
) -> Result<Option<Calibration>, PadaError> {
    let Some(Recalibration { images, batch }) = config else { return Ok(None) };
    within("rank.recalibrate.images", images, trainable)?;
    Ok(Some(Calibration::new(trainable, images, batch)?))
}

/// The images a run trains on: the first `n` of those that it may, or all.
pub(crate) fn train_images(n: Option<usize>, trainable: Dataset) -> Result<Dataset, ConfigError> {
    let Some(n) = n else { return Ok(trainable) };
    within("data.train_images", n, &trainable)?;
    Ok(trainable.first(n))
}

/// The images architectures are scored on.
pub(crate) fn rank_images(split: RankSplit, splits: &Splits) -> Dataset {
    match split {
        RankSplit::Test => splits.test.clone(),
        RankSplit::Valid => splits.halves().1.with_name(format!("{}, validation half", splits.train.name())),
    }
}

/// Refuses more images than there are.
pub(crate) fn within(key: &'static str, n: usize, images: &Dataset) -> Result<(), ConfigError> {
    let value = format!("{n}, but {} has {} images", images.name(), images.len());
    let range = "no more than that";
    if n <= images.len() { Ok(()) } else { Err(ConfigError::Range { key, value, range }) }
}

/// What a run, or one of its stages, starts from.
pub(crate) struct Start {
    /// The part of the space it trains.
    pub(crate) part: SubSpace,
    /// Its weights; those of the seed if none are given.
    pub(crate) weights: Option<Vec<f32>>,
    /// Its epochs.
    pub(crate) epochs: usize,
    /// Its number.
    pub(crate) stage: usize,
}

/// A stage of a run at its start.
pub(crate) fn trainer(
    config: &Config,
    inputs: &Inputs,
    place: &Session,
    start: Start,
) -> Result<Trainer, PadaError> {
    let (images, space) = (inputs.images.clone(), inputs.scoring.network.space.as_ref());
    let Start { part, weights, epochs, stage } = start;
    let (shape, classes) = (image_shape(&images), images.classes());
    let net = trained(config, shape, classes)?;
    let new = || init_weights(net.weights(), &mut RngStream::Init.stage_stream(config.seed(), stage));
    let weights = weights.unwrap_or_else(new);
    let rule = rule(config, &part, stage, net.weights(), &weights);
    let settings = TrainSettings {
        train: TrainConfig { epochs, ..config.train().clone() },
        augment: *config.augment(),
        image_score: match config {
            Config::Run(config) => config.images.score(),
            Config::Retrain(_) => ImageScore::default(),
        },
        seed: config.seed(),
        stage,
        identity: config.identity().to_string(),
    };
    let cost = || -> Result<CostOf, ConfigError> {
        let alone = alone(config.network(), shape, classes)?;
        Ok(Box::new(move |arch| match alone.lower(arch) {
            Ok(graph) => Cost::of(&graph, alone.weights()).macs as f64,
            Err(_) => f64::INFINITY,
        }))
    };
    let parts = TrainerParts {
        executor: training_executor(config.compute(), place, net.as_ref(), weights)?,
        net,
        space: part.clone(),
        n_ops: space.n_ops().iter().copied().max().unwrap_or(0),
        rule,
        paths: path_sampler(config, inputs.own_paths.as_ref(), space, part, cost)?,
        data: data_sampler(config, images.len())?,
        images: DataLoader::new(images),
    };
    let recipe = config.stand_alone().map(StandAloneConfig::recipe).unwrap_or_default();
    Ok(Trainer::new(settings, parts).with_recipe(recipe).across(place.world.clone(), config.compute().norms))
}
