use std::path::Path;

use pada_metrics::{Difference, Fusion, Interval, Metrics};
use serde::{Deserialize, Serialize};

use crate::{Agreement, BestEpoch, CommunicationRecord, EpochRecord, MixtureRecord, ReportError};

/// The results of a run, as stored in `record.json` of its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Name of the run's config.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Training rule, path sampler and data sampler with their variants.
    pub method: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// Executor and device that computed the run.
    pub device: String,
    /// Number of threads.
    pub threads: usize,
    /// The supernet.
    pub supernet: SupernetRecord,
    /// The training images.
    pub train_images: ImagesRecord,
    /// The origin of the initial weights. `None` if they are random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitRecord>,
    /// The sub-spaces that have a supernet of their own, each as `[E]` sets of allowed digits. Empty if the supernet was not split.
    #[serde(default, alias = "parts")]
    pub sub_supernets: Vec<Vec<String>>,
    /// One entry per finished epoch.
    pub epochs: Vec<EpochRecord>,
    /// Wall-clock time of training over all sessions of the run, seconds. It includes the time for computing splits once all of them
    /// are known.
    pub train_seconds: f64,
    /// The best epoch of a network that was tested after epochs, as in retraining. The accuracy after the last epoch is in `ranking`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<BestEpoch>,
    /// SHA-256 of the text of the config that the finished run had, in hexadecimal. `None` until the run is finished, and in records of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// The ranking. `None` until it is finished.
    pub ranking: Option<RankRecord>,
}

/// The origin of the initial weights of a network that was retrained from the weights of another run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InitRecord {
    /// The folder of the other run, as it was given.
    pub run: String,
    /// SHA-256 of the initial weights. `None` if the run was stopped in its first epoch and then resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// Number of weights that were taken from the other run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inherited: Option<usize>,
    /// Number of weights that the other run does not have, such as scale and shift of batch norms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialised: Option<usize>,
}

impl InitRecord {
    /// Creates the record of a run whose weights are not known.
    pub fn of_run(run: &Path) -> Self {
        Self { run: run.display().to_string(), ..Self::default() }
    }
}

/// Size of a supernet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupernetRecord {
    /// Name of the search space.
    pub space: String,
    /// C, channels of the first stage. `None` if the space fixes its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// N, cells per stage; in the DARTS space the total number of cells. `None` if the space fixes its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// Number of shared parameters.
    #[serde(alias = "weights")]
    pub params: usize,
}

impl SupernetRecord {
    /// The sizes that the space leaves open, for example `C=8` and `N=1`.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = String> {
        let size = |name: &str, n: Option<usize>| n.map(|n| format!("{name}={n}"));
        size("C", self.channels).into_iter().chain(size("N", self.cells))
    }
}

/// A set of images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesRecord {
    /// Name of the data set and its split.
    pub name: String,
    /// Number of images.
    pub images: usize,
    /// SHA-256 of their pixels and labels, in hexadecimal.
    pub sha256: String,
    /// Names of the classes, in the order of the labels. Empty if they are not known or, for the images of a ranking, not recorded again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
}

/// The result of ranking architectures with a trained supernet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankRecord {
    /// Number of architectures.
    pub archs: usize,
    /// The images that the scores were computed on.
    pub images: ImagesRecord,
    /// Images per batch. It influences the scores of networks whose norms use batch statistics.
    pub batch: usize,
    /// Number of training images that batch-norm statistics were recalibrated on, for each architecture. `None` without recalibration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrated_on: Option<usize>,
    /// Wall-clock time, seconds.
    pub seconds: f64,
    /// Communication between the processes that scored. `None` for a single process.
    #[serde(default, alias = "ranks", skip_serializing_if = "Option::is_none")]
    pub communication: Option<CommunicationRecord>,
    /// The rounds of a ranking that did not score all architectures on all images. `None` if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halving: Option<HalvingRecord>,
    /// The scores that were fused. `None` if none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<FusionRecord>,
    /// Agreement with each benchmark table. The first is the main result of the run.
    pub agreements: Vec<Agreement>,
    /// The best architectures by fused score, or by score if none were fused, best first.
    pub best: Vec<BestArch>,
}

/// A ranking by rounds: all architectures are scored on few images, and the promising ones on more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalvingRecord {
    /// The budget, as in the config.
    pub budget: String,
    /// The rounds.
    pub rounds: Vec<HalvingRound>,
    /// Number of random architectures that were scored on all images whatever their scores were. Costs are measured on them.
    pub controls: usize,
    /// Tau-b between two rankings of the control architectures: by the accuracies that they would have if their scores had eliminated
    /// them, and by their accuracies on all images. `None` if it is not defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_b_with_all: Option<f64>,
    /// Bootstrap interval of this tau-b over the control architectures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_b_with_all_interval: Option<Interval>,
    /// The cost in agreement with each benchmark table.
    pub costs: Vec<HalvingCost>,
}

/// A round of a [`HalvingRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalvingRound {
    /// Number of architectures.
    pub archs: usize,
    /// Number of images that they were scored on, those of earlier rounds included.
    pub images: usize,
}

/// Agreement with a benchmark table of a ranking by rounds, minus that of the ranking on all images, both of the control architectures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HalvingCost {
    /// Name of the table.
    pub table: String,
    /// Difference in tau-b. `None` if it is not defined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_b: Option<Difference>,
    /// Difference in P@Top5%. `None` if it is not defined, and with fewer than 100 control architectures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_at_top_5: Option<Difference>,
}

