//! One file per command.

/// Prints a line to stdout. A closed pipe is not an error.
macro_rules! say {
    ($($text:tt)*) => { $crate::commands::write_out(format_args!("{}\n", format_args!($($text)*)))? };
}

pub(crate) mod archs;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod cost;
pub(crate) mod data;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod draw;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod latency;
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
use pada::data::{Damaged, Photographs};
use pada::dist::{DistError, ProcessGroup};
use pada::exec::{BatchNormSync, Convolution, Precision};
use pada::metrics::Fusion;
use pada::space::Nb201Encoding;
use pada::{
    Choice, ComputeConfig, ConfigError, Device, DriverState, ExecutorName, FusePart, PadaError, RankArchs,
    RankSplit, Recalibration, Session, SpaceName, SupernetConfig, TruthName, WeightsFile, WidthsName,
    check_output, check_scores_file,
};
use pada_mpi::Launcher;

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
    /// Device to compute on: auto, cpu or cuda:N; auto if not given. With auto it is the first GPU if it can be used, and otherwise the CPU.
    #[arg(long)]
    device: Option<String>,
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
        Ok(Session { world: pada_mpi::start(timeout).map_err(PadaError::from)?, ..self.new_session()? })
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
        let cores = std::thread::available_parallelism().map_or(threads, std::num::NonZero::get);
        if threads > MOST_PER_CORE.saturating_mul(cores) {
            note!("{threads} threads on {cores} cores are slower than {cores} threads; leave out --threads");
        }
        // Before the device is chosen: a GPU is compared with the CPU, which starts the threads.
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("starting threads")?;
        let asked = self.device.as_deref();
        let Choice { device, why_no_gpu, driver } = Device::choose(asked.unwrap_or("auto"))?;
        // Most machines have no GPU. `pada doctor` says so as well.
        let is_news = asked.is_some() || driver != DriverState::Missing;
        if let Some(reason) = why_no_gpu.filter(|_| is_news && !self.quiet) {
            note!("on the CPU: {reason}");
        }
        let (checkpoint_every, world) = (Duration::from_secs(60), ProcessGroup::single());
        Ok(Session { data_dir: data_dir(), device, checkpoint_every, world })
    }
}

/// Limit against typing errors: each thread allocates memory of its own.
const MAX_THREADS: usize = 1024;

/// The number of threads per core above which the program warns.
const MOST_PER_CORE: usize = 4;

/// Converts a number of seconds from the command line.
pub(crate) fn seconds(key: &'static str, value: f64) -> Result<Duration, PadaError> {
    let bad = |_| ConfigError::Range { key, value: value.to_string(), range: "0 or more seconds" }.into();
    Duration::try_from_secs_f64(value).map_err(bad)
}

/// Returns the data folder: `$PADA_DATA`, or `data` if it is not set.
pub(crate) fn data_dir() -> PathBuf {
    std::env::var_os("PADA_DATA")
        .map_or_else(|| PathBuf::from("data"), |path| pada::in_home(Path::new(&path)))
}

/// Options that describe a supernet.
#[derive(clap::Args)]
pub(crate) struct NetArgs {
    /// Search space; nb201 if not given.
    #[arg(long, value_enum)]
    space: Option<SpaceName>,
    /// Channels C of the first stage, in nb201 and darts; 16 if not given.
    #[arg(long, value_name = "C")]
    channels: Option<NonZeroUsize>,
    /// Number of cells: per stage in nb201 (5 if not given), in total in darts (8 if not given).
    #[arg(long, value_name = "N")]
    cells: Option<NonZeroUsize>,
    /// Channel widths of a proxyless supernet.
    #[arg(long, value_enum)]
    widths: Option<WidthsName>,
}

impl NetArgs {
    /// Returns the first of these options that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let space = self.space.map(|_| "--space");
        let cells = self.channels.map(|_| "--channels").or(self.cells.map(|_| "--cells"));
        space.or(cells).or(self.widths.map(|_| "--widths"))
    }

    pub(crate) fn config(&self) -> SupernetConfig {
        let space = self.space.unwrap_or(SpaceName::Nb201);
        let usual = SupernetConfig::usual(space);
        let or = |given: Option<NonZeroUsize>, usual| given.map(NonZeroUsize::get).or(usual);
        SupernetConfig {
            channels: or(self.channels, usual.channels),
            cells: or(self.cells, usual.cells),
            widths: self.widths.or(usual.widths),
            ..usual
        }
    }
}

