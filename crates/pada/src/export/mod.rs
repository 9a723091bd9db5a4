//! Export of one architecture as a model file.

mod exported;
mod files;
mod source;

use std::path::{Path, PathBuf};

use pada_data::Photographs;
use pada_exec::State;
use pada_graph::Frozen;
use pada_trainer::{Calibration, NotFinite, TrainError, check_writable, image_shape};

pub use self::exported::{ExportedNet, read_exported};
use self::exported::{MACS, PARAMS};
pub use self::files::{ExportFiles, ExportFormat};
use self::source::Source;
use crate::config::{ComputeConfig, Recalibration, SupernetConfig};
use crate::error::PadaError;
use crate::eval::arch_files::not_written;
use crate::run::build;
use crate::run::session::Session;

/// Settings of an export: weights, architecture, and statistics of the batch norms.
#[derive(Clone, Debug)]
pub struct ExportJob {
    /// The source of the weights.
    pub weights: ExportWeights,
    /// The architecture in any text form of its space. It may be `None` for a run of one architecture.
    pub arch: Option<String>,
    /// The source of the running statistics of the batch norms.
    pub statistics: StatisticsFrom,
}

/// The source of the weights of an export.
#[derive(Clone, Debug)]
pub enum ExportWeights {
    /// The folder of a finished run. Its config determines network and images.
    Run(PathBuf),
    /// The folder of a finished run whose images are in another place now.
    RunWithData {
        /// The run folder.
        folder: PathBuf,
        /// Data set, in the form of `data.source` of a config.
        data: String,
    },
    /// A file of weights.
    File {
        /// A checkpoint, a `.safetensors` file, or a PyTorch `.pt` file.
        path: PathBuf,
        /// The network that the weights belong to.
        supernet: SupernetConfig,
        /// Data set, in the form of `data.source` of a config.
        data: String,
        /// Settings for reading photographs, or `None` for images of a fixed size.
        photographs: Option<Photographs>,
        /// The executor that computes the running statistics.
        compute: ComputeConfig,
    },
}

/// The source of the running statistics that the batch norms have in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StatisticsFrom {
    /// Training images, as in the recalibration before scoring. `None` uses the recalibration of the run, or [`Recalibration::USUAL`] if the
    /// run has none.
    Images(Option<Recalibration>),
    /// The running statistics among the weights.
    Stored,
    /// The statistics with which the run scores: the running statistics of a stand-alone network unless its run recomputes them, otherwise
    /// training images as in [`StatisticsFrom::Images`].
    Score(Option<Recalibration>),
}

/// Extracts an architecture from its supernet, and sets the running statistics of its batch norms.
///
/// # Errors
/// Returns an error if the weights cannot be read or do not belong to the architecture, [`PadaError::NoStatistics`] if stored statistics are
/// requested but absent, and [`NotFinite`] if a statistic is not finite.
pub fn export(job: &ExportJob, place: &Session) -> Result<ExportedNet, PadaError> {
    let source = Source::read(job, place)?;
    let Source { arch, images, .. } = &source;
    let shape = image_shape(images);
    let net = source.net()?;
    let frozen = Frozen::new(net.as_ref(), arch)?;
    let mut values = frozen.values(net.weights(), &source.weights)?;
    let kept = source.alone.is_some() && source.recalibrated.is_none();
    let from = match job.statistics {
        StatisticsFrom::Score(_) if kept => None,
        StatisticsFrom::Images(given) | StatisticsFrom::Score(given) => Some(given),
        StatisticsFrom::Stored => None,
    };
    let norms = match from {
        None if frozen.batch_norms() > 0 => {
            let (arch, count) = (arch.to_string(), frozen.batch_norms());
            return Err(PadaError::NoStatistics { arch, count });
        }
        None => "running statistics of the weights".to_owned(),
        Some(given) => {
            let (Recalibration { batch, momentum, .. }, calibration) =
                match (given, source.recalibrated.clone()) {
                    (None, Some(of_run)) => of_run,
                    (given, _) => {
                        let given = given.unwrap_or(Recalibration::USUAL);
                        (given, Calibration::new(images, given.images, given.batch)?.with_mean(given.mean()))
                    }
                };
            let mut executor = build::executor(source.compute, place.device, &frozen, values)?;
            calibration.run(frozen.graph(), executor.as_mut())?;
            values = executor.read(State::Weights);
            executor.deferred_error().map_err(pada_trainer::TrainError::from)?;
            let (taken, name) = (calibration.len(), images.name());
            let mean =
                momentum.map_or_else(|| "mean".to_owned(), |m| format!("exponential mean with momentum {m}"));
            let batch = batch.min(taken);
            format!("{mean} of mean and unbiased variance over batches of {batch}, {taken} images of {name}")
        }
    };
    let not_finite = values.iter().find(|value| !value.is_finite());
    if let Some(&value) = not_finite {
        let (path, value) = (arch.clone(), f64::from(value));
        return Err(TrainError::from(NotFinite { path, what: "statistic of a batch norm", value }).into());
    }
    let normalize = images.normalize();
    let numbers = |list: [f32; 3]| list.map(|v| v.to_string()).join(" ");
    let mut about = source.about();
    let entries = [
        ("norms", norms),
        ("input", [shape.channels, shape.height, shape.width].map(|n| n.to_string()).join(" ")),
        ("classes", images.classes().to_string()),
        ("normalize_mean", numbers(normalize.mean)),
        ("normalize_std", numbers(normalize.std)),
        (PARAMS, source.cost.params.to_string()),
        (MACS, source.cost.macs.to_string()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    about.extend(entries.map(|(key, value)| (key.to_owned(), value)));
    let class_names = images.class_names();
    if !class_names.is_empty() {
        let names = serde_json::to_string(&class_names).expect("texts have a JSON form");
        about.insert("class_names".to_owned(), names);
    }
    Ok(ExportedNet { frozen, values, about, cost: source.cost })
}

/// Checks before the work that a file can be written to a path.
///
/// # Errors
/// Returns [`PadaError::FileExists`] if the file exists and must not be replaced, and [`PadaError::Write`] if it cannot be written.
pub fn check_new_file(path: &Path, existing: Existing) -> Result<(), PadaError> {
    if existing == Existing::Refuse && path.exists() {
        return Err(PadaError::FileExists { path: path.into() });
    }
    check_writable(path).map_err(not_written)
}

/// Treatment of an existing file at the path of a file to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep the file and return an error.
    Refuse,
    /// Replace the file.
    Replace,
}
