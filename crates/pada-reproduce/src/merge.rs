use std::path::Path;

use crate::networks::SearchRecord;
use crate::{Event, ReproduceError};

/// Copies the finished runs and searches of a folder without checkpoints. Runs that `out` already contains are skipped.
pub(crate) fn copy_runs(from: &Path, out: &Path, events: &dyn Fn(Event<'_>)) -> Result<(), ReproduceError> {
    let entries = std::fs::read_dir(from)
        .map_err(|error| ReproduceError::Usage(format!("--from {}: {error}", from.display())))?;
    for entry in entries {
        let run = entry.map_err(ReproduceError::io(from))?.path();
        let finished = run.join("ranking.csv").is_file() || SearchRecord::is_finished(&run);
        let Some(name) = run.file_name().filter(|_| finished) else { continue };
        let target = out.join(name);
        if target.exists() {
            events(Event::LeftOut { kept: &target, from });
            continue;
        }
        // The rename makes the copy atomic.
        let half = tempfile::tempdir_in(out).map_err(ReproduceError::io(out))?;
        for file in std::fs::read_dir(&run).map_err(ReproduceError::io(&run))? {
            let file = file.map_err(ReproduceError::io(&run))?.path();
            let kept = file.extension().is_none_or(|ending| ending != "safetensors");
            if let Some(name) = file.file_name().filter(|_| file.is_file() && kept) {
                std::fs::copy(&file, half.path().join(name)).map_err(ReproduceError::io(&file))?;
            }
        }
        std::fs::rename(half.keep(), &target).map_err(ReproduceError::io(&target))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Creates the folder of a shard with one run from file names and contents.
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
            copy_runs(from, &out, &|_| {}).unwrap();
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
        copy_runs(&from, &out, &|_| {}).unwrap();
        assert_eq!(read(&out.join("spos-s0/ranking.csv")).as_deref(), Some("ours"));
        assert_eq!(read(&out.join("spos-s0/report.html")), None);
    }

    #[test]
    fn a_shard_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = copy_runs(&folder.path().join("shard-7"), folder.path(), &|_| {}).unwrap_err();
        assert!(format!("{error:#}").contains("shard-7"), "{error:#}");
    }
}
