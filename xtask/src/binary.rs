//! Programs of the workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cargo;

/// The program that users run.
pub const PADA: &str = "pada";

/// A call of cargo that builds a program of the workspace. All crates are named so that it has the dependencies that tests have, and none is
/// built twice.
///
/// # Errors
/// Returns an error where there is no workspace.
pub fn command(program: &str) -> anyhow::Result<Command> {
    cargo::command(&cargo::workspace(&["build", "--release", "--bin", program]))
}

/// Builds the program that users run and returns its path.
///
/// # Errors
/// Returns an error if it does not build.
pub fn build() -> anyhow::Result<PathBuf> {
    built(PADA)
}

/// Builds a program and returns its path.
///
/// # Errors
/// Returns an error if it does not build.
pub fn built(program: &str) -> anyhow::Result<PathBuf> {
    cargo::finish(&mut command(program)?)?;
    Ok(cargo::target_dir()?.join("release").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)))
}

/// The JSON object that a command with `--json` prints last.
///
/// # Errors
/// Returns an error if the last line is no JSON.
pub fn last_line(stdout: &[u8]) -> anyhow::Result<serde_json::Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().context("the command printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}
