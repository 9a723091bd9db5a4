use crate::error::{List, RankError};
use crate::kendall_tau_b;

/// Tau-b between predicted and true scores with the influence of a third list taken out:
/// `(t_xy − t_xz·t_yz) / √((1 − t_xz²)(1 − t_yz²))`.
///
/// # Shapes and units
/// Three lists `[A]`; returns a number in `[-1, 1]`.
///
/// # Errors
/// As [`kendall_tau_b`], and [`RankError::Explained`] where the third list orders everything as one of the others.
///
/// # Source
/// Kendall, Rank correlation methods, 1948.
pub fn partial_tau(predicted: &[f64], truth: &[f64], given: &[f64]) -> Result<f64, RankError> {
    let xy = kendall_tau_b(predicted, truth)?;
    let against = |list: &[f64], is: List| {
        kendall_tau_b(list, given).map_err(|error| match error {
            RankError::AllTied { list: List::Truth, n } => RankError::AllTied { list: List::Given, n },
            RankError::AllTied { n, .. } => RankError::AllTied { list: is, n },
            RankError::NotComparable { list: List::Truth, index, value } => {
                RankError::NotComparable { list: List::Given, index, value }
            }
            other => other,
        })
    };
    let (xz, yz) = (against(predicted, List::Predicted)?, against(truth, List::Truth)?);
    for (list, tau) in [(List::Predicted, xz), (List::Truth, yz)] {
        if 1.0 - tau * tau <= 0.0 {
            return Err(RankError::Explained { list });
        }
    }
    Ok((xy - xz * yz) / ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt())
}
