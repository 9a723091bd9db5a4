use pada_metrics::{Bootstrap, Interval, Metrics, MetricsError, tau_b_interval};
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
    /// Zero-cost baselines on the same architectures.
    pub zero_cost: Vec<ZeroCostRow>,
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

/// A zero-cost baseline: a ranking that needs no trained supernet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroCostRow {
    /// Name of the score, for example [`ZeroCostRow::PARAMS`].
    #[serde(deserialize_with = "baseline_name")]
    pub name: String,
    /// The metrics of the baseline.
    pub metrics: Metrics,
}

impl ZeroCostRow {
    /// The number of parameters.
    pub const PARAMS: &str = "#params";
    /// The number of convolution parameters on the active edges of a NAS-Bench-201 cell.
    pub const ACTIVE_CONV_PARAMS: &str = "active-conv-params";
}

/// Reads the name of a baseline. Older records call the two structural scores `weights` and `live conv weight`.
fn baseline_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match String::deserialize(deserializer)? {
        name if name == "weights" => ZeroCostRow::PARAMS.to_owned(),
        name if name == "live conv weight" => ZeroCostRow::ACTIVE_CONV_PARAMS.to_owned(),
        name => name,
    })
}

impl Agreement {
    /// Compares the scores of a supernet with a benchmark table. The caller fills in [`Agreement::ceiling`] and [`Agreement::note`].
    ///
    /// # Shapes and units
    /// - `scores`: `[A]`, accuracy with inherited weights, percent
    /// - `truth`: `[A]`, stand-alone accuracy of the same architectures, percent
    /// - `params`: `[A]`, number of parameters, for the partial tau
    /// - `baselines`: a name and `[A]` scores each; a baseline that ties all architectures is left out
    ///
    /// # Errors
    /// Returns a [`MetricsError`] if the lists cannot be compared, for example because their lengths differ. A supernet that scores all
    /// architectures alike is not an error: the reason goes to [`Agreement::undefined`].
    pub fn of(
        table: &str,
        scores: &[f64],
        truth: &[f64],
        params: &[f64],
        baselines: &[(&str, Vec<f64>)],
        bootstrap: &Bootstrap,
    ) -> Result<Self, MetricsError> {
        let measured = |scores: &[f64]| defined(Metrics::compute(scores, truth, Some(params)));
        let (undefined, metrics, tau_b_interval) = match measured(scores)? {
            Ok(metrics) => (None, Some(metrics), defined(tau_b_interval(scores, truth, bootstrap))?.ok()),
            Err(_) if scores.is_empty() => {
                (Some(format!("none of the ranked architectures is in the table {table}")), None, None)
            }
            Err(reason) => (Some(reason), None, None),
        };
        let mut zero_cost = Vec::new();
        for (name, list) in baselines {
            if let Ok(metrics) = measured(list)? {
                zero_cost.push(ZeroCostRow { name: (*name).to_owned(), metrics });
            }
        }
        let table = table.to_owned();
        Ok(Self { table, undefined, metrics, tau_b_interval, zero_cost, ceiling: None, note: None })
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
