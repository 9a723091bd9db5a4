use std::ffi::OsString;
use std::num::NonZero;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use xtask::test_binaries::{self, TestBinary};
use xtask::{binary, cargo, nvrtc, paths};

use crate::packages::{self, Verify};
use crate::{deny, fuzz, mpi, onnxruntime, tidy};

/// Makes tests fail instead of skip if reference values are missing.
const REQUIRE_SHARED: &str = "PADA_REQUIRE_SHARED";

/// Number of threads of rayon and of candle.
const THREADS: &str = "RAYON_NUM_THREADS";

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
    let environment = environment(python.as_deref().ok(), nvrtc.as_deref().ok())?;
    let mut binaries = Vec::new();
    step("build of the tests", || {
        // The report of cargo, target/cargo-timings/cargo-timing.html, shows what the build waits for.
        binaries = test_binaries::build(&["--timings"])?;
        Ok(())
    })?;
    let (of_programs, of_libraries) = binaries.into_iter().partition::<Vec<_>, _>(starts_programs);
    // Most tests have phases with one thread, so that two queues leave no processor idle.
    let [programs, libraries] = std::thread::scope(|scope| {
        let libraries = scope.spawn(|| {
            // The threads of candle wait for each other in loops, which takes processors from other tests.
            let environment = [&environment[..], &[(THREADS, "1".into())]].concat();
            of_libraries.iter().try_for_each(|binary| step(&binary.name(), || binary.run(&environment)))?;
            step("examples in docs", || test_binaries::run_examples(&environment))
        });
        let programs = || {
            of_programs.iter().try_for_each(|binary| step(&binary.name(), || binary.run(&environment)))?;
            step("broken input", || fuzz::slice(CHANGED_INPUTS))?;
            step("smoke run", smoke)?;
            step("slice of table 1", table_slice)?;
            step("GPU kit", gpu_kit)?;
            // It comes last, because it replaces the program that the others start.
            let Ok(environment) = &ranks else { return Ok(()) };
            step("several processes", || mpi::test(environment.clone()))
        };
        [programs(), libraries.join().expect("no step panics")]
    });
    if let (Err(one), Err(other)) = (&programs, &libraries) {
        bail!("{one:#}\n{other:#}");
    }
    programs.and(libraries)?;
    let mut less = String::new();
    if python.is_err() {
        less += "; ONNX FILES WERE NOT RUN";
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

/// Checks that a shortened default run trains, ranks and prints its result.
fn smoke() -> anyhow::Result<()> {
    let program = binary::build()?;
    let folder = tempfile::tempdir()?;
    let output = Command::new(program)
        .args([
            "--json",
            "--set",
            "train.epochs=2",
            "--set",
            "data.train_images=640",
            "--set",
            "rank.images=500",
        ])
        .arg("--out")
        .arg(folder.path().join("run"))
        .current_dir(folder.path())
        .output()?;
    ensure!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let json = binary::last_line(&output.stdout)?;
    let ranked = json["archs_ranked"].as_u64();
    ensure!(ranked >= Some(60), "it ranked {ranked:?} architectures");
    ensure!(json["tau_b"].is_f64(), "it found no tau-b");
    Ok(())
}

/// Checks that two rows of the mini table, each in a shard, run once and are not run again.
fn table_slice() -> anyhow::Result<()> {
    let program = binary::build()?;
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("table");
    let table = |more: &[&str]| -> anyhow::Result<Output> {
        let mut command = Command::new(&program);
        command.args(["reproduce", "table1", "--preset", "mini", "--methods", "spos,pada", "--seeds", "1"]);
        command.args([
            "--set",
            "train.epochs=1",
            "--set",
            "data.train_images=640",
            "--set",
            "rank.images=500",
        ]);
        command.args(["--device", "cpu", "--json", "--out"]).arg(&out).args(more);
        command.current_dir(paths::root()?).output().context("pada reproduce")
    };
    let written = |more: &[&str]| -> anyhow::Result<String> {
        let output = table(more)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}\n{said}", output.status);
        let json = binary::last_line(&output.stdout)?;
        // A shard writes no table.
        json["table"].as_str().map_or(Ok(String::new()), |file| Ok(std::fs::read_to_string(file)?))
    };
    for shard in ["0/2", "1/2"] {
        written(&["--shard", shard])?;
    }
    let first = written(&[])?;
    for text in ["preset mini, changed: train.epochs=1", "| SPOS | 1 |", "| PA&DA (released) | 1 |"] {
        ensure!(first.contains(text), "{text} is not in\n{first}");
    }
    let started = Instant::now();
    let again = written(&[])?;
    ensure!(again == first, "the table changed:\n{again}");
    eprintln!("ci: finished runs were read in {:.1} s", started.elapsed().as_secs_f64());
    let refused = table(&["--set", "train.lr=0.1"])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(refused.status.code() == Some(2), "another config was not refused: {}", refused.status);
    ensure!(said.contains("train.lr is 0.05, would be 0.1"), "{said}");
    Ok(())
}

/// Builds a kit and runs its script without a GPU.
fn gpu_kit() -> anyhow::Result<()> {
    cargo::finish(Command::new(binary::built("pada-gpu-kit")?).arg("--self-test"))
}
