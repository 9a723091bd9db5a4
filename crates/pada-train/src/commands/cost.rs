use std::num::NonZeroUsize;

use pada::graph::Cost;
use pada::{ConfigError, NetSize, PadaError, ReadArch, SkeletonName, SpaceName, StandAloneNet};
use serde_json::json;

use super::Encoding;
use super::archs::Archs;

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
    let encoding = args.encoding.of(args.space).map_err(PadaError::from)?;
    let archs = args.archs.read(args.space, encoding)?;
    let cost = |arch: &ReadArch| Ok((arch.name().to_owned(), net.cost_of_read(arch)?));
    let costs: Vec<(String, Cost)> = archs.iter().map(cost).collect::<Result<_, PadaError>>()?;
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
