use std::path::Path;

use pada_metrics::Metrics;
use serde::{Deserialize, Serialize};

use crate::{Agreement, EpochRecord, RanksRecord, ReportError};

/// Everything a run found, as `record.json` of its folder keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Name of the run's config.
    pub name: String,
    /// Version of the program.
    pub version: String,
    /// Training rule, path rule and data rule with their variants.
    pub method: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// What computed: executor and device.
    pub device: String,
    /// Threads used.
    pub threads: usize,
    /// The network.
    pub supernet: SupernetRecord,
    /// What was trained on.
    pub train_images: ImagesRecord,
    /// The parts of the space that have a supernet of their own, `[E]` digits that each allows; empty for one supernet.
    #[serde(default)]
    pub parts: Vec<Vec<String>>,
    /// One entry per finished epoch.
    pub epochs: Vec<EpochRecord>,
    /// Wall-clock time of training, over all sessions of the run; with that of finding splits, once they are all found.
    pub train_seconds: f64,
    /// The ranking; none until it is done.
    pub ranking: Option<RankRecord>,
}

/// A supernet's size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupernetRecord {
    /// Search space.
    pub space: String,
    /// C, channels of the first stage; none where the space has one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// N, cells per stage, or in all in the DARTS space; none where the space has one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells: Option<usize>,
    /// Shared weights.
    pub weights: usize,
}

impl SupernetRecord {
    /// What the space leaves open: `C=8` and `N=1`.
    pub(crate) fn sizes(&self) -> impl Iterator<Item = String> {
        let size = |name: &str, n: Option<usize>| n.map(|n| format!("{name}={n}"));
        size("C", self.channels).into_iter().chain(size("N", self.cells))
    }
}

/// Which images were used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesRecord {
    /// Data set and part of it.
    pub name: String,
    /// How many.
    pub images: usize,
    /// SHA-256 of their pixels and labels.
    pub sha256: String,
}

/// What ranking found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankRecord {
    /// How many architectures were ranked.
    pub archs: usize,
    /// Where the scores came from.
    pub images: ImagesRecord,
    /// Images per batch; part of a score, since norms use batch statistics.
    pub batch: usize,
    /// Training images that running statistics were taken from for each architecture; none where norms have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibrated_on: Option<usize>,
    /// Wall-clock time.
    pub seconds: f64,
    /// The ranks that scored, and what was sent; none where one process did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks: Option<RanksRecord>,
    /// Agreement with each truth table that was there; the first is the run's main result.
    pub agreements: Vec<Agreement>,
    /// The best architectures by score, best first.
    pub best: Vec<BestArch>,
}

/// One of the best architectures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestArch {
    /// Its digits.
    pub arch: String,
    /// Accuracy with shared weights, percent.
    pub score: f64,
    /// Weights when it stands alone.
    pub params: u64,
    /// Multiply-adds of one image when it stands alone.
    pub macs: u64,
    /// Accuracy trained from scratch, percent, from the first table that has it.
    pub truth: Option<f64>,
}

impl RankRecord {
    /// The main result: metrics against the first table; none where there is no table, or a collapsed supernet ranks nothing.
    pub fn main_metrics(&self) -> Option<&Metrics> {
        self.agreements.first()?.metrics.as_ref()
    }
}

impl RunRecord {
    /// The record as JSON.
    ///
    /// # Panics
    /// Never: every field is representable.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string_pretty(self).expect("a record has string keys only");
        json.push('\n');
        json
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`ReportError`] naming the file.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let json =
            std::fs::read_to_string(path).map_err(|source| ReportError::Io { path: path.into(), source })?;
        serde_json::from_str(&json).map_err(|source| ReportError::Json { path: path.into(), source })
    }
}
