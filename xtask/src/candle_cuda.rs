use std::ffi::OsString;
use std::path::PathBuf;

use crate::{cargo, nvrtc, paths, venv};

/// Names a folder with CUDA's compiler, `bin/nvcc`; otherwise the one of PyPI is taken.
const TOOLKIT: &str = "CUDA_HOME";
/// The generation that kernels are compiled for where no GPU says it: Ampere.
const CAPABILITY: &str = "80";

/// Checks that the program compiles with the candle executor on GPUs, in a folder of its own. Nothing is linked: that needs CUDA's
/// libraries.
pub(crate) fn run() -> anyhow::Result<()> {
    let check = ["check", "--release", "-p", "pada-train", "--features", "candle-cuda"];
    let target = cargo::target_dir().join("candle-cuda");
    let mut command = cargo::command(&check);
    command.env("CARGO_TARGET_DIR", target);
    if std::env::var_os(TOOLKIT).is_none() {
        command.envs(environment(toolkit()?)?);
    }
    cargo::finish(&mut command)
}

/// The compiler that `crates/pada-supernet/cuda/requirements.txt` names, in `target/nvcc-venv`.
fn toolkit() -> anyhow::Result<PathBuf> {
    let list = paths::root().join("crates/pada-supernet/cuda/requirements.txt");
    nvrtc::cuda(&venv::ready("nvcc-venv", &list)?)
}

/// What build scripts look for: each of them has another name for it.
fn environment(toolkit: PathBuf) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(toolkit.join("bin")).chain(std::env::split_paths(&others));
    let mut environment = vec![
        ("PATH", std::env::join_paths(folders)?),
        ("CUDA_COMPUTE_CAP", std::env::var_os("CUDA_COMPUTE_CAP").unwrap_or_else(|| CAPABILITY.into())),
    ];
    environment.extend(
        [TOOLKIT, "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"]
            .map(|name| (name, toolkit.clone().into())),
    );
    Ok(environment)
}
