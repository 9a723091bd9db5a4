use std::path::PathBuf;

use anyhow::Context;
use pada::supernet::to_safetensors;
use pada::{PadaError, SupernetConfig};
use serde_json::json;

use super::SpaceArg;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A state dict of the released PyTorch code.
    #[arg(long, value_name = "FILE.pt")]
    from: PathBuf,
    /// Where to write.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Search space.
    #[arg(long, value_enum, default_value = "nb201")]
    space: SpaceArg,
    /// C, channels of the first stage.
    #[arg(long, default_value = "16")]
    channels: std::num::NonZeroUsize,
    /// N, cells per stage.
    #[arg(long, default_value = "5")]
    cells: std::num::NonZeroUsize,
    /// Classes.
    #[arg(long, default_value = "10")]
    classes: std::num::NonZeroUsize,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let supernet =
        SupernetConfig { space: args.space.into(), channels: args.channels.get(), cells: args.cells.get() };
    let layout = pada::weight_layout(&supernet, args.classes.get());
    let weights = pada::supernet::read_weights(&args.from, &layout).map_err(PadaError::from)?;
    pada::trainer::write_durably(&args.out, &to_safetensors(&layout, &weights))
        .map_err(PadaError::from)
        .with_context(|| format!("writing {}", args.out.display()))?;
    println!("{}: {} tensors, {} numbers", args.out.display(), layout.len(), layout.numel());
    if args.json {
        println!("{}", json!({"tensors": layout.len()}));
    }
    Ok(())
}
