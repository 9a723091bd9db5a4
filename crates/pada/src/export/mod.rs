//! One architecture as a model file.

mod exported;
mod source;

use std::path::{Path, PathBuf};

use pada_data::Photographs;
use pada_exec::State;
use pada_graph::Frozen;
use pada_trainer::{Calibration, NotFinite, TrainError, check_writable, image_shape};

pub use self::exported::{ExportedNet, read_exported};
use self::source::Source;
use crate::config::{ComputeConfig, Recalibration, SupernetConfig};
use crate::error::PadaError;
use crate::eval::arch_files::not_written;
use crate::run::build;
use crate::run::session::Session;

/// An architecture and its weights.
#[derive(Clone, Debug)]
pub struct ExportJob {
    /// Where the weights are.
    pub weights: ExportWeights,
    /// The architecture in any text form of its space; a run of one architecture has its own.
    pub arch: Option<String>,
    /// Where the statistics of norms come from.
    pub statistics: StatisticsFrom,
}

/// Weights of a supernet, or of one architecture of it.
#[derive(Clone, Debug)]
pub enum ExportWeights {
    /// The folder of a finished run; it knows its network and its images.
    Run(PathBuf),
    /// A file.
    File {
        /// A checkpoint, `.safetensors`, or a PyTorch `.pt`.
        path: PathBuf,
        /// The network it belongs to.
        supernet: SupernetConfig,
        /// Data set, as `data.source` of a config.
        data: String,
        /// How photographs are read; none for data sets whose images have their own size.
        photographs: Option<Photographs>,
        /// What computes the statistics of norms.
        compute: ComputeConfig,
    },
}

/// Where the statistics come from that norms have in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticsFrom {
    /// A pass over training images, the same that a recalibration for a score takes: if nothing is given, as the run does it, or else
    /// [`Recalibration::USUAL`].
    Images(Option<Recalibration>),
    /// The weights, where norms keep running statistics.
    Stored,
    /// Where the score of the run has them from: the weights of a network that was trained alone, unless its run takes them anew; such
    /// images elsewhere.
    Score(Option<Recalibration>),
}

/// Takes an architecture out of its supernet, and fixes the statistics of its norms.
///
/// # Errors
/// [`PadaError`]: bad weights, an architecture that the weights do not compute, [`PadaError::NoStatistics`],
/// [`NotFinite`] where a norm's input has no finite statistics.
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
            let (Recalibration { batch, .. }, calibration) = match (given, source.recalibrated.clone()) {
                (None, Some(of_run)) => of_run,
                (given, _) => {
                    let given = given.unwrap_or(Recalibration::USUAL);
                    (given, Calibration::new(images, given.images, given.batch)?)
                }
            };
            let mut executor = build::executor(source.compute, place.device, &frozen, values)?;
            calibration.run(frozen.graph(), executor.as_mut())?;
            values = executor.read(State::Weights);
            executor.deferred_error().map_err(pada_trainer::TrainError::from)?;
            let (taken, name) = (calibration.len(), images.name());
            format!(
                "mean of mean and unbiased variance over batches of {}, {taken} images of {name}",
                batch.min(taken)
            )
        }
    };
    let not_finite = values.iter().find(|value| !value.is_finite());
    if let Some(&value) = not_finite {
        let (path, value) = (arch.clone(), f64::from(value));
        return Err(TrainError::from(NotFinite { path, what: "statistic of a norm", value }).into());
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
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    about.extend(entries.map(|(key, value)| (key.to_owned(), value)));
    Ok(ExportedNet { frozen, values, about })
}

/// Whether a file can be written there, found out before the work, and none stands there unless it may be replaced.
///
/// # Errors
/// [`PadaError::FileExists`] or [`PadaError::Write`]
pub fn check_new_file(path: &Path, existing: Existing) -> Result<(), PadaError> {
    if existing == Existing::Refuse && path.exists() {
        return Err(PadaError::FileExists { path: path.into() });
    }
    check_writable(path).map_err(not_written)
}

/// What happens to a file that stands where another is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays.
    Refuse,
    /// It is replaced.
    Replace,
}
