use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::{binary, paths, tidy};

/// Makes tests fail, instead of saying that they skip, where reference values are missing.
const REQUIRE_SHARED: &str = "PADA_REQUIRE_SHARED";

/// Everything that must hold before a change lands.
pub(crate) fn run() -> anyhow::Result<()> {
    let started = Instant::now();
    cargo("fmt", &["fmt", "--all", "--check"])?;
    cargo("clippy", &["clippy", "--workspace", "--all-targets", "--release", "--", "--deny", "warnings"])?;
    step("tidy", tidy::run)?;
    cargo("test", &["test", "--release", "--workspace"])?;
    step("smoke run", smoke)?;
    eprintln!("ci: all passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let started = Instant::now();
    eprintln!("ci: {name}");
    work().with_context(|| format!("{name} failed"))?;
    eprintln!("ci: {name} passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(name: &str, args: &[&str]) -> anyhow::Result<()> {
    step(name, || {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(args).current_dir(paths::root());
        if paths::shared().is_dir() {
            command.env(REQUIRE_SHARED, "1");
        } else if name == "test" {
            eprintln!("ci: {} is not there: tests against PyTorch's values skip", paths::shared().display());
        }
        let status = command.status().context("cargo")?;
        ensure!(status.success(), "cargo {}: {status}", args.join(" "));
        Ok(())
    })
}

/// The default run, cut short: it must train, rank and print its result.
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
