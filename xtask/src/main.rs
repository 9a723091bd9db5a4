//! Developer tasks: `cargo xtask ci`, `download`, `make-mini` and others; `cargo xtask --help` lists them.
#![allow(rustdoc::invalid_html_tags, reason = "doc comments are the texts of --help, which writes <NAME>")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the terminal")]

mod ci;
mod deny;
mod forward;
mod fuzz;
mod make_mini;
mod mpi;
mod onnxruntime;
mod packages;
mod python;
mod tidy;
mod truth;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use forward::Forwarded;
use xtask::{binary, candle_cuda, usage};

/// Developer tasks of the pada workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all checks: format, lints, house rules, all tests, a short run.
    ///
    /// Example: cargo xtask ci
    Ci,
    /// Check the house rules of docs/architecture.md.
    ///
    /// Example: cargo xtask tidy
    Tidy,
    /// Check all dependencies with cargo-deny: licences, bans, sources, known vulnerabilities.
    ///
    /// Example: cargo xtask deny
    Deny,
    /// Pack every crate as for a registry, and build each from its package alone.
    ///
    /// Example: cargo xtask package
    Package,
    /// Fuzz every file reader with libFuzzer.
    ///
    /// Example: cargo xtask fuzz --seconds 60
    Fuzz(fuzz::Args),
    /// Train many short epochs and measure whether memory grows: starts pada-bench.
    ///
    /// Example: cargo xtask soak --epochs 1000
    #[command(disable_help_flag = true)]
    Soak(Forwarded),
    /// Time the engine, alone and against PyTorch on the same work: starts pada-bench.
    ///
    /// Example: cargo xtask bench step --steps 12 --threads 2 --json
    #[command(disable_help_flag = true)]
    Bench(Forwarded),
    /// Download a data set or table into $PADA_DATA (default: data/), verified with SHA-256: starts `pada download`.
    ///
    /// Example: cargo xtask download cifar10
    #[command(disable_help_flag = true)]
    Download(Forwarded),
    /// Make the embedded mini images from CIFAR-10.
    ///
    /// Example: cargo xtask make-mini
    MakeMini,
    /// Build, install and test the Python package, as ci does. Packages of its tests go into target/python-venv.
    ///
    /// Example: cargo xtask python
    Python,
    /// Build the wheels of the Python package for Linux with maturin, into target/wheels.
    ///
    /// Example: cargo xtask wheels --target aarch64-unknown-linux-gnu
    Wheels {
        /// Platform, as Rust names it; may be repeated. Without it, x86-64 and aarch64.
        #[arg(long)]
        target: Vec<String>,
    },
    /// Build pada with MPI, whose library and launcher go into target/mpi-venv.
    ///
    /// Example: cargo xtask mpi
    Mpi,
    /// Check that pada compiles with the candle executor on GPUs. Takes minutes; nvcc goes into target/nvcc-venv.
    ///
    /// Example: cargo xtask candle-cuda
    CandleCuda,
    /// Build a folder with all programs for a GPU machine that has neither Rust nor a network: starts pada-gpu-kit.
    ///
    /// Example: cargo xtask gpu-kit --data
    #[command(disable_help_flag = true)]
    GpuKit(Forwarded),
    /// Run the methods of a table or figure of the paper with several seeds: starts `pada reproduce`.
    ///
    /// Example: cargo xtask reproduce table1 --preset mini
    #[command(disable_help_flag = true)]
    Reproduce(Forwarded),
    /// Train the architectures of an embedded benchmark table from scratch; the same command continues where it stopped.
    ///
    /// Example: cargo xtask truth mini --jobs 2
    Truth {
        /// The table.
        table: truth::Table,
        /// Architectures trained at the same time, on one thread each.
        #[arg(long, default_value = "2")]
        jobs: std::num::NonZeroUsize,
    },
}

fn main() -> ExitCode {
    usage::end(run(Cli::parse().task))
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Ci => ci::run(),
        Task::Tidy => tidy::run(),
        Task::Deny => deny::run(),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Package => packages::run(packages::Verify::Build),
        Task::Soak(rest) => forward::run("pada-bench", &["soak"], &rest),
        Task::Bench(rest) => forward::run("pada-bench", &[], &rest),
        Task::GpuKit(rest) => forward::run("pada-gpu-kit", &[], &rest),
        Task::Download(rest) => forward::run(binary::PADA, &["download"], &rest),
        Task::Reproduce(rest) => forward::run(binary::PADA, &["reproduce"], &rest),
        Task::CandleCuda => candle_cuda::run(),
        Task::Mpi => mpi::run(),
        Task::Python => python::test(&python::environment()?, &[]),
        Task::Wheels { target } => python::wheels(&target),
        Task::MakeMini => make_mini::run(),
        Task::Truth { table, jobs } => truth::run(table, jobs.get()),
    }
}
