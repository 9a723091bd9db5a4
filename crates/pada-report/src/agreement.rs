use pada_metrics::{Bootstrap, Interval, Metrics, MetricsError, tau_b_interval};
use serde::{Deserialize, Serialize};

/// How well a ranking agrees with one truth table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Name of the table.
    pub truth: String,
    /// Why there are no numbers: a collapsed supernet ranks nothing.
    pub undefined: Option<String>,
    /// The supernet's metrics over the architectures that were ranked and are in the table.
    pub metrics: Option<Metrics>,
    /// Confidence interval of tau-b over architectures.
    pub tau_b_interval: Option<Interval>,
    /// What rankings that cost no supernet reach on the same architectures.
    pub zero_cost: Vec<ZeroCostRow>,
    /// How well the table agrees with itself; none where it does not tell its seeds apart.
    #[serde(default)]
    pub ceiling: Option<Ceiling>,
    /// What a reader must know of the table; none where there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Agreement of trainings from scratch that differ in their seed only: no ranking can be expected to agree much better.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ceiling {
    /// Mean of tau-b between two seeds, over all pairs of seeds.
    pub tau_b: f64,
    /// Seeds that are compared.
    pub seeds: usize,
    /// Architectures that were trained with all of them.
    pub archs: usize,
}

/// A ranking that costs nothing, as a line to beat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroCostRow {
    /// What ranks.
    pub name: String,
    /// How well it does.
    pub metrics: Metrics,
}

impl Agreement {
    /// Compares scores with a truth table.
    ///
    /// # Shapes
    /// `scores`, `truth`, `params` and every list of `baselines`: `[A]`, of the same architectures. Baselines that tie all
    /// architectures are left out.
    ///
    /// # Errors
    /// [`MetricsError`] for lists that cannot be compared. A supernet that scores all architectures alike is no error here: it
    /// gives [`Agreement::undefined`]. The ceiling and the note are left to the caller.
    pub fn of(
        table: &str,
        scores: &[f64],
        truth: &[f64],
        params: &[f64],
        baselines: &[(&str, Vec<f64>)],
        bootstrap: &Bootstrap,
    ) -> Result<Self, MetricsError> {
        let defined = |result: Result<_, MetricsError>| match result {
            Ok(value) => Ok(Ok(value)),
            Err(error @ (MetricsError::AllTied { .. } | MetricsError::TooFew { .. })) => {
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        };
        let own = defined(Metrics::compute(scores, truth, Some(params)).and_then(|metrics| {
            let interval = tau_b_interval(scores, truth, bootstrap)?;
            Ok((metrics, Some(interval)))
        }))?;
        let mut zero_cost = Vec::new();
        for (name, list) in baselines {
            if let Ok((metrics, _)) =
                defined(Metrics::compute(list, truth, Some(params)).map(|metrics| (metrics, None)))?
            {
                zero_cost.push(ZeroCostRow { name: (*name).to_owned(), metrics });
            }
        }
        let (undefined, metrics, tau_b_interval) = match own {
            Ok((metrics, interval)) => (None, Some(metrics), interval),
            Err(reason) => (Some(reason), None, None),
        };
        let truth = table.to_owned();
        Ok(Self { truth, undefined, metrics, tau_b_interval, zero_cost, ceiling: None, note: None })
    }
}
