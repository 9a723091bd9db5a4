//! Compiles kernels in advance, because the machine with the GPU may not have NVRTC.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use pada_engine::cuda::{self, Precompiled, ResourceUsage};
use pada_exec::Precision;

use super::build::copy;
use xtask::{cargo, nvrtc};

/// GPUs whose kernels are in a kit: A100; A10 and RTX 30; L4 and RTX 40; H100 and H200; B200; RTX 50.
pub(super) const TARGETS: [&str; 6] = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"];
/// Precisions that a GPU computes in.
const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];
/// Compiled kernels below the target folder, from which later builds of a kit copy them.
const CACHE: &str = "gpu-kit-kernels";

/// Writes the kernels for `targets` into a folder that the engine uses as its cache. Returns a table of their registers and spills.
///
/// # Errors
/// Returns an error if NVRTC cannot be installed or a kernel does not compile.
pub(super) fn compile(folder: &Path, targets: &[&str]) -> anyhow::Result<String> {
    let cache = cargo::target_dir()?.join(CACHE);
    // NVRTC's folder must be known to the loader when a process starts.
    let mut child = Command::new(std::env::current_exe().context("the path of this program")?);
    child.arg("--kernels-into").arg(&cache);
    child.args(targets.iter().flat_map(|target| ["--target", target]));
    child.envs([nvrtc::search_path(&nvrtc::folder()?)?]);
    let output = child.output().context("pada-gpu-kit")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", said.trim());
    let mut rows = String::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        match line.split_once(' ') {
            Some((FILE, path)) => {
                let path = Path::new(path);
                copy(path, &folder.join(path.file_name().context("a file has a name")?))?;
            }
            Some((ROW, row)) => rows += &format!("{row}\n"),
            _ => bail!("the compiler of kernels printed {line:?}"),
        }
    }
    Ok(format!("{TABLE_HEAD}{rows}"))
}

/// Prefix of the file paths that [`compile_into`] prints.
const FILE: &str = "file";
/// Prefix of the table rows that [`compile_into`] prints.
const ROW: &str = "row";
/// The head of the table of [`compile`].
const TABLE_HEAD: &str = "\
# Registers and spills of the kernels

The table is what NVRTC's assembler reports for every kernel of this kit. A spilled register is written to and read from device memory.

| target | precision | kernel | registers | stack, bytes | spill stores, bytes | spill loads, bytes | shared memory, bytes |
|---|---|---|--:|--:|--:|--:|--:|
";

/// Compiles missing kernels into a folder, and prints their files and the resources they use.
///
/// # Errors
/// Returns an error if a kernel does not compile or spills registers.
pub(super) fn compile_into(folder: &Path, targets: &[String]) -> anyhow::Result<()> {
    for target in targets {
        for precision in PRECISIONS {
            let Precompiled { file, usage, .. } = cuda::precompile(target, precision, folder)?;
            if let Some(usage) =
                usage.iter().find(|usage| usage.spill_store_bytes + usage.spill_load_bytes > 0)
            {
                bail!("a kernel for {target} spills registers: {usage:?}");
            }
            println!("{FILE} {}", file.display());
            usage.iter().for_each(|usage| println!("{ROW} {}", row(target, precision, usage)));
        }
    }
    Ok(())
}

fn row(target: &str, precision: Precision, usage: &ResourceUsage) -> String {
    let ResourceUsage {
        kernel,
        registers,
        stack_bytes,
        spill_store_bytes,
        spill_load_bytes,
        shared_bytes,
        ..
    } = usage;
    let precision = match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::F64 => "f64",
    };
    format!(
        "| {target} | {precision} | {kernel} | {registers} | {stack_bytes} | {spill_store_bytes} | {spill_load_bytes} | {shared_bytes} |"
    )
}
