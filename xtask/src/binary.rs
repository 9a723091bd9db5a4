use std::path::PathBuf;

use anyhow::Context;

use crate::cargo;

/// Builds pada-train. All crates are named so that it has the dependencies that tests have, and none is built twice.
pub(crate) const BUILD: [&str; 5] = ["build", "--release", "--workspace", "--bin", "pada-train"];

/// Builds pada-train and says where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    cargo::finish(&mut cargo::command(&BUILD))?;
    Ok(cargo::target_dir().join("release").join(format!("pada-train{}", std::env::consts::EXE_SUFFIX)))
}

/// The JSON object that a command with `--json` prints last.
pub(crate) fn last_line(stdout: &[u8]) -> anyhow::Result<serde_json::Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().context("the command printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}
