use std::path::PathBuf;

use pada::models::{read_weights, read_weights_under, to_safetensors};
use pada::{PadaError, check_output};
use serde_json::json;

use super::NetArgs;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A PyTorch file with a state dict of the released code: the file itself, or under any key.
    #[arg(long, value_name = "FILE.pt")]
    from: PathBuf,
    /// Key of the state dict in the file, for example `state_dict`, or `model.ema` for a dict in a dict; the state dict that fits the network
    /// best if not given.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Output file.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    net: NetArgs,
    /// Number of classes.
    #[arg(long, default_value = "10")]
    classes: std::num::NonZeroUsize,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    check_output(&args.out, &["safetensors"], &[&args.from])?;
    let layout = pada::weight_layout(&args.net.config(), args.classes.get()).map_err(PadaError::from)?;
    let weights = match &args.key {
        Some(key) => read_weights_under(&args.from, &layout, key),
        None => read_weights(&args.from, &layout),
    };
    let weights = weights.map_err(PadaError::from)?;
    pada::write_file(&args.out, &to_safetensors(&layout, &weights, None))?;
    say!("{}: {} tensors, {} numbers", args.out.display(), layout.len(), layout.numel());
    if args.json {
        say!("{}", json!({"tensors": layout.len()}));
    }
    Ok(())
}
