//! One file per command.

/// Prints a line to stdout. A closed pipe is not an error.
macro_rules! say {
    ($($text:tt)*) => { $crate::commands::write_out(format_args!("{}\n", format_args!($($text)*)))? };
}

pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod man;
pub(crate) mod metrics;
pub(crate) mod rank;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod retrain;
pub(crate) mod score;
pub(crate) mod search;
pub(crate) mod train;

use std::io::{ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;
use pada::data::{Damaged, Photographs};
use pada::dist::{DistError, ProcessGroup};
use pada::exec::{BatchNormSync, Precision};
use pada::metrics::Fusion;
use pada::{
    Choice, ComputeConfig, ConfigError, Device, ExecutorName, FusePart, PadaError, RankArchs, RankSplit,
    Recalibration, Session, SpaceName, SupernetConfig, TruthName, WeightsFile, WidthsName, check_output,
    check_scores_file,
};
use pada_dist::mpi::Launcher;

use crate::progress::{Progress, Show};

/// Writes to stdout. If the reader closed the pipe, as `| head` does, the text is dropped and the command continues.
pub(crate) fn write_out(text: std::fmt::Arguments<'_>) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_fmt(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("stdout"),
    }
}

/// Options of every command that computes with a network.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// Device to compute on: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Number of CPU threads; all cores if not given.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seconds without a message after which another process, started by mpirun or srun, is reported as stalled.
    #[arg(long, value_name = "SECONDS", default_value = "600")]
    peer_timeout: f64,
    /// Print one JSON object as the last line of stdout.
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress; only the result and errors are printed.
    #[arg(long)]
    quiet: bool,
}

impl Common {
    /// Creates the progress output.
    pub(crate) fn progress(&self) -> Progress {
        Progress::new(if self.quiet { Show::Nothing } else { Show::Progress })
    }

    /// Returns `true` if only the result and errors are printed.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Starts the threads and chooses the device, for a command that several processes share.
    pub(crate) fn shared_session(&self) -> anyhow::Result<Session> {
        let timeout = seconds("--peer-timeout", self.peer_timeout)?;
        Ok(Session { world: pada_dist::mpi::start(timeout).map_err(PadaError::from)?, ..self.new_session()? })
    }

    /// Starts the threads and chooses the device, for a command of one process.
    pub(crate) fn session(&self) -> anyhow::Result<Session> {
        if let Some(Launcher { name: launcher, size }) = Launcher::detect() {
            return Err(PadaError::from(DistError::SingleProcessOnly { launcher, size }).into());
        }
        self.new_session()
    }

    fn new_session(&self) -> anyhow::Result<Session> {
        let threads = self.threads.unwrap_or(0);
        if let Some(given) = self.threads.filter(|n| !(1..=MAX_THREADS).contains(n)) {
            let (key, value, range) = ("--threads", given.to_string(), "from 1 to 1024");
            return Err(PadaError::from(ConfigError::Range { key, value, range }).into());
        }
        // Before the device is chosen: a GPU is compared with the CPU, which starts the threads.
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("starting threads")?;
        let Choice { device, why_no_gpu } = Device::choose(&self.device)?;
        if let Some(reason) = why_no_gpu.filter(|_| !self.quiet) {
            note!("on the CPU: {reason}");
        }
        let (checkpoint_every, world) = (Duration::from_secs(60), ProcessGroup::single());
        Ok(Session { data_dir: data_dir(), device, checkpoint_every, world })
    }
}

/// Limit against typing errors: each thread allocates memory of its own.
const MAX_THREADS: usize = 1024;

/// Converts a number of seconds from the command line.
pub(crate) fn seconds(key: &'static str, value: f64) -> Result<Duration, PadaError> {
    let bad = |_| ConfigError::Range { key, value: value.to_string(), range: "0 or more seconds" }.into();
    Duration::try_from_secs_f64(value).map_err(bad)
}

/// Returns the data folder: `$PADA_DATA`, or `data` if it is not set.
pub(crate) fn data_dir() -> PathBuf {
    std::env::var_os("PADA_DATA").map_or_else(|| PathBuf::from("data"), PathBuf::from)
}

