//! House tasks: `cargo xtask ci`, `download`, `make-mini` and the rest; `cargo xtask --help` lists them.
#![allow(rustdoc::invalid_html_tags, reason = "doc comments are the texts of --help, which writes <NAME>")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the terminal")]

mod bench;
mod binary;
mod candle_cuda;
mod cargo;
mod ci;
mod deny;
mod download;
mod files;
mod fuzz;
mod gpu_kit;
mod make_mini;
mod mpi;
mod nvrtc;
mod onnxruntime;
mod packages;
mod paths;
mod reproduce;
mod soak;
mod tidy;
mod truth;
mod usage;
mod venv;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// House tasks of the pada workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints, house rules, all tests, the smoke run.
    ///
    /// Example: cargo xtask ci
    Ci,
    /// Check the house rules of docs/architecture.md.
    ///
    /// Example: cargo xtask tidy
    Tidy,
    /// Check what all dependencies may be, with cargo-deny: licences, bans, sources, known vulnerabilities.
    ///
    /// Example: cargo xtask deny
    Deny,
    /// Pack every crate as for a registry, and build each from its package alone.
    ///
    /// Example: cargo xtask package
    Package,
    /// Feed every reader of files with broken input, by libFuzzer.
    ///
    /// Example: cargo xtask fuzz --seconds 60
    Fuzz(fuzz::Args),
    /// Train many short epochs and see whether memory grows.
    ///
    /// Example: cargo xtask soak --epochs 1000
    Soak(soak::Args),
    /// Time the engine, alone and against PyTorch on the same work.
    ///
    /// Example: cargo xtask bench step --steps 12 --threads 2 --json
    Bench {
        #[command(subcommand)]
        task: bench::Task,
    },
    /// Fetch a data set or table into $PADA_DATA (default: data/), checked by SHA-256.
    ///
    /// Example: cargo xtask download cifar10
    Download {
        /// What to fetch.
        what: download::What,
        /// Look in this folder first.
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// Make the embedded mini images from CIFAR-10.
    ///
    /// Example: cargo xtask make-mini
    MakeMini,
    /// Build pada-train with MPI, whose library and launcher go into target/mpi-venv.
    ///
    /// Example: cargo xtask mpi
    Mpi,
    /// Check that pada-train compiles with the candle executor on GPUs. Takes minutes; nvcc goes into target/nvcc-venv.
    ///
    /// Example: cargo xtask candle-cuda
    CandleCuda,
    /// Build a folder that takes the programs to a machine with a GPU that has neither Rust nor a network; see docs/gpu.md.
    ///
    /// Example: cargo xtask gpu-kit --data
    GpuKit(gpu_kit::Args),
    /// Run the methods of a table or figure of the paper with several seeds; goes on where it stopped.
    ///
    /// Example: cargo xtask reproduce table1 --preset mini
    Reproduce {
        #[command(subcommand)]
        task: reproduce::Task,
    },
    /// Train the architectures of an embedded truth table from scratch; goes on where it stopped.
    ///
    /// Example: cargo xtask truth mini --jobs 2
    Truth {
        /// Which table.
        table: truth::Table,
        /// Architectures trained at the same time, on one thread each.
        #[arg(long, default_value = "2")]
        jobs: std::num::NonZeroUsize,
    },
}

fn main() -> ExitCode {
    // What libraries warn of, or what RUST_LOG asks for.
    let asked = std::env::var("RUST_LOG").ok().and_then(|asked| asked.parse().ok());
    let filter = asked.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(filter).init();
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", pada::with_causes(error.as_ref()));
            usage::exit_code(&error)
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
        Task::Deny => deny::run(),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::GpuKit(args) => gpu_kit::run(&args),
        Task::Package => packages::run(packages::Verify::Build),
        Task::Soak(args) => soak::run(&args),
        Task::Bench { task } => bench::run(&task),
        Task::Download { what, from } => download::run(what, from.as_deref()),
        Task::CandleCuda => candle_cuda::run(),
        Task::Mpi => mpi::run(),
        Task::MakeMini => make_mini::run(),
        Task::Reproduce { task } => reproduce::run(&task),
        Task::Truth { table, jobs } => truth::run(table, jobs.get()),
    }
}