impl HalvingRecord {
    /// Describes the rounds, for example `300 architectures on 64 images, 113 on 256`.
    pub(crate) fn rounds_in_words(&self) -> String {
        let round = |(i, round): (usize, &HalvingRound)| match i {
            0 => format!("{} architectures on {} images", round.archs, round.images),
            _ => format!("{} on {}", round.archs, round.images),
        };
        self.rounds.iter().enumerate().map(round).collect::<Vec<_>>().join(", ")
    }

    /// Returns the number of images that were scored, over all architectures.
    pub fn images(&self) -> usize {
        let before = std::iter::once(0).chain(self.rounds.iter().map(|round| round.images));
        self.rounds.iter().zip(before).map(|(round, before)| round.archs * (round.images - before)).sum()
    }
}

/// The fusion of scores to one ranking, and the zero-cost scores that were computed for it and beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionRecord {
    /// Names of the fused scores.
    pub parts: Vec<String>,
    /// How their ranks become one score.
    pub fusion: Fusion,
    /// Images that the zero-cost scores were computed from.
    pub images: ImagesRecord,
    /// Seed of the weights of the untrained network.
    pub seed: u64,
    /// Wall-clock time of all zero-cost scores, seconds.
    pub seconds: f64,
    /// Zero-cost scores that are not a finite number for some architectures: the score, the number of architectures, and the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undefined: Vec<(String, usize, String)>,
}

/// One of the best architectures of a ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestArch {
    /// The architecture, as digits.
    pub arch: String,
    /// Accuracy with inherited weights, percent. With [`RankRecord::halving`], it is estimated for an eliminated architecture.
    pub score: f64,
    /// The fused score, which depends on all ranked architectures. `None` if none were fused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<f64>,
    /// For each of [`FusionRecord::parts`]: the rank by this score, divided by the number of architectures; 1 is the best. Empty if none
    /// were fused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub part_ranks: Vec<f64>,
    /// Top-5 accuracy on all images, percent. `None` if there are no more than five classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
    /// Number of parameters of the stand-alone network.
    pub params: u64,
    /// Multiply-adds of the stand-alone network for one image.
    pub macs: u64,
    /// Stand-alone accuracy from the first table that lists the architecture, percent.
    #[serde(alias = "truth")]
    pub stand_alone_accuracy: Option<f64>,
}

impl RankRecord {
    /// Returns the metrics against the first table: the main result. Returns `None` without a table, and for a collapsed supernet.
    pub fn main_metrics(&self) -> Option<&Metrics> {
        self.agreements.first()?.metrics.as_ref()
    }

    /// Returns the number of images that were scored, over all architectures.
    pub fn scored_images(&self) -> usize {
        self.halving.as_ref().map_or(self.archs * self.images.images, HalvingRecord::images)
    }

    /// Returns the metrics of the fused ranking against the first table. Returns `None` without a table, and if nothing was fused.
    pub fn fused_metrics(&self) -> Option<&Metrics> {
        Some(&self.agreements.first()?.fused.as_ref()?.metrics)
    }
}

impl RunRecord {
    /// Returns the stage of the training whose architecture a search with mixtures ended with. `None` for other runs.
    ///
    /// It is the last stage, unless the supernet was split. Then it is the stage of the sub-supernet whose mixture has the highest accuracy on
    /// validation images after its last epoch, or on training images if the method needs no others; of equal ones the first.
    pub fn found_stage(&self) -> Option<usize> {
        let last = self.epochs.last()?.stage;
        let first = (last + 1).saturating_sub(self.sub_supernets.len().max(1));
        let accuracy = |stage: usize| {
            let end = self.epochs.iter().rfind(|epoch| epoch.stage == stage)?;
            Some(end.mixture.as_ref()?.validation_accuracy.unwrap_or(end.accuracy))
        };
        accuracy(last)?;
        let better = |best: usize, stage: usize| if accuracy(stage) > accuracy(best) { stage } else { best };
        Some((first..=last).fold(first, better))
    }

    /// Returns the index of the sub-supernet of [`RunRecord::found_stage`]. `None` if the supernet was not split, and for other runs.
    pub fn found_sub_supernet(&self) -> Option<usize> {
        let (stage, last) = (self.found_stage()?, self.epochs.last()?.stage);
        (self.sub_supernets.len() + stage).checked_sub(last + 1).filter(|_| !self.sub_supernets.is_empty())
    }

    /// Returns whether the run has ended: whether it has a ranking, or is a search that ranks nothing.
    pub fn has_ended(&self) -> bool {
        self.ranking.is_some() || (self.config_sha256.is_some() && self.found_stage().is_some())
    }

    /// Returns the mixtures after the last epoch of the found stage; their field `arch` is the result of the search. `None` for other runs.
    pub fn found(&self) -> Option<&MixtureRecord> {
        let stage = self.found_stage()?;
        self.epochs.iter().rfind(|epoch| epoch.stage == stage)?.mixture.as_ref()
    }

    /// Serializes the record as JSON.
    ///
    /// # Panics
    /// Never panics: every field can be represented in JSON.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a record has string keys only");
        json.push('\n');
        json
    }

    /// Reads a record from a file, in the current or in an older format.
    ///
    /// # Errors
    /// Returns [`ReportError::Io`] if the file cannot be read and [`ReportError::Json`] if it is not a run record. Both name the file.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let json =
            std::fs::read_to_string(path).map_err(|source| ReportError::Io { path: path.into(), source })?;
        serde_json::from_str(&json).map_err(|source| ReportError::Json { path: path.into(), source })
    }
}