/// Options that describe a supernet.
#[derive(clap::Args)]
pub(crate) struct NetArgs {
    /// Search space; nb201 if not given.
    #[arg(long, value_enum)]
    space: Option<SpaceArg>,
    /// Channels C of the first stage, in nb201 and darts; 16 if not given.
    #[arg(long, value_name = "C")]
    channels: Option<NonZeroUsize>,
    /// Number of cells: per stage in nb201 (5 if not given), in total in darts (8 if not given).
    #[arg(long, value_name = "N")]
    cells: Option<NonZeroUsize>,
    /// Channel widths of a proxyless supernet.
    #[arg(long, value_enum)]
    widths: Option<WidthsArg>,
}

// The supernets that the papers of NAS-Bench-201 and DARTS search on CIFAR-10.
const CHANNELS: usize = 16;
const NB201_CELLS: usize = 5;
const DARTS_CELLS: usize = 8;

impl NetArgs {
    /// Returns the first of these options that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let space = self.space.map(|_| "--space");
        let cells = self.channels.map(|_| "--channels").or(self.cells.map(|_| "--cells"));
        space.or(cells).or(self.widths.map(|_| "--widths"))
    }

    pub(crate) fn config(&self) -> SupernetConfig {
        let space = SpaceName::from(self.space.unwrap_or(SpaceArg::Nb201));
        let (channels, cells, widths) = match space {
            SpaceName::Nb201 => (Some(CHANNELS), Some(NB201_CELLS), None),
            SpaceName::Darts => (Some(CHANNELS), Some(DARTS_CELLS), None),
            SpaceName::Proxyless => (None, None, Some(WidthsName::Search)),
            SpaceName::Macro => (None, None, None),
        };
        let or = |given: Option<NonZeroUsize>, usual| given.map(NonZeroUsize::get).or(usual);
        SupernetConfig {
            space,
            channels: or(self.channels, channels),
            cells: or(self.cells, cells),
            widths: self.widths.map(WidthsName::from).or(widths),
            ops: vec![],
        }
    }
}

/// Options that select the architectures of a list, and the table that their scores are compared with.
#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// Architectures to score: `all`, `truth` (all of the --truth table), `random:100`, or a file with one architecture per line.
    #[arg(long, default_value = "all")]
    pub(crate) archs: RankArchs,
    /// Benchmark table to compare with.
    #[arg(long, value_enum)]
    pub(crate) truth: Option<TruthArg>,
}

impl ListArgs {
    /// Checks before any work that a CSV file can be written, and that it is not read.
    pub(crate) fn check_output(&self, out: &Path, weights: Option<&Path>) -> Result<(), PadaError> {
        let mut inputs: Vec<&Path> = weights.into_iter().collect();
        if let RankArchs::File(file) = &self.archs {
            inputs.push(Path::new(file));
        }
        check_output(out, &["csv"], &inputs)?;
        check_scores_file(out)
    }
}

/// Options that fuse scores to one ranking.
#[derive(clap::Args)]
pub(crate) struct FuseArgs {
    /// Scores whose ranks are fused to one score, separated by commas: `supernet`, and zero-cost scores such as `active-conv-params`, `jacov`
    /// and `synflow`. A search fuses the ranks among the architectures visited so far, and maximises the fused score.
    #[arg(long, value_name = "SCORE,…", value_delimiter = ',')]
    pub(crate) fuse: Vec<FusePart>,
    /// How ranks are fused: `log-ranks` or `ranks`.
    #[arg(long, default_value = "log-ranks")]
    pub(crate) fusion: Fusion,
}

/// Options for scoring architectures with the weights of a file.
#[derive(clap::Args)]
pub(crate) struct WeightsArgs {
    #[command(flatten)]
    pub(crate) net: NetArgs,
    /// Height and width that photographs are resized to.
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<NonZeroUsize>,
    /// Images to score on.
    #[arg(long, value_enum, default_value = "test")]
    split: SplitArg,
    /// Use only the first N images; all if not given.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Images per batch. It changes the scores if batch norms use the statistics of the batch.
    #[arg(long, default_value = "512")]
    batch: NonZeroUsize,
    /// Recalibrate the running statistics of batch norms on N training images for each architecture; 2,048 in proxyless and macro, whose
    /// batch norms have running statistics.
    #[arg(long, value_name = "N")]
    recalibrate: Option<NonZeroUsize>,
    #[command(flatten)]
    compute: ComputeArgs,
}

/// Returns the settings for reading photographs, if an image size was given.
pub(crate) fn photographs(size: Option<NonZeroUsize>) -> Option<Photographs> {
    size.map(|size| Photographs { size: size.get(), damaged: Damaged::Stop })
}

