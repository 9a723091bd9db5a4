//! Memory over a long training: it must not grow.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args as ClapArgs;
use pada_report::{Axes, Curve, Origin, Spread, curve_plot};

use crate::{Line, machine, median};
use xtask::{binary, paths};

/// Settings of the run, beside the number of epochs: small, so that an epoch takes a fraction of a second.
const SETTINGS: [&str; 4] =
    ["data.train_images=256", "rank.images=200", "rank.batch=100", "compute.executor=engine"];
const POLL: Duration = Duration::from_millis(20);
/// Fraction of epochs that count as warm-up, in which caches fill and the allocator reaches its final size.
const WARM_UP: f64 = 0.1;
const MIB: f64 = 1024.0 * 1024.0;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Epochs to train.
    #[arg(long, default_value = "1000")]
    epochs: usize,
    /// Epochs between two measurements.
    #[arg(long, default_value = "5")]
    every: usize,
    /// Largest allowed growth, KiB per epoch: the slope of a line through all measurements but those of the first tenth.
    #[arg(long, default_value = "8")]
    limit: f64,
}

/// Resident memory after an epoch.
#[derive(Clone, Copy)]
struct Sample {
    epoch: usize,
    seconds: f64,
    bytes: u64,
}

/// Trains, measures memory and writes `xtask/records/<date>-soak`.
///
/// # Errors
/// Returns an error if memory grows by more than the limit. The record is written in both cases.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let folder = paths::root()?.join("xtask/records").join(format!("{}-soak", machine::today()));
    ensure!(!folder.exists(), "{} is there: remove it to measure anew", folder.display());
    let program = binary::build()?;
    let place = tempfile::tempdir()?;
    let run = place.path().join("run");
    let samples = measure(&program, &run, args)?;
    let record = std::fs::metadata(run.join("record.json")).context("the record of the run")?.len();
    let growth = Growth::of(&samples, args.epochs)?;
    std::fs::create_dir_all(&folder)?;
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).with_context(|| folder.join(name).display().to_string())
    };
    write("memory.csv", &csv(&samples))?;
    write("memory.svg", &figure(&samples))?;
    let summary = summary(args, &samples, &growth, record);
    write("summary.md", &summary)?;
    print!("{summary}");
    eprintln!("record in {}", folder.display());
    let kib = growth.slope / 1024.0;
    ensure!(kib <= args.limit, "memory grows by {kib:.1} KiB an epoch, the limit is {}", args.limit);
    Ok(())
}

fn settings(epochs: usize) -> Vec<String> {
    let all = SETTINGS.map(str::to_owned).into_iter().chain([format!("train.epochs={epochs}")]);
    all.flat_map(|setting| ["--set".to_owned(), setting]).collect()
}

fn measure(program: &Path, run: &Path, args: &Args) -> anyhow::Result<Vec<Sample>> {
    let mut child = Command::new(program)
        .args(settings(args.epochs))
        .arg("--out")
        .arg(run)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| program.display().to_string())?;
    let samples = watch(&mut child, run, args.every);
    if samples.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    ensure!(status.success(), "the run: {status}");
    samples
}

/// Measures memory after every `every` epochs, when the checkpoint is written.
fn watch(child: &mut Child, run: &Path, every: usize) -> anyhow::Result<Vec<Sample>> {
    let started = Instant::now();
    let mut samples: Vec<Sample> = Vec::new();
    while child.try_wait()?.is_none() {
        std::thread::sleep(POLL);
        let next = samples.last().map_or(every, |last| last.epoch + every);
        let epoch = newest_epoch(run);
        if epoch < next {
            continue;
        }
        // Between the checkpoint of the last epoch and the end of the program there may be nothing left to measure.
        if let Some(bytes) = machine::memory_of(child.id(), machine::RESIDENT) {
            samples.push(Sample { epoch, seconds: started.elapsed().as_secs_f64(), bytes });
        }
    }
    Ok(samples)
}

