use std::path::{Path, PathBuf};

use pada::report::{ArchPicture, svg_of};
use pada::{Existing, PadaError, SpaceName, check_new_file, check_output, write_file};
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
    /// Output file; stdout if not given.
    #[arg(long, value_name = "FILE.svg")]
    out: Option<PathBuf>,
    /// Replace an existing file.
    #[arg(long)]
    overwrite: bool,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        let inputs: Vec<&Path> = args.archs.file.iter().map(PathBuf::as_path).collect();
        check_output(out, &["svg"], &inputs)?;
        check_new_file(out, if args.overwrite { Existing::Replace } else { Existing::Refuse })?;
    }
    let encoding = args.encoding.of(args.space).map_err(PadaError::from)?;
    let archs = args.archs.read(args.space, encoding)?;
    let pictures: Vec<ArchPicture> =
        archs.iter().map(pada::ReadArch::picture).collect::<Result<_, PadaError>>()?;
    let svg = svg_of(&pictures);
    match &args.out {
        Some(out) => {
            write_file(out, svg.as_bytes())?;
            say!("{}", out.display());
        }
        None => say!("{svg}"),
    }
    if args.json {
        let archs: Vec<&str> = archs.iter().map(pada::ReadArch::name).collect();
        say!("{}", json!({"file": args.out, "archs": archs}));
    }
    Ok(())
}
