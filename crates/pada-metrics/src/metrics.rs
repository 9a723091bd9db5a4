use std::fmt;

use crate::{MetricsError, ScoreList, br_at_top, kendall_tau_b, p_at_top, partial_tau, pearson, spearman};

/// All metrics of one ranking.
///
/// A metric of a top fraction is `None` if the fraction contains no architecture. `{}` prints one metric per line, and
/// `{:.4}` prints four digits.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Metrics {
    /// A, the number of architectures.
    pub n: usize,
    /// Kendall's tau-b, in `[-1, 1]`.
    pub tau_b: f64,
    /// Spearman's rank correlation, in `[-1, 1]`.
    pub spearman: f64,
    /// Pearson's correlation, in `[-1, 1]`.
    pub pearson: f64,
    /// P@Top1%, in `[0, 1]`, larger is better.
    #[cfg_attr(feature = "serde", serde(rename = "p_at_top_0.01"))]
    pub p_at_top_1: Option<f64>,
    /// P@Top5%, in `[0, 1]`, larger is better.
    #[cfg_attr(feature = "serde", serde(rename = "p_at_top_0.05"))]
    pub p_at_top_5: Option<f64>,
    /// P@Top10%, in `[0, 1]`, larger is better.
    #[cfg_attr(feature = "serde", serde(rename = "p_at_top_0.1"))]
    pub p_at_top_10: Option<f64>,
    /// BR@Top1%, in `[1/A, 1]`, smaller is better.
    #[cfg_attr(feature = "serde", serde(rename = "br_at_top_0.01"))]
    pub br_at_top_1: Option<f64>,
    /// BR@Top5%, in `[1/A, 1]`, smaller is better.
    #[cfg_attr(feature = "serde", serde(rename = "br_at_top_0.05"))]
    pub br_at_top_5: Option<f64>,
    /// BR@Top10%, in `[1/A, 1]`, smaller is better.
    #[cfg_attr(feature = "serde", serde(rename = "br_at_top_0.1"))]
    pub br_at_top_10: Option<f64>,
    /// Tau-b with the influence of the number of parameters removed, in `[-1, 1]`. `None` if the numbers of parameters were
    /// not given, if they are all equal, or if they order the architectures exactly as one of the lists does.
    pub partial_tau_given_params: Option<f64>,
}

impl Metrics {
    /// Computes all metrics of one ranking.
    ///
    /// # Shapes and units
    /// - `predicted`, `ground_truth`: `[A]`, any unit, larger is better
    /// - `params`: `[A]`, the number of parameters of each architecture
    ///
    /// # Errors
    /// Returns the errors of [`kendall_tau_b`], [`pearson`] and [`partial_tau`].
    pub fn compute(
        predicted: &[f64],
        ground_truth: &[f64],
        params: Option<&[f64]>,
    ) -> Result<Self, MetricsError> {
        let optional = |metric: Result<f64, MetricsError>| match metric {
            Ok(value) => Ok(Some(value)),
            Err(
                MetricsError::EmptyTop { .. }
                | MetricsError::ControlExplains { .. }
                | MetricsError::AllTied { list: ScoreList::Control, .. },
            ) => Ok(None),
            Err(error) => Err(error),
        };
        let p = |fraction| optional(p_at_top(predicted, ground_truth, fraction));
        let br = |fraction| optional(br_at_top(predicted, ground_truth, fraction));
        Ok(Self {
            n: predicted.len(),
            tau_b: kendall_tau_b(predicted, ground_truth)?,
            spearman: spearman(predicted, ground_truth)?,
            pearson: pearson(predicted, ground_truth)?,
            p_at_top_1: p(0.01)?,
            p_at_top_5: p(0.05)?,
            p_at_top_10: p(0.1)?,
            br_at_top_1: br(0.01)?,
            br_at_top_5: br(0.05)?,
            br_at_top_10: br(0.1)?,
            partial_tau_given_params: match params {
                Some(params) => optional(partial_tau(predicted, ground_truth, params))?,
                None => None,
            },
        })
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(3);
        write!(f, "{:<24} {}", "architectures", self.n)?;
        let metrics = [
            ("tau-b", Some(self.tau_b)),
            ("Spearman", Some(self.spearman)),
            ("Pearson", Some(self.pearson)),
            ("P@Top1%", self.p_at_top_1),
            ("P@Top5%", self.p_at_top_5),
            ("P@Top10%", self.p_at_top_10),
            ("BR@Top1%", self.br_at_top_1),
            ("BR@Top5%", self.br_at_top_5),
            ("BR@Top10%", self.br_at_top_10),
            ("partial tau given params", self.partial_tau_given_params),
        ];
        for (name, value) in metrics {
            match value {
                Some(value) => write!(f, "\n{name:<24} {value:.digits$}")?,
                None => write!(f, "\n{name:<24} -")?,
            }
        }
        Ok(())
    }
}
