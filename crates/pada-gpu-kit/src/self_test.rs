//! Builds a kit and runs its script without a GPU, so that the script does not fail on its first real use.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use flate2::read::GzDecoder;
use pada_engine::cuda::CudaError;

use super::build::Candle;
use super::results::{Outcome, Results, Stage};
use super::{build, manifest, parts, programs};
use pada_fetch::sha256;

/// One GPU generation is enough to test that a kit contains kernels.
const TARGETS: [&str; 1] = ["sm_90"];
/// Environment variables of the user that would change the behaviour of the script.
const CLEARED: [&str; 10] = [
    "PADA_CACHE",
    "PADA_DATA",
    "PADA_GOLDEN",
    "PADA_KIT_GPU",
    "PADA_KIT_NCU_SKIP",
    "PADA_KIT_RUNS",
    "PADA_KIT_SET",
    "PADA_KIT_SPACES",
    "PADA_REQUIRE_SHARED",
    "PADA_TEST_CUDA",
];
/// A short check. No GPU is visible to it, whatever this machine has.
const SETTINGS: [(&str, &str); 6] = [
    ("CUDA_VISIBLE_DEVICES", ""),
    ("PADA_KIT_TOTAL", "150"),
    ("PADA_KIT_LIMIT", "30"),
    ("PADA_KIT_STEPS", "1"),
    ("PADA_KIT_SWEEPS", "1"),
    ("PADA_KIT_MINI", "--set train.epochs=1 --set data.train_images=640 --set rank.images=500"),
];
/// Stages that need no GPU.
const PASS: [&str; 2] = ["environment", "mini-cpu"];
/// Stages that fail without a GPU, and whose logs say so.
const FAIL: [&str; 7] =
    ["doctor", "tests-engine", "tests-trainer", "mini-gpu", "engine-f32", "engine-bf16", "ops"];
/// Stages that also depend on tools: they fail or are skipped, and say why.
const FAIL_OR_SKIP: [&str; 10] = [
    "sanitizer-memcheck",
    "sanitizer-racecheck",
    "sanitizer-initcheck",
    "sanitizer-synccheck",
    "mini-compare",
    "candle",
    "engine-tf32",
    "torch",
    "ncu",
    "torch-compile",
];
/// Limits for the number of result files and the size of each file.
const MOST_FILES: usize = 8;
const LARGEST_FILE: u64 = 16 << 20;

/// Builds a kit in a temporary folder and runs its script.
///
/// # Errors
/// Returns an error if the kit is too large, damaged or has symbols, if a part of a data set is not restored, or if a stage of the script
/// has another outcome than expected without a GPU.
pub(crate) fn run() -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let kit = place.path().join("kit");
    let plan = build::Plan { out: kit.clone(), peer: None, targets: &TARGETS, candle: Candle::LeftOut };
    let size = build::run(&plan)?;
    ensure!(manifest::verify(&kit)? == size, "the kit's list has other sizes than its files");
    check_programs(&kit.join("bin"))?;
    check_restoring(&kit, place.path())?;
    let output = check(&kit, place.path())?;
    let shown = String::from_utf8_lossy(&output.stdout);
    let folder = place.path().join("results");
    let results = Results::read(&folder).with_context(|| format!("run.sh check printed:\n{shown}"))?;
    check_stages(&results).with_context(|| format!("run.sh check printed:\n{shown}"))?;
    ensure!(
        output.status.code() == Some(1),
        "run.sh check ended with {}, although stages failed",
        output.status
    );
    check_files(&folder)?;
    eprintln!("gpu-kit: {:.1} MB; {} stages were reported", size as f64 / 1e6, results.stages.len());
    Ok(())
}

/// Checks that every program exists and has no symbols.
fn check_programs(folder: &Path) -> anyhow::Result<()> {
    let tests = programs::TESTS.iter().map(|test| format!("test-{}", test.target));
    for name in ["pada", "pada-bench", "pada-gpu-kit"].map(str::to_owned).into_iter().chain(tests) {
        let path = folder.join(format!("{name}.gz"));
        let packed = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let mut program = Vec::new();
        GzDecoder::new(&packed[..]).read_to_end(&mut program).with_context(|| path.display().to_string())?;
        ensure!(!programs::has_symbols(&program)?, "{name} has symbols");
    }
    Ok(())
}

