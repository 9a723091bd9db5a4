//! The calls of the CUDA driver, made by child processes that load an emulated driver.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};
use std::rc::Rc;
use std::sync::OnceLock;

use pada_engine::cuda::{
    CudaEngine, CudaError, Device, Driver, DriverOptions, KERNELS, KernelTiming, check, gpus, kernel_cache,
};
use pada_exec::{Executor, Precision, State};
use pada_graph::WeightLayout;

/// Tells a child what to do.
const TASK: &str = "PADA_EMULATED_TASK";

fn options(timing: KernelTiming) -> DriverOptions {
    let mut options = DriverOptions::default();
    options.cache = kernel_cache();
    options.timing = timing;
    options
}

/// Runs this test program once more, where the emulated driver is found and NVRTC is not. `None` if there is no `g++`.
fn child(task: &str, more: &[(&str, &str)]) -> Option<Output> {
    static FOLDER: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let install = || {
        let folder = tempfile::tempdir().unwrap();
        pada_emulated_gpu::install(folder.path(), &folder.path().join("cache")).unwrap().then_some(folder)
    };
    let folder = FOLDER.get_or_init(install).as_ref()?.path();
    let nowhere = Path::new("/nonexistent");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_child", "--nocapture"]).env(TASK, task);
    for hidden in ["PATH", "HOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH"] {
        command.env(hidden, nowhere);
    }
    command.env("LD_LIBRARY_PATH", folder).env("PADA_CACHE", folder.join("cache"));
    Some(command.envs(more.iter().copied()).output().unwrap())
}

fn passes(task: &str, more: &[(&str, &str)]) {
    let Some(output) = child(task, more) else { return };
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stdout.contains(&format!("done: {task}")), "{stdout}\n{stderr}");
}

/// Not a test by itself: what a child does.
#[test]
fn the_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    match task.as_str() {
        "compute" => compute(),
        "measure" => measure(),
        "fault" => fault("cuCtxSynchronize or a copy"),
        "fault, blocking" => fault("combine"),
        "memory" => memory(),
        "no kernels" => no_kernels(),
        other => panic!("{other} is no task"),
    }
    println!("done: {task}");
}

fn compute() {
    let all = gpus().unwrap();
    assert_eq!((all.len(), all[0].name.as_str(), all[0].capability.major), (1, "emulated GPU", 9));
    for precision in [Precision::F32, Precision::Bf16, Precision::F64] {
        let driver = Rc::new(Driver::open(0, precision, &options(KernelTiming::Off)).unwrap());
        assert_eq!(driver.name(), "emulated GPU (cuda:0)");
        check(driver.clone(), precision).unwrap();
        assert!(driver.take_kernel_times().unwrap().is_empty(), "nothing was timed");
    }
    let error = Driver::open(1, Precision::F32, &options(KernelTiming::Off)).unwrap_err();
    assert_eq!(error, CudaError::NoSuchGpu { ordinal: 1, last: 0 });
}

fn measure() {
    let driver = Rc::new(Driver::open(0, Precision::F32, &options(KernelTiming::Events)).unwrap());
    check(driver.clone(), Precision::F32).unwrap();
    let times = driver.take_kernel_times().unwrap();
    for kernel in ["dense_forward_16", "finalize_stats", "update", "load_uploaded"] {
        let of: Vec<_> = times.iter().filter(|time| time.kernel == kernel).collect();
        assert!(
            !of.is_empty() && of.iter().all(|time| time.launches > 0 && time.microseconds > 0.0),
            "{of:?}"
        );
    }
    let sorted = times.is_sorted_by_key(|time| (time.kernel, time.blocks));
    assert!(sorted && driver.take_kernel_times().unwrap().is_empty(), "times are handed out once");
    let names: Vec<_> = driver.resources().unwrap().iter().map(|of| (of.kernel, of.threads)).collect();
    assert_eq!(names, KERNELS.iter().map(|kernel| (kernel.name, kernel.threads)).collect::<Vec<_>>());
}

/// A kernel that fails is reported as a failure of the GPU, and at the kernel itself if launches wait.
fn fault(call: &str) {
    let driver = Rc::new(Driver::open(0, Precision::F32, &options(KernelTiming::Off)).unwrap());
    let error = check(driver.clone(), Precision::F32).unwrap_err().to_string();
    let expected = "emulated GPU (cuda:0) failed in ";
    assert!(error.contains(expected) && error.contains("an illegal memory access"), "{error}");
    assert_eq!(error.contains("failed in combine"), call == "combine", "{error}");
}

fn memory() {
    let driver = Rc::new(Driver::open(0, Precision::F32, &options(KernelTiming::Off)).unwrap());
    let error = driver.allocate(3 << 30).unwrap_err();
    assert!(matches!(error, CudaError::OutOfMemory { needed, free, .. } if needed == 3 << 30 && free > 0));
    let engine = CudaEngine::with_device(driver, WeightLayout::new(), &[], Precision::F32).unwrap();
    assert!(engine.read(State::Weights).is_empty());
}

/// Without NVRTC and without kernels in the cache, it is NVRTC that is missing.
fn no_kernels() {
    let error = Driver::open(0, Precision::F32, &options(KernelTiming::Off)).unwrap_err();
    assert_eq!(error, CudaError::NoCompiler);
    assert!(error.to_string().contains("pip install nvidia-cuda-nvrtc"), "{error}");
}

#[test]
fn a_gpu_behind_an_emulated_driver_passes_the_check_with_cached_kernels_and_no_nvrtc() {
    passes("compute", &[]);
}

#[test]
fn kernels_are_timed_and_their_resources_listed() {
    passes("measure", &[]);
}

#[test]
fn a_kernel_that_fails_is_reported_with_the_gpus_name() {
    passes("fault", &[("PADA_EMULATED_FAULT", "combine")]);
    passes("fault, blocking", &[("PADA_EMULATED_FAULT", "combine"), ("CUDA_LAUNCH_BLOCKING", "1")]);
}

#[test]
fn too_little_memory_is_an_error_with_numbers() {
    passes("memory", &[]);
}

#[test]
fn without_cached_kernels_the_missing_compiler_is_named() {
    passes("no kernels", &[("PADA_CACHE", "/nonexistent")]);
}
