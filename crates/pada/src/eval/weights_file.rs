use std::path::{Path, PathBuf};

use pada_data::{Dataset, Photographs};
use pada_exec::{Executor, State};
use pada_graph::{Lower, Shape, WeightLayout};
use pada_metrics::Fusion;
use pada_space::{Arch, SearchSpace, SubSpace};
use pada_trainer::{Checkpoint, Observer, image_shape, weights_sha256};

use crate::config::{
    ComputeConfig, Config, ConfigError, FusePart, RankArchs, RankBudget, RankSplit, Recalibration, SpaceName,
    SupernetConfig, TrainPart, TruthName, UpdateConfig,
};
use crate::config::{ZERO_COST_IMAGES, check_list, check_recalibration};
use crate::error::PadaError;
use crate::eval::archs::ranked_archs;
use crate::eval::fusion::FusionPlan;
use crate::eval::partial_scores::Part;
use crate::eval::ranking::{Ranked, Ranking};
use crate::eval::tables::Tables;
use crate::run::build;
use crate::run::folder::{CONFIG, RunFolder};
use crate::run::network::Network;
use crate::run::scoring::{Scoring, Weights};
use crate::run::session::Session;
use crate::search::score_cache::Subject;

/// A file of weights, with the settings to score architectures with them.
#[derive(Clone, Debug)]
pub struct WeightsFile {
    /// A checkpoint, a `.safetensors` file, or a PyTorch `.pt` file.
    pub path: PathBuf,
    /// The network that the weights belong to.
    pub supernet: SupernetConfig,
    /// Executor and precision.
    pub compute: ComputeConfig,
    /// Data set, in the form of `data.source` of a config.
    pub data: String,
    /// Settings for reading photographs, or `None` for images of a fixed size.
    pub photographs: Option<Photographs>,
    /// The images that architectures are scored on.
    pub split: RankSplit,
    /// Number of images, the first ones in official order. `None` means all images.
    pub limit: Option<usize>,
    /// Images per batch.
    pub batch: usize,
    /// Images from which running statistics are recomputed, as `rank.recalibrate` of a config. They are chosen from the training images, or
    /// from the training half if the validation half is scored.
    pub recalibrate: Option<Recalibration>,
}

/// The opened file of weights, ready to score architectures.
pub(crate) struct Opened {
    pub(crate) scoring: Scoring,
    pub(crate) net: Box<dyn Lower>,
    pub(crate) executor: Box<dyn Executor>,
    /// The part of the space that was trained; the full space if the file has no such information.
    pub(crate) part: SubSpace,
    /// The training images, from which zero-cost scores are computed.
    pub(crate) trainable: Dataset,
}

/// The number of images below which the statistics of a batch are too noisy for scores.
const SMALL_BATCH: usize = 16;

/// Logs a warning if scores depend on the statistics of small batches.
fn warn_of_small_batches(batch: usize, space: SpaceName) {
    if batch < SMALL_BATCH && !space.recalibrates() {
        tracing::warn!(
            "batch norms of {} use the statistics of each batch, so that scores on batches of {batch} images are lower than those on larger ones",
            space.name()
        );
    }
}

impl WeightsFile {
    /// Reads the weights and the images.
    pub(crate) fn open(&self, place: &Session) -> Result<Opened, PadaError> {
        check_recalibration(self.recalibrate, self.supernet.space)?;
        warn_of_small_batches(self.batch, self.supernet.space);
        let splits = pada_data::open(&self.data, &place.data_dir, self.photographs)?;
        let part = match self.split {
            RankSplit::Test => TrainPart::All,
            RankSplit::Valid => TrainPart::Half,
        };
        let images = build::rank_images(self.split, part, &splits)?;
        let trainable = build::trainable(part, &splits)?;
        let calibration = build::calibration(self.recalibrate, &trainable)?;
        let network = Network::new(&self.supernet, &images)?;
        let net = build::supernet(&self.supernet, image_shape(&images), images.classes())?;
        let (weights, part) = read_scored(&self.path, net.as_ref(), network.space.as_ref())?;
        let executor = build::executor(self.compute, place.device, net.as_ref(), weights)?;
        let images = images.to_memory(self.limit.unwrap_or(usize::MAX))?;
        let scoring = Scoring { images, batch: self.batch, calibration, network };
        Ok(Opened { scoring, net, executor, part, trainable })
    }
}

