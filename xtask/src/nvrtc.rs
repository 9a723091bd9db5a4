//! NVRTC, the compiler of CUDA kernels.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{paths, venv};

/// Makes tests fail instead of skip if the compiler of CUDA kernels is missing.
pub const REQUIRE: &str = "PADA_REQUIRE_NVRTC";
/// Environment variable with the search path for shared libraries.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// Installs the NVRTC of `crates/pada-engine/tests/engine/cuda/requirements.txt` in `target/nvrtc-venv`, and returns its folder. NVRTC
/// compiles kernels without a GPU.
///
/// # Errors
/// Returns an error if it cannot be installed.
pub fn folder() -> anyhow::Result<PathBuf> {
    let list = paths::root()?.join("crates/pada-engine/tests/engine/cuda/requirements.txt");
    Ok(cuda(&venv::ready("nvrtc-venv", &list)?)?.join("lib"))
}

/// Returns the environment variable that puts a folder first in the library search path of a new process.
///
/// # Errors
/// Returns an error if the variable cannot represent the name of a folder.
pub fn search_path(folder: &Path) -> anyhow::Result<(&'static str, OsString)> {
    let others = std::env::var_os(LIBRARIES).unwrap_or_default();
    // An empty name would mean the current folder.
    let others = std::env::split_paths(&others).filter(|other| !other.as_os_str().is_empty());
    let folders = std::iter::once(folder.to_path_buf()).chain(others);
    Ok((LIBRARIES, std::env::join_paths(folders)?))
}

/// Returns the folder of NVIDIA's packages in a Python environment, with the installed ones of `bin`, `include` and `lib`.
///
/// # Errors
/// Returns an error if it does not exist.
pub fn cuda(venv: &Path) -> anyhow::Result<PathBuf> {
    let packages = below(&venv.join("lib"), "python")?;
    below(&packages.join("site-packages/nvidia"), "cu")
}

/// Finds the folder in `parent` whose name starts with a prefix.
fn below(parent: &Path, start: &str) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(parent).with_context(|| parent.display().to_string())?;
    let found = entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(start));
    Ok(found.with_context(|| format!("{}: no folder {start}…", parent.display()))?.path())
}
