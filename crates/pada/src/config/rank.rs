use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use pada_metrics::Fusion;
use pada_space::plain_name;
use pada_trainer::RecalibratedMean;
use pada_zerocost::{Score, ZeroCostError};
use serde::{Deserialize, Serialize};

use super::{ConfigError, RankBudget, RunConfig, SpaceName, TrainPart, check};

/// The ranking: architectures, images, and benchmark tables to compare with. It is the section `[rank]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankConfig {
    /// Architectures to rank: `truth` (the architectures of the benchmark table), `all` of the space, `random:N` different ones, or a file
    /// with one architecture per line.
    pub archs: RankArchs,
    /// Images to score on.
    pub split: RankSplit,
    /// Number of images; the first ones in official order.
    pub images: usize,
    /// Images per batch. If the batch norms use batch statistics, it changes the scores.
    pub batch: usize,
    /// Limit on the cost of scoring. With `None` all architectures are scored on all images. Otherwise all are scored on few images, and the
    /// promising ones on more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<RankBudget>,
    /// Training images from which the running statistics of every architecture are recomputed before it is scored. It is required in spaces
    /// whose batch norms have running statistics: `proxyless` and `macro`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrate: Option<Recalibration>,
    /// Benchmark table that the ranking is compared with. It may be `None` unless `archs` is `truth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<TruthName>,
    /// Further benchmark tables. A table that has not been downloaded is skipped.
    #[serde(default)]
    pub compare: Vec<TruthName>,
    /// Scores whose ranks are fused to one ranking, which orders the best architectures. An empty list fuses nothing.
    #[serde(default)]
    pub fuse: Vec<FusePart>,
    /// How the ranks become one score.
    #[serde(default)]
    pub fusion: Fusion,
    /// Zero-cost scores to compare with, beside those that are fused.
    #[serde(default)]
    pub zero_cost: Vec<Score>,
    /// Number of training images that zero-cost scores are computed from.
    #[serde(default = "usual_images")]
    pub zero_cost_images: usize,
}

/// The batch size of the publications of zero-cost scores.
pub(crate) const ZERO_COST_IMAGES: usize = 64;

fn usual_images() -> usize {
    ZERO_COST_IMAGES
}

/// A part of a fused score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FusePart {
    /// The accuracy with the weights of the supernet.
    Supernet,
    /// A zero-cost score.
    ZeroCost(Score),
}

impl fmt::Display for FusePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Supernet => f.pad("supernet"),
            Self::ZeroCost(score) => score.fmt(f),
        }
    }
}

impl FromStr for FusePart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "supernet" => Ok(Self::Supernet),
            _ => text.parse().map(Self::ZeroCost).map_err(|_: ZeroCostError| {
                format!("{text} is not a part of a fused score; use supernet, {}", Score::NAMES.join(", "))
            }),
        }
    }
}

impl From<FusePart> for String {
    fn from(part: FusePart) -> Self {
        part.to_string()
    }
}

impl TryFrom<String> for FusePart {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Training images from which the running statistics of each architecture are recomputed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recalibration {
    /// Number of images, a fixed random choice from the images that may be trained on.
    pub images: usize,
    /// Images per batch.
    pub batch: usize,
    /// Momentum of an exponential mean over the batches, in `0.0..1.0`. With `None` the statistics are the plain mean over the batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
}

impl Recalibration {
    /// The default: 2,048 images with the batch size of SPOS.
    pub const USUAL: Self = Self { images: 2048, batch: 128, momentum: None };

    /// Creates settings with a number of images and the default batch size.
    pub fn over(images: NonZeroUsize) -> Self {
        Self { images: images.get(), ..Self::USUAL }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        check("rank.recalibrate.images", self.images, self.images > 0, "at least 1")?;
        check("rank.recalibrate.batch", self.batch, self.batch > 0, "at least 1")?;
        let Some(momentum) = self.momentum else { return Ok(()) };
        let inside = momentum > 0.0 && momentum < 1.0;
        check("rank.recalibrate.momentum", momentum, inside, "above 0 and below 1, or \"none\"")
    }

    /// Returns the mean that is computed over the batches.
    pub(crate) fn mean(self) -> RecalibratedMean {
        self.momentum.map_or(RecalibratedMean::Plain, RecalibratedMean::Exponential)
    }
}

/// The architectures that are ranked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RankArchs {
    /// The architectures of the benchmark table.
    Truth,
    /// All architectures of the space.
    All,
    /// This number of different random architectures, drawn with the seed of the run.
    Random(usize),
    /// The architectures of a file.
    File(String),
}

const RANDOM: &str = "random:";

