//! The program on a GPU: on an emulated driver, or on the GPU whose number `PADA_TEST_CUDA` holds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::program::{Call, program, small_run};

/// Where the emulated driver is. `None` if there is no `g++`.
fn emulation() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let install = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emulated-gpu");
        pada_emulated_gpu::install(&folder, &folder.join("cache")).unwrap().then_some(folder)
    };
    FOLDER.get_or_init(install).as_deref()
}

/// The program where `cuda:N` is the GPU of the test, and N.
fn on_gpu() -> Option<(Command, String)> {
    let mut command = program();
    if pada_emulated_gpu::uses_real_gpu() {
        return Some((command, std::env::var("PADA_TEST_CUDA").unwrap()));
    }
    let folder = emulation()?;
    // Another driver and NVRTC must not be found.
    for hidden in ["HOME", "PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH"] {
        command.env(hidden, "/nonexistent");
    }
    command.env("LD_LIBRARY_PATH", folder).env("PADA_CACHE", folder.join("cache"));
    Some((command, "0".to_owned()))
}

fn finish(mut command: Command, args: &[&str]) -> Call {
    command.args(args).output().unwrap().into()
}

/// The losses of a record's epochs.
fn losses(run: &Path) -> Vec<f64> {
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("record.json")).unwrap()).unwrap();
    record["epochs"].as_array().unwrap().iter().map(|epoch| epoch["loss"].as_f64().unwrap()).collect()
}

#[test]
fn a_run_on_a_gpu_learns_what_a_run_on_the_cpu_learns() {
    let folder = tempfile::tempdir().unwrap();
    let train = |command: Command, device: &str| {
        let run = folder.path().join(device.replace(':', "-"));
        let settings = small_run(folder.path());
        let mut args: Vec<&str> = settings.iter().map(String::as_str).collect();
        args.extend(["--set", "train.epochs=2", "--set", "data.train_images=64", "--set", "train.batch=32"]);
        args.extend(["--set", "rank.images=10", "--set", "rank.batch=10"]);
        args.extend(["--json", "--device", device, "--out", run.to_str().unwrap()]);
        let json = finish(command, &args).json();
        let computed_on = if device == "cpu" { "on the CPU" } else { device };
        assert!(json["device"].as_str().unwrap().contains(computed_on), "{json}");
        losses(&run)
    };
    let Some((command, ordinal)) = on_gpu() else { return };
    let (ours, theirs) = (train(command, &format!("cuda:{ordinal}")), train(program(), "cpu"));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // A value near zero may fall on the other side of a ReLU.
        assert!((ours - theirs).abs() < 0.01 * theirs, "{ours} on the GPU, {theirs} on the CPU");
    }
    assert_eq!(ours.len(), theirs.len());
}

#[test]
fn doctor_lists_the_kernels_of_a_gpu() {
    let Some((command, _)) = on_gpu() else { return };
    let done = finish(command, &["doctor", "--kernels", "--json"]);
    let json = done.json();
    for what in ["gpu", "kernels"] {
        assert_eq!(json[what]["found"], true, "{}", done.stdout);
    }
    let kernels = json["kernel_list"].as_array().unwrap();
    let of = |precision: &str| kernels.iter().filter(|kernel| kernel["precision"] == precision).count();
    assert_eq!(
        (of("f32"), of("bf16")),
        (pada::engine::cuda::KERNELS.len(), pada::engine::cuda::KERNELS.len())
    );
    assert!(kernels.iter().all(|kernel| kernel["threads"].as_u64() >= Some(32)));
    assert!(done.stdout.contains("dense_forward_16") && done.stdout.contains("blocks/SM"), "{}", done.stdout);
}

#[test]
fn a_gpu_that_fails_ends_a_run_with_its_name() {
    if pada_emulated_gpu::uses_real_gpu() {
        return;
    }
    let Some((mut command, _)) = on_gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    command.env("PADA_EMULATED_FAULT", "update").env("CUDA_LAUNCH_BLOCKING", "1");
    let run = folder.path().join("run");
    let settings = small_run(folder.path());
    let mut args: Vec<&str> = settings.iter().map(String::as_str).collect();
    args.extend(["--device", "cuda:0", "--out", run.to_str().unwrap()]);
    let failed = finish(command, &args);
    failed.fails(2, &["emulated GPU (cuda:0) failed in update", "an illegal memory access", "nvidia-smi"]);
}
