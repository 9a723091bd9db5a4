//! Construction of samplers, training rules and trainers from a config. Only this module names their concrete types.

use pada_data::{DataLoader, Dataset};
use pada_engine::Engine;
use pada_exec::{Executor, State};
use pada_graph::{Cost, Lower, Mixtures};
use pada_models::init_weights;
use pada_sampler::{
    ConnectedPaths, ConstantPaths, CostOf, DataImportance, DataSampler, FairPaths, FixedPath, OneChangePaths,
    ParetoPaths, PathImportance, PathSampler, UniformData, UniformPaths,
};
use pada_space::{Arch, SearchSpace, SubSpace};
use pada_trainer::rules::{
    AttentionSearch, Close, Differentiable, DifferentiableMethod, Enas, MagicAt, Nsas, OpCosts, SearchImages,
    SearchInputs, SummedPaths, Sumnas,
};
use pada_trainer::{
    Extension, ImageScore, RngStream, ScheduleSpan, TrainConfig, TrainRule, TrainSettings, Trainer,
    TrainerParts, image_shape,
};

use crate::config::{
    ComputeConfig, Config, ConfigError, ExecutorName, ImagesConfig, PathsConfig, RunConfig, SpaceName,
    StandAloneConfig, UpdateConfig,
};
use crate::config::{DifferentiableSearch, SearchRule, check};
use crate::error::PadaError;
use crate::run::build;
use crate::run::device::Device;
use crate::run::inputs::{Inputs, PathSamplerFactory};
use crate::run::session::Session;

/// Creates the executor for training, in which several processes can compute one batch together.
fn training_executor(
    compute: ComputeConfig,
    place: &Session,
    net: &dyn Lower,
    weights: Vec<f32>,
) -> Result<Box<dyn Executor>, PadaError> {
    if place.world.is_single() {
        return build::executor(compute, place.device, net, weights);
    }
    if let Device::Cuda(ordinal) = place.device {
        let reason = "several processes can train together only on CPUs".to_owned();
        return Err(PadaError::Device { device: format!("cuda:{ordinal}"), reason });
    }
    let engine = compute.executor == ExecutorName::Engine;
    check("compute.executor", "candle", engine, "\"engine\" if several processes train together")?;
    let engine = Engine::new(net.weights().clone(), weights, compute.precision);
    let engine = engine.with_convolution(compute.convolution);
    Ok(Box::new(engine.across(place.world.clone(), compute.norms)))
}

fn path_sampler(
    config: &Config,
    own: Option<&PathSamplerFactory>,
    space: &dyn SearchSpace,
    part: SubSpace,
    cost: impl FnOnce() -> Result<CostOf, ConfigError>,
) -> Result<Box<dyn PathSampler>, PadaError> {
    let config = match config {
        Config::Run(config) => config,
        Config::Retrain(config) => return Ok(Box::new(FixedPath::new(space.parse(config.arch()?)?)?)),
    };
    Ok(match &config.paths {
        PathsConfig::Uniform => Box::new(UniformPaths::new(part)?),
        PathsConfig::Connected => {
            let space = config.supernet.space()?;
            let is_connected = move |arch: &Arch| build::is_connected(space.as_ref(), arch);
            Box::new(ConnectedPaths::new(part, Box::new(is_connected))?)
        }
        PathsConfig::Importance(config) => Box::new(PathImportance::new(part, *config)?),
        PathsConfig::Fair { variant } => Box::new(FairPaths::new(part, *variant)?),
        PathsConfig::OneChange => Box::new(OneChangePaths::new(part)?),
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
            let range = "a rule of pada, because only the program that started the run has its sampler";
            let foreign = || ConfigError::Range { key: "paths.rule", value: format!("own, {name}"), range };
            own.ok_or_else(foreign)?(part)?
        }
        PathsConfig::Pareto(config) => Box::new(ParetoPaths::new(part, *config, cost()?)?),
    })
}

