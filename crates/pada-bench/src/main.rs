#![doc = include_str!("../README.md")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the terminal")]
#![allow(rustdoc::invalid_html_tags, reason = "doc comments are the texts of --help, which writes <NAME>")]
mod compare;
mod device;
mod device_ops;
mod engine;
mod gpu;
mod gpu_summary;
mod isolated;
mod kernel_times;
mod machine;
mod ops;
mod predictions;
mod record;
mod sides;
mod soak;
mod space;
mod statistics;
mod summary;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use statistics::{Line, median};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// Times the engine, alone and against PyTorch on the same work.
#[derive(Parser)]
#[command(name = "pada-bench", bin_name = "cargo xtask bench")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

/// The benchmark.
#[derive(clap::Subcommand)]
enum Task {
    /// One training step per path: forward, backward, clip to 5, SGD.
    ///
    /// Batch 256 (nb201), 64 (darts) or 16 (proxyless).
    ///
    /// Example: cargo xtask bench step --space darts --steps 12 --threads 2 --json
    ///
    /// Every path runs once before the clock starts.
    ///
    /// On a GPU: cargo xtask bench step --device cuda:0 --precision bf16 --gradient-variance --kernels
    Step(engine::Args),
    /// Forward passes only, with twice the batch size of a step.
    ///
    /// Example: cargo xtask bench rank --steps 12 --threads 2 --json
    ///
    /// On a GPU: cargo xtask bench rank --device cuda:0 --kernels
    Rank(engine::Args),
    /// Each kernel alone, compared with the machine's limits; on a GPU each operation alone, compared with its predicted time.
    ///
    /// Example: cargo xtask bench ops --threads 2
    ///
    /// On a GPU: cargo xtask bench ops --device cuda:0
    Ops(ops::Args),
    /// Compare the engine with PyTorch on the same paths, and write a record folder under xtask/records/.
    ///
    /// Example: cargo xtask bench compare --peer ../shared/peer --python python3
    ///
    /// On the CPU, PyTorch's side is peer_bench.py, which warms up on the first four paths; the engine warms up on all of them, so
    /// that its arena does not grow inside a timed step.
    ///
    /// On a GPU, PyTorch's side is a program of this crate that only imports the networks of --peer. It uses cudnn.benchmark and PyTorch's
    /// default for TF32, and both sides warm up on all paths. The engine's training step includes gradient variance; the record
    /// also has its time without it. After the rounds, torch.compile is timed on a few paths.
    ///
    /// On one GPU: the same with --device cuda:0 --name gpu
    Compare(compare::Args),
    /// Rewrite the summary of a record from its samples.
    ///
    /// Example: cargo xtask bench summary xtask/records/2026-11-25-cpu-12-paths
    Summary {
        /// The record's folder.
        record: std::path::PathBuf,
    },
    /// Train many short epochs and measure whether memory grows; `cargo xtask soak` is the same.
    ///
    /// Example: cargo xtask soak --epochs 1000
    Soak(soak::Args),
}

fn main() -> ExitCode {
    let asked = std::env::var("RUST_LOG").ok().and_then(|asked| asked.parse().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(filter).init();
    xtask::usage::end(run(&Cli::parse().task))
}

fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Step(args) => engine::run(engine::Work::Step, args),
        Task::Rank(args) => engine::run(engine::Work::Rank, args),
        Task::Ops(args) => ops::run(args),
        Task::Compare(args) => compare::run(args),
        Task::Soak(args) => soak::run(args),
        Task::Summary { record } => record::Record::read(record)?.write_summary(record),
    }
}
