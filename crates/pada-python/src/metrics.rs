use numpy::{PyArray1, PyReadonlyArray1, ToPyArray};
use pada::metrics::{
    Bootstrap, Fusion, IntervalMethod, Metrics, MetricsError, PValueMethod, PairedMetric, br_at_top,
    kendall_tau_b, kendall_tau_b_p_value, p_at_top, partial_tau, pearson, spearman, spearman_p_value,
    tau_b_interval, tau_within, weighted_tau,
};
use pyo3::prelude::*;

use crate::error::{invalid, raised, to_json};

/// A list of scores, `[A]`. The Python part of the package makes it contiguous, so that it is read without a copy.
pub(crate) type Scores<'py> = PyReadonlyArray1<'py, f64>;

/// A metric of two rankings. Some metrics have a third list.
#[derive(Clone, Copy)]
enum Metric {
    KendallTau,
    WeightedTau,
    PartialTau,
    TauWithin,
    Spearman,
    Pearson,
    PAtTop(f64),
    BrAtTop(f64),
}

impl Metric {
    fn named(name: &str, fraction: f64) -> PyResult<Self> {
        Ok(match name {
            "kendall_tau" => Self::KendallTau,
            "weighted_tau" => Self::WeightedTau,
            "partial_tau" => Self::PartialTau,
            "tau_within" => Self::TauWithin,
            "spearman" => Self::Spearman,
            "pearson" => Self::Pearson,
            "p_at_top" => Self::PAtTop(fraction),
            "br_at_top" => Self::BrAtTop(fraction),
            _ => return Err(invalid(&format!("{name:?} is not a metric"))),
        })
    }

    /// Computes the metric. `third` is the control of a partial tau, or the groups of a tau within groups.
    fn of(self, predicted: &[f64], truth: &[f64], third: &[f64]) -> Result<f64, MetricsError> {
        match self {
            Self::KendallTau => kendall_tau_b(predicted, truth),
            Self::WeightedTau => weighted_tau(predicted, truth),
            Self::PartialTau => partial_tau(predicted, truth, third),
            Self::TauWithin => tau_within(predicted, truth, third),
            Self::Spearman => spearman(predicted, truth),
            Self::Pearson => pearson(predicted, truth),
            Self::PAtTop(fraction) => p_at_top(predicted, truth, fraction),
            Self::BrAtTop(fraction) => br_at_top(predicted, truth, fraction),
        }
    }
}

/// Computes one metric.
#[pyfunction]
pub(crate) fn metric(
    py: Python<'_>,
    name: &str,
    predicted: Scores<'_>,
    truth: Scores<'_>,
    third: Option<Scores<'_>>,
    fraction: f64,
) -> PyResult<f64> {
    let metric = Metric::named(name, fraction)?;
    let third = third.as_ref().map_or(Ok(&[][..]), |third| third.as_slice())?;
    let (predicted, truth) = (predicted.as_slice()?, truth.as_slice()?);
    py.detach(|| metric.of(predicted, truth, third)).map_err(raised)
}

fn bootstrap(resamples: usize, level: f64, seed: u64, method: &str) -> PyResult<Bootstrap> {
    let method = match method {
        "percentile" => IntervalMethod::Percentile,
        "bca" => IntervalMethod::BiasCorrectedAccelerated,
        _ => {
            return Err(invalid(&format!(
                "{method:?} is not a kind of interval; use \"bca\" or \"percentile\""
            )));
        }
    };
    Ok(Bootstrap::new().with_resamples(resamples).with_level(level).with_seed(seed).with_method(method))
}

