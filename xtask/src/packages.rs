use anyhow::{Context, ensure};

use xtask::{cargo, paths};

/// Files that every package must contain: the README that registries show, and the licences.
const NEEDED: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Crates that are not published as such: developer programs, which use xtask, and the Python package, which is a wheel.
const PRIVATE: [&str; 5] = ["xtask", "pada-fuzz", "pada-bench", "pada-gpu-kit", "pada-python"];

/// Selects whether packages are built from their content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verify {
    /// Build each package, which takes minutes.
    Build,
    /// Only check the list of files.
    Contents,
}

/// Packs all crates as for a registry, in an order in which each crate comes after its dependencies.
pub(crate) fn run(verify: Verify) -> anyhow::Result<()> {
    let mut args = vec!["package", "--workspace", "--allow-dirty"];
    args.extend(PRIVATE.iter().flat_map(|name| ["--exclude", name]));
    if verify == Verify::Contents {
        args.extend(["--no-verify", "--quiet"]);
    }
    // The built programs are not run.
    cargo::finish(cargo::command(&args)?.env("CARGO_PROFILE_DEV_DEBUG", "none"))?;
    let mut broken = Vec::new();
    for entry in std::fs::read_dir(paths::root()?.join("crates"))? {
        let path = entry?.path();
        if !path.is_dir() {
            continue;
        }
        let name = path.file_name().and_then(|n| n.to_str()).context("a folder has a name")?;
        if PRIVATE.contains(&name) {
            continue;
        }
        let list = cargo::stdout(&["package", "--list", "--allow-dirty", "--package", name])?;
        let missing = NEEDED.iter().filter(|needed| !list.lines().any(|line| line == **needed));
        broken.extend(missing.map(|file| format!("{name}: its package has no {file}")));
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}