fn newest_epoch(run: &Path) -> usize {
    let epoch = |path: PathBuf| {
        let name =
            path.file_name()?.to_str()?.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.to_owned();
        name.parse::<usize>().ok()
    };
    let Ok(entries) = std::fs::read_dir(run) else { return 0 };
    entries.filter_map(|entry| epoch(entry.ok()?.path())).max().unwrap_or(0)
}

/// The growth of memory after the warm-up.
struct Growth {
    /// Bytes per epoch, by least squares.
    slope: f64,
    /// Median of the first and of the last quarter.
    first: f64,
    last: f64,
}

impl Growth {
    fn of(samples: &[Sample], epochs: usize) -> anyhow::Result<Self> {
        let warm: Vec<_> = samples.iter().filter(|s| s.epoch as f64 >= WARM_UP * epochs as f64).collect();
        ensure!(
            warm.len() >= 8,
            "{} measurements behind the first tenth are too few; train more epochs",
            warm.len()
        );
        let points: Vec<_> = warm.iter().map(|s| (s.epoch as f64, s.bytes as f64)).collect();
        let bytes: Vec<_> = points.iter().map(|p| p.1).collect();
        let quarter = bytes.len() / 4;
        Ok(Self {
            slope: Line::through(&points).slope,
            first: median(&bytes[..quarter]),
            last: median(&bytes[bytes.len() - quarter..]),
        })
    }
}

fn csv(samples: &[Sample]) -> String {
    let mut csv = "epoch,seconds,resident_bytes\n".to_owned();
    for Sample { epoch, seconds, bytes } in samples {
        let _ = writeln!(csv, "{epoch},{seconds:.2},{bytes}");
    }
    csv
}

fn figure(samples: &[Sample]) -> String {
    let point = |s: &Sample| (s.epoch as f64, Spread { mean: s.bytes as f64 / MIB, sd: None, n: 1 });
    let memory = Curve { label: "resident memory".to_owned(), points: samples.iter().map(point).collect() };
    // The axis starts at zero, because otherwise the noise of a single page fills the plot.
    curve_plot("Resident memory of a run", &Axes { x: "epoch", y: "MiB" }, Origin::Zero, &[memory])
}

fn summary(args: &Args, samples: &[Sample], growth: &Growth, record: u64) -> String {
    let Growth { slope, first, last } = growth;
    let seconds = samples.last().map_or(0.0, |s| s.seconds);
    let settings = settings(args.epochs).join(" ");
    format!(
        "# {date}: memory of {epochs} epochs\n\n\
         ```text\npada {settings}\n```\n\n\
         Resident memory every {every} epochs, {n} measurements in {seconds:.0} s: [memory.csv](memory.csv), [memory.svg](memory.svg).\n\n\
         | | |\n|---|---|\n\
         | growth behind the first tenth, least squares | {kib:.2} KiB an epoch |\n\
         | median of the first quarter behind it | {first:.2} MiB |\n\
         | median of the last quarter | {last:.2} MiB |\n\
         | `record.json` | {kept:.2} KiB an epoch |\n\n\
         A run keeps the record of every epoch, and every checkpoint holds all of them: while one is written they are in memory several \
         times, as numbers and as text. That much a run must grow.\n\n\
         Made by `cargo xtask soak --epochs {epochs} --every {every}`.\n",
        date = machine::today(),
        epochs = args.epochs,
        every = args.every,
        n = samples.len(),
        kib = slope / 1024.0,
        kept = record as f64 / 1024.0 / args.epochs as f64,
        first = first / MIB,
        last = last / MIB,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn growth_is_measured_behind_the_first_tenth() {
        let bytes = |epoch: usize| if epoch < 100 { 1 << 20 } else { (1 << 30) + 2048 * epoch as u64 };
        let samples: Vec<_> =
            (0..1000).step_by(5).map(|epoch| Sample { epoch, seconds: 0.0, bytes: bytes(epoch) }).collect();
        let growth = Growth::of(&samples, 1000).unwrap();
        assert!((growth.slope - 2048.0).abs() < 1e-3, "{}", growth.slope);
        assert!(growth.last > growth.first);
        assert!(Growth::of(&samples[..22], 1000).is_err());
    }
}
