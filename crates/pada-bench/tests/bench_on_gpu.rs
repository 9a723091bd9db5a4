//! The benchmark on a GPU, with an emulated driver instead of a card. PyTorch's side is replaced by a program that prints its lines.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

/// A network that the emulation computes in a moment.
const SMALL: [&str; 10] = ["--batch", "2", "--cells", "1", "--channels", "4", "--size", "8", "--steps", "2"];

/// Takes the place of a Python with PyTorch: prints one path, and the lines that `peer_device.py` would print of it.
const PYTHON: &str = r#"#!/bin/sh
case "$*" in
*--print-paths*) echo '[[1, 1, 1, 1, 1, 1]]'; exit ;;
*"--modes bf16,compile"*) modes="bf16 compile" ;;
*"--modes eager,channels_last,bf16"*) modes="eager channels_last bf16" ;;
*) exit 2 ;;
esac
case "$*" in
*"/peer_device.py --device cuda:0 --peer "*" --batch 1 --cells 1 --task train,rank "*) ;;
*) exit 2 ;;
esac
work='"peer": "torch", "device": "cuda:0", "space": "nb201", "batch": 1, "cells": 1, "threads": 2, "steps": 1, "sweeps": 1'
numbers='"products": "TF32", "cudnn_benchmark": true, "tf32": true, "tf32_matmul": false, "cuda": "13.2", "cudnn": 92600'
times='"mean_s": 0.5, "median_s": 0.5, "mean_s_back_to_back": 0.25, "first_sweep_s": 9.0'
for task in train rank; do for mode in $modes; do
  echo "{$work, $numbers, $times, \"task\": \"$task\", \"mode\": \"$mode\"}"
done; done
"#;

/// The folder of the emulated driver and its kernels. `None` if there is no `g++`.
fn emulated() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("emulated-gpu");
            let installed = pada_emulated_gpu::install(&folder, &folder.join("cache")).unwrap();
            if !installed {
                eprintln!("SKIPPED: there is no g++ to build the emulated driver with");
            }
            installed.then_some(folder)
        })
        .as_deref()
}

/// Runs the benchmark with the emulated driver and without NVRTC.
fn bench(driver: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pada-bench"));
    command.args(args).env("LD_LIBRARY_PATH", driver).env("PADA_CACHE", driver.join("cache"));
    for hidden in ["PATH", "HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH"] {
        command.env(hidden, "/nonexistent");
    }
    command.output().unwrap()
}

fn succeeds(output: &Output) -> (String, Value) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    let json = serde_json::from_str(stdout.lines().last().unwrap_or_default());
    (stdout.clone(), json.unwrap_or(Value::Null))
}

#[test]
fn a_step_prints_the_time_of_every_kernel() {
    let Some(driver) = emulated() else { return };
    let more = ["--device", "cuda:0", "--gradient-variance", "--kernels", "--json"];
    let (stdout, json) = succeeds(&bench(driver, &[&["step"], &SMALL[..], &more].concat()));
    assert!(json["engine"].as_str().unwrap().contains("emulated GPU (cuda:0)"), "{json}");
    assert_eq!((&json["products"], &json["gradient_variance"]), (&"3xTF32".into(), &true.into()), "{json}");
    for kernel in ["strip_forward_3x3_16", "strip_weights_3x3_16", "finalize_stats", "update"] {
        let rows = json["kernels"].as_array().unwrap();
        let row = rows.iter().find(|row| row["kernel"] == kernel).unwrap();
        assert!(
            row["launches_per_step"].as_f64() >= Some(1.0) && row["microseconds"].as_f64() > Some(0.0),
            "{row}"
        );
        assert!(stdout.contains(kernel), "{stdout}");
    }
}

#[test]
fn every_operation_is_timed_beside_its_kernels_resources() {
    let Some(driver) = emulated() else { return };
    let (stdout, json) =
        succeeds(&bench(driver, &["ops", "--device", "cuda:0", "--batch", "1", "--repeats", "1", "--json"]));
    let operations = json["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 3 * 10, "{stdout}");
    for operation in operations {
        assert!(operation["microseconds"].as_f64() > Some(0.0), "{operation}");
        assert!(operation["ratio"].is_null(), "predictions are for another batch: {operation}");
    }
    let resources = json["kernel_resources"].as_array().unwrap();
    for kernel in [
        "strip_forward_3x3_16",
        "strip_backward_1x1_32",
        "add_dense_weights",
        "finalize_stats",
        "average_pool",
    ] {
        let found = resources.iter().find(|found| found["kernel"] == kernel).unwrap();
        assert!(found["registers"].is_u64() && found["blocks_per_multiprocessor"].is_u64(), "{found}");
    }
}

/// The whole comparison, with `torch.compile`. The engine's times are real, PyTorch's are made up.
#[test]
#[cfg(unix)]
fn a_comparison_writes_a_record() {
    use std::os::unix::fs::PermissionsExt;

    let Some(driver) = emulated() else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python");
    std::fs::write(&python, PYTHON).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("nb201_torch.py"), "").unwrap();
    let out = folder.path().join("record");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (peer, python, record) = (text(folder.path()), text(&python), text(&out));
    let args = ["compare", "--device", "cuda:0", "--peer", &peer, "--python", &python, "--out", &record];
    let sizes = ["--rounds", "1", "--steps", "1", "--sweeps", "1", "--batch", "1", "--cells", "1"];
    succeeds(&bench(driver, &[&args[..], &sizes, &["--compile-paths", "1"]].concat()));
    let summary = std::fs::read_to_string(out.join("summary.md")).unwrap();
    for part in [
        "| GPU | emulated GPU, compute capability 9.0,",
        "| train step with gradient variance, batch 1 | f32 |",
        "| train step without gradient variance, batch 1 | bf16 |",
        "| forward, batch 1 | bf16 |",
        "engine bf16: bf16, engine f32: 3xTF32",
        "## With torch.compile",
        "which took `torch.compile` 9 s",
    ] {
        assert!(summary.contains(part), "{part}\n{summary}");
    }
    let samples: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("samples.json")).unwrap()).unwrap();
    assert_eq!(samples["machine"]["gpu"]["name"], "emulated GPU");
    assert_eq!(samples["rounds"][0]["lines"].as_array().unwrap().len(), 6 + 6);
    assert_eq!(samples["compiled"]["lines"].as_array().unwrap().len(), 6 + 4);
}
