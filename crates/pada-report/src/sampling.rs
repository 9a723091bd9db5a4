use serde::{Deserialize, Serialize};

use crate::method_row::last_stages;
use crate::{EpochRecord, RunRecord, Spread};

/// Counts of the paths and images that a method drew in its first and in its last epoch, mean over seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Counts of the first epoch.
    pub first: Drawn,
    /// Counts of the last epoch. If the supernet was split, the mean over the last epochs of its sub-supernets.
    pub last: Drawn,
}

/// Counts of the paths and images of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Number of paths drawn, repeats included.
    pub paths: f64,
    /// Number of distinct paths.
    pub distinct_paths: f64,
    /// Effective number of paths, see [`PathAudit::effective`](crate::PathAudit::effective).
    pub effective_paths: f64,
    /// Share of all drawn operations that have parameters.
    pub weighted_share: f64,
    /// Number of images drawn, repeats included.
    pub images: f64,
    /// Number of distinct images.
    pub distinct_images: f64,
}

impl Sampling {
    /// Averages over the runs of one method. Returns `None` if no run has an epoch. `weighted_ops` lists the digits of the operations that
    /// have parameters.
    pub fn of(records: &[RunRecord], weighted_ops: &[usize]) -> Option<Self> {
        let first = records.iter().filter_map(|record| record.epochs.first());
        let last = records.iter().flat_map(|record| {
            last_stages(&record.epochs, record.sub_supernets.len()).into_iter().filter_map(<[_]>::last)
        });
        Some(Self { first: Drawn::of(first, weighted_ops)?, last: Drawn::of(last, weighted_ops)? })
    }
}

impl Drawn {
    fn of<'a>(epochs: impl Iterator<Item = &'a EpochRecord>, weighted_ops: &[usize]) -> Option<Self> {
        let epochs: Vec<&EpochRecord> = epochs.collect();
        let mean = |of: &dyn Fn(&EpochRecord) -> f64| {
            Spread::of(epochs.iter().map(|epoch| of(epoch))).map(|spread| spread.mean)
        };
        Some(Self {
            paths: mean(&|e| e.paths.drawn as f64)?,
            distinct_paths: mean(&|e| e.paths.distinct as f64)?,
            effective_paths: mean(&|e| e.paths.effective)?,
            weighted_share: mean(&|e| weighted_share(&e.paths.op_counts, weighted_ops))?,
            images: mean(&|e| e.images.drawn as f64)?,
            distinct_images: mean(&|e| e.images.distinct as f64)?,
        })
    }
}

/// `op_counts`: `[E, O]`.
fn weighted_share(op_counts: &[Vec<usize>], weighted_ops: &[usize]) -> f64 {
    let all: usize = op_counts.iter().flatten().sum();
    let weighted: usize =
        op_counts.iter().map(|ops| weighted_ops.iter().filter_map(|&op| ops.get(op)).sum::<usize>()).sum();
    if all == 0 { 0.0 } else { weighted as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_with_parameters_are_counted_over_all_decisions() {
        assert_eq!(weighted_share(&[vec![1, 3, 0], vec![0, 2, 2]], &[1, 2]), 7.0 / 8.0);
        assert_eq!(weighted_share(&[], &[1]), 0.0);
    }
}
