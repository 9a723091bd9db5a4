use std::path::PathBuf;

use xtask::{paths, venv};

/// Environment variable with the Python interpreter that tests run onnxruntime in.
pub(crate) const PYTHON: &str = "PADA_ONNX_PYTHON";

/// Returns a Python interpreter with the packages of `crates/pada/tests/onnx/requirements.txt`: `$PADA_ONNX_PYTHON`, or one in
/// `target/onnx-venv`.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    if let Some(python) = std::env::var_os(PYTHON) {
        return Ok(python.into());
    }
    let list = paths::root()?.join("crates/pada/tests/onnx/requirements.txt");
    Ok(venv::ready("onnx-venv", &list)?.join("bin/python"))
}
