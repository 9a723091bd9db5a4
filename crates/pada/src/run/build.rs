//! Construction of networks, executors and images from a config. Only this module names their concrete types.

use pada_data::{CIFAR10, CIFAR100, Dataset, Splits};
use pada_engine::Engine;
use pada_exec::{Executor, Precision};
use pada_graph::{Frozen, Lower, Shape, WeightLayout, WeightSpec};
use pada_models::{
    DartsModel, DartsNet, DartsSize, DartsTraining, DropPath, MacroNet, MixtureSettings, MobileModel,
    Nb201Net, Norms, ProxylessNet,
};
use pada_space::{Arch, Darts, DartsCells, SearchSpace, SubSpace};
use pada_trainer::Calibration;

use crate::config::{
    ComputeConfig, Config, ConfigError, ExecutorName, NormalizeDigits, PublishedNet, RankSplit,
    Recalibration, SkeletonName, StandAloneArch, StandAloneConfig, SupernetConfig, TrainPart,
};
use crate::config::{SpaceName, SupernetSize};
use crate::error::PadaError;
use crate::run::device;
use crate::run::device::Device;

/// Creates the supernet. In cell-based spaces its batch norms use batch statistics, in spaces of MobileNet blocks running statistics.
pub(crate) fn supernet(
    config: &SupernetConfig,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, ConfigError> {
    Ok(network(config.size()?, norms(config.space), input, classes))
}

/// Creates the stand-alone network of the size of the supernet, with the norms of a network that is trained from scratch.
pub(crate) fn alone(
    config: &SupernetConfig,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, ConfigError> {
    Ok(network(config.size()?, Norms::Affine, input, classes))
}

pub(crate) fn network(size: SupernetSize, norms: Norms, input: Shape, classes: usize) -> Box<dyn Lower> {
    match size {
        SupernetSize::Nb201 { channels, cells } => {
            Box::new(Nb201Net::new(channels, cells, input, classes, norms))
        }
        SupernetSize::Darts { channels, cells } => {
            let size = DartsSize { channels, layers: cells, input, classes, ..DartsSize::SEARCH };
            Box::new(DartsNet::new(size, norms))
        }
        SupernetSize::Proxyless(widths) => Box::new(ProxylessNet::new(&widths, input, classes, norms)),
        SupernetSize::Macro => Box::new(MacroNet::new(input, classes, norms)),
    }
}

/// Creates the network that a run trains.
pub(crate) fn trained(config: &Config, input: Shape, classes: usize) -> Result<Box<dyn Lower>, PadaError> {
    match config {
        Config::Retrain(config) if config.stand_alone().is_some() => {
            net_of(&config.network, config.stand_alone(), config.arch()?, input, classes)
        }
        Config::Run(run) => match run.update.differentiable().and_then(|search| search.mixtures) {
            None => Ok(supernet(config.network(), input, classes)?),
            Some(mixtures) => Ok(mixed_supernet(config.network(), mixtures, input, classes)?),
        },
        Config::Retrain(_) => Ok(supernet(config.network(), input, classes)?),
    }
}

/// Creates the supernet of a differentiable search, whose decisions are mixtures of operations.
fn mixed_supernet(
    config: &SupernetConfig,
    mixtures: MixtureSettings,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, ConfigError> {
    let norms = norms(config.space);
    Ok(match config.size()? {
        SupernetSize::Nb201 { channels, cells } => {
            Box::new(Nb201Net::with_mixtures(channels, cells, input, classes, norms, mixtures))
        }
        SupernetSize::Darts { channels, cells } => {
            let size = DartsSize { channels, layers: cells, input, classes, ..DartsSize::SEARCH };
            Box::new(DartsNet::with_mixtures(size, norms, mixtures))
        }
        SupernetSize::Proxyless(widths) => {
            Box::new(ProxylessNet::with_mixtures(&widths, input, classes, norms))
        }
        SupernetSize::Macro => Box::new(MacroNet::with_mixtures(input, classes, norms)),
    })
}

fn norms(space: SpaceName) -> Norms {
    if space.recalibrates() { Norms::Running } else { Norms::Plain }
}

/// Creates the network that an architecture is trained as: the supernet, or a stand-alone network. `arch` is any text form of the
/// architecture.
pub(crate) fn net_of(
    config: &SupernetConfig,
    alone: Option<&StandAloneConfig>,
    arch: &str,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, PadaError> {
    match alone {
        None => Ok(supernet(config, input, classes)?),
        Some(alone) => stand_alone_net(config, alone, arch, input, classes),
    }
}

/// Creates the executor for a network on a device.
///
/// # Errors
/// Returns [`PadaError::Device`] if the device does not support the executor or the network, and [`PadaError::CandleNotBuilt`] if the candle
/// executor is not part of this build.
pub(crate) fn executor(
    compute: ComputeConfig,
    device: Device,
    net: &dyn Lower,
    weights: Vec<f32>,
) -> Result<Box<dyn Executor>, PadaError> {
    let layout = net.weights().clone();
    let ComputeConfig { executor, precision, convolution, .. } = compute;
    Ok(match (executor, device) {
        (ExecutorName::Engine, Device::Cpu) => {
            Box::new(Engine::new(layout, weights, precision).with_convolution(convolution))
        }
        (ExecutorName::Engine, Device::Cuda(ordinal)) => {
            device::engine(ordinal, layout, &weights, precision)?
        }
        (ExecutorName::Candle, _) => return candle(device, layout, weights, precision),
    })
}

#[cfg(feature = "candle")]
fn candle(
    device: Device,
    layout: WeightLayout,
    weights: Vec<f32>,
    precision: Precision,
) -> Result<Box<dyn Executor>, PadaError> {
    use pada_candle::CandleExecutor;

    Ok(match device {
        Device::Cpu => Box::new(CandleExecutor::new(layout, weights, precision)),
        Device::Cuda(ordinal) => {
            let executor = CandleExecutor::on_gpu(ordinal, layout, weights, precision);
            Box::new(executor.map_err(|error| device::refused(ordinal, &error))?)
        }
    })
}

#[cfg(not(feature = "candle"))]
fn candle(_: Device, _: WeightLayout, _: Vec<f32>, _: Precision) -> Result<Box<dyn Executor>, PadaError> {
    Err(PadaError::CandleNotBuilt)
}

/// Returns true if a cell of an architecture has a way from its input to its output along operations other than `none`.
pub(crate) fn is_connected(space: &dyn SearchSpace, arch: &Arch) -> bool {
    space.active(arch).is_ok_and(|active| active.contains(&true))
}

/// Returns true if gradient matching compares the gradients of a weight.
///
/// # Source
/// `get_split_gradients` in <https://github.com/skhu101/GM-NAS>: on NAS-Bench-201 (`WS-GM/nasbench201/search_model_ws.py`) the weights of all
/// cells, among which are the two residual blocks; in the DARTS space (`WS-GM/sota/cnn/model_search_ws.py`) those of the operations of the
/// cells. For ProxylessNAS and NAS-Bench-Macro this is unverified, and the operations are compared.
pub(crate) fn is_matched(space: SpaceName, weight: &WeightSpec) -> bool {
    match space {
        SpaceName::Nb201 => weight.name.starts_with("cells."),
        _ => weight.owner.is_some(),
    }
}

/// Returns the part of the space that a run trains.
pub(crate) fn part(config: &SupernetConfig, space: &dyn SearchSpace) -> Result<SubSpace, PadaError> {
    match config.ops.as_slice() {
        [] => Ok(SubSpace::full(space)),
        ops => Ok(SubSpace::with_ops(space, ops)?),
    }
}

/// Returns the images that may be trained on.
pub(crate) fn trainable(part: TrainPart, splits: &Splits) -> Result<Dataset, ConfigError> {
    Ok(match part {
        TrainPart::All => splits.train.clone(),
        TrainPart::Half => splits.halves().0,
        TrainPart::NasBench201 => nas_bench_201(splits)?.0,
    })
}

/// Splits the training images of CIFAR-10 as NAS-Bench-201 does.
fn nas_bench_201(splits: &Splits) -> Result<(Dataset, Dataset), ConfigError> {
    let other = || {
        let value = format!("nas-bench-201, but the images are those of {}", splits.train.name());
        ConfigError::Range { key: "data.train", value, range: "all or half unless the data set is cifar10" }
    };
    splits.nas_bench_201().ok_or_else(other)
}

/// Normalises images with the digits of a config.
pub(crate) fn normalised(digits: NormalizeDigits, splits: Splits) -> Result<Splits, ConfigError> {
    if digits == NormalizeDigits::Usual {
        return Ok(splits);
    }
    let name = splits.train.name();
    let set = [CIFAR10, CIFAR100].into_iter().find(|cifar| name.split(' ').next() == Some(cifar.name));
    let other = || {
        let value = format!("released, but the images are those of {name}");
        let range = "usual unless the data set is cifar10 or cifar100";
        ConfigError::Range { key: "data.normalize", value, range }
    };
    let normalize = set.ok_or_else(other)?.released;
    let Splits { train, test } = splits;
    Ok(Splits { train: train.with_normalize(normalize), test: test.with_normalize(normalize) })
}

/// Chooses the images from which running statistics are recomputed, from the images that may be trained on: as many as the config asks for, or
/// all of them if there are fewer.
pub(crate) fn calibration(
    config: Option<Recalibration>,
    trainable: &Dataset,
) -> Result<Option<Calibration>, PadaError> {
    let Some(of) = config else { return Ok(None) };
    Ok(Some(Calibration::new(trainable, of.images.min(trainable.len()), of.batch)?.with_mean(of.mean())))
}

/// Returns the images that a run trains on: the first `n` images that may be trained on, or all of them.
pub(crate) fn train_images(n: Option<usize>, trainable: Dataset) -> Result<Dataset, ConfigError> {
    let Some(n) = n else { return Ok(trainable) };
    within("data.train_images", n, &trainable)?;
    Ok(trainable.first(n))
}

/// Returns the images that architectures are scored on.
pub(crate) fn rank_images(
    split: RankSplit,
    part: TrainPart,
    splits: &Splits,
) -> Result<Dataset, ConfigError> {
    let name = splits.train.name();
    Ok(match (split, part) {
        (RankSplit::Test, _) => splits.test.clone(),
        (RankSplit::Valid, TrainPart::NasBench201) => {
            nas_bench_201(splits)?.1.with_name(format!("{name}, validation images of NAS-Bench-201"))
        }
        (RankSplit::Valid, _) => splits.halves().1.with_name(format!("{name}, validation half")),
    })
}

/// Returns an error if `n` is larger than the number of images.
pub(crate) fn within(key: &'static str, n: usize, images: &Dataset) -> Result<(), ConfigError> {
    let value = format!("{n}, but {} has {} images", images.name(), images.len());
    let range = "at most this number";
    if n <= images.len() { Ok(()) } else { Err(ConfigError::Range { key, value, range }) }
}

/// Height and width of images for which the auxiliary classifier has its input of 8×8 pixels, or for ImageNet of 7×7 pixels.
const AUXILIARY_IMAGE: [usize; 2] = [32, 224];

/// Creates a stand-alone network: only the weights of the architecture, and batch norms with running statistics. For DARTS it has drop path
/// and the auxiliary classifier if the recipe uses them.
fn stand_alone_net(
    supernet: &SupernetConfig,
    alone: &StandAloneConfig,
    arch: &str,
    input: Shape,
    classes: usize,
) -> Result<Box<dyn Lower>, PadaError> {
    let size = supernet.size()?;
    let arch = StandAloneArch::read(supernet, arch)?;
    let SupernetSize::Darts { channels, cells } = size else {
        return Ok(match arch {
            StandAloneArch::Searched(arch) => {
                Box::new(Frozen::new(network(size, Norms::Running, input, classes).as_ref(), &arch)?)
            }
            StandAloneArch::Published(net) => match *net {
                PublishedNet::Mobile(spec) => Box::new(MobileModel::new(&spec, input, classes)),
                PublishedNet::Darts(_) => unreachable!("only the space darts has networks of DARTS cells"),
            },
        });
    };
    let cells_of = match arch {
        StandAloneArch::Searched(arch) => DartsCells::Genotype(Darts::genotype(&arch)?),
        StandAloneArch::Published(net) => match *net {
            PublishedNet::Darts(cells) => cells,
            PublishedNet::Mobile(_) => {
                unreachable!("only the space proxyless has networks of MobileNet blocks")
            }
        },
    };
    let skeleton = alone.skeleton.unwrap_or_default();
    let (pixels, range) = match skeleton {
        SkeletonName::Cifar => (
            AUXILIARY_IMAGE[0],
            "left out unless the images have 32×32 pixels, because the auxiliary classifier needs an input of 8×8 pixels",
        ),
        SkeletonName::ImageNet => (
            AUXILIARY_IMAGE[1],
            "left out unless the images have 224×224 pixels, because the auxiliary classifier needs an input of 7×7 pixels",
        ),
    };
    if let Some(share) = alone.auxiliary.filter(|_| (input.height, input.width) != (pixels, pixels)) {
        return Err(ConfigError::Range { key: "retrain.auxiliary", value: share.to_string(), range }.into());
    }
    let training = DartsTraining {
        auxiliary: alone.auxiliary.map(|share| share as f32),
        drop_path: if alone.drop_path.is_some() { DropPath::Edges } else { DropPath::None },
    };
    let size = DartsSize { channels, layers: cells, input, classes, skeleton: skeleton.into() };
    let model = DartsModel::of_cells(&cells_of, size, training);
    // Images that do not fit the strides are an error before any work.
    model.graph()?;
    Ok(Box::new(model))
}
