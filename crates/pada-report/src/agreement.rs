use pada_metrics::{
    Bootstrap, Difference, Interval, Metrics, MetricsError, PairedMetric, finite_scores, paired_difference,
    tau_b_interval, tau_within,
};
use serde::{Deserialize, Deserializer, Serialize};

/// Agreement between the ranking of a supernet and one benchmark table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Name of the benchmark table.
    #[serde(alias = "truth")]
    pub table: String,
    /// The reason why there are no metrics, for example that a collapsed supernet scores all architectures alike.
    pub undefined: Option<String>,
    /// Metrics over the architectures that were ranked and are in the table.
    pub metrics: Option<Metrics>,
    /// Confidence interval of tau-b over architectures; `None` if it is undefined, for example with three architectures.
    pub tau_b_interval: Option<Interval>,
    /// Tau-b within groups of equal [`ZeroCostRow::ACTIVE_CONV_PARAMS`]: what the ranking knows beyond size. `None` if hardly any
    /// architectures are equal, or if the number was not computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_within: Option<f64>,
    /// Paired differences to zero-cost baselines: to the number of parameters, and to the best one by tau-b.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    /// Zero-cost baselines on the same architectures.
    pub zero_cost: Vec<ZeroCostRow>,
    /// The ranking that fuses scores. `None` if none were fused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fused: Option<FusedRow>,
    /// Agreement of the table with itself. `None` if the table does not list its seeds separately.
    #[serde(default)]
    pub ceiling: Option<Ceiling>,
    /// A remark about the table that a reader needs to interpret the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Agreement between stand-alone trainings that differ only in their seed. It is a practical upper limit for the agreement of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// Mean of tau-b between two seeds, over all pairs of seeds.
    pub tau_b: f64,
    /// Number of seeds.
    pub seeds: usize,
    /// Number of architectures that were trained with every seed.
    pub archs: usize,
}

/// The ranking by a fused score, compared with one benchmark table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusedRow {
    /// The metrics of the fused ranking.
    pub metrics: Metrics,
    /// Confidence interval of tau-b over architectures; `None` if it is undefined.
    pub tau_b_interval: Option<Interval>,
    /// The tau-b within groups of equal size, see [`Agreement::tau_within`].
    pub tau_within: Option<f64>,
    /// As [`Agreement::comparisons`].
    pub comparisons: Vec<Comparison>,
}

/// The paired difference of a ranking to a zero-cost baseline, over the same resampled architectures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Name of the baseline.
    pub with: String,
    /// Difference in tau-b; `None` if it is undefined.
    pub tau_b: Option<Difference>,
    /// Difference in P@Top5%; `None` if it is undefined, for example with fewer than 20 architectures.
    pub p_at_top_5: Option<Difference>,
}

/// A zero-cost baseline: a ranking that needs no trained supernet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroCostRow {
    /// Name of the score, for example [`ZeroCostRow::PARAMS`].
    #[serde(deserialize_with = "baseline_name")]
    pub name: String,
    /// The metrics of the baseline.
    pub metrics: Metrics,
    /// The tau-b within groups of equal size, see [`Agreement::tau_within`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tau_within: Option<f64>,
}

impl ZeroCostRow {
    /// The number of parameters.
    pub const PARAMS: &str = "#params";
    /// The number of convolution parameters that can influence the output.
    pub const ACTIVE_CONV_PARAMS: &str = "active-conv-params";
    /// The fused ranks of three structural scores.
    pub const STRUCTURAL: &str = "structural";
    /// The fused ranks of zero-cost scores.
    pub const FUSED: &str = "zero-cost fused";

    /// Returns whether the ranking is that of another training, such as a short one from scratch, which is not free.
    fn is_trained(&self) -> bool {
        self.name.ends_with("from scratch")
    }

    /// Returns the row with the largest tau-b that needs no training.
    pub(crate) fn best(rows: &[Self]) -> Option<&Self> {
        let free = rows.iter().filter(|row| !row.is_trained());
        free.max_by(|a, b| a.metrics.tau_b.total_cmp(&b.metrics.tau_b))
    }

    /// Compares one score with a benchmark table. Returns `None` if the metrics are undefined, for example because the score ties all
    /// architectures.
    ///
    /// # Shapes and units
    /// - `scores`: `[A]`, any unit, larger is better; −∞ stands for an architecture without this score
    /// - `truth`, `params`, `size`: `[A]`, see [`ScoreLists`]
    ///
    /// # Errors
    /// Returns a [`MetricsError`] if the lists cannot be compared.
    pub fn of(
        name: &str,
        scores: &[f64],
        truth: &[f64],
        params: &[f64],
        size: Option<&[f64]>,
    ) -> Result<Option<Self>, MetricsError> {
        let found = metrics(scores, truth, params)?.ok();
        let tau_within = within(scores, truth, size)?;
        Ok(found.map(|metrics| Self { name: name.to_owned(), metrics, tau_within }))
    }
}

/// Computes the metrics of scores, which may be −∞, or returns the reason why there are none.
fn metrics(scores: &[f64], truth: &[f64], params: &[f64]) -> Result<Result<Metrics, String>, MetricsError> {
    defined(Metrics::compute(&finite_scores(scores), truth, Some(params)))
}

/// Computes [`Agreement::tau_within`], which is `None` without a measure of size.
fn within(scores: &[f64], truth: &[f64], size: Option<&[f64]>) -> Result<Option<f64>, MetricsError> {
    size.map_or(Ok(None), |size| Ok(defined(tau_within(scores, truth, size))?.ok()))
}