/// The numbering of edges and operations of NAS-Bench-201 in digits.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Encoding {
    /// The order of the benchmark's strings
    Benchmark,
    /// The op_indices of NASLib
    Naslib,
}

impl Encoding {
    /// Returns the encoding for a search space.
    ///
    /// # Errors
    /// Returns an error if the space has only one encoding, but another one was given.
    pub(crate) fn of(self, space: SpaceName) -> Result<Nb201Encoding, ConfigError> {
        match self {
            Self::Benchmark => Ok(Nb201Encoding::Benchmark),
            Self::Naslib if space == SpaceName::Nb201 => Ok(Nb201Encoding::Naslib),
            Self::Naslib => {
                let (key, value, range) =
                    ("--encoding", "naslib".to_owned(), "left out: only nb201 has several encodings");
                Err(ConfigError::Range { key, value, range })
            }
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
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) truth: Option<TruthName>,
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
    /// Formula that makes one score of the ranks: `log-ranks` or `ranks`.
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
    /// Images to score on; valid is meant for a supernet that was trained with `data.train = "half"`.
    #[arg(long, value_enum, default_value = "test")]
    split: RankSplit,
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
    /// Returns whether only some of the images are scored.
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Returns the weights of a file, or those of the newest checkpoint of a run folder, which records its network.
    pub(crate) fn weights(&self, path: PathBuf, data: String) -> anyhow::Result<WeightsFile> {
        let (path, supernet) = match (path.is_dir(), self.net.given()) {
            (false, _) => (path, self.net.config()),
            (true, None) => pada::run_weights(&path)?,
            (true, Some(_)) if !pada::is_run_folder(&path) => pada::run_weights(&path)?,
            (true, Some(key)) => {
                let range = "left out if --weights is a run folder, because the run records its own";
                return Err(PadaError::from(ConfigError::Range { key, value: "given".into(), range }).into());
            }
        };
        let usual = supernet.space.recalibrates().then_some(Recalibration::USUAL);
        Ok(WeightsFile {
            path,
            supernet,
            compute: self.compute.config(),
            data,
            photographs: photographs(self.image_size),
            split: self.split,
            limit: self.limit.map(Into::into),
            batch: self.batch.get(),
            recalibrate: self.recalibrate.map(Recalibration::over).or(usual),
        })
    }
}

/// Options that select the executor and its precision.
#[derive(clap::Args)]
pub(crate) struct ComputeArgs {
    /// Executor: the fast engine or the readable reference.
    #[arg(long, value_enum, default_value = "engine")]
    executor: ExecutorName,
    /// Floating-point precision.
    #[arg(long, value_enum, default_value = "f32")]
    precision: Precision,
    /// Algorithm of the engine's convolutions on the CPU.
    #[arg(long, value_enum, default_value = "auto")]
    convolution: Convolution,
}

impl ComputeArgs {
    pub(crate) fn config(&self) -> ComputeConfig {
        let Self { executor, precision, convolution } = *self;
        ComputeConfig { executor, precision, convolution, norms: BatchNormSync::default() }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use pada::SkeletonName;
    use pada_fetch::Resource;
    use pada_reproduce::Preset;
    use serde_json::{Value, json};

    use super::*;

    /// Asserts that every value has the name `name` on the command line.
    fn assert_names<T: ValueEnum>(name: fn(&T) -> Value) {
        for value in T::value_variants() {
            let possible = value.to_possible_value();
            assert_eq!(possible.map(|possible| json!(possible.get_name())), Some(name(value)));
        }
    }

    #[test]
    fn names_on_the_command_line_are_those_of_configs_folders_and_messages() {
        assert_names::<SpaceName>(|space| json!(space));
        assert_names::<WidthsName>(|widths| json!(widths));
        assert_names::<SkeletonName>(|skeleton| json!(skeleton));
        assert_names::<ExecutorName>(|executor| json!(executor));
        assert_names::<Precision>(|precision| json!(precision));
        assert_names::<Convolution>(|convolution| json!(convolution));
        assert_names::<RankSplit>(|split| json!(split));
        assert_names::<TruthName>(|truth| json!(truth));
        assert_names::<TruthName>(|truth| json!(truth.to_string()));
        assert_names::<Resource>(|resource| json!(resource.to_string()));
        assert_names::<Preset>(|preset| json!(preset.name()));
    }

    #[test]
    fn a_preset_keeps_its_former_name() {
        let ignore_case = false;
        assert_eq!(Preset::from_str("quick", ignore_case), Ok(Preset::Mini));
    }
}
