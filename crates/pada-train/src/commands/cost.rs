use std::num::NonZeroUsize;
use std::path::PathBuf;

use pada::graph::Cost;
use pada::{ConfigError, NetSize, PadaError, SkeletonName, SpaceName, StandAloneNet};
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

impl Args {
    fn net(&self) -> Result<StandAloneNet, ConfigError> {
        let count = |given: Option<NonZeroUsize>| given.map(NonZeroUsize::get);
        let size = NetSize {
            skeleton: self.skeleton,
            channels: count(self.channels),
            cells: count(self.cells),
            image_size: count(self.size),
            classes: count(self.classes),
        };
        StandAloneNet::of_size(self.space, &size)
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