/// Returns whether a folder is that of a run, which has a config.
pub fn is_run_folder(folder: &Path) -> bool {
    folder.join(CONFIG).is_file()
}

/// Returns the newest checkpoint of a run and the network that it belongs to.
///
/// # Errors
/// Returns [`PadaError::NotAFile`] if the run has no single set of weights for all architectures, or no checkpoint yet, and the errors of
/// [`RunFolder::open_to_read`].
pub fn run_weights(folder: &Path) -> Result<(PathBuf, SupernetConfig), PadaError> {
    if !is_run_folder(folder) {
        // Folders that other programs write.
        let unpacked = folder.join("data.pkl").is_file();
        let inside = ["model.safetensors", "pytorch_model.bin"].map(|name| folder.join(name));
        let advice = match inside.iter().find(|file| file.is_file()) {
            Some(file) => Some(format!("it contains the weights {}; give this file", file.display())),
            None => unpacked.then(|| "it is an unpacked PyTorch file; give the .pt file itself".to_owned()),
        };
        if let Some(advice) = advice {
            return Err(PadaError::NotAFile { path: folder.into(), advice });
        }
    }
    let (_open, config) = RunFolder::open_to_read(folder)?;
    let shown = folder.display();
    let advice = match config {
        Config::Retrain(_) => {
            format!(
                "the run trained one architecture, which `pada export --weights {shown}` writes to a file"
            )
        }
        Config::Run(run) if run.split.is_some() || matches!(run.update, UpdateConfig::Close(_)) => {
            format!(
                "the run chooses weights for each architecture: `pada search {shown}` scores with them, and ranking.csv has the scores of the run"
            )
        }
        Config::Run(run) if run.update.has_partial_channels() => {
            format!(
                "the operations of PC-DARTS see a part of the channels, so its weights belong to no network of the space; `pada search {shown}` scores with \
                 them"
            )
        }
        Config::Run(run) => match Checkpoint::files(folder)?.pop() {
            Some(newest) => return Ok((newest, run.supernet)),
            None => format!("it has no checkpoint; train first: pada --resume {shown}"),
        },
    };
    Err(PadaError::NotAFile { path: folder.into(), advice })
}

/// Reads the weights of a file, and the part of the space that was trained. It is the full space if the file has no such information.
pub(crate) fn read_scored(
    path: &Path,
    net: &dyn Lower,
    space: &dyn SearchSpace,
) -> Result<(Vec<f32>, SubSpace), PadaError> {
    let weights = pada_models::read_weights(path, net.weights())?;
    let scope = Checkpoint::scope(path)?;
    if scope.by_rule {
        let reason = "the gate of CLOSE chooses the weights for each architecture".to_owned();
        return Err(PadaError::PartialWeights { path: path.into(), reason });
    }
    Ok((weights, scope.part.unwrap_or_else(|| SubSpace::full(space))))
}

/// Returns an error if an architecture is outside of the part of the space that was trained.
pub(crate) fn check_part(path: &Path, part: &SubSpace, arch: &Arch) -> Result<(), PadaError> {
    if part.contains(arch) {
        return Ok(());
    }
    let reason = format!("it was trained on a part of the space without {arch}");
    Err(PadaError::PartialWeights { path: path.into(), reason })
}

impl Opened {
    /// Calls `work` with the executor and the weights, which are the same for all architectures.
    pub(crate) fn with_weights<T>(&mut self, work: impl FnOnce(&Scoring, Weights<'_, '_>) -> T) -> T {
        let place = &mut |_: &Arch, _: &mut dyn Executor| Ok(vec![]);
        let weights = Weights { executor: self.executor.as_mut(), net: self.net.as_ref(), place };
        work(&self.scoring, weights)
    }
}

