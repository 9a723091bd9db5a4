use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ConfigError, RunConfig, SpaceName, TrainPart, check};

/// Which architectures are scored on which images, and with what the ranking is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankConfig {
    /// `truth` (those of the truth table), `all` of the space, `random:100` different ones, or a file with one architecture a line.
    pub archs: RankArchs,
    /// Where the images come from.
    pub split: RankSplit,
    /// How many images: the first ones in official order.
    pub images: usize,
    /// Images per batch. Where norms use the statistics of the batch it changes the scores.
    pub batch: usize,
    /// Training images from which the running statistics of every architecture are computed before it is scored. Spaces whose norms have
    /// running statistics need it: `proxyless` and `macro`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrate: Option<Recalibration>,
    /// The truth table; optional where `archs` is not `truth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truth: Option<TruthName>,
    /// Optional: further tables, compared with where they have been downloaded.
    #[serde(default)]
    pub compare: Vec<TruthName>,
}

/// Training images that an architecture's running statistics are the mean over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recalibration {
    /// How many: a fixed random choice of those that may be trained on.
    pub images: usize,
    /// Images per batch.
    pub batch: usize,
}

impl Recalibration {
    /// That of a program that is not told otherwise. The batch is that of SPOS.
    pub const USUAL: Self = Self { images: 2048, batch: 128 };

    /// Over another number of images than is usual.
    pub fn over(images: NonZeroUsize) -> Self {
        Self { images: images.get(), ..Self::USUAL }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        check("rank.recalibrate.images", self.images, self.images > 0, "at least 1")?;
        check("rank.recalibrate.batch", self.batch, self.batch > 0, "at least 1")
    }
}

/// Which architectures are ranked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum RankArchs {
    /// Those of the truth table.
    Truth,
    /// All of the space.
    All,
    /// So many different ones, chosen by the run's seed.
    Random(usize),
    /// Those of a file.
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

/// A table of accuracies trained from scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TruthName {
    /// The embedded table of the mini images.
    Mini,
    /// NAS-Bench-201: CIFAR-10 test accuracy after 200 epochs.
    Nb201,
    /// NAS-Bench-201: CIFAR-100 test accuracy after 200 epochs.
    #[serde(rename = "nb201-cifar100")]
    Nb201Cifar100,
    /// NAS-Bench-201: ImageNet16-120 test accuracy after 200 epochs.
    #[serde(rename = "nb201-imagenet16")]
    Nb201Imagenet16,
    /// NAS-Bench-Macro: CIFAR-10 test accuracy, mean of three runs.
    #[serde(rename = "nas-bench-macro")]
    NasBenchMacro,
    /// 214 genotypes of DARTS: CIFAR-10 test accuracy of one run, mean of the last ten epochs.
    #[serde(rename = "darts-214")]
    Darts214,
}

impl TruthName {
    /// The space of its architectures.
    pub fn space(self) -> SpaceName {
        match self {
            Self::Mini | Self::Nb201 | Self::Nb201Cifar100 | Self::Nb201Imagenet16 => SpaceName::Nb201,
            Self::NasBenchMacro => SpaceName::Macro,
            Self::Darts214 => SpaceName::Darts,
        }
    }
}

/// Images that architectures are scored on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankSplit {
    /// The test images, as the released code does.
    Test,
    /// The half of the training images that was not trained on; needs `data.train = "half"`.
    Valid,
}

impl RankSplit {
    /// Checks that the images are there.
    pub(super) fn check(self, train: TrainPart) -> Result<(), ConfigError> {
        let held_out = self == Self::Test || train == TrainPart::Half;
        check("rank.split", "valid", held_out, "\"test\", unless data.train is \"half\"")
    }
}

impl RankConfig {
    /// Checks its numbers, and that it suits the space.
    pub(super) fn check(&self, run: &RunConfig) -> Result<(), ConfigError> {
        let space = run.supernet.space;
        let counts = [("rank.images", self.images), ("rank.batch", self.batch)];
        for (key, count) in counts {
            check(key, count, count > 0, "at least 1")?;
        }
        check_recalibration(self.recalibrate, space)?;
        let is_ours = |truth: &TruthName| truth.space() == space;
        let range = "a table of the run's space: mini, nb201, nb201-cifar100 or nb201-imagenet16 of nb201, nas-bench-macro of macro, darts-214 of darts";
        check("rank.truth", format!("{:?}", self.truth), self.truth.iter().all(is_ours), range)?;
        check("rank.compare", format!("{:?}", self.compare), self.compare.iter().all(is_ours), range)?;
        check_list("rank.archs", &self.archs, self.truth)?;
        let few = self.archs != RankArchs::All || can_be_listed(space);
        check(
            "rank.archs",
            "all",
            few,
            "truth, random:100 or a file: the space is too large to rank all of it",
        )
    }
}

/// A list of architectures that is not empty, whatever the space: `truth` needs a table.
pub(crate) fn check_list(
    key: &'static str,
    archs: &RankArchs,
    truth: Option<TruthName>,
) -> Result<(), ConfigError> {
    let known = truth.is_some() || *archs != RankArchs::Truth;
    check(key, "truth", known, "another list where there is no rank.truth or --truth")?;
    check(key, "random:0", *archs != RankArchs::Random(0), "at least random:1")
}

/// A space whose norms have running statistics needs images for them, another has no use for any.
pub(crate) fn check_recalibration(
    recalibrate: Option<Recalibration>,
    space: SpaceName,
) -> Result<(), ConfigError> {
    let (key, name) = ("rank.recalibrate", space.name());
    match (recalibrate, space.recalibrates()) {
        (None, true) => {
            let what =
                "the training images that running statistics are taken from, { images = 2048, batch = 128 }";
            Err(ConfigError::Needed { key, space: name, what })
        }
        (Some(_), false) => {
            let reason = "its norms use the statistics of the batch that is scored";
            Err(ConfigError::NoEffect { key, space: name, reason })
        }
        (Some(given), true) => given.check(),
        (None, false) => Ok(()),
    }
}

/// Whether a computer can hold the list of all architectures.
pub(crate) fn can_be_listed(space: SpaceName) -> bool {
    matches!(space, SpaceName::Nb201 | SpaceName::Macro)
}
