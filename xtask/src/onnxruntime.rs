use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::paths;

/// Names the Python that a test of pada asks what onnxruntime computes.
pub(crate) const PYTHON: &str = "PADA_ONNX_PYTHON";

/// A Python with the packages of `crates/pada/tests/onnx/requirements.txt`: `$PADA_ONNX_PYTHON`, or one in `target/onnx-venv`, made
/// here the first time and whenever that list changes.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    if let Some(python) = std::env::var_os(PYTHON) {
        return Ok(python.into());
    }
    let list = paths::root().join("crates/pada/tests/onnx/requirements.txt");
    let wanted = std::fs::read(&list).with_context(|| list.display().to_string())?;
    let venv = paths::root().join("target/onnx-venv");
    let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
    if std::fs::read(&installed).is_ok_and(|found| found == wanted) && python.is_file() {
        return Ok(python);
    }
    finish(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let quick = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"];
    finish(Command::new(&python).args(["-m", "pip", "install"]).args(quick).arg("--requirement").arg(&list))?;
    std::fs::write(&installed, wanted)?;
    Ok(python)
}

fn finish(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