/// Returns the number of searched cells of an architecture: in `darts` the normal and the reduction cell.
fn searched_cells(space: SpaceName) -> usize {
    if space == SpaceName::Darts { 2 } else { 1 }
}

/// Creates the training rule. `weights` are the initial weights of the run or stage.
fn rule(
    config: &Config,
    inputs: &Inputs,
    part: &SubSpace,
    stage: usize,
    net: &dyn Lower,
    weights: &[f32],
) -> Result<Box<dyn TrainRule>, PadaError> {
    let Config::Run(config) = config else { return Ok(Box::new(SummedPaths)) };
    if let Some(search) = config.update.differentiable() {
        return differentiable(config, &search, inputs, part, stage, net);
    }
    Ok(match &config.update {
        UpdateConfig::SummedPaths => Box::new(SummedPaths),
        UpdateConfig::Sumnas(config) => Box::new(Sumnas::new(*config)),
        UpdateConfig::Nsas(nsas) => {
            Box::new(Nsas::new(*nsas, part.clone()).with_cells(searched_cells(config.supernet.space)))
        }
        UpdateConfig::Close(close) => {
            let cell = config.supernet.space.cell().expect("a config is checked before anything is built");
            let mut rng = RngStream::RuleStart.stage_stream(config.seed, stage);
            Box::new(Close::new(close.clone(), cell, net.weights(), weights, &mut rng))
        }
        UpdateConfig::MagicAt(config) => Box::new(MagicAt::new(*config, part.clone())),
        _ => unreachable!("the other rules are differentiable searches"),
    })
}

/// Creates the rule of a differentiable search.
fn differentiable(
    config: &RunConfig,
    search: &DifferentiableSearch,
    inputs: &Inputs,
    part: &SubSpace,
    stage: usize,
    net: &dyn Lower,
) -> Result<Box<dyn TrainRule>, PadaError> {
    let images = |set: Dataset| SearchImages { images: DataLoader::new(set), augment: config.augment };
    let validation = inputs.validation.clone().map(images);
    let space = config.supernet.space()?;
    let rule = match &search.rule {
        SearchRule::Attention => return Ok(Box::new(AttentionSearch::new(space, part, net, validation)?)),
        SearchRule::Controller(rule) => return Ok(Box::new(Enas::new(*rule, space, part, validation)?)),
        SearchRule::Logits(rule) => *rule,
    };
    let costs = match (rule.cost, net.mixtures()) {
        (Some(_), Some(mixtures)) => Some(op_costs(mixtures, inputs, part)?),
        _ => None,
    };
    let takes_steps = matches!(rule.method, DifferentiableMethod::Zarts(_));
    let training = takes_steps.then(|| images(inputs.images.clone()));
    let mut rng = RngStream::RuleStart.stage_stream(config.seed, stage);
    let cells = searched_cells(config.supernet.space);
    let inputs = SearchInputs { validation, training, costs, cells };
    Ok(Box::new(Differentiable::new(rule, space, part, net, inputs, &mut rng)?))
}

/// Computes the multiply-adds of every operation of every mixture. In the spaces where this is asked for, those of an architecture are a sum
/// over its decisions.
fn op_costs(mixtures: &Mixtures, inputs: &Inputs, part: &SubSpace) -> Result<OpCosts, PadaError> {
    let network = &inputs.scoring.network;
    let base: Vec<u8> = part.allowed().iter().map(|ops| ops.first().copied().unwrap_or(0)).collect();
    let cost = |choices: &[u8]| network.cost(&Arch::new(choices.to_vec())).map(|cost| cost.macs as f64);
    let whole = cost(&base)?;
    let mut fixed = whole;
    let mut ops = vec![];
    for of in &mixtures.decisions {
        let own = |&op: &u8| {
            let mut choices = base.clone();
            choices[of.decision] = op;
            cost(&choices).map(|cost| cost - whole)
        };
        let relative = part.allowed()[of.decision].iter().map(own).collect::<Result<Vec<f64>, _>>()?;
        // The cheapest operation is part of the fixed cost.
        let least = relative.iter().copied().fold(f64::INFINITY, f64::min);
        fixed += least;
        ops.push(relative.into_iter().map(|cost| cost - least).collect());
    }
    Ok(OpCosts { fixed, ops })
}

