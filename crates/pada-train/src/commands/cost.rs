use std::num::NonZeroUsize;
use std::path::PathBuf;

use pada::graph::{Cost, Shape};
use pada::models::{DartsSize, DartsSkeleton};
use pada::{ConfigError, PadaError, SkeletonName, SpaceName, StandAloneNet};
use serde_json::json;

use super::Encoding;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space.
    #[arg(long, value_enum, default_value = "nb201")]
    space: SpaceName,
    #[command(flatten)]
    archs: Archs,
    /// Numbering of edges and operations in digits of nb201.
    #[arg(long, value_enum, default_value = "benchmark")]
    encoding: Encoding,
    /// The layers before the cells of a darts network; cifar if not given.
    #[arg(long, value_enum)]
    skeleton: Option<SkeletonName>,
    /// Channels C of the first stage; 16 in nb201, 36 in darts and 48 with the skeleton for ImageNet if not given.
    #[arg(long, value_name = "C")]
    channels: Option<NonZeroUsize>,
    /// Number of cells: per stage in nb201 (5 if not given), in total in darts (20, or 14 with the skeleton for
    /// ImageNet, if not given).
    #[arg(long, value_name = "N")]
    cells: Option<NonZeroUsize>,
    /// Height and width of an image; 224 in proxyless and for ImageNet, and 32 otherwise if not given.
    #[arg(long, value_name = "PIXELS")]
    size: Option<NonZeroUsize>,
    /// Number of classes; 1,000 in proxyless and for ImageNet, and 10 otherwise if not given.
    #[arg(long, value_name = "K")]
    classes: Option<NonZeroUsize>,
    /// Print one JSON object as the last line of stdout: the cost of the architecture, or with --file the list `costs`.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Archs {
    /// The architecture in any text form of its space.
    #[arg(long, value_name = "TEXT")]
    arch: Option<String>,
    /// The name of a published architecture of darts or proxyless.
    #[arg(long, value_name = "NAME")]
    genotype: Option<String>,
    /// A file with one architecture per line, or a table with the column arch.
    #[arg(long)]
    file: Option<PathBuf>,
}

// Limits that keep the counts from overflowing.
const MOST_CHANNELS: usize = 4096;
const MOST_CELLS: usize = 1000;

impl Args {
    fn net(&self) -> Result<StandAloneNet, ConfigError> {
        let sizes = [("--channels", self.channels, MOST_CHANNELS), ("--cells", self.cells, MOST_CELLS)];
        for (key, value, most) in sizes {
            let Some(value) = value else { continue };
            let range = match self.space {
                SpaceName::Proxyless | SpaceName::Macro => "left out: the network of this space has one size",
                SpaceName::Nb201 | SpaceName::Darts if value.get() > most => {
                    "at most 4,096 channels and 1,000 cells"
                }
                SpaceName::Nb201 | SpaceName::Darts => continue,
            };
            return Err(ConfigError::Range { key, value: value.to_string(), range });
        }
        let refused = self.skeleton.filter(|_| !matches!(self.space, SpaceName::Darts));
        if let Some(skeleton) = refused.and_then(|skeleton| clap::ValueEnum::to_possible_value(&skeleton)) {
            let value = skeleton.get_name().to_owned();
            let range = "left out: only networks of darts have a choice of stems";
            return Err(ConfigError::Range { key: "--skeleton", value, range });
        }
        let usual = match self.skeleton {
            Some(SkeletonName::ImageNet) => DartsSize::IMAGENET,
            Some(SkeletonName::Cifar) | None => DartsSize::CIFAR,
        };
        let or = |given: Option<NonZeroUsize>, usual| given.map_or(usual, NonZeroUsize::get);
        let (size, classes) = match self.space {
            SpaceName::Proxyless => (224, 1000),
            SpaceName::Darts => (usual.input.height, usual.classes),
            SpaceName::Nb201 | SpaceName::Macro => (32, 10),
        };
        let (size, classes) = (or(self.size, size), or(self.classes, classes));
        let input = Shape::new(3, size, size);
        Ok(match self.space {
            SpaceName::Nb201 => {
                let (channels, cells) = (or(self.channels, 16), or(self.cells, 5));
                StandAloneNet::Nb201 { channels, cells, input, classes }
            }
            SpaceName::Darts => {
                let (channels, layers) = (or(self.channels, usual.channels), or(self.cells, usual.layers));
                let skeleton: DartsSkeleton = usual.skeleton;
                StandAloneNet::Darts(DartsSize { channels, layers, input, classes, skeleton })
            }
            SpaceName::Proxyless => StandAloneNet::Proxyless { input, classes },
            SpaceName::Macro => StandAloneNet::Macro { input, classes },
        })
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let net = args.net().map_err(PadaError::from)?;
    let (archs, encoding) = (&args.archs, args.encoding.of(args.space).map_err(PadaError::from)?);
    let costs = match (&archs.arch, &archs.genotype, &archs.file) {
        (Some(text), _, _) => vec![net.cost_of(text, encoding)?],
        (_, Some(name), _) => vec![(name.clone(), net.cost(net.named(name)?.text)?.1)],
        (_, _, Some(file)) => net.costs(file, encoding)?,
        (None, None, None) => vec![],
    };
    for (arch, cost) in &costs {
        say!("{arch}: {} parameters, {} MACs", cost.params, cost.macs);
    }
    let json =
        |(arch, cost): &(String, Cost)| json!({"arch": arch, "params": cost.params, "macs": cost.macs});
    let costs: Vec<_> = costs.iter().map(json).collect();
    if args.json {
        match &args.archs.file {
            Some(_) => say!("{}", json!({"costs": costs})),
            None => {
                for cost in &costs {
                    say!("{cost}");
                }
            }
        }
    }
    Ok(())
}