impl WeightsArgs {
    pub(crate) fn file(&self, path: PathBuf, data: String) -> WeightsFile {
        let supernet = self.net.config();
        let usual = supernet.space.recalibrates().then_some(Recalibration::USUAL);
        WeightsFile {
            path,
            supernet,
            compute: self.compute.config(),
            data,
            photographs: photographs(self.image_size),
            split: match self.split {
                SplitArg::Test => RankSplit::Test,
                SplitArg::Valid => RankSplit::Valid,
            },
            limit: self.limit.map(Into::into),
            batch: self.batch.get(),
            recalibrate: self.recalibrate.map(Recalibration::over).or(usual),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitArg {
    /// The test images
    Test,
    /// The half of the training images that a supernet with `data.train = "half"` does not see
    Valid,
}

/// Options that select the executor and its precision.
#[derive(clap::Args)]
pub(crate) struct ComputeArgs {
    /// Executor: the fast engine or the readable reference.
    #[arg(long, value_enum, default_value = "engine")]
    executor: ExecutorArg,
    /// Floating-point precision.
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum ExecutorArg {
    /// The kernels of this project
    Engine,
    /// The readable reference on candle; only in a build with `--features candle`
    Candle,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionArg {
    /// Single precision
    F32,
    /// Convolutions multiply bf16 numbers: faster, less exact
    Bf16,
    /// Double precision, slow, for checks
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
                PrecisionArg::F32 => Precision::F32,
                PrecisionArg::Bf16 => Precision::Bf16,
                PrecisionArg::F64 => Precision::F64,
            },
            norms: BatchNormSync::default(),
        }
    }
}

/// The name of a search space.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SpaceArg {
    /// NAS-Bench-201
    Nb201,
    /// Cells of DARTS
    Darts,
    /// MobileNet blocks of ProxylessNAS
    Proxyless,
    /// NAS-Bench-Macro
    Macro,
}

impl From<SpaceArg> for SpaceName {
    fn from(space: SpaceArg) -> Self {
        match space {
            SpaceArg::Nb201 => Self::Nb201,
            SpaceArg::Darts => Self::Darts,
            SpaceArg::Proxyless => Self::Proxyless,
            SpaceArg::Macro => Self::Macro,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum WidthsArg {
    /// Widths of the supernet of ProxylessNAS
    Search,
    /// Widths of ProxylessNAS-Mobile and FairNAS
    Mobile,
    /// Widths of ProxylessNAS-GPU
    Gpu,
}

impl From<WidthsArg> for WidthsName {
    fn from(widths: WidthsArg) -> Self {
        match widths {
            WidthsArg::Search => Self::Search,
            WidthsArg::Mobile => Self::Mobile,
            WidthsArg::Gpu => Self::Gpu,
        }
    }
}

/// The name of a benchmark table.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TruthArg {
    /// The embedded table of the mini images
    Mini,
    /// NAS-Bench-201, CIFAR-10 test accuracy after 200 epochs
    Nb201,
    /// NAS-Bench-201, CIFAR-100 test accuracy after 200 epochs
    #[value(name = "nb201-cifar100")]
    Nb201Cifar100,
    /// NAS-Bench-201, ImageNet16-120 test accuracy after 200 epochs
    #[value(name = "nb201-imagenet16")]
    Nb201Imagenet16,
    /// NAS-Bench-Macro, CIFAR-10 test accuracy, mean of three runs
    NasBenchMacro,
    /// 214 genotypes of DARTS, CIFAR-10 test accuracy of one run
    #[value(name = "darts-214")]
    Darts214,
    /// Random genotypes of DARTS, CIFAR-10 validation accuracy of one run of 200 epochs
    #[value(name = "darts-1000")]
    Darts1000,
}

impl From<TruthArg> for TruthName {
    fn from(truth: TruthArg) -> Self {
        match truth {
            TruthArg::Mini => Self::Mini,
            TruthArg::Nb201 => Self::Nb201,
            TruthArg::Nb201Cifar100 => Self::Nb201Cifar100,
            TruthArg::Nb201Imagenet16 => Self::Nb201Imagenet16,
            TruthArg::NasBenchMacro => Self::NasBenchMacro,
            TruthArg::Darts214 => Self::Darts214,
            TruthArg::Darts1000 => Self::Darts1000,
        }
    }
}
