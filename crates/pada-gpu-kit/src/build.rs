//! Builds a kit: its files and their sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::{kernels, manifest, parts, programs};
use xtask::{git, paths, usage};

/// Upper limit for the total size of a kit in bytes.
const LARGEST_KIT: u64 = 60_000_000;
/// Golden files that are larger are skipped.
const LARGEST_GOLDEN: u64 = 8_000_000;
/// Number of paths of a benchmark.
const PATHS: usize = 48;
/// Search spaces of the benchmarks.
const SPACES: [&str; 3] = ["nb201", "darts", "proxyless"];
/// PyTorch's side of the benchmark.
const PEER_DEVICE: &str = "crates/pada-bench/src/peer_device.py";
/// The networks that it times.
const PEER_NETWORKS: [&str; 3] = ["nb201_torch.py", "darts_torch.py", "mbconv_torch.py"];
/// Configs that `run.sh full` trains.
const CONFIGS: [&str; 4] = [
    "configs/nb201/short.toml",
    "configs/nb201/pada.toml",
    "configs/nb201/base.toml",
    "configs/nb201/archs400.txt",
];
/// Files that are the same in every kit.
pub(super) const FILES: [(&str, &str); 4] = [
    ("run.sh", include_str!("kit/run.sh")),
    ("checks.py", include_str!("kit/checks.py")),
    ("restore.py", include_str!("kit/restore.py")),
    ("README.md", include_str!("kit/README.md")),
];
/// Files and folders of a kit. Other files in its folder, such as data, runs and results, are kept.
pub(super) const PARTS: [&str; 13] = [
    "bin",
    "checks.py",
    "configs",
    "golden",
    "kernels",
    "kernels.md",
    "parts.txt",
    "paths",
    "peer",
    "README.md",
    "restore.py",
    "run.sh",
    "tests.txt",
];

/// Settings of a kit.
pub(super) struct Plan {
    /// The folder of the kit.
    pub(super) out: PathBuf,
    /// The folder of the PyTorch networks, if the user gave one.
    pub(super) peer: Option<PathBuf>,
    /// GPUs that kernels are compiled for.
    pub(super) targets: &'static [&'static str],
    pub(super) candle: Candle,
}

/// Selects whether a kit contains a build of the program with the candle executor on GPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Candle {
    Included,
    LeftOut,
}

/// Builds a kit and returns its total size in bytes.
pub(super) fn run(plan: &Plan) -> anyhow::Result<u64> {
    let kit = &plan.out;
    std::fs::create_dir_all(kit).with_context(|| kit.display().to_string())?;
    clear(kit)?;
    programs::build(&kit.join("bin"), plan.candle)?;
    for (name, text) in FILES {
        write(&kit.join(name), text.as_bytes())?;
    }
    make_executable(&kit.join("run.sh"))?;
    write(&kit.join("parts.txt"), parts::list().as_bytes())?;
    let tests = programs::TESTS.iter().map(|test| format!("{} {}\n", test.target, test.filters.join(" ")));
    write(&kit.join("tests.txt"), tests.collect::<String>().as_bytes())?;
    for config in CONFIGS {
        copy(&paths::root()?.join(config), &kit.join(config))?;
    }
    write_paths(&kit.join("paths"))?;
    copy_golden(&kit.join("golden"))?;
    copy_peer(&kit.join("peer"), plan.peer.as_deref())?;
    match kernels::compile(&kit.join("kernels"), plan.targets) {
        Ok(table) => write(&kit.join("kernels.md"), table.as_bytes())?,
        Err(error) => {
            eprintln!("gpu-kit: NO COMPILED KERNELS, the GPU's machine must have NVRTC: {error:#}");
        }
    }
    let size = manifest::write(kit, &PARTS, git::commit().as_deref())?;
    ensure!(size < LARGEST_KIT, "{} has {size} bytes, the limit is {LARGEST_KIT}", kit.display());
    Ok(size)
}

