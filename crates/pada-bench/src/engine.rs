//! Times the engine on the same work as PyTorch, and prints the same fields.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use pada_engine::cuda::KernelTiming;
use pada_exec::Convolution;
use pada_space::{Arch, SearchSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::device::{Device, Numbers};
use super::kernel_times::{self, KernelTimes, resources_json, resources_table};
use super::space::{Extents, Space};
use super::workload::{SEED, Setting, Variance, Workload};
use super::{machine, statistics};
use xtask::usage::{self, usage};

/// The timed work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A training step.
    Step,
    /// Forward only.
    Rank,
}

impl Work {
    /// Returns the name of its command.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Rank => "rank",
        }
    }

    /// The name it has in `peer_bench.py`.
    pub(crate) fn task(self) -> &'static str {
        match self {
            Self::Step => "train",
            Self::Rank => "rank",
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space.
    #[arg(long, default_value = "nb201")]
    space: Space,
    /// A JSON list of paths as `peer_bench.py --print-paths` prints; drawn at random if not given.
    #[arg(long, value_name = "FILE.json")]
    paths: Option<PathBuf>,
    /// Number of paths in a sweep. Every path runs once before the clock starts, so that no timed step allocates memory.
    #[arg(long, default_value = "12", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Number of timed sweeps over all paths.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    sweeps: u32,
    #[command(flatten)]
    extents: Extents,
    /// Device that computes: cpu or cuda:N. Images are uploaded to a GPU once, and it is timed until the logits are on the host. Its
    /// kernels come from the kernel cache ($PADA_CACHE), and steps run for one more second before the clock starts, so that the GPU has
    /// reached its clock rate.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Threads of the CPU; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Precision of convolutions.
    #[arg(long, default_value = "f32")]
    precision: Numbers,
    /// Algorithm of 3×3 convolutions on the CPU.
    #[arg(long, value_enum, default_value = "auto")]
    convolution: Convolution,
    /// Include gradient variance in a training step: as in training, the step takes in the gradients of the path's operations
    /// before it clips them.
    #[arg(long)]
    gradient_variance: bool,
    /// Also print the time of every kernel of a GPU, measured by event pairs in a second run over the same paths.
    #[arg(long)]
    kernels: bool,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(work: Work, args: &Args) -> anyhow::Result<()> {
    if args.gradient_variance && work == Work::Rank {
        return Err(usage("--gradient-variance: a forward pass has no gradients; use it with `bench step`"));
    }
    if args.kernels && args.device == Device::Cpu {
        return Err(usage("--kernels: only kernels of a GPU are timed alone; add --device cuda:N"));
    }
    args.device.gpu()?;
    rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build_global()?;
    let Args { space, extents, .. } = args;
    let steps = args.steps as usize;
    let paths = match &args.paths {
        Some(file) => read_paths(file, *space, steps)?,
        None => random_paths(space.space().as_ref(), steps),
    };
    let net = space.net(extents);
    let setting = Setting {
        device: args.device,
        numbers: args.precision,
        convolution: args.convolution,
        timing: KernelTiming::Off,
        variance: if args.gradient_variance { Variance::Included } else { Variance::LeftOut },
        batch: space.batch(work, extents),
        classes: space.classes(),
    };
    let mut workload = Workload::new(net.as_ref(), setting)?;
    let setup_bytes = machine::memory(machine::RESIDENT);
    workload.warm_up(work, &paths)?;
    let seconds = workload.time(work, &paths, args.sweeps as usize)?;
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    let median = statistics::median(&seconds);
    let name = workload.engine.executor().name().to_owned();
    let batch = setting.batch;
    println!("{name}: median {median:.4} s, mean {mean:.4} s, {:.0} images/s", batch as f64 / mean);
    let mut line = json!({
        "engine": name,
        "device": args.device.to_string(),
        "space": space.name(),
        "task": work.task(),
        "mode": args.precision.name(),
        "products": args.precision.products(args.device),
        "batch": batch,
        "cells": space.cells(extents),
        "threads": rayon::current_num_threads(),
        "steps": args.steps,
        "sweeps": args.sweeps,
        "convolution": (args.device == Device::Cpu && args.precision == Numbers::F32).then_some(args.convolution),
        "gradient_variance": args.gradient_variance,
        "mean_s": mean,
        "median_s": median,
        "images_per_s": batch as f64 / mean,
        "seconds": seconds,
        "setup_bytes": setup_bytes,
        "peak_bytes": machine::memory(machine::PEAK),
        "buffer_bytes": workload.engine.memory_bytes(),
        "checksum": workload.checksum,
    });
    // The memory of this engine is freed before the second engine allocates the same amount.
    drop(workload);
    if args.kernels {
        let timed = Workload::new(net.as_ref(), Setting { timing: KernelTiming::Events, ..setting })?;
        add_kernels(&mut line, timed, work, &paths)?;
    }
    if args.json {
        println!("{line}");
    }
    Ok(())
}

/// Times the kernels of every path, prints their table and adds them to a line.
fn add_kernels(line: &mut Value, mut timed: Workload<'_>, work: Work, paths: &[Arch]) -> anyhow::Result<()> {
    let driver = timed.engine.driver().context("only a GPU has kernels")?;
    timed.warm_up(work, paths)?;
    kernel_times::take(&driver)?;
    let mut times = KernelTimes::default();
    for path in paths {
        timed.once(work, path)?;
        times.add_step(&kernel_times::take(&driver)?);
    }
    let (resources, kernels) = (kernel_times::resources(&driver)?, times.kernels());
    let busy = times.microseconds_per_step();
    println!("\n{}\n{}", times.table(), resources_table(&resources, &kernels));
    println!("kernels of a step take {:.3} ms of {:.3} ms", busy / 1e3, number(line, "mean_s") * 1e3);
    println!("An event pair also measures part of the launch, so times of a few microseconds are too long.");
    line["kernels"] = times.to_json();
    line["kernel_resources"] = resources_json(&resources, &kernels);
    line["kernel_microseconds_per_step"] = json!(busy);
    Ok(())
}

fn number(line: &Value, field: &str) -> f64 {
    line[field].as_f64().unwrap_or(f64::NAN)
}

fn random_paths(space: &dyn SearchSpace, steps: usize) -> Vec<Arch> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    (0..steps).map(|_| space.sample(&mut rng)).collect()
}

