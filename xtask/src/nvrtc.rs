//! The compiler of CUDA kernels.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{paths, venv};

/// Makes tests fail, instead of saying that they skip, where the compiler of CUDA kernels is missing.
pub const REQUIRE: &str = "PADA_REQUIRE_NVRTC";
/// Where the system looks for libraries.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

/// The folder of the NVRTC that `crates/pada-engine/tests/engine/cuda/requirements.txt` names, in `target/nvrtc-venv`. It compiles
/// kernels without a GPU.
///
/// # Errors
/// Returns an error if it cannot be installed.
pub fn folder() -> anyhow::Result<PathBuf> {
    let list = paths::root()?.join("crates/pada-engine/tests/engine/cuda/requirements.txt");
    Ok(cuda(&venv::ready("nvrtc-venv", &list)?)?.join("lib"))
}

/// The variable that makes the loader of a new process find libraries in a folder, before all other folders.
///
/// # Errors
/// Returns an error if a folder has a name that cannot stand in the variable.
pub fn search_path(folder: &Path) -> anyhow::Result<(&'static str, OsString)> {
    let others = std::env::var_os(LIBRARIES).unwrap_or_default();
    // An empty name would mean the current folder.
    let others = std::env::split_paths(&others).filter(|other| !other.as_os_str().is_empty());
    let folders = std::iter::once(folder.to_path_buf()).chain(others);
    Ok((LIBRARIES, std::env::join_paths(folders)?))
}

/// Where NVIDIA's packages of a Python environment lie: `bin`, `include` and `lib`, as far as they are installed.
///
/// # Errors
/// Returns an error if there is none.
pub fn cuda(venv: &Path) -> anyhow::Result<PathBuf> {
    let packages = below(&venv.join("lib"), "python")?;
    below(&packages.join("site-packages/nvidia"), "cu")
}

/// The folder in `parent` whose name begins like this.
fn below(parent: &Path, start: &str) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(parent).with_context(|| parent.display().to_string())?;
    let found = entries.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(start));
    Ok(found.with_context(|| format!("{}: no folder {start}…", parent.display()))?.path())
}
