use std::path::{Path, PathBuf};

use anyhow::Context;

use super::runner::Plan;
use super::table::Which;
use super::{figure, table};
use crate::usage::usage;

/// What shards were about, and where they lie.
#[derive(clap::Args)]
pub(crate) struct MergeArgs {
    /// Which table or figure.
    #[arg(value_enum)]
    what: What,
    /// The --out of a shard that had a disk of its own; may be repeated. Those that shared one need none.
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// The plan of the shards: give what they were given.
    #[command(flatten)]
    plan: Plan,
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
    let name = match merge.what {
        What::Table1 => "table1",
        What::Ablation => "ablation",
        What::FigureGv => "figure-gv",
    };
    let out = merge.plan.out_folder(name)?;
    for from in &merge.from {
        take_runs(from, &out)?;
    }
    match merge.what {
        What::Table1 => Ok(table::run(Which::Table1, &merge.plan, None)?.with_extension("md")),
        What::Ablation => Ok(table::run(Which::Ablation, &merge.plan, None)?.with_extension("md")),
        What::FigureGv => figure::run(&merge.plan, None),
    }
}

/// Copies the finished runs of a folder that are not there yet, without their checkpoints.
fn take_runs(from: &Path, out: &Path) -> anyhow::Result<()> {
    for entry in
        std::fs::read_dir(from).map_err(|error| usage(format!("--from {}: {error}", from.display())))?
    {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of a shard with one run: its files with what they hold.
    fn shard(folder: &Path, run: &str, files: &[(&str, &str)]) -> PathBuf {
        let run = folder.join(run);
        std::fs::create_dir_all(&run).unwrap();
        for (name, content) in files {
            std::fs::write(run.join(name), content).unwrap();
        }
        folder.to_owned()
    }

    fn read(path: &Path) -> Option<String> {
        std::fs::read_to_string(path).ok()
    }

    #[test]
    fn finished_runs_of_shards_come_together_whole_and_without_checkpoints() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second, out] = ["first", "second", "out"].map(|name| folder.path().join(name));
        std::fs::create_dir(&out).unwrap();
        let files = |scores| [("config.toml", "c"), ("ranking.csv", scores), ("epoch-0001.safetensors", "w")];
        shard(&first, "spos-s0", &files("of spos"));
        shard(&second, "pada-s0", &files("of pada"));
        // Not finished, and no run at all.
        shard(&second, "close-s0", &[("config.toml", "c"), ("epoch-0001.safetensors", "w")]);
        std::fs::write(second.join("notes.txt"), "mine").unwrap();
        for from in [&first, &second] {
            take_runs(from, &out).unwrap();
        }
        for (run, scores) in [("spos-s0", "of spos"), ("pada-s0", "of pada")] {
            assert_eq!(read(&out.join(run).join("ranking.csv")).as_deref(), Some(scores));
            assert_eq!(read(&out.join(run).join("config.toml")).as_deref(), Some("c"));
            assert!(!out.join(run).join("epoch-0001.safetensors").exists());
        }
        let left: Vec<_> = out.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_run_that_is_there_already_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let [from, out] = ["from", "out"].map(|name| folder.path().join(name));
        shard(&from, "spos-s0", &[("ranking.csv", "theirs"), ("report.html", "theirs")]);
        shard(&out, "spos-s0", &[("ranking.csv", "ours")]);
        take_runs(&from, &out).unwrap();
        assert_eq!(read(&out.join("spos-s0/ranking.csv")).as_deref(), Some("ours"));
        assert_eq!(read(&out.join("spos-s0/report.html")), None);
    }

    #[test]
    fn a_shard_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = take_runs(&folder.path().join("shard-7"), folder.path()).unwrap_err();
        assert!(format!("{error:#}").contains("shard-7"), "{error:#}");
    }
}