impl FromStr for RankArchs {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "truth" => Self::Truth,
            "all" => Self::All,
            _ => match text.strip_prefix(RANDOM).and_then(|n| n.parse().ok()) {
                Some(n) => Self::Random(n),
                None => Self::File(text.to_owned()),
            },
        })
    }
}

impl From<String> for RankArchs {
    fn from(text: String) -> Self {
        text.parse().unwrap_or_else(|never| match never {})
    }
}

impl From<RankArchs> for String {
    fn from(archs: RankArchs) -> Self {
        archs.to_string()
    }
}

impl fmt::Display for RankArchs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth => f.write_str("truth"),
            Self::All => f.write_str("all"),
            Self::Random(n) => write!(f, "{RANDOM}{n}"),
            Self::File(file) => f.write_str(file),
        }
    }
}

/// A benchmark table: accuracies of architectures that were trained from scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum TruthName {
    /// The embedded table for the mini images.
    Mini,
    /// NAS-Bench-201, CIFAR-10 test accuracy after 200 epochs.
    #[cfg_attr(feature = "clap", value(aliases = ["nas-bench-201", "nasbench201"]))]
    Nb201,
    /// NAS-Bench-201, CIFAR-100 test accuracy after 200 epochs.
    Nb201Cifar100,
    /// NAS-Bench-201, ImageNet16-120 test accuracy after 200 epochs.
    Nb201Imagenet16,
    /// NAS-Bench-Macro, CIFAR-10 test accuracy, mean of three runs.
    NasBenchMacro,
    /// 214 genotypes of DARTS, CIFAR-10 test accuracy of one run, mean of the last ten epochs.
    #[serde(rename = "darts-214")]
    #[cfg_attr(feature = "clap", value(name = "darts-214"))]
    Darts214,
    /// Random genotypes of DARTS, CIFAR-10 validation accuracy of one run of 200 epochs.
    #[serde(rename = "darts-1000")]
    #[cfg_attr(feature = "clap", value(name = "darts-1000"))]
    Darts1000,
}

/// Writes the name of the table as a config has it.
impl fmt::Display for TruthName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mini => "mini",
            Self::Nb201 => "nb201",
            Self::Nb201Cifar100 => "nb201-cifar100",
            Self::Nb201Imagenet16 => "nb201-imagenet16",
            Self::NasBenchMacro => "nas-bench-macro",
            Self::Darts214 => "darts-214",
            Self::Darts1000 => "darts-1000",
        })
    }
}

impl TruthName {
    /// Returns the search space of the architectures of the table.
    pub fn space(self) -> SpaceName {
        match self {
            Self::Mini | Self::Nb201 | Self::Nb201Cifar100 | Self::Nb201Imagenet16 => SpaceName::Nb201,
            Self::NasBenchMacro => SpaceName::Macro,
            Self::Darts214 | Self::Darts1000 => SpaceName::Darts,
        }
    }

    /// All tables.
    const ALL: [Self; 7] = [
        Self::Mini,
        Self::Nb201,
        Self::Nb201Cifar100,
        Self::Nb201Imagenet16,
        Self::NasBenchMacro,
        Self::Darts214,
        Self::Darts1000,
    ];

    /// Returns the table with a name. Case and signs do not matter, and `nas-bench-201` or `nasbench201` stands for `nb201`.
    pub fn find(name: &str) -> Option<Self> {
        let wanted = plain_name(name).replace("nasbench201", "nb201");
        Self::ALL.into_iter().find(|table| plain_name(&table.to_string()) == wanted)
    }

    /// Returns the data sets whose images the table can be compared with, as the first word of [`pada_data::Dataset::name`]. The embedded
    /// images are images of CIFAR-10. No data set of this project has the images of ImageNet16-120.
    pub(crate) fn images(self) -> &'static [&'static str] {
        match self {
            Self::Mini => &["mini"],
            Self::Nb201Cifar100 => &["cifar100"],
            Self::Nb201Imagenet16 => &[],
            Self::Nb201 | Self::NasBenchMacro | Self::Darts214 | Self::Darts1000 => &["cifar10", "mini"],
        }
    }
}

/// The images that architectures are scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "lowercase"))]
pub enum RankSplit {
    /// The test images, as in the released code of PA&DA.
    Test,
    /// The half of the training images that was not trained on.
    ///
    /// It requires that `data.train` leaves out a half.
    Valid,
}

impl RankSplit {
    /// Checks that the training leaves images for this split.
    pub(super) fn check(self, train: TrainPart) -> Result<(), ConfigError> {
        let held_out = self == Self::Test || train != TrainPart::All;
        check("rank.split", "valid", held_out, "\"test\" unless data.train is \"half\" or \"nas-bench-201\"")
    }
}

