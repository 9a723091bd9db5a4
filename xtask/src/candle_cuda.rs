//! nvcc, the compiler of candle's kernels for GPUs.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{cargo, nvrtc, paths, venv};

/// Environment variable with a folder that contains CUDA's compiler, `bin/nvcc`. If it is not set, nvcc is installed from PyPI.
const TOOLKIT: &str = "CUDA_HOME";
/// The compute capability that kernels are compiled for if no GPU is present: Ampere.
const CAPABILITY: &str = "80";

/// Environment variable with options that nvcc appends to its command line.
pub const NVCC_OPTIONS: &str = "NVCC_APPEND_FLAGS";
/// Disables optimisation, because the check compiles candle's kernels but does not run them. The nvcc of PyPI has this option, others may
/// not.
const NOT_OPTIMISED: &str = "--Ofast-compile=max";

/// Checks that the program and its kernels compile with the candle executor on GPUs. It does not link, because that needs CUDA's libraries.
///
/// # Errors
/// Returns an error if it does not compile.
pub fn run() -> anyhow::Result<()> {
    let check = ["check", "--release", "-p", "pada-train", "--features", "candle-cuda"];
    let mut command = cargo::command(&check)?;
    // A separate target folder, because a build with unoptimised kernels must not be used to run.
    command.env("CARGO_TARGET_DIR", cargo::target_dir()?.join("candle-cuda"));
    command.envs(environment()?);
    cargo::finish(&mut command)
}

/// Installs the compiler of `crates/pada-candle/cuda/requirements.txt` in `target/nvcc-venv` and returns its folder.
///
/// # Errors
/// Returns an error if it cannot be installed.
pub fn toolkit() -> anyhow::Result<PathBuf> {
    let list = paths::root()?.join("crates/pada-candle/cuda/requirements.txt");
    nvrtc::cuda(&venv::ready("nvcc-venv", &list)?)
}

/// Returns the environment variables in which the build scripts look for the compiler. It returns none if they are already set.
///
/// # Errors
/// Returns an error if it cannot be installed.
pub fn environment() -> anyhow::Result<Vec<(&'static str, OsString)>> {
    if std::env::var_os(TOOLKIT).is_some() {
        return Ok(vec![]);
    }
    let toolkit = toolkit()?;
    let others = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(toolkit.join("bin")).chain(std::env::split_paths(&others));
    let mut environment = vec![
        (NVCC_OPTIONS, NOT_OPTIMISED.into()),
        ("PATH", std::env::join_paths(folders)?),
        ("CUDA_COMPUTE_CAP", std::env::var_os("CUDA_COMPUTE_CAP").unwrap_or_else(|| CAPABILITY.into())),
    ];
    environment.extend(
        [TOOLKIT, "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"]
            .map(|name| (name, toolkit.clone().into())),
    );
    Ok(environment)
}
