use std::path::{Path, PathBuf};

use anyhow::Context;

use super::runner::{Args, Todo};
use super::table::Which;
use super::{figure, table};

/// What shards were about, and where they lie.
#[derive(clap::Args)]
pub(crate) struct MergeArgs {
    /// Which table or figure.
    #[arg(value_enum)]
    what: What,
    /// The --out of a shard that had a disk of its own; may be repeated. Those that shared one need none.
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    #[command(flatten)]
    args: Args,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Table 1
    Table1,
    /// PA&DA taken apart
    Ablation,
    /// Gradient variance
    FigureGv,
}

/// Writes the table of all runs that are finished, and runs nothing.
pub(crate) fn run(merge: &MergeArgs) -> anyhow::Result<PathBuf> {
    let args = Args { todo: Todo::Leave, ..merge.args.clone() };
    let name = match merge.what {
        What::Table1 => "table1",
        What::Ablation => "ablation",
        What::FigureGv => "figure-gv",
    };
    let out = args.out_folder(name)?;
    for from in &merge.from {
        take_runs(from, &out)?;
    }
    match merge.what {
        What::Table1 => Ok(table::run(Which::Table1, &args)?.with_extension("md")),
        What::Ablation => Ok(table::run(Which::Ablation, &args)?.with_extension("md")),
        What::FigureGv => figure::run(&args),
    }
}

/// Copies the finished runs of a folder that are not there yet, without their checkpoints.
fn take_runs(from: &Path, out: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let run = entry?.path();
        let Some(name) = run.file_name().filter(|_| run.join("ranking.csv").is_file()) else { continue };
        let target = out.join(name);
        if target.exists() {
            eprintln!("{} is there already, that of {} is left out", target.display(), from.display());
            continue;
        }
        // Whole or not at all.
        let half = tempfile::tempdir_in(out)?;
        for file in std::fs::read_dir(&run)? {
            let file = file?.path();
            let kept = file.extension().is_none_or(|ending| ending != "safetensors");
            if let Some(name) = file.file_name().filter(|_| file.is_file() && kept) {
                std::fs::copy(&file, half.path().join(name)).with_context(|| file.display().to_string())?;
            }
        }
        std::fs::rename(half.keep(), &target).with_context(|| target.display().to_string())?;
    }
    Ok(())
}
