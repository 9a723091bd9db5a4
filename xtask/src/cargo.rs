//! The cargo that runs this program.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::paths;

/// Returns a command that runs cargo in the root of the workspace.
///
/// # Errors
/// Returns an error if there is no workspace.
pub fn command(args: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(paths::root()?);
    Ok(command)
}

/// Selects all crates, with the features that tests use.
const WORKSPACE: [&str; 3] = ["--workspace", "--features", "pada-train/candle"];

/// Returns the arguments of a subcommand that builds the workspace. All builds have the same features, so that nothing is compiled twice.
///
/// # Panics
/// Panics if there is no subcommand.
pub fn workspace<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let (subcommand, rest) = args.split_first().expect("a subcommand comes first");
    [&[*subcommand], &WORKSPACE[..], rest].concat()
}

/// Runs a command and returns its stdout.
///
/// # Errors
/// Returns an error if the call fails.
pub fn stdout(args: &[&str]) -> anyhow::Result<String> {
    let output = command(args)?.stderr(Stdio::piped()).output().context("cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {}\n{said}", args.join(" "), output.status);
    String::from_utf8(output.stdout).context("what cargo prints")
}

/// Runs a program to its end.
///
/// # Errors
/// Returns an error if it fails.
pub fn finish(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// Returns the target triple of this machine, such as `x86_64-unknown-linux-gnu`.
///
/// # Errors
/// Returns an error if cargo does not report it.
pub fn host() -> anyhow::Result<String> {
    let text = stdout(&["-vV"])?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("cargo names its host")
}

/// Returns the target folder of cargo.
///
/// # Errors
/// Returns an error if there is no workspace.
pub fn target_dir() -> anyhow::Result<PathBuf> {
    let root = paths::root()?;
    // Cargo resolves a relative folder from its working directory, which is the root.
    Ok(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder)))
}
