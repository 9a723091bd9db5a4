use serde::{Deserialize, Serialize};

use crate::{RankError, br_at_top, kendall_tau_b, p_at_top, partial_tau, pearson, spearman};

/// All metrics of one ranking. Those of a top share are none where the share holds no architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// A, how many architectures.
    pub n: usize,
    /// Kendall's tau-b.
    pub tau_b: f64,
    /// Spearman's rank correlation.
    pub spearman: f64,
    /// Pearson's correlation.
    pub pearson: f64,
    /// P@Top1%.
    #[serde(rename = "p_at_top_0.01")]
    pub p_at_top_1: Option<f64>,
    /// P@Top5%.
    #[serde(rename = "p_at_top_0.05")]
    pub p_at_top_5: Option<f64>,
    /// P@Top10%.
    #[serde(rename = "p_at_top_0.1")]
    pub p_at_top_10: Option<f64>,
    /// BR@Top1%.
    #[serde(rename = "br_at_top_0.01")]
    pub br_at_top_1: Option<f64>,
    /// BR@Top5%.
    #[serde(rename = "br_at_top_0.05")]
    pub br_at_top_5: Option<f64>,
    /// BR@Top10%.
    #[serde(rename = "br_at_top_0.1")]
    pub br_at_top_10: Option<f64>,
    /// Tau-b with the number of weights held fixed; none where it was not given or explains a list wholly.
    pub partial_tau_given_params: Option<f64>,
}

impl Metrics {
    /// Computes them; `params` are the architectures' numbers of weights, `[A]`.
    ///
    /// # Errors
    /// [`RankError`] as the single metrics.
    pub fn compute(predicted: &[f64], truth: &[f64], params: Option<&[f64]>) -> Result<Self, RankError> {
        let optional = |metric: Result<f64, RankError>| match metric {
            Ok(value) => Ok(Some(value)),
            Err(RankError::EmptyTop { .. } | RankError::Explained { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let p = |fraction| optional(p_at_top(predicted, truth, fraction));
        let br = |fraction| optional(br_at_top(predicted, truth, fraction));
        Ok(Self {
            n: predicted.len(),
            tau_b: kendall_tau_b(predicted, truth)?,
            spearman: spearman(predicted, truth)?,
            pearson: pearson(predicted, truth)?,
            p_at_top_1: p(0.01)?,
            p_at_top_5: p(0.05)?,
            p_at_top_10: p(0.1)?,
            br_at_top_1: br(0.01)?,
            br_at_top_5: br(0.05)?,
            br_at_top_10: br(0.1)?,
            partial_tau_given_params: match params {
                Some(params) => optional(partial_tau(predicted, truth, params))?,
                None => None,
            },
        })
    }
}
