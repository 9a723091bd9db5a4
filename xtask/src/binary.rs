use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::paths;

/// Builds pada-train and says where it is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "pada-train"])
        .current_dir(paths::root())
        .status()
        .context("cargo")?;
    ensure!(status.success(), "pada-train does not build");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| paths::root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("pada-train{}", std::env::consts::EXE_SUFFIX)))
}

/// The JSON object that a command with `--json` prints last.
pub(crate) fn last_line(stdout: &[u8]) -> anyhow::Result<serde_json::Value> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().last().context("the command printed nothing")?;
    serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))
}