fn data_sampler(config: &Config, images: usize) -> Result<Box<dyn DataSampler>, PadaError> {
    let n = images as u32;
    Ok(match config {
        Config::Run(RunConfig { images: ImagesConfig::Importance(config), .. }) => {
            Box::new(DataImportance::new(n, config.sampler())?)
        }
        Config::Run(_) | Config::Retrain(_) => Box::new(UniformData::new(n)?),
    })
}

/// The start of a run or of one of its stages.
pub(crate) struct Start {
    /// The part of the space that is trained.
    pub(crate) part: SubSpace,
    /// The initial weights. `None` initialises them from the seed.
    pub(crate) weights: Option<Vec<f32>>,
    /// Number of epochs.
    pub(crate) epochs: usize,
    /// The initial momentum. `None` means 0 for every weight.
    pub(crate) momentum: Option<Vec<f32>>,
    /// The part of the learning-rate schedule that the stage follows.
    pub(crate) schedule_span: ScheduleSpan,
    /// Index of the stage.
    pub(crate) stage: usize,
}

/// Creates the trainer of a stage, before its first step.
pub(crate) fn trainer(
    config: &Config,
    inputs: &Inputs,
    place: &Session,
    start: Start,
) -> Result<Trainer, PadaError> {
    let (images, space) = (inputs.images.clone(), inputs.scoring.network.space.as_ref());
    let Start { part, weights, epochs, momentum, schedule_span, stage } = start;
    let (shape, classes) = (image_shape(&images), images.classes());
    let net = build::trained(config, shape, classes)?;
    let new = || init_weights(net.weights(), &mut RngStream::Init.stage_stream(config.seed(), stage));
    let weights = weights.unwrap_or_else(new);
    let rule = rule(config, inputs, &part, stage, net.as_ref(), &weights)?;
    let image_score = match config {
        Config::Run(config) => config.images.score(),
        Config::Retrain(_) => ImageScore::default(),
    };
    let settings = TrainSettings::new(TrainConfig { epochs, ..config.train().clone() })
        .with_augment(*config.augment())
        .with_image_score(image_score)
        .with_seed(config.seed())
        .with_stage(stage)
        .with_schedule_span(schedule_span)
        .with_extension(match config.depends_on_epochs() {
            None => Extension::Allow,
            Some(reason) => Extension::Refuse(format!(
                "{reason}, so this run cannot continue with more epochs; {}",
                config.instead_of_extending()
            )),
        })
        .with_identity(config.identity());
    let cost = || -> Result<CostOf, ConfigError> {
        let alone = build::alone(config.network(), shape, classes)?;
        Ok(Box::new(move |arch| match alone.lower(arch) {
            Ok(graph) => Cost::of(&graph, alone.weights()).macs as f64,
            Err(_) => f64::INFINITY,
        }))
    };
    let mut executor = training_executor(config.compute(), place, net.as_ref(), weights)?;
    if let Some(momentum) = momentum {
        executor.write(State::Momentum, &momentum);
    }
    let parts = TrainerParts {
        executor,
        net,
        space: part.clone(),
        n_ops: space.n_ops().iter().copied().max().unwrap_or(0),
        rule,
        paths: path_sampler(config, inputs.own_paths.as_ref(), space, part, cost)?,
        data: data_sampler(config, images.len())?,
        images: DataLoader::new(images),
    };
    let recipe = config.stand_alone().map(StandAloneConfig::recipe).unwrap_or_default();
    Ok(Trainer::new(settings, parts)?.with_recipe(recipe).across(place.world.clone(), config.compute().norms))
}
