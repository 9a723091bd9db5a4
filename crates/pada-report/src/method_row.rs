use pada_metrics::{Difference, Metrics};
use serde::{Deserialize, Serialize};

use crate::{EpochRecord, RunRecord, Sampling, Spread};

/// What a paper printed for a method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Search cost, GPU hours.
    pub gpu_hours: f64,
    /// Kendall's tau.
    pub tau_b: PublishedValue,
    /// P@Top5%; none where the paper leaves it out.
    #[serde(default)]
    pub p_at_top_5: Option<PublishedValue>,
}

/// A printed number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedValue {
    /// Mean over seeds.
    pub mean: f64,
    /// Standard deviation; none where the paper leaves it out.
    #[serde(default)]
    pub sd: Option<f64>,
}

impl From<PublishedValue> for Spread {
    fn from(PublishedValue { mean, sd }: PublishedValue) -> Self {
        Self { mean, sd, n: 0 }
    }
}

/// Why a method stands in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowGroup {
    /// It stands in the paper's table.
    Paper,
    /// It takes a method apart: what is left when a part is missing, or replaced by something that does not learn.
    Control,
    /// It goes beyond the paper.
    Beyond,
}

/// How a method is called, and what is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodName {
    /// Short, as the command line and folders have it.
    pub name: String,
    /// As a table shows it.
    pub label: String,
    /// Why it stands there.
    pub group: RowGroup,
    /// The paper's numbers.
    pub published: Option<Published>,
}

/// One method of a table, over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodRow {
    /// The method.
    pub method: MethodName,
    /// Seeds that are finished.
    pub seeds: Vec<u64>,
    /// Of these, those whose ranking says nothing: every architecture scored alike. They are in no mean.
    pub collapsed: usize,
    /// What computed, each once.
    pub devices: Vec<String>,
    /// Training, splits included, device hours.
    pub train_hours: Option<Spread>,
    /// Ranking, device hours.
    pub rank_hours: Option<Spread>,
    /// How many architectures were compared, each number once: more than one number is no fair comparison.
    pub archs: Vec<usize>,
    /// Kendall's tau-b.
    pub tau_b: Option<Spread>,
    /// Tau-b of every seed that has one.
    pub tau_b_by_seed: Vec<f64>,
    /// How much better than the reference it ranks, in tau-b.
    pub tau_b_difference: Option<Difference>,
    /// P@Top5%.
    pub p_at_top_5: Option<Spread>,
    /// How much better than the reference it ranks, in P@Top5%.
    pub p_at_top_5_difference: Option<Difference>,
    /// Spearman's rank correlation.
    pub spearman: Option<Spread>,
    /// BR@Top5%: smaller is better.
    pub br_at_top_5: Option<Spread>,
    /// Tau-b with the number of weights held fixed.
    pub partial_tau: Option<Spread>,
    /// Gradient variance, see [`late_gv`].
    pub gv: Option<Spread>,
    /// The same divided by ‖mean gradient‖².
    pub gv_scale_free: Option<Spread>,
    /// What was really trained.
    pub sampling: Option<Sampling>,
}

impl MethodRow {
    /// Reads a method's row from its finished runs; differences are left to the caller, who has the scores.
    ///
    /// `weighted_ops` are the operations that carry weights, by digit.
    pub fn of(method: MethodName, records: &[RunRecord], weighted_ops: &[usize]) -> Self {
        let metrics: Vec<&Metrics> =
            records.iter().filter_map(|record| record.ranking.as_ref()?.main_metrics()).collect();
        let over = |of: fn(&Metrics) -> Option<f64>| Spread::of(metrics.iter().filter_map(|m| of(m)));
        let hours = |of: fn(&RunRecord) -> Option<f64>| {
            Spread::of(records.iter().filter_map(of).map(|seconds| seconds / 3600.0))
        };
        let gv = |of: fn(&EpochRecord) -> Option<f64>| {
            Spread::of(records.iter().filter_map(|record| late_gv(&record.epochs, record.parts.len(), of)))
        };
        let mut archs: Vec<usize> = metrics.iter().map(|m| m.n).collect();
        archs.sort_unstable();
        archs.dedup();
        let mut devices: Vec<String> = records.iter().map(|record| record.device.clone()).collect();
        devices.sort_unstable();
        devices.dedup();
        Self {
            seeds: records.iter().map(|record| record.seed).collect(),
            collapsed: records.len() - metrics.len(),
            devices,
            train_hours: hours(|record| Some(record.train_seconds)),
            rank_hours: hours(|record| record.ranking.as_ref().map(|ranking| ranking.seconds)),
            archs,
            tau_b: over(|m| Some(m.tau_b)),
            tau_b_by_seed: metrics.iter().map(|m| m.tau_b).collect(),
            tau_b_difference: None,
            p_at_top_5: over(|m| m.p_at_top_5),
            p_at_top_5_difference: None,
            spearman: over(|m| Some(m.spearman)),
            br_at_top_5: over(|m| m.br_at_top_5),
            partial_tau: over(|m| m.partial_tau_given_params),
            gv: gv(|epoch| epoch.gv),
            gv_scale_free: gv(|epoch| epoch.gv_scale_free),
            sampling: Sampling::of(records, weighted_ops),
            method,
        }
    }
}

/// Mean of a gradient variance over the last quarter of a supernet's epochs, at least one: early epochs measure the start of training
/// more than what sub-models do to each other. Of a run that split its supernet into `parts`, the mean over those parts.
pub fn late_gv(epochs: &[EpochRecord], parts: usize, of: fn(&EpochRecord) -> Option<f64>) -> Option<f64> {
    let late = |stage: &&[EpochRecord]| {
        let late = &stage[stage.len() - stage.len().div_ceil(4)..];
        Spread::of(late.iter().filter_map(of)).map(|spread| spread.mean)
    };
    Spread::of(last_stages(epochs, parts).iter().filter_map(late)).map(|spread| spread.mean)
}

/// The epochs of the supernets that rank: of the last stage, or of every one of the `parts` that a run split its supernet into.
pub(crate) fn last_stages(epochs: &[EpochRecord], parts: usize) -> Vec<&[EpochRecord]> {
    let mut stages: Vec<&[EpochRecord]> = epochs.chunk_by(|a, b| a.stage == b.stage).collect();
    stages.split_off(stages.len().saturating_sub(parts.max(1)))
}