/// A ranking of architectures with weights from a file.
#[derive(Clone, Debug)]
pub struct RankJob {
    /// The weights and the images.
    pub weights: WeightsFile,
    /// The architectures to rank.
    pub archs: RankArchs,
    /// The benchmark table to compare the ranking with.
    pub truth: Option<TruthName>,
    /// Scores whose ranks are fused to one ranking. An empty list fuses nothing.
    pub fuse: Vec<FusePart>,
    /// How the ranks become one score.
    pub fusion: Fusion,
    /// The cost of the ranking, as `rank.budget` of a config. With `None` all architectures are scored on all images.
    pub budget: Option<RankBudget>,
    /// Folder for the scores of a ranking that is not finished, from which a job with the same weights and images continues. With `None` a ranking
    /// that is stopped keeps nothing.
    pub part: Option<PathBuf>,
}

impl RankJob {
    /// Removes the scores in [`RankJob::part`] after the ranking was written.
    ///
    /// # Errors
    /// Returns [`PadaError::Write`] if a file cannot be removed.
    pub fn remove_part(&self, place: &Session) -> Result<(), PadaError> {
        self.part.as_ref().map_or(Ok(()), |folder| Part::new(folder, place).remove_folder())
    }
}

/// Seed of a random list of architectures, because weights from a file have no run with a seed.
const SEED: u64 = 0;

/// Scores architectures with weights from a file, and compares the ranking with a benchmark table if one is given.
///
/// # Errors
/// Returns an error if the weights, the images or the table cannot be read, or if an architecture cannot be scored.
pub fn rank_weights(
    job: &RankJob,
    place: &Session,
    observer: &mut dyn Observer,
) -> Result<Ranked, PadaError> {
    check_list("--archs", &job.archs, job.truth)?;
    let mut opened = job.weights.open(place)?;
    let (space, supernet) = (opened.scoring.network.space.as_ref(), &job.weights.supernet);
    if let Some(truth) = job.truth.filter(|truth| truth.space() != supernet.space) {
        let (key, value, range) = ("--truth", format!("{truth:?}"), "a table of the search space");
        return Err(ConfigError::Range { key, value, range }.into());
    }
    let tables = Tables::load(job.truth, &[], &place.data_dir)?;
    let archs = ranked_archs(&job.archs, supernet.space, space, &opened.part, &tables, SEED)?;
    archs.iter().try_for_each(|arch| check_part(&job.weights.path, &opened.part, arch))?;
    if !place.world.is_single() {
        place.world.check_same(&[
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("job", format!("{job:#?}")),
            ("set of weights", weights_sha256(&opened.executor.read(State::Weights))),
            ("set of images to rank on", opened.scoring.images.sha256()),
            ("executor", opened.executor.name().to_owned()),
        ])?;
    }
    let plan = (!job.fuse.is_empty()).then(|| FusionPlan {
        supernet: supernet.clone(),
        fuse: job.fuse.clone(),
        fusion: job.fusion,
        zero_cost: vec![],
        images: ZERO_COST_IMAGES,
    });
    let open = |folder: &PathBuf| {
        let (scoring, executor) = (&opened.scoring, opened.executor.as_ref());
        let WeightsFile { recalibrate, compute, .. } = job.weights;
        let subject = Subject::of(scoring, executor, String::new(), recalibrate, compute);
        Part::of_subject(folder, &subject, place)
    };
    let mut part = job.part.as_ref().map(open).transpose()?;
    let trainable = opened.trainable.clone();
    let fusion = plan.map(|plan| (plan, &trainable));
    opened.with_weights(|scoring, weights| {
        let (archs, tables, world) = (&archs, &tables, &place.world);
        Ranking { archs, scoring, tables, fusion, budget: job.budget, world }.run(
            weights,
            part.as_mut(),
            observer,
        )
    })
}

/// Returns the names and shapes of the weights of a supernet.
///
/// # Errors
/// Returns an error if the space does not have the size of the config.
pub fn weight_layout(supernet: &SupernetConfig, classes: usize) -> Result<WeightLayout, ConfigError> {
    // The image size does not change the weights.
    Ok(build::supernet(supernet, Shape::new(3, 32, 32), classes)?.weights().clone())
}