/// Removes the files of an earlier build. The list of files is removed first, because a kit without it counts as incomplete.
fn clear(kit: &Path) -> anyhow::Result<()> {
    for part in [manifest::NAME].iter().chain(&PARTS) {
        let path = kit.join(part);
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| path.display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes the paths that both sides of a benchmark use.
fn write_paths(folder: &Path) -> anyhow::Result<()> {
    let script = paths::root()?.join(PEER_DEVICE);
    for space in SPACES {
        let mut command = Command::new("python3");
        command.arg(&script).args(["--print-paths", "--space", space, "--steps", &PATHS.to_string()]);
        let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().context("python3")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{command:?}: {}\n{said}", output.status);
        let paths: Vec<serde_json::Value> =
            serde_json::from_slice(&output.stdout).with_context(|| format!("what {command:?} prints"))?;
        ensure!(paths.len() == PATHS, "{command:?} printed {} paths and not {PATHS}", paths.len());
        write(&folder.join(format!("{space}.json")), &output.stdout)?;
    }
    Ok(())
}

fn copy_golden(folder: &Path) -> anyhow::Result<()> {
    let root = paths::root()?;
    let from = match std::env::var_os("PADA_GOLDEN") {
        Some(named) => root.join(named),
        None => paths::shared()?.join("peer/golden"),
    };
    let Ok(entries) = std::fs::read_dir(&from) else {
        eprintln!("gpu-kit: NO GOLDEN FILES in {}: tests against PyTorch's values will skip", from.display());
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().context("a file has a name")?;
        let size = path.metadata()?.len();
        if !path.is_file() {
            continue;
        }
        if size > LARGEST_GOLDEN {
            eprintln!("gpu-kit: {} is skipped, because it has {size} bytes", path.display());
            continue;
        }
        copy(&path, &folder.join(name))?;
    }
    Ok(())
}

fn copy_peer(folder: &Path, named: Option<&Path>) -> anyhow::Result<()> {
    let default = paths::shared()?.join("peer");
    let from = named.unwrap_or(&default);
    let missing = PEER_NETWORKS.iter().find(|name| !from.join(name).is_file());
    match (missing, named) {
        (None, _) => {}
        (Some(name), Some(_)) => {
            bail!(usage::usage(format!("--peer {}: it does not contain {name}", from.display())))
        }
        (Some(name), None) => {
            eprintln!(
                "gpu-kit: NO PYTORCH SIDE, {} does not contain {name}; name its folder with --peer",
                from.display()
            );
            return Ok(());
        }
    }
    for name in PEER_NETWORKS {
        copy(&from.join(name), &folder.join(name))?;
    }
    copy(&paths::root()?.join(PEER_DEVICE), &folder.join("peer_device.py"))
}

/// Copies a file, makes the copy readable for everyone, and creates its folder.
pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    write(to, &std::fs::read(from).with_context(|| from.display().to_string())?)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().context("a file is in a folder")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

#[cfg(unix)]
fn make_executable(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_new_build_leaves_alone_what_is_not_of_the_kit() {
        let kit = tempfile::tempdir().unwrap();
        for name in
            ["bin/pada", "run.sh", "MANIFEST", "runs/nb201-pada/config.toml", "data/cifar10/test_batch.bin"]
        {
            write(&kit.path().join(name), b"text").unwrap();
        }
        clear(kit.path()).unwrap();
        for (name, is_there) in [("bin", false), ("run.sh", false), ("MANIFEST", false)] {
            assert_eq!(kit.path().join(name).exists(), is_there, "{name}");
        }
        assert!(kit.path().join("runs/nb201-pada/config.toml").is_file());
        assert!(kit.path().join("data/cifar10/test_batch.bin").is_file());
        clear(kit.path()).unwrap();
    }

    #[test]
    fn the_configs_of_a_kit_can_be_read_without_the_repository() {
        let kit = tempfile::tempdir().unwrap();
        for config in CONFIGS {
            copy(&paths::root().unwrap().join(config), &kit.path().join(config)).unwrap();
        }
        for config in CONFIGS.iter().filter(|name| name.ends_with(".toml")) {
            pada::RunConfig::read(&kit.path().join(config)).unwrap();
        }
    }

    #[test]
    fn every_file_that_is_written_belongs_to_the_kit() {
        for (name, _) in FILES {
            assert!(PARTS.contains(&name), "{name}");
        }
    }
}