/// Reads the name of a baseline. Older records call the two structural scores `weights` and `live conv weight`.
fn baseline_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match String::deserialize(deserializer)? {
        name if name == "weights" => ZeroCostRow::PARAMS.to_owned(),
        name if name == "live conv weight" => ZeroCostRow::ACTIVE_CONV_PARAMS.to_owned(),
        name => name,
    })
}

/// Scores of the same architectures, `[A]` each; larger is better.
#[derive(Clone, Copy, Debug)]
pub struct ScoreLists<'a> {
    /// Stand-alone accuracy, percent.
    pub truth: &'a [f64],
    /// Accuracy with inherited weights, percent.
    pub supernet: &'a [f64],
    /// Number of parameters, for the partial tau.
    pub params: &'a [f64],
    /// A measure of size by which architectures are grouped for [`Agreement::tau_within`].
    pub size: Option<&'a [f64]>,
    /// Zero-cost baselines with their names. A baseline that ties all architectures is left out.
    pub zero_cost: &'a [(&'a str, Vec<f64>)],
    /// Fused scores.
    pub fused: Option<&'a [f64]>,
}

impl<'a> ScoreLists<'a> {
    /// Creates lists without a measure of size and without fused scores.
    pub fn new(
        supernet: &'a [f64],
        truth: &'a [f64],
        params: &'a [f64],
        zero_cost: &'a [(&'a str, Vec<f64>)],
    ) -> Self {
        Self { truth, supernet, params, size: None, zero_cost, fused: None }
    }
}

impl Agreement {
    /// Compares the scores of a supernet with a benchmark table. An interval whose BCa form is undefined is a percentile interval. The caller fills in [`Agreement::ceiling`] and [`Agreement::note`].
    ///
    /// # Errors
    /// Returns a [`MetricsError`] if the lists cannot be compared, for example because their lengths differ. A supernet that scores all
    /// architectures alike is not an error: the reason goes to [`Agreement::undefined`].
    pub fn of(table: &str, lists: &ScoreLists<'_>, bootstrap: &Bootstrap) -> Result<Self, MetricsError> {
        let ScoreLists { truth, params, size, .. } = *lists;
        let mut zero_cost = Vec::new();
        for (name, list) in lists.zero_cost {
            zero_cost.extend(ZeroCostRow::of(name, list, truth, params, size)?);
        }
        let mut against: Vec<&str> = Vec::new();
        let best = ZeroCostRow::best(&zero_cost);
        let params_row = zero_cost.iter().find(|row| row.name == ZeroCostRow::PARAMS);
        for row in params_row.into_iter().chain(best) {
            if !against.contains(&row.name.as_str()) {
                against.push(&row.name);
            }
        }
        let compared = |scores: &[f64]| {
            let with = |name: &&str| {
                let baseline = lists.zero_cost.iter().find(|(other, _)| other == name);
                let baseline = &baseline.expect("the row was computed from it").1;
                Comparison::of(name, scores, baseline, truth, bootstrap)
            };
            against.iter().map(with).collect::<Result<Vec<_>, MetricsError>>()
        };
        let judged = |scores: &[f64]| match metrics(scores, truth, params)? {
            Err(reason) => Ok(Err(reason)),
            Ok(metrics) => Ok(Ok(FusedRow {
                metrics,
                tau_b_interval: defined(
                    bootstrap.or_percentiles(|bootstrap| tau_b_interval(scores, truth, bootstrap)),
                )?
                .ok(),
                tau_within: within(scores, truth, size)?,
                comparisons: compared(scores)?,
            })),
        };
        let fused = lists.fused.map(judged).transpose()?.and_then(Result::ok);
        let (supernet, undefined) = match judged(lists.supernet)? {
            Ok(row) => (Some(row), None),
            Err(_) if lists.supernet.is_empty() => {
                (None, Some(format!("none of the ranked architectures is in the table {table}")))
            }
            Err(reason) => (None, Some(reason)),
        };
        Ok(Self {
            table: table.to_owned(),
            undefined,
            tau_b_interval: supernet.as_ref().and_then(|row| row.tau_b_interval),
            tau_within: supernet.as_ref().and_then(|row| row.tau_within),
            comparisons: supernet.as_ref().map_or_else(Vec::new, |row| row.comparisons.clone()),
            metrics: supernet.map(|row| row.metrics),
            fused,
            zero_cost,
            ceiling: None,
            note: None,
        })
    }

    /// Returns all comparisons with the name of the ranking that is compared: those of the fused ranking, then those of the supernet.
    pub(crate) fn all_comparisons(&self) -> impl Iterator<Item = (&'static str, &Comparison)> {
        let fused = self.fused.iter().flat_map(|fused| &fused.comparisons).map(|found| ("fused", found));
        fused.chain(self.comparisons.iter().map(|found| ("supernet", found)))
    }
}

impl Comparison {
    fn of(
        name: &str,
        scores: &[f64],
        baseline: &[f64],
        truth: &[f64],
        bootstrap: &Bootstrap,
    ) -> Result<Self, MetricsError> {
        let lists = [scores, baseline].map(|list| [list.to_vec()]);
        let difference = |metric| {
            let found = bootstrap.or_percentiles(|bootstrap| {
                paired_difference(&lists[0], &lists[1], truth, metric, bootstrap)
            });
            match defined(found) {
                // With few architectures there is no top.
                Err(MetricsError::EmptyTop { .. }) => Ok(None),
                other => Ok(other?.ok()),
            }
        };
        Ok(Self {
            with: name.to_owned(),
            tau_b: difference(PairedMetric::TauB)?,
            p_at_top_5: difference(PairedMetric::PAtTop { fraction: 0.05 })?,
        })
    }
}

/// Keeps the reason why a valid input has no such value, and returns all other errors.
fn defined<T>(result: Result<T, MetricsError>) -> Result<Result<T, String>, MetricsError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_undefined() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
