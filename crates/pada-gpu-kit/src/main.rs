#![doc = include_str!("../README.md")]
#![allow(rustdoc::invalid_html_tags, reason = "doc comments are the texts of --help, which writes <NAME>")]
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "a program for the terminal")]

mod build;
mod candle;
mod kernels;
mod manifest;
mod parts;
mod programs;
mod results;
#[cfg(test)]
mod script_tests;
mod self_test;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use xtask::cargo;

/// Build a folder with all programs for a GPU machine that has neither Rust nor a network; see docs/gpu.md.
///
/// Example: cargo xtask gpu-kit --data
#[derive(Parser)]
#[command(name = "pada-gpu-kit", bin_name = "cargo xtask gpu-kit")]
struct Args {
    /// Folder of the kit; target/gpu-kit if not given. Parts of data sets are written to a folder of the same name with the suffix -data.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Also pack CIFAR-10, and NAS-Bench-201's table if it exists, from $PADA_DATA.
    #[arg(long)]
    data: bool,
    /// Folder of the PyTorch networks that the engine is compared with; ../shared/peer if not given and if it exists.
    #[arg(long, value_name = "DIR")]
    peer: Option<PathBuf>,
    /// Also build the program with the candle executor on GPUs, which takes many minutes the first time.
    #[arg(long)]
    candle: bool,
    /// Build the kit in a temporary folder and run its script without a GPU.
    #[arg(long, conflicts_with_all = ["out", "data", "candle", "record", "show"])]
    self_test: bool,
    /// Write a record under xtask/records/ from the folder of results that the kit's script wrote.
    #[arg(long, value_name = "RESULTS_DIR", conflicts_with_all = ["out", "data", "candle", "show"])]
    record: Option<PathBuf>,
    /// Print the summary of a folder of results.
    #[arg(long, value_name = "RESULTS_DIR", conflicts_with_all = ["out", "data", "candle"])]
    show: Option<PathBuf>,
    /// Compile kernels into this folder, in a process that can load NVRTC.
    #[arg(long, value_name = "DIR", hide = true)]
    kernels_into: Option<PathBuf>,
    /// GPUs that these kernels are compiled for.
    #[arg(long, value_name = "TARGET", hide = true, requires = "kernels_into")]
    target: Vec<String>,
}

fn main() -> ExitCode {
    xtask::usage::end(run(&Args::parse()))
}

fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(folder) = &args.kernels_into {
        return kernels::compile_into(folder, &args.target);
    }
    if let Some(results) = &args.record {
        return results::record(results);
    }
    if let Some(results) = &args.show {
        return results::show(results);
    }
    if args.self_test {
        return self_test::run();
    }
    let out = match &args.out {
        Some(out) => std::path::absolute(out)?,
        None => cargo::target_dir()?.join("gpu-kit"),
    };
    let candle = if args.candle { build::Candle::Included } else { build::Candle::LeftOut };
    let plan = build::Plan { out: out.clone(), peer: args.peer.clone(), targets: &kernels::TARGETS, candle };
    let size = build::run(&plan)?;
    eprintln!(
        "gpu-kit: {} has {:.1} MB; copy it to the GPU's machine and run: bash run.sh check",
        out.display(),
        size as f64 / 1e6
    );
    if args.data {
        let folder = parts::folder(&out);
        for (part, size) in parts::pack(&folder)? {
            eprintln!("gpu-kit: {} has {:.1} MB", part.display(), size as f64 / 1e6);
        }
    }
    Ok(())
}