/// Checks that a part is restored to the original file, and that a damaged part is rejected.
fn check_restoring(kit: &Path, place: &Path) -> anyhow::Result<()> {
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (part, list) = (place.join("sample.bin.gz"), place.join("list.txt"));
    parts::write_part(&part, &bytes)?;
    std::fs::write(&list, format!("{} sample.bin.gz sample/sample.bin\n", sha256(&bytes)))?;
    let restore = |into: &str, more: &[&str]| -> anyhow::Result<Output> {
        let mut python = Command::new("python3");
        python.arg(kit.join("restore.py")).arg("--list").arg(&list).arg("--into").arg(place.join(into));
        python.args(more).output().context("python3")
    };
    let part_name = part.to_str().context("a folder whose name is not valid UTF-8")?;
    ensure!(!restore("whole", &["--missing"])?.status.success(), "a missing file was not reported");
    let output = restore("whole", &[part_name])?;
    ensure!(output.status.success(), "restore.py: {}", String::from_utf8_lossy(&output.stdout));
    ensure!(
        std::fs::read(place.join("whole/sample/sample.bin"))? == bytes,
        "a part was restored to something else"
    );
    ensure!(restore("whole", &["--missing"])?.status.success(), "an existing file was reported as missing");

    let packed = std::fs::read(&part)?;
    let mut flipped = packed.clone();
    flipped[packed.len() / 2] ^= 1;
    let other = parts::gzip(b"something else")?;
    for (what, damaged) in
        [("flipped", &flipped[..]), ("cut", &packed[..packed.len() / 2]), ("other", &other[..])]
    {
        std::fs::write(&part, damaged)?;
        let output = restore(what, &[part_name])?;
        let said = String::from_utf8_lossy(&output.stdout);
        let refused = output.status.code() == Some(1) && said.contains("copy the part again");
        ensure!(refused, "a damaged part ({what}) was not rejected: {}\n{said}", output.status);
        let left = std::fs::read_dir(place.join(what).join("sample"))?.count();
        ensure!(left == 0, "a damaged part ({what}) left a file behind");
    }
    Ok(())
}

/// Runs `run.sh check` in a folder outside of any workspace.
fn check(kit: &Path, place: &Path) -> anyhow::Result<Output> {
    let mut command = Command::new("bash");
    command.arg(kit.join("run.sh")).arg("check").current_dir(place).env("OUT", place.join("results"));
    for name in CLEARED {
        command.env_remove(name);
    }
    command.envs(SETTINGS).output().context("bash")
}

/// Checks that every stage is reported with the expected outcome.
fn check_stages(results: &Results) -> anyhow::Result<()> {
    let stage = |name: &str| -> anyhow::Result<&Stage> {
        let stage = results.stages.iter().find(|stage| stage.name == name);
        stage.with_context(|| format!("the stage {name} is not reported"))
    };
    let log = |name: &str| results.logs.get(name).map_or("it has no log", String::as_str);
    for name in PASS {
        let outcome = stage(name)?.outcome();
        ensure!(outcome == Outcome::Passed, "the stage {name} needs no GPU: {outcome:?}\n{}", log(name));
    }
    let reasons = [CudaError::NoDriver, CudaError::NoGpu].map(|error| error.to_string());
    for name in FAIL {
        let outcome = stage(name)?.outcome();
        ensure!(
            matches!(outcome, Outcome::Failed(_)),
            "the stage {name} needs a GPU: {outcome:?}\n{}",
            log(name)
        );
        let says_why = reasons.iter().any(|reason| log(name).contains(reason));
        ensure!(says_why, "the stage {name} does not say that there is no driver or no GPU:\n{}", log(name));
    }
    for name in FAIL_OR_SKIP {
        let stage = stage(name)?;
        let outcome = stage.outcome();
        ensure!(outcome != Outcome::Passed, "the stage {name} passed without a GPU:\n{}", log(name));
        ensure!(!stage.text.is_empty(), "the stage {name} does not report why it ended: {outcome:?}");
    }
    for stage in &results.stages {
        ensure!(!stage.text.contains("no time was left"), "the stage {} did not run", stage.name);
        ensure!(results.logs.contains_key(&stage.name), "the stage {} has no log", stage.name);
    }
    Ok(())
}

/// Checks that the results are few and small files with plain names.
fn check_files(folder: &Path) -> anyhow::Result<()> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, size) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len());
        ensure!(entry.file_type()?.is_file(), "{name} among the results is no file");
        ensure!(size > 0 && size <= LARGEST_FILE, "{name} among the results has {size} bytes");
        count += 1;
    }
    ensure!(count <= MOST_FILES, "the results are {count} files, {MOST_FILES} at most are wanted");
    Ok(())
}
