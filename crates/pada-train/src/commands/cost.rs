use pada::data::{ImageSet, Normalize};
use pada::{Network, PadaError};
use serde_json::json;

use super::NetArgs;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The architecture: digits or the benchmark's string.
    #[arg(long, value_name = "TEXT", required_unless_present = "file", conflicts_with = "file")]
    arch: Option<String>,
    /// A file with one architecture a line.
    #[arg(long)]
    file: Option<std::path::PathBuf>,
    #[command(flatten)]
    net: NetArgs,
    /// Height and width of an image.
    #[arg(long, default_value = "32", value_name = "PIXELS")]
    size: std::num::NonZeroUsize,
    /// Classes.
    #[arg(long, default_value = "10")]
    classes: std::num::NonZeroUsize,
    /// Print one JSON object as the last line of stdout: of the architecture, or `costs`, a list of those of a file.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let network = Network::new(&args.net.config(), &no_images(args.size.get(), args.classes.get()));
    let space = network.space.as_ref();
    let archs = match (&args.arch, &args.file) {
        (Some(text), _) => vec![space.parse(text).map_err(PadaError::from)?],
        (None, Some(file)) => pada::read_archs(file, space)?,
        (None, None) => vec![],
    };
    let mut costs = Vec::new();
    for arch in &archs {
        let cost = network.cost(arch).map_err(PadaError::from)?;
        println!("{arch}: {} weights, {} MACs", cost.params, cost.macs);
        costs.push(json!({"arch": arch.to_string(), "params": cost.params, "macs": cost.macs}));
    }
    if args.json {
        match &args.file {
            Some(_) => println!("{}", json!({"costs": costs})),
            None => costs.iter().for_each(|cost| println!("{cost}")),
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
