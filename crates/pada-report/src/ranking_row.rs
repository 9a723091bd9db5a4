use pada_metrics::{Difference, Metrics};
use serde::{Deserialize, Serialize};

use crate::{Agreement, FusedRow, RunRecord, Spread, ZeroCostRow};

/// The kind of a ranking below the methods of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankingKind {
    /// The scores of a method's supernets, fused with zero-cost scores.
    Fused,
    /// A ranking without a supernet.
    ZeroCost,
}

/// A ranking below the methods of a table: the fused ranking of a method over its seeds, or a zero-cost baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RankingRow {
    /// Short name: that of the method, or that of the baseline.
    pub name: String,
    /// Label in tables.
    pub label: String,
    /// The kind of score that ranks the architectures.
    pub kind: RankingKind,
    /// Number of seeds with this ranking. A baseline has none.
    pub seeds: usize,
    /// Numbers of compared architectures, without repeats.
    pub archs: Vec<usize>,
    /// Kendall's tau-b.
    pub tau_b: Option<Spread>,
    /// P@Top5%.
    pub p_at_top_5: Option<Spread>,
    /// Spearman's rank correlation.
    pub spearman: Option<Spread>,
    /// BR@Top5%. Smaller is better.
    pub br_at_top_5: Option<Spread>,
    /// Partial tau-b given the number of parameters.
    pub partial_tau: Option<Spread>,
    /// The mean of [`Agreement::tau_within`] over seeds.
    pub tau_within: Option<Spread>,
    /// Paired difference in tau-b to the zero-cost baseline with the best tau-b.
    pub tau_b_difference: Option<Difference>,
    /// Paired difference in P@Top5% to this baseline.
    pub p_at_top_5_difference: Option<Difference>,
}

impl RankingRow {
    /// Summarizes the fused rankings of the runs of a method. Returns `None` if no run fuses. The caller, who has the scores, fills in the
    /// differences.
    pub fn fused(name: String, label: &str, records: &[RunRecord]) -> Option<Self> {
        let of = |record: &RunRecord| record.ranking.as_ref()?.agreements.first()?.fused.clone();
        let rows: Vec<FusedRow> = records.iter().filter_map(of).collect();
        let metrics: Vec<(&Metrics, Option<f64>)> =
            rows.iter().map(|row| (&row.metrics, row.tau_within)).collect();
        let label = format!("{label}, fused");
        (!rows.is_empty()).then(|| Self::of(name, label, RankingKind::Fused, rows.len(), &metrics))
    }

    /// Returns the row of a baseline. The caller, who has the scores, fills in the differences.
    pub fn zero_cost(row: &ZeroCostRow) -> Self {
        let metrics = [(&row.metrics, row.tau_within)];
        Self::of(row.name.clone(), row.name.clone(), RankingKind::ZeroCost, 0, &metrics)
    }

    fn of(
        name: String,
        label: String,
        kind: RankingKind,
        seeds: usize,
        metrics: &[(&Metrics, Option<f64>)],
    ) -> Self {
        let over = |of: fn(&Metrics) -> Option<f64>| Spread::of(metrics.iter().filter_map(|(m, _)| of(m)));
        let mut archs: Vec<usize> = metrics.iter().map(|(m, _)| m.n).collect();
        archs.sort_unstable();
        archs.dedup();
        Self {
            name,
            label,
            kind,
            seeds,
            archs,
            tau_b: over(|m| Some(m.tau_b)),
            p_at_top_5: over(|m| m.p_at_top_5),
            spearman: over(|m| Some(m.spearman)),
            br_at_top_5: over(|m| m.br_at_top_5),
            partial_tau: over(|m| m.partial_tau_given_params),
            tau_within: Spread::of(metrics.iter().filter_map(|(_, within)| *within)),
            tau_b_difference: None,
            p_at_top_5_difference: None,
        }
    }
}

impl Agreement {
    /// Returns the name of the zero-cost baseline with the largest tau-b.
    pub fn best_zero_cost(&self) -> Option<&str> {
        ZeroCostRow::best(&self.zero_cost).map(|row| row.name.as_str())
    }
}
