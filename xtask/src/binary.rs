use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cargo;

/// The program that users run.
pub(crate) const PADA_TRAIN: &str = "pada-train";

/// Builds a program of the workspace. All crates are named so that it has the dependencies that tests have, and none is built twice.
pub(crate) fn command(program: &str) -> anyhow::Result<Command> {
    cargo::command(&cargo::workspace(&["build", "--release", "--bin", program]))
}

/// Builds pada-train and says where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    built(PADA_TRAIN)
}

/// Builds a program and says where it is.
pub(crate) fn built(program: &str) -> anyhow::Result<PathBuf> {
    cargo::finish(&mut command(program)?)?;
    Ok(cargo::target_dir()?.join("release").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// The JSON object that a command with `--json` prints last.
pub(crate) fn last_line(stdout: &[u8]) -> anyhow::Result<serde_json::Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().context("the command printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}
