use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::Args as ClapArgs;

use xtask::usage::usage;
use xtask::{binary, cargo, paths};

/// Compiler flags for the instrumentation that libFuzzer needs, the same as those of `cargo fuzz`. They work without a nightly compiler.
const COVERAGE: [&str; 5] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];
/// The profile in `Cargo.toml` with overflow checks.
const PROFILE: &str = "fuzz";
/// Time limit of one input.
const SECONDS_AN_INPUT: &str = "-timeout=20";
const MEBIBYTES: &str = "-rss_limit_mb=2048";
const LONGEST: &str = "-max_len=65536";

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Time for each target.
    #[arg(long, default_value = "60")]
    seconds: u64,
    /// Run only this target; all if not given.
    #[arg(long)]
    target: Option<String>,
}

/// Runs libFuzzer on every target of `fuzz/`.
///
/// # Errors
/// Returns an error if a target finds a bug. The input is stored in `fuzz/artifacts/`.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let home = folder()?;
    let targets = targets()?;
    if let Some(only) = &args.target {
        let known = || usage(format!("--target: there is no {only}; there are {}", targets.join(", ")));
        targets.contains(only).then_some(()).ok_or_else(known)?;
    }
    let targets: Vec<_> =
        targets.into_iter().filter(|name| args.target.as_ref().is_none_or(|only| only == name)).collect();
    let mut build =
        cargo::command(&["build", "--profile", PROFILE, "--features", "libfuzzer", "--manifest-path"])?;
    build.arg(home.join("Cargo.toml")).arg("--target-dir").arg(home.join("target"));
    // Only these binaries are built, because the other programs do not link with coverage flags.
    build.args(targets.iter().flat_map(|name| ["--bin".to_owned(), format!("fuzz_{name}")]));
    // With an explicit target triple, the flags do not apply to build scripts.
    let host = cargo::host()?;
    build.arg("--target").arg(&host).env("RUSTFLAGS", COVERAGE.join(" "));
    cargo::finish(&mut build)?;
    let programs = home.join("target").join(&host).join(PROFILE);
    std::fs::create_dir_all(home.join("artifacts"))?;
    let mut broken = Vec::new();
    for target in &targets {
        let grown = home.join("grown").join(target);
        std::fs::create_dir_all(&grown)?;
        let mut fuzz = Command::new(programs.join(format!("fuzz_{target}")));
        fuzz.arg(&grown).arg(home.join("corpus").join(target));
        fuzz.args([SECONDS_AN_INPUT, MEBIBYTES, LONGEST, "-print_final_stats=1"]);
        fuzz.arg(format!("-max_total_time={}", args.seconds));
        fuzz.arg(format!("-artifact_prefix={}/{target}-", home.join("artifacts").display()));
        let output = fuzz.stdout(Stdio::null()).output().with_context(|| format!("{fuzz:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let number =
            |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).unwrap_or("?").trim().to_owned();
        println!(
            "{target}: {} inputs, {} MiB",
            number("stat::number_of_executed_units:"),
            number("stat::peak_rss_mb:")
        );
        if !output.status.success() {
            let last = said.lines().rev().take(40).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>();
            broken.push(format!("{target}:\n{}", last.join("\n")));
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// Runs every target on its corpus and on `changes` mutated inputs, which are the same in every run. It needs no libFuzzer and uses the
/// build of the tests.
pub(crate) fn slice(changes: u64) -> anyhow::Result<()> {
    cargo::finish(Command::new(binary::built("replay")?).arg(changes.to_string()))
}

/// Returns the names of the targets, which are those of their corpora.
fn targets() -> anyhow::Result<Vec<String>> {
    let corpus = folder()?.join("corpus");
    let entries = std::fs::read_dir(&corpus).with_context(|| corpus.display().to_string())?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn folder() -> anyhow::Result<PathBuf> {
    Ok(paths::root()?.join("fuzz"))
}
