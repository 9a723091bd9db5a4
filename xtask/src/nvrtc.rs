use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{paths, venv};

/// Makes tests fail, instead of saying that they skip, where the compiler of CUDA kernels is missing.
pub(crate) const REQUIRE: &str = "PADA_REQUIRE_NVRTC";

/// The folder of the NVRTC that `crates/pada-engine/tests/engine/cuda/requirements.txt` names, in `target/nvrtc-venv`. It compiles
/// kernels without a GPU.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let list = paths::root()?.join("crates/pada-engine/tests/engine/cuda/requirements.txt");
    Ok(cuda(&venv::ready("nvrtc-venv", &list)?)?.join("lib"))
}

/// Where NVIDIA's packages of a Python environment lie: `bin`, `include` and `lib`, as far as they are installed.
pub(crate) fn cuda(venv: &Path) -> anyhow::Result<PathBuf> {
    let packages = below(&venv.join("lib"), "python")?;
    below(&packages.join("site-packages/nvidia"), "cu")
}

/// The folder in `parent` whose name begins like this.
fn below(parent: &Path, start: &str) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(parent).with_context(|| parent.display().to_string())?;
    let found = entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(start));
    Ok(found.with_context(|| format!("{}: no folder {start}…", parent.display()))?.path())
}
