use std::ffi::OsString;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::{Context, bail};

use xtask::test_binaries::{self, TestBinary};
use xtask::{binary, cargo, nvrtc, paths};

use crate::packages::{self, Verify};
use crate::{deny, fuzz, mpi, onnxruntime, python as python_package, tidy};

/// Makes tests fail instead of skip if reference values are missing.
const REQUIRE_SHARED: &str = "PADA_REQUIRE_SHARED";

/// Number of threads of rayon and of candle.
const THREADS: &str = "RAYON_NUM_THREADS";

/// A file system in memory, where Linux has one.
const MEMORY: &str = "/dev/shm";
/// The free space in kibibytes that the tests need there. A container may have less.
const MEMORY_KIB: u64 = 4 << 20;

/// Number of mutated inputs for every target of `fuzz/`. `cargo xtask fuzz` generates more and other inputs.
const CHANGED_INPUTS: u64 = 200;

/// Runs all checks that a change must pass.
///
/// It does not compile candle with its kernels for GPUs, which takes minutes: pada-candle has the same source code with and without them.
/// `cargo xtask candle-cuda` does, after another version of candle was chosen.
pub(crate) fn run() -> anyhow::Result<()> {
    let started = Instant::now();
    call("fmt", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--all-targets", "--release", "--", "--deny", "warnings"];
    call("clippy", &cargo::workspace(&clippy))?;
    // The program that users build has no candle executor. Only the crates that have this feature are compiled again.
    call("clippy without candle", &["clippy", "--release", "--workspace", "--", "--deny", "warnings"])?;
    // This feature of pada-train's `candle-cuda` changes code of this project.
    call(
        "clippy with linked CUDA libraries",
        &[
            "clippy",
            "--release",
            "-p",
            "pada-engine",
            "--features",
            "linked-cuda",
            "--",
            "--deny",
            "warnings",
        ],
    )?;
    // All steps use the release profile, so that the artifacts of clippy are reused.
    step("doc", || {
        let args = cargo::workspace(&["doc", "--no-deps", "--release", "--quiet"]);
        cargo::finish(cargo::command(&args)?.env("RUSTDOCFLAGS", "--deny warnings"))
    })?;
    step("tidy", tidy::run)?;
    step("packages", || packages::run(Verify::Contents))?;
    match deny::is_installed() {
        true => step("deny", deny::offline)?,
        false => {
            eprintln!("ci: cargo-deny is not installed: of deny.toml only the licences were checked, by tidy")
        }
    }
    let python = onnxruntime::python();
    if let Err(error) = &python {
        eprintln!("ci: NO ONNXRUNTIME, its comparison skips: {error:#}");
    }
    let nvrtc = nvrtc::folder();
    if let Err(error) = &nvrtc {
        eprintln!("ci: NO NVRTC, CUDA kernels are not compiled: {error:#}");
    }
    let ranks = mpi::environment();
    if let Err(error) = &ranks {
        eprintln!("ci: NO MPI, tests of several processes are skipped: {error:#}");
    }
    let package = python_package::environment();
    if let Err(error) = &package {
        eprintln!("ci: NO PYTHON, the Python package is compiled and not tested: {error:#}");
    }
    let environment = environment(python.as_deref().ok(), nvrtc.as_deref().ok())?;
    let mut binaries = Vec::new();
    step("build of the tests", || {
        // The report of cargo, target/cargo-timings/cargo-timing.html, shows what the build waits for.
        binaries = test_binaries::build(&["--timings"])?;
        Ok(())
    })?;
    let (of_programs, of_libraries) = binaries.into_iter().partition::<Vec<_>, _>(starts_programs);
    // Most tests have phases with one thread, so that two queues leave no processor idle. Whoever ends first helps with the libraries.
    let waiting = Mutex::new(of_libraries.iter());
    // The threads of candle wait for each other in loops, which takes processors from other tests.
    let one_thread = [&environment[..], &[(THREADS, "1".into())]].concat();
    let libraries = || {
        let next = || waiting.lock().expect("taking a test does not panic").next();
        std::iter::from_fn(next).try_for_each(|binary| step(&binary.name(), || binary.run(&one_thread)))
    };
    let [programs, libraries] = std::thread::scope(|scope| {
        let libraries_and_examples = scope.spawn(|| {
            step("examples in docs", || test_binaries::run_examples(&one_thread))?;
            libraries()
        });
        let programs = || {
            of_programs.iter().try_for_each(|binary| step(&binary.name(), || binary.run(&environment)))?;
            step("broken input", || fuzz::slice(CHANGED_INPUTS))?;
            step("GPU kit", gpu_kit)?;
            if let Ok(venv) = &package {
                step("Python package", || python_package::test(venv, &environment))?;
            }
            // It comes last of these, because it replaces the program that the others start.
            let Ok(environment) = &ranks else { return Ok(()) };
            let with_ranks = of_programs
                .iter()
                .find(|tests| tests.package_name() == "pada-train" && tests.target == "main");
            let tests = with_ranks.context("pada-train has the tests `main`")?;
            step("several processes", || mpi::test(tests, environment))
        };
        [programs().and_then(|()| libraries()), libraries_and_examples.join().expect("no step panics")]
    });
    if let (Err(one), Err(other)) = (&programs, &libraries) {
        bail!("{one:#}\n{other:#}");
    }
    programs.and(libraries)?;
    let mut less = String::new();
    if python.is_err() {
        less += "; ONNX FILES WERE NOT RUN";
    }
    if package.is_err() {
        less += "; THE PYTHON PACKAGE WAS NOT TESTED";
    }
    if nvrtc.is_err() {
        less += "; CUDA KERNELS WERE NOT COMPILED FOR A GPU";
    }
    if ranks.is_err() {
        less += "; TESTS OF SEVERAL PROCESSES WERE NOT RUN";
    }
    eprintln!("ci: all passed in {:.0} s{less}", started.elapsed().as_secs_f64());
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let started = Instant::now();
    eprintln!("ci: {name}");
    work().with_context(|| format!("{name} failed"))?;
    eprintln!("ci: {name} passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Returns whether tests start programs in the target folder, which must not be replaced meanwhile.
fn starts_programs(tests: &TestBinary) -> bool {
    ["pada-train", "pada-bench", "pada-gpu-kit", "fuzz"].contains(&tests.package_name().as_str())
}

fn call(name: &str, args: &[&str]) -> anyhow::Result<()> {
    step(name, || cargo::finish(&mut cargo::command(args)?))
}

/// Returns the environment variables of tests: optional programs and libraries that they use if they are installed.
fn environment(python: Option<&Path>, nvrtc: Option<&Path>) -> anyhow::Result<Vec<(&'static str, OsString)>> {
    // Without this variable, candle reads /proc/cpuinfo before every product of matrices, which takes most of the time of its tests.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let mut environment = vec![(THREADS, threads.to_string().into())];
    // Tests write many checkpoints, each of which waits until it is on the disk.
    if std::env::var_os("TMPDIR").is_none() && free_kib(MEMORY).is_some_and(|free| free >= MEMORY_KIB) {
        environment.push(("TMPDIR", MEMORY.into()));
    }
    let shared = paths::shared()?;
    if shared.is_dir() {
        environment.push((REQUIRE_SHARED, "1".into()));
    } else {
        eprintln!("ci: {} does not exist: tests against PyTorch's values skip", shared.display());
    }
    environment.extend(python.map(|python| (onnxruntime::PYTHON, python.into())));
    if let Some(folder) = nvrtc {
        environment.extend([nvrtc::search_path(folder)?, (nvrtc::REQUIRE, "1".into())]);
    }
    Ok(environment)
}

/// Returns the free space of a folder in kibibytes, or `None` if `df` does not know it.
fn free_kib(folder: &str) -> Option<u64> {
    let output = Command::new("df").args(["-P", "-k", folder]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

/// Builds a kit and runs its script without a GPU.
fn gpu_kit() -> anyhow::Result<()> {
    cargo::finish(Command::new(binary::built("pada-gpu-kit")?).arg("--self-test"))
}
