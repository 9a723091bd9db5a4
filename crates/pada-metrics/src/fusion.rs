use std::fmt;
use std::str::FromStr;

use crate::MetricsError;
use crate::correlation::mean_ranks;
use crate::error::{ScoreList, Scores, check_pair};

/// How ranks of several scores become one score, see [`fuse`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Fusion {
    /// The mean of the ranks.
    Ranks,
    /// The mean of the logarithms of the ranks. An architecture that is poor by one score is poor by the fused score.
    #[default]
    LogRanks,
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ranks => "ranks",
            Self::LogRanks => "log-ranks",
        })
    }
}

impl FromStr for Fusion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ranks" => Ok(Self::Ranks),
            "log-ranks" => Ok(Self::LogRanks),
            _ => Err(format!("{text} is not a way to fuse ranks; use ranks or log-ranks")),
        }
    }
}

/// Fuses several scores of the same architectures into one: the mean over scores of `rank / A`, or of `ln(rank / A)`.
///
/// The worst architecture of a score has rank 1 and the best has rank A. Equal scores share the mean of their ranks. The scores
/// may have any units, because only their order counts.
///
/// A fused score is a property of the *list*: it says where an architecture stands among the others, and changes if others are
/// added. It cannot be compared with fused scores of another list.
///
/// # Shapes and units
/// - `parts`: `[P, A]`, P ≥ 1 scores, any unit, larger is better. Infinite scores are allowed.
/// - returns `[A]`: in `(0, 1]` for [`Fusion::Ranks`], at most 0 for [`Fusion::LogRanks`]; larger is better
///
/// # Errors
/// Returns [`MetricsError::TooFew`] without scores or architectures, [`MetricsError::LengthMismatch`] if the lists differ in their
/// lengths, and [`MetricsError::NanScore`]. Errors call the part with index i the [`ScoreList::Part`] i.
///
/// # Source
/// Mean ranks: Borda's count. Logarithms of ranks: AZ-NAS (Lee & Ham, CVPR 2024).
///
/// # Example
/// ```
/// use pada_metrics::{Fusion, fuse};
///
/// let accuracy: &[f64] = &[61.0, 48.5, 70.2];
/// let params: &[f64] = &[0.4e6, 0.1e6, 0.3e6];
/// let fused = fuse(&[accuracy, params], Fusion::Ranks)?;
/// assert!(fused[0] == fused[2] && fused[0] > fused[1]); // ranks 2 and 3, 3 and 2, against 1 and 1
/// # Ok::<(), pada_metrics::MetricsError>(())
/// ```
pub fn fuse<S: AsRef<[f64]>>(parts: &[S], fusion: Fusion) -> Result<Vec<f64>, MetricsError> {
    let Some(first) = parts.first() else { return Err(MetricsError::TooFew { found: 0, needed: 1 }) };
    let archs = first.as_ref().len();
    let mut fused = vec![0.0; archs];
    for (index, part) in parts.iter().enumerate() {
        let [part, first] = [(index, part), (0, first)]
            .map(|(index, list)| Scores { list: ScoreList::Part { index }, values: list.as_ref() });
        check_pair(part, first, 1)?;
        for (fused, rank) in fused.iter_mut().zip(mean_ranks(part.values)) {
            let share = rank / archs as f64;
            *fused += match fusion {
                Fusion::Ranks => share,
                Fusion::LogRanks => share.ln(),
            } / parts.len() as f64;
        }
    }
    Ok(fused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_scipy_and_only_the_order_counts() {
        // scipy.stats.rankdata([3, 1, 4, 1, 5, -inf, inf, 0.0, -0.0])
        let values = [3.0, 1.0, 4.0, 1.0, 5.0, f64::NEG_INFINITY, f64::INFINITY, 0.0, -0.0];
        let ranks = [6.0, 4.5, 7.0, 4.5, 8.0, 1.0, 9.0, 2.5, 2.5];
        assert_eq!(fuse(&[values], Fusion::Ranks).unwrap(), ranks.map(|rank| rank / 9.0));
        let list = [0.1, 0.2, 5.0, 0.3];
        let cubes = list.map(|x| x * x * x);
        for fusion in [Fusion::Ranks, Fusion::LogRanks] {
            let other = [4.0, 1.0, 2.0, 2.0];
            assert_eq!(fuse(&[list, other], fusion).unwrap(), fuse(&[cubes, other], fusion).unwrap());
        }
    }

    #[test]
    fn log_ranks_punish_what_one_score_finds_poor() {
        // The first architecture is best and worst, the second is in the middle twice.
        let parts = [[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]];
        let [ranks, logs] = [Fusion::Ranks, Fusion::LogRanks].map(|fusion| fuse(&parts, fusion).unwrap());
        assert_eq!(ranks, [2.0 / 3.0; 3]);
        assert!(logs[1] > logs[0] && logs[0] == logs[2], "{logs:?}");
        assert!((logs[0] - (1.0_f64 / 3.0).ln() / 2.0).abs() < 1e-15);
    }

    #[test]
    fn lists_that_cannot_be_fused_are_refused_by_name() {
        let none: &[&[f64]] = &[];
        assert_eq!(fuse(none, Fusion::Ranks).unwrap_err(), MetricsError::TooFew { found: 0, needed: 1 });
        let list = ScoreList::Part { index: 1 };
        let lists: [&[f64]; 2] = [&[1.0, 2.0], &[1.0]];
        let error = MetricsError::LengthMismatch { list, found: 1, expected: 2 };
        assert_eq!(fuse(&lists, Fusion::Ranks).unwrap_err(), error);
        let lists = [[1.0, 2.0], [1.0, f64::NAN]];
        assert_eq!(fuse(&lists, Fusion::LogRanks).unwrap_err(), MetricsError::NanScore { list, index: 1 });
        assert!("mean".parse::<Fusion>().unwrap_err().contains("log-ranks"));
        assert_eq!("log-ranks".parse(), Ok(Fusion::LogRanks));
    }
}