impl RankConfig {
    /// Checks the numbers, and that the settings fit the space.
    pub(super) fn check(&self, run: &RunConfig) -> Result<(), ConfigError> {
        let space = run.supernet.space;
        let counts = [
            ("rank.images", self.images),
            ("rank.batch", self.batch),
            ("rank.zero_cost_images", self.zero_cost_images),
        ];
        for (key, count) in counts {
            check(key, count, count > 0, "at least 1")?;
        }
        let pairs = [Score::Jacov, Score::Epe, Score::Nwot];
        let planned =
            |score: &Score| self.zero_cost.contains(score) || self.fuse.contains(&FusePart::ZeroCost(*score));
        let enough = self.zero_cost_images > 1 || !pairs.iter().any(planned);
        check("rank.zero_cost_images", self.zero_cost_images, enough, "at least 2 with jacov, epe or nwot")?;
        let of_blocks = |score: Score| score.parts().into_iter().any(Score::needs_blocks);
        let fused = self.fuse.iter().filter_map(|part| match part {
            FusePart::ZeroCost(score) => Some(*score),
            FusePart::Supernet => None,
        });
        for (key, mut scores) in [
            ("rank.fuse", fused.collect::<Vec<_>>().into_iter()),
            ("rank.zero_cost", self.zero_cost.clone().into_iter()),
        ] {
            let score = scores.find(|score| space == SpaceName::Darts && of_blocks(*score));
            let range =
                "no score of AZ-NAS in the space darts, because its cells read the two cells before them";
            check(key, score.map_or("", Score::name), score.is_none(), range)?;
        }
        if let Some(budget) = self.budget {
            let valid = budget.to_string().parse() == Ok(budget);
            check("rank.budget", budget, valid, "a time of whole seconds such as 10m, or at least 1 images")?;
        }
        let once = "a list without repetitions";
        check("rank.fuse", listed(&self.fuse), is_once(&self.fuse), once)?;
        check("rank.zero_cost", listed(&self.zero_cost), is_once(&self.zero_cost), once)?;
        check_recalibration(self.recalibrate, space)?;
        let is_ours = |truth: &TruthName| truth.space() == space;
        let range = "a table of the search space of the run: mini, nb201, nb201-cifar100 or nb201-imagenet16 of nb201, nas-bench-macro of macro, darts-214 or darts-1000 of darts";
        for (key, tables) in [("rank.truth", self.truth.as_slice()), ("rank.compare", &self.compare)] {
            let foreign: Vec<String> =
                tables.iter().filter(|table| !is_ours(table)).map(ToString::to_string).collect();
            check(key, foreign.join(", "), foreign.is_empty(), range)?;
        }
        check_list("rank.archs", &self.archs, self.truth)?;
        let few = self.archs != RankArchs::All || can_be_listed(space);
        check(
            "rank.archs",
            "all",
            few,
            "truth, random:N or a file, because the space is too large to rank all of it",
        )
    }
}

fn listed<T: fmt::Display>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn is_once<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().all(|(i, item)| !list[..i].contains(item))
}

/// Checks that a list of architectures can be read and is not empty. `truth` requires a table.
pub(crate) fn check_list(
    key: &'static str,
    archs: &RankArchs,
    truth: Option<TruthName>,
) -> Result<(), ConfigError> {
    let known = truth.is_some() || *archs != RankArchs::Truth;
    check(key, "truth", known, "all, random:N or a file if there is no rank.truth or --truth")?;
    check(key, "random:0", *archs != RankArchs::Random(0), "at least random:1")
}

/// Checks that images for running statistics are given exactly if the batch norms of the space have such statistics.
pub(crate) fn check_recalibration(
    recalibrate: Option<Recalibration>,
    space: SpaceName,
) -> Result<(), ConfigError> {
    let (key, name) = ("rank.recalibrate", space.name());
    match (recalibrate, space.recalibrates()) {
        (None, true) => {
            let what = "the training images from which running statistics are recomputed, for example { images = 2048, batch = 128 }";
            Err(ConfigError::Needed { key, space: name, what })
        }
        (Some(_), false) => {
            let reason = "its batch norms use batch statistics";
            Err(ConfigError::NoEffect { key, space: name, reason })
        }
        (Some(given), true) => given.check(),
        (None, false) => Ok(()),
    }
}

/// Returns true if the space is small enough to list all architectures in memory.
pub(crate) fn can_be_listed(space: SpaceName) -> bool {
    matches!(space, SpaceName::Nb201 | SpaceName::Macro)
}
