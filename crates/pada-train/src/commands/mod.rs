//! One file per command.

/// Prints a line; the end of whoever reads it is no failure.
macro_rules! say {
    ($($text:tt)*) => { $crate::commands::write_out(format_args!("{}\n", format_args!($($text)*)))? };
}

pub(crate) mod cost;
pub(crate) mod doctor;
pub(crate) mod import;
pub(crate) mod metrics;
pub(crate) mod rank;
pub(crate) mod retrain;
pub(crate) mod train;

use std::io::{ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use pada::graph::Precision;
use pada::{
    ComputeConfig, ConfigError, Device, ExecutorName, PadaError, Place, SpaceName, SupernetConfig, TruthName,
};

use crate::progress::{Progress, Show};

/// Writes to stdout. A closed pipe, as behind `| head`, ends the output and nothing else.
pub(crate) fn write_out(text: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("stdout"),
    }
}

/// What every command that computes takes.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// What computes: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Threads on the CPU; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress; only the result and errors are printed.
    #[arg(long)]
    quiet: bool,
}

impl Common {
    /// What shows progress.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(if self.quiet { Show::Nothing } else { Show::Progress })
    }

    /// Starts the threads and chooses the device.
    pub(crate) fn place(&self) -> anyhow::Result<Place> {
        let device: Device = self.device.parse()?;
        let threads = self.threads.unwrap_or(0);
        if self.threads == Some(0) {
            let range = "at least 1";
            return Err(
                PadaError::from(ConfigError::Range { key: "--threads", value: "0".into(), range }).into()
            );
        }
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("starting threads")?;
        Ok(Place { data_dir: data_dir(), device, checkpoint_every: Duration::from_secs(60) })
    }
}

/// `$PADA_DATA`, or `data`.
pub(crate) fn data_dir() -> PathBuf {
    std::env::var_os("PADA_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from)
}

/// A network on the command line.
#[derive(clap::Args)]
pub(crate) struct NetArgs {
    /// Search space.
    #[arg(long, value_enum, default_value = "nb201")]
    space: SpaceArg,
    /// C, channels of the first stage.
    #[arg(long, value_name = "C", default_value = "16")]
    channels: NonZeroUsize,
    /// N, cells per stage.
    #[arg(long, value_name = "N", default_value = "5")]
    cells: NonZeroUsize,
}

impl NetArgs {
    pub(crate) fn config(&self) -> SupernetConfig {
        let (channels, cells) = (self.channels.get(), self.cells.get());
        SupernetConfig { space: self.space.into(), channels, cells, ops: vec![] }
    }
}

/// What computes, on the command line.
#[derive(clap::Args)]
pub(crate) struct ComputeArgs {
    /// The fast executor or the readable one.
    #[arg(long, value_enum, default_value = "engine")]
    executor: ExecutorArg,
    /// Numbers to compute with.
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExecutorArg {
    /// Own kernels
    Engine,
    /// candle, the reference
    Candle,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArg {
    /// Fast
    F32,
    /// Convolutions multiply bf16 numbers: faster, less exact
    Bf16,
    /// To check with
    F64,
}

impl ComputeArgs {
    pub(crate) fn config(&self) -> ComputeConfig {
        ComputeConfig {
            executor: match self.executor {
                ExecutorArg::Engine => ExecutorName::Engine,
                ExecutorArg::Candle => ExecutorName::Candle,
            },
            precision: match self.precision {
                PrecisionArg::F32 => Precision::Single,
                PrecisionArg::Bf16 => Precision::Half,
                PrecisionArg::F64 => Precision::Double,
            },
        }
    }
}

/// A search space on the command line.
#[derive(Clone, Copy, ValueEnum)]
enum SpaceArg {
    /// NAS-Bench-201
    Nb201,
}

impl From<SpaceArg> for SpaceName {
    fn from(space: SpaceArg) -> Self {
        match space {
            SpaceArg::Nb201 => Self::Nb201,
        }
    }
}

/// A truth table on the command line.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TruthArg {
    /// The embedded table of the mini images
    Mini,
    /// NAS-Bench-201, CIFAR-10 test accuracy after 200 epochs
    Nb201,
}

impl From<TruthArg> for TruthName {
    fn from(truth: TruthArg) -> Self {
        match truth {
            TruthArg::Mini => Self::Mini,
            TruthArg::Nb201 => Self::Nb201,
        }
    }
}