fn read_paths(file: &Path, space: Space, steps: usize) -> anyhow::Result<Vec<Arch>> {
    let text = usage::read(file)?;
    let paths: Vec<Value> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let paths = paths.iter().map(|path| space.path(path));
    let paths = paths.collect::<anyhow::Result<Vec<_>>>().with_context(|| file.display().to_string())?;
    ensure!(!paths.is_empty(), "{} contains no path", file.display());
    Ok(paths.into_iter().cycle().take(steps).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::process::ExitCode;

    use clap::Parser;
    use pada_engine::cuda;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn refusal(work: Work, line: &[&str]) -> String {
        let args = Cli::try_parse_from([&["bench"], line].concat()).unwrap().args;
        let error = run(work, &args).unwrap_err();
        assert_eq!(usage::exit_code(&error), ExitCode::from(2), "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn options_that_do_not_fit_the_work_are_refused() {
        let error = refusal(Work::Rank, &["--gradient-variance"]);
        assert!(error.contains("a forward pass has no gradients"), "{error}");
        let error = refusal(Work::Step, &["--kernels"]);
        assert!(error.contains("--device cuda:N"), "{error}");
        assert!(Cli::try_parse_from(["bench", "--steps", "0"]).is_err());
    }

    #[test]
    fn without_a_driver_a_gpu_is_refused_in_its_words() {
        let Err(missing) = cuda::gpus() else { return };
        let error = refusal(Work::Step, &["--device", "cuda:0", "--kernels", "--cells", "1"]);
        assert_eq!(error, format!("--device cuda:0: {missing}"));
    }
}
