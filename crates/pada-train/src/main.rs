#![doc = include_str!("../README.md")]
#![allow(rustdoc::invalid_html_tags, reason = "doc comments are the texts of --help, which writes <NAME>")]

/// Writes a line to stderr, with the arguments of `format!`. Write errors are ignored, because a run continues without its terminal.
macro_rules! note {
    ($($arg:tt)*) => {
        $crate::write_note(format_args!($($arg)*))
    };
}

mod commands;
mod progress;
mod signals;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use commands::{
    completions, convert, cost, data, doctor, download, draw, export, import, latency, man, metrics, rank,
    report, reproduce, retrain, score, search, train,
};
use pada::{ErrorKind, PadaError, with_causes};
use pada_fetch::FetchError;
use pada_reproduce::ReproduceError;
use tracing_subscriber::filter::{LevelFilter, ParseError, Targets};
use tracing_subscriber::prelude::*;

/// Trains a weight-sharing supernet, by default with PA&DA, ranks architectures with it, and measures how well the ranking agrees with
/// accuracies trained from scratch.
///
/// Example: pada --set train.epochs=5
#[derive(Parser)]
#[command(name = "pada", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    train: train::Args,
}

#[derive(Subcommand)]
enum Command {
    /// Train a supernet, rank architectures with it and write a report; the default.
    ///
    /// Example: pada train --config configs/nb201/short.toml --seed 1
    Train(train::Args),
    /// Train one architecture from scratch.
    ///
    /// Example: pada retrain --arch 333333
    Retrain(retrain::Args),
    /// Score architectures with weights from a file.
    ///
    /// Example: pada rank --weights runs/mini-s0-001/epoch-0020.safetensors --channels 8 --cells 1 --data mini --out ranking.csv
    Rank(rank::Args),
    /// Compute zero-cost scores of architectures, which need no training.
    ///
    /// Example: pada score --data mini --channels 8 --cells 1 --archs truth --truth mini --out scores.csv
    Score(score::Args),
    /// Search a trained supernet for the best architectures, under limits.
    ///
    /// Example: pada search runs/mini-s0-001 --method evolution --max-macs 1.5M
    Search(Box<search::Args>),
    /// Write an HTML page about one or several runs, finished or running: results, curves, images, cost.
    ///
    /// Example: pada report runs/mini-s0-001
    Report(report::Args),
    /// Count the parameters and multiply-adds of an architecture.
    ///
    /// Example: pada cost --space nb201 --arch 123400
    Cost(cost::Args),
    /// Measure the latency of operations on this machine, and predict that of architectures.
    ///
    /// Example: pada latency measure --out operations.csv
    Latency(latency::Args),
    /// Draw the cells or blocks of an architecture as SVG.
    ///
    /// Example: pada draw --space darts --arch DARTS_V2 --out darts.svg
    Draw(draw::Args),
    /// Write architectures in the notation of another project.
    ///
    /// Example: pada convert --arch 410242 --to naslib
    Convert(convert::Args),
    /// Compute all ranking metrics of a list of scores.
    ///
    /// Example: pada metrics --pred ranking.csv --truth nb201
    Metrics(metrics::Args),
    /// Convert weights of the released PyTorch code to a .safetensors file.
    ///
    /// Example: pada import --from checkpoint.pt --out weights.safetensors --channels 16 --cells 5
    Import(import::Args),
    /// Export one architecture with its weights as a model file.
    ///
    /// Example: pada export --weights runs/mini-s0-001 --arch 242333 --out best.onnx
    Export(export::Args),
    /// Download a data set or a benchmark table into $PADA_DATA (default: data/), verified with SHA-256.
    ///
    /// An interrupted download continues where it stopped.
    ///
    /// Example: pada download cifar10
    Download(download::Args),
    /// Write the images of a data set as files.
    ///
    /// Example: pada data export mini images
    Data(data::Args),
    /// Run the methods of a table or figure of the paper with several seeds.
    ///
    /// This needs a clone of the repository, because it reads its configs. The same command continues where it stopped.
    ///
    /// Example: pada reproduce table1 --preset mini
    Reproduce(reproduce::Args),
    /// Check hardware, libraries and data on this machine, and explain how to install what is missing.
    ///
    /// Example: pada doctor
    Doctor(doctor::Args),
    /// Print a shell completion script for this program.
    ///
    /// Example: pada completions bash > ~/.local/share/bash-completion/completions/pada
    Completions(completions::Args),
    /// Print the man page, or write the man pages of all commands.
    ///
    /// Example: pada man --out ~/.local/share/man/man1
    Man(man::Args),
}

/// Writes log events of the libraries to stderr: warnings, or the levels that `RUST_LOG` selects, for example `info` or
/// `warn,pada_trainer=debug`.
fn start_log() {
    let requested = std::env::var("RUST_LOG").ok().filter(|requested| !requested.is_empty());
    let warnings = || Targets::new().with_default(LevelFilter::WARN);
    let (filter, wrong): (_, Option<ParseError>) = match requested.as_deref().map(str::parse) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (warnings(), Some(error)),
        None => (warnings(), None),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
    if let Some(error) = wrong {
        tracing::warn!("RUST_LOG is not valid, so only warnings are shown: {error}");
    }
}

/// Writes the formatted text of `note!`.
fn write_note(text: std::fmt::Arguments<'_>) {
    use std::io::Write;
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    let result = match cli.command {
        None => train::run(&cli.train),
        Some(Command::Train(args)) => train::run(&args),
        Some(Command::Retrain(args)) => retrain::run(&args),
        Some(Command::Rank(args)) => rank::run(&args),
        Some(Command::Score(args)) => score::run(&args),
        Some(Command::Search(args)) => search::run(&args),
        Some(Command::Cost(args)) => cost::run(&args),
        Some(Command::Latency(args)) => latency::run(&args),
        Some(Command::Draw(args)) => draw::run(&args),
        Some(Command::Convert(args)) => convert::run(&args),
        Some(Command::Metrics(args)) => metrics::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Report(args)) => report::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Download(args)) => download::run(&args),
        Some(Command::Data(args)) => data::run(&args),
        Some(Command::Reproduce(args)) => reproduce::run(&args),
        Some(Command::Doctor(args)) => doctor::run(&args),
        Some(Command::Completions(args)) => completions::run(&args, Cli::command()),
        Some(Command::Man(args)) => man::run(&args, Cli::command()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let kind = kind(&error);
            note!("error: {}", with_causes(error.as_ref()));
            ExitCode::from(kind.exit_code())
        }
    }
}

/// Returns the kind of an error, which determines the exit code.
fn kind(error: &anyhow::Error) -> ErrorKind {
    let of_run = error.downcast_ref::<PadaError>().map(PadaError::kind);
    let of_table = || error.downcast_ref::<ReproduceError>().map(ReproduceError::kind);
    let of_download = || {
        error.downcast_ref::<FetchError>().map(|error| match error {
            FetchError::NothingInFolder { .. }
            | FetchError::MissingFile { .. }
            | FetchError::Format { .. } => ErrorKind::Input,
            _ => ErrorKind::Run,
        })
    };
    of_run.or_else(of_table).or_else(of_download).unwrap_or(ErrorKind::Run)
}
