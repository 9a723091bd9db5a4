use pada::data::{ImageSet, Normalize};
use pada::{Network, PadaError, SupernetConfig};
use serde_json::json;

use super::SpaceArg;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space.
    #[arg(long, value_enum, default_value = "nb201")]
    space: SpaceArg,
    /// The architecture: digits or the benchmark's string.
    #[arg(long, value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    arch: Option<String>,
    /// A file with one architecture a line.
    #[arg(long)]
    file: Option<std::path::PathBuf>,
    /// C, channels of the first stage.
    #[arg(long, default_value = "16")]
    channels: std::num::NonZeroUsize,
    /// N, cells per stage.
    #[arg(long, default_value = "5")]
    cells: std::num::NonZeroUsize,
    /// Height and width of an image.
    #[arg(long, default_value = "32", value_name = "PIXELS")]
    size: std::num::NonZeroUsize,
    /// Classes.
    #[arg(long, default_value = "10")]
    classes: std::num::NonZeroUsize,
    /// Print one JSON object per architecture.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let supernet =
        SupernetConfig { space: args.space.into(), channels: args.channels.get(), cells: args.cells.get() };
    let network = Network::new(&supernet, &no_images(args.size.get(), args.classes.get()));
    let space = network.space.as_ref();
    let archs = match (&args.arch, &args.file) {
        (Some(text), _) => vec![space.parse(text).map_err(PadaError::from)?],
        (None, Some(file)) => pada::read_archs(file, space)?,
        (None, None) => vec![],
    };
    for arch in &archs {
        let cost = network.cost(arch).map_err(PadaError::from)?;
        if args.json {
            let arch = arch.to_string();
            println!("{}", json!({"arch": arch, "params": cost.params, "macs": cost.macs}));
        } else {
            println!("{arch}: {} weights, {} MACs", cost.params, cost.macs);
        }
    }
    Ok(())
}

/// The shape of images, without any.
fn no_images(size: usize, classes: usize) -> ImageSet {
    ImageSet {
        name: String::new(),
        channels: 3,
        height: size,
        width: size,
        classes,
        pixels: vec![],
        labels: vec![],
        normalize: Normalize { mean: [0.0; 3], std: [1.0; 3] },
    }
}
