//! The compiler of candle's kernels for GPUs.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::{cargo, nvrtc, paths, venv};

/// Names a folder with CUDA's compiler, `bin/nvcc`; otherwise the one of PyPI is taken.
const TOOLKIT: &str = "CUDA_HOME";
/// The generation that kernels are compiled for where no GPU says it: Ampere.
const CAPABILITY: &str = "80";

/// Options that nvcc adds to those it is called with.
pub const NVCC_OPTIONS: &str = "NVCC_APPEND_FLAGS";
/// candle's kernels are compiled, not run, and optimising them takes longest. Not every nvcc has this option; the one of PyPI does.
const NOT_OPTIMISED: &str = "--Ofast-compile=max";

/// Checks that the program compiles with the candle executor on GPUs, its kernels too. Nothing is linked: that needs CUDA's
/// libraries.
///
/// # Errors
/// Returns an error if it does not compile.
pub fn run() -> anyhow::Result<()> {
    check(&environment()?)
}

/// [`run`] with an [`environment`].
///
/// # Errors
/// Returns an error if it does not compile.
pub fn check(environment: &[(&'static str, OsString)]) -> anyhow::Result<()> {
    let check = ["check", "--release", "-p", "pada-train", "--features", "candle-cuda"];
    let mut command = cargo::command(&check)?;
    // In a folder of its own: a build with kernels of this kind must not be taken for one that runs.
    command.env("CARGO_TARGET_DIR", cargo::target_dir()?.join("candle-cuda"));
    command.envs(environment.iter().cloned());
    cargo::finish(&mut command)
}

/// The compiler that `crates/pada-candle/cuda/requirements.txt` names, in `target/nvcc-venv`.
///
/// # Errors
/// Returns an error if it cannot be installed.
pub fn toolkit() -> anyhow::Result<PathBuf> {
    let list = paths::root()?.join("crates/pada-candle/cuda/requirements.txt");
    nvrtc::cuda(&venv::ready("nvcc-venv", &list)?)
}

/// Where build scripts find the compiler: each of them has another name for it. Nothing where it is set already.
///
/// # Errors
/// If it cannot be installed.
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
