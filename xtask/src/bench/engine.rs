//! Times the engine on the work that `peer_bench.py` times PyTorch on, and prints the same fields.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use pada_engine::Engine;
use pada_graph::{
    Batch, Decayed, Executor, IdleWeights, Images, LossSpec, Lower, Nb201Net, Norms, Precision, SgdStep,
    Shape,
};
use pada_space::{Arch, Nb201, SearchSpace};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{machine, statistics};

/// Seed of paths, weights and images.
const SEED: u64 = 0;
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

    /// Images of a batch in `peer_bench.py`.
    pub(crate) fn batch(self) -> usize {
        match self {
            Self::Step => 256,
            Self::Rank => 512,
        }
    }
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Search space.
    #[arg(long, default_value = "nb201")]
    space: Space,
    /// A JSON list of paths, each a list of digits, as `peer_bench.py --print-paths` prints; drawn at random if not given.
    #[arg(long, value_name = "FILE.json")]
    paths: Option<PathBuf>,
    /// How many paths are timed.
    #[arg(long, default_value = "12")]
    steps: usize,
    /// Images per batch; 256 for `step`, 512 for `rank` if not given.
    #[arg(long)]
    batch: Option<usize>,
    /// N, cells per stage.
    #[arg(long, default_value = "5")]
    cells: usize,
    /// C, channels of the first stage.
    #[arg(long, default_value = "16")]
    channels: usize,
    /// Height and width of the images.
    #[arg(long, default_value = "32")]
    size: usize,
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

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Space {
    Nb201,
}

pub(crate) fn run(work: Work, args: &Args) -> anyhow::Result<()> {
    ensure!(args.steps > 0 && args.batch != Some(0), "--steps and --batch must be at least 1");
    rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build_global()?;
    let Space::Nb201 = args.space;
    let paths = match &args.paths {
        Some(file) => read_paths(file, args.steps)?,
        None => random_paths(args.steps),
    };
    let batch = args.batch.unwrap_or(work.batch());
    let shape = Shape::new(3, args.size, args.size);
    let net = Nb201Net::new(args.channels, args.cells, shape, 10, Norms::Plain);
    let (precision, mode) = match args.precision {
        Numbers::F32 => (Precision::Single, "f32"),
        Numbers::Bf16 => (Precision::Half, "bf16"),
    };
    let mut bench = Bench::new(&net, batch, shape, precision);
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
    println!(
        "{}: median {median:.4} s, mean {mean:.4} s, {:.0} images/s",
        bench.engine.name(),
        batch as f64 / mean
    );
    if args.json {
        println!(
            "{}",
            json!({
                "engine": bench.engine.name(),
                "space": "nb201",
                "task": work.task(),
                "mode": mode,
                "batch": batch,
                "cells": args.cells,
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
    engine: Engine,
    shape: Shape,
    pixels: Vec<f32>,
    labels: Vec<u32>,
    /// Sum of all logits: that the work was done, and the same work.
    checksum: f64,
}

impl<'a> Bench<'a> {
    fn new(net: &'a dyn Lower, batch: usize, shape: Shape, precision: Precision) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let weights = pada_supernet::init_weights(net.weights(), &mut rng);
        let engine = Engine::new(net.weights().clone(), weights, precision);
        let pixels = (0..batch * shape.numel()).map(|_| rng.random_range(-1.7..1.7)).collect();
        let labels = (0..batch).map(|_| rng.random_range(0..10)).collect();
        Self { net, engine, shape, pixels, labels, checksum: 0.0 }
    }

    fn once(&mut self, work: Work, path: &Arch) -> anyhow::Result<()> {
        let graph = self.net.lower(path)?.simplified();
        let images = Images { pixels: &self.pixels, shape: self.shape };
        let logits = match work {
            Work::Rank => self.engine.logits(&graph, &images)?,
            Work::Step => {
                self.engine.zero_gradient();
                let batch = Batch { images, labels: &self.labels };
                let stats = self.engine.gradients(&graph, &batch, &LossSpec::default())?;
                let norm = pada_trainer::global_norm(&self.engine.gradient_norms());
                self.engine.update(&SgdStep {
                    lr: 0.05,
                    momentum: 0.9,
                    weight_decay: 2.5e-4,
                    decayed: Decayed::All,
                    gradient_scale: pada_trainer::clip_factor(norm, 5.0) as f32,
                    idle: IdleWeights::Decay,
                });
                stats.logits
            }
        };
        self.checksum += logits.values.iter().map(|&v| f64::from(v)).sum::<f64>();
        Ok(())
    }
}

fn random_paths(steps: usize) -> Vec<Arch> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    (0..steps).map(|_| Nb201::new().sample(&mut rng)).collect()
}

fn read_paths(file: &Path, steps: usize) -> anyhow::Result<Vec<Arch>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lists: Vec<Vec<u8>> = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
    let space = Nb201::new();
    let digits = |list: &Vec<u8>| list.iter().map(u8::to_string).collect::<String>();
    let paths = lists.iter().map(|list| space.parse(&digits(list))).collect::<Result<Vec<_>, _>>()?;
    ensure!(!paths.is_empty(), "{} holds no path", file.display());
    Ok(paths.into_iter().cycle().take(steps).collect())
}
