use std::path::PathBuf;

use pada::PadaError;
use pada::data::{export_images, open};
use serde_json::json;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Write the images of a data set as PNG files in ImageNet's layout: train/CLASS/00042.png and val/CLASS/00007.png.
    ///
    /// Example: pada data export mini images
    Export(Export),
}

#[derive(clap::Args)]
struct Export {
    /// Data set: mini, cifar10, cifar100, or a folder with the official binary files.
    #[arg(value_name = "NAME")]
    source: String,
    /// Folder to create.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let Command::Export(Export { source, folder, json }) = &args.command;
    let splits = open(source, &super::data_dir(), None).map_err(PadaError::from)?;
    let files = export_images(&splits, folder).map_err(PadaError::from)?;
    say!("{files} images in {}", folder.display());
    if *json {
        say!("{}", json!({"folder": folder, "images": files}));
    }
    Ok(())
}
