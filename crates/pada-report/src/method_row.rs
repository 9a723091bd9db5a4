use pada_metrics::{Difference, Metrics};
use serde::{Deserialize, Serialize};

use crate::{Agreement, EpochRecord, Published, RunRecord, Sampling, Spread};

/// Role of a method in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowGroup {
    /// The method is a row of the paper's table.
    Paper,
    /// Another variant of a method of the paper's table, for example a rule that its text and its code give differently.
    Variant,
    /// A control or ablation: a method without one of its parts, or with a part that does not learn.
    Control,
    /// A method that the paper does not contain.
    Beyond,
}

/// Name of a method and its published numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodName {
    /// Short name, as used on the command line and in folder names.
    pub name: String,
    /// Label in tables and plots.
    pub label: String,
    /// Role in the table.
    pub group: RowGroup,
    /// The row of the paper. `None` if the method is not a row of the paper's table.
    pub published: Option<Published>,
}

/// The results of one method over its seeds: one row of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodRow {
    /// The method.
    pub method: MethodName,
    /// Finished seeds.
    pub seeds: Vec<u64>,
    /// Number of finished seeds whose supernet collapsed, so that all architectures score alike. They are left out of all means.
    pub collapsed: usize,
    /// Executors and devices, without repeats.
    pub devices: Vec<String>,
    /// Training time including splits, device hours.
    pub train_hours: Option<Spread>,
    /// Ranking time, device hours.
    pub rank_hours: Option<Spread>,
    /// Numbers of compared architectures, without repeats. If there is more than one, the seeds are not comparable.
    pub archs: Vec<usize>,
    /// Kendall's tau-b.
    pub tau_b: Option<Spread>,
    /// Tau-b of every seed that did not collapse.
    pub tau_b_by_seed: Vec<f64>,
    /// Paired difference in tau-b to the reference method.
    pub tau_b_difference: Option<Difference>,
    /// P@Top5%.
    pub p_at_top_5: Option<Spread>,
    /// Paired difference in P@Top5% to the reference method.
    pub p_at_top_5_difference: Option<Difference>,
    /// Spearman's rank correlation.
    pub spearman: Option<Spread>,
    /// BR@Top5%. Smaller is better.
    pub br_at_top_5: Option<Spread>,
    /// Partial tau-b given the number of parameters.
    pub partial_tau: Option<Spread>,
    /// Tau-b within groups of equal [`ZeroCostRow::ACTIVE_CONV_PARAMS`](crate::ZeroCostRow::ACTIVE_CONV_PARAMS).
    #[serde(default)]
    pub tau_within: Option<Spread>,
    /// Tau-b of the ranking that fuses the scores of the supernet with zero-cost scores.
    #[serde(default)]
    pub fused_tau_b: Option<Spread>,
    /// P@Top5% of this ranking.
    #[serde(default)]
    pub fused_p_at_top_5: Option<Spread>,
    /// Gradient variance, see [`mean_gv`].
    pub gv: Option<Spread>,
    /// Gradient variance divided by ‖mean gradient‖².
    pub gv_scale_free: Option<Spread>,
    /// Counts of the drawn paths and images.
    pub sampling: Option<Sampling>,
}

impl MethodRow {
    /// Summarizes the finished runs of a method. The caller, who has the scores, fills in the differences.
    ///
    /// `weighted_ops` lists the digits of the operations that have parameters.
    pub fn of(method: MethodName, records: &[RunRecord], weighted_ops: &[usize]) -> Self {
        let metrics: Vec<&Metrics> =
            records.iter().filter_map(|record| record.ranking.as_ref()?.main_metrics()).collect();
        let over = |of: fn(&Metrics) -> Option<f64>| Spread::of(metrics.iter().filter_map(|m| of(m)));
        let agreements = records.iter().filter_map(|record| record.ranking.as_ref()?.agreements.first());
        let agreements: Vec<&Agreement> = agreements.collect();
        let main = |of: fn(&Agreement) -> Option<f64>| Spread::of(agreements.iter().filter_map(|a| of(a)));
        let hours = |of: fn(&RunRecord) -> Option<f64>| {
            Spread::of(records.iter().filter_map(of).map(|seconds| seconds / 3600.0))
        };
        let gv = |of: fn(&EpochRecord) -> Option<f64>| {
            Spread::of(records.iter().filter_map(|record| mean_gv(&record.epochs, of)))
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
            tau_within: main(|agreement| agreement.tau_within),
            fused_tau_b: main(|agreement| Some(agreement.fused.as_ref()?.metrics.tau_b)),
            fused_p_at_top_5: main(|agreement| agreement.fused.as_ref()?.metrics.p_at_top_5),
            gv: gv(|epoch| epoch.gv),
            gv_scale_free: gv(|epoch| epoch.gv_scale_free),
            sampling: Sampling::of(records, weighted_ops),
            method,
        }
    }
}

/// Averages a gradient variance over all epochs of training, those of every stage of a supernet that was split included. Returns `None`
/// if no epoch has a value.
///
/// # Source
/// The slides of PA&DA define GV as "the average GV of all candidate operation weights during training".
pub fn mean_gv(epochs: &[EpochRecord], of: fn(&EpochRecord) -> Option<f64>) -> Option<f64> {
    Spread::of(epochs.iter().filter_map(of)).map(|spread| spread.mean)
}

/// The epochs of the supernets that are used for ranking: those of the last stage, or of all `sub_supernets`.
pub(crate) fn last_stages(epochs: &[EpochRecord], sub_supernets: usize) -> Vec<&[EpochRecord]> {
    let mut stages: Vec<&[EpochRecord]> = epochs.chunk_by(|a, b| a.stage == b.stage).collect();
    stages.split_off(stages.len().saturating_sub(sub_supernets.max(1)))
}
