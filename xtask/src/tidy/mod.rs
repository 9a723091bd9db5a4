mod build_folder;
mod licences;
mod unsafe_places;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, bail, ensure};

use xtask::{cargo, paths};

/// Crates that do not depend on candle: the crates below the executors, the trainer, and the program in its default build.
const NO_CANDLE: [&str; 16] = [
    "pada-dist",
    "pada-space",
    "pada-sampler",
    "pada-search",
    "pada-metrics",
    "pada-graph",
    "pada-models",
    "pada-exec",
    "pada-data",
    "pada-nasbench",
    "pada-report",
    "pada-engine",
    "pada-trainer",
    "pada",
    "pada-train",
    "pada-python",
];
/// Pairs of a crate and a crate that it must not depend on, directly or transitively. Samplers and models are independent of each other,
/// and reports only read records.
const APART: [(&str, &str); 12] = [
    ("pada-sampler", "pada-graph"),
    ("pada-sampler", "pada-models"),
    ("pada-sampler", "pada-exec"),
    ("pada-graph", "pada-sampler"),
    ("pada-graph", "pada-exec"),
    ("pada-exec", "pada-sampler"),
    ("pada-exec", "pada-models"),
    ("pada-candle", "pada-sampler"),
    ("pada-models", "pada-sampler"),
    ("pada-engine", "pada-sampler"),
    ("pada-report", "pada-sampler"),
    ("pada-report", "pada-graph"),
];
/// Programs, which may print and use `anyhow`.
const PROGRAMS: [&str; 4] = ["pada-bench", "pada-gpu-kit", "pada-train", "xtask"];
/// The crate that opens connections, and the only crate that may use it.
const NETWORK: (&str, &str) = ("ureq", "pada-fetch");
/// Crates that xtask must not depend on, so that `cargo xtask` starts fast.
const ENGINES: [&str; 2] = ["pada-engine", "candle-core"];
/// File names that do not describe the content.
const VAGUE: [&str; 6] = ["utils", "util", "common", "helpers", "base", "misc"];

/// Checks the house rules of `docs/architecture.md`.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for krate in NO_CANDLE {
        if depends(krate, "candle-core")? {
            broken.push(format!("{krate} must not reach candle-core"));
        }
    }
    for (krate, other) in APART {
        if depends(krate, other)? {
            broken.push(format!("{krate} must not reach {other}"));
        }
    }
    for engine in ENGINES {
        if depends("xtask", engine)? {
            broken.push(format!("xtask must not reach {engine}"));
        }
    }
    for folder in crate_folders()? {
        check_crate(&folder, &mut broken)?;
        for file in sources(&folder)? {
            check_source(&file, &mut broken)?;
        }
    }
    for folder in ["tests", "fuzz"] {
        for file in sources(&paths::root()?.join(folder))? {
            check_source(&file, &mut broken)?;
        }
    }
    let fuzz: toml::Table =
        read(&paths::root()?.join("fuzz/Cargo.toml"))?.parse().context("fuzz/Cargo.toml")?;
    if !has_lints(&fuzz) {
        broken.push("fuzz: it has no [lints] workspace = true".to_owned());
    }
    check_dependency_reasons(&mut broken)?;
    licences::check(&mut broken)?;
    ensure!(broken.is_empty(), "house rules broken:\n{}", broken.join("\n"));
    Ok(())
}

/// Returns `true` if a crate depends on another, directly or transitively. Dependencies of tests and benchmarks are ignored.
fn depends(krate: &str, other: &str) -> anyhow::Result<bool> {
    // The command fails if no tree contains the other crate.
    let output = cargo::command(&["tree", "--quiet", "--edges", "normal,build", "--prefix", "none"])?
        .args(["--package", krate, "--invert", other])
        .stderr(Stdio::null())
        .output()
        .context("cargo tree")?;
    // A crate that only tests use is in the tree too, but without a path to this crate.
    let reaches = |line: &str| line.split_whitespace().next() == Some(krate);
    Ok(String::from_utf8_lossy(&output.stdout).lines().any(reaches))
}

fn crate_folders() -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = vec![paths::root()?.join("xtask")];
    for entry in std::fs::read_dir(paths::root()?.join("crates"))? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn check_crate(folder: &Path, broken: &mut Vec<String>) -> anyhow::Result<()> {
    let folder_name = folder.file_name().and_then(|n| n.to_str()).context("a folder has a name")?;
    let path = folder.join("Cargo.toml");
    let manifest: toml::Table = read(&path)?.parse().with_context(|| path.display().to_string())?;
    let name = manifest["package"]["name"].as_str().unwrap_or_default();
    let mut rule = |holds: bool, text: String| {
        if !holds {
            broken.push(format!("{folder_name}: {text}"))
        }
    };
    rule(name == folder_name, format!("the crate is called {name}, its folder is not"));
    rule(has_lints(&manifest), "it has no [lints] workspace = true".to_owned());
    let licence = manifest["package"].get("license").is_some();
    rule(licence, "it has no licence".to_owned());
    let program = PROGRAMS.contains(&name);
    rule(name == "xtask" || folder.join("README.md").is_file(), "it has no README.md".to_owned());
    // Published packages must contain their licences, and no tests that read files of the workspace.
    let published = name != "xtask";
    let licences = ["LICENSE-MIT", "LICENSE-APACHE"].iter().all(|file| folder.join(file).is_file());
    let link = format!("run `ln -s ../../LICENSE-MIT ../../LICENSE-APACHE crates/{folder_name}/`");
    rule(!published || licences, format!("its package would have no licences: {link}"));
    let includes = manifest["package"].get("include").is_some();
    rule(!published || includes, "it has no include = [\"/src\", \"/README.md\", \"/LICENSE-*\"]".to_owned());
    let none = toml::Table::new();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap_or(&none);
    for dependency in dependencies.keys() {
        let dependency = dependency.as_str();
        rule(program || dependency != "anyhow", "only programs use anyhow".to_owned());
        let (network, only) = NETWORK;
        rule(name == only || dependency != network, format!("only {only} may use {dependency}"));
    }
    Ok(())
}

/// Returns `true` if a crate uses the lints of the workspace, one of which forbids libraries to print.
fn has_lints(manifest: &toml::Table) -> bool {
    manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true)
}

fn check_source(file: &Path, broken: &mut Vec<String>) -> anyhow::Result<()> {
    let shown = file.strip_prefix(paths::root()?).unwrap_or(file).display().to_string();
    let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
    if VAGUE.contains(&stem) {
        broken.push(format!("{shown}: the name does not say what is in it"));
    }
    let text = read(file)?;
    unsafe_places::check(&shown, &text, broken);
    build_folder::check(&shown, &text, broken);
    let skipped = concat!("#[", "ignore");
    if text.contains(skipped) {
        broken.push(format!("{shown}: a test that never runs"));
    }
    Ok(())
}

/// Checks that every third-party dependency of the workspace has a comment with its reason.
fn check_dependency_reasons(broken: &mut Vec<String>) -> anyhow::Result<()> {
    let manifest = read(&paths::root()?.join("Cargo.toml"))?;
    let lines = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").skip(1);
    for line in lines.take_while(|line| !line.starts_with('[')) {
        let ours = line.starts_with("pada");
        if line.contains(" = ") && !ours && !line.contains(" # ") {
            broken.push(format!("Cargo.toml: no reason beside `{line}`"));
        }
    }
    Ok(())
}

fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                // The build folder of libFuzzer's programs is in `fuzz`.
                if path.file_name().is_none_or(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("{} contains no source", folder.display());
    }
    Ok(found)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}
