//! Kernels that are compiled before a kit leaves, because the machine with the GPU may have no NVRTC.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use pada_engine::cuda;
use pada_graph::Precision;

use super::build::copy;
use crate::{cargo, nvrtc};

/// GPUs whose kernels are in a kit: A100; A10 and RTX 30; L4 and RTX 40; H100 and H200; B200; RTX 50.
pub(super) const TARGETS: [&str; 6] = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"];
/// Precisions that a GPU computes in.
const PRECISIONS: [Precision; 2] = [Precision::Single, Precision::Half];
/// Compiled kernels below the target folder, from which later builds of a kit copy them.
const CACHE: &str = "gpu-kit-kernels";

/// Writes the kernels for `targets` into a folder that the engine uses as its cache.
///
/// # Errors
/// Returns an error where NVRTC cannot be installed, or a kernel does not compile.
pub(super) fn compile(folder: &Path, targets: &[&str]) -> anyhow::Result<()> {
    let cache = cargo::target_dir()?.join(CACHE);
    // NVRTC's folder must be known to the loader when a process starts.
    let mut child = Command::new(std::env::current_exe().context("the path of this program")?);
    child.args(["gpu-kit", "--kernels-into"]).arg(&cache);
    child.args(targets.iter().flat_map(|target| ["--target", target]));
    child.envs([nvrtc::search_path(&nvrtc::folder()?)?]);
    let output = child.output().context("xtask")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    for path in String::from_utf8(output.stdout)?.lines().map(PathBuf::from) {
        copy(&path, &folder.join(path.file_name().context("a file has a name")?))?;
    }
    Ok(())
}

/// Compiles kernels into a folder, as far as they are not there, and prints their files.
pub(super) fn compile_into(folder: &Path, targets: &[String]) -> anyhow::Result<()> {
    for target in targets {
        for precision in PRECISIONS {
            println!("{}", cuda::precompile(target, precision, folder)?.display());
        }
    }
    Ok(())
}