/// Low and high end, level, number of resamples, and the formula.
type Interval = (f64, f64, f64, usize, Option<&'static str>);

fn interval(found: pada::metrics::Interval) -> Interval {
    let method = found.method.map(|method| match method {
        IntervalMethod::BiasCorrectedAccelerated => "bca",
        _ => "percentile",
    });
    (found.low, found.high, found.level, found.resamples, method)
}

/// Computes the bootstrap interval of a metric over architectures.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the Python function beside it has names for them")]
pub(crate) fn metric_interval(
    py: Python<'_>,
    name: &str,
    predicted: Scores<'_>,
    truth: Scores<'_>,
    third: Option<Scores<'_>>,
    fraction: f64,
    resamples: usize,
    level: f64,
    seed: u64,
    method: &str,
) -> PyResult<Interval> {
    let (metric, bootstrap) = (Metric::named(name, fraction)?, bootstrap(resamples, level, seed, method)?);
    let third = third.as_ref().map_or(Ok(&[][..]), |third| third.as_slice())?;
    let (predicted, truth) = (predicted.as_slice()?, truth.as_slice()?);
    let found = py.detach(|| {
        // Undefined metrics and lists of different lengths are errors of the metric itself.
        metric.of(predicted, truth, third)?;
        bootstrap.or_percentiles(|bootstrap| match metric {
            Metric::KendallTau => tau_b_interval(predicted, truth, bootstrap),
            _ => bootstrap.interval(truth.len(), |indices| {
                let at =
                    |list: &[f64]| indices.iter().filter_map(|&i| list.get(i as usize).copied()).collect();
                let [predicted, truth, third]: [Vec<f64>; 3] = [at(predicted), at(truth), at(third)];
                metric.of(&predicted, &truth, &third).ok()
            }),
        })
    });
    found.map(interval).map_err(raised)
}

/// Computes a two-sided p-value of Kendall's tau-b or of Spearman's correlation.
#[pyfunction]
pub(crate) fn p_value(
    py: Python<'_>,
    name: &str,
    predicted: Scores<'_>,
    truth: Scores<'_>,
    method: &str,
) -> PyResult<f64> {
    let method = match method {
        "auto" => PValueMethod::Auto,
        "exact" => PValueMethod::Exact,
        "asymptotic" => PValueMethod::Asymptotic,
        _ => {
            let text = format!("{method:?} is not a way to compute a p-value; use auto, exact or asymptotic");
            return Err(invalid(&text));
        }
    };
    let (predicted, truth) = (predicted.as_slice()?, truth.as_slice()?);
    let p_value = py.detach(|| match name {
        "kendall_tau" => Some(kendall_tau_b_p_value(predicted, truth, method)),
        "spearman" => Some(spearman_p_value(predicted, truth)),
        _ => None,
    });
    let p_value = p_value.ok_or_else(|| {
        invalid(&format!(
            "{name} has no p-value; kendall_tau and spearman have one, and every metric an interval"
        ))
    })?;
    p_value.map_err(raised)
}

/// Computes all metrics of a ranking as JSON, with the names of `pada metrics --json`.
#[pyfunction]
pub(crate) fn all_metrics(
    py: Python<'_>,
    predicted: Scores<'_>,
    truth: Scores<'_>,
    params: Option<Scores<'_>>,
) -> PyResult<String> {
    let params = params.as_ref().map(|params| params.as_slice()).transpose()?;
    let (predicted, truth) = (predicted.as_slice()?, truth.as_slice()?);
    to_json(&py.detach(|| Metrics::compute(predicted, truth, params)).map_err(raised)?)
}

/// Computes the mean over seeds of the difference of a metric between two methods, with its interval.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the Python function beside it has names for them")]
pub(crate) fn paired_difference(
    py: Python<'_>,
    a: Vec<Scores<'_>>,
    b: Vec<Scores<'_>>,
    truth: Scores<'_>,
    fraction: Option<f64>,
    resamples: usize,
    level: f64,
    seed: u64,
    method: &str,
) -> PyResult<(f64, Interval, usize)> {
    let bootstrap = bootstrap(resamples, level, seed, method)?;
    let metric = fraction.map_or(PairedMetric::TauB, |fraction| PairedMetric::PAtTop { fraction });
    let copied = |lists: &[Scores<'_>]| -> PyResult<Vec<Vec<f64>>> {
        Ok(slices(lists)?.into_iter().map(<[f64]>::to_vec).collect())
    };
    let (a, b, truth) = (copied(&a)?, copied(&b)?, truth.as_slice()?);
    let found = py.detach(|| {
        bootstrap
            .or_percentiles(|bootstrap| pada::metrics::paired_difference(&a, &b, truth, metric, bootstrap))
    });
    let found = found.map_err(raised)?;
    Ok((found.mean, interval(found.interval), found.seeds))
}

/// Computes the mean of a few values and its interval by Student's t distribution.
#[pyfunction]
pub(crate) fn mean_interval(values: Scores<'_>, level: f64) -> PyResult<(f64, Interval)> {
    let (mean, found) = pada::metrics::mean_interval(values.as_slice()?, level).map_err(raised)?;
    Ok((mean, interval(found)))
}

/// Replaces −∞ by a number below all others.
#[pyfunction]
pub(crate) fn finite_scores<'py>(
    py: Python<'py>,
    scores: Scores<'py>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    Ok(pada::metrics::finite_scores(scores.as_slice()?).to_pyarray(py))
}

/// Fuses several scores of the same architectures into one.
#[pyfunction]
pub(crate) fn fuse<'py>(
    py: Python<'py>,
    parts: Vec<Scores<'py>>,
    fusion: &str,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let fusion: Fusion = fusion.parse().map_err(|error: String| invalid(&error))?;
    let parts = slices(&parts)?;
    let fused = py.detach(|| pada::metrics::fuse(&parts, fusion)).map_err(raised)?;
    Ok(PyArray1::from_vec(py, fused))
}

fn slices<'a>(lists: &'a [Scores<'_>]) -> PyResult<Vec<&'a [f64]>> {
    lists.iter().map(|list| Ok(list.as_slice()?)).collect()
}
