//! Times the engine on the work that `peer_bench.py` times PyTorch on, and prints the same fields.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use pada_data::Normalize;
use pada_graph::{
    Batch, ByteImages, Decayed, DeviceDataset, Images, LossSpec, Lower, Pixels, Precision, SgdStep,
    UnusedWeights,
};
use pada_space::{Arch, SearchSpace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::device::{Device, OnDevice};
use super::space::{Extents, Space};
use super::{machine, statistics};
use crate::usage;

/// Seed of paths, weights and images.
const SEED: u64 = 0;
/// Of random bytes: about as far from 0 as normalised photographs.
const NORMALIZE: Normalize = Normalize { mean: [0.5; 3], std: [0.29; 3] };
/// Paths that are run before the clock starts.
const WARM_UP: usize = 4;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// A training step.
    Step,
    /// Forward only.
    Rank,
}

impl Work {
    /// The name of its command.
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
    /// How many paths are timed.
    #[arg(long, default_value = "12")]
    steps: usize,
    #[command(flatten)]
    extents: Extents,
    /// What computes: cpu or cuda:N. A GPU holds the images, and is timed until the logits are there.
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Threads; all cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Numbers that convolutions multiply.
    #[arg(long, default_value = "f32")]
    precision: Numbers,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Numbers {
    F32,
    Bf16,
}

pub(crate) fn run(work: Work, args: &Args) -> anyhow::Result<()> {
    ensure!(args.steps > 0, "--steps must be at least 1");
    rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build_global()?;
    let Args { space, extents, .. } = args;
    let paths = match &args.paths {
        Some(file) => read_paths(file, *space, args.steps)?,
        None => random_paths(space.space().as_ref(), args.steps),
    };
    let batch = space.batch(work, extents);
    let net = space.net(extents);
    let (precision, mode) = match args.precision {
        Numbers::F32 => (Precision::F32, "f32"),
        Numbers::Bf16 => (Precision::Bf16, "bf16"),
    };
    let mut bench = Bench::new(net.as_ref(), space.classes(), batch, args.device, precision)?;
    let setup_bytes = machine::memory(machine::RESIDENT);
    for path in paths.iter().cycle().take(WARM_UP) {
        bench.once(work, path)?;
    }
    let mut seconds = Vec::new();
    for path in &paths {
        let started = Instant::now();
        bench.once(work, path)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let mean = seconds.iter().sum::<f64>() / seconds.len() as f64;
    let median = statistics::median(&seconds);
    let name = bench.engine.executor().name().to_owned();
    println!("{name}: median {median:.4} s, mean {mean:.4} s, {:.0} images/s", batch as f64 / mean);
    if args.json {
        println!(
            "{}",
            json!({
                "engine": name,
                "device": args.device.to_string(),
                "space": space.name(),
                "task": work.task(),
                "mode": mode,
                "batch": batch,
                "cells": space.cells(extents),
                "threads": rayon::current_num_threads(),
                "steps": args.steps,
                "mean_s": mean,
                "median_s": median,
                "images_per_s": batch as f64 / mean,
                "seconds": seconds,
                "setup_bytes": setup_bytes,
                "peak_bytes": machine::memory(machine::PEAK),
                "buffer_bytes": bench.engine.memory_bytes(),
                "checksum": bench.checksum,
            })
        );
    }
    Ok(())
}

struct Bench<'a> {
    net: &'a dyn Lower,
    engine: OnDevice,
    /// The images, where the device holds them.
    held: Option<DeviceDataset>,
    pixels: Vec<f32>,
    labels: Vec<u32>,
    /// Sum of all logits: that the work was done, and the same work.
    checksum: f64,
}

impl<'a> Bench<'a> {
    fn new(
        net: &'a dyn Lower,
        classes: usize,
        batch: usize,
        device: Device,
        precision: Precision,
    ) -> anyhow::Result<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let weights = pada_models::init_weights(net.weights(), &mut rng);
        let mut engine = device.engine(net.weights().clone(), weights, precision)?;
        let shape = net.input();
        let bytes: Vec<u8> = (0..batch * shape.numel()).map(|_| rng.random()).collect();
        let labels: Vec<u32> = (0..batch).map(|_| rng.random_range(0..classes as u32)).collect();
        let values = NORMALIZE.values(shape.channels);
        let images = ByteImages { bytes: &bytes, labels: &labels, shape, values: &values };
        let held = engine.executor().upload_dataset(&images)?;
        let plane = |i: usize| i / shape.pixels() % shape.channels;
        let pixels =
            bytes.iter().enumerate().map(|(i, &byte)| values[plane(i) * 256 + usize::from(byte)]).collect();
        Ok(Self { net, engine, held, pixels, labels, checksum: 0.0 })
    }

    fn once(&mut self, work: Work, path: &Arch) -> anyhow::Result<()> {
        let graph = self.net.lower(path)?.simplified();
        let pixels = match self.held {
            Some(set) => Pixels::Range(set, 0, self.labels.len()),
            None => Pixels::Given(&self.pixels),
        };
        let images = Images { pixels, shape: self.net.input() };
        let engine = self.engine.executor();
        let logits = match work {
            Work::Rank => engine.logits(&graph, &images)?,
            Work::Step => {
                engine.zero_gradient();
                let batch = Batch { images, labels: &self.labels };
                let stats = engine.gradients(&graph, &batch, &LossSpec::default())?;
                let norm = pada_trainer::global_norm(&engine.gradient_norms());
                engine.update(&SgdStep {
                    lr: 0.05,
                    momentum: 0.9,
                    weight_decay: 2.5e-4,
                    decayed: Decayed::All,
                    gradient_scale: pada_trainer::clip_factor(norm, 5.0) as f32,
                    unused: UnusedWeights::Decay,
                });
                stats.logits
            }
        };
        engine.deferred_error()?;
        self.checksum += logits.values.iter().map(|&v| f64::from(v)).sum::<f64>();
        Ok(())
    }
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
    ensure!(!paths.is_empty(), "{} holds no path", file.display());
    Ok(paths.into_iter().cycle().take(steps).collect())
}
