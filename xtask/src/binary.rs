//! Programs of the workspace.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use crate::cargo;

/// The program that users run.
pub const PADA: &str = "pada";

/// Returns a cargo command that builds a program of the workspace. It selects all crates, so that features are those of the tests and no
/// dependency is built twice.
///
/// # Errors
/// Returns an error if there is no workspace.
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

/// Parses the JSON object in the last line of a command with `--json`.
///
/// # Errors
/// Returns an error if the last line is not JSON.
pub fn last_line(stdout: &[u8]) -> anyhow::Result<serde_json::Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().context("the command printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}
